/* QUIC: who is asked for, with what. Initial packets are protected with keys that everybody can make (RFC 9001 5.2); what
 * follows the hellos is not read. One transaction for each packet with a long header until then. */
#include <string.h>

#include "piece.h"
#include "quic_internal.h"
#include "reef/bytes.h"
#include "tls_hello.h"

enum { EV_FAILED_DECRYPT, EV_ERROR_ON_DATA, EV_ERROR_ON_HEADER, EV_CRYPTO_FRAG_TOO_LONG, EV_COUNT };
enum { CRYPTO_MAX = 65535, TAGS_MAX = 64, CYU_MAX = 4 };

static const char *const events[EV_COUNT] = {
    [EV_FAILED_DECRYPT] = "failed_decrypt",
    [EV_ERROR_ON_DATA] = "error_on_data",
    [EV_ERROR_ON_HEADER] = "error_on_header",
    [EV_CRYPTO_FRAG_TOO_LONG] = "crypto_frag_too_long",
};

typedef struct quic_transaction {
    reef_transaction head;
    uint8_t direction;
    bool is_long;
    uint32_t version;
    uint8_t version_bytes[4];
    reef_view sni, agent, ja3, ja3_hash, ja4;
    reef_view cyu[CYU_MAX], cyu_hash[CYU_MAX];
    uint32_t cyus;
} quic_transaction;

typedef struct quic_state {
    quic_keys *keys; /* of both directions, or NULL */
    bool retried;
    struct {
        bool hello;
        reef_piece crypto; /* of the handshake, from its first byte; what is missing is zero */
        uint32_t known;    /* bytes of it that came */
    } side[2];
} quic_state;

static reef_guess probe(const reef_probe *probe)
{
    quic_header header;
    bool port = probe->server_port == 443 || probe->server_port == 80 || probe->client_port == 443 || probe->client_port == 80;
    return port && quic_read_header(probe->bytes, &header) ? REEF_GUESS_YES : REEF_GUESS_NO;
}

static quic_transaction *begin(reef_call *call, int direction, const quic_header *header)
{
    quic_transaction *quic = (quic_transaction *)reef_transaction_new(call);
    if (quic == NULL)
        return NULL;
    quic->direction = (uint8_t)direction;
    quic->is_long = header->is_long;
    quic->version = header->version;
    for (unsigned i = 0; i < 4; i++)
        quic->version_bytes[i] = (uint8_t)(header->version >> (24 - 8 * i));
    reef_transaction_progress(&quic->head, direction, 1);
    quic->head.progress[!direction] = 1;
    quic->head.told[!direction] = true;
    return quic;
}

/* --- hello ------------------------------------------------------------------------------------------------------ */

static reef_view keep(quic_transaction *quic, reef_view v)
{
    uint8_t *copy = v.length > 0 ? reef_arena_copy(&quic->head.arena, v.data, v.length) : NULL;
    return (reef_view){copy, copy != NULL ? v.length : 0};
}

static void take_hello(quic_transaction *quic, uint8_t type, reef_view message)
{
    reef_tls_hello hello;
    bool server = type == 2;
    reef_tls_hello_read(message, server, false, &hello);
    quic->sni = keep(quic, hello.sni);
    if (!hello.whole || !reef_ja3_string(&hello, server, true, &quic->head.arena, &quic->ja3))
        return;
    (void)reef_md5_text(quic->ja3, &quic->head.arena, &quic->ja3_hash);
    if (!server)
        (void)reef_ja4(&hello, 'q', &quic->head.arena, &quic->ja4);
}

/* Bytes of the handshake. True when its first message is whole. */
static bool take_crypto(reef_call *call, quic_transaction *quic, int direction, uint64_t offset, reef_view data)
{
    static const uint8_t zeros[1024];
    quic_state *state = call->session->state;
    reef_piece *crypto = &state->side[direction].crypto;
    if (offset + data.length >= CRYPTO_MAX) {
        reef_transaction_event(call, &quic->head, EV_CRYPTO_FRAG_TOO_LONG);
        return false;
    }
    while (crypto->length < offset) {
        uint32_t missing = (uint32_t)offset - crypto->length;
        if (!reef_piece_add(call->memory, crypto, (reef_view){zeros, missing < sizeof zeros ? missing : sizeof zeros}))
            return false;
    }
    uint32_t there = crypto->length - (uint32_t)offset, over = data.length < there ? data.length : there;
    if (over > 0)
        memcpy(crypto->data + offset, data.data, over);
    if (!reef_piece_add(call->memory, crypto, (reef_view){data.data + over, data.length - over}))
        return false;
    state->side[direction].known += data.length;
    if (state->side[direction].known < crypto->length || crypto->length < 4)
        return false;
    uint32_t length = reef_be24(crypto->data + 1);
    if (length > crypto->length - 4)
        return false;
    if (crypto->data[0] == 1 || crypto->data[0] == 2) {
        take_hello(quic, crypto->data[0], (reef_view){crypto->data + 4, length});
        state->side[direction].hello = true;
    }
    reef_piece_free(call->memory, crypto);
    return true;
}

