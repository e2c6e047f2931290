#include "fuzz_dialogue.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_datagrams("quic", 443, data, size);
}
