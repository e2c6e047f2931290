/* eve: events as lines of Suricata's EVE JSON (https://docs.suricata.io/en/latest/output/eve/). What Reef
 * knows beyond it, rule id and zones, stands in metadata.flowvars, which the schema leaves open. */
#ifndef REEF_EVE_H
#define REEF_EVE_H

#include "reef/event.h"
#include "reef/feed.h"
#include "reef/flowlog.h"
#include "reef/names.h"

/* One event as one line with its newline. `length` is 0 when there is nothing to report of it.
 * REEF_FULL: `size` is too small (REEF_EVE_LINE_MAX always holds one). REEF_UNKNOWN_PREFIX: say what the
 * event's prefix means (reef_names_prefix) and ask again. */
int reef_eve_line(const reef_event *event, const char *text, const reef_names *names, char *out, size_t size,
                  size_t *length);

/* Events of the ring as lines into `out`, until it is empty or `out` is full (REEF_OK) or an event stops it:
 * REEF_UNKNOWN_PREFIX, with the event still first in the ring. `used` bytes and `lines` were written. */
int reef_eve_drain(reef_events *events, const reef_names *names, char *out, size_t size, size_t *used,
                   size_t *lines);

/* The same, and every event that leaves the ring goes into the table of the flow log and to the feed too, written as a
 * line or not. Either may be NULL. A feed of twice `size` and 104 bytes for each record of the ring loses nothing. */
int reef_eve_drain_and_log(reef_events *events, const reef_names *names, reef_flowlog *log, reef_feed *feed, char *out,
                           size_t size, size_t *used, size_t *lines);

/* Community ID 1 (https://github.com/corelight/community-id-spec), seed 0; 31 bytes with the end. False for
 * an event without addresses. */
bool reef_community_id(const reef_event *event, char out[31]);

#endif
