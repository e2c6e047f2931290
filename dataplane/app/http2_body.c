/* HTTP/2: bodies as files. */
#include <string.h>

#include "http2_internal.h"

const reef_body_limits http2_request_limits = {.limit = REEF_HTTP_BODY_MAX, .minimal = 32u << 10, .window = 4u << 10};
const reef_body_limits http2_response_limits = {.limit = REEF_HTTP_BODY_MAX, .minimal = 40u << 10, .window = 16u << 10};

static const reef_body_limits *limits_of(int direction)
{
    return direction == REEF_TO_SERVER ? &http2_request_limits : &http2_response_limits;
}

static bool entity(reef_call *call, http2_tx *tx, int direction, reef_view bytes)
{
    http2_message *message = &tx->message[direction];
    if (message->kept >= REEF_HTTP_BODY_MAX) {
        message->passed = true;
        reef_tx_file_end(call, &tx->base, message->file, REEF_TX_FILE_TRUNCATED);
        return false;
    }
    if (bytes.length > REEF_HTTP_BODY_MAX - message->kept)
        bytes.length = (uint32_t)(REEF_HTTP_BODY_MAX - message->kept);
    message->kept += bytes.length;
    if (message->file == NULL) {
        reef_view name = {(const uint8_t *)"", 0};
        (void)http2_field_get(&tx->message[REEF_TO_SERVER], ":path", &name);
        message->file = reef_tx_file_begin(call, &tx->base, direction, &message->files, name, NULL);
    }
    if (call->files != NULL && !reef_files_wants(call->files)->data)
        message->body.size += bytes.length;
    else if (reef_body_add(&message->body, call->memory, limits_of(direction), bytes))
        reef_transaction_window(&tx->base, direction);
    reef_tx_file_bytes(call, &tx->base, message->file, bytes);
    return true;
}

typedef struct decoded {
    reef_call *call;
    http2_tx *tx;
    int direction;
} decoded;

static bool take_decoded(void *context, reef_view bytes)
{
    const decoded *to = context;
    return entity(to->call, to->tx, to->direction, bytes);
}

static bool is(reef_view view, const char *text)
{
    return view.length == strlen(text) && memcmp(view.data, text, view.length) == 0;
}

static void find_coding(http2_message *message)
{
    reef_view coding;
    if (!http2_field_get(message, "content-encoding", &coding))
        return;
    if (is(coding, "gzip"))
        message->layer = 1 + REEF_CODING_GZIP;
    else if (is(coding, "deflate"))
        message->layer = 1 + REEF_CODING_DEFLATE;
    else if (is(coding, "br"))
        message->layer = 1 + REEF_CODING_BROTLI;
}

void http2_body_bytes(reef_call *call, http2_tx *tx, int direction, reef_view bytes)
{
    http2_message *message = &tx->message[direction];
    if (message->length == 0)
        find_coding(message);
    message->length += bytes.length;
    if (message->kept == 0 && !reef_files_wanted(call))
        message->passed = true;
    if (message->passed || message->ended)
        return;
    if (message->layer != 0 && message->inflate == NULL) {
        message->inflate = reef_inflate_new(call->memory, (reef_coding)(message->layer - 1));
        if (message->inflate == NULL)
            message->layer = 0;
    }
    if (message->layer == 0) {
        (void)entity(call, tx, direction, bytes);
        return;
    }
    decoded to = {call, tx, direction};
    bool failed = false;
    reef_inflate_bytes(message->inflate, bytes, take_decoded, &to, &failed);
    if (failed)
        http2_tell(call, tx, HTTP2_EVENT_FAILED_DECOMPRESSION);
}

void http2_body_end(reef_call *call, http2_tx *tx, int direction, reef_tx_file_state state)
{
    http2_message *message = &tx->message[direction];
    reef_inflate_free(call->memory, message->inflate);
    message->inflate = NULL;
    message->layer = 0;
    if (message->length > 0 && reef_body_end(&message->body, limits_of(direction)))
        reef_transaction_window(&tx->base, direction);
    reef_tx_file_end(call, &tx->base, message->file, state);
}
