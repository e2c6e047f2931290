/* mime: a message (RFC 5322, 2045-2047, 2231) read line by line: header fields of the message, attachments decoded, URLs in
 * its texts. Streaming and bounded: nothing of a body is kept but the line at hand. */
#ifndef REEF_MIME_H
#define REEF_MIME_H

#include "lines.h"

typedef enum reef_mime_anomaly {
    REEF_MIME_MALFORMED = 1 << 0,
    REEF_MIME_INVALID_BASE64 = 1 << 1,
    REEF_MIME_INVALID_QP = 1 << 2,
    REEF_MIME_LONG_LINE = 1 << 3,
    REEF_MIME_LONG_ENCODED_LINE = 1 << 4,
    REEF_MIME_LONG_HEADER_NAME = 1 << 5,
    REEF_MIME_LONG_HEADER_VALUE = 1 << 6,
    REEF_MIME_LONG_BOUNDARY = 1 << 7,
    REEF_MIME_LONG_FILENAME = 1 << 8,
} reef_mime_anomaly;

typedef enum reef_mime_status { REEF_MIME_HEADER, REEF_MIME_BODY, REEF_MIME_DONE, REEF_MIME_FAILED } reef_mime_status;

/* Where what is found goes; views are valid during the call. */
typedef struct reef_mime_sink {
    void (*header)(void *context, reef_view name, reef_view value); /* of the message itself, unfolded */
    void (*file_begin)(void *context, reef_view name);
    void (*file_bytes)(void *context, reef_view bytes);
    void (*file_end)(void *context, bool whole);
    void (*url)(void *context, reef_view url); /* without its scheme, lower case; may come more than once */
} reef_mime_sink;

typedef struct reef_mime reef_mime;

/* NULL: no memory. */
reef_mime *reef_mime_new(reef_memory *memory, const reef_mime_sink *sink, void *context);
/* The context lives elsewhere during this call. */
void reef_mime_context(reef_mime *mime, void *context);
void reef_mime_line(reef_mime *mime, const reef_line *line);
/* Hand on what was decoded so far: at the end of each chunk. */
void reef_mime_flush(reef_mime *mime);
/* `whole`: the message ends here; otherwise it was cut. */
void reef_mime_end(reef_mime *mime, bool whole);
reef_mime_status reef_mime_state(const reef_mime *mime);
unsigned reef_mime_anomalies(const reef_mime *mime);
void reef_mime_free(reef_mime *mime, reef_memory *memory);

/* --- header fields (mime_header.c) ----------------------------------------------------------------------- */

/* A parameter of a structured field: filename="a b.txt", and RFC 2231's filename*=UTF-8''a%20b.txt and filename*0=…
 * Writes at most `size` bytes; returns the full length, 0 when there is none. */
uint32_t reef_mime_parameter(reef_view field, const char *name, uint8_t *out, uint32_t size);
/* Does the field begin with this token (lower case)? */
bool reef_mime_is(reef_view field, const char *token);

/* --- decoding (mime_decode.c) ---------------------------------------------------------------------------- */

typedef struct reef_base64 { uint32_t bits; uint8_t count; bool ended; } reef_base64;

/* `out` holds 3 bytes for each 4 of `text` and 3 more. What is not of the alphabet is passed over. Returns the length. */
uint32_t reef_base64_decode(reef_base64 *state, reef_view text, uint8_t *out, bool *invalid);
/* What is left at the end of a part: at most 2 bytes. */
uint32_t reef_base64_end(reef_base64 *state, uint8_t *out);
/* One line (or piece); `out` holds as many bytes. A "=" at the end of a line joins it with the next: `joined`. */
uint32_t reef_quoted_decode(reef_view text, bool ends, uint8_t *out, bool *joined, bool *invalid);

/* URLs of one line of text, each to sink->url (mime_url.c). */
void reef_mime_urls(const reef_mime_sink *sink, void *context, reef_view line);

#endif
