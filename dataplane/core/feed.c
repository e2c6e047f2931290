#include "reef/feed.h"

#include <stdlib.h>
#include <string.h>

#include "reef/protocol.h"
#include "reef/status.h"

_Static_assert(sizeof(reef_feed_record) == 104, "dataplane/watchfeed.py reads it");

struct reef_feed {
    uint8_t *data;
    size_t size, used;
    uint64_t lost, unsaid;
};

int reef_feed_new(size_t size, reef_feed **out)
{
    *out = NULL;
    if (size < REEF_EVE_LINE_MAX + 2 * sizeof(reef_feed_record) || size > REEF_FEED_MAX)
        return REEF_INVALID;
    reef_feed *feed = calloc(1, sizeof *feed);
    if (feed == NULL)
        return REEF_NOMEM;
    feed->data = malloc(size);
    if (feed->data == NULL) {
        free(feed);
        return REEF_NOMEM;
    }
    feed->size = size;
    *out = feed;
    return REEF_OK;
}

void reef_feed_free(reef_feed *feed)
{
    if (feed == NULL)
        return;
    free(feed->data);
    free(feed);
}

/* --- room ------------------------------------------------------------------------------------------ */

static void lose(reef_feed *feed)
{
    feed->lost++;
    feed->unsaid++;
}

/* A record, and behind it the text. */
static bool put(reef_feed *feed, const reef_feed_record *record, const char *text, size_t length, size_t size)
{
    if (feed->size - feed->used < size)
        return false;
    uint8_t *at = feed->data + feed->used;
    memcpy(at, record, sizeof *record);
    if (length > 0)
        memcpy(at + sizeof *record, text, length);
    memset(at + sizeof *record + length, 0, size - sizeof *record - length);
    feed->used += size;
    return true;
}

/* What was lost before is said first. */
static bool room(reef_feed *feed)
{
    if (feed->unsaid == 0)
        return true;
    reef_feed_record record = {.size = sizeof record, .kind = REEF_FED_LOST, .bytes = {feed->unsaid, 0}};
    if (!put(feed, &record, NULL, 0, sizeof record))
        return false;
    feed->unsaid = 0;
    return true;
}

/* --- what is fed ----------------------------------------------------------------------------------- */

static void add(reef_feed *feed, const reef_event *event, reef_fed kind, const char *line, size_t length)
{
    bool icmp = event->protocol == REEF_PROTO_ICMP || event->protocol == REEF_PROTO_ICMPV6;
    size_t size = (sizeof(reef_feed_record) + length + 7) / 8 * 8;
    if (size > UINT16_MAX) {
        lose(feed);
        return;
    }
    reef_feed_record record = {.size = (uint16_t)size,
                               .kind = (uint8_t)kind,
                               .version = event->version,
                               .protocol = event->protocol,
                               .app = event->app,
                               .flags = {event->tcp_flags[0], event->tcp_flags[1]},
                               .time_ns = event->time_ns,
                               .start_ns = event->start_ns != 0 ? event->start_ns : event->time_ns,
                               .flow_id = event->flow_id,
                               .client_port = event->source_port,
                               .server_port = icmp ? event->icmp_type : event->destination_port,
                               .interface = event->interface,
                               .bytes = {event->bytes[0], event->bytes[1]}};
    for (int d = 0; d < 2; d++)
        record.packets[d] = event->packets[d] > UINT32_MAX ? UINT32_MAX : (uint32_t)event->packets[d];
    memcpy(record.client, event->source, 16);
    memcpy(record.server, event->destination, 16);
    if (kind == REEF_FED_NEIGHBOUR) {
        memcpy(record.mac, event->other_address, 6);
        record.how = (uint8_t)event->code;
    }
    if (!room(feed) || !put(feed, &record, line, length, size))
        lose(feed);
}

static void add_record(reef_feed *feed, const reef_event *event, reef_fed kind)
{
    add(feed, event, kind, NULL, 0);
}

static const char *find(const char *line, size_t length, const char *words)
{
    return memmem(line, length, words, strlen(words));
}

static bool is_of(const reef_event *event, const char *type)
{
    const reef_protocol *protocol = reef_protocol_by_number(event->app);
    return protocol != NULL && protocol->event_type != NULL && strcmp(protocol->event_type, type) == 0;
}

/* Was something like a login sent? What pages for it are called, as guessing programs look for them. */
static bool posts_login(const char *line, size_t length)
{
    static const char *const words[] = {"login", "signin", "sign-in", "logon", "auth", "xmlrpc", "session"};
    const char *url = find(line, length, "\"http_method\":\"POST\"") == NULL ? NULL : find(line, length, "\"url\":\"");
    if (url == NULL)
        return false;
    url += 7;
    const char *end = memchr(url, '"', (size_t)(line + length - url));
    for (size_t i = 0; end != NULL && i < sizeof words / sizeof words[0]; i++)
        if (find(url, (size_t)(end - url), words[i]) != NULL)
            return true;
    return false;
}

/* There are many of these: what came of it is enough. */
static void add_http(reef_feed *feed, const reef_event *event, const char *line, size_t length)
{
    reef_event outcome = *event;
    const char *status = find(line, length, "\"status\":");
    uint64_t code = 0;
    for (status = status == NULL ? NULL : status + 9; status != NULL && *status >= '0' && *status <= '9' && code < 1000; status++)
        code = code * 10 + (uint64_t)(*status - '0');
    outcome.bytes[0] = code;
    outcome.bytes[1] = code != 0 && posts_login(line, length);
    if (code != 0)
        add_record(feed, &outcome, REEF_FED_HTTP);
}

/* Transactions that a detection reads (dataplane/watchfeed.py). */
static bool is_wanted(const reef_event *event, const char *line, size_t length)
{
    static const char *const all[] = {"dns", "dhcp", "sip", "krb5", "ike"};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (is_of(event, all[i]))
            return true;
    return (is_of(event, "ftp") && find(line, length, "\"command\":\"PASS\"") != NULL) ||
           (is_of(event, "smb") && find(line, length, "SESSION_SETUP") != NULL);
}

void reef_feed_event(reef_feed *feed, const reef_event *event, const char *text, const char *line, size_t length, bool refused)
{
    switch (event->kind) {
    case REEF_EVENT_CONVERSATION:
        add_record(feed, event, (reef_fed)event->code);
        break;
    case REEF_EVENT_NEIGHBOUR:
        add(feed, event, REEF_FED_NEIGHBOUR, text, event->text_length);
        break;
    case REEF_EVENT_LOG:
        if (refused && event->version != 0)
            add_record(feed, event, REEF_FED_REFUSED);
        break;
    case REEF_EVENT_TRANSACTION:
        if (length > 0 && is_of(event, "http"))
            add_http(feed, event, line, length);
        else if (length > 0 && is_wanted(event, line, length))
            add(feed, event, REEF_FED_LINE, line, length);
        break;
    default:
        break;
    }
}

const uint8_t *reef_feed_data(const reef_feed *feed, size_t *size)
{
    *size = feed->used;
    return feed->data;
}

void reef_feed_empty(reef_feed *feed)
{
    feed->used = 0;
}

uint64_t reef_feed_lost(const reef_feed *feed)
{
    return feed->lost;
}
