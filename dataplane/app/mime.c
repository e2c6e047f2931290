#include "mime.h"

#include <stddef.h>
#include <string.h>

#include "reef/limits.h"

enum { DECODED = 4096 + 64 }; /* of a longest piece of a line */

enum where { IN_HEADER, IN_BODY, BETWEEN, OVER };

enum encoding { PLAIN, BASE64, QUOTED };

typedef struct entity {
    uint8_t boundary[REEF_MIME_BOUNDARY_MAX];
    uint8_t boundary_length;
    uint8_t encoding;
    bool multipart, message, attachment, text;
} entity;

struct reef_mime {
    const reef_mime_sink *sink;
    void *context;
    unsigned anomalies;
    uint8_t where;
    uint8_t depth; /* of stack[], at least 1 */
    bool failed;
    bool file_open;
    bool line_owed;   /* the end of the last body line: it belongs to the body only if a line follows */
    bool boundary_line; /* the rest of a boundary's line is passed over */
    uint8_t owed;     /* its bytes */
    reef_base64 base64;
    uint32_t name_length, value_length; /* of the field at hand */
    uint32_t line_length;               /* of the line at hand, over its pieces */
    uint32_t decoded_length;
    uint32_t text_length;
    uint8_t name[REEF_MIME_NAME_MAX];
    uint8_t value[REEF_MIME_HEADER_MAX];
    uint8_t filename[REEF_MIME_FILENAME_MAX];
    uint32_t filename_length;
    uint8_t decoded[DECODED];
    uint8_t text[1024]; /* a decoded line in which URLs are looked for */
    entity stack[REEF_MIME_DEPTH_MAX];
};

reef_mime *reef_mime_new(reef_memory *memory, const reef_mime_sink *sink, void *context)
{
    reef_mime *mime = reef_memory_get_raw(memory, sizeof *mime);
    if (mime == NULL)
        return NULL;
    memset(mime, 0, offsetof(struct reef_mime, name)); /* the arrays are guarded by their lengths */
    mime->sink = sink;
    mime->context = context;
    mime->filename_length = 0;
    mime->depth = 1;
    mime->stack[0] = (entity){.text = true};
    return mime;
}

void reef_mime_free(reef_mime *mime, reef_memory *memory)
{
    reef_memory_give(memory, mime, sizeof *mime);
}

void reef_mime_context(reef_mime *mime, void *context)
{
    mime->context = context;
}

reef_mime_status reef_mime_state(const reef_mime *mime)
{
    if (mime->failed)
        return REEF_MIME_FAILED;
    if (mime->where == OVER)
        return REEF_MIME_DONE;
    return mime->where == IN_HEADER && mime->depth == 1 ? REEF_MIME_HEADER : REEF_MIME_BODY;
}

unsigned reef_mime_anomalies(const reef_mime *mime)
{
    return mime->anomalies;
}

static entity *top(reef_mime *mime)
{
    return &mime->stack[mime->depth - 1];
}

/* --- header ------------------------------------------------------------------------------------------- */

static bool name_is(const reef_mime *mime, const char *name)
{
    return mime->name_length == strlen(name) &&
           reef_mime_is((reef_view){mime->name, mime->name_length}, name);
}

static void take_filename(reef_mime *mime, reef_view field, const char *parameter)
{
    if (top(mime)->attachment)
        return;
    uint32_t length = reef_mime_parameter(field, parameter, mime->filename, sizeof mime->filename);
    if (length == 0)
        return;
    if (length > sizeof mime->filename) {
        mime->anomalies |= REEF_MIME_LONG_FILENAME;
        length = sizeof mime->filename;
    }
    mime->filename_length = length;
    top(mime)->attachment = true;
}

static void take_type(reef_mime *mime, reef_view field)
{
    entity *part = top(mime);
    part->multipart = reef_mime_is(field, "multipart/");
    part->message = reef_mime_is(field, "message/rfc822");
    part->text = mime->depth == 1 || reef_mime_is(field, "text/plain") || reef_mime_is(field, "text/html");
    uint32_t length = reef_mime_parameter(field, "boundary", part->boundary, sizeof part->boundary);
    if (length > sizeof part->boundary) {
        mime->anomalies |= REEF_MIME_LONG_BOUNDARY;
        length = 0;
    }
    part->boundary_length = (uint8_t)length;
    if (length > 0)
        part->multipart = true;
    take_filename(mime, field, "name");
}

