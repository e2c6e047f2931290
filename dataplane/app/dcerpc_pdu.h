/* What DCERPC says, over whatever carries it: TCP, or a named pipe of SMB (C706 chapter 12, MS-RPCE). */
#ifndef REEF_DCERPC_PDU_H
#define REEF_DCERPC_PDU_H

#include "reef/buffer.h"
#include "reef/memory.h"

enum { DCERPC_HEADER = 16, DCERPC_UUID = 16 };
enum {
    DCERPC_REQUEST = 0, DCERPC_RESPONSE = 2, DCERPC_FAULT = 3, DCERPC_BIND = 11, DCERPC_BINDACK = 12, DCERPC_BINDNAK = 13,
    DCERPC_ALTER = 14, DCERPC_ALTER_ANSWER = 15, DCERPC_TYPE_MAX = 19,
};
enum { DCERPC_FIRST = 0x01, DCERPC_LAST = 0x02, DCERPC_OBJECT = 0x80 };

typedef struct dcerpc_header {
    uint8_t type, flags;
    bool little;
    uint16_t length; /* of the whole fragment */
    uint32_t call;
} dcerpc_header;

/* An interface that was bound. Rules look at `match`: the UUID as it is written, the version (most significant byte
 * first), and whether it was bound in a first fragment. */
typedef struct dcerpc_interface {
    uint8_t match[DCERPC_UUID + 3];
    uint16_t context, minor;
    bool acked, refused;
} dcerpc_interface;

typedef struct dcerpc_interfaces {
    dcerpc_interface *list;
    uint32_t count, capacity;
    uint32_t newest; /* those of the last bind begin here: its answer speaks of them in this order */
} dcerpc_interfaces;

/* The first bytes of a fragment; false: it is none. */
bool dcerpc_read_header(reef_view bytes, dcerpc_header *header);
uint16_t dcerpc_u16(const dcerpc_header *header, const uint8_t *p);
uint32_t dcerpc_u32(const dcerpc_header *header, const uint8_t *p);

/* A whole fragment of this type. */
void dcerpc_take_bind(reef_memory *memory, dcerpc_interfaces *interfaces, const dcerpc_header *header, reef_view pdu);
void dcerpc_take_answer(dcerpc_interfaces *interfaces, const dcerpc_header *header, reef_view pdu);
void dcerpc_interfaces_free(reef_memory *memory, dcerpc_interfaces *interfaces);

/* A request or response: false when it is too short. */
typedef struct dcerpc_call {
    uint16_t context, operation;
    reef_view stub;
} dcerpc_call;
bool dcerpc_read_call(const dcerpc_header *header, reef_view pdu, dcerpc_call *call);

/* The `index`th interface that was accepted (in this context; < 0: in any). */
bool dcerpc_interface_buffer(const dcerpc_interfaces *interfaces, int context, unsigned index, reef_buffer *out);

/* "REQUEST"; never NULL. */
const char *dcerpc_type_name(unsigned type);

/* Stub data of the fragments of one call. */
typedef struct dcerpc_stub {
    uint8_t *data;
    uint32_t length, capacity;
} dcerpc_stub;
void dcerpc_stub_add(reef_memory *memory, dcerpc_stub *stub, reef_view bytes);
void dcerpc_stub_free(reef_memory *memory, dcerpc_stub *stub);

#endif
