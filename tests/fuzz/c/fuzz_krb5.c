#include "fuzz_dialogue.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    (void)fuzz_datagrams("krb5", 88, data, size);
    return fuzz_stream("krb5", 88, data, size);
}
