/* DHCP and BOOTP (RFC 2131, 2132): each message is a transaction of its own. */
#include <string.h>

#include "reef/bytes.h"
#include "reef/limits.h"
#include "reef/protocol.h"

enum { TRUNCATED_OPTIONS, MALFORMED_OPTIONS, EVENTS_COUNT };

static const char *const event_names[EVENTS_COUNT] = {"truncated_options", "malformed_options"};

enum { FIXED = 236, COOKIE = 4, MAGIC = 0x63825363 };
enum { REQUEST = 1, REPLY = 2 };
enum { AT_CLIENT = 12, AT_YOUR = 16, AT_NEXT = 20, AT_RELAY = 24, AT_HARDWARE = 28 };

/* Options that are looked at. */
enum {
    OPTION_PAD = 0,
    OPTION_SUBNET_MASK = 1,
    OPTION_ROUTERS = 3,
    OPTION_DNS_SERVERS = 6,
    OPTION_HOSTNAME = 12,
    OPTION_REQUESTED_IP = 50,
    OPTION_LEASE_TIME = 51,
    OPTION_TYPE = 53,
    OPTION_SERVER_ID = 54,
    OPTION_PARAMETERS = 55,
    OPTION_RENEWAL_TIME = 58,
    OPTION_REBINDING_TIME = 59,
    OPTION_VENDOR_CLASS = 60,
    OPTION_CLIENT_ID = 61,
    OPTION_END = 255,
};

enum { TYPE_ACK = 5 };

typedef struct dhcp_transaction {
    reef_transaction common;
    uint8_t direction;
    reef_view message;
} dhcp_transaction;

static bool is_dhcp(reef_view bytes)
{
    return bytes.length >= FIXED + COOKIE && (bytes.data[0] == REQUEST || bytes.data[0] == REPLY) && reef_be32(bytes.data + FIXED) == MAGIC;
}

static reef_guess probe(const reef_probe *probe)
{
    bool port = probe->server_port == 67 || probe->server_port == 68 || probe->client_port == 67 || probe->client_port == 68;
    return port && is_dhcp(probe->bytes) ? REEF_GUESS_YES : REEF_GUESS_NO;
}

/* The option at *at, which moves on; false: there is none more. */
static bool next_option(reef_view message, uint32_t *at, uint8_t *code, reef_view *value, bool *cut)
{
    while (*at < message.length && message.data[*at] == OPTION_PAD)
        (*at)++;
    *cut = false;
    if (*at >= message.length || message.data[*at] == OPTION_END)
        return false;
    if (*at + 2 > message.length || message.data[*at + 1] > message.length - *at - 2) {
        *cut = true;
        return false;
    }
    *code = message.data[*at];
    *value = (reef_view){message.data + *at + 2, message.data[*at + 1]};
    *at += 2 + value->length;
    return true;
}

static bool option(reef_view message, uint8_t wanted, uint32_t least, reef_view *value)
{
    uint32_t at = FIXED + COOKIE;
    uint8_t code;
    bool cut;
    while (next_option(message, &at, &code, value, &cut))
        if (code == wanted && value->length >= least)
            return true;
    return false;
}

static bool is_malformed(uint8_t code, reef_view value)
{
    switch (code) {
    case OPTION_TYPE: return value.length != 1;
    case OPTION_LEASE_TIME: case OPTION_RENEWAL_TIME: case OPTION_REBINDING_TIME: return value.length < 4;
    case OPTION_CLIENT_ID: return value.length < 2;
    default: return false;
    }
}

