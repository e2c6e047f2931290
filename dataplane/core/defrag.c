/* Fragments wait, sorted by where they belong, until there is no hole left. How two that overlap are resolved is in
 * defrag_overlap.c. */
#include "reef/defrag.h"

#include <stdlib.h>
#include <string.h>

#include "decode_internal.h"
#include "defrag_internal.h"
#include "reef/bytes.h"
#include "reef/decode.h"
#include "reef/status.h"

enum { BUCKETS = 4096, IPV4_MAX = 65535, PAYLOAD_MAX = 65535 };
enum { NEXT_FRAGMENT = 44 };

typedef struct defrag_key {
    uint8_t source[16], destination[16];
    uint32_t id;
    uint32_t interface;
    uint16_t vlan[2];
    uint8_t version, protocol;
    uint16_t zero;
} defrag_key;

/* One datagram that is being put together. */
typedef struct datagram {
    defrag_key key;
    struct datagram *next;            /* in the bucket */
    struct datagram *older, *newer;   /* by when it began */
    struct datagram *staler, *fresher; /* by when the last fragment came */
    uint64_t last_ns;
    uint8_t *header; /* of the first fragment: the IP header and what is not fragmented */
    uint32_t header_length;
    uint32_t bucket;
    defrag_pieces pieces;
    bool ends; /* the last fragment was seen */
} datagram;

struct reef_defrag {
    reef_memory *memory;
    reef_defrag_options options;
    datagram *bucket[BUCKETS];
    datagram *newest, *stalest, *freshest;
    uint32_t fragments; /* held */
    reef_defrag_counters counters;
    struct {
        uint8_t *data;
        size_t size;
    } whole[2]; /* the last datagrams that became whole; a fragment may lie in one, and its own datagram in the other */
    unsigned turn;
};

void reef_defrag_options_default(reef_defrag_options *options)
{
    *options = (reef_defrag_options){.datagrams = REEF_DEFRAG_DATAGRAMS_DEFAULT,
                                     .fragments = REEF_DEFRAG_FRAGMENTS_DEFAULT,
                                     .timeout = 60,
                                     .policy = REEF_DEFRAG_BSD};
}

int reef_defrag_new(reef_memory *memory, const reef_defrag_options *options, reef_defrag **out)
{
    *out = NULL;
    if (options->datagrams == 0 || options->fragments == 0)
        return REEF_INVALID;
    reef_defrag *defrag = calloc(1, sizeof *defrag);
    if (defrag == NULL)
        return REEF_NOMEM;
    defrag->memory = memory;
    defrag->options = *options;
    *out = defrag;
    return REEF_OK;
}

/* --- datagrams ------------------------------------------------------------------------------------------ */

