/* Payloads of IKE messages: what both ends propose, and what of it is weak. */
#include "ike_internal.h"
#include "reef/bytes.h"

/* The payload at the front of `v`, without its header; `*next` is the type of the one after it. False: it is not whole. */
static bool payload_of(reef_view *v, uint8_t *next, reef_view *body)
{
    if (v->length < 4)
        return false;
    uint32_t length = reef_be16(v->data + 2);
    if (length < 4 || length > v->length)
        return false;
    *next = v->data[0];
    *body = (reef_view){v->data + 4, length - 4};
    v->data += length;
    v->length -= length;
    return true;
}

static void note_payload(ike_transaction *t, uint8_t type)
{
    for (uint32_t i = 0; i < t->payloads; i++)
        if (t->payload[i] == type && t->major == 1)
            return;
    if (t->payloads < REEF_IKE_PAYLOADS_MAX)
        t->payload[t->payloads++] = type;
}

static ike_transform *new_transform(ike_transaction *t)
{
    if (t->transforms == NULL)
        t->transforms = reef_arena_get(&t->head.arena, REEF_IKE_TRANSFORMS_MAX * sizeof *t->transforms);
    if (t->transforms == NULL || t->transforms_count == REEF_IKE_TRANSFORMS_MAX)
        return NULL;
    ike_transform *transform = &t->transforms[t->transforms_count++];
    transform->attributes = 0;
    return transform;
}

static void add_attribute(ike_transform *transform, unsigned type, uint32_t value)
{
    if (transform->attributes < REEF_IKE_ATTRIBUTES_MAX)
        transform->attribute[transform->attributes++] = (ike_attribute){(uint16_t)type, value};
}

/* --- version 1 ------------------------------------------------------------------------------------------------- */

enum { V1_SA = 1, V1_PROPOSAL = 2, V1_TRANSFORM = 3, V1_KEY_EXCHANGE = 4, V1_NONCE = 10, V1_VENDOR = 13 };

/* Short ones have their value where the length of the long ones stands. */
static bool read_attributes(ike_transform *transform, reef_view v)
{
    while (v.length > 0) {
        if (v.length < 4)
            return false;
        unsigned type = reef_be16(v.data);
        uint32_t size = 4, value = reef_be16(v.data + 2);
        if (!(type & 0x8000)) {
            uint32_t length = value;
            if (length > v.length - 4)
                return false;
            value = 0;
            for (uint32_t i = 0; i < length && i < 4; i++)
                value = value << 8 | v.data[4 + i];
            size += length;
            type = length <= 4 ? type : type | 0x8000; /* more than a number */
        } else {
            type &= 0x7fff;
        }
        if (!(type & 0x8000))
            add_attribute(transform, type, value);
        v.data += size;
        v.length -= size;
    }
    return true;
}

static bool read_transforms(ike_transaction *t, reef_view v)
{
    uint8_t next = V1_TRANSFORM;
    while (next == V1_TRANSFORM && v.length > 0) {
        reef_view body;
        if (!payload_of(&v, &next, &body) || body.length < 4)
            return false;
        note_payload(t, V1_TRANSFORM);
        ike_transform *transform = new_transform(t);
        if (transform == NULL)
            return true;
        if (!read_attributes(transform, (reef_view){body.data + 4, body.length - 4}))
            return false;
    }
    return true;
}

static bool read_sa_1(reef_call *call, ike_transaction *t, reef_view v)
{
    ike_state *state = call->session->state;
    uint8_t next = V1_PROPOSAL;
    if (v.length < 8)
        return false;
    state->domain = reef_be32(v.data);
    state->has_domain = true;
    v.data += 8;
    v.length -= 8;
    while (next == V1_PROPOSAL && v.length > 0) {
        reef_view body;
        if (!payload_of(&v, &next, &body) || body.length < 4 || body.length - 4 < body.data[2])
            return false;
        note_payload(t, V1_PROPOSAL);
        uint32_t header = 4u + body.data[2]; /* number, protocol, length of the SPI, transforms, SPI */
        if (!read_transforms(t, (reef_view){body.data + header, body.length - header}))
            return false;
    }
    return true;
}