static bool bytes(reef_call *call, int direction, const reef_chunk *chunk)
{
    reef_view message = chunk->bytes;
    if (!is_dhcp(message))
        return true;
    dhcp_transaction *transaction = (dhcp_transaction *)reef_transaction_new(call);
    if (transaction == NULL)
        return false;
    transaction->direction = (uint8_t)direction;
    transaction->message.data = reef_arena_copy(&transaction->common.arena, message.data, message.length);
    transaction->message.length = transaction->message.data != NULL ? message.length : 0;
    uint32_t at = FIXED + COOKIE;
    uint8_t code;
    reef_view value;
    bool cut, malformed = false;
    while (next_option(message, &at, &code, &value, &cut))
        malformed = malformed || is_malformed(code, value);
    if (malformed)
        reef_transaction_event(call, &transaction->common, MALFORMED_OPTIONS);
    if (cut || at >= message.length)
        reef_transaction_event(call, &transaction->common, TRUNCATED_OPTIONS);
    reef_transaction_progress(&transaction->common, REEF_TO_SERVER, 1);
    reef_transaction_progress(&transaction->common, REEF_TO_CLIENT, 1);
    return true;
}

/* --- what rules and events see ------------------------------------------------------------------------------- */

static bool buffer(const reef_session *session, const reef_transaction *common, int direction, unsigned kind, unsigned index,
                   reef_buffer *out)
{
    (void)session, (void)common, (void)direction, (void)kind, (void)index, (void)out;
    return false;
}

static bool value(const reef_session *session, const reef_transaction *common, int direction, unsigned kind, unsigned index,
                  uint64_t *out)
{
    const dhcp_transaction *transaction = (const dhcp_transaction *)common;
    uint8_t code = kind == REEF_VALUE_DHCP_LEASETIME        ? OPTION_LEASE_TIME
                   : kind == REEF_VALUE_DHCP_REBINDING_TIME ? OPTION_REBINDING_TIME
                   : kind == REEF_VALUE_DHCP_RENEWAL_TIME   ? OPTION_RENEWAL_TIME
                                                            : OPTION_PAD;
    reef_view text;
    (void)session;
    if (code == OPTION_PAD || index > 0 || direction != transaction->direction || transaction->message.length == 0 ||
        !option(transaction->message, code, 4, &text))
        return false;
    *out = reef_be32(text.data);
    return true;
}

static void write_mac(reef_json *json, const char *key, const uint8_t *data, uint32_t length)
{
    char text[3 * 16 + 1];
    uint32_t n = 0;
    for (uint32_t i = 0; i < length && i < 16; i++) {
        text[n++] = "0123456789abcdef"[data[i] >> 4];
        text[n++] = "0123456789abcdef"[data[i] & 15];
        text[n++] = ':';
    }
    text[n > 0 ? n - 1 : 0] = 0;
    reef_json_text(json, key, text);
}

static void write_addresses(reef_json *json, const char *key, reef_view value)
{
    reef_json_open(json, key, '[');
    for (uint32_t at = 0; at + 4 <= value.length && at < 4 * REEF_DHCP_LIST_MAX; at += 4)
        reef_json_address(json, NULL, 4, value.data + at);
    reef_json_close(json, ']');
}

static const char *parameter_name(uint8_t code)
{
    switch (code) {
    case OPTION_SUBNET_MASK: return "subnet_mask";
    case OPTION_ROUTERS: return "router";
    case OPTION_DNS_SERVERS: return "dns_server";
    case 15: return "domain";
    case 35: return "arp_timeout";
    case 42: return "ntp_server";
    case 66: return "tftp_server_name";
    case 150: return "tftp_server_ip";
    default: return NULL;
    }
}

static void write_parameters(reef_json *json, reef_view value)
{
    bool open = false;
    for (uint32_t i = 0; i < value.length; i++) {
        const char *name = parameter_name(value.data[i]);
        if (name == NULL)
            continue;
        if (!open)
            reef_json_open(json, "params", '[');
        open = true;
        reef_json_text(json, NULL, name);
    }
    if (open)
        reef_json_close(json, ']');
}

