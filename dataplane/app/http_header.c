/* HTTP: header fields. Names and values are views of the raw block; only what spans lines or repeats is put together anew. */
#include "http_internal.h"

/* Known names by their length. */
static const struct known { const char *name; uint8_t length, field; } known[] = {
    {"host", 4, HTTP_FIELD_HOST},
    {"cookie", 6, HTTP_FIELD_COOKIE},
    {"accept", 6, HTTP_FIELD_ACCEPT},
    {"server", 6, HTTP_FIELD_SERVER},
    {"expect", 6, HTTP_FIELD_EXPECT},
    {"referer", 7, HTTP_FIELD_REFERER},
    {"upgrade", 7, HTTP_FIELD_UPGRADE},
    {"location", 8, HTTP_FIELD_LOCATION},
    {"connection", 10, HTTP_FIELD_CONNECTION},
    {"user-agent", 10, HTTP_FIELD_USER_AGENT},
    {"set-cookie", 10, HTTP_FIELD_SET_COOKIE},
    {"content-type", 12, HTTP_FIELD_CONTENT_TYPE},
    {"authorization", 13, HTTP_FIELD_AUTHORIZATION},
    {"content-range", 13, HTTP_FIELD_CONTENT_RANGE},
    {"content-length", 14, HTTP_FIELD_CONTENT_LENGTH},
    {"accept-encoding", 15, HTTP_FIELD_ACCEPT_ENCODING},
    {"accept-language", 15, HTTP_FIELD_ACCEPT_LANGUAGE},
    {"x-forwarded-for", 15, HTTP_FIELD_X_FORWARDED_FOR},
    {"content-encoding", 16, HTTP_FIELD_CONTENT_ENCODING},
    {"transfer-encoding", 17, HTTP_FIELD_TRANSFER_ENCODING},
    {"content-disposition", 19, HTTP_FIELD_CONTENT_DISPOSITION},
};

enum { KNOWN = sizeof known / sizeof known[0], LONGEST = 19 };

/* First entry of each length; the one behind it where there is none. */
static const uint8_t first_of[LONGEST + 2] = {0, 0, 0, 0, 0, 1, 1, 5, 7, 8, 8, 11, 11, 12, 14, 15, 18, 19, 20, 20, 21};

static uint8_t field_of(const uint8_t *name, uint32_t length)
{
    if (length > LONGEST)
        return HTTP_FIELD_OTHER;
    for (uint8_t i = first_of[length]; i < first_of[length + 1]; i++)
        if (http_lower(name[0]) == (uint8_t)known[i].name[0] &&
            http_equal_nocase(name, (const uint8_t *)known[i].name, length))
            return known[i].field;
    return HTTP_FIELD_OTHER;
}

/* Fields are found by their names without NULs. */
static uint8_t field_of_name(reef_view name)
{
    if (name.length == 0)
        return HTTP_FIELD_OTHER;
    if (name.length > 2 * LONGEST || memchr(name.data, 0, name.length) == NULL)
        return field_of(name.data, name.length);
    uint8_t clean[2 * LONGEST];
    uint32_t length = 0;
    for (uint32_t i = 0; i < name.length; i++)
        if (name.data[i] != 0)
            clean[length++] = name.data[i];
    return length > 0 ? field_of(clean, length) : HTTP_FIELD_OTHER;
}

static uint16_t hash_of(reef_view name)
{
    if (name.length == 0)
        return 0;
    uint32_t hash = name.length * 0x9E37u;
    hash ^= (name.data[0] | 0x20u) * 0x85EBu;
    hash ^= (name.data[name.length / 2] | 0x20u) * 0xC2B2u;
    hash ^= (name.data[name.length - 1] | 0x20u) * 0x27D4u;
    return (uint16_t)(hash ^ hash >> 16);
}

/* RFC 2616 2.2: characters 33-126 without the separators. */
static const bool is_token[256] = {
    ['!'] = true, ['#' ... '\''] = true, ['*'] = true, ['+'] = true, ['-'] = true, ['.'] = true, ['0' ... '9'] = true,
    ['A' ... 'Z'] = true, ['^' ... 'z'] = true, ['|'] = true, ['~'] = true,
};

static void say_invalid(reef_call *call, http_tx *tx, int direction)
{
    http_message *message = &tx->message[direction];
    if (message->said & HTTP_SAID_INVALID)
        return;
    message->said |= HTTP_SAID_INVALID;
    http_tell(call, tx, direction == REEF_TO_SERVER ? HTTP_EVENT_REQUEST_HEADER_INVALID : HTTP_EVENT_RESPONSE_HEADER_INVALID);
}

/* A line without a colon is a field without a name: its value is still looked at. */
static void split_without_colon(reef_call *call, http_tx *tx, int direction, reef_view line, http_header *header)
{
    http_message *message = &tx->message[direction];
    if (!(message->said & HTTP_SAID_COLON)) {
        message->said |= HTTP_SAID_COLON;
        http_tell(call, tx, direction == REEF_TO_SERVER ? HTTP_EVENT_REQUEST_FIELD_MISSING_COLON
                                                        : HTTP_EVENT_RESPONSE_FIELD_MISSING_COLON);
        if (direction == REEF_TO_CLIENT)
            message->said |= HTTP_SAID_INVALID;
    }
    header->name = (reef_view){line.data, 0};
    header->value = line;
}

