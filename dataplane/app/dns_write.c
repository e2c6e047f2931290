/* DNS as Suricata 7 writes it: version 2 of its DNS events. */
#include "dns_internal.h"
#include "reef/bytes.h"
#include "reef/limits.h"

static const char *const types[] = {
    [1] = "A", [2] = "NS", [3] = "ND", [4] = "MF", [5] = "CNAME", [6] = "SOA", [7] = "MB", [8] = "MG", [9] = "MR",
    [10] = "NULL", [11] = "WKS", [12] = "PTR", [13] = "HINFO", [14] = "MINFO", [15] = "MX", [16] = "TXT", [17] = "RP",
    [18] = "AFSDB", [19] = "X25", [20] = "ISDN", [21] = "RT", [22] = "NSAP", [23] = "NSAPPT", [24] = "SIG",
    [25] = "KEY", [26] = "PX", [27] = "GPOS", [28] = "AAAA", [29] = "LOC", [30] = "NXT", [33] = "SRV", [34] = "ATMA",
    [35] = "NAPTR", [36] = "KX", [37] = "CERT", [38] = "A6", [39] = "DNAME", [41] = "OPT", [42] = "APL", [43] = "DS",
    [44] = "SSHFP", [45] = "IPSECKEY", [46] = "RRSIG", [47] = "NSEC", [48] = "DNSKEY", [49] = "DHCID", [50] = "NSEC3",
    [51] = "NSEC3PARAM", [52] = "TLSA", [55] = "HIP", [59] = "CDS", [60] = "CDSNKEY", [65] = "HTTPS", [99] = "SPF",
    [249] = "TKEY", [250] = "TSIG", [254] = "MAILA", [255] = "ANY", [256] = "URI",
};

static const char *const rcodes[] = {"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN",
                                     "YXRRSET", "NXRRSET", "NOTAUTH", "NOTZONE", "11",
                                     "12", "13", "14", "15"};

enum { RECORD_TEXT_MAX = 7000 }; /* one record, written: two names of which every byte may need five, and a few numbers */

/* A type without a name is called by its number. */
static const char *type_name(uint16_t code, char number[8])
{
    if (code < sizeof types / sizeof types[0] && types[code] != NULL)
        return types[code];
    reef_json json;
    reef_json_init(&json, number, 7);
    reef_json_put_number(&json, code);
    *json.at = '\0';
    return number;
}

/* The name at `at`; `cut` (NULL: not said) is the key that tells that it is longer. */
static uint32_t write_name(reef_json *json, const char *key, const char *cut, reef_view message, uint32_t at, uint32_t end)
{
    uint8_t name[REEF_DNS_NAME_ROOM];
    uint32_t length = 0;
    unsigned odd = 0;
    uint32_t after = reef_dns_name(message, at, end, name, &length, &odd);
    reef_json_bytes(json, key, name, after != 0 ? length : 0, RECORD_TEXT_MAX / 2);
    if (cut != NULL && (odd & REEF_DNS_CUT) != 0)
        reef_json_bool(json, cut, true);
    return after;
}

static void write_address(reef_json *json, const char *key, const uint8_t *p, uint16_t length)
{
    if (length == 4 || length == 16)
        reef_json_address(json, key, length == 4 ? 4 : 6, p);
    else
        reef_json_word(json, key, "");
}

static void write_soa(reef_json *json, const char *key, reef_view m, const reef_dns_record *record)
{
    static const char *const keys[] = {"serial", "refresh", "retry", "expire", "minimum"};
    uint32_t end = record->data + record->length;
    reef_json_open(json, key, '{');
    uint32_t at = write_name(json, "mname", "mname_truncated", m, record->data, end);
    at = write_name(json, "rname", "rname_truncated", m, at, end);
    for (unsigned i = 0; i < 5; i++)
        reef_json_number(json, keys[i], reef_be32(m.data + at + 4 * i));
    reef_json_close(json, '}');
}

static void write_srv(reef_json *json, const char *key, reef_view m, const reef_dns_record *record)
{
    const uint8_t *p = m.data + record->data;
    reef_json_open(json, key, '{');
    reef_json_number(json, "priority", reef_be16(p));
    reef_json_number(json, "weight", reef_be16(p + 2));
    reef_json_number(json, "port", reef_be16(p + 4));
    write_name(json, "name", NULL, m, record->data + 6, record->data + record->length);
    reef_json_close(json, '}');
}

