#include "reef/flowlog.h"

#include <stdlib.h>
#include <string.h>

#include "flowlog_internal.h"
#include "reef/status.h"

#define MARK_RULE 0x0003ffffu /* appliance/policy/compiling/bundle.py */
#define GATEWAY_ZONE "gateway"  /* appliance/policy/model.py: the box itself */

enum { HOOK_INPUT = 1, HOOK_OUTPUT = 3 }; /* enum nf_inet_hooks */

/* --- keyed hash: SipHash-1-3 over words ----------------------------------------------------------------- */

#define ROTATE(x, b) ((x) << (b) | (x) >> (64 - (b)))
#define ROUND                                                                                   \
    do {                                                                                        \
        v0 += v1, v1 = ROTATE(v1, 13), v1 ^= v0, v0 = ROTATE(v0, 32);                           \
        v2 += v3, v3 = ROTATE(v3, 16), v3 ^= v2;                                                \
        v0 += v3, v3 = ROTATE(v3, 21), v3 ^= v0;                                                \
        v2 += v1, v1 = ROTATE(v1, 17), v1 ^= v2, v2 = ROTATE(v2, 32);                           \
    } while (0)

static uint64_t hash_words(const uint64_t seed[2], const uint64_t *words, size_t count)
{
    uint64_t v0 = seed[0] ^ 0x736f6d6570736575u, v1 = seed[1] ^ 0x646f72616e646f6du;
    uint64_t v2 = seed[0] ^ 0x6c7967656e657261u, v3 = seed[1] ^ 0x7465646279746573u;
    for (size_t i = 0; i < count; i++) {
        v3 ^= words[i];
        ROUND;
        v0 ^= words[i];
    }
    v2 ^= 0xff;
    ROUND;
    ROUND;
    ROUND;
    return v0 ^ v1 ^ v2 ^ v3;
}

/* --- the table ------------------------------------------------------------------------------------------ */

static uint32_t slots_for(uint32_t entries)
{
    uint32_t slots = 64;
    while (slots < entries * 2)
        slots *= 2;
    return slots;
}

int reef_flowlog_new(uint32_t rows, const uint64_t seed[2], reef_flowlog **out)
{
    *out = NULL;
    if (rows == 0 || rows > REEF_FLOW_ROWS_MAX)
        return REEF_INVALID;
    reef_flowlog *log = calloc(1, sizeof *log);
    if (log == NULL)
        return REEF_NOMEM;
    memcpy(log->seed, seed, sizeof log->seed);
    log->rows_max = rows;
    log->addresses_max = rows * 3; /* a row brings three at most */
    log->row_slots = slots_for(rows);
    log->address_slots = slots_for(log->addresses_max);
    log->name_slots = slots_for(REEF_FLOW_NAMES_MAX);
    log->row = calloc(rows, sizeof *log->row);
    log->row_at = calloc(log->row_slots, sizeof *log->row_at);
    log->address = calloc(log->addresses_max, sizeof *log->address);
    log->address_at = calloc(log->address_slots, sizeof *log->address_at);
    log->name = calloc(REEF_FLOW_NAMES_MAX, sizeof *log->name);
    log->name_at = calloc(log->name_slots, sizeof *log->name_at);
    if (!log->row || !log->row_at || !log->address || !log->address_at || !log->name || !log->name_at) {
        reef_flowlog_free(log);
        return REEF_NOMEM;
    }
    *out = log;
    return REEF_OK;
}

static void forget_names(reef_flowlog *log)
{
    for (uint32_t i = 0; i < log->names; i++)
        free(log->name[i]);
    log->names = 0;
}

void reef_flowlog_free(reef_flowlog *log)
{
    if (log == NULL)
        return;
    forget_names(log);
    free(log->row);
    free(log->row_at);
    free(log->address);
    free(log->address_at);
    free(log->name);
    free(log->name_at);
    free(log);
}

void reef_flowlog_empty(reef_flowlog *log)
{
    forget_names(log);
    memset(log->row_at, 0, log->row_slots * sizeof *log->row_at);
    memset(log->address_at, 0, log->address_slots * sizeof *log->address_at);
    memset(log->name_at, 0, log->name_slots * sizeof *log->name_at);
    log->rows = log->addresses = 0;
    log->lost = 0;
}

void reef_flowlog_sum(const reef_flowlog *log, reef_flow_sum *sum)
{
    *sum = (reef_flow_sum){.rows = log->rows, .addresses = log->addresses, .names = log->names, .lost = log->lost};
    for (uint32_t i = 0; i < log->rows; i++) {
        const flow_row *row = &log->row[i];
        sum->flows += row->count;
        if (i == 0 || row->minute < sum->first)
            sum->first = row->minute;
        if (row->minute > sum->last)
            sum->last = row->minute;
    }
}

