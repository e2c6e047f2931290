/* HTTP: the files of a form (multipart/form-data, RFC 7578), taken out of the body while it comes. */
#include <ctype.h>

#include "http_internal.h"

enum { PART_NONE, PART_HEAD, PART_FILE, PART_OTHER, PART_OVER };

struct http_multipart {
    uint8_t *held;         /* bytes that may be part of a boundary or of a part's headers */
    uint32_t length, capacity;
    uint8_t part, mark_length;
    uint8_t mark[REEF_HTTP_BOUNDARY_MAX + 2]; /* "--" and the boundary */
};

/* A parameter within a value; quotes protect the semicolons, a backslash the quotes. */
bool http_parameter(reef_view value, const char *name, reef_view *out)
{
    uint32_t wanted = (uint32_t)strlen(name), at = 0, begin;
    while (at < value.length && isspace(value.data[at]))
        at++;
    unsigned quotes = 0;
    for (begin = at; at < value.length; at++) {
        bool escaped = at > begin && value.data[at - 1] == '\\';
        if (at > begin && value.data[at] == '"' && !escaped)
            quotes++;
        bool separator = at > begin && value.data[at] == ';' && !escaped && quotes % 2 == 0;
        bool last = at + 1 == value.length;
        if (!separator && !(last && quotes % 2 == 0))
            continue;
        reef_view token = {value.data + begin, at - begin + (separator ? 0 : 1)};
        begin = at + 1;
        while (begin < value.length && isspace(value.data[begin]))
            begin++;
        if (token.length > wanted && http_equal_nocase(token.data, (const uint8_t *)name, wanted)) {
            token.data += wanted;
            token.length -= wanted;
            if (token.data[0] == '"') {
                token.data++;
                token.length--;
            }
            if (token.length > 0 && token.data[token.length - 1] == '"')
                token.length--;
            *out = token;
            return true;
        }
        at = begin > at + 1 ? begin - 1 : at;
    }
    return false;
}

http_multipart *http_multipart_new(reef_call *call, http_tx *tx)
{
    const http_header *type = http_header_get(&tx->message[REEF_TO_SERVER], HTTP_FIELD_CONTENT_TYPE);
    reef_view boundary;
    if (type == NULL || !http_parameter(type->value, "boundary=", &boundary))
        return NULL;
    http_multipart *multipart = reef_memory_get(call->memory, sizeof *multipart);
    if (multipart == NULL)
        return NULL;
    memcpy(multipart->mark, "--", 2);
    memcpy(multipart->mark + 2, boundary.data, boundary.length);
    multipart->mark_length = (uint8_t)(boundary.length + 2);
    return multipart;
}

void http_multipart_free(reef_memory *memory, http_multipart *multipart)
{
    if (multipart == NULL)
        return;
    reef_memory_give(memory, multipart->held, multipart->capacity);
    reef_memory_give(memory, multipart, sizeof *multipart);
}

static bool hold(reef_memory *memory, http_multipart *multipart, reef_view bytes)
{
    uint32_t wanted = multipart->length + bytes.length;
    if (wanted > multipart->capacity) {
        uint32_t capacity = multipart->capacity == 0 ? 512 : multipart->capacity;
        while (capacity < wanted)
            capacity *= 2;
        uint8_t *fresh = reef_memory_resize(memory, multipart->held, multipart->capacity, capacity);
        if (fresh == NULL)
            return false;
        multipart->held = fresh;
        multipart->capacity = capacity;
    }
    memcpy(multipart->held + multipart->length, bytes.data, bytes.length);
    multipart->length = wanted;
    return true;
}

/* --- a part's headers -------------------------------------------------------------------------------- */

static bool begins_with(reef_view line, const char *name)
{
    uint32_t length = (uint32_t)strlen(name);
    return line.length >= length && http_equal_nocase(line.data, (const uint8_t *)name, length);
}

static void part_header(reef_call *call, http_tx *tx, reef_view line, reef_view *name)
{
    static const char disposition[] = "content-disposition:";
    const uint8_t *colon = memchr(line.data, ':', line.length);
    if (colon == NULL || colon == line.data + line.length - 1) {
        http_tell(call, tx, HTTP_EVENT_MULTIPART_INVALID_HEADER);
        return;
    }
    if (!begins_with(line, disposition))
        return;
    uint32_t skip = sizeof disposition - 1;
    (void)http_parameter((reef_view){line.data + skip, line.length - skip}, "filename=", name);
}

static reef_view name_of_part(reef_call *call, http_tx *tx, reef_view head)
{
    reef_view name = {0};
    while (head.length > 0) {
        const uint8_t *end = memmem(head.data, head.length, "\r\n", 2);
        reef_view line = {head.data, end == NULL ? head.length : (uint32_t)(end - head.data)};
        if (line.length > 0)
            part_header(call, tx, line, &name);
        if (end == NULL)
            break;
        head.length -= line.length + 2;
        head.data += line.length + 2;
    }
    return name;
}

/* --- states: each takes what it can of `rest`; false: more is needed ----------------------------------- */

