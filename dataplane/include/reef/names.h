/* names: what the numbers in events are called: interfaces, zones, rules, log prefixes.
 *
 * Belongs to the reader of the events; the worker never looks at it. Texts are copied, cut to REEF_NAME_MAX. */
#ifndef REEF_NAMES_H
#define REEF_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct reef_names reef_names;

typedef struct reef_rule_name {
    const char *rule, *action;       /* "" where it is not known */
    const char *source, *destination; /* zones, likewise */
    bool log_start, log_end;
} reef_rule_name;

int reef_names_new(const char *site, reef_names **out);
void reef_names_free(reef_names *names);

/* Interface `number` is called `name` and belongs to `zone` (or ""). Said again, it replaces. */
int reef_names_interface(reef_names *names, uint32_t number, const char *name, const char *zone);
/* Addresses under this prefix lie in `zone`; the longest prefix decides. */
int reef_names_network(reef_names *names, unsigned version, const uint8_t *address, unsigned prefix, const char *zone);
/* The rule that the conntrack mark calls `number`. */
int reef_names_rule(reef_names *names, uint32_t number, const reef_rule_name *rule);
/* The log prefix of a rule, as the kernel hands it over. */
int reef_names_prefix(reef_names *names, const char *prefix, size_t length, const reef_rule_name *rule);

/* The events come from a capture: where a packet stands in it is told. */
void reef_names_capture(reef_names *names);
bool reef_names_of_capture(const reef_names *names);

/* NULL or "" when not known; borrowed until the names change. */
const char *reef_names_interface_name(const reef_names *names, uint32_t number);
const char *reef_names_zone_of_interface(const reef_names *names, uint32_t number);
const char *reef_names_zone_of_address(const reef_names *names, unsigned version, const uint8_t *address);
const reef_rule_name *reef_names_rule_by_number(const reef_names *names, uint32_t number);
const reef_rule_name *reef_names_rule_by_prefix(const reef_names *names, const char *prefix, size_t length);
const char *reef_names_site(const reef_names *names);

#endif
