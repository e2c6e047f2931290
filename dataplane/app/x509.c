#include "x509.h"

#include <nettle/sha1.h>
#include <stdio.h>
#include <string.h>

#include "der.h"
#include "reef/json.h"

/* --- text under way ------------------------------------------------------------------------------------- */

enum { NAME_TEXT_MAX = 8192 };

typedef struct text {
    char data[NAME_TEXT_MAX];
    uint32_t length;
    bool invalid; /* is not text, or too long for it */
} text;

static void begin(text *t)
{
    t->length = 0;
    t->invalid = false;
}

static void add(text *t, const void *data, size_t length)
{
    if (length > sizeof t->data - t->length) {
        t->invalid = true;
        return;
    }
    if (length > 0)
        memcpy(t->data + t->length, data, length);
    t->length += (uint32_t)length;
}

static void add_word(text *t, const char *word)
{
    add(t, word, strlen(word));
}

static bool is_utf8(const uint8_t *p, uint32_t n)
{
    for (uint32_t i = 0; i < n;) {
        uint8_t c = p[i];
        uint32_t more = c < 0x80 ? 0 : c >= 0xc2 && c <= 0xdf ? 1 : c >= 0xe0 && c <= 0xef ? 2 : c >= 0xf0 && c <= 0xf4 ? 3 : 9;
        if (more > n - i - 1)
            return false;
        for (uint32_t k = 1; k <= more; k++)
            if ((p[i + k] & 0xc0) != 0x80)
                return false;
        if ((c == 0xe0 && p[i + 1] < 0xa0) || (c == 0xed && p[i + 1] > 0x9f) || (c == 0xf0 && p[i + 1] < 0x90) ||
            (c == 0xf4 && p[i + 1] > 0x8f))
            return false;
        i += 1 + more;
    }
    return true;
}

