/* Reads lists of addresses as people and list makers write them, one to a line. Everything in them is untrusted. */
#include <arpa/inet.h>
#include <string.h>

#include "banlist.h"
#include "reef/status.h"

enum { TOKEN_MAX = 100 }; /* the longest range of IPv6 has 91 characters */

typedef unsigned __int128 wide;

struct bound {
    wide address;
    int version;
};

static int is_end(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '#' || c == ';' || c == ',';
}

/* Four numbers, no leading zeros: 010 is eight to some and ten to others. */
static int read4(const char *text, size_t length, struct bound *out)
{
    uint32_t address = 0;
    size_t at = 0;
    for (int part = 0; part < 4; part++) {
        unsigned value = 0;
        size_t begun = at;
        while (at < length && at - begun < 3 && text[at] >= '0' && text[at] <= '9')
            value = value * 10 + (unsigned)(text[at++] - '0');
        if (at == begun || value > 255 || (text[begun] == '0' && at - begun > 1))
            return REEF_INVALID;
        address = address << 8 | value;
        if (part < 3 && (at == length || text[at++] != '.'))
            return REEF_INVALID;
    }
    *out = (struct bound){address, 4};
    return at == length ? REEF_OK : REEF_INVALID;
}

static int read6(const char *text, size_t length, struct bound *out)
{
    char copy[INET6_ADDRSTRLEN];
    uint8_t bytes[16];
    if (length >= sizeof copy)
        return REEF_INVALID;
    memcpy(copy, text, length);
    copy[length] = '\0';
    if (strlen(copy) != length || inet_pton(AF_INET6, copy, bytes) != 1)
        return REEF_INVALID;
    wide address = 0;
    for (size_t i = 0; i < sizeof bytes; i++)
        address = address << 8 | bytes[i];
    *out = (struct bound){address, 6};
    return REEF_OK;
}

static int read_address(const char *text, size_t length, struct bound *out)
{
    return memchr(text, ':', length) != NULL ? read6(text, length, out) : read4(text, length, out);
}

static int read_length(const char *text, size_t length, unsigned most, unsigned *out)
{
    unsigned value = 0;
    if (length == 0 || length > 3 || (text[0] == '0' && length > 1))
        return REEF_INVALID;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return REEF_INVALID;
        value = value * 10 + (unsigned)(text[i] - '0');
    }
    *out = value;
    return value <= most ? REEF_OK : REEF_INVALID;
}

static int add(reef_banlist *list, const struct bound *from, unsigned length)
{
    if (from->version == 4)
        return reef_banlist_add4(list, (uint32_t)from->address, length);
    return reef_banlist_add6(list, (uint64_t)(from->address >> 64), (uint64_t)from->address, length);
}

/* REEF_END: wider than anybody is banned. */
static int add_prefix(reef_banlist *list, struct bound *from, unsigned length, struct reef_banlist_report *report)
{
    unsigned bits = from->version == 4 ? 32 : 128;
    if (length < (from->version == 4 ? REEF_BAN4_SHORTEST : REEF_BAN6_SHORTEST))
        return REEF_END;
    wide behind = length < bits ? ((wide)1 << (bits - length)) - 1 : 0;
    if (from->address & behind)
        report->masked++;
    from->address &= ~behind;
    return add(list, from, length);
}

/* A range as the fewest prefixes: the widest one that begins here and does not end behind it, again and again. */
static int add_range(reef_banlist *list, struct bound *from, const struct bound *to)
{
    unsigned bits = from->version == 4 ? 32 : 128, widest = bits - (from->version == 4 ? REEF_BAN4_SHORTEST : REEF_BAN6_SHORTEST);
    if (from->version != to->version || from->address > to->address)
        return REEF_INVALID;
    if (to->address - from->address >= (wide)1 << widest)
        return REEF_END;
    for (;;) {
        unsigned free_bits = 0;
        while (free_bits < widest && !(from->address >> free_bits & 1) &&
               to->address - from->address >= ((wide)1 << (free_bits + 1)) - 1)
            free_bits++;
        int status = add(list, from, bits - free_bits);
        wide last = from->address + (((wide)1 << free_bits) - 1);
        if (status != REEF_OK || last >= to->address)
            return status;
        from->address = last + 1;
    }
}

static int read_token(reef_banlist *list, const char *text, size_t length, struct reef_banlist_report *report)
{
    struct bound from, to;
    const char *slash = memchr(text, '/', length), *dash = memchr(text, '-', length);
    const char *end = slash != NULL ? slash : dash != NULL ? dash : text + length;
    if (length > TOKEN_MAX || read_address(text, (size_t)(end - text), &from) != REEF_OK)
        return REEF_INVALID;
    unsigned bits = from.version == 4 ? 32 : 128;
    if (slash != NULL) {
        unsigned wanted;
        if (read_length(slash + 1, length - (size_t)(slash + 1 - text), bits, &wanted) != REEF_OK)
            return REEF_INVALID;
        return add_prefix(list, &from, wanted, report);
    }
    if (dash == NULL)
        return add(list, &from, bits);
    if (read_address(dash + 1, length - (size_t)(dash + 1 - text), &to) != REEF_OK)
        return REEF_INVALID;
    return add_range(list, &from, &to);
}

static void note(struct reef_banlist_report *report, uint64_t line, int wide_one)
{
    report->bad++;
    if (report->note_count < REEF_BANLIST_NOTES)
        report->notes[report->note_count++] = (struct reef_banlist_note){line, wide_one};
}

int reef_banlist_text(reef_banlist *list, const char *text, size_t length, struct reef_banlist_report *report)
{
    const char *end = text + length;
    for (uint64_t line = 1; text < end; line++) {
        const char *stop = memchr(text, '\n', (size_t)(end - text)), *next = stop != NULL ? stop + 1 : end;
        if (stop == NULL)
            stop = end;
        while (text < stop && (*text == ' ' || *text == '\t'))
            text++;
        const char *token = text;
        while (text < stop && !is_end(*text))
            text++;
        if (text > token || (text < stop && *text == ',')) {
            report->lines++;
            int status = read_token(list, token, (size_t)(text - token), report);
            if (status == REEF_NOMEM)
                return status;
            if (status != REEF_OK)
                note(report, line, status == REEF_END);
        }
        text = next;
    }
    return REEF_OK;
}
