/* rules: a compiled rule set. dataplane/ruleset.py reads the rule language and writes a *rule image*: the flat tables below in
 * one piece of memory, checked once by reef_rules_new and then only pointed into. The matcher's pattern databases are built from it
 * (seconds) and kept beside it on disk (`prepared`).
 *
 * Image: reef_image_header, then the tables in the order of the header's counts, each aligned to 8 bytes, then the text pool. All
 * numbers are little-endian. A text is (offset, length) in the pool; texts for people are UTF-8. */
#ifndef REEF_RULES_H
#define REEF_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reef/buffer.h"

#define REEF_IMAGE_MAGIC 0x31454c5552464552ull /* "REFRULE1" */
#define REEF_IMAGE_VERSION 2u

typedef struct reef_text { uint32_t at, length; } reef_text;

typedef struct reef_image_header {
    uint64_t magic;
    uint32_t version;
    uint32_t size; /* of the whole image */
    uint32_t rules, blocks, conditions, transforms, address_sets, ranges4, ranges6, port_sets, port_ranges, names, datasets, hash_lists;
    uint32_t text_bytes;
    uint32_t home_hint; /* spare, 0 */
    uint8_t engine[32]; /* digest of the tables (buffers, values, protocols, events, ops) the image was made with */
} reef_image_header;

enum reef_rule_action { REEF_ALERT, REEF_PASS, REEF_DROP, REEF_REJECT /* source */, REEF_REJECT_DESTINATION, REEF_REJECT_BOTH };

/* Flags of a rule. */
enum {
    REEF_RULE_TO_SERVER = 1 << 0,      /* flow:to_server */
    REEF_RULE_TO_CLIENT = 1 << 1,
    REEF_RULE_ESTABLISHED = 1 << 2,
    REEF_RULE_NOT_ESTABLISHED = 1 << 3,
    REEF_RULE_STATELESS = 1 << 4,
    REEF_RULE_NO_STREAM = 1 << 5,      /* flow:no_stream, protocol tcp-pkt: never the stream */
    REEF_RULE_ONLY_STREAM = 1 << 6,    /* flow:only_stream, protocol tcp-stream */
    REEF_RULE_NO_FRAG = 1 << 7,
    REEF_RULE_ONLY_FRAG = 1 << 8,
    REEF_RULE_BIDIRECTIONAL = 1 << 9,  /* <> */
    REEF_RULE_NOALERT = 1 << 10,
    REEF_RULE_PREFILTER = 1 << 11,     /* the keyword */
    REEF_RULE_TARGET_SOURCE = 1 << 12,
    REEF_RULE_TARGET_DESTINATION = 1 << 13,
    REEF_RULE_PACKET_HEADER = 1 << 14, /* protocol pkthdr: packets that could not be decoded whole too */
    REEF_RULE_IP_ONLY = 1 << 15,       /* nothing but addresses: once per flow and direction */
    REEF_RULE_FILESTORE = 1 << 16,
    REEF_RULE_BYPASS = 1 << 17,
    REEF_RULE_NEEDS_FLOW = 1 << 18,    /* says something that only a flow can answer */
    REEF_RULE_DECODE_EVENTS = 1 << 19, /* has decode-event or stream-event */
    /* Where its contents of the payload are looked for; one at least is set where there is a block PAYLOAD. On TCP that is the
     * stream, and packets too where a content says depth, offset or startswith or the rule has stream_size; with a keyword of
     * the packet (dsize, flags, ttl ...), tcp-pkt or flow:no_stream packets alone. Only STREAM: a packet's own payload still is
     * looked at when it did not go into the stream. Without TCP: packets. */
    REEF_RULE_PAYLOAD_PACKET = 1 << 20,
    REEF_RULE_PAYLOAD_STREAM = 1 << 21,
    REEF_RULE_STATE = 1 << 22,         /* has a block of a transaction's buffer, VALUE or APP_EVENT */
    REEF_RULE_PACKET = 1 << 23,        /* has a condition that only a real packet can answer (dsize, flags, ttl, tcp.hdr ...) */
    REEF_RULE_ONLY_V4 = 1 << 25,       /* protocol ipv4: of IPv4 packets alone */
    REEF_RULE_ONLY_V6 = 1 << 26,
    REEF_RULE_TELL = 1 << 27,          /* the keyword alert: told though its action is pass */
    REEF_RULE_PROTOCOL_ONLY = 1 << 24, /* app-layer-protocol and nothing that needs payload: once the protocol of a direction is known */
};

