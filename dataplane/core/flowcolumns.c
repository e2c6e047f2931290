/* Rows of the flow log as columns of bytes, and back. What is read may be anything: every number is checked. */
#include <stdlib.h>
#include <string.h>

#include "flowlog_internal.h"
#include "reef/flowlog.h"
#include "reef/status.h"

enum { FORMAT = 1, VARINT_MAX = 10 };

/* --- numbers -------------------------------------------------------------------------------------------- */

static uint8_t *put(uint8_t *out, uint64_t value)
{
    while (value >= 0x80) {
        *out++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *out++ = (uint8_t)value;
    return out;
}

static uint8_t *put_signed(uint8_t *out, int64_t value)
{
    return put(out, value < 0 ? ~((uint64_t)value << 1) : (uint64_t)value << 1);
}

typedef struct reading {
    const uint8_t *at, *end;
    bool bad;
} reading;

static uint64_t get_long(reading *in)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && in->at < in->end; shift += 7) {
        uint8_t byte = *in->at++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return value;
    }
    in->bad = true;
    in->at = in->end;
    return 0;
}

static inline uint64_t get(reading *in)
{
    if (in->at < in->end && *in->at < 0x80)
        return *in->at++;
    return get_long(in);
}

/* A number up to `max`; anything else spoils the reading. */
static inline uint32_t get_below(reading *in, uint64_t max)
{
    uint64_t value = get(in);
    if (value > max) {
        in->bad = true;
        return 0;
    }
    return (uint32_t)value;
}

