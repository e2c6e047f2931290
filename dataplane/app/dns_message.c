#include <string.h>

#include "dns_internal.h"
#include "reef/bytes.h"

enum { LABELS_MAX = 255 };

uint32_t reef_dns_name(reef_view message, uint32_t at, uint32_t end, uint8_t *out, uint32_t *length, unsigned *odd)
{
    uint32_t used = 0, after = 0; /* `after`: behind the first pointer, once one was followed */
    unsigned steps = 0;
    bool cut = false;
    while (at < end) {
        uint8_t label = message.data[at];
        if (label == 0) {
            at++;
            break;
        }
        if ((label & 0xc0) == 0) {
            if (label >= end - at)
                return 0;
            if (!cut) {
                if (out != NULL) {
                    if (used > 0)
                        out[used] = '.';
                    memcpy(out + used + (used > 0), message.data + at + 1, label);
                }
                used += label + (used > 0 ? 1u : 0u);
            }
            at += label + 1u;
        } else if ((label & 0xc0) == 0xc0) {
            if (end - at < 2)
                return 0;
            uint32_t target = reef_be16(message.data + at) & 0x3fffu;
            if (target > message.length)
                return 0;
            if (target == at) {
                *odd |= REEF_DNS_LOOP;
                if (after == 0)
                    return 0;
                break;
            }
            if (after == 0)
                after = at + 2;
            at = target;
            end = message.length;
        } else {
            return 0;
        }
        if (++steps > LABELS_MAX) {
            *odd |= REEF_DNS_LABELS;
            if (after == 0)
                return 0;
            *odd |= REEF_DNS_CUT;
            break;
        }
        if (used > REEF_DNS_NAME_TEXT_MAX) {
            used = REEF_DNS_NAME_TEXT_MAX;
            cut = true;
            *odd |= REEF_DNS_CUT;
            if (after != 0)
                break;
        }
    }
    if (length != NULL)
        *length = used;
    return after != 0 ? after : at;
}

static uint32_t record_at(const reef_dns_message *message, unsigned section, uint32_t at, reef_dns_record *record, unsigned *odd)
{
    reef_view m = message->bytes;
    record->name = at;
    at = reef_dns_name(m, at, m.length, NULL, NULL, odd);
    if (at == 0 || m.length - at < 4)
        return 0;
    record->type = reef_be16(m.data + at);
    record->class = reef_be16(m.data + at + 2);
    record->ttl = 0;
    record->length = 0;
    record->data = at + 4;
    if (section == REEF_DNS_QUESTIONS)
        return at + 4;
    if (m.length - at < 10)
        return 0;
    record->ttl = reef_be32(m.data + at + 4);
    record->length = reef_be16(m.data + at + 8);
    record->data = at + 10;
    return record->length <= m.length - record->data ? record->data + record->length : 0;
}

uint32_t reef_dns_record_at(const reef_dns_message *message, unsigned section, uint32_t at, reef_dns_record *record)
{
    unsigned odd = 0;
    return record_at(message, section, at, record, &odd);
}

/* Are the data of a record what its type says? An empty one never is. */
static bool is_sound(reef_view m, const reef_dns_record *record, unsigned *odd)
{
    uint32_t at = record->data, end = at + record->length;
    if (record->length == 0)
        return false;
    switch (record->type) {
    case REEF_DNS_CNAME:
    case REEF_DNS_PTR:
    case REEF_DNS_NS:
        return reef_dns_name(m, at, end, NULL, NULL, odd) != 0;
    case REEF_DNS_MX:
        return record->length >= 2 && reef_dns_name(m, at + 2, end, NULL, NULL, odd) != 0;
    case REEF_DNS_SRV:
        return record->length >= 6 && reef_dns_name(m, at + 6, end, NULL, NULL, odd) != 0;
    case REEF_DNS_SOA:
        at = reef_dns_name(m, at, end, NULL, NULL, odd);
        at = at == 0 ? 0 : reef_dns_name(m, at, end, NULL, NULL, odd);
        return at != 0 && at <= end && end - at >= 20;
    case REEF_DNS_TXT:
        return m.data[at] < record->length;
    case REEF_DNS_SSHFP:
        return record->length >= 2;
    default:
        return true;
    }
}

/* The records of a section from `at` on: the offset after them, or 0. */
static uint32_t read_section(const reef_dns_message *message, unsigned section, uint32_t at, unsigned *odd)
{
    reef_view m = message->bytes;
    for (unsigned i = 0; i < message->count[section]; i++) {
        reef_dns_record record;
        unsigned name_odd = 0; /* counts only where the record is whole */
        at = record_at(message, section, at, &record, &name_odd);
        if (at == 0)
            return 0;
        *odd |= name_odd;
        if (section != REEF_DNS_QUESTIONS && !is_sound(m, &record, odd))
            return 0;
    }
    return at;
}

bool reef_dns_read(reef_view bytes, bool response, reef_dns_message *message, unsigned *odd)
{
    uint32_t at = REEF_DNS_HEADER;
    message->bytes = bytes;
    message->id = reef_be16(bytes.data);
    message->flags = reef_be16(bytes.data + 2);
    for (unsigned i = 0; i < REEF_DNS_SECTIONS; i++) {
        message->count[i] = reef_be16(bytes.data + 4 + 2 * i);
        message->at[i] = 0;
    }
    *odd = 0;
    for (unsigned section = REEF_DNS_QUESTIONS; section <= REEF_DNS_AUTHORITIES; section++) {
        message->at[section] = at;
        at = read_section(message, section, at, odd);
        if (at == 0)
            return false;
        if (!response)
            break;
    }
    if (response)
        message->at[REEF_DNS_ADDITIONALS] = at;
    else
        message->at[REEF_DNS_ANSWERS] = at;
    return true;
}

bool reef_dns_is_plausible(const uint8_t *header, uint32_t length)
{
    uint32_t records = 0;
    for (unsigned i = 0; i < REEF_DNS_SECTIONS; i++)
        records += reef_be16(header + 4 + 2 * i);
    return length >= REEF_DNS_HEADER + 2 * records;
}

/* One question of the Internet class and known type, nothing reserved set, and all records end where the message does. */
bool reef_dns_is_surely(reef_view bytes)
{
    reef_dns_message message = {.bytes = bytes};
    reef_dns_record record;
    if (bytes.length < REEF_DNS_HEADER + 5)
        return false;
    uint16_t flags = reef_be16(bytes.data + 2);
    for (unsigned i = 0; i < REEF_DNS_SECTIONS; i++) {
        message.count[i] = reef_be16(bytes.data + 4 + 2 * i);
        if (message.count[i] > (i == REEF_DNS_QUESTIONS ? 1 : 64))
            return false;
    }
    if (message.count[REEF_DNS_QUESTIONS] != 1 || (flags & 0x7840) != 0 || (flags & 0x000f) > 10)
        return false;
    if ((flags & 0x8000) == 0 && message.count[REEF_DNS_ANSWERS] != 0)
        return false;
    uint32_t at = reef_dns_record_at(&message, REEF_DNS_QUESTIONS, REEF_DNS_HEADER, &record);
    if (at == 0 || record.type == 0 || record.type > 257 || record.class != 1)
        return false;
    for (unsigned section = REEF_DNS_ANSWERS; section < REEF_DNS_SECTIONS; section++)
        for (unsigned i = 0; i < message.count[section]; i++)
            if ((at = reef_dns_record_at(&message, section, at, &record)) == 0)
                return false;
    return at == bytes.length;
}
