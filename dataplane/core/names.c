#include "reef/names.h"

#include <stdlib.h>
#include <string.h>

#include "reef/limits.h"
#include "reef/status.h"

/* A name that is used by many entries is stored once per entry: there are few, and they never change. */
typedef struct rule_entry {
    reef_rule_name name;
    char *text; /* the four texts of `name`, one after the other */
} rule_entry;

typedef struct interface_entry {
    uint32_t number;
    char name[REEF_NAME_MAX], zone[REEF_NAME_MAX];
} interface_entry;

typedef struct network_entry {
    uint8_t address[16];
    uint8_t version, prefix;
    char zone[REEF_NAME_MAX];
} network_entry;

typedef struct prefix_entry {
    uint64_t hash;
    uint32_t length;
    char prefix[REEF_PREFIX_MAX];
    rule_entry rule;
} prefix_entry;

struct reef_names {
    char site[REEF_NAME_MAX];
    bool capture;
    interface_entry *interface;
    size_t interfaces;
    network_entry *network; /* longest prefix first */
    size_t networks;
    rule_entry *rule; /* by number */
    size_t rules;
    prefix_entry **prefix; /* open addressing, a power of two, at most half full */
    size_t prefixes, prefix_slots;
};

static void copy_name(char out[REEF_NAME_MAX], const char *name)
{
    size_t n = strnlen(name, REEF_NAME_MAX - 1);
    memcpy(out, name, n);
    out[n] = '\0';
}

int reef_names_new(const char *site, reef_names **out)
{
    *out = NULL;
    reef_names *names = calloc(1, sizeof *names);
    if (names == NULL)
        return REEF_NOMEM;
    names->prefix_slots = 64;
    names->prefix = calloc(names->prefix_slots, sizeof *names->prefix);
    if (names->prefix == NULL) {
        free(names);
        return REEF_NOMEM;
    }
    copy_name(names->site, site);
    *out = names;
    return REEF_OK;
}

void reef_names_free(reef_names *names)
{
    if (names == NULL)
        return;
    for (size_t i = 0; i < names->rules; i++)
        free(names->rule[i].text);
    for (size_t i = 0; i < names->prefix_slots; i++) {
        if (names->prefix[i] != NULL)
            free(names->prefix[i]->rule.text);
        free(names->prefix[i]);
    }
    free(names->interface);
    free(names->network);
    free(names->rule);
    free(names->prefix);
    free(names);
}

void reef_names_capture(reef_names *names)
{
    names->capture = true;
}

bool reef_names_of_capture(const reef_names *names)
{
    return names->capture;
}

const char *reef_names_site(const reef_names *names)
{
    return names->site;
}

/* Room for one more element, doubled when it is full at a power of two; false when there is no memory. */
static bool grow(void **array, size_t count, size_t size)
{
    if (count & (count - 1))
        return true;
    void *larger = realloc(*array, (count == 0 ? 1 : count * 2) * size);
    if (larger == NULL)
        return false;
    *array = larger;
    return true;
}

int reef_names_interface(reef_names *names, uint32_t number, const char *name, const char *zone)
{
    size_t i = 0;
    while (i < names->interfaces && names->interface[i].number != number)
        i++;
    if (i == names->interfaces) {
        if (i == REEF_INTERFACES_MAX)
            return REEF_FULL;
        if (!grow((void **)&names->interface, i, sizeof *names->interface))
            return REEF_NOMEM;
        names->interfaces++;
    }
    names->interface[i].number = number;
    copy_name(names->interface[i].name, name);
    copy_name(names->interface[i].zone, zone);
    return REEF_OK;
}

static const interface_entry *find_interface(const reef_names *names, uint32_t number)
{
    for (size_t i = 0; i < names->interfaces; i++)
        if (names->interface[i].number == number)
            return &names->interface[i];
    return NULL;
}

const char *reef_names_interface_name(const reef_names *names, uint32_t number)
{
    const interface_entry *entry = find_interface(names, number);
    return entry != NULL ? entry->name : NULL;
}

const char *reef_names_zone_of_interface(const reef_names *names, uint32_t number)
{
    const interface_entry *entry = find_interface(names, number);
    return entry != NULL ? entry->zone : "";
}

int reef_names_network(reef_names *names, unsigned version, const uint8_t *address, unsigned prefix, const char *zone)
{
    if ((version != 4 && version != 6) || prefix > (version == 4 ? 32u : 128u))
        return REEF_INVALID;
    if (names->networks == REEF_INTERFACES_MAX)
        return REEF_FULL;
    if (!grow((void **)&names->network, names->networks, sizeof *names->network))
        return REEF_NOMEM;
    size_t at = 0;
    while (at < names->networks && names->network[at].prefix >= prefix)
        at++;
    memmove(&names->network[at + 1], &names->network[at], (names->networks - at) * sizeof *names->network);
    network_entry *entry = &names->network[at];
    memset(entry, 0, sizeof *entry);
    memcpy(entry->address, address, version == 4 ? 4 : 16);
    entry->version = (uint8_t)version;
    entry->prefix = (uint8_t)prefix;
    copy_name(entry->zone, zone);
    names->networks++;
    return REEF_OK;
}

