/* event: what happened, from the worker that saw it to the reader that writes it down.
 *
 * A ring with one writer and one reader, which may be different threads. Records have one size; text
 * (already JSON) travels in a second ring beside them. When either is full the event is lost, counted,
 * and said by a REEF_EVENT_LOST as soon as there is room again. */
#ifndef REEF_EVENT_H
#define REEF_EVENT_H

#include <stdbool.h>

#include "reef/flow.h"
#include "reef/json.h"
#include "reef/packet.h"

typedef enum reef_event_kind {
    REEF_EVENT_FLOW,    /* a flow ended; from the kernel's table when `from_kernel` */
    REEF_EVENT_ANOMALY, /* a packet that is not as it should be; `code` is a reef_decode_event */
    REEF_EVENT_LOG,     /* the ruleset logged a packet in hook `code`; prefix, then text: members of EVE's "drop" */
    REEF_EVENT_ALERT,   /* a rule matched; this and the next six: text as eve_alert.h says */
    REEF_EVENT_TRANSACTION, /* of protocol `app` */
    REEF_EVENT_FILE,    /* a file that was carried in a transaction is over */
    REEF_EVENT_EVIDENCE, /* the packets of a flow with alerts lie in the store; text likewise */
    REEF_EVENT_SLOW_RULE, /* a rule that costs too much rests; text likewise */
    REEF_EVENT_TAGGED,  /* a packet that an alert before it asked for; text likewise */
    REEF_EVENT_APP_ANOMALY, /* a transaction that is not as it should be */
    REEF_EVENT_CONVERSATION, /* of a conversation, for the feed alone; `code` is a reef_fed (feed.h) */
    REEF_EVENT_NEIGHBOUR, /* likewise: a device showed itself; `code` says how, other_address its hardware address */
    REEF_EVENT_LOST,    /* events that did not fit; `packets[0]` says how many, `code` where */
} reef_event_kind;

enum { REEF_LOST_IN_RING = 0, REEF_LOST_BY_KERNEL = 1, REEF_LOST_BY_RATE = 2 };

/* How the packet of an event came: EVE's pkt_src. */
typedef enum reef_came {
    REEF_CAME_UNSAID,
    REEF_CAME_WIRE,
    REEF_CAME_GRE,
    REEF_CAME_IPV4,
    REEF_CAME_IPV6,
    REEF_CAME_TEREDO,
    REEF_CAME_VXLAN,
    REEF_CAME_GENEVE,
    REEF_CAME_FRAGMENTS,
    REEF_CAME_FLOW_END, /* no packet: the flow ended */
} reef_came;

typedef enum reef_event_other {
    REEF_OTHER_NONE,
    REEF_OTHER_REACHED, /* `destination` is where the packet was sent, the other one where it went */
    REEF_OTHER_ASKED,   /* the other way round */
} reef_event_other;

typedef struct reef_event {
    uint64_t time_ns;
    uint64_t flow_id;
    uint64_t packet; /* number of the packet within its worker; 0: none */
    uint64_t start_ns;
    uint64_t bytes[2], packets[2]; /* of a flow, by direction */
    uint64_t text_end;             /* where the text ring stands after this event */
    uint32_t text_at;              /* offset in the text ring */
    uint32_t text_length;
    uint32_t interface, out_interface; /* 0: not known */
    uint32_t mark;                 /* conntrack mark; see MARK_RULE in bundle.py */
    uint16_t source_port, destination_port;
    uint16_t vlan[REEF_VLAN_MAX];
    uint16_t prefix_length;        /* the first bytes of the text are a log prefix, or members of "metadata" */
    uint8_t source[16], destination[16];
    uint8_t other_address[16];     /* the destination on the other side of destination NAT; see `other` */
    uint16_t other_port;
    uint8_t other;                 /* reef_event_other */
    uint16_t code;
    uint8_t kind;                  /* reef_event_kind */
    uint8_t version, protocol;
    uint8_t way, app, vlans;
    uint8_t icmp_type, icmp_code;
    uint8_t state, tcp_state, tcp_flags[2], end; /* of a flow */
    uint8_t came;                  /* reef_came */
    bool alerted;                  /* a rule alerted in this flow */
    bool from_kernel;
    bool opened;                   /* the flow begins here (state new); otherwise it ended */
} reef_event;

typedef struct reef_events reef_events;

/* `records` and `text_bytes` are rounded up to powers of two. */
int reef_events_new(uint32_t records, uint32_t text_bytes, reef_events **out);
void reef_events_free(reef_events *events);

/* The writer: a zeroed record and a place for at most REEF_EVENT_TEXT_MAX bytes of text, or NULL when the
 * ring is full. Nothing is seen by the reader before `reef_events_commit`; begin again to give up. A text that did not fit
 * makes the event a lost one. */
reef_event *reef_events_begin(reef_events *events, uint64_t time_ns, reef_json *text);
void reef_events_commit(reef_events *events, reef_event *event, const reef_json *text);

/* The reader: the oldest event, or NULL; `text` is its text. Borrowed until `reef_events_done`. */
const reef_event *reef_events_peek(reef_events *events, const char **text);
void reef_events_done(reef_events *events);

/* The writer: is there room for one more; and is half of it taken, so that the reader should have its turn? */
bool reef_events_have_room(reef_events *events);
bool reef_events_half_full(reef_events *events);
/* Is there so much to read that the reader should have its turn while all of it still lies in the cache? */
bool reef_events_due(reef_events *events);
/* How many packets a ring that is not half full takes without loss, whatever they are; at least 1, at most
 * REEF_BATCH_MAX. */
size_t reef_events_batch(const reef_events *events);

uint64_t reef_events_lost(const reef_events *events);

#endif
