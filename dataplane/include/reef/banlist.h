/* A list of prefixes, sorted, each once: what somebody wants banned. Read from text or built entry by entry. */
#ifndef REEF_BANLIST_H
#define REEF_BANLIST_H

#include <stddef.h>
#include <stdint.h>

#define REEF_BANLIST_NOTES 16 /* bad lines that are remembered */
#define REEF_BAN4_SHORTEST 8  /* bits: a wider prefix is no ban, it is a mistake */
#define REEF_BAN6_SHORTEST 16

struct reef_prefix {
    uint8_t address[16]; /* IPv4: the first four */
    uint8_t version;     /* 4 or 6 */
    uint8_t length;      /* bits; what is behind them in the address is 0 */
};

struct reef_prefix4 {
    uint32_t address; /* in host order */
    uint32_t length;
};

struct reef_prefix6 {
    uint64_t high, low;
    uint32_t length;
};

/* What reading a text found. */
struct reef_banlist_note {
    uint64_t line; /* from 1 */
    int wide;      /* wider than anybody is banned; else no address at all */
};

struct reef_banlist_report {
    uint64_t lines;      /* with something on them */
    uint64_t bad;        /* that are left out */
    uint64_t masked;     /* that had bits behind their length */
    uint64_t duplicates; /* entries that were there already */
    uint32_t note_count;
    struct reef_banlist_note notes[REEF_BANLIST_NOTES];
};

typedef struct reef_banlist reef_banlist;

int reef_banlist_new(reef_banlist **out);
void reef_banlist_free(reef_banlist *list);

/* Adds one prefix. REEF_INVALID when it is none, or wider than anybody is banned. */
int reef_banlist_add(reef_banlist *list, const struct reef_prefix *prefix);

/* Adds what a text says: an address, a prefix or a range `first-last` at the beginning of each line; the rest of it, and
 * what follows `#` or `;`, is a comment. Lines that are bad are left out and counted. REEF_NOMEM. */
int reef_banlist_text(reef_banlist *list, const char *text, size_t length, struct reef_banlist_report *report);

/* Sorts, and leaves out what is there twice. Entries that another one holds inside stay. Call it before the list is used. */
void reef_banlist_finish(reef_banlist *list, struct reef_banlist_report *report);

/* The sorted entries; they belong to the list. */
size_t reef_banlist_entries4(const reef_banlist *list, const struct reef_prefix4 **out);
size_t reef_banlist_entries6(const reef_banlist *list, const struct reef_prefix6 **out);

/* Entries of one version, and all of them in the packed form that messages and files have: the address in network order (4 or
 * 16 bytes), then a byte for the length. Unpacking adds; REEF_FORMAT: not whole entries, or one that is no ban. */
size_t reef_banlist_count(const reef_banlist *list, int version);
void reef_banlist_pack(const reef_banlist *list, int version, uint8_t *out);
int reef_banlist_unpack(reef_banlist *list, int version, const uint8_t *packed, size_t length);

/* Of a finished list: put one entry in its place, or take it out. REEF_END: it was there already, or it is not there. */
int reef_banlist_insert(reef_banlist *list, const struct reef_prefix *prefix);
int reef_banlist_remove(reef_banlist *list, const struct reef_prefix *prefix);
int reef_banlist_has4(const reef_banlist *list, const struct reef_prefix4 *entry);
int reef_banlist_has6(const reef_banlist *list, const struct reef_prefix6 *entry);

#endif
