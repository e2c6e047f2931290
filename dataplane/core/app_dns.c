/* DNS on UDP (RFC 1035), written as Suricata 8 does (version 3 of its DNS events). */
#include <arpa/inet.h>
#include <stdio.h>

#include "reef/app.h"
#include "reef/bytes.h"

enum { HEADER = 12 };
enum { TYPE_A = 1, TYPE_NS = 2, TYPE_CNAME = 5, TYPE_SOA = 6, TYPE_PTR = 12, TYPE_MX = 15, TYPE_TXT = 16,
       TYPE_AAAA = 28, TYPE_SRV = 33, TYPE_DNAME = 39, TYPE_OPT = 41 };

typedef struct code_name {
    uint16_t code;
    const char *name;
} code_name;

static const code_name types[] = {
    {1, "A"}, {2, "NS"}, {5, "CNAME"}, {6, "SOA"}, {10, "NULL"}, {12, "PTR"}, {13, "HINFO"}, {15, "MX"},
    {16, "TXT"}, {17, "RP"}, {18, "AFSDB"}, {24, "SIG"}, {25, "KEY"}, {28, "AAAA"}, {29, "LOC"}, {33, "SRV"},
    {35, "NAPTR"}, {36, "KX"}, {37, "CERT"}, {39, "DNAME"}, {41, "OPT"}, {42, "APL"}, {43, "DS"}, {44, "SSHFP"},
    {45, "IPSECKEY"}, {46, "RRSIG"}, {47, "NSEC"}, {48, "DNSKEY"}, {49, "DHCID"}, {50, "NSEC3"},
    {51, "NSEC3PARAM"}, {52, "TLSA"}, {55, "HIP"}, {59, "CDS"}, {60, "CDNSKEY"}, {64, "SVCB"}, {65, "HTTPS"},
    {99, "SPF"}, {249, "TKEY"}, {250, "TSIG"}, {251, "IXFR"}, {252, "AXFR"}, {255, "ANY"}, {256, "URI"}, {257, "CAA"},
};

static const char *const rcodes[] = {"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN",
                                     "YXRRSET", "NXRRSET", "NOTAUTH", "NOTZONE"};

static const char *type_name(uint16_t code, char number[16])
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (types[i].code == code)
            return types[i].name;
    snprintf(number, 16, "TYPE%u", code); /* RFC 3597 5 */
    return number;
}

/* Past the name at `at`: the offset after it, or 0 when it is malformed. Does not follow pointers. */
static uint32_t skip_name(reef_view message, uint32_t at)
{
    uint32_t octets = 0;
    while (at < message.length) {
        uint8_t length = message.data[at];
        if (length == 0)
            return at + 1;
        if ((length & 0xc0) == 0xc0)
            return at + 2 <= message.length ? at + 2 : 0;
        if ((length & 0xc0) != 0 || (octets += length + 1u) >= REEF_DNS_NAME_MAX)
            return 0;
        at += length + 1u;
    }
    return 0;
}

/* The name at `at` as dotted text without the last dot; returns its length. A malformed rest is left out. */
static uint32_t name_text(reef_view message, uint32_t at, uint8_t out[REEF_DNS_NAME_MAX])
{
    uint32_t used = 0;
    unsigned jumps = 0;
    while (at < message.length) {
        uint8_t length = message.data[at];
        if (length == 0)
            break;
        if ((length & 0xc0) == 0xc0) {
            if (at + 2 > message.length || ++jumps > REEF_DNS_JUMPS_MAX)
                break;
            at = reef_be16(message.data + at) & 0x3fffu;
            continue;
        }
        if ((length & 0xc0) != 0 || at + 1 + length > message.length || used + length + 1u > REEF_DNS_NAME_MAX)
            break;
        if (used > 0)
            out[used++] = '.';
        memcpy(out + used, message.data + at + 1, length);
        used += length;
        at += length + 1u;
    }
    return used;
}

/* One question: the offset after it, or 0. */
static uint32_t skip_question(reef_view message, uint32_t at)
{
    at = skip_name(message, at);
    return at != 0 && at + 4 <= message.length ? at + 4 : 0;
}