static uint64_t mix(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint32_t bucket_of(const reef_defrag *defrag, const defrag_key *key)
{
    uint64_t word[sizeof *key / 8], hash = defrag->options.seed[0];
    memcpy(word, key, sizeof word);
    for (size_t i = 0; i < sizeof word / sizeof word[0]; i++)
        hash = mix(hash ^ word[i], defrag->options.seed[1] ^ 0x9e3779b97f4a7c15u);
    return (uint32_t)(hash >> 32) & (BUCKETS - 1);
}

static void key_of(const reef_packet *fragment, defrag_key *key)
{
    memset(key, 0, sizeof *key);
    memcpy(key->source, fragment->source, 16);
    memcpy(key->destination, fragment->destination, 16);
    key->id = fragment->fragment_id;
    key->interface = fragment->interface;
    key->vlan[0] = fragment->vlans > 0 ? fragment->vlan[0] : 0;
    key->vlan[1] = fragment->vlans > 1 ? fragment->vlan[1] : 0;
    key->version = fragment->version;
    key->protocol = fragment->version == 4 ? fragment->protocol : NEXT_FRAGMENT; /* RFC 8200 4.5: not of the key */
}

static void make_freshest(reef_defrag *defrag, datagram *d)
{
    d->staler = defrag->freshest;
    d->fresher = NULL;
    if (defrag->freshest != NULL)
        defrag->freshest->fresher = d;
    else
        defrag->stalest = d;
    defrag->freshest = d;
}

static void take_out_of_time(reef_defrag *defrag, datagram *d)
{
    if (d->staler != NULL)
        d->staler->fresher = d->fresher;
    else
        defrag->stalest = d->fresher;
    if (d->fresher != NULL)
        d->fresher->staler = d->staler;
    else
        defrag->freshest = d->staler;
}

static void drop(reef_defrag *defrag, datagram *d)
{
    datagram **link = &defrag->bucket[d->bucket];
    while (*link != d)
        link = &(*link)->next;
    *link = d->next;
    take_out_of_time(defrag, d);
    if (d->newer != NULL)
        d->newer->older = d->older;
    else
        defrag->newest = d->older;
    if (d->older != NULL)
        d->older->newer = d->newer;
    defrag->fragments -= d->pieces.count;
    defrag_pieces_free(&d->pieces, defrag->memory);
    reef_memory_give(defrag->memory, d->header, d->header_length);
    reef_memory_give(defrag->memory, d, sizeof *d);
    defrag->counters.datagrams--;
}

void reef_defrag_free(reef_defrag *defrag)
{
    if (defrag == NULL)
        return;
    while (defrag->newest != NULL)
        drop(defrag, defrag->newest);
    for (unsigned i = 0; i < 2; i++)
        reef_memory_give(defrag->memory, defrag->whole[i].data, defrag->whole[i].size);
    free(defrag);
}

/* The one begun last goes, but never `keep`. */
static bool push_out(reef_defrag *defrag, const datagram *keep)
{
    datagram *victim = defrag->newest;
    if (victim == keep && victim != NULL)
        victim = victim->older;
    if (victim == NULL)
        return false;
    drop(defrag, victim);
    defrag->counters.pushed_out++;
    return true;
}

static void pass_time(reef_defrag *defrag, uint64_t now_ns)
{
    uint64_t timeout_ns = defrag->options.timeout * 1000000000ull;
    while (defrag->stalest != NULL && defrag->stalest->last_ns + timeout_ns < now_ns) {
        drop(defrag, defrag->stalest);
        defrag->counters.timed_out++;
    }
}

static datagram *datagram_of(reef_defrag *defrag, const reef_packet *fragment)
{
    defrag_key key;
    key_of(fragment, &key);
    uint32_t bucket = bucket_of(defrag, &key);
    for (datagram *d = defrag->bucket[bucket]; d != NULL; d = d->next)
        if (memcmp(&d->key, &key, sizeof key) == 0) {
            take_out_of_time(defrag, d);
            make_freshest(defrag, d);
            d->last_ns = fragment->time_ns;
            return d;
        }
    if (defrag->counters.datagrams == defrag->options.datagrams)
        push_out(defrag, NULL);
    datagram *d = reef_memory_get(defrag->memory, sizeof *d);
    if (d == NULL && push_out(defrag, NULL))
        d = reef_memory_get(defrag->memory, sizeof *d);
    if (d == NULL)
        return NULL;
    d->key = key;
    d->bucket = bucket;
    d->next = defrag->bucket[bucket];
    defrag->bucket[bucket] = d;
    d->older = defrag->newest;
    if (defrag->newest != NULL)
        defrag->newest->newer = d;
    defrag->newest = d;
    make_freshest(defrag, d);
    d->last_ns = fragment->time_ns;
    defrag->counters.datagrams++;
    return d;
}

/* --- fragments ------------------------------------------------------------------------------------------ */

/* Which fragment of a datagram a packet is. */
typedef struct place {
    uint32_t offset, length;
    bool more;
} place;

static place place_of(const reef_packet *fragment)
{
    const uint8_t *end = fragment->network + fragment->network_length;
    return (place){.offset = fragment->fragment_offset,
                   .length = (uint32_t)(end - fragment->transport),
                   .more = fragment->version == 4 ? reef_packet_fragbits(fragment) & 1 : fragment->transport[-5] & 1};
}

/* The header in front of the first bytes. IPv6: up to the fragment header, which goes; what names it as the next one
 * names what it named. */
static bool keep_header(reef_defrag *defrag, datagram *d, const reef_packet *fragment)
{
    uint32_t length = (uint32_t)(fragment->transport - fragment->network);
    if (fragment->version == 6)
        length -= 8;
    uint8_t *header = reef_memory_get_raw(defrag->memory, length);
    if (header == NULL)
        return false;
    memcpy(header, fragment->network, length);
    if (fragment->version == 6) {
        uint32_t at = 6;
        for (uint32_t next = DECODE_IPV6_HEADER; next < length;) { /* decoding has walked it: each header is whole */
            uint32_t size = decode_extension_length(header[at], header + next, length - next);
            at = next;
            next += size;
        }
        header[at] = fragment->transport[-8];
    }
    reef_memory_give(defrag->memory, d->header, d->header_length);
    d->header = header;
    d->header_length = length;
    return true;
}

/* All of it, where the last one was not put; 0: too large, or no memory. */
static uint32_t put_together(reef_defrag *defrag, datagram *d)
{
    uint32_t length = d->pieces.end, size = d->header_length + length;
    if (size > (d->key.version == 4 ? (uint32_t)IPV4_MAX : (uint32_t)DECODE_IPV6_HEADER + PAYLOAD_MAX))
        return 0;
    defrag->turn = !defrag->turn;
    if (size > defrag->whole[defrag->turn].size) {
        uint8_t *more;
        do
            more = reef_memory_resize(defrag->memory, defrag->whole[defrag->turn].data, defrag->whole[defrag->turn].size, size);
        while (more == NULL && push_out(defrag, d));
        if (more == NULL)
            return 0;
        defrag->whole[defrag->turn].data = more;
        defrag->whole[defrag->turn].size = size;
    }
    uint8_t *p = defrag->whole[defrag->turn].data;
    memcpy(p, d->header, d->header_length);
    memset(p + d->header_length, 0, length); /* never bytes of another datagram, whatever the overlaps left */
    defrag_pieces_copy(&d->pieces, p + d->header_length);
    uint32_t field = d->key.version == 4 ? size : size - DECODE_IPV6_HEADER;
    uint32_t at = d->key.version == 4 ? 2 : 4;
    p[at] = (uint8_t)(field >> 8);
    p[at + 1] = (uint8_t)field;
    if (d->key.version == 4)
        p[6] = p[7] = 0;
    return size;
}

static void said(reef_packet *fragment, reef_decode_event of_ipv4, reef_decode_event of_ipv6)
{
    reef_packet_event(fragment, fragment->version == 4 ? of_ipv4 : of_ipv6);
}

/* Room for one more fragment; false: there is none. */
static bool make_room(reef_defrag *defrag, const datagram *d)
{
    if (d->pieces.count >= REEF_DEFRAG_DATAGRAM_FRAGMENTS_MAX)
        return false;
    while (defrag->fragments >= defrag->options.fragments)
        if (!push_out(defrag, d))
            return false;
    return true;
}

static bool add(reef_defrag *defrag, datagram *d, reef_packet *fragment, const place *at)
{
    bool overlaps = false, added = false;
    uint32_t before = d->pieces.count, trimmed = 0;
    defrag_fit fit = defrag_pieces_fit(&d->pieces, defrag->memory, defrag->options.policy, at->offset, at->length, &trimmed,
                                       &overlaps);
    defrag->fragments -= before - d->pieces.count;
    if (overlaps)
        said(fragment, REEF_EV_IPV4_FRAG_OVERLAP, REEF_EV_IPV6_FRAG_OVERLAP);
    if (fit == DEFRAG_DROP || trimmed >= at->length)
        return false;
    bool first = at->offset == 0 && trimmed == 0, more = make_room(defrag, d);
    while (more && !added) {
        added = (!first || keep_header(defrag, d, fragment)) &&
                defrag_pieces_add(&d->pieces, defrag->memory, at->offset + trimmed, fragment->transport + trimmed,
                                  at->length - trimmed);
        more = added || push_out(defrag, d);
    }
    if (!added) {
        defrag->counters.refused++;
        said(fragment, REEF_EV_IPV4_FRAG_IGNORED, REEF_EV_IPV6_FRAG_IGNORED);
        return false;
    }
    defrag->fragments++;
    d->ends |= !at->more;
    return true;
}

bool reef_defrag_take(reef_defrag *defrag, reef_packet *fragment, reef_packet *whole)
{
    if (!(fragment->flags & REEF_PACKET_FRAGMENT) || fragment->flags & (REEF_PACKET_CUT | REEF_PACKET_BAD))
        return false;
    defrag->counters.fragments++;
    pass_time(defrag, fragment->time_ns);
    place at = place_of(fragment);
    uint32_t header = fragment->version == 4 ? DECODE_IPV4_HEADER : 0;
    if (header + at.offset + at.length > PAYLOAD_MAX) {
        said(fragment, REEF_EV_IPV4_FRAG_PKT_TOO_LARGE, REEF_EV_IPV6_FRAG_PKT_TOO_LARGE);
        return false;
    }
    datagram *d = datagram_of(defrag, fragment);
    if (d == NULL) {
        defrag->counters.refused++;
        return false;
    }
    if (!add(defrag, d, fragment, &at)) {
        if (d->pieces.count == 0)
            drop(defrag, d);
        return false;
    }
    if (!d->ends || d->header == NULL || !defrag_pieces_whole(&d->pieces))
        return false;
    uint32_t size = put_together(defrag, d);
    drop(defrag, d);
    if (size == 0 || !reef_decode_datagram(defrag->whole[defrag->turn].data, size, fragment, whole))
        return false;
    fragment->flags |= REEF_PACKET_NO_PAYLOAD;
    defrag->counters.whole++;
    return true;
}

void reef_defrag_count(const reef_defrag *defrag, reef_defrag_counters *counters)
{
    *counters = defrag->counters;
}
