/* SSH (RFC 4253) until the keys are new: banners, and of the key exchange what HASSH is made of. One transaction for each
 * connection. */
#include <nettle/md5.h>
#include <string.h>

#include "piece.h"
#include "reef/bytes.h"
#include "reef/protocol.h"

enum { SSH_BANNER = 1, SSH_KEX = 2, SSH_KEYS = 3 }; /* progress of a direction */
enum { BANNER_MAX = 256, RECORD_HEADER = 6, KEX_MAX = 65535 };
enum { MESSAGE_KEXINIT = 20, MESSAGE_NEWKEYS = 21 };
enum { EV_INVALID_BANNER, EV_LONG_BANNER, EV_INVALID_RECORD, EV_LONG_KEX_RECORD, EV_COUNT };

static const char *const events[EV_COUNT] = {
    [EV_INVALID_BANNER] = "invalid_banner",
    [EV_LONG_BANNER] = "long_banner",
    [EV_INVALID_RECORD] = "invalid_record",
    [EV_LONG_KEX_RECORD] = "long_kex_record",
};

typedef struct ssh_side {
    reef_piece held;       /* a banner or a record that is not whole */
    uint32_t skip;         /* bytes of a record that nobody needs */
    bool waits_for_line;   /* the rest of a long banner is passed over */
    bool banner, keys;
    reef_view protocol, software, hassh, hassh_string; /* in the arena */
} ssh_side;

typedef struct ssh_state {
    ssh_side side[2];
    reef_arena arena;
    reef_transaction *transaction;
} ssh_state;

static reef_guess probe(const reef_probe *probe)
{
    static const uint8_t shape[] = "ssh-";
    uint32_t n = probe->bytes.length;
    for (uint32_t i = 0; i < 4 && i < n; i++)
        if ((probe->bytes.data[i] | (i < 3 ? 0x20 : 0)) != shape[i])
            return REEF_GUESS_NO;
    if (n < 4)
        return probe->end ? REEF_GUESS_NO : REEF_GUESS_MORE;
    return REEF_GUESS_YES;
}

/* --- banner ----------------------------------------------------------------------------------------------------- */

typedef enum taken { TAKEN, SHORT, WRONG } taken;

/* The length of the line and what ends it: \n, \r\n, or \r and something else. SHORT: it does not end yet. */
static taken find_line(reef_view bytes, uint32_t *line, uint32_t *used)
{
    uint32_t i = 0;
    while (i < bytes.length && bytes.data[i] != '\n' && bytes.data[i] != '\r')
        i++;
    if (i == bytes.length || (bytes.data[i] == '\r' && i + 1 == bytes.length))
        return SHORT;
    *line = i;
    *used = i + 1 + (bytes.data[i] == '\r' && bytes.data[i + 1] == '\n' ? 1u : 0u);
    return TAKEN;
}

static reef_view keep(ssh_state *state, const uint8_t *data, uint32_t length)
{
    uint8_t *copy = reef_arena_copy(&state->arena, data, length);
    return (reef_view){copy, copy != NULL ? length : 0};
}

/* "SSH-2.0-OpenSSH_9.6 a comment" */
static bool read_banner(ssh_state *state, ssh_side *side, reef_view line)
{
    if (line.length < 4 || memcmp(line.data, "SSH-", 4) != 0)
        return false;
    const uint8_t *protocol = line.data + 4, *end = line.data + line.length;
    const uint8_t *dash = memchr(protocol, '-', (size_t)(end - protocol));
    if (dash == NULL || dash == protocol)
        return false;
    const uint8_t *software = dash + 1, *space = software;
    while (space < end && *space != ' ' && *space != '\r' && *space != '\n')
        space++;
    if (space == software)
        space = end;
    side->protocol = keep(state, protocol, (uint32_t)(dash - protocol));
    if (space > software)
        side->software = keep(state, software, (uint32_t)(space - software));
    return true;
}