static void split(reef_call *call, http_tx *tx, int direction, reef_view line, http_header *header)
{
    const uint8_t *colon = line.length > 0 ? memchr(line.data, ':', line.length) : NULL;
    bool cut = colon != NULL && direction == REEF_TO_SERVER && memchr(line.data, 0, (size_t)(colon - line.data)) != NULL;
    if (colon == NULL || cut) {
        split_without_colon(call, tx, direction, line, header);
        return;
    }
    uint32_t name = (uint32_t)(colon - line.data), value = name + 1, end = line.length;
    bool valid = name > 0;
    while (name > 0 && (direction == REEF_TO_CLIENT ? http_is_space(line.data[name - 1]) : http_is_blank(line.data[name - 1]))) {
        name--;
        valid = false;
    }
    while (value < end && http_is_blank(line.data[value]))
        value++;
    while (end > value && http_is_blank(line.data[end - 1]))
        end--;
    for (uint32_t i = 0; valid && i < name; i++)
        valid = is_token[line.data[i]];
    if (!valid)
        say_invalid(call, tx, direction);
    header->name = (reef_view){line.data, name};
    header->value = (reef_view){line.data + value, end - value};
}

static http_header *find(http_headers *headers, reef_view name, uint16_t hash)
{
    if (!(headers->seen >> (hash & 63) & 1))
        return NULL;
    for (uint32_t i = 0; i < headers->count; i++) {
        http_header *header = &headers->list[i];
        if (header->hash == hash && header->name.length == name.length &&
            http_equal_nocase(header->name.data, name.data, name.length))
            return header;
    }
    return NULL;
}

/* A name once more: its values become one list, up to a bound. */
static bool repeat(reef_call *call, http_tx *tx, int direction, http_header *header, reef_view value)
{
    http_headers *headers = &tx->message[direction].headers;
    headers->plain = false;
    if (header->repeated) {
        if (headers->repetitions >= REEF_HTTP_REPETITIONS_MAX)
            return true;
        headers->repetitions++;
    }
    header->repeated = true;
    if (header->field == HTTP_FIELD_CONTENT_LENGTH) {
        int64_t before = http_content_length(header->value), now = http_content_length(value);
        if (before < 0 || now < 0 || before != now)
            http_tell(call, tx, direction == REEF_TO_SERVER ? HTTP_EVENT_DUPLICATE_CONTENT_LENGTH_FIELD_IN_REQUEST
                                                            : HTTP_EVENT_DUPLICATE_CONTENT_LENGTH_FIELD_IN_RESPONSE);
        return true;
    }
    uint8_t *joined = reef_arena_get(&tx->base.arena, (size_t)header->value.length + 2 + value.length);
    if (joined == NULL)
        return false;
    memcpy(joined, header->value.data, header->value.length);
    memcpy(joined + header->value.length, ", ", 2);
    memcpy(joined + header->value.length + 2, value.data, value.length);
    header->value = (reef_view){joined, header->value.length + 2 + value.length};
    return true;
}

static bool make_room(http_tx *tx, http_headers *headers)
{
    if (headers->count < headers->capacity)
        return true;
    if (headers->count >= REEF_HTTP_HEADERS_MAX)
        return false;
    uint16_t capacity = headers->capacity == 0 ? 16 : (uint16_t)(2 * headers->capacity);
    http_header *list = reef_arena_get(&tx->base.arena, capacity * sizeof *list);
    if (list == NULL)
        return false;
    if (headers->count > 0)
        memcpy(list, headers->list, headers->count * sizeof *list);
    headers->list = list;
    headers->capacity = capacity;
    return true;
}

bool http_header_add(reef_call *call, http_tx *tx, int direction, reef_view line)
{
    http_headers *headers = &tx->message[direction].headers;
    line.length = http_chomp(line.data, line.length);
    http_header header = {0};
    split(call, tx, direction, line, &header);
    header.hash = hash_of(header.name);
    http_header *same = find(headers, header.name, header.hash);
    if (same != NULL)
        return repeat(call, tx, direction, same, header.value);
    if (!make_room(tx, headers))
        return false;
    header.field = field_of_name(header.name);
    const uint8_t *name_end = header.name.data + header.name.length, *value_end = header.value.data + header.value.length;
    if (header.name.length == 0 || header.value.data != name_end + 2 || name_end[0] != ':' || name_end[1] != ' ' ||
        value_end != line.data + line.length)
        headers->plain = false;
    headers->list[headers->count++] = header;
    headers->seen |= 1ull << (header.hash & 63);
    if (header.field != HTTP_FIELD_OTHER && headers->at[header.field] == 0 && headers->count <= UINT8_MAX)
        headers->at[header.field] = (uint8_t)headers->count;
    return true;
}

const http_header *http_header_get(const http_message *message, http_field field)
{
    uint8_t at = message->headers.at[field];
    return at != 0 ? &message->headers.list[at - 1] : NULL;
}
