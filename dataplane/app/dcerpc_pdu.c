#include "dcerpc_pdu.h"

#include <string.h>

#include "reef/bytes.h"
#include "reef/limits.h"

uint16_t dcerpc_u16(const dcerpc_header *header, const uint8_t *p)
{
    return header->little ? reef_u16(p) : reef_be16(p);
}

uint32_t dcerpc_u32(const dcerpc_header *header, const uint8_t *p)
{
    return header->little ? reef_u32(p) : reef_be32(p);
}

bool dcerpc_read_header(reef_view bytes, dcerpc_header *header)
{
    const uint8_t *p = bytes.data;
    if (bytes.length < DCERPC_HEADER || p[0] != 5 || p[1] > 1 || p[2] > DCERPC_TYPE_MAX || (p[4] & 0xef) != 0)
        return false;
    header->type = p[2];
    header->flags = p[3];
    header->little = p[4] & 0x10;
    header->length = dcerpc_u16(header, p + 8);
    header->call = dcerpc_u32(header, p + 12);
    return header->length >= DCERPC_HEADER;
}

/* The first three parts of a UUID come in the sender's byte order; written it is as the most significant byte comes first. */
static void read_uuid(const dcerpc_header *header, const uint8_t *p, uint8_t *out)
{
    static const uint8_t order[8] = {3, 2, 1, 0, 5, 4, 7, 6};
    memcpy(out, p, DCERPC_UUID);
    if (header->little)
        for (unsigned i = 0; i < sizeof order; i++)
            out[i] = p[order[i]];
}

static dcerpc_interface *add_interface(reef_memory *memory, dcerpc_interfaces *interfaces)
{
    if (interfaces->count == REEF_DCERPC_INTERFACES_MAX)
        return NULL;
    if (interfaces->count == interfaces->capacity) {
        uint32_t capacity = interfaces->capacity == 0 ? 4 : 2 * interfaces->capacity;
        dcerpc_interface *grown = reef_memory_resize(memory, interfaces->list, interfaces->capacity * sizeof *grown,
                                                     capacity * sizeof *grown);
        if (grown == NULL)
            return NULL;
        interfaces->list = grown;
        interfaces->capacity = capacity;
    }
    dcerpc_interface *added = &interfaces->list[interfaces->count++];
    memset(added, 0, sizeof *added);
    return added;
}

void dcerpc_take_bind(reef_memory *memory, dcerpc_interfaces *interfaces, const dcerpc_header *header, reef_view pdu)
{
    const uint8_t *p = pdu.data + DCERPC_HEADER, *end = pdu.data + pdu.length;
    if (end - p < 12)
        return;
    unsigned contexts = p[8];
    interfaces->newest = interfaces->count;
    for (p += 12; contexts > 0 && end - p >= 24; contexts--) {
        dcerpc_interface *bound = add_interface(memory, interfaces);
        if (bound == NULL)
            return;
        unsigned syntaxes = p[2];
        bound->context = dcerpc_u16(header, p);
        read_uuid(header, p + 4, bound->match);
        uint16_t version = dcerpc_u16(header, p + 20);
        bound->match[DCERPC_UUID] = (uint8_t)(version >> 8);
        bound->match[DCERPC_UUID + 1] = (uint8_t)version;
        bound->match[DCERPC_UUID + 2] = header->flags & DCERPC_FIRST;
        bound->minor = dcerpc_u16(header, p + 22);
        p += 24;
        if ((uint32_t)(end - p) < syntaxes * 20u)
            return;
        p += syntaxes * 20u;
    }
}

void dcerpc_take_answer(dcerpc_interfaces *interfaces, const dcerpc_header *header, reef_view pdu)
{
    uint32_t at = DCERPC_HEADER + 8;
    if (pdu.length < at + 2)
        return;
    at += 2u + dcerpc_u16(header, pdu.data + at); /* the secondary address */
    at = (at + 3) & ~3u;
    if (pdu.length < at + 4)
        return;
    unsigned results = pdu.data[at];
    at += 4;
    for (uint32_t i = interfaces->newest; results > 0 && i < interfaces->count && pdu.length - at >= 24; i++, results--) {
        interfaces->list[i].acked = true;
        interfaces->list[i].refused = dcerpc_u16(header, pdu.data + at) != 0;
        at += 24;
    }
}

void dcerpc_interfaces_free(reef_memory *memory, dcerpc_interfaces *interfaces)
{
    reef_memory_give(memory, interfaces->list, interfaces->capacity * sizeof *interfaces->list);
    *interfaces = (dcerpc_interfaces){0};
}

bool dcerpc_read_call(const dcerpc_header *header, reef_view pdu, dcerpc_call *call)
{
    uint32_t at = DCERPC_HEADER + 8;
    if (pdu.length < at)
        return false;
    call->context = dcerpc_u16(header, pdu.data + DCERPC_HEADER + 4);
    call->operation = dcerpc_u16(header, pdu.data + DCERPC_HEADER + 6);
    if (header->type == DCERPC_REQUEST && header->flags & DCERPC_OBJECT && pdu.length >= at + DCERPC_UUID)
        at += DCERPC_UUID;
    call->stub = (reef_view){pdu.data + at, pdu.length - at};
    return true;
}

bool dcerpc_interface_buffer(const dcerpc_interfaces *interfaces, int context, unsigned index, reef_buffer *out)
{
    for (uint32_t i = 0; i < interfaces->count; i++) {
        const dcerpc_interface *bound = &interfaces->list[i];
        if (!bound->acked || bound->refused || (context >= 0 && bound->context != context) || index-- > 0)
            continue;
        *out = (reef_buffer){.bytes = {bound->match, sizeof bound->match}, .end = true};
        return true;
    }
    return false;
}

const char *dcerpc_type_name(unsigned type)
{
    static const char *const names[] = {
        "REQUEST", "PING", "RESPONSE", "FAULT", "WORKING", "NOCALL", "REJECT", "ACK", "CL_CANCEL", "FACK", "CANCEL_ACK",
        "BIND", "BINDACK", "BINDNAK", "ALTER_CONTEXT", "ALTER_CONTEXT_RESP", "AUTH3", "SHUTDOWN", "CO_CANCEL", "ORPHANED",
    };
    return type < sizeof names / sizeof names[0] ? names[type] : "UNKNOWN";
}

void dcerpc_stub_add(reef_memory *memory, dcerpc_stub *stub, reef_view bytes)
{
    if (bytes.length > REEF_DCERPC_STUB_MAX - stub->length)
        bytes.length = REEF_DCERPC_STUB_MAX - stub->length;
    if (bytes.length == 0)
        return;
    if (bytes.length > stub->capacity - stub->length) {
        uint32_t capacity = stub->capacity == 0 ? bytes.length : 2 * (stub->length + bytes.length);
        uint8_t *grown = reef_memory_resize(memory, stub->data, stub->capacity, capacity);
        if (grown == NULL)
            return;
        stub->data = grown;
        stub->capacity = capacity;
    }
    memcpy(stub->data + stub->length, bytes.data, bytes.length);
    stub->length += bytes.length;
}

void dcerpc_stub_free(reef_memory *memory, dcerpc_stub *stub)
{
    reef_memory_give(memory, stub->data, stub->capacity);
    *stub = (dcerpc_stub){0};
}
