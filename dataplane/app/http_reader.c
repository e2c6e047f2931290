/* HTTP: reading a direction's bytes by lines. What a line lacks at the end of a segment is held; header lines are gathered where
 * they stay, in the raw block of their message, so that names and values are views of it. */
#include "http_internal.h"

static bool grow(http_reader *reader, uint32_t more)
{
    http_side *side = reader->side;
    uint64_t wanted = (uint64_t)side->held_length + more;
    if (wanted <= side->held_capacity)
        return true;
    uint64_t capacity = side->held_capacity != 0 ? side->held_capacity : 256;
    while (capacity < wanted)
        capacity *= 2;
    if (capacity > UINT32_MAX)
        return false;
    uint8_t *fresh = reef_memory_resize(reader->call->memory, side->held, side->held_capacity, (size_t)capacity);
    if (fresh == NULL)
        return false;
    side->held = fresh;
    side->held_capacity = (uint32_t)capacity;
    return true;
}

static void tell_too_long(http_reader *reader)
{
    http_tell(reader->call, reader->side->tx,
              reader->direction == REEF_TO_SERVER ? HTTP_EVENT_REQUEST_FIELD_TOO_LONG : HTTP_EVENT_RESPONSE_FIELD_TOO_LONG);
}

bool http_hold(http_reader *reader)
{
    http_side *side = reader->side;
    uint32_t fresh = reader->read - reader->taken;
    if (fresh == 0 || reader->data == NULL)
        return true;
    if ((uint64_t)side->held_length + fresh > REEF_HTTP_LINE_MAX) {
        tell_too_long(reader);
        return false;
    }
    if (!grow(reader, fresh))
        return false;
    memcpy(side->held + side->held_length, reader->data + reader->taken, fresh);
    side->held_length += fresh;
    reader->taken = reader->read;
    return true;
}

bool http_gather(http_reader *reader, reef_view *out)
{
    http_side *side = reader->side;
    if (side->held_length == 0) {
        *out = (reef_view){reader->data != NULL ? reader->data + reader->taken : NULL, reader->read - reader->taken};
        return true;
    }
    if (!http_hold(reader))
        return false;
    *out = (reef_view){side->held, side->held_length};
    return true;
}

void http_ungather(http_reader *reader, uint32_t fresh)
{
    http_side *side = reader->side;
    reader->read -= fresh;
    reader->taken = reader->read;
    side->held_length = side->held_length >= fresh ? side->held_length - fresh : 0;
}

void http_used(http_reader *reader)
{
    reader->taken = reader->read;
    reader->side->held_length = 0;
}

bool http_read_line(http_reader *reader)
{
    const uint8_t *from = reader->data + reader->read;
    const uint8_t *end = reader->read < reader->length ? memchr(from, '\n', reader->length - reader->read) : NULL;
    reader->read = end == NULL ? reader->length : (uint32_t)(end + 1 - reader->data);
    return end != NULL;
}

static bool is_hex(uint8_t c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

bool http_read_chunk_line(http_reader *reader)
{
    uint32_t first = reader->taken;
    bool whole = http_read_line(reader);
    if (reader->side->held_length > 0)
        return whole;
    while (first < reader->read && http_is_space(reader->data[first]))
        first++;
    if (first == reader->read || is_hex(reader->data[first]))
        return whole;
    reader->read = first + 1;
    return true;
}

/* --- the raw block of headers ------------------------------------------------------------------------ */

bool http_raw_add(http_reader *reader, reef_view bytes)
{
    http_tx *tx = reader->side->tx;
    http_message *message = &tx->message[reader->direction];
    uint64_t wanted = (uint64_t)message->raw.length + bytes.length;
    if (wanted > message->raw_capacity) {
        if (wanted > REEF_HTTP_HEAD_MAX)
            return false;
        uint32_t capacity = message->raw_capacity == 0 ? (uint32_t)wanted : (uint32_t)wanted * 2;
        uint8_t *block = reef_arena_get(&tx->base.arena, capacity);
        if (block == NULL)
            return false;
        if (message->raw.length > 0) /* the old block stays: fields point into it */
            memcpy(block, message->raw.data, message->raw.length);
        message->raw.data = block;
        message->raw_capacity = capacity;
    }
    memcpy((uint8_t *)(uintptr_t)message->raw.data + message->raw.length, bytes.data, bytes.length);
    message->raw.length += bytes.length;
    return true;
}

static bool raw_append(http_reader *reader, uint32_t to)
{
    const http_message *message = &reader->side->tx->message[reader->direction];
    uint32_t from = reader->copied_from + (message->raw.length - reader->raw_from);
    return to <= from || http_raw_add(reader, (reef_view){reader->data + from, to - from});
}

/* The bytes from here to what looks like the end of the headers go to the raw block. */
bool http_raw_begin(http_reader *reader)
{
    http_message *message = &reader->side->tx->message[reader->direction];
    reader->copied_from = reader->read;
    reader->raw_from = message->raw.length;
    if (reader->read == reader->length)
        return true;
    const uint8_t *from = reader->data + reader->read;
    const uint8_t *end = memmem(from, reader->length - reader->read, "\r\n\r\n", 4);
    return raw_append(reader, end == NULL ? reader->length : (uint32_t)(end + 4 - reader->data));
}

/* All bytes before `read` are in it. */
bool http_raw_reach(http_reader *reader, uint32_t read)
{
    const http_message *message = &reader->side->tx->message[reader->direction];
    return read - reader->copied_from <= message->raw.length - reader->raw_from || raw_append(reader, reader->length);
}

/* What was not read as header leaves it again. */
void http_raw_end(http_reader *reader)
{
    http_message *message = &reader->side->tx->message[reader->direction];
    message->raw.length = http_raw_at(reader);
    reader->taken = reader->read;
}
