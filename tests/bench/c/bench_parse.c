/* DNS or TLS alone: questions with their answers, or whole handshakes, go through the parser, and what rules ask for most is made. What
 * `exchanges` executes is counted.
 *
 *     bench_parse dns|tls COUNT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "handshakes.h"
#include "reef/protocol.h"
#include "reef/status.h"

#define QUESTION "\3www\7example\3org\0\0\1\0\1"
static const char query[] = "\x12\x34\x01\x00\0\1\0\0\0\0\0\0" QUESTION;
static const char answer[] = "\x12\x34\x81\x80\0\1\0\2\0\0\0\0" QUESTION "\xc0\x0c\0\1\0\1\0\0\1\x2c\0\4\xc0\0\2\1"
                             "\xc0\x0c\0\1\0\1\0\0\1\x2c\0\4\xc0\0\2\2";

static void say(reef_call *call, int direction, const void *data, size_t length)
{
    reef_chunk chunk = {.bytes = {data, (uint32_t)length}, .offset = call->session->side[direction].bytes};
    reef_session_bytes(call, direction, &chunk);
}

static void look(reef_call *call, int direction, const unsigned *kinds, size_t count)
{
    const reef_session *session = call->session;
    reef_buffer out;
    for (const reef_transaction *t = session->first; t != NULL; t = t->next)
        for (size_t i = 0; i < count; i++)
            (void)session->protocol->buffer(session, t, direction, kinds[i], 0, &out);
}

static void exchange_dns(reef_call *call)
{
    static const unsigned kinds[] = {REEF_BUFFER_DNS_QUERY};
    say(call, REEF_TO_SERVER, query, sizeof query - 1);
    look(call, REEF_TO_SERVER, kinds, 1);
    say(call, REEF_TO_CLIENT, answer, sizeof answer - 1);
    look(call, REEF_TO_CLIENT, kinds, 1);
    reef_session_reap(call, true);
}

static void exchange_tls(reef_call *call)
{
    static const unsigned there[] = {REEF_BUFFER_TLS_SNI, REEF_BUFFER_JA3_HASH};
    static const unsigned back[] = {REEF_BUFFER_TLS_CERT_SUBJECT, REEF_BUFFER_TLS_CERT_ISSUER, REEF_BUFFER_TLS_CERT_FINGERPRINT};
    say(call, REEF_TO_SERVER, tls12_0_client, sizeof tls12_0_client);
    look(call, REEF_TO_SERVER, there, 2);
    say(call, REEF_TO_CLIENT, tls12_1_server, sizeof tls12_1_server);
    look(call, REEF_TO_CLIENT, back, 3);
}

/* Not to be merged into its caller: callgrind counts inside it. */
__attribute__((noinline)) static void exchanges(reef_call *call, bool tls, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (call->session == NULL)
            call->session = call->flow->session = reef_session_new(call->memory);
        if (call->session == NULL)
            exit(1);
        if (!tls) {
            exchange_dns(call);
            continue;
        }
        exchange_tls(call);
        reef_session_free(call->memory, call->session); /* one handshake, one connection */
        call->session = call->flow->session = NULL;
    }
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: bench_parse dns|tls COUNT\n");
        return 2;
    }
    bool tls = strcmp(argv[1], "tls") == 0;
    reef_memory *memory = NULL;
    if (reef_memory_new(16u << 20, &memory) != REEF_OK)
        return 1;
    reef_flow flow = {.key = {.protocol = tls ? REEF_PROTO_TCP : REEF_PROTO_UDP, .version = 4, .low_port = 1024, .high_port = tls ? 443 : 53}};
    reef_call call = {.memory = memory, .flow = &flow, .time_ns = 1};
    exchanges(&call, tls, (unsigned)strtoul(argv[2], NULL, 10));
    if (flow.app == 0) {
        fprintf(stderr, "bench_parse: the protocol was not found\n");
        return 1;
    }
    reef_session_free(memory, call.session);
    reef_memory_free(memory);
    return 0;
}
