#include "fuzz_dialogue.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    (void)fuzz_datagrams("sip", 5060, data, size);
    return fuzz_stream("sip", 5060, data, size);
}
