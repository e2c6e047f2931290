/* asn1_scan: BER elements whose lengths cannot be true (the keyword asn1). */
#include "match_internal.h"

enum { OVERSIZE = 1, BITSTRING = 2, DOUBLE = 4, ELEMENTS_MAX = 256, TAG_BIT_STRING = 3, TAG_REAL = 9 };

static bool element_holds(const uint8_t *data, uint64_t length, uint32_t left, uint8_t tag, const reef_condition *condition)
{
    if (condition->base & OVERSIZE && length > (uint64_t)condition->a)
        return true;
    if (condition->base & BITSTRING && (tag & 0x3f) == TAG_BIT_STRING && left > 0 && length * 8 < data[0])
        return true;
    return condition->base & DOUBLE && (tag & 0x3f) == TAG_REAL && left > 0 && (data[0] & 0xc0) == 0 && length + 1 > 256;
}

bool asn1_holds(reef_view bytes, uint32_t at, const reef_condition *condition)
{
    int64_t place = (condition->flags & REEF_C_RELATIVE ? at : 0) + condition->c;
    if (place < 0 || place >= bytes.length)
        return false;
    const uint8_t *data = bytes.data + place, *end = bytes.data + bytes.length;
    for (unsigned n = 0; n < ELEMENTS_MAX && end - data >= 2; n++) {
        uint8_t tag = *data++;
        if ((tag & 0x1f) == 0x1f) { /* a tag of several bytes */
            while (data < end && *data & 0x80)
                data++;
            if (end - data < 2)
                return false;
            data++;
        }
        uint64_t length = *data++;
        if (length & 0x80) {
            unsigned octets = length & 0x7f;
            if (octets > 8 || octets > end - data)
                return condition->base & OVERSIZE && octets > 8;
            for (length = 0; octets > 0; octets--)
                length = length << 8 | *data++;
        }
        if (element_holds(data, length, (uint32_t)(end - data), tag, condition))
            return true;
        if (tag & 0x20)
            continue; /* constructed: its elements follow */
        if (length > (uint64_t)(end - data))
            return false;
        data += length;
    }
    return false;
}
