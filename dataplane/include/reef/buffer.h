/* Buffers: what a rule's contents are looked for in. */
#ifndef REEF_BUFFER_H
#define REEF_BUFFER_H

#include <stdbool.h>

#include "reef/view.h"

typedef enum reef_buffer_kind {
#define REEF_BUFFER(id, name, way, flags) REEF_BUFFER_##id,
#include "reef/buffers.def"
#undef REEF_BUFFER
    REEF_BUFFER_COUNT
} reef_buffer_kind;

/* Flags of buffers.def. */
enum {
    REEF_BUFFER_SINGLE = 0,
    REEF_BUFFER_MULTI = 0x01,  /* several instances, each matched on its own */
    REEF_BUFFER_BODY = 0x02,   /* comes in windows */
    REEF_BUFFER_PACKET = 0x04, /* of the packet, not of a transaction */
    REEF_BUFFER_PDU = 0x08,    /* a stretch of the conversation (pdu.h), named frame:PROTOCOL/TYPE */
};

/* Ways of buffers.def. */
enum { REEF_WAY_TO_SERVER = 1, REEF_WAY_TO_CLIENT = 2, REEF_WAY_EITHER = 3 };

typedef struct reef_buffer {
    reef_view bytes;
    uint64_t offset; /* of bytes[0] in the whole: > 0 in later windows of a body */
    bool end;        /* the whole ends with these bytes */
} reef_buffer;

/* Names of the rule language; NULL outside. */
const char *reef_buffer_name(unsigned kind);
unsigned reef_buffer_way(unsigned kind);
unsigned reef_buffer_flags(unsigned kind);

/* Numbers of a transaction that rules compare. */
typedef enum reef_value_kind {
#define REEF_VALUE(id, name, way) REEF_VALUE_##id,
#include "reef/values.def"
#undef REEF_VALUE
    REEF_VALUE_COUNT
} reef_value_kind;

const char *reef_value_name(unsigned kind);
unsigned reef_value_way(unsigned kind);

#endif
