/* Makes logged flows for bench_replay: tables full of rows, as the columns that the flow log keeps.
 *
 * usage: flows BLOCKS ROWS REPEATS MINUTE < KINDS
 *
 * A line of KINDS is a kind of traffic: FROM TO RULE ACTION PROTOCOL PORT VERSION SOURCE COUNT DESTINATION COUNT; sources
 * and destinations are the first of COUNT addresses in hexadecimal, port 0 is any port. Each of the BLOCKS is drawn
 * ROWS times from the kinds; what is drawn twice is one row. A draw stands for 1 to 2 * REPEATS - 1 flows, REPEATS on
 * average. Writes for each block: rows, flows, first and last minute, the sizes of heads, body and addresses (seven
 * 64-bit numbers), and the three. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reef/flowlog.h"
#include "reef/status.h"

typedef unsigned __int128 number;

typedef struct kind {
    char from[64], to[64], rule[64];
    unsigned action, protocol, port, version;
    number source, destination;
    unsigned long sources, destinations;
} kind;

static uint64_t state = 0x9e3779b97f4a7c15u;

static uint64_t draw(void) /* xorshift64* */
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * 0x2545f4914f6cdd1du;
}

static number from_hex(const char *text)
{
    number value = 0;
    for (; *text; text++)
        value = value << 4 | (number)(*text <= '9' ? *text - '0' : *text - 'a' + 10);
    return value;
}

static void put_address(uint8_t *out, unsigned version, number value)
{
    unsigned size = version == 4 ? 4 : 16;
    for (unsigned i = 0; i < size; i++)
        out[i] = (uint8_t)(value >> (8 * (size - 1 - i)));
}

static void draw_flow(const kind *k, unsigned repeats, unsigned minute, reef_flow_seen *seen)
{
    *seen = (reef_flow_seen){.from = k->from, .to = k->to, .rule = k->rule};
    seen->version = (uint8_t)k->version;
    seen->protocol = (uint8_t)k->protocol;
    seen->action = (uint8_t)k->action;
    seen->port = (uint16_t)(k->port != 0 ? k->port : 1024 + draw() % 64000);
    seen->asked_port = seen->port;
    put_address(seen->source, k->version, k->source + draw() % k->sources);
    put_address(seen->destination, k->version, k->destination + draw() % k->destinations);
    memcpy(seen->asked, seen->destination, 16);
    seen->minute = minute + (unsigned)(draw() % 60);
    seen->count = repeats > 1 ? 1 + (unsigned)(draw() % (2 * repeats - 1)) : 1;
    unsigned shift = (unsigned)(draw() % 14); /* from a few hundred bytes to megabytes */
    seen->packets = (8 + (draw() & 7)) << shift >> 2;
    seen->bytes = seen->packets * (60 + draw() % 1000);
}

static int read_kinds(kind **out, size_t *count)
{
    size_t room = 0;
    kind k;
    char source[40], destination[40];
    *out = NULL;
    *count = 0;
    while (scanf("%63s %63s %63s %u %u %u %u %39s %lu %39s %lu", k.from, k.to, k.rule, &k.action, &k.protocol, &k.port,
                 &k.version, source, &k.sources, destination, &k.destinations) == 11) {
        k.source = from_hex(source);
        k.destination = from_hex(destination);
        if (*count == room) {
            room = room == 0 ? 1024 : room * 2;
            *out = realloc(*out, room * sizeof **out);
            if (*out == NULL)
                return 1;
        }
        (*out)[(*count)++] = k;
    }
    return *count == 0;
}

static int write_block(reef_flowlog *log)
{
    size_t size[3];
    uint8_t *part[3];
    reef_flow_sum sum;
    reef_flowlog_sum(log, &sum);
    reef_flowlog_bound(log, &size[0], &size[1], &size[2]);
    for (int i = 0; i < 3; i++)
        if ((part[i] = malloc(size[i])) == NULL)
            return 1;
    if (reef_flowlog_encode(log, part[0], &size[0], part[1], &size[1], part[2], &size[2]) != REEF_OK)
        return 1;
    uint64_t header[7] = {sum.rows, sum.flows, sum.first, sum.last, size[0], size[1], size[2]};
    int failed = fwrite(header, sizeof header, 1, stdout) != 1;
    for (int i = 0; i < 3; i++) {
        failed |= fwrite(part[i], 1, size[i], stdout) != size[i];
        free(part[i]);
    }
    reef_flowlog_empty(log);
    return failed;
}

int main(int argc, char **argv)
{
    kind *kinds;
    size_t count;
    if (argc != 5 || read_kinds(&kinds, &count)) {
        fprintf(stderr, "usage: flows BLOCKS ROWS REPEATS MINUTE < KINDS\n");
        return 2;
    }
    unsigned blocks = (unsigned)atoi(argv[1]), rows = (unsigned)atoi(argv[2]), repeats = (unsigned)atoi(argv[3]);
    unsigned minute = (unsigned)strtoul(argv[4], NULL, 10);
    uint64_t seed[2] = {draw(), draw()};
    reef_flowlog *log;
    if (reef_flowlog_new(rows, seed, &log) != REEF_OK)
        return 1;
    for (unsigned b = 0; b < blocks; b++) {
        for (unsigned i = 0; i < rows; i++) {
            reef_flow_seen seen;
            draw_flow(&kinds[draw() % count], repeats, minute + 60 * b, &seen);
            reef_flowlog_add(log, &seen);
        }
        if (write_block(log))
            return 1;
    }
    reef_flowlog_free(log);
    free(kinds);
    return 0;
}
