/* base64_scan: what can be decoded of bytes that may hold base64. RFC 4648: up to the first byte that is none of the alphabet;
 * RFC 2045: such bytes are jumped over; strict: one such byte and there is nothing. */
#include "match_internal.h"

static int digit_of(uint8_t byte)
{
    if (byte >= 'A' && byte <= 'Z')
        return byte - 'A';
    if (byte >= 'a' && byte <= 'z')
        return byte - 'a' + 26;
    if (byte >= '0' && byte <= '9')
        return byte - '0' + 52;
    return byte == '+' ? 62 : byte == '/' ? 63 : -1;
}

uint32_t base64_decode(reef_view bytes, uint8_t *out, uint32_t room, unsigned mode)
{
    uint32_t made = 0, held = 0, pad = 0;
    uint32_t group = 0;
    for (uint32_t i = 0; i < bytes.length && made + 3 <= room; i++) {
        uint8_t byte = bytes.data[i];
        int digit = digit_of(byte);
        if (byte == '=' && held >= 2) {
            pad++;
            digit = 0;
        } else if (digit < 0) {
            if (mode == 1 || (mode == 0 && byte == ' '))
                continue;
            if (mode == 2)
                return 0;
            break;
        } else if (pad > 0) {
            break;
        }
        group = group << 6 | (uint32_t)digit;
        if (++held < 4)
            continue;
        out[made] = (uint8_t)(group >> 16);
        out[made + 1] = (uint8_t)(group >> 8);
        out[made + 2] = (uint8_t)group;
        made += 3 - pad;
        held = group = 0;
        if (pad > 0)
            return made;
    }
    if (mode == 2 && held > 0)
        return 0;
    if (held >= 2 && made + 2 <= room) { /* an open group still says one or two bytes */
        group <<= 6 * (4 - held);
        out[made++] = (uint8_t)(group >> 16);
        if (held == 3)
            out[made++] = (uint8_t)(group >> 8);
    }
    return made;
}
