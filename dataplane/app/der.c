#include "der.h"

reef_der_status reef_der_next(reef_view *from, uint8_t *tag, reef_view *content)
{
    const uint8_t *p = from->data;
    if (from->length < 2)
        return REEF_DER_SHORT;
    if ((p[0] & 0x1f) == 0x1f) /* tags of several bytes are in nothing that is read here */
        return REEF_DER_BAD;
    uint32_t length = p[1], head = 2;
    if (length & 0x80) {
        uint32_t bytes = length & 0x7f;
        if (bytes == 0 || bytes > 4)
            return REEF_DER_BAD;
        if (from->length < 2 + bytes)
            return REEF_DER_SHORT;
        length = 0;
        for (uint32_t i = 0; i < bytes; i++)
            length = length << 8 | p[2 + i];
        head += bytes;
    }
    if (length > from->length - head)
        return REEF_DER_SHORT;
    *tag = p[0];
    *content = (reef_view){p + head, length};
    from->data += head + length;
    from->length -= head + length;
    return REEF_DER_OK;
}

reef_der_status reef_der_expect(reef_view *from, uint8_t tag, reef_view *content)
{
    reef_view rest = *from;
    uint8_t seen;
    reef_der_status status = reef_der_next(&rest, &seen, content);
    if (status != REEF_DER_OK)
        return status;
    if (seen != tag)
        return REEF_DER_BAD;
    *from = rest;
    return REEF_DER_OK;
}