static taken take_banner(reef_call *call, int direction, reef_view bytes, uint32_t *used)
{
    ssh_state *state = call->session->state;
    ssh_side *side = &state->side[direction];
    uint32_t line = 0;
    if (find_line(bytes, &line, used) == SHORT) {
        if (side->waits_for_line) { /* a last \r stays: what follows tells whether the line ends there */
            *used = bytes.length - (bytes.data[bytes.length - 1] == '\r' ? 1u : 0u);
            return *used > 0 ? TAKEN : SHORT;
        }
        if (bytes.length <= BANNER_MAX) /* one more: the end of a line may be told by what follows it */
            return SHORT;
        line = *used = BANNER_MAX;
        side->waits_for_line = true;
    } else if (side->waits_for_line) {
        side->waits_for_line = false;
        side->banner = true;
        return TAKEN;
    } else if (line >= BANNER_MAX) { /* read as far as it would be if it came in pieces */
        line = *used = BANNER_MAX;
        side->waits_for_line = true;
    }
    if (!read_banner(state, side, (reef_view){bytes.data, line})) {
        reef_transaction_event(call, state->transaction, EV_INVALID_BANNER);
        return WRONG;
    }
    if (line >= BANNER_MAX)
        reef_transaction_event(call, state->transaction, EV_LONG_BANNER);
    side->banner = !side->waits_for_line;
    reef_transaction_progress(state->transaction, direction, SSH_BANNER);
    return TAKEN;
}

/* --- key exchange ------------------------------------------------------------------------------------------------- */

enum { KEX_LISTS = 10, KEX_ALGORITHMS = 0, KEX_CIPHERS = 2, KEX_MACS = 4, KEX_COMPRESSION = 6 };

static bool read_lists(reef_view m, reef_view lists[KEX_LISTS])
{
    uint32_t at = 16; /* cookie */
    for (unsigned i = 0; i < KEX_LISTS; i++) {
        if (m.length < at || m.length - at < 4)
            return false;
        uint32_t length = reef_be32(m.data + at);
        at += 4;
        if (length > m.length - at)
            return false;
        lists[i] = (reef_view){m.data + at, length};
        at += length;
    }
    return m.length - at >= 5; /* first_kex_packet_follows, reserved */
}

/* Lists of what this side sends with, joined by semicolons, and their MD5. */
static void make_hassh(ssh_state *state, int direction, reef_view kexinit)
{
    static const char figures[] = "0123456789abcdef";
    ssh_side *side = &state->side[direction];
    reef_view lists[KEX_LISTS];
    if (side->hassh.data != NULL || !read_lists(kexinit, lists))
        return;
    unsigned back = direction == REEF_TO_CLIENT; /* client to server, then server to client */
    reef_view parts[] = {lists[KEX_ALGORITHMS], lists[KEX_CIPHERS + back], lists[KEX_MACS + back],
                         lists[KEX_COMPRESSION + back]};
    uint32_t length = 3, at = 0;
    for (unsigned i = 0; i < 4; i++)
        length += parts[i].length;
    uint8_t *string = reef_arena_get(&state->arena, length);
    uint8_t *hash = reef_arena_get(&state->arena, 2 * (size_t)MD5_DIGEST_SIZE);
    if (string == NULL || hash == NULL)
        return;
    for (unsigned i = 0; i < 4; i++) {
        if (i > 0)
            string[at++] = ';';
        if (parts[i].length > 0)
            memcpy(string + at, parts[i].data, parts[i].length);
        at += parts[i].length;
    }
    struct md5_ctx md5;
    uint8_t digest[MD5_DIGEST_SIZE];
    md5_init(&md5);
    md5_update(&md5, length, string);
    md5_digest(&md5, sizeof digest, digest);
    for (unsigned i = 0; i < sizeof digest; i++) {
        hash[2 * i] = (uint8_t)figures[digest[i] >> 4];
        hash[2 * i + 1] = (uint8_t)figures[digest[i] & 15];
    }
    side->hassh_string = (reef_view){string, length};
    side->hassh = (reef_view){hash, 2 * MD5_DIGEST_SIZE};
}

/* --- records -------------------------------------------------------------------------------------------------------- */