static bool lies_in(const network_entry *entry, const uint8_t *address)
{
    unsigned whole = entry->prefix / 8, rest = entry->prefix % 8;
    if (memcmp(entry->address, address, whole) != 0)
        return false;
    return rest == 0 || (entry->address[whole] ^ address[whole]) >> (8 - rest) == 0;
}

const char *reef_names_zone_of_address(const reef_names *names, unsigned version, const uint8_t *address)
{
    for (size_t i = 0; i < names->networks; i++)
        if (names->network[i].version == version && lies_in(&names->network[i], address))
            return names->network[i].zone;
    return "";
}

static int copy_rule(const reef_rule_name *rule, rule_entry *entry)
{
    const char *texts[4] = {rule->rule, rule->action, rule->source, rule->destination};
    size_t length[4], total = 0;
    for (int i = 0; i < 4; i++)
        total += (length[i] = strnlen(texts[i], REEF_NAME_MAX - 1)) + 1;
    char *text = malloc(total), *at = text;
    if (text == NULL)
        return REEF_NOMEM;
    const char *copies[4];
    for (int i = 0; i < 4; i++) {
        memcpy(at, texts[i], length[i]);
        at[length[i]] = '\0';
        copies[i] = at;
        at += length[i] + 1;
    }
    free(entry->text);
    entry->text = text;
    entry->name = (reef_rule_name){copies[0], copies[1], copies[2], copies[3], rule->log_start, rule->log_end};
    return REEF_OK;
}

int reef_names_rule(reef_names *names, uint32_t number, const reef_rule_name *rule)
{
    if (number >= REEF_RULES_MAX)
        return REEF_INVALID;
    if (number >= names->rules) {
        size_t count = names->rules == 0 ? 64 : names->rules;
        while (count <= number)
            count *= 2;
        rule_entry *larger = realloc(names->rule, count * sizeof *larger);
        if (larger == NULL)
            return REEF_NOMEM;
        memset(larger + names->rules, 0, (count - names->rules) * sizeof *larger);
        names->rule = larger;
        names->rules = count;
    }
    return copy_rule(rule, &names->rule[number]);
}

const reef_rule_name *reef_names_rule_by_number(const reef_names *names, uint32_t number)
{
    return number < names->rules && names->rule[number].text != NULL ? &names->rule[number].name : NULL;
}

/* FNV-1a: the prefixes come from our own compiler, nobody aims at this table. */
static uint64_t hash_of(const char *text, size_t length)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < length; i++)
        h = (h ^ (uint8_t)text[i]) * 0x100000001b3u;
    return h;
}

static prefix_entry **prefix_slot(prefix_entry **table, size_t slots, uint64_t hash, const char *prefix, size_t length)
{
    for (size_t i = (size_t)hash & (slots - 1);; i = (i + 1) & (slots - 1)) {
        prefix_entry *entry = table[i];
        if (entry == NULL ||
            (entry->hash == hash && entry->length == length && memcmp(entry->prefix, prefix, length) == 0))
            return &table[i];
    }
}

static int grow_prefixes(reef_names *names)
{
    size_t slots = names->prefix_slots * 2;
    prefix_entry **larger = calloc(slots, sizeof *larger);
    if (larger == NULL)
        return REEF_NOMEM;
    for (size_t i = 0; i < names->prefix_slots; i++) {
        prefix_entry *entry = names->prefix[i];
        if (entry != NULL)
            *prefix_slot(larger, slots, entry->hash, entry->prefix, entry->length) = entry;
    }
    free(names->prefix);
    names->prefix = larger;
    names->prefix_slots = slots;
    return REEF_OK;
}

int reef_names_prefix(reef_names *names, const char *prefix, size_t length, const reef_rule_name *rule)
{
    if (length > REEF_PREFIX_MAX)
        return REEF_INVALID;
    if (names->prefixes == REEF_PREFIXES_MAX)
        return REEF_FULL;
    if (names->prefixes * 2 >= names->prefix_slots && grow_prefixes(names) != REEF_OK)
        return REEF_NOMEM;
    uint64_t hash = hash_of(prefix, length);
    prefix_entry **slot = prefix_slot(names->prefix, names->prefix_slots, hash, prefix, length);
    if (*slot == NULL) {
        prefix_entry *entry = calloc(1, sizeof *entry);
        if (entry == NULL)
            return REEF_NOMEM;
        entry->hash = hash;
        entry->length = (uint32_t)length;
        memcpy(entry->prefix, prefix, length);
        *slot = entry;
        names->prefixes++;
    }
    return copy_rule(rule, &(*slot)->rule);
}

const reef_rule_name *reef_names_rule_by_prefix(const reef_names *names, const char *prefix, size_t length)
{
    prefix_entry *entry = *prefix_slot(names->prefix, names->prefix_slots, hash_of(prefix, length), prefix, length);
    return entry != NULL && entry->rule.text != NULL ? &entry->rule.name : NULL;
}
