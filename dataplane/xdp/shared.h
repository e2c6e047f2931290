/* What the XDP program and its user side agree on: the layout of tables, settings and counters.
 *
 * The tables of banned prefixes lie in memory that both sides see (mapped array maps): the user side fills them
 * with plain stores, the program reads them. There are two of each; `reef_gate_live.side` says which one counts.
 */
#ifndef REEF_XDP_SHARED_H
#define REEF_XDP_SHARED_H

#include <linux/types.h>

/* IPv4, first look: one bit for each /24: is anything banned in it? Most sources are nobody's enemy, and these 2 MiB stay in the
 * processor's caches. */
#define REEF_GATE_ANY4_LINES (1u << 15) /* of 64 bytes */

/* Second look: one byte for each /24. 0: nothing is banned in it. Up to REEF_GATE_LISTS: the whole /24 is, by that
 * list. With REEF_GATE_DEEPER set: longer prefixes are; bit p says that some are 32 - p bits long. */
#define REEF_GATE_INDEX4_LINES (1u << 18) /* of 64 bytes: 16 MiB */
#define REEF_GATE_DEEPER 0x80u
#define REEF_GATE_LENGTHS4 7u /* 26 to 32; a /25 is kept as two of /26 */

/* The longer ones of IPv4: a hash table of cache lines. An entry is the address, at bit 32 the isolated bit of its length
 * (1 << (32 - length)), at bit 40 its list; 0 is a free place. A line that was full when something belonged into it has
 * REEF_GATE_MORE in its last place: the search goes on in the next line. */
#define REEF_GATE_SLOTS4 8u
#define REEF_GATE_MORE (1ull << 63)
#define REEF_GATE_KEY4 ((1ull << 40) - 1)
#define REEF_GATE_CHAIN 16u /* lines looked through at most */

struct reef_gate_line4 {
    __u64 slots[REEF_GATE_SLOTS4];
};

/* IPv6: a cell for the hash of the upper 32 bits says which lengths up to 64 lie there (bit p: 64 - p bits), and with
 * REEF_GATE_DEEP that longer ones do; then a cell for the hash of the upper 64 bits says which of those (bit p: 128 - p).
 * Prefixes shorter than 32 bits are few: their lengths stand in `reef_gate_live.wide`. */
#define REEF_GATE_DEEP (1ull << 63)

/* Before an entry or a cell of a /64 is looked for, a bit is: of 2^24, by the upper bits of its hash. Of a source that nobody
 * banned nearly all of these are 0, and they stay in the caches, too. */
#define REEF_GATE_ANY6_LINES (1u << 15) /* of 64 bytes */
#define REEF_GATE_SLOTS6 3u

/* What kind of prefix an entry of IPv6 is: up to 64 bits (`low` is the isolated bit of its length), up to 127 (a one
 * stands behind the last bit of the prefix), or a whole address. */
enum reef_gate_kind6 { REEF_GATE_SHORT6 = 1, REEF_GATE_LONG6, REEF_GATE_WHOLE6 };

struct reef_gate_line6 {
    __u64 high[REEF_GATE_SLOTS6];
    __u64 low[REEF_GATE_SLOTS6];
    __u8 kind[REEF_GATE_SLOTS6]; /* 0: free */
    __u8 list[REEF_GATE_SLOTS6];
    __u8 more;
    __u8 unused[9];
};

/* List ids 1 to REEF_GATE_LISTS; counters of a list stand at its id. */
#define REEF_GATE_LISTS 127u

/* The list of what indicators block (`INDICATED` in dataplane/gate.py). Who gave an indicator is told how often it was met,
 * and by whom; the gate cannot say that. So it leaves one packet in so many nanoseconds to the ruleset, which drops and logs it. */
#define REEF_GATE_INDICATED 127u
#define REEF_GATE_LEFT_EVERY 10000000u

struct reef_gate_count {
    __u64 packets;
    __u64 bytes;
};

/* Why a packet was dropped; REEF_GATE_ALLOWED counts those that passed only because their source is always allowed. */
enum reef_gate_reason {
    REEF_GATE_BANNED = 0,
    REEF_GATE_ALLOWED,
    REEF_GATE_BAD_ETHERNET,
    REEF_GATE_BAD_IPV4,
    REEF_GATE_BAD_IPV6,
    REEF_GATE_BAD_FRAGMENT,
    REEF_GATE_BAD_TCP,
    REEF_GATE_BAD_FLAGS,
    REEF_GATE_BAD_UDP,
    REEF_GATE_BAD_ICMP,
    REEF_GATE_LAND,
    REEF_GATE_BOGON,
    REEF_GATE_SYN,
    REEF_GATE_UDP,
    REEF_GATE_ICMP,
    REEF_GATE_SYN_TOTAL,
    REEF_GATE_REASONS
};

