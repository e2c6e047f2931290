/* HTTP/2 (RFC 9113) as a protocol of sessions: frames, streams as transactions, header blocks. */
#include "http2_internal.h"

#include <string.h>

#include "reef/bytes.h"

static const char magic[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
enum { MAGIC = sizeof magic - 1, FRAME_HEAD = 9, END_STREAM = 0x01, END_HEADERS = 0x04, PADDED = 0x08, WITH_PRIORITY = 0x20 };

static const char *const event_names[HTTP2_EVENTS] = {
    "invalid_frame_header", "invalid_client_magic", "invalid_frame_data", "invalid_header", "invalid_frame_length",
    "extra_header_data", "long_frame_data", "stream_id_reuse", "invalid_http1_settings", "failed_decompression", "invalid_range",
    "header_integer_overflow", "too_many_streams", "authority_host_mismatch", "userinfo_in_uri", "reassembly_limit_reached",
};

typedef struct frame {
    uint32_t length, stream;
    uint8_t type, flags;
    const uint8_t *data;
} frame;

void http2_tell(reef_call *call, http2_tx *tx, http2_event event)
{
    reef_transaction_event(call, tx != NULL ? &tx->base : NULL, event);
}

/* --- probe ------------------------------------------------------------------------------------------------- */

/* A server begins with its settings. */
static reef_guess probe_server(reef_view bytes)
{
    static const uint8_t rest[] = {0, 0, 0, 0}; /* the connection itself */
    uint32_t length = bytes.length < FRAME_HEAD ? bytes.length : FRAME_HEAD;
    for (uint32_t i = 0; i < length; i++)
        if ((i == 0 && bytes.data[i] != 0) || (i == 1 && bytes.data[i] > 0x40) || (i == 3 && bytes.data[i] != HTTP2_SETTINGS) ||
            (i == 4 && bytes.data[i] > 1) || (i > 4 && bytes.data[i] != rest[i - 5]))
            return REEF_GUESS_NO;
    if (length < FRAME_HEAD)
        return REEF_GUESS_MORE;
    return reef_be24(bytes.data) % 6 == 0 ? REEF_GUESS_YES : REEF_GUESS_NO;
}

static reef_guess probe(const reef_probe *probe)
{
    if (probe->bytes.length == 0)
        return REEF_GUESS_MORE;
    if (probe->direction != REEF_TO_SERVER)
        return probe_server(probe->bytes);
    uint32_t length = probe->bytes.length < MAGIC ? probe->bytes.length : MAGIC;
    if (memcmp(probe->bytes.data, magic, length) != 0)
        return REEF_GUESS_NO;
    return length == MAGIC ? REEF_GUESS_YES : REEF_GUESS_MORE;
}

/* --- memory of nghttp2 --------------------------------------------------------------------------------------- */

static void *get(size_t size, void *memory)
{
    size_t *piece = size > SIZE_MAX - 16 ? NULL : reef_memory_get_raw(memory, size + 16);
    if (piece == NULL)
        return NULL;
    *piece = size + 16;
    return (uint8_t *)piece + 16;
}

static void give(void *data, void *memory)
{
    if (data == NULL)
        return;
    size_t *piece = (size_t *)((uint8_t *)data - 16);
    reef_memory_give(memory, piece, *piece);
}

static void *get_zeroed(size_t count, size_t size, void *memory)
{
    void *data = size != 0 && count > SIZE_MAX / size ? NULL : get(count * size, memory);
    if (data != NULL)
        memset(data, 0, count * size);
    return data;
}

static void *resize(void *data, size_t size, void *memory)
{
    if (data == NULL)
        return get(size, memory);
    size_t *piece = (size_t *)((uint8_t *)data - 16);
    size_t *fresh = size > SIZE_MAX - 16 ? NULL : reef_memory_resize(memory, piece, *piece, size + 16);
    if (fresh == NULL)
        return NULL;
    *fresh = size + 16;
    return (uint8_t *)fresh + 16;
}

/* --- transactions ---------------------------------------------------------------------------------------------- */

static http2_tx *find(reef_call *call, uint32_t stream)
{
    for (reef_transaction *t = call->session->first; t != NULL; t = t->next)
        if (((http2_tx *)t)->stream == stream)
            return (http2_tx *)t;
    return NULL;
}

/* A stream's transaction; frames of the connection itself have one each. */
static http2_tx *transaction_of(reef_call *call, uint32_t stream)
{
    http2_tx *tx = stream != 0 ? find(call, stream) : NULL;
    if (tx != NULL)
        return tx;
    tx = (http2_tx *)reef_transaction_new(call);
    if (tx == NULL) {
        http2_tell(call, NULL, HTTP2_EVENT_TOO_MANY_STREAMS);
        return NULL;
    }
    tx->stream = stream;
    return tx;
}

static void complete(reef_call *call, http2_tx *tx, int direction, reef_tx_file_state state)
{
    if (tx->message[direction].ended)
        return;
    tx->message[direction].ended = true;
    http2_body_end(call, tx, direction, state);
    reef_transaction_progress(&tx->base, direction, HTTP2_COMPLETE);
}

/* --- header blocks ----------------------------------------------------------------------------------------------- */

static bool add_field(http2_tx *tx, http2_message *message, const nghttp2_nv *nv)
{
    if (message->count >= REEF_HTTP2_FIELDS_MAX)
        return false;
    if (message->count == message->capacity) {
        uint16_t capacity = message->capacity == 0 ? 16 : (uint16_t)(2 * message->capacity);
        http2_field *list = reef_arena_get(&tx->base.arena, capacity * sizeof *list);
        if (list == NULL)
            return false;
        if (message->count > 0)
            memcpy(list, message->list, message->count * sizeof *list);
        message->list = list;
        message->capacity = capacity;
    }
    const uint8_t *name = reef_arena_copy(&tx->base.arena, nv->name, nv->namelen);
    const uint8_t *value = reef_arena_copy(&tx->base.arena, nv->value, nv->valuelen);
    if (name == NULL || value == NULL)
        return false;
    message->list[message->count++] = (http2_field){{name, (uint32_t)nv->namelen}, {value, (uint32_t)nv->valuelen}};
    return true;
}

static void check_host(reef_call *call, http2_tx *tx)
{
    const http2_message *request = &tx->message[REEF_TO_SERVER];
    reef_view authority, host;
    if (!http2_field_get(request, ":authority", &authority))
        return;
    if (memchr(authority.data, '@', authority.length) != NULL)
        http2_tell(call, tx, HTTP2_EVENT_USERINFO_IN_URI);
    if (http2_field_get(request, "host", &host) &&
        (host.length != authority.length || memcmp(host.data, authority.data, host.length) != 0))
        http2_tell(call, tx, HTTP2_EVENT_AUTHORITY_HOST_MISMATCH);
}

static bool open_fields(http2_connection *connection, http2_side *side)
{
    if (side->fields != NULL)
        return true;
    side->table = NGHTTP2_DEFAULT_HEADER_TABLE_SIZE;
    return nghttp2_hd_inflate_new2(&side->fields, &connection->memory) == 0;
}

/* A piece of a header block. False: the rest of the connection cannot be read. */
static bool read_fields(reef_call *call, http2_tx *tx, int direction, const uint8_t *data, uint32_t length, bool last)
{
    http2_connection *connection = call->session->state;
    http2_side *side = &connection->side[direction];
    if (!open_fields(connection, side))
        return false;
    for (;;) {
        nghttp2_nv nv;
        int flags = 0;
        ssize_t used = nghttp2_hd_inflate_hd2(side->fields, &nv, &flags, data, length, last);
        if (used < 0) {
            http2_tell(call, tx, HTTP2_EVENT_INVALID_HEADER);
            return false;
        }
        data += used;
        length -= (uint32_t)used;
        if (flags & NGHTTP2_HD_INFLATE_EMIT && tx != NULL)
            (void)add_field(tx, &tx->message[direction], &nv);
        if (flags & NGHTTP2_HD_INFLATE_FINAL) {
            nghttp2_hd_inflate_end_headers(side->fields);
            return true;
        }
        if (!(flags & NGHTTP2_HD_INFLATE_EMIT) && length == 0)
            return true;
    }
}

static void block_over(reef_call *call, http2_tx *tx, int direction, uint8_t flags)
{
    if (tx == NULL)
        return;
    if (direction == REEF_TO_SERVER)
        check_host(call, tx);
    reef_transaction_progress(&tx->base, direction, HTTP2_HEADERS);
    if (flags & END_STREAM)
        complete(call, tx, direction, REEF_TX_FILE_CLOSED);
}

/* Without padding; false: it is longer than the frame. */
static bool strip(frame *f)
{
    if (!(f->flags & PADDED))
        return true;
    if (f->length == 0 || f->data[0] >= f->length)
        return false;
    uint32_t padding = f->data[0];
    f->data++;
    f->length -= 1 + padding;
    return true;
}

static bool fields_frame(reef_call *call, http2_tx *tx, int direction, frame *f)
{
    http2_connection *connection = call->session->state;
    http2_side *side = &connection->side[direction];
    uint32_t skip = f->type == HTTP2_PUSH_PROMISE ? 4 : f->type == HTTP2_FIELDS && f->flags & WITH_PRIORITY ? 5 : 0;
    if ((f->type != HTTP2_CONTINUATION && !strip(f)) || f->length < skip) {
        http2_tell(call, tx, HTTP2_EVENT_INVALID_FRAME_DATA);
        return false;
    }
    if (skip == 5 && tx != NULL) {
        tx->message[direction].has_priority = true;
        tx->message[direction].priority = f->data[4];
    }
    bool last = f->flags & END_HEADERS;
    if (f->type != HTTP2_CONTINUATION)
        side->block_flags = f->flags;
    if (!read_fields(call, tx, direction, f->data + skip, f->length - skip, last))
        return false;
    side->block_stream = last ? 0 : f->stream;
    if (last && f->type != HTTP2_PUSH_PROMISE)
        block_over(call, tx, direction, side->block_flags);
    return true;
}

/* --- other frames ------------------------------------------------------------------------------------------------- */

/* How large a table the other side may use for its fields; never made smaller, as its blocks may be on their way. */
static void resize_table(reef_call *call, int direction, uint32_t size)
{
    http2_connection *connection = call->session->state;
    http2_side *other = &connection->side[1 - direction];
    if (size > REEF_HTTP2_TABLE_MAX)
        size = REEF_HTTP2_TABLE_MAX;
    if (size > other->table && open_fields(connection, other) &&
        nghttp2_hd_inflate_change_table_size(other->fields, size) == 0)
        other->table = size;
}

static void settings_frame(reef_call *call, http2_tx *tx, int direction, const frame *f)
{
    http2_message *message = &tx->message[direction];
    if (f->length % 6 != 0)
        http2_tell(call, tx, HTTP2_EVENT_INVALID_FRAME_DATA);
    for (uint32_t at = 0; at + 6 <= f->length; at += 6) {
        uint16_t id = reef_be16(f->data + at);
        if (id == 0 || id > REEF_HTTP2_SETTINGS_MAX)
            continue;
        message->setting[id] = reef_be32(f->data + at + 2);
        message->settings |= (uint8_t)(1u << id);
        if (id == 1)
            resize_table(call, direction, message->setting[id]);
    }
}

static void control_frame(reef_call *call, http2_tx *tx, int direction, const frame *f)
{
    http2_message *message = &tx->message[direction];
    switch (f->type) {
    case HTTP2_SETTINGS:
        settings_frame(call, tx, direction, f);
        break;
    case HTTP2_PRIORITY:
        message->has_priority = f->length >= 5;
        message->priority = f->length >= 5 ? f->data[4] : 0;
        break;
    case HTTP2_RST_STREAM:
    case HTTP2_GOAWAY: {
        uint32_t at = f->type == HTTP2_GOAWAY ? 4 : 0;
        message->has_error = f->length >= at + 4;
        message->error = message->has_error ? reef_be32(f->data + at) : 0;
        break;
    }
    case HTTP2_WINDOW_UPDATE:
        message->has_window = f->length >= 4;
        message->window = message->has_window ? reef_be32(f->data) & 0x7fffffffu : 0;
        break;
    default:
        break;
    }
}

/* A whole frame that is not DATA. False: the connection cannot be followed further. */
static bool whole_frame(reef_call *call, int direction, frame *f)
{
    http2_connection *connection = call->session->state;
    bool fields = f->type == HTTP2_FIELDS || f->type == HTTP2_CONTINUATION || f->type == HTTP2_PUSH_PROMISE;
    if (f->type == HTTP2_CONTINUATION && connection->side[direction].block_stream != f->stream)
        return true;
    if (f->type >= HTTP2_FRAME_TYPES)
        return true;
    http2_tx *tx = transaction_of(call, f->stream);
    if (tx != NULL) {
        tx->message[direction].types |= (uint16_t)(1u << f->type);
        tx->base.updated[direction] = true;
        reef_transaction_progress(&tx->base, direction, HTTP2_OPEN);
    }
    if (fields)
        return fields_frame(call, tx, direction, f);
    if (tx == NULL)
        return true;
    control_frame(call, tx, direction, f);
    if (f->type == HTTP2_RST_STREAM || f->stream == 0)
        for (int d = 0; d < 2; d++)
            complete(call, tx, d, REEF_TX_FILE_TRUNCATED);
    return true;
}

/* --- bytes -------------------------------------------------------------------------------------------------------------- */

static void data_over(reef_call *call, http2_side *side, int direction)
{
    http2_tx *tx = find(call, side->data_stream);
    if (tx != NULL && side->data_flags & END_STREAM)
        complete(call, tx, direction, REEF_TX_FILE_CLOSED);
    side->data_stream = 0;
}

static uint32_t read_data(reef_call *call, http2_side *side, int direction, const uint8_t *data, uint32_t length)
{
    if (side->data_flags & PADDED) {
        side->data_flags &= (uint8_t)~PADDED;
        side->data_left--;
        side->data_padding = data[0] < side->data_left ? data[0] : side->data_left;
        side->data_left -= side->data_padding;
        side->pass = side->data_left == 0 ? side->data_padding : 0;
        if (side->data_left == 0)
            data_over(call, side, direction);
        return 1;
    }
    uint32_t take = length < side->data_left ? length : side->data_left;
    http2_tx *tx = find(call, side->data_stream);
    if (tx != NULL && take > 0)
        http2_body_bytes(call, tx, direction, (reef_view){data, take});
    side->data_left -= take;
    if (side->data_left == 0) {
        data_over(call, side, direction);
        side->pass = side->data_padding;
    }
    return take;
}

static void begin_data(reef_call *call, http2_side *side, int direction, const frame *f)
{
    http2_tx *tx = transaction_of(call, f->stream);
    if (tx != NULL)
        tx->message[direction].types |= 1u << HTTP2_DATA;
    side->data_left = f->length;
    side->data_stream = f->stream;
    side->data_flags = f->flags;
    side->data_padding = 0;
    if (f->length == 0)
        data_over(call, side, direction);
}

/* Takes what it can of bytes that lie in one piece; `*used` of them. False as above. */
static bool read_frames(reef_call *call, int direction, const uint8_t *data, uint32_t length, uint32_t *used)
{
    http2_connection *connection = call->session->state;
    http2_side *side = &connection->side[direction];
    uint32_t at = 0;
    for (;;) {
        if (side->pass > 0) {
            uint32_t take = length - at < side->pass ? length - at : side->pass;
            at += take;
            side->pass -= take;
        }
        *used = at;
        if (side->data_left > 0) {
            if (at == length)
                return true;
            at += read_data(call, side, direction, data + at, length - at);
            continue;
        }
        if (side->pass > 0 || length - at < FRAME_HEAD)
            return true;
        frame f = {reef_be24(data + at), reef_be32(data + at + 5) & 0x7fffffffu, data[at + 3], data[at + 4], data + at + FRAME_HEAD};
        if (f.type == HTTP2_DATA) {
            begin_data(call, side, direction, &f);
            at += FRAME_HEAD;
            continue;
        }
        if (f.length > REEF_HTTP2_FRAME_MAX) {
            http2_tell(call, find(call, f.stream), HTTP2_EVENT_LONG_FRAME_DATA);
            if (f.type == HTTP2_FIELDS || f.type == HTTP2_CONTINUATION)
                return false;
            side->pass = f.length;
            at += FRAME_HEAD;
            continue;
        }
        if (length - at < FRAME_HEAD + f.length)
            return true;
        at += FRAME_HEAD + f.length;
        if (!whole_frame(call, direction, &f))
            return false;
    }
}

static bool hold(reef_memory *memory, http2_side *side, const uint8_t *data, uint32_t length)
{
    uint32_t wanted = side->held_length + length;
    if (wanted > side->held_capacity) {
        uint32_t capacity = side->held_capacity == 0 ? 256 : side->held_capacity;
        while (capacity < wanted)
            capacity *= 2;
        uint8_t *fresh = reef_memory_resize(memory, side->held, side->held_capacity, capacity);
        if (fresh == NULL)
            return false;
        side->held = fresh;
        side->held_capacity = capacity;
    }
    memcpy(side->held + side->held_length, data, length);
    side->held_length = wanted;
    return true;
}

static bool feed(reef_call *call, int direction, const uint8_t *data, uint32_t length)
{
    http2_connection *connection = call->session->state;
    http2_side *side = &connection->side[direction];
    bool held = side->held_length > 0;
    uint32_t used = 0, skip = 0;
    if (held) {
        if (!hold(call->memory, side, data, length))
            return false;
        data = side->held;
        length = side->held_length;
    }
    if (!side->begun) {
        uint32_t have = length < MAGIC ? length : MAGIC;
        bool looks = direction == REEF_TO_SERVER && memcmp(data, magic, have) == 0;
        if (looks && have < MAGIC)
            return held || hold(call->memory, side, data, length);
        skip = looks ? MAGIC : 0;
        side->begun = true;
    }
    if (!read_frames(call, direction, data + skip, length - skip, &used))
        return false;
    used += skip;
    if (!held)
        return used == length || hold(call->memory, side, data + used, length - used);
    memmove(side->held, side->held + used, length - used);
    side->held_length = length - used;
    return true;
}

static void cut_off(reef_call *call, int direction)
{
    for (reef_transaction *t = call->session->first; t != NULL; t = t->next)
        if (!((http2_tx *)t)->message[direction].ended)
            http2_body_end(call, (http2_tx *)t, direction, REEF_TX_FILE_TRUNCATED);
}

static bool bytes(reef_call *call, int direction, const reef_chunk *chunk)
{
    http2_connection *connection = call->session->state;
    if (connection->memory.mem_user_data == NULL)
        connection->memory = (nghttp2_mem){call->memory, get, give, get_zeroed, resize};
    bool useful = chunk->bytes.length == 0 || feed(call, direction, chunk->bytes.data, chunk->bytes.length);
    if (chunk->end || !useful)
        cut_off(call, direction);
    return useful;
}

/* --- lifetimes ------------------------------------------------------------------------------------------------------------ */

static void free_state(reef_memory *memory, reef_session *session)
{
    http2_connection *connection = session->state;
    for (int d = 0; d < 2; d++) {
        reef_memory_give(memory, connection->side[d].held, connection->side[d].held_capacity);
        if (connection->side[d].fields != NULL)
            nghttp2_hd_inflate_del(connection->side[d].fields);
    }
}

static void free_transaction(reef_memory *memory, reef_session *session, reef_transaction *transaction)
{
    (void)session;
    http2_tx *tx = (http2_tx *)transaction;
    for (int d = 0; d < 2; d++) {
        reef_inflate_free(memory, tx->message[d].inflate);
        reef_body_free(&tx->message[d].body, memory);
        reef_tx_file_free_list(memory, tx->message[d].files);
    }
}

static void inspected(reef_session *session, reef_transaction *transaction, int direction)
{
    (void)session;
    http2_tx *tx = (http2_tx *)transaction;
    reef_body_inspected(&tx->message[direction].body, tx->base.arena.memory,
                        direction == REEF_TO_SERVER ? &http2_request_limits : &http2_response_limits);
}

static reef_tx_file *files(const reef_session *session, const reef_transaction *transaction, int direction)
{
    (void)session;
    return ((const http2_tx *)transaction)->message[direction].files;
}

const reef_protocol reef_protocol_http2 = {
    .name = "http2",
    .event_type = "http",
    .transport = REEF_PROTO_TCP,
    .complete = {HTTP2_COMPLETE, HTTP2_COMPLETE},
    .state_size = sizeof(http2_connection),
    .transaction_size = sizeof(http2_tx),
    .probe = probe,
    .bytes = bytes,
    .free_state = free_state,
    .free_transaction = free_transaction,
    .buffers = http2_buffers,
    .buffers_count = HTTP2_BUFFERS,
    .buffer = http2_buffer,
    .value = http2_value,
    .inspected = inspected,
    .files = files,
    .events = event_names,
    .events_count = HTTP2_EVENTS,
    .write = http2_write,
};
