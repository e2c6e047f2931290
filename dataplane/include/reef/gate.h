/* The XDP gate: loads the program, keeps its tables, and puts it at lines (interfaces).
 *
 * What it pins in a directory of the BPF file system outlives the process: the links, by which the program stays at its lines
 * with all that is banned, the counters, and what is set for each line. A later process loads the program anew and exchanges it at each
 * line in one step. Loading needs CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN; afterwards CAP_NET_ADMIN is enough. */
#ifndef REEF_GATE_H
#define REEF_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reef/banlist.h"
#include "reef/bans.h"

#define REEF_GATE_WORDS 512 /* room for what went wrong, in words */

/* How many prefixes there is room for, of each version; tables are larger, so that chains stay short. */
struct reef_gate_room {
    uint32_t hosts4; /* longer than /24: shorter ones always have room */
    uint32_t hosts6;
};

/* Packets a second of one source, and how many at once; 0 packets a second: no limit. */
struct reef_gate_limit {
    uint32_t rate;
    uint32_t burst;
};

/* What is set for one line. */
struct reef_gate_way {
    bool malformed, martians, private_sources, examples;
    struct reef_gate_limit syn, udp, icmp;
    struct reef_gate_limit syn_total; /* of sources that are not known yet, altogether */
};

typedef enum reef_gate_mode { REEF_GATE_NOWHERE = 0, REEF_GATE_NATIVE, REEF_GATE_GENERIC } reef_gate_mode;

typedef struct reef_gate_tally {
    uint64_t packets, bytes;
} reef_gate_tally;

typedef struct reef_gate reef_gate;

/* `pins` is a directory of the BPF file system that this process may write. On failure `words` says why. REEF_SYSTEM. */
int reef_gate_new(const char *pins, const struct reef_gate_room *room, reef_gate **out, char words[REEF_GATE_WORDS]);
/* The program stays where it is. */
void reef_gate_free(reef_gate *gate);

/* What is banned; belongs to the gate. */
reef_bans *reef_gate_bans(reef_gate *gate);
/* Bytes of all tables. */
uint64_t reef_gate_memory(const reef_gate *gate);

/* The allow-list, of any length: who is never banned, and with `unlimited` no bogon and no flood either. Of entries inside one
 * another the longest counts. An entry that is there is changed. REEF_SYSTEM: the kernel refuses; REEF_FULL. */
int reef_gate_allow(reef_gate *gate, const struct reef_prefix *prefix, bool unlimited);
/* REEF_END: it was not there. */
int reef_gate_disallow(reef_gate *gate, const struct reef_prefix *prefix);

/* Puts the program at a line, or exchanges what an earlier process put there; native where the driver can, unless `generic`.
 * REEF_SYSTEM: it cannot be there, `words` says why. */
int reef_gate_attach(reef_gate *gate, uint32_t interface, const struct reef_gate_way *way, bool generic,
                     reef_gate_mode *mode, char words[REEF_GATE_WORDS]);
/* Takes it away from there. REEF_END: it was not there. */
int reef_gate_detach(reef_gate *gate, uint32_t interface);
reef_gate_mode reef_gate_mode_at(reef_gate *gate, uint32_t interface);
/* Takes away what stands at lines that are not among these, or that are gone. Without a gate: of any process before. */
int reef_gate_detach_others(const char *pins, const uint32_t *interfaces, size_t count);

/* Counters: of a list (all lines), and of a line by reason (enum reef_gate_reason in xdp/shared.h). */
int reef_gate_count_list(reef_gate *gate, uint32_t list, reef_gate_tally *out);
int reef_gate_forget_list(reef_gate *gate, uint32_t list);
int reef_gate_count_line(reef_gate *gate, uint32_t interface, uint32_t reason, reef_gate_tally *out);
uint32_t reef_gate_reasons(void);
/* A word for a reason, such as "banned". */
const char *reef_gate_reason_name(uint32_t reason);

/* What the program would do with a frame that comes by this line: sets `passes`. For tests and benches; counts like any other. */
int reef_gate_try(reef_gate *gate, uint32_t interface, const uint8_t *frame, size_t length, uint32_t repeat, bool *passes,
                  uint32_t *nanoseconds);

#endif