/* The lines (interfaces) that the program stands at: found by the low bits of the interface's number. */
#define REEF_GATE_LINES 4096u
#define REEF_GATE_LINE_COUNTERS 64u /* lines that count apart */

enum reef_gate_checks {
    REEF_GATE_CHECK_MALFORMED = 1u << 0,
    REEF_GATE_CHECK_MARTIANS = 1u << 1, /* sources that are nobody's anywhere: 0/8, 127/8, 224/3, ::, ff00::/8, ::1 ... */
    REEF_GATE_CHECK_PRIVATE = 1u << 2,  /* sources of private networks: 10/8, 172.16/12, 192.168/16, 100.64/10, fc00::/7 ... */
    REEF_GATE_CHECK_EXAMPLES = 1u << 3, /* sources of networks for documentation and benchmarks: 192.0.2/24, 2001:db8::/32 ... */
    REEF_GATE_NO_ETHERNET = 1u << 4     /* the line carries IP packets without a link header */
};

/* A rate as the gate counts: `gap` is the time a packet uses up, `burst` how far a source may be ahead of the
 * clock, both in ticks of 1.024 us (2^10 ns). gap 0: not limited. */
#define REEF_GATE_TICK_SHIFT 10

struct reef_gate_rate {
    __u32 gap;
    __u32 burst;
};

struct reef_gate_line {
    __u32 interface; /* 0: nothing known of this line */
    __u32 counters;  /* which row of counters, below REEF_GATE_LINE_COUNTERS */
    __u32 checks;
    __u32 unused;
    struct reef_gate_rate syn;       /* of one source */
    struct reef_gate_rate udp;
    struct reef_gate_rate icmp;
    struct reef_gate_rate syn_total; /* of all sources of the line that are not known yet */
};

/* What sources have used up: sets of eight, each with a fingerprint and a time, in one cache line. */
#define REEF_GATE_WAYS 8u
#define REEF_GATE_FLOOD_SETS (1u << 15) /* 2 MiB: 262,144 sources */

struct reef_gate_ways {
    __u32 mark[REEF_GATE_WAYS];
    __u32 ahead[REEF_GATE_WAYS];
};

/* When a first SYN was seen, in quarters of a second, by two hashes of its flow: who asks again is no forged source. */
#define REEF_GATE_SEEN_LINES (1u << 17) /* of 64 bytes: 8 MiB */
#define REEF_GATE_SEEN_SHIFT 28         /* 2^28 ns are a quarter */
#define REEF_GATE_SEEN_FROM 3u          /* TCP asks again after a second (RFC 6298), then after three */
#define REEF_GATE_SEEN_UNTIL 14u

struct reef_gate_bytes {
    __u8 at[64];
};

/* What changes while the program runs. */
struct reef_gate_live {
    __u32 side;    /* the tables that count: 0 or 1 */
    __u32 allowed; /* entries of the allow-list, all versions */
    __u64 wide[2]; /* lengths of IPv6 prefixes shorter than 32 bits, by side: bit p for 64 - p bits */
};

/* What is fixed when the program is loaded. */
struct reef_gate_fixed {
    __u64 seed4;
    __u64 seed6[2];
    __u32 lines4; /* of one side */
    __u32 lines6;
    __u32 cells6; /* a power of two */
    __u32 unused;
};

/* A prefix of the allow-list, as the kernel's trie has it. */
struct reef_gate_allow4 {
    __u32 length;
    __u8 address[4];
};

struct reef_gate_allow6 {
    __u32 length;
    __u8 address[16];
};

#define REEF_GATE_ALLOW_MAX 65536u /* entries of each version */

/* What an entry of the allow-list is spared. The longest one that holds a source counts. */
#define REEF_GATE_NOT_BANNED 1u  /* bans */
#define REEF_GATE_NOT_LIMITED 2u /* bogons and floods */

/* The hashes. Keyed, so that nobody who chooses addresses knows what falls together. */
static inline __attribute__((always_inline)) __u64 reef_gate_mix(__u64 value)
{
    value ^= value >> 32;
    value *= 0xd6e8feb86659fd93ull;
    return value ^ value >> 32;
}

static inline __attribute__((always_inline)) __u32 reef_gate_hash4(__u64 key, __u64 seed)
{
    return (__u32)(reef_gate_mix((key ^ seed) * 0x9e3779b97f4a7c15ull));
}

static inline __attribute__((always_inline)) __u32 reef_gate_hash6(__u64 high, __u64 low, const __u64 *seed)
{
    __u64 value = (high ^ seed[0]) * 0x9e3779b97f4a7c15ull;

    value ^= value >> 29;
    return (__u32)reef_gate_mix((value + low) ^ seed[1]);
}

/* Which of `lines` a hash belongs to. */
static inline __attribute__((always_inline)) __u32 reef_gate_line_of(__u32 hash, __u32 lines)
{
    return (__u32)((__u64)hash * lines >> 32);
}

#endif