static void add_code_point(text *t, uint32_t c)
{
    uint8_t out[4];
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        add(t, out, 1);
    } else if (c < 0x800) {
        out[0] = (uint8_t)(0xc0 | c >> 6);
        out[1] = (uint8_t)(0x80 | (c & 0x3f));
        add(t, out, 2);
    } else if (c < 0x10000) {
        out[0] = (uint8_t)(0xe0 | c >> 12);
        out[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        out[2] = (uint8_t)(0x80 | (c & 0x3f));
        add(t, out, 3);
    } else {
        out[0] = (uint8_t)(0xf0 | c >> 18);
        out[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
        out[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        out[3] = (uint8_t)(0x80 | (c & 0x3f));
        add(t, out, 4);
    }
}

static void add_utf16(text *t, reef_view v)
{
    if (v.length % 2 != 0) {
        t->invalid = true;
        return;
    }
    for (uint32_t i = 0; i + 1 < v.length; i += 2) {
        uint32_t c = (uint32_t)v.data[i] << 8 | v.data[i + 1];
        if (c >= 0xd800 && c <= 0xdbff && i + 3 < v.length) {
            uint32_t low = (uint32_t)v.data[i + 2] << 8 | v.data[i + 3];
            if (low >= 0xdc00 && low <= 0xdfff) {
                c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
                i += 2;
            }
        }
        if (c >= 0xd800 && c <= 0xdfff) {
            t->invalid = true;
            return;
        }
        add_code_point(t, c);
    }
}

static const char upper[] = "0123456789ABCDEF", lower[] = "0123456789abcdef";

static void add_hex(text *t, reef_view v, const char *figures, const char *between)
{
    for (uint32_t i = 0; i < v.length; i++) {
        char pair[2] = {figures[v.data[i] >> 4], figures[v.data[i] & 15]};
        if (i > 0)
            add_word(t, between);
        add(t, pair, 2);
    }
}

static bool keep(reef_arena *arena, const text *t, reef_view *out)
{
    *out = (reef_view){reef_arena_copy(arena, (const uint8_t *)t->data, t->length), t->length};
    return out->data != NULL;
}

/* --- names ---------------------------------------------------------------------------------------------- */

typedef struct attribute {
    const char *oid; /* its bytes */
    uint8_t length;
    const char *word;
} attribute;

static const attribute attributes[] = {
    {"\x55\x04\x03", 3, "CN"}, {"\x55\x04\x06", 3, "C"}, {"\x55\x04\x07", 3, "L"}, {"\x55\x04\x08", 3, "ST"},
    {"\x55\x04\x0a", 3, "O"}, {"\x55\x04\x0b", 3, "OU"},
    {"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19", 10, "DC"}, {"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01", 9, "Email"},
    {"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x01", 10, "uid"},
    {"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x02", 9, "unstructuredName"},
    {"\x2b\x06\x01\x04\x01\x82\x37\x3c\x02\x01\x01", 11, "msJurisdictionLocality"},
    {"\x2b\x06\x01\x04\x01\x82\x37\x3c\x02\x01\x02", 11, "msJurisdictionStateOrProvince"},
    {"\x2b\x06\x01\x04\x01\x82\x37\x3c\x02\x01\x03", 11, "msJurisdictionCountry"},
    {"\x55\x04\x00", 3, "objectClass"}, {"\x55\x04\x01", 3, "aliasedEntryName"}, {"\x55\x04\x02", 3, "knowledgeInformation"},
    {"\x55\x04\x04", 3, "surname"}, {"\x55\x04\x05", 3, "serialNumber"}, {"\x55\x04\x09", 3, "streetAddress"},
    {"\x55\x04\x0c", 3, "title"}, {"\x55\x04\x0d", 3, "description"}, {"\x55\x04\x0e", 3, "searchGuide"},
    {"\x55\x04\x0f", 3, "businessCategory"}, {"\x55\x04\x10", 3, "postalAddress"}, {"\x55\x04\x11", 3, "postalCode"},
    {"\x55\x04\x29", 3, "name"}, {"\x55\x04\x2a", 3, "givenName"}, {"\x55\x04\x2b", 3, "initials"},
    {"\x55\x04\x2c", 3, "generationQualifier"}, {"\x55\x04\x2d", 3, "uniqueIdentifier"}, {"\x55\x04\x2e", 3, "dnQualifier"},
};

static void add_oid(text *t, reef_view oid)
{
    for (size_t i = 0; i < sizeof attributes / sizeof attributes[0]; i++) {
        if (attributes[i].length == oid.length && memcmp(attributes[i].oid, oid.data, oid.length) == 0) {
            add_word(t, attributes[i].word);
            return;
        }
    }
    char number[24];
    uint64_t arc = 0;
    bool first = true;
    add_word(t, "OID(");
    for (uint32_t i = 0; i < oid.length; i++) {
        arc = arc << 7 | (oid.data[i] & 0x7f);
        if (oid.data[i] & 0x80)
            continue;
        uint64_t top = arc < 80 ? arc / 40 : 2;
        if (first)
            snprintf(number, sizeof number, "%u.%llu", (unsigned)top, (unsigned long long)(arc - 40 * top));
        else
            snprintf(number, sizeof number, ".%llu", (unsigned long long)arc);
        add_word(t, number);
        first = false;
        arc = 0;
    }
    add_word(t, ")");
}

static void add_value(text *t, uint8_t tag, reef_view value)
{
    switch (tag) {
    case 0x07: case REEF_DER_UTF8: case 0x12: case 0x13: case 0x14: case 0x15: case 0x16: case 0x19: case 0x1a: case 0x1b:
        if (!is_utf8(value.data, value.length))
            t->invalid = true;
        else
            add(t, value.data, value.length);
        break;
    case REEF_DER_BMP:
        add_utf16(t, value);
        break;
    default:
        add_hex(t, value, upper, "");
        break;
    }
}

/* "C=FR, O=Some, CN=one + CN=two" */
static bool read_name(reef_view name, text *t)
{
    reef_view set, pair, oid, value;
    begin(t);
    while (name.length > 0) {
        if (reef_der_expect(&name, REEF_DER_SET, &set) != REEF_DER_OK || set.length == 0)
            return false;
        if (t->length > 0)
            add_word(t, ", ");
        for (bool first = true; set.length > 0; first = false) {
            uint8_t tag;
            if (reef_der_expect(&set, REEF_DER_SEQUENCE, &pair) != REEF_DER_OK ||
                reef_der_expect(&pair, REEF_DER_OID, &oid) != REEF_DER_OK || reef_der_next(&pair, &tag, &value) != REEF_DER_OK)
                return false;
            if (!first)
                add_word(t, " + ");
            add_oid(t, oid);
            add_word(t, "=");
            add_value(t, tag, value);
        }
    }
    if (t->invalid) {
        begin(t);
        add_word(t, "<X509Error: Invalid X.509 name>");
    }
    return true;
}

/* --- dates ---------------------------------------------------------------------------------------------- */

static bool digits(const uint8_t *p, unsigned n, int *out)
{
    *out = 0;
    for (unsigned i = 0; i < n; i++) {
        if (p[i] < '0' || p[i] > '9')
            return false;
        *out = *out * 10 + (p[i] - '0');
    }
    return true;
}

/* Days from the epoch to a date of the Gregorian calendar. */
static int64_t days_from_civil(int64_t year, int month, int day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/* UTCTime YYMMDDhhmm[ss] or GeneralizedTime YYYYMMDDhhmm[ss][.f], then Z or an offset. */
static bool read_time(reef_view *from, int64_t *out)
{
    uint8_t tag;
    reef_view v;
    int year, month, day, hour, minute, second = 0, off_hour = 0, off_minute = 0, sign = 0;
    if (reef_der_next(from, &tag, &v) != REEF_DER_OK || (tag != REEF_DER_UTC_TIME && tag != REEF_DER_GENERALIZED_TIME))
        return false;
    unsigned century = tag == REEF_DER_UTC_TIME ? 2 : 4, at = century + 8;
    if (v.length < at || !digits(v.data, century, &year) || !digits(v.data + century, 2, &month) ||
        !digits(v.data + century + 2, 2, &day) || !digits(v.data + century + 4, 2, &hour) ||
        !digits(v.data + century + 6, 2, &minute))
        return false;
    if (at + 2 <= v.length && digits(v.data + at, 2, &second))
        at += 2;
    if (at < v.length && v.data[at] == '.')
        for (at++; at < v.length && v.data[at] >= '0' && v.data[at] <= '9';)
            at++;
    if (at < v.length && (v.data[at] == '+' || v.data[at] == '-')) {
        sign = v.data[at] == '+' ? 1 : -1;
        if (v.length - at < 5 || !digits(v.data + at + 1, 2, &off_hour) || !digits(v.data + at + 3, 2, &off_minute))
            return false;
    }
    if (century == 2)
        year += year < 50 ? 2000 : 1900; /* RFC 5280 4.1.2.5.1 */
    if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60)
        return false;
    *out = days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second -
           sign * (off_hour * 3600 + off_minute * 60);
    return true;
}

/* --- extensions ------------------------------------------------------------------------------------------ */

static void add_san(reef_arena *arena, reef_x509 *out, uint8_t tag, reef_view value)
{
    char address[46];
    if (out->sans_count == REEF_X509_SANS_MAX)
        return;
    if (tag == 0x87 && (value.length == 4 || value.length == 16)) { /* iPAddress */
        uint32_t length = (uint32_t)reef_address_text(value.length == 4 ? 4 : 6, value.data, address);
        value = (reef_view){(const uint8_t *)address, length};
    } else if (tag != 0x81 && tag != 0x82 && tag != 0x86) { /* rfc822Name, dNSName, URI */
        return;
    }
    uint8_t *copy = reef_arena_copy(arena, value.data, value.length);
    if (copy != NULL)
        out->sans[out->sans_count++] = (reef_view){copy, value.length};
}

static void read_sans(reef_view octets, reef_arena *arena, reef_x509 *out)
{
    reef_view names, value;
    uint8_t tag;
    if (out->sans != NULL || reef_der_expect(&octets, REEF_DER_SEQUENCE, &names) != REEF_DER_OK)
        return;
    out->sans = reef_arena_get(arena, REEF_X509_SANS_MAX * sizeof *out->sans);
    if (out->sans == NULL)
        return;
    while (names.length > 0 && reef_der_next(&names, &tag, &value) == REEF_DER_OK)
        add_san(arena, out, tag, value);
}

static bool read_extensions(reef_view wrapped, reef_arena *arena, reef_x509 *out)
{
    reef_view list, extension, oid, value;
    uint8_t tag;
    if (reef_der_expect(&wrapped, REEF_DER_SEQUENCE, &list) != REEF_DER_OK)
        return false;
    while (list.length > 0) {
        if (reef_der_expect(&list, REEF_DER_SEQUENCE, &extension) != REEF_DER_OK ||
            reef_der_expect(&extension, REEF_DER_OID, &oid) != REEF_DER_OK ||
            reef_der_next(&extension, &tag, &value) != REEF_DER_OK)
            return false;
        if (tag == 0x01 && reef_der_next(&extension, &tag, &value) != REEF_DER_OK) /* critical */
            return false;
        if (tag != REEF_DER_OCTET_STRING)
            return false;
        if (oid.length == 3 && memcmp(oid.data, "\x55\x1d\x11", 3) == 0)
            read_sans(value, arena, out);
    }
    return true;
}

/* --- the certificate --------------------------------------------------------------------------------------- */

static reef_x509_status of_der(reef_der_status status, reef_x509_status otherwise)
{
    return status == REEF_DER_SHORT ? REEF_X509_BAD_LENGTH : otherwise;
}

static reef_x509_status read_algorithm(reef_view *from)
{
    reef_view algorithm, oid;
    reef_der_status status = reef_der_expect(from, REEF_DER_SEQUENCE, &algorithm);
    if (status != REEF_DER_OK)
        return of_der(status, REEF_X509_BAD_DER);
    return reef_der_expect(&algorithm, REEF_DER_OID, &oid) == REEF_DER_OK ? REEF_X509_OK : REEF_X509_BAD_ALGORITHM;
}

static reef_x509_status keep_name(reef_view *from, reef_arena *arena, reef_view *out, reef_x509_status not_text)
{
    reef_view name;
    text t;
    reef_der_status status = reef_der_expect(from, REEF_DER_SEQUENCE, &name);
    if (status != REEF_DER_OK)
        return of_der(status, REEF_X509_BAD_DER);
    if (!read_name(name, &t))
        return REEF_X509_BAD_NAME;
    if (memchr(t.data, 0, t.length) != NULL)
        return not_text;
    return keep(arena, &t, out) ? REEF_X509_OK : REEF_X509_NO_MEMORY;
}

static reef_x509_status read_serial(reef_view *from, reef_arena *arena, reef_view *out)
{
    reef_view serial;
    text t;
    if (reef_der_expect(from, REEF_DER_INTEGER, &serial) != REEF_DER_OK)
        return REEF_X509_BAD_SERIAL;
    if (serial.length > 1024)
        return REEF_X509_BAD_SERIAL;
    begin(&t);
    add_hex(&t, serial, upper, ":");
    return keep(arena, &t, out) ? REEF_X509_OK : REEF_X509_NO_MEMORY;
}

static reef_x509_status read_validity(reef_view *from, reef_x509 *out)
{
    reef_view validity;
    reef_der_status status = reef_der_expect(from, REEF_DER_SEQUENCE, &validity);
    if (status != REEF_DER_OK)
        return of_der(status, REEF_X509_BAD_DER);
    return read_time(&validity, &out->not_before) && read_time(&validity, &out->not_after) ? REEF_X509_OK : REEF_X509_BAD_DATE;
}

static reef_x509_status read_body(reef_view body, reef_arena *arena, reef_x509 *out)
{
    reef_view part, number;
    uint8_t tag;
    reef_x509_status status;
    if (body.length > 0 && body.data[0] == 0xa0) { /* [0] EXPLICIT Version */
        if (reef_der_next(&body, &tag, &part) != REEF_DER_OK || reef_der_expect(&part, REEF_DER_INTEGER, &number) != REEF_DER_OK ||
            number.length == 0 || number.length > 4)
            return REEF_X509_BAD_VERSION;
    }
    reef_x509_status subject = REEF_X509_OK, issuer;
    if ((status = read_serial(&body, arena, &out->serial)) != REEF_X509_OK || (status = read_algorithm(&body)) != REEF_X509_OK)
        return status;
    issuer = keep_name(&body, arena, &out->issuer, REEF_X509_BAD_ISSUER);
    if (issuer != REEF_X509_OK && issuer != REEF_X509_BAD_ISSUER)
        return issuer;
    if ((status = read_validity(&body, out)) != REEF_X509_OK)
        return status;
    subject = keep_name(&body, arena, &out->subject, REEF_X509_BAD_SUBJECT);
    if (subject != REEF_X509_OK && subject != REEF_X509_BAD_SUBJECT)
        return subject;
    reef_der_status key = reef_der_expect(&body, REEF_DER_SEQUENCE, &part);
    if (key != REEF_DER_OK)
        return of_der(key, REEF_X509_BAD_DER);
    while (body.length > 0) {
        if (reef_der_next(&body, &tag, &part) != REEF_DER_OK)
            return REEF_X509_BAD_EXTENSIONS;
        if (tag == 0xa3 && !read_extensions(part, arena, out))
            return REEF_X509_BAD_EXTENSIONS;
    }
    return subject != REEF_X509_OK ? subject : issuer;
}

static bool read_fingerprint(reef_view der, reef_arena *arena, reef_view *out)
{
    struct sha1_ctx sha1;
    uint8_t digest[SHA1_DIGEST_SIZE];
    text t;
    sha1_init(&sha1);
    sha1_update(&sha1, der.length, der.data);
    sha1_digest(&sha1, sizeof digest, digest);
    begin(&t);
    add_hex(&t, (reef_view){digest, sizeof digest}, lower, ":");
    return keep(arena, &t, out);
}

reef_x509_status reef_x509_read(reef_view der, reef_arena *arena, reef_x509 *out)
{
    reef_view rest = der, certificate, body, signature;
    memset(out, 0, sizeof *out);
    reef_der_status status = reef_der_expect(&rest, REEF_DER_SEQUENCE, &certificate);
    if (status == REEF_DER_OK)
        status = reef_der_expect(&certificate, REEF_DER_SEQUENCE, &body);
    if (status != REEF_DER_OK)
        return of_der(status, REEF_X509_BAD_DER);
    reef_x509_status read = read_body(body, arena, out);
    if (read != REEF_X509_OK)
        return read;
    if ((read = read_algorithm(&certificate)) != REEF_X509_OK)
        return read;
    if (reef_der_expect(&certificate, REEF_DER_BIT_STRING, &signature) != REEF_DER_OK)
        return REEF_X509_BAD_CERTIFICATE;
    return read_fingerprint(der, arena, &out->fingerprint) ? REEF_X509_OK : REEF_X509_NO_MEMORY;
}