static void write_sshfp(reef_json *json, const char *key, reef_view m, const reef_dns_record *record)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *p = m.data + record->data;
    char hex[3 * 64];
    unsigned used = 0;
    for (unsigned i = 2; i < record->length && used + 3 <= sizeof hex; i++) {
        hex[used++] = digits[p[i] >> 4];
        hex[used++] = digits[p[i] & 15];
        hex[used++] = ':';
    }
    reef_json_open(json, key, '{');
    reef_json_bytes(json, "fingerprint", (const uint8_t *)hex, used > 0 ? used - 1 : 0, sizeof hex);
    reef_json_number(json, "algo", p[0]);
    reef_json_number(json, "type", p[1]);
    reef_json_close(json, '}');
}

static bool has_text(uint16_t type)
{
    static const uint16_t shown[] = {REEF_DNS_A, REEF_DNS_NS, REEF_DNS_CNAME, REEF_DNS_SOA, REEF_DNS_NULL, REEF_DNS_PTR,
                                     REEF_DNS_MX, REEF_DNS_TXT, REEF_DNS_AAAA, REEF_DNS_SRV, REEF_DNS_SSHFP};
    for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++)
        if (shown[i] == type)
            return true;
    return false;
}

/* What a record says. In the details (`grouped` false) each kind has its key, among its like there is none. `string` is the
 * part of a text record. */
static void write_data(reef_json *json, bool grouped, reef_view m, const reef_dns_record *record, uint32_t string)
{
    const uint8_t *p = m.data + record->data;
    uint32_t end = record->data + record->length;
    const char *key = grouped ? NULL : "rdata", *cut = grouped ? NULL : "rdata_truncated";
    switch (record->type) {
    case REEF_DNS_A:
    case REEF_DNS_AAAA:
        write_address(json, key, p, record->length);
        break;
    case REEF_DNS_NS:
    case REEF_DNS_CNAME:
    case REEF_DNS_PTR:
        write_name(json, key, cut, m, record->data, end);
        break;
    case REEF_DNS_MX:
        write_name(json, key, cut, m, record->data + 2, end);
        break;
    case REEF_DNS_TXT:
        reef_json_bytes(json, key, m.data + string + 1, m.data[string], RECORD_TEXT_MAX / 2);
        break;
    case REEF_DNS_NULL:
        reef_json_bytes(json, key, p, record->length, RECORD_TEXT_MAX / 2);
        break;
    case REEF_DNS_SOA:
        write_soa(json, grouped ? NULL : "soa", m, record);
        break;
    case REEF_DNS_SRV:
        write_srv(json, grouped ? NULL : "srv", m, record);
        break;
    case REEF_DNS_SSHFP:
        write_sshfp(json, grouped ? NULL : "sshfp", m, record);
        break;
    default:
        break;
    }
}

static bool has_room(const reef_json *json)
{
    return reef_json_room(json) > RECORD_TEXT_MAX;
}

/* A text record counts as one for each of its strings: the offset of the next one, or 0. */
static uint32_t next_string(reef_view m, const reef_dns_record *record, uint32_t string)
{
    uint32_t end = record->data + record->length, next = string + 1u + m.data[string];
    return record->type == REEF_DNS_TXT && next < end && m.data[next] < end - next ? next : 0;
}

/* Whom a record is about: mostly the name of the question, to which it points, and which is `asked` as it was written there. */
static void write_owner(reef_json *json, reef_view m, uint32_t at, reef_view asked)
{
    if (asked.length == 0 || reef_be16(m.data + at) != (0xc000u | REEF_DNS_HEADER)) {
        write_name(json, "rrname", "rrname_truncated", m, at, m.length);
        return;
    }
    reef_json_members(json, (const char *)asked.data, asked.length);
}

