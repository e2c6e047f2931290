/* HTTP/1. What malformed messages give hangs on how they were cut, as in browsers and libhtp: the two ways are not compared here
 * (tests/c/test_http.c does it for messages that are not malformed). */
#include "fuzz_dialogue.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static conversation c;
    if (size > 16384)
        return 0;
    fuzz_run(&c, "http", REEF_PROTO_TCP, 80, data, size, 65536);
    part(&c);
    fuzz_run(&c, "http", REEF_PROTO_TCP, 80, data, size, size > 0 ? 1 + data[0] % 7u : 1);
    part(&c);
    return 0;
}
