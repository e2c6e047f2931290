/* HTTP/1 alone: requests and responses of a browser's kind go through the parser, as segments bring them, and the buffers that
 * rules ask for most are made. `conversations` is what is counted. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reef/protocol.h"
#include "reef/status.h"

static const char request[] =
    "GET /assets/js/application.min.js?v=20260331 HTTP/1.1\r\nHost: www.example.org\r\nConnection: keep-alive\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36\r\n"
    "Accept: */*\r\nReferer: http://www.example.org/index.html\r\nAccept-Encoding: gzip, deflate\r\nAccept-Language: en-GB,en;q=0.9\r\n\r\n";
static const char response[] =
    "HTTP/1.1 200 OK\r\nDate: Tue, 31 Mar 2026 17:00:00 GMT\r\nServer: nginx\r\nContent-Type: application/javascript\r\n"
    "Content-Length: 4096\r\nLast-Modified: Mon, 30 Mar 2026 10:00:00 GMT\r\nConnection: keep-alive\r\nETag: \"65f1-1000\"\r\n"
    "Cache-Control: max-age=3600\r\nAccept-Ranges: bytes\r\n\r\n";

enum { BODY = 4096, SEGMENT = 1460 };

static void say(reef_call *call, int direction, const char *data, uint32_t length)
{
    reef_chunk chunk = {.bytes = {(const uint8_t *)data, length}, .offset = call->session->side[direction].bytes};
    reef_session_bytes(call, direction, &chunk);
}

static void look(reef_call *call)
{
    static const unsigned kinds[] = {REEF_BUFFER_HTTP_URI, REEF_BUFFER_HTTP_HOST, REEF_BUFFER_HTTP_HEADER, REEF_BUFFER_HTTP_USER_AGENT,
                                     REEF_BUFFER_HTTP_METHOD};
    const reef_session *session = call->session;
    reef_buffer out;
    for (const reef_transaction *t = session->first; t != NULL; t = t->next)
        for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
            (void)session->protocol->buffer(session, t, REEF_TO_SERVER, kinds[i], 0, &out);
}

/* Not to be merged into its caller: callgrind counts inside it. */
__attribute__((noinline)) static void conversations(reef_call *call, unsigned count, const char *body)
{
    for (unsigned i = 0; i < count; i++) {
        say(call, REEF_TO_SERVER, request, sizeof request - 1);
        look(call);
        say(call, REEF_TO_CLIENT, response, sizeof response - 1);
        for (uint32_t at = 0; at < BODY; at += SEGMENT)
            say(call, REEF_TO_CLIENT, body + at, BODY - at < SEGMENT ? BODY - at : SEGMENT);
        reef_session_reap(call, false);
    }
}

int main(int argc, char **argv)
{
    unsigned count = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1000;
    char *body = calloc(1, BODY);
    reef_memory *memory = NULL;
    if (body == NULL || reef_memory_new(16u << 20, &memory) != REEF_OK)
        return 1;
    reef_flow flow = {.key = {.protocol = REEF_PROTO_TCP, .version = 4, .low_port = 1024, .high_port = 80}};
    reef_call call = {.memory = memory, .flow = &flow, .time_ns = 1};
    call.session = flow.session = reef_session_new(memory);
    if (call.session == NULL)
        return 1;
    conversations(&call, count, body);
    printf("%llu transactions\n", (unsigned long long)call.session->transactions);
    reef_session_free(memory, call.session);
    reef_memory_free(memory);
    free(body);
    return 0;
}