/* --- Google's hello: tags (CHLO) and where their values end --------------------------------------------------------- */

static bool is_known_tag(uint32_t tag)
{
    static const uint32_t known[] = {
        0x41454144, 0x43435254, 0x43435300, 0x43455456, 0x43464357, 0x43484c4f, 0x434f5054, 0x43534354, 0x4354494d, 0x4943534c,
        0x49525454, 0x4b455853, 0x4d494453, 0x4d535043, 0x4e4f4e43, 0x4e4f4e50, 0x50414400, 0x50444d44, 0x50554253, 0x53434944,
        0x53434c53, 0x53464357, 0x534d484c, 0x534e4900, 0x534e4f00, 0x53544b00, 0x54434944, 0x55414944, 0x56455200, 0x584c4354};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i] == tag)
            return true;
    return false;
}

enum { TAG_SNI = 0x534e4900, TAG_UAID = 0x55414944 };

static void add_cyu(quic_transaction *quic, const uint8_t *text, uint32_t length)
{
    if (quic->cyus == CYU_MAX)
        return;
    reef_view string = keep(quic, (reef_view){text, length});
    if (string.data == NULL || !reef_md5_text(string, &quic->head.arena, &quic->cyu_hash[quic->cyus]))
        return;
    quic->cyu[quic->cyus++] = string;
}

static void take_tags(quic_transaction *quic, reef_view data)
{
    uint8_t text[8 + 5 * TAGS_MAX];
    uint32_t used = 0, before = 0;
    if (data.length < 8 || !is_known_tag(reef_be32(data.data)))
        return;
    uint32_t count = reef_u16(data.data + 4), values = 8 + 8 * count;
    if (count > TAGS_MAX || values > data.length)
        return;
    reef_view sni = {NULL, 0}, agent = {NULL, 0};
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *p = data.data + 8 + 8 * (size_t)i;
        uint32_t tag = reef_be32(p), end = reef_u32(p + 4);
        if (!is_known_tag(tag) || end < before || end > data.length - values)
            return;
        reef_view value = {data.data + values + before, end - before};
        if (tag == TAG_SNI)
            sni = value;
        if (tag == TAG_UAID)
            agent = value;
        if (i > 0)
            text[used++] = '-';
        for (unsigned k = 0; k < 4 && p[k] != 0; k++)
            text[used++] = p[k];
        before = end;
    }
    if (values + before != data.length)
        return;
    quic->sni = keep(quic, sni);
    quic->agent = keep(quic, agent);
    if (quic_is_google(quic->version) && quic->version != QUIC_Q045) {
        memmove(text + 3, text, used);
        memcpy(text, quic->version == QUIC_Q046 ? "46," : quic->version == QUIC_Q044 ? "44," : "43,", 3);
        add_cyu(quic, text, used + 3);
    }
}

/* --- frames ------------------------------------------------------------------------------------------------------------ */

static bool skip(reef_view *from, uint64_t n, reef_view *out)
{
    if (n > from->length)
        return false;
    *out = (reef_view){from->data, (uint32_t)n};
    from->data += n;
    from->length -= (uint32_t)n;
    return true;
}

static bool skip_ack(reef_view *rest, bool ecn)
{
    uint64_t largest, delay, ranges, number;
    if (!quic_take_number(rest, &largest) || !quic_take_number(rest, &delay) || !quic_take_number(rest, &ranges) ||
        !quic_take_number(rest, &number))
        return false;
    for (uint64_t i = 0; i < 2 * (ranges < 65536 ? ranges : 65536) + (ecn ? 3 : 0); i++)
        if (!quic_take_number(rest, &number))
            return false;
    return true;
}

/* Google's stream frame: 1FDOOOSS. */
static bool take_stream(quic_transaction *quic, uint8_t type, reef_view *rest)
{
    reef_view v, data;
    uint32_t offset = (type & 0x1c) >> 2, length;
    if (!skip(rest, 1u + (type & 3), &v) || !skip(rest, offset != 0 ? offset + 1 : 0, &v))
        return false;
    length = rest->length;
    if (type & 0x20) {
        if (!skip(rest, 2, &v))
            return false;
        length = reef_be16(v.data);
    }
    if (!skip(rest, length, &data))
        return false;
    take_tags(quic, data);
    return true;
}

