/* http: what the files of the HTTP/1 parser share. How malformed messages are taken follows what browsers and servers do, as
 * libhtp 0.5 recorded it for Suricata: the same bytes must give the same buffers, or rules written for one miss in the other. */
#ifndef REEF_HTTP_INTERNAL_H
#define REEF_HTTP_INTERNAL_H

#include <string.h>

#include "inflate.h"
#include "reef/body.h"
#include "reef/limits.h"
#include "reef/pdu.h"
#include "reef/protocol.h"
#include "reef/tx_file.h"

/* Progress of either direction. */
enum { HTTP_NOT_STARTED, HTTP_LINE, HTTP_HEADERS, HTTP_BODY, HTTP_TRAILER, HTTP_COMPLETE };

/* app-layer-events; the order is that of http_event_names in http.c. */
typedef enum http_event {
    HTTP_EVENT_UNKNOWN_ERROR, HTTP_EVENT_GZIP_DECOMPRESSION_FAILED, HTTP_EVENT_REQUEST_FIELD_MISSING_COLON,
    HTTP_EVENT_RESPONSE_FIELD_MISSING_COLON, HTTP_EVENT_INVALID_REQUEST_CHUNK_LEN, HTTP_EVENT_INVALID_RESPONSE_CHUNK_LEN,
    HTTP_EVENT_INVALID_TRANSFER_ENCODING_VALUE_IN_REQUEST, HTTP_EVENT_INVALID_TRANSFER_ENCODING_VALUE_IN_RESPONSE,
    HTTP_EVENT_INVALID_CONTENT_LENGTH_FIELD_IN_REQUEST, HTTP_EVENT_INVALID_CONTENT_LENGTH_FIELD_IN_RESPONSE,
    HTTP_EVENT_DUPLICATE_CONTENT_LENGTH_FIELD_IN_REQUEST, HTTP_EVENT_DUPLICATE_CONTENT_LENGTH_FIELD_IN_RESPONSE,
    HTTP_EVENT_100_CONTINUE_ALREADY_SEEN, HTTP_EVENT_UNABLE_TO_MATCH_RESPONSE_TO_REQUEST,
    HTTP_EVENT_INVALID_SERVER_PORT_IN_REQUEST, HTTP_EVENT_INVALID_AUTHORITY_PORT, HTTP_EVENT_REQUEST_HEADER_INVALID,
    HTTP_EVENT_RESPONSE_HEADER_INVALID, HTTP_EVENT_MISSING_HOST_HEADER, HTTP_EVENT_HOST_HEADER_AMBIGUOUS,
    HTTP_EVENT_INVALID_REQUEST_FIELD_FOLDING, HTTP_EVENT_INVALID_RESPONSE_FIELD_FOLDING, HTTP_EVENT_REQUEST_FIELD_TOO_LONG,
    HTTP_EVENT_RESPONSE_FIELD_TOO_LONG, HTTP_EVENT_FILE_NAME_TOO_LONG, HTTP_EVENT_REQUEST_LINE_INVALID,
    HTTP_EVENT_REQUEST_BODY_UNEXPECTED, HTTP_EVENT_REQUEST_SERVER_PORT_TCP_PORT_MISMATCH, HTTP_EVENT_REQUEST_URI_HOST_INVALID,
    HTTP_EVENT_REQUEST_HEADER_HOST_INVALID, HTTP_EVENT_REQUEST_AUTH_UNRECOGNIZED, HTTP_EVENT_REQUEST_HEADER_REPETITION,
    HTTP_EVENT_RESPONSE_HEADER_REPETITION, HTTP_EVENT_DOUBLE_ENCODED_URI, HTTP_EVENT_URI_DELIM_NON_COMPLIANT,
    HTTP_EVENT_METHOD_DELIM_NON_COMPLIANT, HTTP_EVENT_REQUEST_LINE_LEADING_WHITESPACE, HTTP_EVENT_TOO_MANY_ENCODING_LAYERS,
    HTTP_EVENT_ABNORMAL_CE_HEADER, HTTP_EVENT_RESPONSE_MULTIPART_BYTERANGES, HTTP_EVENT_RESPONSE_ABNORMAL_TRANSFER_ENCODING,
    HTTP_EVENT_RESPONSE_CHUNKED_OLD_PROTO, HTTP_EVENT_RESPONSE_INVALID_PROTOCOL, HTTP_EVENT_RESPONSE_INVALID_STATUS,
    HTTP_EVENT_REQUEST_LINE_INCOMPLETE, HTTP_EVENT_LZMA_MEMLIMIT_REACHED, HTTP_EVENT_COMPRESSION_BOMB, HTTP_EVENT_RANGE_INVALID,
    HTTP_EVENT_REQUEST_CHUNK_EXTENSION, HTTP_EVENT_MULTIPART_GENERIC_ERROR, HTTP_EVENT_MULTIPART_NO_FILEDATA,
    HTTP_EVENT_MULTIPART_INVALID_HEADER, HTTP_EVENT_TOO_MANY_WARNINGS, HTTP_EVENT_FAILED_PROTOCOL_CHANGE,
    HTTP_EVENTS
} http_event;