static uint32_t skip_record(reef_view message, uint32_t at)
{
    at = skip_name(message, at);
    if (at == 0 || at + 10 > message.length)
        return 0;
    at += 10u + reef_be16(message.data + at + 8);
    return at <= message.length ? at : 0;
}

/* Away from port 53 a datagram must look like DNS in all it says. */
static bool surely_dns(reef_view m, uint16_t flags, unsigned counts[4])
{
    uint32_t at;
    if (counts[0] != 1 || (flags & 0x7840) != 0 || (flags & 0x000f) > 10 || counts[1] > 64 || counts[2] > 64 ||
        counts[3] > 64 || (at = skip_question(m, HEADER)) == 0)
        return false;
    uint16_t type = reef_be16(m.data + at - 4), class = reef_be16(m.data + at - 2);
    if (type == 0 || (type > 257 && type != 65281) || (class & 0x7fff) != 1)
        return false;
    for (unsigned i = 0; i < counts[1] + counts[2] + counts[3]; i++)
        if ((at = skip_record(m, at)) == 0)
            return false;
    return at == m.length;
}

static reef_app_answer parse(const reef_app_input *input, reef_app_transaction *transaction)
{
    reef_dns *dns = &transaction->dns;
    reef_view m = input->bytes;
    bool on_port = input->source_port == 53 || input->destination_port == 53;
    if (m.length < HEADER || (!on_port && m.length < HEADER + 5))
        return REEF_APP_NOT_THIS;
    uint16_t flags = reef_be16(m.data + 2);
    unsigned counts[4];
    for (unsigned i = 0; i < 4; i++)
        counts[i] = reef_be16(m.data + 4 + 2 * i);
    if (!on_port && !input->known && !surely_dns(m, flags, counts))
        return REEF_APP_NOT_THIS;
    unsigned opcode = flags >> 11 & 15;
    if (opcode == 3 || opcode > 6)
        return REEF_APP_NOT_THIS;

    memset(dns, 0, sizeof *dns);
    dns->message = m;
    dns->id = reef_be16(m.data);
    dns->flags = flags;
    dns->questions_at = HEADER;
    uint32_t at = HEADER;
    while (dns->questions < counts[0] && dns->questions < REEF_DNS_RECORDS_MAX) {
        uint32_t next = skip_question(m, at);
        if (next == 0)
            return dns->questions > 0 ? REEF_APP_TRANSACTION : REEF_APP_NOT_THIS;
        dns->questions++;
        at = next;
    }
    if (dns->questions < counts[0] || at > UINT16_MAX)
        return REEF_APP_TRANSACTION;
    dns->answers_at = (uint16_t)at;
    while (dns->answers < counts[1] && dns->answers < REEF_DNS_RECORDS_MAX) {
        uint32_t next = skip_record(m, at);
        if (next == 0)
            break;
        dns->answers++;
        at = next;
    }
    return REEF_APP_TRANSACTION;
}

static void write_name(reef_json *text, const char *key, reef_view message, uint32_t at)
{
    uint8_t name[REEF_DNS_NAME_MAX];
    uint32_t length = name_text(message, at, name);
    reef_json_bytes(text, key, name, length, 1024);
}

