/* Telnet (RFC 854) on port 23: options and lines, for rules with `frame`; it has no transactions. */
#include <string.h>

#include "gather.h"
#include "reef/limits.h"
#include "reef/pdu.h"
#include "reef/protocol.h"

enum { PORT = 23 };
enum { END_OF_OPTION = 0xf0, SUBOPTION = 0xfa, WILL = 0xfb, ESCAPE = 0xff };

typedef struct telnet_state { app_gather side[2]; } telnet_state;

static reef_guess probe(const reef_probe *probe)
{
    reef_view v = probe->bytes;
    if ((probe->server_port != PORT && probe->client_port != PORT) || (v.length > 0 && v.data[0] != ESCAPE))
        return REEF_GUESS_NO;
    if (v.length < 3)
        return probe->end ? REEF_GUESS_NO : REEF_GUESS_MORE;
    return v.data[1] >= SUBOPTION && v.data[1] != ESCAPE ? REEF_GUESS_YES : REEF_GUESS_NO;
}

/* Bytes of the command at the front of `v`, which begins with the escape; 0: it is not whole. */
static uint32_t command_length(reef_view v)
{
    if (v.length < 2)
        return 0;
    if (v.data[1] >= WILL && v.data[1] != ESCAPE)
        return v.length >= 3 ? 3 : 0;
    if (v.data[1] != SUBOPTION)
        return 2;
    for (uint32_t i = 2; i + 1 < v.length; i++) {
        const uint8_t *escape = memchr(v.data + i, ESCAPE, v.length - 1 - i);
        if (escape == NULL)
            return 0;
        i = (uint32_t)(escape - v.data);
        if (escape[1] == END_OF_OPTION)
            return i + 2;
    }
    return 0;
}

/* Bytes of the text at the front of `v`: up to the end of its line, or to a command; 0: it is not whole. */
static uint32_t text_length(reef_view v)
{
    const uint8_t *end = memchr(v.data, '\n', v.length);
    uint32_t n = end != NULL ? (uint32_t)(end - v.data) + 1 : v.length;
    const uint8_t *escape = memchr(v.data, ESCAPE, n);
    if (escape != NULL)
        return (uint32_t)(escape - v.data);
    return end != NULL ? n : 0;
}

/* `length` bytes at the front of `v`, of which `early` came with earlier chunks. */
static void note(reef_call *call, int direction, unsigned kind, uint64_t offset, uint32_t length, reef_view v, uint32_t early)
{
    if (early == 0)
        reef_pdu_note(call, direction, kind, offset, length);
    else
        reef_pdu_note_late(call, direction, kind, offset, length, (reef_view){v.data, early < length ? early : length});
}

static bool bytes(reef_call *call, int direction, const reef_chunk *chunk)
{
    telnet_state *state = call->session->state;
    uint32_t early = state->side[direction].length;
    uint64_t offset = chunk->offset - early;
    if (chunk->bytes.length == 0)
        return true;
    reef_view v = app_gather_join(&state->side[direction], call->memory, chunk->bytes);
    if (v.data == NULL)
        return false;
    while (v.length > 0) {
        bool command = v.data[0] == ESCAPE;
        uint32_t length = command ? command_length(v) : text_length(v);
        if (length == 0 && v.length < REEF_TELNET_LINE_MAX)
            break;
        if (length == 0) /* nothing waits for ever */
            length = v.length;
        note(call, direction, REEF_BUFFER_PDU_TELNET_PDU, offset, length, v, early);
        note(call, direction, command ? REEF_BUFFER_PDU_TELNET_CTL : REEF_BUFFER_PDU_TELNET_DATA, offset, length, v, early);
        v.data += length;
        v.length -= length;
        offset += length;
        early = early > length ? early - length : 0;
    }
    return app_gather_keep(&state->side[direction], call->memory, v);
}

static void free_state(reef_memory *memory, reef_session *session)
{
    telnet_state *state = session->state;
    app_gather_free(&state->side[0], memory);
    app_gather_free(&state->side[1], memory);
}

extern const reef_protocol reef_protocol_telnet;
const reef_protocol reef_protocol_telnet = {
    .name = "telnet",
    .transport = REEF_PROTO_TCP,
    .complete = {1, 1},
    .state_size = sizeof(telnet_state),
    .transaction_size = sizeof(reef_transaction),
    .probe = probe,
    .bytes = bytes,
    .free_state = free_state,
};