/* Fields that the parser or a buffer asks for by name. */
typedef enum http_field {
    HTTP_FIELD_OTHER, HTTP_FIELD_HOST, HTTP_FIELD_COOKIE, HTTP_FIELD_ACCEPT, HTTP_FIELD_SERVER, HTTP_FIELD_EXPECT,
    HTTP_FIELD_REFERER, HTTP_FIELD_UPGRADE, HTTP_FIELD_LOCATION, HTTP_FIELD_CONNECTION, HTTP_FIELD_USER_AGENT,
    HTTP_FIELD_SET_COOKIE, HTTP_FIELD_CONTENT_TYPE, HTTP_FIELD_AUTHORIZATION, HTTP_FIELD_CONTENT_RANGE, HTTP_FIELD_CONTENT_LENGTH,
    HTTP_FIELD_ACCEPT_ENCODING, HTTP_FIELD_ACCEPT_LANGUAGE, HTTP_FIELD_X_FORWARDED_FOR, HTTP_FIELD_CONTENT_ENCODING,
    HTTP_FIELD_TRANSFER_ENCODING, HTTP_FIELD_CONTENT_DISPOSITION, HTTP_FIELDS
} http_field;

typedef struct http_header {
    reef_view name, value;
    uint16_t hash;  /* of the name, whatever its case */
    uint8_t field;  /* http_field */
    bool repeated;
} http_header;

typedef struct http_headers {
    http_header *list; /* in the transaction's arena, in the order of the first of each name */
    uint16_t count, capacity;
    uint16_t repetitions;
    uint64_t seen;     /* bits of the names' hashes */
    bool plain; /* the raw block is every "name: value\r\n" in this order, and an empty line: buffers are views of it */
    uint8_t at[HTTP_FIELDS]; /* index + 1 of the first such field among the first 255 */
} http_headers;

enum { /* method numbers that matter */
    HTTP_METHOD_UNKNOWN, HTTP_METHOD_OTHER, HTTP_METHOD_HEAD, HTTP_METHOD_PUT, HTTP_METHOD_POST, HTTP_METHOD_CONNECT,
};
enum { HTTP_PROTOCOL_INVALID = -2, HTTP_PROTOCOL_UNKNOWN = -1, HTTP_PROTOCOL_0_9 = 9, HTTP_PROTOCOL_1_0 = 100, HTTP_PROTOCOL_1_1 = 101 };
enum { HTTP_CODING_UNKNOWN, HTTP_CODING_NONE, HTTP_CODING_IDENTITY, HTTP_CODING_CHUNKED, HTTP_CODING_INVALID };
enum { HTTP_STATUS_UNKNOWN = 0, HTTP_STATUS_INVALID = -1 };

enum { /* what was said once of a transaction */
    HTTP_SAID_COLON = 0x01, HTTP_SAID_INVALID = 0x02, HTTP_SAID_FOLDING = 0x04, HTTP_SAID_BODY = 0x08,
};

