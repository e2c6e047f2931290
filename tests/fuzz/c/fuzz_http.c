/* HTTP/1. What malformed messages give hangs on how they were cut, as in browsers and libhtp: the two ways are not compared here
 * (tests/c/test_http.c does it for messages that are not malformed). */
#include "fuzz_dialogue.h"

/* Transactions leave as soon as they may. */
static void run_and_reap(conversation *c, const uint8_t *data, size_t size)
{
    converse(c, "http", REEF_PROTO_TCP, 80);
    while (size >= 2 && !(c->call.session->flags & REEF_SESSION_CHANGING)) {
        size_t length = (size_t)(data[0] | (data[1] & 0x7f) << 8), there = size - 2;
        length = length < there ? length : there;
        say_bytes(c, data[1] >> 7, data + 2, length, false);
        fuzz_read_all(c);
        reef_session_reap(&c->call, false);
        data += 2 + length, size -= 2 + length;
    }
    for (int direction = 1; direction >= 0; direction--)
        if (!(c->call.session->flags & REEF_SESSION_CHANGING))
            say_bytes(c, direction, NULL, 0, true);
    part(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static conversation c;
    if (size > 16384)
        return 0;
    fuzz_run(&c, "http", REEF_PROTO_TCP, 80, data, size, size > 0 ? 1 + data[0] % 7u : 1);
    part(&c);
    run_and_reap(&c, data, size);
    return 0;
}