static void write_option(reef_json *json, uint8_t code, reef_view value)
{
    static const char *const types[] = {"unknown", "discover", "offer", "request", "decline", "ack", "nak", "release", "inform"};
    switch (code) {
    case OPTION_SUBNET_MASK:
        if (value.length == 4)
            reef_json_address(json, "subnet_mask", 4, value.data);
        break;
    case OPTION_REQUESTED_IP:
        if (value.length == 4)
            reef_json_address(json, "requested_ip", 4, value.data);
        break;
    case OPTION_ROUTERS:
        if (value.length >= 4)
            write_addresses(json, "routers", value);
        break;
    case OPTION_DNS_SERVERS:
        if (value.length >= 4)
            write_addresses(json, "dns_servers", value);
        break;
    case OPTION_HOSTNAME: reef_json_bytes(json, "hostname", value.data, value.length, REEF_DHCP_TEXT_MAX); break;
    case OPTION_VENDOR_CLASS: reef_json_bytes(json, "vendor_class_identifier", value.data, value.length, REEF_DHCP_TEXT_MAX); break;
    case OPTION_TYPE:
        if (value.length == 1)
            reef_json_text(json, "dhcp_type", types[value.data[0] < sizeof types / sizeof types[0] ? value.data[0] : 0]);
        break;
    case OPTION_LEASE_TIME:
        if (value.length >= 4)
            reef_json_number(json, "lease_time", reef_be32(value.data));
        break;
    case OPTION_RENEWAL_TIME:
        if (value.length >= 4)
            reef_json_number(json, "renewal_time", reef_be32(value.data));
        break;
    case OPTION_REBINDING_TIME:
        if (value.length >= 4)
            reef_json_number(json, "rebinding_time", reef_be32(value.data));
        break;
    case OPTION_CLIENT_ID:
        if (value.length >= 2)
            write_mac(json, "client_id", value.data + 1, value.length - 1);
        break;
    case OPTION_PARAMETERS: write_parameters(json, value); break;
    default: break;
    }
}

static bool write(const reef_session *session, const reef_transaction *common, reef_log which, reef_json *json)
{
    const reef_view message = ((const dhcp_transaction *)common)->message;
    reef_view type;
    (void)session;
    if (message.length == 0)
        return false;
    /* As Suricata without `extended`: what was handed out, not each step on the way. */
    if (which != REEF_LOG_ALERT && !(option(message, OPTION_TYPE, 1, &type) && type.data[0] == TYPE_ACK))
        return false;
    bool request = message.data[0] == REQUEST;
    reef_json_text(json, "type", request ? "request" : "reply");
    reef_json_number(json, "id", reef_be32(message.data + 4));
    write_mac(json, "client_mac", message.data + AT_HARDWARE, message.data[2] <= 16 ? message.data[2] : 16);
    reef_json_address(json, "assigned_ip", 4, message.data + AT_YOUR);
    if (request) {
        reef_json_address(json, "client_ip", 4, message.data + AT_CLIENT);
    } else {
        reef_json_address(json, "relay_ip", 4, message.data + AT_RELAY);
        reef_json_address(json, "next_server_ip", 4, message.data + AT_NEXT);
    }
    uint64_t seen = 0; /* a key twice is no JSON */
    uint32_t at = FIXED + COOKIE;
    uint8_t code;
    reef_view text;
    bool cut;
    while (next_option(message, &at, &code, &text, &cut)) {
        if (code >= 64 || seen >> code & 1)
            continue;
        seen |= UINT64_C(1) << code;
        write_option(json, code, text);
    }
    return true;
}

extern const reef_protocol reef_protocol_dhcp;
const reef_protocol reef_protocol_dhcp = {
    .name = "dhcp",
    .event_type = "dhcp",
    .transport = REEF_PROTO_UDP,
    .complete = {1, 1},
    .transaction_size = sizeof(dhcp_transaction),
    .probe = probe,
    .bytes = bytes,
    .buffer = buffer,
    .value = value,
    .events = event_names,
    .events_count = EVENTS_COUNT,
    .write = write,
};