typedef struct http_uri {
    reef_view host, port, path, query, fragment; /* `data` NULL: not there */
    int32_t port_number;                         /* -1: none, or none that is valid */
    bool host_invalid;
} http_uri;

/* A message: one direction of a transaction. */
typedef struct http_message {
    reef_view line;      /* without its end; `data` NULL: none yet */
    reef_view protocol;  /* as written */
    reef_view raw;       /* header lines with their ends, those of the trailer too */
    uint32_t raw_capacity;
    uint32_t lines_at;   /* of raw: the first byte of the line that is being read */
    reef_view pending;   /* a header that the next line may continue; `data` NULL: none */
    http_headers headers;
    int16_t protocol_number;
    uint8_t coding, said;
    uint8_t layers;      /* of content coding; the outermost first */
    uint8_t layer[REEF_HTTP_LAYERS_MAX]; /* reef_coding */
    bool trailer, file_begun, ended;
    bool broken;         /* the headers cannot be believed: only single fields are looked at */
    bool passed;         /* over the limit, a bomb, or nobody is told of it: nothing more is looked at */
    int64_t content_length;
    uint64_t message_length, entity_length; /* of the body: as sent, and decoded */
    uint64_t kept;       /* bytes of the entity that were given to body and file */
    reef_inflate *inflate;
    reef_body body;
    reef_tx_file *files, *file;
    reef_view header_buffer, names_buffer, start_buffer; /* made when they are asked for; `data` NULL: not yet */
    uint16_t buffers_count; /* of headers when they were made */
} http_message;

typedef struct http_multipart http_multipart;

enum { HTTP_BODY_UNKNOWN, HTTP_BODY_PLAIN, HTTP_BODY_FILE, HTTP_BODY_MULTIPART };

typedef struct http_tx {
    reef_transaction base;
    http_message message[2];
    reef_view method, uri_raw, uri, host, status, reason;
    reef_view host_lower, url_buffer;
    http_uri parsed;
    int32_t port;          /* of the authority, -1: none */
    int16_t status_number;
    uint8_t method_number, body_kind;
    bool short_form;       /* HTTP/0.9: neither protocol nor headers */
    bool host_missing, host_ambiguous, host_header_invalid, coding_invalid, length_invalid, auth_unrecognized;
    uint8_t continues;     /* interim responses seen */
    http_multipart *multipart;
} http_tx;

/* How a direction stands. */
enum { HTTP_OPEN, HTTP_CLOSED, HTTP_ERROR, HTTP_TUNNEL, HTTP_WAITS };

/* What a step of a state answers. */
typedef enum http_step { STEP_ON, STEP_DATA, STEP_HOLD, STEP_OTHER, STEP_ERROR } http_step;

typedef struct http_reader http_reader;
typedef http_step (*http_state)(http_reader *reader);

typedef struct http_side {
    http_state state;
    http_tx *tx;
    uint8_t *held;          /* the beginning of a line whose end has not come */
    uint32_t held_length, held_capacity;
    int64_t left;           /* of the body or the chunk */
    uint8_t status;
    bool closed;            /* the end was told */
    bool pdu_noted;         /* the stream as a whole was told of, for rules with `frame` */
    bool stop_at_end;       /* a refused CONNECT: wait for the client when this response is over */
} http_side;

typedef struct http_connection {
    http_side side[2];
    http_tx *waiting;       /* the oldest without a response */
    uint64_t responses;
} http_connection;

/* The bytes of one call, and where reading them is. */
struct http_reader {
    reef_call *call;
    http_connection *connection;
    http_side *side;
    uint64_t pdu_offset;    /* of the first byte of this call in its direction */
    int direction;
    const uint8_t *data;    /* NULL with a length: a gap */
    uint32_t length, read, taken; /* taken: begin of what is not used up */
    uint32_t copied_from;   /* headers: data[copied_from] lies at raw[raw_from] */
    uint32_t raw_from;
};