static void end_field(reef_mime *mime)
{
    if (mime->name_length == 0)
        return;
    uint32_t from = 0, end = mime->value_length;
    while (from < end && (mime->value[from] == ' ' || mime->value[from] == '\t'))
        from++;
    while (end > from && (mime->value[end - 1] == ' ' || mime->value[end - 1] == '\t'))
        end--;
    reef_view field = {mime->value + from, end - from};
    if (mime->depth == 1)
        mime->sink->header(mime->context, (reef_view){mime->name, mime->name_length}, field);
    if (name_is(mime, "content-type"))
        take_type(mime, field);
    else if (name_is(mime, "content-disposition"))
        take_filename(mime, field, "filename");
    else if (name_is(mime, "content-transfer-encoding"))
        top(mime)->encoding = reef_mime_is(field, "base64") ? BASE64 : reef_mime_is(field, "quoted-printable") ? QUOTED : PLAIN;
    mime->name_length = 0;
}

static void add_value(reef_mime *mime, const uint8_t *data, uint32_t length)
{
    uint32_t room = REEF_MIME_HEADER_MAX - mime->value_length;
    if (length > room) {
        mime->anomalies |= REEF_MIME_LONG_HEADER_VALUE;
        length = room;
    }
    if (length > 0)
        memcpy(mime->value + mime->value_length, data, length);
    mime->value_length += length;
}

static void begin_field(reef_mime *mime, reef_view line)
{
    end_field(mime);
    const uint8_t *colon = line.length > 0 ? memchr(line.data, ':', line.length) : NULL;
    if (colon == NULL || colon == line.data) {
        mime->anomalies |= REEF_MIME_MALFORMED;
        return;
    }
    uint32_t length = (uint32_t)(colon - line.data);
    mime->value_length = 0;
    add_value(mime, colon + 1, line.length - length - 1);
    while (length > 0 && (line.data[length - 1] == ' ' || line.data[length - 1] == '\t'))
        length--;
    if (length > REEF_MIME_NAME_MAX) {
        mime->anomalies |= REEF_MIME_LONG_HEADER_NAME;
        length = REEF_MIME_NAME_MAX;
    }
    memcpy(mime->name, line.data, length);
    mime->name_length = length;
}

static bool push(reef_mime *mime)
{
    if (mime->depth == REEF_MIME_DEPTH_MAX) {
        mime->failed = true;
        return false;
    }
    mime->stack[mime->depth].boundary_length = 0;
    entity *part = &mime->stack[mime->depth++];
    part->encoding = PLAIN;
    part->multipart = part->message = part->attachment = part->text = false;
    mime->where = IN_HEADER;
    mime->name_length = mime->value_length = 0;
    return true;
}

static void end_header(reef_mime *mime)
{
    end_field(mime);
    entity *part = top(mime);
    if (part->message) { /* a message within the message: its header follows */
        (void)push(mime);
        return;
    }
    mime->where = part->multipart && part->boundary_length > 0 ? BETWEEN : IN_BODY;
    mime->base64 = (reef_base64){0};
    mime->line_owed = false;
    mime->text_length = 0;
    if (mime->where == IN_BODY && part->attachment) {
        mime->sink->file_begin(mime->context, (reef_view){mime->filename, mime->filename_length});
        mime->file_open = true;
    }
}

static void header_line(reef_mime *mime, const reef_line *line)
{
    reef_view text = line->text;
    if (!line->begins) {
        if (mime->name_length > 0)
            add_value(mime, text.data, text.length);
    } else if (text.length == 0 && line->end > 0) {
        end_header(mime);
    } else if (text.length > 0 && (text.data[0] == ' ' || text.data[0] == '\t') && mime->name_length > 0) {
        add_value(mime, text.data, text.length);
    } else {
        begin_field(mime, text);
    }
}

/* --- body --------------------------------------------------------------------------------------------- */

static void take_text(reef_mime *mime, const uint8_t *data, uint32_t length)
{
    while (length > 0) {
        const uint8_t *end = memchr(data, '\n', length);
        uint32_t piece = end != NULL ? (uint32_t)(end - data) + 1 : length, room = (uint32_t)sizeof mime->text - mime->text_length;
        uint32_t take = piece < room ? piece : room;
        memcpy(mime->text + mime->text_length, data, take);
        mime->text_length += take;
        if (end != NULL) {
            while (mime->text_length > 0 && (mime->text[mime->text_length - 1] == '\n' || mime->text[mime->text_length - 1] == '\r'))
                mime->text_length--;
            reef_mime_urls(mime->sink, mime->context, (reef_view){mime->text, mime->text_length});
            mime->text_length = 0;
        }
        data += piece;
        length -= piece;
    }
}

void reef_mime_flush(reef_mime *mime)
{
    if (mime->decoded_length == 0)
        return;
    reef_view bytes = {mime->decoded, mime->decoded_length};
    mime->decoded_length = 0;
    if (mime->file_open)
        mime->sink->file_bytes(mime->context, bytes);
    else
        take_text(mime, bytes.data, bytes.length);
}