typedef struct reef_rule {
    uint32_t sid, gid, rev;
    uint32_t flags;
    uint8_t action;
    uint8_t priority;          /* 1 to 255 */
    uint16_t spare;
    uint16_t blocks;
    uint16_t variables;        /* byte variables it uses */
    uint32_t block;            /* first of its blocks */
    uint32_t source, destination;           /* address sets */
    uint32_t source_port, destination_port; /* port sets */
    uint64_t apps;             /* bitmap of the application protocols it is for (bit = number; "http" is HTTP/1 and HTTP/2), 0: any */
    uint64_t protocols[4];     /* bitmap of IP protocol numbers */
    uint32_t line;
    reef_text file;            /* where it is written */
    reef_text message, category;
    reef_text metadata;        /* JSON: the members of alert.metadata, or "" */
    reef_text references;      /* JSON: elements of alert.references */
    reef_text text;            /* the rule as written */
} reef_rule;

/* The conditions of one buffer. A rule matches when all of its blocks do. Blocks of kind NONE look at packet, flow, transaction
 * and state; those come first, except what is only done on a match (set a flowbit, count): that block is last and has `after`. */
typedef struct reef_block {
    uint16_t buffer;   /* reef_buffer_kind */
    uint8_t after;
    uint8_t spare;
    uint16_t conditions, transforms;
    uint32_t condition, transform; /* first of them */
} reef_block;

typedef enum reef_transform_kind {
#define REEF_TRANSFORM(id, name) REEF_TRANSFORM_##id,
#include "reef/transforms.def"
#undef REEF_TRANSFORM
    REEF_TRANSFORM_COUNT
} reef_transform_kind;

typedef struct reef_transform {
    uint32_t kind;
    uint32_t a, b;       /* by kind: from_base64's bytes and offset | mode */
    reef_text argument;  /* xor's key (raw bytes), pcrexform's pattern */
} reef_transform;

typedef enum reef_op {
#define REEF_OP(id) REEF_OP_##id,
#include "reef/ops.def"
#undef REEF_OP
    REEF_OP_COUNT
} reef_op;

/* Flags of conditions (what an op does not name in ops.def it does not look at). */
enum {
    REEF_C_NEGATED = 1 << 0,
    REEF_C_NOCASE = 1 << 1,
    REEF_C_DEPTH = 1 << 2,
    REEF_C_OFFSET = 1 << 3,
    REEF_C_DISTANCE = 1 << 4,
    REEF_C_WITHIN = 1 << 5,
    REEF_C_STARTSWITH = 1 << 6,
    REEF_C_ENDSWITH = 1 << 7,
    REEF_C_FAST_PATTERN = 1 << 8,      /* explicitly asked for */
    REEF_C_FAST_PATTERN_ONLY = 1 << 9,
    REEF_C_FAST_PATTERN_CHOP = 1 << 10, /* only the bytes c..c+d of it */
    REEF_C_RELATIVE = 1 << 11,
    REEF_C_RAWBYTES = 1 << 12,
    REEF_C_LITTLE = 1 << 13,
    REEF_C_STRING = 1 << 14,           /* digits rather than bytes */
    REEF_C_DCE = 1 << 15,              /* byte order of the DCERPC header */
    REEF_C_ALIGN = 1 << 16,
    REEF_C_FROM_BEGINNING = 1 << 17,
    REEF_C_FROM_END = 1 << 18,
    /* An operand is a byte variable instead of a number: */
    REEF_C_A_VARIABLE = 1 << 20,
    REEF_C_B_VARIABLE = 1 << 21,
    REEF_C_C_VARIABLE = 1 << 22,
    REEF_C_D_VARIABLE = 1 << 23,
    REEF_C_E_VARIABLE = 1 << 24,
};

