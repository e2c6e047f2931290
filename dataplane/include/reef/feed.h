/* feed: what the detections look at, gathered as events leave the ring: conversations, refused packets and neighbours as
 * records of one size, and the lines of those transactions that say who asked for what or failed to log in.
 *
 * It is written to no disk: who talked to whom is kept by the flow log alone, closed (docs/flowlog.md). */
#ifndef REEF_FEED_H
#define REEF_FEED_H

#include "reef/event.h"

typedef enum reef_fed {
    REEF_FED_ANSWERED = 1, /* the first packet of the other side */
    REEF_FED_GOES_ON = 2,  /* again and again while it carries much */
    REEF_FED_ENDED = 3,
    REEF_FED_REFUSED = 4,  /* the ruleset dropped or rejected its packet */
    REEF_FED_NEIGHBOUR = 5, /* `how` is its reef_neighbour.how, `client` its address, `server` the one it asks for; behind it, what it is called */
    REEF_FED_LINE = 6,     /* of a transaction; behind the record its line of EVE, zeros up to `size` */
    REEF_FED_HTTP = 8,     /* an answer: bytes[0] is its status, bytes[1] not 0 when something like a login was posted */
    REEF_FED_LOST = 7,     /* so many were lost before: bytes[0] */
} reef_fed;

/* In the machine's byte order; dataplane/watchfeed.py reads it. `size` counts the record and what follows, a multiple of 8. */
typedef struct reef_feed_record {
    uint16_t size;
    uint8_t kind; /* reef_fed */
    uint8_t version;
    uint8_t protocol, app;
    uint8_t flags[2]; /* all TCP flags, by direction */
    uint64_t time_ns, start_ns, flow_id;
    uint8_t client[16], server[16];
    uint16_t client_port, server_port; /* of ICMP: the type */
    uint32_t interface;
    uint64_t bytes[2];
    uint32_t packets[2];
    uint8_t mac[6];
    uint8_t how;
    uint8_t zero;
} reef_feed_record;

typedef struct reef_feed reef_feed;

int reef_feed_new(size_t size, reef_feed **out);
void reef_feed_free(reef_feed *feed);

/* An event that leaves the ring, with its text and its line (length 0: there is none). What finds no room is counted, and said by the
 * next record that finds some. `refused`: it is a packet that the ruleset did not let through. */
void reef_feed_event(reef_feed *feed, const reef_event *event, const char *text, const char *line, size_t length,
                     bool refused);

/* What was gathered: records one after the other. Borrowed until the feed is emptied or added to. */
const uint8_t *reef_feed_data(const reef_feed *feed, size_t *size);
void reef_feed_empty(reef_feed *feed);
uint64_t reef_feed_lost(const reef_feed *feed);

#endif
