/* HTTP: transactions as text. */
#include "http_internal.h"

static void bytes(reef_json *json, const char *key, reef_view view)
{
    if (view.data != NULL)
        reef_json_bytes(json, key, view.data, view.length, REEF_HTTP_FIELD_MAX);
}

static void field(reef_json *json, const char *key, const http_message *message, http_field wanted)
{
    const http_header *header = http_header_get(message, wanted);
    if (header != NULL)
        bytes(json, key, header->value);
}

static void content_type(reef_json *json, const http_message *response)
{
    const http_header *header = http_header_get(response, HTTP_FIELD_CONTENT_TYPE);
    if (header == NULL)
        return;
    reef_view value = header->value;
    const uint8_t *end = memchr(value.data, ';', value.length);
    if (end != NULL)
        value.length = (uint32_t)(end - value.data);
    bytes(json, "http_content_type", value);
}

static void range_number(reef_json *json, const char *key, const uint8_t *from, const uint8_t *to)
{
    int64_t number = http_number(from, (uint32_t)(to - from), 10);
    if (number >= 0)
        reef_json_number(json, key, (uint64_t)number);
}

static void content_range(reef_json *json, const http_message *response)
{
    const http_header *header = http_header_get(response, HTTP_FIELD_CONTENT_RANGE);
    if (header == NULL)
        return;
    reef_view value = header->value;
    reef_json_open(json, "content_range", '{');
    bytes(json, "raw", value);
    const uint8_t *end = value.data + value.length, *unit = memchr(value.data, ' ', value.length);
    const uint8_t *slash = memchr(value.data, '/', value.length);
    if (unit != NULL && slash != NULL && unit < slash) {
        const uint8_t *dash = memchr(unit, '-', (size_t)(slash - unit));
        if (dash != NULL) {
            range_number(json, "start", unit + 1, dash);
            range_number(json, "end", dash + 1, slash);
        }
        range_number(json, "size", slash + 1, end);
    }
    reef_json_close(json, '}');
}

static void status(reef_json *json, const http_tx *tx)
{
    if (tx->status.data == NULL)
        return;
    uint64_t number = 0;
    for (uint32_t i = 0; i < tx->status.length && tx->status.data[i] >= '0' && tx->status.data[i] <= '9' && i < 9; i++)
        number = number * 10 + (tx->status.data[i] - '0');
    reef_json_number(json, "status", number);
    field(json, "redirect", &tx->message[REEF_TO_CLIENT], HTTP_FIELD_LOCATION);
}

bool http_write(const reef_session *session, const reef_transaction *transaction, reef_log which, reef_json *json)
{
    (void)session;
    (void)which;
    const http_tx *tx = (const http_tx *)transaction;
    const http_message *request = &tx->message[REEF_TO_SERVER], *response = &tx->message[REEF_TO_CLIENT];
    bytes(json, "hostname", tx->host);
    if (tx->port >= 0)
        reef_json_number(json, "http_port", (uint64_t)tx->port);
    bytes(json, "url", tx->uri_raw);
    field(json, "http_user_agent", request, HTTP_FIELD_USER_AGENT);
    field(json, "xff", request, HTTP_FIELD_X_FORWARDED_FOR);
    content_type(json, response);
    content_range(json, response);
    field(json, "http_refer", request, HTTP_FIELD_REFERER);
    bytes(json, "http_method", tx->method);
    bytes(json, "protocol", request->protocol);
    status(json, tx);
    reef_json_number(json, "length", response->message_length);
    return true;
}