static void make_room(reef_mime *mime, uint32_t length)
{
    if (DECODED - mime->decoded_length < length)
        reef_mime_flush(mime);
}

static void pay_line_end(reef_mime *mime)
{
    if (!mime->line_owed)
        return;
    mime->line_owed = false;
    make_room(mime, 2);
    if (mime->owed == 2)
        mime->decoded[mime->decoded_length++] = '\r';
    mime->decoded[mime->decoded_length++] = '\n';
}

static void encoded_line(reef_mime *mime, const reef_line *line)
{
    mime->line_length = line->begins ? line->text.length : mime->line_length + line->text.length;
    if (mime->line_length > REEF_MIME_ENCODED_LINE_MAX)
        mime->anomalies |= REEF_MIME_LONG_ENCODED_LINE;
}

static void body_line(reef_mime *mime, const reef_line *line)
{
    const entity *part = top(mime);
    if (!mime->file_open && !part->text)
        return;
    bool invalid = false, joined = false;
    if (part->encoding == BASE64) {
        encoded_line(mime, line);
        make_room(mime, line->text.length / 4 * 3 + 6);
        mime->decoded_length += reef_base64_decode(&mime->base64, line->text, mime->decoded + mime->decoded_length, &invalid);
        if (invalid)
            mime->anomalies |= REEF_MIME_INVALID_BASE64;
        return;
    }
    pay_line_end(mime);
    make_room(mime, line->text.length);
    if (part->encoding == QUOTED) {
        encoded_line(mime, line);
        mime->decoded_length += reef_quoted_decode(line->text, line->end > 0, mime->decoded + mime->decoded_length, &joined, &invalid);
        if (invalid)
            mime->anomalies |= REEF_MIME_INVALID_QP;
    } else {
        if (line->text.length > 0)
            memcpy(mime->decoded + mime->decoded_length, line->text.data, line->text.length);
        mime->decoded_length += line->text.length;
    }
    mime->line_owed = line->end > 0 && !joined;
    mime->owed = line->end;
}

static void end_body(reef_mime *mime, bool whole)
{
    if (mime->where == IN_BODY && top(mime)->encoding == BASE64) {
        make_room(mime, 3);
        mime->decoded_length += reef_base64_end(&mime->base64, mime->decoded + mime->decoded_length);
    }
    reef_mime_flush(mime);
    if (mime->text_length > 0)
        take_text(mime, (const uint8_t *)"\n", 1); /* the last line has no end of its own */
    mime->line_owed = false;
    if (!mime->file_open)
        return;
    mime->file_open = false;
    mime->sink->file_end(mime->context, whole);
}

/* Is the line the boundary of one of the parts around? Inner ones first: an outer boundary ends what is within. */
static bool is_boundary(reef_mime *mime, reef_view line)
{
    if (line.length < 3 || line.data[0] != '-' || line.data[1] != '-')
        return false;
    for (unsigned depth = mime->depth; depth > 0; depth--) {
        const entity *part = &mime->stack[depth - 1];
        uint32_t length = part->boundary_length;
        if (length == 0 || line.length < 2 + length || memcmp(line.data + 2, part->boundary, length) != 0)
            continue;
        reef_view rest = {line.data + 2 + length, line.length - 2 - length};
        bool last = rest.length >= 2 && rest.data[0] == '-' && rest.data[1] == '-';
        if (!last && rest.length > 0 && rest.data[0] != ' ' && rest.data[0] != '\t')
            continue;
        if (mime->where == IN_HEADER)
            end_header(mime);
        end_body(mime, true);
        mime->depth = (uint8_t)depth;
        if (last) {
            mime->stack[depth - 1].boundary_length = 0;
            mime->where = BETWEEN;
        } else {
            (void)push(mime);
        }
        return true;
    }
    return false;
}

void reef_mime_line(reef_mime *mime, const reef_line *line)
{
    if (mime->failed || mime->where == OVER)
        return;
    if (line->begins) {
        mime->boundary_line = false;
        if (line->text.length > REEF_MIME_LINE_MAX)
            mime->anomalies |= REEF_MIME_LONG_LINE;
        if (mime->depth + (mime->stack[0].boundary_length > 0) > 1 && is_boundary(mime, line->text)) {
            mime->boundary_line = true;
            return;
        }
    } else if (mime->boundary_line) {
        return;
    }
    if (mime->where == IN_HEADER)
        header_line(mime, line);
    else if (mime->where == IN_BODY)
        body_line(mime, line);
}

void reef_mime_end(reef_mime *mime, bool whole)
{
    if (mime->where == OVER)
        return;
    if (mime->where == IN_HEADER)
        end_field(mime);
    end_body(mime, whole);
    mime->where = OVER;
    mime->failed = mime->failed || !whole;
}