static void new_keys(reef_call *call, int direction)
{
    ssh_state *state = call->session->state;
    state->side[direction].keys = true;
    reef_transaction_progress(state->transaction, direction, SSH_KEYS);
    if (state->side[!direction].keys) /* all is encrypted from here on */
        call->session->flags |= REEF_SESSION_NO_INSPECT | REEF_SESSION_NO_PARSE;
}

/* The record at the front of `bytes`: length (without itself), padding, message. Only KEXINIT has to be whole. */
static taken take_record(reef_call *call, int direction, reef_view bytes, uint32_t *used)
{
    ssh_state *state = call->session->state;
    ssh_side *side = &state->side[direction];
    const uint8_t *p = bytes.data;
    if (bytes.length < RECORD_HEADER)
        return SHORT;
    uint32_t length = reef_be32(p);
    if (length < 2) {
        reef_transaction_event(call, state->transaction, EV_INVALID_RECORD);
        return WRONG;
    }
    uint32_t body = length - 2, there = bytes.length - RECORD_HEADER;
    if (p[5] == MESSAGE_KEXINIT && body >= KEX_MAX && !side->keys) {
        reef_transaction_event(call, state->transaction, EV_LONG_KEX_RECORD);
    } else if (p[5] == MESSAGE_KEXINIT && !side->keys) {
        if (there < body)
            return SHORT;
        make_hassh(state, direction, (reef_view){p + RECORD_HEADER, body});
        reef_transaction_progress(state->transaction, direction, SSH_KEX);
    }
    *used = RECORD_HEADER + (body < there ? body : there);
    side->skip = body - (*used - RECORD_HEADER);
    if (p[5] == MESSAGE_NEWKEYS)
        new_keys(call, direction);
    return TAKEN;
}

/* As much of `bytes` as can be read. */
static taken take_all(reef_call *call, int direction, reef_view bytes, uint32_t *used)
{
    ssh_side *side = &((ssh_state *)call->session->state)->side[direction];
    *used = 0;
    while (*used < bytes.length && !(call->session->flags & REEF_SESSION_NO_PARSE)) {
        uint32_t n = bytes.length - *used;
        if (side->skip > 0) {
            uint32_t skipped = side->skip < n ? side->skip : n;
            side->skip -= skipped;
            *used += skipped;
            continue;
        }
        reef_view rest = {bytes.data + *used, n};
        taken answer = side->banner ? take_record(call, direction, rest, &n) : take_banner(call, direction, rest, &n);
        if (answer != TAKEN)
            return answer;
        *used += n;
    }
    return TAKEN;
}

static bool bytes(reef_call *call, int direction, const reef_chunk *chunk)
{
    ssh_state *state = call->session->state;
    reef_piece *held = &state->side[direction].held;
    uint32_t used;
    if (state->transaction == NULL) {
        if (call->session->transactions > 0)
            return false; /* all was said */
        reef_arena_init(&state->arena, call->memory);
        state->transaction = reef_transaction_new(call);
        if (state->transaction == NULL)
            return false;
    }
    if (held->length == 0) {
        taken answer = take_all(call, direction, chunk->bytes, &used);
        if (answer == SHORT)
            return reef_piece_add(call->memory, held, (reef_view){chunk->bytes.data + used, chunk->bytes.length - used});
        return answer == TAKEN;
    }
    if (!reef_piece_add(call->memory, held, chunk->bytes))
        return false;
    taken answer = take_all(call, direction, (reef_view){held->data, held->length}, &used);
    if (answer == WRONG)
        return false;
    reef_piece_drop(held, used);
    return true;
}

static void free_state(reef_memory *memory, reef_session *session)
{
    ssh_state *state = session->state;
    reef_piece_free(memory, &state->side[0].held);
    reef_piece_free(memory, &state->side[1].held);
    if (state->arena.memory != NULL)
        reef_arena_free(&state->arena);
}

static void free_transaction(reef_memory *memory, reef_session *session, reef_transaction *transaction)
{
    (void)memory;
    ssh_state *state = session->state;
    if (state->transaction == transaction)
        state->transaction = NULL;
}