static void write_rdata(reef_json *text, reef_view m, uint16_t type, uint32_t at, uint16_t length)
{
    const uint8_t *p = m.data + at;
    switch (type) {
    case TYPE_A:
        if (length == 4)
            reef_json_address(text, "rdata", 4, p);
        break;
    case TYPE_AAAA:
        if (length == 16)
            reef_json_address(text, "rdata", 6, p);
        break;
    case TYPE_NS:
    case TYPE_CNAME:
    case TYPE_PTR:
    case TYPE_DNAME:
        write_name(text, "rdata", m, at);
        break;
    case TYPE_MX:
        if (length > 2)
            write_name(text, "rdata", m, at + 2);
        break;
    case TYPE_TXT:
        if (length > 1 && p[0] < length)
            reef_json_bytes(text, "rdata", p + 1, p[0], 1024);
        break;
    case TYPE_SRV:
        if (length > 6) {
            reef_json_open(text, "srv", '{');
            reef_json_number(text, "priority", reef_be16(p));
            reef_json_number(text, "weight", reef_be16(p + 2));
            reef_json_number(text, "port", reef_be16(p + 4));
            write_name(text, "name", m, at + 6);
            reef_json_close(text, '}');
        }
        break;
    case TYPE_SOA: {
        uint32_t rname = skip_name(m, at), serial = rname != 0 ? skip_name(m, rname) : 0;
        if (serial != 0 && serial + 20 <= at + length) {
            static const char *const keys[] = {"serial", "refresh", "retry", "expire", "minimum"};
            reef_json_open(text, "soa", '{');
            write_name(text, "mname", m, at);
            write_name(text, "rname", m, rname);
            for (unsigned i = 0; i < 5; i++)
                reef_json_number(text, keys[i], reef_be32(m.data + serial + 4 * i));
            reef_json_close(text, '}');
        }
        break;
    }
    default:
        break;
    }
}

enum { RECORD_TEXT_MAX = 3072 }; /* one record, written: two names and a few numbers */

static void write_answers(reef_json *text, const reef_dns *dns)
{
    uint32_t at = dns->answers_at;
    reef_json_open(text, "answers", '[');
    for (unsigned i = 0; i < dns->answers && reef_json_room(text) > RECORD_TEXT_MAX; i++) {
        uint32_t fixed = skip_name(dns->message, at);
        const uint8_t *p = dns->message.data + fixed;
        uint16_t type = reef_be16(p), length = reef_be16(p + 8);
        char number[16];
        reef_json_open(text, NULL, '{');
        write_name(text, "rrname", dns->message, at);
        reef_json_text(text, "rrtype", type_name(type, number));
        reef_json_number(text, "ttl", reef_be32(p + 4));
        write_rdata(text, dns->message, type, fixed + 10, length);
        reef_json_close(text, '}');
        at = fixed + 10 + length;
    }
    reef_json_close(text, ']');
}

static void write(const reef_app_transaction *transaction, reef_json *text)
{
    const reef_dns *dns = &transaction->dns;
    bool response = dns->flags & 0x8000;
    reef_json_number(text, "version", 3);
    reef_json_text(text, "type", response ? "response" : "request");
    reef_json_number(text, "id", dns->id);
    if (response) {
        reef_json_hex(text, "flags", dns->flags, 4);
        reef_json_bool(text, "qr", true);
        static const struct { uint16_t bit; const char *key; } bits[] = {
            {0x0400, "aa"}, {0x0200, "tc"}, {0x0100, "rd"}, {0x0080, "ra"}, {0x0040, "z"}};
        for (size_t i = 0; i < sizeof bits / sizeof bits[0]; i++)
            if (dns->flags & bits[i].bit)
                reef_json_bool(text, bits[i].key, true);
    }
    reef_json_number(text, "opcode", dns->flags >> 11 & 15);
    if (response) {
        unsigned code = dns->flags & 15;
        char number[16];
        snprintf(number, sizeof number, "RCODE%u", code);
        reef_json_text(text, "rcode", code < sizeof rcodes / sizeof rcodes[0] ? rcodes[code] : number);
    }
    if (dns->questions > 0) {
        uint32_t at = dns->questions_at;
        reef_json_open(text, "queries", '[');
        for (unsigned i = 0; i < dns->questions && reef_json_room(text) > 2 * RECORD_TEXT_MAX; i++) {
            uint32_t next = skip_question(dns->message, at);
            char number[16];
            reef_json_open(text, NULL, '{');
            write_name(text, "rrname", dns->message, at);
            reef_json_text(text, "rrtype", type_name(reef_be16(dns->message.data + next - 4), number));
            reef_json_close(text, '}');
            at = next;
        }
        reef_json_close(text, ']');
    }
    if (dns->answers > 0)
        write_answers(text, dns);
}

const reef_app_protocol reef_app_dns = {
    .name = "dns", .ip_protocol = REEF_PROTO_UDP, .parse = parse, .write = write};