/* The number of an address or a name, given when it is new; UINT32_MAX when there is no room. */
static uint32_t number_of_address(reef_flowlog *log, unsigned version, const uint8_t address[16])
{
    flow_address key = {{0}, (uint8_t)version};
    memcpy(key.bytes, address, version == 4 ? 4 : 16);
    uint64_t words[3] = {0, 0, version};
    memcpy(words, key.bytes, 16);
    uint32_t mask = log->address_slots - 1;
    for (uint32_t i = (uint32_t)hash_words(log->seed, words, 3) & mask;; i = (i + 1) & mask) {
        if (log->address_at[i] == 0) {
            if (log->addresses == log->addresses_max)
                return UINT32_MAX;
            log->address[log->addresses] = key;
            log->address_at[i] = ++log->addresses;
            return log->addresses - 1;
        }
        if (memcmp(&log->address[log->address_at[i] - 1], &key, sizeof key) == 0)
            return log->address_at[i] - 1;
    }
}

static uint32_t number_of_name(reef_flowlog *log, const char *name)
{
    char text[REEF_NAME_MAX] = {0};
    size_t length = strnlen(name, REEF_NAME_MAX - 1);
    memcpy(text, name, length);
    uint64_t words[REEF_NAME_MAX / 8];
    memcpy(words, text, sizeof words);
    uint32_t mask = log->name_slots - 1;
    for (uint32_t i = (uint32_t)hash_words(log->seed, words, length / 8 + 1) & mask;; i = (i + 1) & mask) {
        if (log->name_at[i] == 0) {
            if (log->names == REEF_FLOW_NAMES_MAX)
                return UINT32_MAX;
            log->name[log->names] = strdup(text);
            if (log->name[log->names] == NULL)
                return UINT32_MAX;
            log->name_at[i] = ++log->names;
            return log->names - 1;
        }
        if (strcmp(log->name[log->name_at[i] - 1], text) == 0)
            return log->name_at[i] - 1;
    }
}

static bool same_key(const flow_row *a, const flow_row *b)
{
    return a->from == b->from && a->to == b->to && a->rule == b->rule && a->source == b->source &&
           a->destination == b->destination && a->asked == b->asked && a->port == b->port &&
           a->asked_port == b->asked_port && a->protocol == b->protocol && a->action == b->action &&
           a->minute / 60 == b->minute / 60;
}

static uint64_t hash_row(const reef_flowlog *log, const flow_row *row)
{
    uint64_t words[5] = {
        (uint64_t)row->from << 32 | row->to,
        (uint64_t)row->rule << 32 | row->source,
        (uint64_t)row->destination << 32 | row->asked,
        (uint64_t)row->port << 48 | (uint64_t)row->asked_port << 32 | (uint64_t)row->protocol << 8 | row->action,
        row->minute / 60,
    };
    return hash_words(log->seed, words, 5);
}

static int add_row(reef_flowlog *log, const flow_row *row)
{
    uint32_t mask = log->row_slots - 1;
    for (uint32_t i = (uint32_t)hash_row(log, row) & mask;; i = (i + 1) & mask) {
        if (log->row_at[i] == 0) {
            if (log->rows == log->rows_max)
                return REEF_FULL;
            log->row[log->rows] = *row;
            log->row_at[i] = ++log->rows;
            return REEF_OK;
        }
        flow_row *known = &log->row[log->row_at[i] - 1];
        if (!same_key(known, row))
            continue;
        if (known->count > UINT32_MAX - row->count)
            return REEF_FULL;
        known->count += row->count;
        known->bytes += row->bytes;
        known->packets += row->packets;
        if (row->minute > known->minute)
            known->minute = row->minute;
        return REEF_OK;
    }
}

int reef_flowlog_add(reef_flowlog *log, const reef_flow_seen *seen)
{
    if ((seen->version != 4 && seen->version != 6) || seen->action > REEF_REJECTED || seen->count == 0)
        return REEF_INVALID;
    flow_row row = {
        .bytes = seen->bytes,
        .packets = seen->packets,
        .count = seen->count,
        .minute = seen->minute,
        .from = number_of_name(log, seen->from),
        .to = number_of_name(log, seen->to),
        .rule = number_of_name(log, seen->rule),
        .source = number_of_address(log, seen->version, seen->source),
        .destination = number_of_address(log, seen->version, seen->destination),
        .asked = number_of_address(log, seen->version, seen->asked),
        .port = seen->port,
        .asked_port = seen->asked_port,
        .protocol = seen->protocol,
        .action = seen->action,
    };
    bool room = row.from != UINT32_MAX && row.to != UINT32_MAX && row.rule != UINT32_MAX &&
                row.source != UINT32_MAX && row.destination != UINT32_MAX && row.asked != UINT32_MAX;
    if (room && add_row(log, &row) == REEF_OK)
        return REEF_OK;
    log->lost += seen->count;
    return REEF_FULL;
}

