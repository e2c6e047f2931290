/* Parts of a line of EVE that its kinds share. */
#ifndef REEF_EVE_INTERNAL_H
#define REEF_EVE_INTERNAL_H

#include "reef/event.h"
#include "reef/names.h"
#include "reef/view.h"

bool eve_has_ports(unsigned protocol);
bool eve_is_icmp(unsigned protocol);
const char *eve_came_name(unsigned came); /* reef_came */
void eve_write_protocol(reef_json *json, unsigned protocol);
/* The beginning of every line: time, kind, endpoints. */
void eve_write_common(reef_json *json, const reef_event *event, const reef_names *names, const char *event_type);
/* "metadata": rule and zones, as far as they are known, beside what the worker `said`. */
void eve_write_metadata(reef_json *json, const reef_event *event, const reef_names *names, const reef_rule_name *rule,
                        reef_view said);

#endif
