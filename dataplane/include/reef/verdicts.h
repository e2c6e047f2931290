/* verdicts: what the holder of queues does with one lane of them: packets to the worker, its judgements to the kernel, and what
 * becomes of packets while no worker answers. Nothing here looks into a packet. */
#ifndef REEF_VERDICTS_H
#define REEF_VERDICTS_H

#include "reef/lane.h"
#include "reef/nfqueue.h"

typedef struct reef_verdicts reef_verdicts;

typedef struct reef_verdicts_counters {
    uint64_t packets;       /* received */
    uint64_t accepted, dropped, rejected, handed_back; /* as the worker judged; handed back are accepted, too */
    uint64_t unseen;        /* that the worker could not look at */
    uint64_t alone_accepted, alone_dropped; /* decided without a worker, by the queue they came by */
    uint64_t silences;      /* how often a worker that was there kept packets waiting for too long */
    uint64_t workers;       /* that were there, one after the other */
    uint64_t broken;        /* how often a worker did not keep to the rules, and was sent away */
    uint64_t verdicts_failed; /* the kernel did not take them */
    bool attached;          /* a worker is there */
    bool silent;            /* and does not answer */
} reef_verdicts_counters;

/* Binds the queues: those of `closed` lose what is not judged, those of `open` let it pass. Needs CAP_NET_ADMIN. */
int reef_verdicts_new(const uint16_t *closed, size_t closed_count, const uint16_t *open, size_t open_count, reef_verdicts **out);
void reef_verdicts_free(reef_verdicts *verdicts);

/* Until reef_verdicts_stop; for a thread of its own. REEF_SYSTEM when it cannot go on. */
int reef_verdicts_run(reef_verdicts *verdicts);

/* These three from any thread. */
void reef_verdicts_stop(reef_verdicts *verdicts);
/* A worker connected: it gets the lane over `peer` (a Unix socket, which is taken), and is gone when that is closed.
 * REEF_FULL: there is one. */
int reef_verdicts_attach(reef_verdicts *verdicts, int peer);
void reef_verdicts_count(const reef_verdicts *verdicts, reef_verdicts_counters *counters);

#endif