static inline int64_t get_signed(reading *in)
{
    uint64_t value = get(in);
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

uint32_t reef_flow_size_code(uint64_t size)
{
    if (size < 64)
        return (uint32_t)size;
    unsigned shift = 58u - (unsigned)__builtin_clzll(size); /* leaves six bits */
    return 32 + shift * 32 + (uint32_t)(size >> shift) - 32;
}

enum { SIZE_CODE_MAX = 32 + 58 * 32 + 31 };

uint64_t reef_flow_size_of(uint32_t code)
{
    if (code < 64)
        return code;
    unsigned shift = code / 32 - 1;
    return (uint64_t)(code % 32 + 32) << shift;
}

/* --- writing -------------------------------------------------------------------------------------------- */

void reef_flowlog_bound(const reef_flowlog *log, size_t *heads, size_t *body, size_t *addresses)
{
    *heads = 4 * VARINT_MAX + (size_t)log->names * (REEF_NAME_MAX + VARINT_MAX) + (size_t)log->rows * 28;
    *body = 4 * VARINT_MAX + (size_t)log->rows * 48;
    *addresses = 2 * VARINT_MAX + (size_t)log->addresses * 18;
}

static int by_address(const void *a, const void *b, void *list)
{
    const flow_address *x = (const flow_address *)list + *(const uint32_t *)a;
    const flow_address *y = (const flow_address *)list + *(const uint32_t *)b;
    return x->version != y->version ? x->version - y->version : memcmp(x->bytes, y->bytes, 16);
}

static int compare(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

static uint64_t head_of(const flow_row *row)
{
    return (uint64_t)row->rule << 32 | (uint64_t)row->protocol << 24 | (uint64_t)row->port << 8 | row->action;
}

static int by_run(const void *a, const void *b)
{
    const flow_row *x = a, *y = b;
    int order = compare((uint64_t)x->from << 32 | x->to, (uint64_t)y->from << 32 | y->to);
    if (order == 0)
        order = compare(head_of(x), head_of(y));
    if (order == 0)
        order = compare((uint64_t)x->destination << 32 | x->source, (uint64_t)y->destination << 32 | y->source);
    return order != 0 ? order : compare(x->minute, y->minute);
}

static bool same_run(const flow_row *a, const flow_row *b)
{
    return a->from == b->from && a->to == b->to && head_of(a) == head_of(b);
}

/* Addresses in their order, IPv4 first; `row`s then count in it. */
static uint8_t *write_addresses(reef_flowlog *log, uint32_t *order, uint32_t *place, uint8_t *out)
{
    for (uint32_t i = 0; i < log->addresses; i++)
        order[i] = i;
    qsort_r(order, log->addresses, sizeof *order, by_address, log->address);
    uint32_t four = 0;
    while (four < log->addresses && log->address[order[four]].version == 4)
        four++;
    out = put(out, four);
    out = put(out, log->addresses - four);
    uint32_t last = 0;
    const uint8_t none[16] = {0}, *before = none;
    for (uint32_t i = 0; i < log->addresses; i++) {
        const uint8_t *bytes = log->address[order[i]].bytes;
        place[order[i]] = i;
        if (i < four) {
            uint32_t value = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
            out = put(out, value - last);
            last = value;
            continue;
        }
        uint8_t common = 0;
        while (common < 16 && bytes[common] == before[common])
            common++;
        *out++ = common;
        memcpy(out, bytes + common, 16 - common);
        out += 16 - common;
        before = bytes;
    }
    return out;
}

static uint8_t *write_heads(const reef_flowlog *log, uint8_t *out)
{
    uint32_t runs = 0;
    for (uint32_t i = 0; i < log->rows; i++)
        runs += i == 0 || !same_run(&log->row[i], &log->row[i - 1]);
    out = put(out, FORMAT);
    out = put(out, log->names);
    for (uint32_t i = 0; i < log->names; i++) {
        size_t length = strlen(log->name[i]);
        out = put(out, length);
        memcpy(out, log->name[i], length);
        out += length;
    }
    out = put(out, runs);
    for (uint32_t i = 0, end; i < log->rows; i = end) {
        const flow_row *row = &log->row[i];
        for (end = i + 1; end < log->rows && same_run(row, &log->row[end]);)
            end++;
        out = put(out, row->from);
        out = put(out, row->to);
        out = put(out, row->rule);
        *out++ = row->protocol;
        *out++ = row->action;
        out = put(out, row->port);
        out = put(out, end - i);
    }
    return out;
}

static bool is_translated(const flow_row *row)
{
    return row->asked != row->destination || row->asked_port != row->port;
}

static uint8_t *write_body(const reef_flowlog *log, uint8_t *out)
{
    uint32_t base = UINT32_MAX, translated = 0;
    for (uint32_t i = 0; i < log->rows; i++)
        base = log->row[i].minute < base ? log->row[i].minute : base;
    out = put(out, log->rows);
    out = put(out, log->rows > 0 ? base : 0);
    for (uint32_t i = 0; i < log->rows; i++) {
        uint32_t before = i > 0 && same_run(&log->row[i], &log->row[i - 1]) ? log->row[i - 1].destination : 0;
        out = put_signed(out, (int64_t)log->row[i].destination - before);
    }
    for (uint32_t i = 0; i < log->rows; i++)
        out = put_signed(out, (int64_t)log->row[i].source - (i > 0 ? log->row[i - 1].source : 0));
    for (uint32_t i = 0; i < log->rows; i++)
        out = put(out, log->row[i].count - 1);
    for (uint32_t i = 0; i < log->rows; i++)
        out = put(out, log->row[i].minute - base);
    for (uint32_t i = 0; i < log->rows; i++)
        out = put(out, reef_flow_size_code(log->row[i].bytes));
    for (uint32_t i = 0; i < log->rows; i++)
        out = put(out, reef_flow_size_code(log->row[i].packets));
    for (uint32_t i = 0; i < log->rows; i++)
        translated += is_translated(&log->row[i]);
    out = put(out, translated);
    for (uint32_t i = 0, before = 0; i < log->rows; i++) {
        if (!is_translated(&log->row[i]))
            continue;
        out = put(out, i - before);
        out = put(out, log->row[i].asked);
        out = put(out, log->row[i].asked_port);
        before = i;
    }
    return out;
}

/* Rows count in the order of the addresses from here on, and so do the addresses. */
static int reorder(reef_flowlog *log, const uint32_t *order, const uint32_t *place)
{
    flow_address *sorted = calloc(log->addresses + 1u, sizeof *sorted);
    if (sorted == NULL)
        return REEF_NOMEM;
    for (uint32_t i = 0; i < log->addresses; i++)
        sorted[i] = log->address[order[i]];
    memcpy(log->address, sorted, log->addresses * sizeof *sorted);
    free(sorted);
    for (uint32_t i = 0; i < log->rows; i++) {
        flow_row *row = &log->row[i];
        row->source = place[row->source];
        row->destination = place[row->destination];
        row->asked = place[row->asked];
    }
    qsort(log->row, log->rows, sizeof *log->row, by_run);
    return REEF_OK;
}

int reef_flowlog_encode(reef_flowlog *log, uint8_t *heads, size_t *heads_size, uint8_t *body, size_t *body_size,
                        uint8_t *addresses, size_t *addresses_size)
{
    uint32_t *order = calloc(log->addresses + 1u, sizeof *order), *place = calloc(log->addresses + 1u, sizeof *place);
    int status = order != NULL && place != NULL ? REEF_OK : REEF_NOMEM;
    if (status == REEF_OK) {
        *addresses_size = (size_t)(write_addresses(log, order, place, addresses) - addresses);
        status = reorder(log, order, place);
    }
    if (status == REEF_OK) {
        *heads_size = (size_t)(write_heads(log, heads) - heads);
        *body_size = (size_t)(write_body(log, body) - body);
    }
    free(order);
    free(place);
    return status;
}

/* --- reading -------------------------------------------------------------------------------------------- */

void reef_flow_heads_free(reef_flow_heads *heads)
{
    if (heads == NULL)
        return;
    if (heads->name != NULL && heads->names > 0)
        free((void *)(uintptr_t)heads->name[0]); /* one piece of memory holds them all */
    free(heads->name);
    free(heads->run);
    free(heads);
}

static int read_names(reading *in, reef_flow_heads *heads)
{
    heads->names = 0;
    uint32_t names = get_below(in, REEF_FLOW_NAMES_MAX);
    if (in->bad || names == 0 || names > (size_t)(in->end - in->at))
        return REEF_FORMAT;
    size_t room = (size_t)(in->end - in->at) + names;
    char *text = calloc(1, room);
    heads->name = calloc(names, sizeof *heads->name);
    if (text == NULL || heads->name == NULL) {
        free(text);
        return REEF_NOMEM;
    }
    heads->name[0] = text;
    heads->names = names;
    for (uint32_t i = 0; i < names; i++) {
        uint32_t length = get_below(in, REEF_NAME_MAX - 1);
        if (in->bad || length > (size_t)(in->end - in->at) || memchr(in->at, '\0', length) != NULL)
            return REEF_FORMAT;
        memcpy(text, in->at, length);
        in->at += length;
        heads->name[i] = text;
        text += length + 1;
    }
    return REEF_OK;
}

static int read_runs(reading *in, reef_flow_heads *heads)
{
    heads->runs = get_below(in, REEF_FLOW_ROWS_MAX);
    if (in->bad || heads->runs > (size_t)(in->end - in->at) / 7)
        return REEF_FORMAT;
    heads->run = calloc(heads->runs + 1u, sizeof *heads->run);
    if (heads->run == NULL)
        return REEF_NOMEM;
    for (uint32_t i = 0; i < heads->runs; i++) {
        reef_flow_run *run = &heads->run[i];
        run->from = get_below(in, heads->names - 1);
        run->to = get_below(in, heads->names - 1);
        run->rule = get_below(in, heads->names - 1);
        if (in->end - in->at < 2)
            return REEF_FORMAT;
        run->protocol = *in->at++;
        run->action = *in->at++;
        run->port = (uint16_t)get_below(in, UINT16_MAX);
        run->rows = get_below(in, REEF_FLOW_ROWS_MAX - heads->rows);
        if (in->bad || run->rows == 0 || run->action > REEF_REJECTED)
            return REEF_FORMAT;
        heads->rows += run->rows;
    }
    return in->at == in->end ? REEF_OK : REEF_FORMAT;
}

int reef_flow_heads_decode(const uint8_t *bytes, size_t size, reef_flow_heads **out)
{
    *out = NULL;
    reading in = {bytes, bytes + size, false};
    if (get(&in) != FORMAT || in.bad)
        return REEF_FORMAT;
    reef_flow_heads *heads = calloc(1, sizeof *heads);
    if (heads == NULL)
        return REEF_NOMEM;
    int status = read_names(&in, heads);
    if (status == REEF_OK)
        status = read_runs(&in, heads);
    if (status != REEF_OK) {
        reef_flow_heads_free(heads);
        return status;
    }
    *out = heads;
    return REEF_OK;
}

void reef_flow_body_free(reef_flow_body *body)
{
    if (body == NULL)
        return;
    free(body->address);
    free(body->source);
    free(body->destination);
    free(body->asked);
    free(body->asked_port);
    free(body->translated);
    free(body->count);
    free(body->minute);
    free(body->bytes);
    free(body->packets);
    free(body);
}

static int read_addresses(reading *in, reef_flow_body *body)
{
    body->addresses4 = get_below(in, 3 * REEF_FLOW_ROWS_MAX);
    uint32_t six = get_below(in, 3 * REEF_FLOW_ROWS_MAX);
    body->addresses = body->addresses4 + six;
    if (in->bad || body->addresses > (size_t)(in->end - in->at))
        return REEF_FORMAT;
    body->address = calloc(body->addresses + 1u, sizeof *body->address);
    if (body->address == NULL)
        return REEF_NOMEM;
    uint64_t last = 0;
    for (uint32_t i = 0; i < body->addresses4; i++) {
        uint64_t step = get(in);
        if (step > UINT32_MAX || (last += step) > UINT32_MAX || (i > 0 && step == 0))
            return REEF_FORMAT;
        uint32_t value = __builtin_bswap32((uint32_t)last);
        memcpy(body->address[i], &value, 4);
    }
    const uint8_t none[16] = {0}, *before = none;
    for (uint32_t i = body->addresses4; i < body->addresses; i++) {
        uint32_t common = in->at < in->end ? *in->at++ : 17;
        if (common > 16 || 16 - common > (size_t)(in->end - in->at))
            return REEF_FORMAT;
        memcpy(body->address[i], before, common);
        memcpy(body->address[i] + common, in->at, 16 - common);
        in->at += 16 - common;
        if (i > body->addresses4 && memcmp(before, body->address[i], 16) >= 0)
            return REEF_FORMAT;
        before = body->address[i];
    }
    return !in->bad && in->at == in->end ? REEF_OK : REEF_FORMAT;
}

static bool allocate_columns(reef_flow_body *body)
{
    size_t n = body->rows + 1u;
    body->source = malloc(n * sizeof *body->source);
    body->destination = malloc(n * sizeof *body->destination);
    body->asked = malloc(n * sizeof *body->asked);
    body->asked_port = calloc(n, sizeof *body->asked_port);
    body->translated = calloc(n, sizeof *body->translated);
    body->count = malloc(n * sizeof *body->count);
    body->minute = malloc(n * sizeof *body->minute);
    body->bytes = malloc(n * sizeof *body->bytes);
    body->packets = malloc(n * sizeof *body->packets);
    return body->source && body->destination && body->asked && body->asked_port && body->translated && body->count &&
           body->minute && body->bytes && body->packets;
}

/* A column of indexes into the addresses, as differences; `run` starts anew where not NULL. */
static bool read_destinations(reading *in, const reef_flow_heads *heads, reef_flow_body *body)
{
    uint32_t at = 0;
    for (uint32_t r = 0; r < heads->runs; r++) {
        int64_t value = 0;
        for (uint32_t i = 0; i < heads->run[r].rows; i++) {
            value = (int64_t)((uint64_t)value + (uint64_t)get_signed(in));
            if (value < 0 || value >= body->addresses)
                return false;
            body->destination[at] = body->asked[at] = (uint32_t)value;
            at++;
        }
    }
    return !in->bad;
}

static bool read_sources(reading *in, reef_flow_body *body)
{
    int64_t value = 0;
    for (uint32_t i = 0; i < body->rows; i++) {
        value = (int64_t)((uint64_t)value + (uint64_t)get_signed(in));
        if (value < 0 || value >= body->addresses)
            return false;
        body->source[i] = (uint32_t)value;
        if ((body->source[i] < body->addresses4) != (body->destination[i] < body->addresses4))
            return false;
    }
    return !in->bad;
}

static bool read_numbers(reading *in, reef_flow_body *body, uint32_t base)
{
    for (uint32_t i = 0; i < body->rows; i++)
        body->count[i] = get_below(in, UINT32_MAX - 1) + 1;
    for (uint32_t i = 0; i < body->rows; i++)
        body->minute[i] = base + get_below(in, UINT32_MAX - base);
    for (uint32_t i = 0; i < body->rows; i++)
        body->bytes[i] = reef_flow_size_of(get_below(in, SIZE_CODE_MAX));
    for (uint32_t i = 0; i < body->rows; i++)
        body->packets[i] = reef_flow_size_of(get_below(in, SIZE_CODE_MAX));
    return !in->bad;
}

static bool read_translations(reading *in, reef_flow_body *body)
{
    uint32_t count = get_below(in, body->rows), at = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t step = get_below(in, body->rows);
        if (i > 0 && step == 0)
            return false;
        at += step;
        if (in->bad || at >= body->rows)
            return false;
        body->asked[at] = get_below(in, body->addresses - 1);
        body->asked_port[at] = (uint16_t)get_below(in, UINT16_MAX);
        body->translated[at] = true;
        if ((body->asked[at] < body->addresses4) != (body->destination[at] < body->addresses4))
            return false;
    }
    return !in->bad && in->at == in->end;
}

static int read_columns(reading *in, const reef_flow_heads *heads, reef_flow_body *body)
{
    body->rows = get_below(in, REEF_FLOW_ROWS_MAX);
    uint32_t base = get_below(in, UINT32_MAX);
    if (in->bad || body->rows != heads->rows || body->rows > (size_t)(in->end - in->at) / 6 ||
        (body->rows > 0 && body->addresses == 0))
        return REEF_FORMAT;
    if (!allocate_columns(body))
        return REEF_NOMEM;
    bool whole = read_destinations(in, heads, body) && read_sources(in, body) && read_numbers(in, body, base) &&
                 read_translations(in, body);
    return whole ? REEF_OK : REEF_FORMAT;
}

int reef_flow_body_decode(const reef_flow_heads *heads, const uint8_t *bytes, size_t size, const uint8_t *addresses,
                          size_t addresses_size, reef_flow_body **out)
{
    *out = NULL;
    reef_flow_body *body = calloc(1, sizeof *body);
    if (body == NULL)
        return REEF_NOMEM;
    reading list = {addresses, addresses + addresses_size, false}, columns = {bytes, bytes + size, false};
    int status = read_addresses(&list, body);
    if (status == REEF_OK)
        status = read_columns(&columns, heads, body);
    if (status != REEF_OK) {
        reef_flow_body_free(body);
        return status;
    }
    *out = body;
    return REEF_OK;
}
