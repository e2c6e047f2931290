#include "fuzz_dialogue.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    (void)fuzz_datagrams("ntp", 123, data, size);
    return fuzz_datagrams("dhcp", 67, data, size);
}
