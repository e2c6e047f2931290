/* The packed form of a list, in which it is sent and kept. */
#include <string.h>

#include "banlist.h"
#include "reef/status.h"

enum { PACKED4 = 5, PACKED6 = 17 };

size_t reef_banlist_count(const reef_banlist *list, int version)
{
    return version == 4 ? list->count4 : list->count6;
}

static void write_number(uint8_t *out, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        out[i] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
}

void reef_banlist_pack(const reef_banlist *list, int version, uint8_t *out)
{
    for (size_t i = 0; version == 4 && i < list->count4; i++, out += PACKED4) {
        write_number(out, list->four[i].address, 4);
        out[4] = (uint8_t)list->four[i].length;
    }
    for (size_t i = 0; version == 6 && i < list->count6; i++, out += PACKED6) {
        write_number(out, list->six[i].high, 8);
        write_number(out + 8, list->six[i].low, 8);
        out[16] = (uint8_t)list->six[i].length;
    }
}

int reef_banlist_unpack(reef_banlist *list, int version, const uint8_t *packed, size_t length)
{
    size_t size = version == 4 ? PACKED4 : PACKED6;
    if (length % size != 0)
        return REEF_FORMAT;
    for (size_t at = 0; at < length; at += size) {
        struct reef_prefix prefix = {.version = (uint8_t)version, .length = packed[at + size - 1]};
        memcpy(prefix.address, packed + at, size - 1);
        int status = reef_banlist_add(list, &prefix);
        if (status != REEF_OK)
            return status == REEF_INVALID ? REEF_FORMAT : status;
    }
    return REEF_OK;
}
