/* HTTP: lines of a head that go on in the next one (RFC 9112 5.2): what is read of a field waits until it is known to be over. */
#include "http_internal.h"

bool http_field_take(http_reader *reader, int direction)
{
    http_tx *tx = reader->side->tx;
    reef_view line = tx->message[direction].pending;
    tx->message[direction].pending = (reef_view){0};
    return line.data == NULL || http_header_add(reader->call, tx, direction, line);
}

static void say_folding(http_reader *reader, int direction)
{
    http_message *message = &reader->side->tx->message[direction];
    if (!(message->said & HTTP_SAID_FOLDING))
        http_tell(reader->call, reader->side->tx,
                  direction == REEF_TO_SERVER ? HTTP_EVENT_INVALID_REQUEST_FIELD_FOLDING
                                              : HTTP_EVENT_INVALID_RESPONSE_FIELD_FOLDING);
    message->said |= HTTP_SAID_FOLDING;
}

/* A folded line of a response that looks like a field is one of its own to a browser. */
static bool is_field(const http_message *message, int direction, reef_view line)
{
    return direction == REEF_TO_CLIENT && line.length > 0 && memchr(line.data, ':', line.length) != NULL &&
           memchr(message->pending.data, ':', message->pending.length) != NULL &&
           message->protocol_number == HTTP_PROTOCOL_1_1;
}

static bool join(http_tx *tx, http_message *message, reef_view line)
{
    if (message->pending.length >= REEF_HTTP_FOLDED_MAX)
        return true;
    uint8_t *joined = reef_arena_get(&tx->base.arena, (size_t)message->pending.length + line.length);
    if (joined == NULL)
        return false;
    memcpy(joined, message->pending.data, message->pending.length);
    memcpy(joined + message->pending.length, line.data, line.length);
    message->pending = (reef_view){joined, message->pending.length + line.length};
    return true;
}

static bool fold(http_reader *reader, int direction, reef_view line)
{
    http_message *message = &reader->side->tx->message[direction];
    message->headers.plain = false;
    if (message->pending.data == NULL) {
        say_folding(reader, direction);
        while (line.length > 0 && http_folds(line.data[0])) {
            line.data++;
            line.length--;
        }
        message->pending = line;
        return true;
    }
    if (is_field(message, direction, line)) {
        say_folding(reader, direction);
        if (!http_field_take(reader, direction))
            return false;
        message->pending = (reef_view){line.data + 1, line.length - 1};
        return true;
    }
    return join(reader->side->tx, message, line);
}

bool http_field_wait(http_reader *reader, int direction, reef_view line)
{
    if (line.length == 0 || http_folds(line.data[0]))
        return fold(reader, direction, line);
    if (!http_field_take(reader, direction))
        return false;
    int next = http_peek(reader);
    if (next != -1 && !http_folds(next))
        return http_header_add(reader->call, reader->side->tx, direction, line);
    reader->side->tx->message[direction].pending = line;
    return true;
}