enum reef_compare { REEF_EQ, REEF_NE, REEF_LT, REEF_LE, REEF_GT, REEF_GE, REEF_BETWEEN /* a < x < b */, REEF_BETWEEN_EQ, REEF_BIT_AND, REEF_BIT_OR, REEF_NAND, REEF_ANY, REEF_OUTSIDE, REEF_MASKED /* x & b == a */ };

typedef struct reef_condition {
    uint16_t op;      /* reef_op */
    uint8_t compare;  /* reef_compare */
    uint8_t base;     /* 8, 10, 16 of REEF_C_STRING; op's own small number elsewhere */
    uint32_t flags;
    int64_t a, b, c, d, e;
    reef_text text;   /* pattern, expression, … */
} reef_condition;

typedef struct reef_address_set { uint32_t range4, ranges4, range6, ranges6; } reef_address_set; /* set 0: any */
typedef struct reef_range4 { uint32_t first, last; } reef_range4;            /* host order, sorted, disjoint */
typedef struct reef_range6 { uint8_t first[16], last[16]; } reef_range6;
typedef struct reef_port_set { uint32_t range, ranges; } reef_port_set;      /* set 0: any */
typedef struct reef_port_range { uint16_t first, last; } reef_port_range;

/* Names of flowbits, flowints, xbits, hostbits: the image interns them by kind; conditions carry the index. */
typedef struct reef_name { uint32_t kind; reef_text name; } reef_name;
enum { REEF_NAME_FLOWBIT, REEF_NAME_FLOWINT, REEF_NAME_XBIT, REEF_NAME_HOSTBIT };

/* A set or reputation list: values one after the other as (u16 length, bytes[, u16 reputation]) in `values`. */
typedef struct reef_dataset { uint8_t type; /* 0 string, 1 md5, 2 sha256, 3 ipv4, 4 ip */ uint8_t reputation; uint16_t spare; uint32_t count; uint32_t limit; reef_text name, values; } reef_dataset;
/* Digests of filemd5, filesha1, filesha256: sorted, `width` bytes each. */
typedef struct reef_hash_list { uint32_t width, count; reef_text digests; } reef_hash_list;

typedef struct reef_rules reef_rules;

/* Copies the image. `prepared` (from reef_rules_prepared of the same image) spares building the databases; NULL: they are
 * built; one that does not fit is built anew. REEF_FORMAT: the image is not whole. */
int reef_rules_new(const uint8_t *image, size_t size, const uint8_t *prepared, size_t prepared_size, reef_rules **out);
void reef_rules_free(reef_rules *rules);
/* The file in MaxMind's format that these rules ask for countries, before any worker has them. It is mapped: it must not change as
 * long as they live. REEF_SYSTEM: it cannot be read; REEF_FORMAT: it is no such file. Then they are as they were. */
int reef_rules_places(reef_rules *rules, const char *path);
/* To be kept on disk beside the image; the caller frees with reef_rules_prepared_free. */
int reef_rules_prepared(const reef_rules *rules, uint8_t **data, size_t *size);
void reef_rules_prepared_free(uint8_t *data);

uint32_t reef_rules_count(const reef_rules *rules);
const reef_rule *reef_rules_at(const reef_rules *rules, uint32_t index);
/* Borrowed; not NUL-terminated. */
const char *reef_rules_text(const reef_rules *rules, reef_text text);
/* What the rules ask of files (tx_file.h). */
struct reef_file_wants;
void reef_rules_wants(const reef_rules *rules, struct reef_file_wants *wants);

/* For the compiler: would this expression compile? 0, or REEF_INVALID with words and offset of what is wrong. */
int reef_rules_check_expression(const char *pattern, size_t length, uint32_t pcre_options, char *error, size_t error_size, size_t *offset);
/* Digest of buffers.def, values.def, ops.def, transforms.def, protocols and events: 32 bytes. */
void reef_rules_engine_digest(uint8_t out[32]);

#endif