/* --- answers ---------------------------------------------------------------------------------------------------------- */

static const reef_protocol_buffer buffers[] = {
    {REEF_BUFFER_SSH_PROTO, REEF_TO_SERVER, SSH_BANNER},
    {REEF_BUFFER_SSH_PROTO, REEF_TO_CLIENT, SSH_BANNER},
    {REEF_BUFFER_SSH_SOFTWARE, REEF_TO_SERVER, SSH_BANNER},
    {REEF_BUFFER_SSH_SOFTWARE, REEF_TO_CLIENT, SSH_BANNER},
    {REEF_BUFFER_SSH_HASSH, REEF_TO_SERVER, SSH_KEX},
    {REEF_BUFFER_SSH_HASSH_STRING, REEF_TO_SERVER, SSH_KEX},
    {REEF_BUFFER_SSH_HASSH_SERVER, REEF_TO_CLIENT, SSH_KEX},
    {REEF_BUFFER_SSH_HASSH_SERVER_STRING, REEF_TO_CLIENT, SSH_KEX},
};

static bool buffer(const reef_session *session, const reef_transaction *transaction, int direction, unsigned kind,
                   unsigned index, reef_buffer *out)
{
    (void)transaction;
    const ssh_side *side = &((const ssh_state *)session->state)->side[direction];
    reef_view v = {NULL, 0};
    switch (kind) {
    case REEF_BUFFER_SSH_PROTO:
        v = side->protocol;
        break;
    case REEF_BUFFER_SSH_SOFTWARE:
        v = side->software;
        break;
    case REEF_BUFFER_SSH_HASSH:
    case REEF_BUFFER_SSH_HASSH_SERVER:
        v = side->hassh;
        break;
    case REEF_BUFFER_SSH_HASSH_STRING:
    case REEF_BUFFER_SSH_HASSH_SERVER_STRING:
        v = side->hassh_string;
        break;
    default:
        break;
    }
    *out = (reef_buffer){.bytes = v, .end = true};
    return index == 0 && v.data != NULL;
}

static void write_side(reef_json *json, const char *key, const ssh_side *side)
{
    if (side->protocol.length == 0)
        return;
    reef_json_open(json, key, '{');
    reef_json_bytes(json, "proto_version", side->protocol.data, side->protocol.length, BANNER_MAX);
    if (side->software.length > 0)
        reef_json_bytes(json, "software_version", side->software.data, side->software.length, BANNER_MAX);
    if (side->hassh.data != NULL) {
        reef_json_open(json, "hassh", '{');
        reef_json_bytes(json, "hash", side->hassh.data, side->hassh.length, 2 * BANNER_MAX);
        reef_json_bytes(json, "string", side->hassh_string.data, side->hassh_string.length, 4096);
        reef_json_close(json, '}');
    }
    reef_json_close(json, '}');
}

static bool write(const reef_session *session, const reef_transaction *transaction, reef_log which, reef_json *json)
{
    (void)transaction;
    (void)which;
    const ssh_state *state = session->state;
    if (state->side[0].protocol.length == 0 && state->side[1].protocol.length == 0)
        return false;
    write_side(json, "client", &state->side[REEF_TO_SERVER]);
    write_side(json, "server", &state->side[REEF_TO_CLIENT]);
    return true;
}

const reef_protocol reef_protocol_ssh = {
    .name = "ssh",
    .event_type = "ssh",
    .transport = REEF_PROTO_TCP,
    .complete = {SSH_KEYS, SSH_KEYS},
    .logged = {SSH_KEX, SSH_KEX},
    .state_size = sizeof(ssh_state),
    .transaction_size = sizeof(reef_transaction),
    .probe = probe,
    .bytes = bytes,
    .free_state = free_state,
    .free_transaction = free_transaction,
    .buffers = buffers,
    .buffers_count = sizeof buffers / sizeof buffers[0],
    .buffer = buffer,
    .events = events,
    .events_count = EV_COUNT,
    .write = write,
};
