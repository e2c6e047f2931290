/* Flows that another one announced: a small table by destination address and port. It is empty most of the time, and then
 * a new flow costs one look at its count. */
#include <stdlib.h>
#include <string.h>

#include "reef/limits.h"
#include "reef/protocol.h"
#include "reef/status.h"

typedef struct expectation {
    const reef_protocol *protocol; /* NULL: free */
    uint64_t until_ns;
    uint8_t destination[16], source[16]; /* source all zero: anywhere */
    uint16_t port;
    uint8_t version;
    uint8_t cookie_length;
    uint8_t cookie[REEF_EXPECT_COOKIE_MAX];
} expectation;

enum { WAYS = 8 }; /* places one key may lie in; the oldest of them goes */

struct reef_expectations {
    uint32_t count, mask;
    expectation *table;
};

int reef_expectations_new(uint32_t limit, reef_expectations **out)
{
    uint32_t size = WAYS;
    *out = NULL;
    if (limit == 0 || limit > 1u << 20)
        return REEF_INVALID;
    while (size < limit)
        size *= 2;
    reef_expectations *expectations = calloc(1, sizeof *expectations);
    if (expectations == NULL)
        return REEF_NOMEM;
    expectations->table = calloc(size, sizeof *expectations->table);
    if (expectations->table == NULL) {
        free(expectations);
        return REEF_NOMEM;
    }
    expectations->mask = size - 1;
    *out = expectations;
    return REEF_OK;
}

void reef_expectations_free(reef_expectations *expectations)
{
    if (expectations == NULL)
        return;
    free(expectations->table);
    free(expectations);
}

uint32_t reef_expectations_count(const reef_expectations *expectations)
{
    return expectations->count;
}

static expectation *bucket_of(const reef_expectations *expectations, const uint8_t *address, uint16_t port)
{
    uint64_t low, high;
    memcpy(&low, address, 8);
    memcpy(&high, address + 8, 8);
    uint64_t hash = (low ^ (high * 0x9e3779b97f4a7c15u) ^ port) * 0xff51afd7ed558ccdu;
    return &expectations->table[(hash >> 32) & expectations->mask & ~(uint32_t)(WAYS - 1)];
}

void reef_session_expect_from(reef_call *call, const reef_protocol *protocol, unsigned version, const uint8_t *address,
                              uint16_t port, const uint8_t *source, const uint8_t *cookie, size_t length)
{
    reef_expectations *expectations = call->expectations;
    uint8_t destination[16] = {0};
    if (expectations == NULL || protocol == NULL || length > REEF_EXPECT_COOKIE_MAX)
        return;
    memcpy(destination, address, version == 6 ? 16 : 4);
    expectation *bucket = bucket_of(expectations, destination, port), *place = bucket;
    for (unsigned i = 0; i < WAYS; i++) {
        if (bucket[i].protocol != NULL && bucket[i].until_ns < call->time_ns) {
            bucket[i].protocol = NULL;
            expectations->count--;
        }
        if (bucket[i].protocol == NULL) {
            place = &bucket[i];
            break;
        }
        if (bucket[i].until_ns < place->until_ns)
            place = &bucket[i];
    }
    expectations->count += place->protocol == NULL;
    *place = (expectation){.protocol = protocol,
                           .until_ns = call->time_ns + REEF_EXPECT_SECONDS * UINT64_C(1000000000),
                           .port = port,
                           .version = (uint8_t)version,
                           .cookie_length = (uint8_t)length};
    memcpy(place->destination, destination, 16);
    if (source != NULL)
        memcpy(place->source, source, version == 6 ? 16 : 4);
    if (length > 0)
        memcpy(place->cookie, cookie, length);
}

void reef_session_expect(reef_call *call, const reef_protocol *protocol, unsigned version, const uint8_t *address,
                         uint16_t port, const uint8_t *cookie, size_t length)
{
    reef_session_expect_from(call, protocol, version, address, port, NULL, cookie, length);
}

static bool is_met(const expectation *e, const reef_flow_key *key, const uint8_t *source, const uint8_t *destination,
                   uint16_t port, uint64_t now_ns)
{
    static const uint8_t anywhere[16];
    return e->protocol != NULL && e->port == port && e->version == key->version && e->until_ns >= now_ns &&
           memcmp(e->destination, destination, 16) == 0 &&
           (memcmp(e->source, anywhere, 16) == 0 || memcmp(e->source, source, 16) == 0);
}

void reef_expectations_meet(reef_call *call)
{
    reef_expectations *expectations = call->expectations;
    if (expectations == NULL || expectations->count == 0)
        return;
    const reef_flow_key *key = &call->flow->key;
    bool high = call->flow->client_is_high;
    const uint8_t *source = high ? key->high : key->low, *destination = high ? key->low : key->high;
    uint16_t port = high ? key->low_port : key->high_port;
    expectation *bucket = bucket_of(expectations, destination, port);
    for (unsigned i = 0; i < WAYS; i++) {
        if (!is_met(&bucket[i], key, source, destination, port, call->time_ns))
            continue;
        expectation met = bucket[i];
        bucket[i].protocol = NULL;
        expectations->count--;
        if (!reef_session_adopt(call, met.protocol))
            return;
        call->session->seen[0] = call->session->seen[1] = met.protocol;
        call->session->side[0].gone = call->session->side[1].gone = true;
        if (met.protocol->expected != NULL)
            met.protocol->expected(call, met.cookie, met.cookie_length);
        return;
    }
}
