/* nfqueue: queues of the kernel's packet filter. Opening them and every verdict needs CAP_NET_ADMIN, which is why the process
 * that holds them looks at nothing of a packet but what the kernel says about it.
 *
 * Packets come as they are: several segments of one flow may be one packet (GSO), without checksums. */
#ifndef REEF_NFQUEUE_H
#define REEF_NFQUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reef/limits.h"

typedef struct reef_nfqueue reef_nfqueue; /* one socket; any number of queues */

typedef struct reef_queued {
    uint32_t id;      /* within its queue, ascending */
    uint16_t queue;
    uint8_t hook;
    uint32_t mark, in, out;
    uint32_t at, captured; /* its bytes in the buffer */
    uint32_t length;       /* of the packet */
} reef_queued;

/* What the ruleset sees behind the queue: the packet's mark. */
enum { REEF_MARK_GOES_ON = 0, REEF_MARK_DONE = 1, REEF_MARK_REJECT = 2 };

int reef_nfqueue_open(reef_nfqueue **out);
void reef_nfqueue_free(reef_nfqueue *queues);
int reef_nfqueue_fd(const reef_nfqueue *queues);
/* `open`: what finds no room in the queue goes on unseen, rather than nowhere. */
int reef_nfqueue_bind(reef_nfqueue *queues, uint16_t queue, bool open);

/* Up to `max` messages, each into its buffer of REEF_LANE_SLOT bytes; sizes[i] is what came, 0 for what is to be passed over. */
size_t reef_nfqueue_receive(reef_nfqueue *queues, uint8_t *const *buffers, size_t max, uint32_t *sizes);
/* What a message says; false: it is not a packet. */
bool reef_nfqueue_read(const uint8_t *message, size_t size, reef_queued *queued);

/* Verdicts gather until `reef_nfqueue_send`. In each queue they must be said in the order of its packets. */
void reef_nfqueue_accept(reef_nfqueue *queues, const reef_queued *queued, uint32_t mark);
void reef_nfqueue_drop(reef_nfqueue *queues, const reef_queued *queued);
int reef_nfqueue_send(reef_nfqueue *queues);

#endif
