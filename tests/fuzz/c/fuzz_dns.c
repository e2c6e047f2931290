/* DNS on UDP, and on TCP. */
#include "fuzz_dialogue.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    return data[0] & 1 ? fuzz_stream("dns", 53, data + 1, size - 1) : fuzz_datagrams("dns", 53, data + 1, size - 1);
}