/* --- characters --------------------------------------------------------------------------------------- */

static inline bool http_is_space(int c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static inline bool http_is_blank(int c)
{
    return c == ' ' || c == '\t';
}

/* Does a line that begins with it belong to the one before? */
static inline bool http_folds(int c)
{
    return http_is_blank(c) || c == 0;
}

static inline uint8_t http_lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

static inline bool http_view_is(reef_view view, const char *text)
{
    size_t length = strlen(text);
    return view.length == length && memcmp(view.data, text, length) == 0;
}

bool http_equal_nocase(const uint8_t *a, const uint8_t *b, uint32_t length);
/* Whatever the case, and NULs left out, as browsers do. */
bool http_view_like(reef_view view, const char *text);
bool http_view_has(reef_view view, const char *text);

/* --- lines (http_line.c): pure ------------------------------------------------------------------------- */

uint32_t http_chomp(const uint8_t *data, uint32_t length);
uint8_t http_method_number(reef_view method);
int16_t http_protocol_number(reef_view protocol);
int16_t http_status_number(reef_view status);
int64_t http_number(const uint8_t *data, uint32_t length, unsigned base);
int64_t http_content_length(reef_view value);
enum { HTTP_CHUNK_EMPTY = -1004 };
int64_t http_chunk_length(const uint8_t *data, uint32_t length, bool *extension);
bool http_line_is_body(const uint8_t *data, uint32_t length);
bool http_line_ends_headers(const uint8_t *data, uint32_t length, bool no_end_follows);
/* Fills method, uri_raw and protocol of the transaction from its request line. */
void http_split_request_line(reef_call *call, http_tx *tx);
void http_split_response_line(reef_call *call, http_tx *tx);

/* --- URI (http_uri.c, http_bestfit.c) ------------------------------------------------------------------- */

bool http_uri_parse(http_tx *tx);
/* host:port; false: neither is there. */
void http_hostport(reef_view text, reef_view *host, reef_view *port, int32_t *number, bool *invalid);
bool http_host_valid(reef_view host);
uint8_t http_bestfit(uint32_t codepoint);

/* --- headers (http_header.c) ----------------------------------------------------------------------------- */

/* One field, folded lines joined, without its end. False: too many, or no memory. */
bool http_header_add(reef_call *call, http_tx *tx, int direction, reef_view line);
const http_header *http_header_get(const http_message *message, http_field field);

extern const reef_protocol reef_protocol_http2;

/* --- messages ---------------------------------------------------------------------------------------------- */

extern const reef_body_limits http_request_limits, http_response_limits;

http_tx *http_tx_new(http_reader *reader);
/* From the next byte on it is another protocol; NULL: found out anew. */
void http_change(http_reader *reader, http_tx *tx, const reef_protocol *protocol);
void http_tell(reef_call *call, http_tx *tx, http_event event);

/* Body as sent; decoded where it is coded. `bytes.data` NULL with a length: a gap. False: the connection is of no more use. */
bool http_body_bytes(reef_call *call, http_tx *tx, int direction, reef_view bytes);
void http_body_end(reef_call *call, http_tx *tx, int direction);
/* From the Content-Encoding. */
bool http_body_coding(reef_call *call, http_tx *tx, int direction);
void http_file_end(reef_call *call, http_tx *tx, int direction, reef_tx_file_state state);

/* --- multipart/form-data (http_multipart.c) ------------------------------------------------------------------ */

http_multipart *http_multipart_new(reef_call *call, http_tx *tx);
void http_multipart_bytes(reef_call *call, http_tx *tx, reef_view bytes);
void http_multipart_end(reef_call *call, http_tx *tx);
void http_multipart_free(reef_memory *memory, http_multipart *multipart);
/* The value of a parameter ("filename=") of a header's value; false: not there. */
bool http_parameter(reef_view value, const char *name, reef_view *out);

/* --- reading (http_reader.c) ----------------------------------------------------------------------------------- */

/* The line from what is held and what was read; false: too long. */
bool http_gather(http_reader *reader, reef_view *out);
bool http_hold(http_reader *reader);
/* The last `fresh` bytes are read anew; what was held before them stays. */
void http_ungather(http_reader *reader, uint32_t fresh);
void http_used(http_reader *reader);
/* Reads up to and with the next LF; false: there is none in these bytes (all are read then). */
bool http_read_line(http_reader *reader);
/* The same for the line of a chunk's length, which ends at once where no length begins. */
bool http_read_chunk_line(http_reader *reader);
static inline int http_peek(const http_reader *reader)
{
    return reader->read < reader->length ? reader->data[reader->read] : -1;
}

/* --- folded lines (http_fold.c) ---------------------------------------------------------------------------- */

/* The field that waits is over. */
bool http_field_take(http_reader *reader, int direction);
/* A line without its end that goes on with the field that waits, or may have lines that go on with it. */
bool http_field_wait(http_reader *reader, int direction, reef_view line);

/* A line of the head: nearly always a field that is known to be whole. False: too many, or no memory. */
static inline bool http_field_line(http_reader *reader, int direction, reef_view line)
{
    http_message *message = &reader->side->tx->message[direction];
    uint32_t whole = line.length;
    line.length = http_chomp(line.data, line.length);
    if (whole != line.length + 2 || line.data[line.length] != '\r')
        message->headers.plain = false;
    int next = http_peek(reader);
    if (message->pending.data == NULL && line.length > 0 && !http_folds(line.data[0]) && next != -1 && !http_folds(next))
        return http_header_add(reader->call, reader->side->tx, direction, line);
    return http_field_wait(reader, direction, line);
}

/* Header lines are read where they are kept: raw. */
bool http_raw_begin(http_reader *reader);
/* Further bytes at its end: a status line behind an interim response. */
bool http_raw_add(http_reader *reader, reef_view bytes);
bool http_raw_reach(http_reader *reader, uint32_t read);
void http_raw_end(http_reader *reader);
static inline uint32_t http_raw_at(const http_reader *reader)
{
    return reader->raw_from + (reader->read - reader->copied_from);
}

/* --- states (http_request.c, http_response.c, http_response_body.c) -------------------------------------------------------------------- */

http_step http_request_idle(http_reader *reader);
http_step http_request_line(http_reader *reader);
http_step http_request_line_over(http_reader *reader);
http_step http_request_finalize(http_reader *reader);
http_step http_request_identity(http_reader *reader);
http_step http_request_ignore(http_reader *reader);
http_step http_request_complete(http_connection *connection, reef_call *call, http_tx *tx);

http_step http_response_idle(http_reader *reader);
http_step http_response_line(http_reader *reader);
http_step http_response_headers(http_reader *reader);
http_step http_response_body(http_reader *reader);
http_step http_response_finalize(http_reader *reader);
http_step http_response_known(http_reader *reader);
http_step http_response_until_close(http_reader *reader);
http_step http_response_complete(http_reader *reader);

/* --- what is asked of transactions (http_buffers.c, http_eve.c) ----------------------------------------------------- */

enum { HTTP_BUFFERS = 51 };
extern const reef_protocol_buffer http_buffers[HTTP_BUFFERS];
bool http_buffer(const reef_session *session, const reef_transaction *transaction, int direction, unsigned kind, unsigned index,
                 reef_buffer *out);
bool http_value(const reef_session *session, const reef_transaction *transaction, int direction, unsigned kind, unsigned index,
                uint64_t *out);
bool http_write(const reef_session *session, const reef_transaction *transaction, reef_log which, reef_json *json);

/* A message begins here, and the one before it ends: for rules with `frame`. */
static inline void http_note_pdu(const http_reader *reader, unsigned kind)
{
    uint64_t offset = reader->pdu_offset + reader->read;
    if (!reader->call->pdus)
        return;
    reef_pdu_close(reader->call, reader->direction, kind, offset);
    reef_pdu_note(reader->call, reader->direction, kind, offset, REEF_PDU_OPEN_END);
}

#endif