/* False: what is there is not frames. */
static bool take_frames(reef_call *call, quic_transaction *quic, int direction, reef_view rest)
{
    while (rest.length > 0) {
        reef_view v, data;
        uint64_t offset, length;
        skip(&rest, 1, &v);
        uint8_t type = v.data[0];
        if (type & 0x80) {
            if (!take_stream(quic, type, &rest))
                return false;
            continue;
        }
        switch (type) {
        case 0: /* padding */
        case 1: /* ping */
            break;
        case 2:
        case 3:
            if (!skip_ack(&rest, type == 3))
                return false;
            break;
        case 6: /* crypto */
        case 8: /* Google's crypto stream */
            if (!quic_take_number(&rest, &offset) || !quic_take_number(&rest, &length) || !skip(&rest, length, &data))
                return false;
            if (type == 8)
                take_tags(quic, data);
            else if (offset <= CRYPTO_MAX)
                (void)take_crypto(call, quic, direction, offset, data);
            break;
        default:
            return true; /* nothing that is known is behind it */
        }
    }
    return true;
}

/* --- packets --------------------------------------------------------------------------------------------------------------- */

static void drop_keys(reef_call *call, quic_state *state)
{
    reef_memory_give(call->memory, state->keys, 2 * sizeof *state->keys);
    state->keys = NULL;
}

static void make_keys(reef_call *call, quic_state *state, const quic_header *header)
{
    state->keys = reef_memory_get(call->memory, 2 * sizeof *state->keys);
    if (state->keys != NULL && !quic_initial_keys(header->version, header->destination, state->keys))
        drop_keys(call, state);
}

static bool take_initial(reef_call *call, int direction, reef_view bytes, const quic_header *header)
{
    quic_state *state = call->session->state;
    reef_view frames = {bytes.data + header->at, header->length};
    uint8_t *plain = NULL;
    quic_transaction *quic = begin(call, direction, header);
    if (quic == NULL)
        return false;
    if (state->keys != NULL && header->length > 0) {
        plain = reef_memory_get_raw(call->memory, header->length);
        frames.length = plain != NULL ? quic_decrypt(&state->keys[direction], bytes, header, plain) : 0;
        frames.data = plain;
        if (frames.length == 0) {
            reef_memory_give(call->memory, plain, header->length);
            reef_transaction_event(call, &quic->head, EV_FAILED_DECRYPT);
            return false;
        }
    }
    bool sound = take_frames(call, quic, direction, frames);
    reef_memory_give(call->memory, plain, header->length);
    if (!sound)
        reef_transaction_event(call, &quic->head, EV_ERROR_ON_DATA);
    return sound;
}

static bool bytes(reef_call *call, int direction, const reef_chunk *chunk)
{
    quic_state *state = call->session->state;
    reef_view rest = chunk->bytes;
    while (rest.length > 0 && !state->side[direction].hello) {
        quic_header header;
        if (!quic_read_header(rest, &header))
            return false;
        if (header.type == QUIC_SHORT)
            return true;
        if (state->keys == NULL && header.type == QUIC_INITIAL) {
            make_keys(call, state, &header);
        } else if (direction == REEF_TO_CLIENT && state->keys != NULL && header.type == QUIC_RETRY && !state->retried) {
            state->side[REEF_TO_SERVER].hello = false; /* the client begins anew, with other keys */
            drop_keys(call, state);
            state->retried = true;
        }
        if (header.type != QUIC_INITIAL)
            (void)begin(call, direction, &header);
        else if (!take_initial(call, direction, rest, &header))
            return false;
        rest.data += header.at + header.length;
        rest.length -= header.at + header.length;
    }
    return true;
}

static void free_state(reef_memory *memory, reef_session *session)
{
    quic_state *state = session->state;
    reef_memory_give(memory, state->keys, 2 * sizeof *state->keys);
    reef_piece_free(memory, &state->side[0].crypto);
    reef_piece_free(memory, &state->side[1].crypto);
}

/* --- answers ------------------------------------------------------------------------------------------------------------------ */

static const reef_protocol_buffer buffers[] = {
    {REEF_BUFFER_QUIC_VERSION, REEF_TO_SERVER, 1},  {REEF_BUFFER_QUIC_VERSION, REEF_TO_CLIENT, 1},
    {REEF_BUFFER_QUIC_SNI, REEF_TO_SERVER, 1},      {REEF_BUFFER_QUIC_UA, REEF_TO_SERVER, 1},
    {REEF_BUFFER_QUIC_CYU_HASH, REEF_TO_SERVER, 1}, {REEF_BUFFER_QUIC_CYU_STRING, REEF_TO_SERVER, 1},
    {REEF_BUFFER_JA3_HASH, REEF_TO_SERVER, 1},      {REEF_BUFFER_JA3_STRING, REEF_TO_SERVER, 1},
    {REEF_BUFFER_JA4_HASH, REEF_TO_SERVER, 1},      {REEF_BUFFER_JA3S_HASH, REEF_TO_CLIENT, 1},
    {REEF_BUFFER_JA3S_STRING, REEF_TO_CLIENT, 1},
};

