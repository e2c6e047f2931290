/* DNS messages (RFC 1035), read as Suricata reads them: what it calls malformed is malformed here. */
#ifndef REEF_DNS_INTERNAL_H
#define REEF_DNS_INTERNAL_H

#include "reef/protocol.h"

enum { REEF_DNS_HEADER = 12 };
enum { REEF_DNS_NAME_TEXT_MAX = 1025 }; /* longer names are cut there, as Suricata and dnsmasq do */
enum { REEF_DNS_NAME_ROOM = REEF_DNS_NAME_TEXT_MAX + 65 };

enum { REEF_DNS_LOOP = 1, REEF_DNS_CUT = 2, REEF_DNS_LABELS = 4 }; /* what was odd about a name */

enum reef_dns_type {
    REEF_DNS_A = 1, REEF_DNS_NS = 2, REEF_DNS_CNAME = 5, REEF_DNS_SOA = 6, REEF_DNS_NULL = 10, REEF_DNS_PTR = 12,
    REEF_DNS_MX = 15, REEF_DNS_TXT = 16, REEF_DNS_AAAA = 28, REEF_DNS_SRV = 33, REEF_DNS_SSHFP = 44,
};

enum { REEF_DNS_MALFORMED, REEF_DNS_NOT_REQUEST, REEF_DNS_NOT_RESPONSE, REEF_DNS_Z_FLAG, REEF_DNS_OPCODE_EVENT,
       REEF_DNS_NAME_TOO_LONG, REEF_DNS_INFINITE_LOOP, REEF_DNS_TOO_MANY_LABELS, REEF_DNS_EVENTS };

/* Sections of a message. */
enum { REEF_DNS_QUESTIONS, REEF_DNS_ANSWERS, REEF_DNS_AUTHORITIES, REEF_DNS_ADDITIONALS, REEF_DNS_SECTIONS };

typedef struct reef_dns_message {
    reef_view bytes;
    uint16_t id, flags;
    uint16_t count[REEF_DNS_SECTIONS]; /* as the header says; all of the first three were read */
    uint32_t at[REEF_DNS_SECTIONS];    /* where each begins; 0: not known */
} reef_dns_message;

typedef struct reef_dns_record {
    uint32_t name;     /* offset of its name */
    uint32_t data;     /* offset of its data */
    uint32_t ttl;
    uint16_t type, class, length;
} reef_dns_record;

/* The name at `at`, which must lie in front of `end`: the offset after it, or 0 when it is malformed. `out` (NULL: only walk)
 * holds REEF_DNS_NAME_ROOM bytes. */
uint32_t reef_dns_name(reef_view message, uint32_t at, uint32_t end, uint8_t *out, uint32_t *length, unsigned *odd);
/* The record at `at`; a question has neither ttl nor data. The offset after it, or 0. Names are not followed. */
uint32_t reef_dns_record_at(const reef_dns_message *message, unsigned section, uint32_t at, reef_dns_record *record);
/* Header, questions and of a response answers and authorities. False: malformed. */
bool reef_dns_read(reef_view bytes, bool response, reef_dns_message *message, unsigned *odd);
/* Could the records its header promises lie in so many bytes? */
bool reef_dns_is_plausible(const uint8_t *header, uint32_t length);
/* Does it look like DNS where nothing else (its port) says so? */
bool reef_dns_is_surely(reef_view bytes);

/* EVE's version 2 of a message. */
void reef_dns_write_query(const reef_dns_message *message, uint64_t number, reef_json *json);
void reef_dns_write_answer(const reef_dns_message *message, reef_json *json);

#endif
