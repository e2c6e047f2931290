/* host_bits: xbits and hostbits: marks on addresses, with an expiry. */
#include <string.h>

#include "match_internal.h"

enum { ISSET, ISNOTSET, SET, UNSET, TOGGLE };
enum { BY_SOURCE, BY_DESTINATION, BY_PAIR, BY_TRANSACTION };

static bool key_of(const reef_matcher *matcher, const reef_condition *condition, uint32_t name, host_key *key)
{
    const reef_packet *packet = matcher->scene->packet;
    const uint8_t *source = matcher->turned ? packet->destination : packet->source;
    const uint8_t *destination = matcher->turned ? packet->source : packet->destination;
    if (packet->version == 0)
        return false;
    *key = (host_key){.kind = condition->op, .number = matcher->slot[name], .c = packet->version, .d = (uint32_t)condition->b};
    switch (condition->b) {
    case BY_PAIR:
        memcpy(key->a, memcmp(source, destination, 16) < 0 ? source : destination, 16);
        memcpy(key->b, memcmp(source, destination, 16) < 0 ? destination : source, 16);
        break;
    case BY_TRANSACTION:
        if (matcher->scene->flow == NULL || matcher->transaction == NULL)
            return false;
        memcpy(key->a, &matcher->scene->flow->id, 8);
        memcpy(key->b, &matcher->transaction->number, 8);
        break;
    default: /* a mark on an address is the same whether it was seen as source or as destination */
        memcpy(key->a, condition->b == BY_SOURCE ? source : destination, 16);
        key->d = BY_SOURCE;
        break;
    }
    return true;
}

static void change(reef_matcher *matcher, const reef_condition *condition, const host_key *key, unsigned how)
{
    uint64_t now = matcher_now(matcher);
    host_entry *entry = host_table_find(matcher->bits, key, now);
    if (how == TOGGLE)
        how = entry != NULL ? UNSET : SET;
    if (how == UNSET) {
        if (entry != NULL)
            host_table_drop(matcher->bits, entry);
        return;
    }
    entry = host_table_make(matcher->bits, key, now);
    if (entry != NULL && condition->c > 0)
        entry->expires_ns = now + (uint64_t)condition->c * 1000000000u;
}

bool hostbits_condition(reef_matcher *matcher, const reef_condition *condition, bool act)
{
    uint32_t count = condition->text.length > 0 ? condition->text.length / 4 : 1;
    bool any = false;
    for (uint32_t i = 0; i < count && !any; i++) {
        uint32_t name = (uint32_t)condition->a;
        host_key key;
        if (condition->text.length > 0)
            memcpy(&name, matcher->rules->text + condition->text.at + 4 * (size_t)i, 4);
        if (!key_of(matcher, condition, name, &key))
            return false;
        if (condition->base > ISNOTSET) {
            if (act)
                change(matcher, condition, &key, condition->base);
            any = !act;
            continue;
        }
        bool set = host_table_find(matcher->bits, &key, matcher_now(matcher)) != NULL;
        any = set == (condition->base == ISSET);
    }
    return any;
}
