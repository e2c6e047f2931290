#include "fuzz_dialogue.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_stream("http2", 80, data, size);
}