static void read_vendor(ike_transaction *t, reef_view v)
{
    static const char digits[] = "0123456789abcdef";
    ike_vendor *vendor = reef_arena_get(&t->head.arena, sizeof *vendor);
    uint8_t *hex = v.length <= REEF_IKE_VENDOR_MAX ? reef_arena_get(&t->head.arena, v.length * 2 + 1) : NULL;
    if (vendor == NULL || hex == NULL)
        return;
    for (uint32_t i = 0; i < v.length; i++) {
        hex[2 * i] = (uint8_t)digits[v.data[i] >> 4];
        hex[2 * i + 1] = (uint8_t)digits[v.data[i] & 15];
    }
    *vendor = (ike_vendor){NULL, {hex, v.length * 2}};
    if (t->last_vendor != NULL)
        t->last_vendor->next = vendor;
    else
        t->vendors = vendor;
    t->last_vendor = vendor;
}

static bool read_payload_1(reef_call *call, ike_transaction *t, uint8_t type, reef_view body)
{
    note_payload(t, type);
    switch (type) {
    case V1_SA:
        return read_sa_1(call, t, body);
    case V1_KEY_EXCHANGE:
        t->key_exchange = (reef_view){reef_arena_copy(&t->head.arena, body.data, body.length), body.length};
        return t->key_exchange.data != NULL;
    case V1_NONCE:
        t->nonce = (reef_view){reef_arena_copy(&t->head.arena, body.data, body.length), body.length};
        return t->nonce.data != NULL;
    case V1_VENDOR:
        read_vendor(t, body);
        return true;
    default:
        return true;
    }
}

bool ike_read_1(reef_call *call, ike_transaction *t, uint8_t type, reef_view v)
{
    ike_state *state = call->session->state;
    bool sa = false;
    for (unsigned i = 0; type != 0 && i < REEF_IKE_PAYLOADS_MAX; i++) {
        reef_view body;
        uint8_t next;
        if (!payload_of(&v, &next, &body) || !read_payload_1(call, t, type, body))
            return false;
        sa |= type == V1_SA;
        type = next;
    }
    if (t->direction == REEF_TO_CLIENT && sa) {
        state->chosen.attributes = 0;
        if (t->transforms_count > 0)
            state->chosen = t->transforms[0];
        if (t->transforms_count > 1)
            reef_transaction_event(call, &t->head, IKE_EVENT_MULTIPLE_PROPOSAL);
    }
    if (v.length > 0)
        reef_transaction_event(call, &t->head, IKE_EVENT_EXTRA_DATA);
    return true;
}

/* --- version 2 ------------------------------------------------------------------------------------------------- */

enum { V2_SA = 33, V2_NOTIFY = 41 };
enum { PROTOCOL_AH = 2 };
enum { T_ENCRYPTION = 1, T_PRF = 2, T_INTEGRITY = 3, T_GROUP = 4, T_SEQUENCE = 5 };

static bool is_weak_encryption(unsigned id)
{
    return (id >= 1 && id <= 9 && id != 0) || id == 11; /* DES, 3DES, RC5, IDEA, CAST, Blowfish and their like; NULL */
}

static bool is_aead(unsigned id)
{
    return (id >= 14 && id <= 16) || (id >= 18 && id <= 20) || (id >= 25 && id <= 28); /* CCM, GCM, Camellia-CCM, ChaCha20 */
}

static bool is_weak_integrity(unsigned id)
{
    return id >= 1 && id <= 7; /* MD5, SHA-1, DES, KPDK, XCBC */
}

static bool is_weak_group(unsigned id)
{
    return id == 1 || id == 2 || id == 5 || id == 22; /* up to 1536 bits */
}

/* What was said of one proposal so far. */
typedef struct proposal { bool group, integrity, aead; } proposal;