static bool buffer(const reef_session *session, const reef_transaction *transaction, int direction, unsigned kind,
                   unsigned index, reef_buffer *out)
{
    (void)session;
    const quic_transaction *quic = (const quic_transaction *)transaction;
    reef_view v = {NULL, 0};
    bool multi = kind == REEF_BUFFER_QUIC_CYU_HASH || kind == REEF_BUFFER_QUIC_CYU_STRING;
    if (direction != quic->direction || index >= (multi ? quic->cyus : 1))
        return false;
    switch (kind) {
    case REEF_BUFFER_QUIC_VERSION:
        if (quic->is_long)
            v = (reef_view){quic->version_bytes, 4};
        break;
    case REEF_BUFFER_QUIC_SNI:
        v = quic->sni;
        break;
    case REEF_BUFFER_QUIC_UA:
        v = quic->agent;
        break;
    case REEF_BUFFER_QUIC_CYU_HASH:
        v = quic->cyu_hash[index];
        break;
    case REEF_BUFFER_QUIC_CYU_STRING:
        v = quic->cyu[index];
        break;
    case REEF_BUFFER_JA3_HASH:
    case REEF_BUFFER_JA3S_HASH:
        v = quic->ja3_hash;
        break;
    case REEF_BUFFER_JA3_STRING:
    case REEF_BUFFER_JA3S_STRING:
        v = quic->ja3;
        break;
    case REEF_BUFFER_JA4_HASH:
        v = quic->ja4;
        break;
    default:
        break;
    }
    *out = (reef_buffer){.bytes = v, .end = true};
    return v.data != NULL;
}

static void write_view(reef_json *json, const char *key, reef_view v)
{
    if (v.length > 0)
        reef_json_bytes(json, key, v.data, v.length, 2048);
}

static void write_version(reef_json *json, uint32_t version)
{
    static const char figures[] = "0123456789abcdef";
    char text[12];
    unsigned used = 0;
    if (version >> 8 == 0x513034 || version == 0x51303339) {
        for (unsigned i = 0; i < 4; i++)
            text[used++] = (char)(version >> (24 - 8 * i));
    } else if (version == QUIC_V2) {
        text[used++] = 'v';
        text[used++] = '2';
    } else {
        for (int shift = 28; shift >= 0; shift -= 4)
            if (used > 0 || version >> shift != 0 || shift == 0)
                text[used++] = figures[version >> shift & 15];
    }
    text[used] = '\0';
    reef_json_text(json, "version", text);
}

static bool write(const reef_session *session, const reef_transaction *transaction, reef_log which, reef_json *json)
{
    (void)session;
    (void)which;
    const quic_transaction *quic = (const quic_transaction *)transaction;
    write_version(json, quic->version);
    write_view(json, "sni", quic->sni);
    write_view(json, "ua", quic->agent);
    if (quic->cyus > 0) {
        reef_json_open(json, "cyu", '[');
        for (uint32_t i = 0; i < quic->cyus; i++) {
            reef_json_open(json, NULL, '{');
            write_view(json, "hash", quic->cyu_hash[i]);
            write_view(json, "string", quic->cyu[i]);
            reef_json_close(json, '}');
        }
        reef_json_close(json, ']');
    }
    if (quic->ja3.length > 0) {
        reef_json_open(json, quic->direction == REEF_TO_SERVER ? "ja3" : "ja3s", '{');
        write_view(json, "hash", quic->ja3_hash);
        write_view(json, "string", quic->ja3);
        reef_json_close(json, '}');
    }
    write_view(json, "ja4", quic->ja4);
    return true;
}

const reef_protocol reef_protocol_quic = {
    .name = "quic",
    .event_type = "quic",
    .transport = REEF_PROTO_UDP,
    .complete = {1, 1},
    .state_size = sizeof(quic_state),
    .transaction_size = sizeof(quic_transaction),
    .probe = probe,
    .bytes = bytes,
    .free_state = free_state,
    .buffers = buffers,
    .buffers_count = sizeof buffers / sizeof buffers[0],
    .buffer = buffer,
    .events = events,
    .events_count = EV_COUNT,
    .write = write,
};