int reef_flowlog_merge(reef_flowlog *log, const reef_flow_heads *heads, const reef_flow_body *body)
{
    int status = REEF_OK;
    uint32_t at = 0;
    for (uint32_t r = 0; r < heads->runs; r++) {
        const reef_flow_run *run = &heads->run[r];
        for (uint32_t i = 0; i < run->rows; i++, at++) {
            reef_flow_seen seen = {
                .from = heads->name[run->from],
                .to = heads->name[run->to],
                .rule = heads->name[run->rule],
                .port = run->port,
                .asked_port = body->translated[at] ? body->asked_port[at] : run->port,
                .version = body->source[at] < body->addresses4 ? 4 : 6,
                .protocol = run->protocol,
                .action = run->action,
                .minute = body->minute[at],
                .count = body->count[at],
                .bytes = body->bytes[at],
                .packets = body->packets[at],
            };
            memcpy(seen.source, body->address[body->source[at]], 16);
            memcpy(seen.destination, body->address[body->destination[at]], 16);
            memcpy(seen.asked, body->address[body->asked[at]], 16);
            if (reef_flowlog_add(log, &seen) != REEF_OK)
                status = REEF_FULL;
        }
    }
    return status;
}

/* --- from events ---------------------------------------------------------------------------------------- */

static uint8_t action_of(const reef_rule_name *rule)
{
    if (strcmp(rule->action, "deny") == 0)
        return REEF_DENIED;
    return strcmp(rule->action, "reject") == 0 ? REEF_REJECTED : REEF_ALLOWED;
}

static bool has_ports(unsigned protocol)
{
    return protocol == 6 || protocol == 17 || protocol == 33 || protocol == 132 || protocol == 136;
}

static uint16_t key_of(const reef_event *event, uint16_t port)
{
    if (event->protocol == REEF_PROTO_ICMP || event->protocol == REEF_PROTO_ICMPV6)
        return (uint16_t)(event->icmp_type << 8 | event->icmp_code);
    return has_ports(event->protocol) ? port : 0;
}

/* Where the zones of a rule are one zone each they are those of the flow; else the interfaces tell, else the networks. */
static const char *zone(const char *said, const reef_names *names, uint32_t interface, unsigned version,
                        const uint8_t *address)
{
    if (said != NULL && *said != '\0')
        return said;
    const char *found = interface != 0 ? reef_names_zone_of_interface(names, interface) : "";
    return *found != '\0' ? found : reef_names_zone_of_address(names, version, address);
}

void reef_flowlog_event(reef_flowlog *log, const reef_event *event, const reef_names *names,
                        const reef_rule_name *rule)
{
    if (event->kind == REEF_EVENT_LOST) {
        log->lost += event->packets[0];
        return;
    }
    if (!event->from_kernel || event->version == 0)
        return;
    bool ended = event->kind == REEF_EVENT_FLOW;
    if (ended)
        rule = reef_names_rule_by_number(names, event->mark & MARK_RULE);
    else if (event->kind != REEF_EVENT_LOG || rule == NULL || *rule->action == '\0' || action_of(rule) == REEF_ALLOWED)
        return; /* an allowed connection comes again when it ends, with what it carried */
    reef_flow_seen seen = {
        .rule = rule != NULL ? rule->rule : "",
        .port = key_of(event, event->destination_port),
        .version = event->version,
        .protocol = event->protocol,
        .action = rule != NULL ? action_of(rule) : REEF_ALLOWED,
        .minute = (uint32_t)((ended ? event->start_ns : event->time_ns) / 60000000000u),
        .count = 1,
        .bytes = event->bytes[0] + event->bytes[1],
        .packets = event->packets[0] + event->packets[1],
    };
    memcpy(seen.source, event->source, 16);
    memcpy(seen.destination, event->destination, 16);
    memcpy(seen.asked, event->destination, 16);
    seen.asked_port = seen.port;
    if (event->other == REEF_OTHER_REACHED) {
        memcpy(seen.destination, event->other_address, 16);
        seen.port = key_of(event, event->other_port);
    } else if (event->other == REEF_OTHER_ASKED) {
        memcpy(seen.asked, event->other_address, 16);
        seen.asked_port = key_of(event, event->other_port);
    }
    const char *from = rule != NULL ? rule->source : "", *to = rule != NULL ? rule->destination : "";
    if (!ended && event->code == HOOK_OUTPUT)
        from = GATEWAY_ZONE;
    if (!ended && event->code == HOOK_INPUT)
        to = GATEWAY_ZONE;
    seen.from = zone(from, names, event->interface, event->version, seen.source);
    seen.to = zone(to, names, event->out_interface, event->version, seen.destination);
    reef_flowlog_add(log, &seen);
}