static void judge_transform(reef_call *call, ike_transaction *t, proposal *p, unsigned type, unsigned id)
{
    switch (type) {
    case T_ENCRYPTION:
        p->aead |= is_aead(id);
        if (is_weak_encryption(id))
            reef_transaction_event(call, &t->head, IKE_EVENT_WEAK_ENC);
        break;
    case T_PRF:
        if (id == 0)
            reef_transaction_event(call, &t->head, IKE_EVENT_INVALID_PROPOSAL);
        else if (id <= 2) /* MD5, SHA-1 */
            reef_transaction_event(call, &t->head, IKE_EVENT_WEAK_PRF);
        break;
    case T_INTEGRITY:
        p->integrity |= id != 0;
        if (is_weak_integrity(id))
            reef_transaction_event(call, &t->head, IKE_EVENT_WEAK_AUTH);
        break;
    case T_GROUP:
        p->group = true;
        if (id == 0)
            reef_transaction_event(call, &t->head, IKE_EVENT_INVALID_PROPOSAL);
        else if (is_weak_group(id))
            reef_transaction_event(call, &t->head, IKE_EVENT_WEAK_DH);
        break;
    case T_SEQUENCE:
        break;
    default:
        reef_transaction_event(call, &t->head, IKE_EVENT_UNKNOWN_PROPOSAL);
    }
}

static void keep_transform(ike_transform *chosen, unsigned type, unsigned id)
{
    static const uint8_t attribute[] = {[T_ENCRYPTION] = IKE_ENCRYPTION, [T_PRF] = IKE_PRF, [T_INTEGRITY] = IKE_AUTHENTICATION,
                                        [T_GROUP] = IKE_GROUP, [T_SEQUENCE] = IKE_EXTENDED_SEQUENCE};
    if (chosen != NULL && type >= T_ENCRYPTION && type <= T_SEQUENCE)
        add_attribute(chosen, attribute[type], id);
}

static void read_proposal(reef_call *call, ike_transaction *t, reef_view v, ike_transform *chosen)
{
    proposal p = {0};
    if (v.length < 4 || v.length - 4 < v.data[2])
        return;
    unsigned protocol = v.data[1];
    uint32_t header = 4u + v.data[2];
    v.data += header;
    v.length -= header;
    reef_view body;
    uint8_t next = 3;
    while (next == 3 && payload_of(&v, &next, &body) && body.length >= 4) {
        unsigned type = body.data[0], id = reef_be16(body.data + 2);
        judge_transform(call, t, &p, type, id);
        keep_transform(chosen, type, id);
    }
    if (!p.group)
        reef_transaction_event(call, &t->head, IKE_EVENT_NO_DH);
    if (protocol == PROTOCOL_AH)
        reef_transaction_event(call, &t->head, IKE_EVENT_NO_ENCRYPTION);
    if (!p.integrity && !p.aead)
        reef_transaction_event(call, &t->head, IKE_EVENT_NO_AUTH);
}

static void read_sa_2(reef_call *call, ike_transaction *t, reef_view v)
{
    ike_state *state = call->session->state;
    uint8_t next = 2;
    reef_view body;
    for (unsigned i = 0; next == 2 && i < REEF_IKE_TRANSFORMS_MAX && payload_of(&v, &next, &body); i++) {
        ike_transform *chosen = t->direction == REEF_TO_CLIENT ? new_transform(t) : NULL;
        read_proposal(call, t, body, chosen);
        if (chosen != NULL)
            state->chosen = *chosen;
    }
}

void ike_read_2(reef_call *call, ike_transaction *t, uint8_t type, reef_view v)
{
    reef_view body;
    uint8_t next;
    for (unsigned i = 0; type != 0 && i < REEF_IKE_PAYLOADS_MAX && payload_of(&v, &next, &body); i++) {
        note_payload(t, type);
        if (type == V2_SA) {
            read_sa_2(call, t, body);
        } else if (type == V2_NOTIFY && body.length >= 4) {
            unsigned kind = reef_be16(body.data + 2);
            t->errors += kind < 16384;
            if (t->notifies < REEF_IKE_PAYLOADS_MAX)
                t->notify[t->notifies++] = (uint16_t)kind;
        }
        type = next;
    }
}