static void write_details(reef_json *json, const char *key, const reef_dns_message *message, unsigned section, reef_view asked)
{
    reef_view m = message->bytes;
    uint32_t at = message->at[section];
    reef_json_open(json, key, '[');
    for (unsigned i = 0; i < message->count[section] && has_room(json); i++) {
        reef_dns_record record;
        char number[8];
        at = reef_dns_record_at(message, section, at, &record);
        if (at == 0)
            break;
        for (uint32_t string = record.data; string != 0 && has_room(json); string = next_string(m, &record, string)) {
            reef_json_open(json, NULL, '{');
            write_owner(json, m, record.name, asked);
            reef_json_word(json, "rrtype", type_name(record.type, number));
            reef_json_number(json, "ttl", record.ttl);
            write_data(json, false, m, &record, string);
            reef_json_close(json, '}');
        }
    }
    reef_json_close(json, ']');
}

static void write_grouped(reef_json *json, const reef_dns_message *message)
{
    reef_view m = message->bytes;
    reef_dns_record records[REEF_DNS_RECORDS_MAX];
    bool done[REEF_DNS_RECORDS_MAX] = {false};
    uint32_t at = message->at[REEF_DNS_ANSWERS];
    unsigned count = 0;
    while (count < message->count[REEF_DNS_ANSWERS] && count < REEF_DNS_RECORDS_MAX) {
        at = reef_dns_record_at(message, REEF_DNS_ANSWERS, at, &records[count]);
        if (at == 0)
            break;
        done[count] = !has_text(records[count].type);
        count++;
    }
    reef_json_open(json, "grouped", '{');
    for (unsigned i = 0; i < count && has_room(json); i++) {
        char number[8];
        if (done[i])
            continue;
        reef_json_open(json, type_name(records[i].type, number), '[');
        for (unsigned k = i; k < count && has_room(json); k++) {
            if (done[k] || records[k].type != records[i].type)
                continue;
            done[k] = true;
            for (uint32_t s = records[k].data; s != 0 && has_room(json); s = next_string(m, &records[k], s))
                write_data(json, true, m, &records[k], s);
        }
        reef_json_close(json, ']');
    }
    reef_json_close(json, '}');
}

/* The members of the first question's name are returned as they were written; nothing when there is none. */
static reef_view write_question(reef_json *json, const reef_dns_message *message)
{
    reef_dns_record question;
    char number[8];
    if (message->count[REEF_DNS_QUESTIONS] == 0 ||
        reef_dns_record_at(message, REEF_DNS_QUESTIONS, REEF_DNS_HEADER, &question) == 0)
        return (reef_view){NULL, 0};
    const char *name = json->at + json->comma;
    write_name(json, "rrname", "rrname_truncated", message->bytes, question.name, message->bytes.length);
    reef_view asked = {(const uint8_t *)name, json->full ? 0 : (uint32_t)(json->at - name)};
    reef_json_word(json, "rrtype", type_name(question.type, number));
    return asked;
}

void reef_dns_write_query(const reef_dns_message *message, uint64_t number, reef_json *json)
{
    reef_json_word(json, "type", "query");
    reef_json_number(json, "id", message->id);
    write_question(json, message);
    reef_json_number(json, "tx_id", number);
    if (message->flags & 0x0040)
        reef_json_bool(json, "z", true);
    reef_json_number(json, "opcode", message->flags >> 11 & 15);
}

void reef_dns_write_answer(const reef_dns_message *message, reef_json *json)
{
    static const struct { uint16_t bit; const char *key; } bits[] = {
        {0x8000, "qr"}, {0x0400, "aa"}, {0x0200, "tc"}, {0x0100, "rd"}, {0x0080, "ra"}, {0x0040, "z"}};
    unsigned rcode = message->flags & 15;
    reef_json_number(json, "version", 2);
    reef_json_word(json, "type", "answer");
    reef_json_number(json, "id", message->id);
    reef_json_hex(json, "flags", message->flags, 0);
    for (size_t i = 0; i < sizeof bits / sizeof bits[0]; i++)
        if (message->flags & bits[i].bit)
            reef_json_bool(json, bits[i].key, true);
    reef_json_number(json, "opcode", message->flags >> 11 & 15);
    reef_view asked = write_question(json, message);
    reef_json_word(json, "rcode", rcodes[rcode]);
    if (message->count[REEF_DNS_ANSWERS] > 0) {
        write_details(json, "answers", message, REEF_DNS_ANSWERS, asked);
        write_grouped(json, message);
    }
    if (message->count[REEF_DNS_AUTHORITIES] > 0)
        write_details(json, "authorities", message, REEF_DNS_AUTHORITIES, asked);
}