/* Up to a boundary; what is before it is nobody's. */
static bool find_boundary(http_multipart *multipart, reef_view *rest)
{
    const uint8_t *mark = memmem(rest->data, rest->length, multipart->mark, multipart->mark_length);
    uint32_t skip;
    if (mark == NULL) {
        if (rest->length < multipart->mark_length)
            return false;
        skip = rest->length - (multipart->mark_length - 1u);
    } else {
        skip = (uint32_t)(mark - rest->data) + multipart->mark_length;
        multipart->part = PART_HEAD;
    }
    rest->data += skip;
    rest->length -= skip;
    return mark != NULL;
}

static bool read_head(reef_call *call, http_tx *tx, reef_view *rest)
{
    http_multipart *multipart = tx->multipart;
    http_message *request = &tx->message[REEF_TO_SERVER];
    if (rest->length < 2)
        return false;
    if (memcmp(rest->data, "--", 2) == 0) {
        multipart->part = PART_OVER;
        return true;
    }
    const uint8_t *end = memmem(rest->data, rest->length, "\r\n\r\n", 4);
    if (end == NULL) {
        if (rest->length > REEF_HTTP_PART_HEAD_MAX)
            multipart->part = PART_NONE;
        return rest->length > REEF_HTTP_PART_HEAD_MAX;
    }
    reef_view head = {rest->data, (uint32_t)(end - rest->data)};
    if (head.length >= 2 && memcmp(head.data, "\r\n", 2) == 0) {
        head.data += 2;
        head.length -= 2;
    }
    reef_view name = name_of_part(call, tx, head);
    uint32_t used = (uint32_t)(end + 4 - rest->data);
    multipart->part = PART_OTHER;
    if (name.data != NULL) {
        request->file = reef_tx_file_begin(call, &tx->base, REEF_TO_SERVER, &request->files, name, &http_request_limits);
        multipart->part = PART_FILE;
    }
    rest->data += used;
    rest->length -= used;
    return true;
}

static bool may_end_line(reef_view bytes, uint32_t at)
{
    return bytes.data[at] == '\r' && (at + 1 == bytes.length || bytes.data[at + 1] == '\n');
}

static bool read_file(reef_call *call, http_tx *tx, reef_view *rest)
{
    http_multipart *multipart = tx->multipart;
    http_message *request = &tx->message[REEF_TO_SERVER];
    const uint8_t *mark = memmem(rest->data, rest->length, multipart->mark, multipart->mark_length);
    uint32_t tail = multipart->mark_length + 1u; /* CR LF and all but one byte of the mark may still be a boundary */
    if (mark == NULL) {
        if (rest->length <= tail)
            return false;
        uint32_t take = rest->length - tail;
        while (take < rest->length && !may_end_line(*rest, take))
            take++;
        reef_tx_file_bytes(call, &tx->base, request->file, (reef_view){rest->data, take});
        rest->data += take;
        rest->length -= take;
        return false;
    }
    uint32_t length = (uint32_t)(mark - rest->data);
    if (length == 0)
        http_tell(call, tx, HTTP_EVENT_MULTIPART_NO_FILEDATA);
    reef_tx_file_bytes(call, &tx->base, request->file, (reef_view){rest->data, length >= 2 ? length - 2 : 0});
    reef_tx_file_end(call, &tx->base, request->file, REEF_TX_FILE_CLOSED);
    request->file = NULL;
    multipart->part = PART_HEAD;
    rest->data = mark + multipart->mark_length;
    rest->length -= length + multipart->mark_length;
    return true;
}

static bool step(reef_call *call, http_tx *tx, reef_view *rest)
{
    switch (tx->multipart->part) {
    case PART_NONE:
    case PART_OTHER:
        return find_boundary(tx->multipart, rest);
    case PART_HEAD:
        return read_head(call, tx, rest);
    case PART_FILE:
        return read_file(call, tx, rest);
    default:
        rest->length = 0;
        return false;
    }
}

void http_multipart_bytes(reef_call *call, http_tx *tx, reef_view bytes)
{
    http_multipart *multipart = tx->multipart;
    if (multipart->part == PART_OVER)
        return;
    bool from_held = multipart->length > 0;
    if (from_held && !hold(call->memory, multipart, bytes)) {
        http_tell(call, tx, HTTP_EVENT_MULTIPART_GENERIC_ERROR);
        multipart->part = PART_OVER;
        return;
    }
    reef_view rest = from_held ? (reef_view){multipart->held, multipart->length} : bytes;
    while (step(call, tx, &rest))
        ;
    if (from_held) {
        memmove(multipart->held, rest.data, rest.length);
        multipart->length = rest.length;
    } else if (rest.length > 0 && !hold(call->memory, multipart, rest)) {
        multipart->part = PART_OVER;
    }
}

/* A file whose end did not come ends without what may have been the beginning of a boundary. */
void http_multipart_end(reef_call *call, http_tx *tx)
{
    http_multipart *multipart = tx->multipart;
    http_message *request = &tx->message[REEF_TO_SERVER];
    if (multipart->part == PART_FILE && request->file != NULL) {
        reef_tx_file_end(call, &tx->base, request->file, REEF_TX_FILE_CLOSED);
        request->file = NULL;
    }
    multipart->part = PART_OVER;
    multipart->length = 0;
}
