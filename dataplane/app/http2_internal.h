/* http2: what the files of the HTTP/2 parser share (RFC 9113). Field compression is left to nghttp2. */
#ifndef REEF_HTTP2_INTERNAL_H
#define REEF_HTTP2_INTERNAL_H

#include <nghttp2/nghttp2.h>

#include "inflate.h"
#include "reef/body.h"
#include "reef/limits.h"
#include "reef/protocol.h"
#include "reef/tx_file.h"

/* Progress of a direction. */
enum { HTTP2_NOT_STARTED, HTTP2_OPEN, HTTP2_HEADERS, HTTP2_COMPLETE };

typedef enum http2_event {
    HTTP2_EVENT_INVALID_FRAME_HEADER, HTTP2_EVENT_INVALID_CLIENT_MAGIC, HTTP2_EVENT_INVALID_FRAME_DATA, HTTP2_EVENT_INVALID_HEADER,
    HTTP2_EVENT_INVALID_FRAME_LENGTH, HTTP2_EVENT_EXTRA_HEADER_DATA, HTTP2_EVENT_LONG_FRAME_DATA, HTTP2_EVENT_STREAM_ID_REUSE,
    HTTP2_EVENT_INVALID_HTTP1_SETTINGS, HTTP2_EVENT_FAILED_DECOMPRESSION, HTTP2_EVENT_INVALID_RANGE,
    HTTP2_EVENT_HEADER_INTEGER_OVERFLOW, HTTP2_EVENT_TOO_MANY_STREAMS, HTTP2_EVENT_AUTHORITY_HOST_MISMATCH,
    HTTP2_EVENT_USERINFO_IN_URI, HTTP2_EVENT_REASSEMBLY_LIMIT_REACHED,
    HTTP2_EVENTS
} http2_event;

enum { /* frame types */
    HTTP2_DATA = 0, HTTP2_FIELDS = 1, HTTP2_PRIORITY = 2, HTTP2_RST_STREAM = 3, HTTP2_SETTINGS = 4, HTTP2_PUSH_PROMISE = 5,
    HTTP2_PING = 6, HTTP2_GOAWAY = 7, HTTP2_WINDOW_UPDATE = 8, HTTP2_CONTINUATION = 9, HTTP2_FRAME_TYPES = 10,
};

typedef struct http2_field { reef_view name, value; } http2_field;

typedef struct http2_message {
    http2_field *list; /* in the transaction's arena */
    uint16_t count, capacity;
    uint16_t types;    /* frames seen: bits 1 << type */
    bool has_error, has_priority, has_window, ended;
    uint8_t priority;
    uint32_t error, window;
    uint32_t setting[REEF_HTTP2_SETTINGS_MAX + 1];
    uint8_t settings;  /* bits 1 << id of those that were sent */
    uint8_t layer;     /* 1 + reef_coding of the body */
    bool passed;
    uint64_t kept, length;
    reef_inflate *inflate;
    reef_body body;
    reef_tx_file *files, *file;
    reef_view header_buffer, names_buffer, line_buffer, host_buffer; /* made when they are asked for */
} http2_message;

typedef struct http2_tx {
    reef_transaction base;
    uint32_t stream;
    http2_message message[2];
} http2_tx;

typedef struct http2_side {
    uint8_t *held;          /* the beginning of a frame */
    uint32_t held_length, held_capacity;
    uint32_t pass;          /* bytes of a frame's end that nobody looks at */
    uint32_t data_left;     /* of a DATA frame that is being read */
    uint32_t data_stream;
    uint32_t data_padding;
    uint8_t data_flags;
    bool begun;             /* the client's magic was seen */
    nghttp2_hd_inflater *fields;
    uint32_t table;         /* bytes that its table may have */
    uint32_t block_stream;  /* of a header block whose end has not come; 0: none */
    uint8_t block_flags;
} http2_side;

typedef struct http2_connection {
    nghttp2_mem memory;
    http2_side side[2];
} http2_connection;

void http2_tell(reef_call *call, http2_tx *tx, http2_event event);

/* DATA of a stream (http2_body.c). */
void http2_body_bytes(reef_call *call, http2_tx *tx, int direction, reef_view bytes);
void http2_body_end(reef_call *call, http2_tx *tx, int direction, reef_tx_file_state state);

/* The value of a field; false: it is not there. */
bool http2_field_get(const http2_message *message, const char *name, reef_view *out);

enum { HTTP2_BUFFERS = 46 };
extern const reef_protocol_buffer http2_buffers[HTTP2_BUFFERS];
extern const reef_body_limits http2_request_limits, http2_response_limits;
bool http2_buffer(const reef_session *session, const reef_transaction *transaction, int direction, unsigned kind, unsigned index,
                  reef_buffer *out);
bool http2_value(const reef_session *session, const reef_transaction *transaction, int direction, unsigned kind, unsigned index,
                 uint64_t *out);
bool http2_write(const reef_session *session, const reef_transaction *transaction, reef_log which, reef_json *json);

#endif
