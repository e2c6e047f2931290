/* What rules and logs ask of a TLS connection. */
#include <stdio.h>
#include <string.h>

#include "reef/bytes.h"
#include "reef/limits.h"
#include "tls_internal.h"

const reef_protocol_buffer tls_buffers[TLS_BUFFERS] = {
    {REEF_BUFFER_TLS_SNI, REEF_TO_SERVER, TLS_HELLO},
    {REEF_BUFFER_TLS_ALPN, REEF_TO_SERVER, TLS_HELLO},
    {REEF_BUFFER_TLS_ALPN, REEF_TO_CLIENT, TLS_HELLO},
    {REEF_BUFFER_TLS_RANDOM, REEF_TO_SERVER, TLS_HELLO},
    {REEF_BUFFER_TLS_RANDOM, REEF_TO_CLIENT, TLS_HELLO},
    {REEF_BUFFER_TLS_RANDOM_TIME, REEF_TO_SERVER, TLS_HELLO},
    {REEF_BUFFER_TLS_RANDOM_TIME, REEF_TO_CLIENT, TLS_HELLO},
    {REEF_BUFFER_TLS_RANDOM_BYTES, REEF_TO_SERVER, TLS_HELLO},
    {REEF_BUFFER_TLS_RANDOM_BYTES, REEF_TO_CLIENT, TLS_HELLO},
    {REEF_BUFFER_JA3_HASH, REEF_TO_SERVER, TLS_HELLO},
    {REEF_BUFFER_JA3_STRING, REEF_TO_SERVER, TLS_HELLO},
    {REEF_BUFFER_JA4_HASH, REEF_TO_SERVER, TLS_HELLO},
    {REEF_BUFFER_JA3S_HASH, REEF_TO_CLIENT, TLS_HELLO},
    {REEF_BUFFER_JA3S_STRING, REEF_TO_CLIENT, TLS_HELLO},
    {REEF_BUFFER_TLS_CERTS, REEF_TO_SERVER, TLS_CERTIFICATE},
    {REEF_BUFFER_TLS_CERTS, REEF_TO_CLIENT, TLS_CERTIFICATE},
    {REEF_BUFFER_TLS_CERT_SUBJECT, REEF_TO_SERVER, TLS_CERTIFICATE},
    {REEF_BUFFER_TLS_CERT_SUBJECT, REEF_TO_CLIENT, TLS_CERTIFICATE},
    {REEF_BUFFER_TLS_CERT_ISSUER, REEF_TO_SERVER, TLS_CERTIFICATE},
    {REEF_BUFFER_TLS_CERT_ISSUER, REEF_TO_CLIENT, TLS_CERTIFICATE},
    {REEF_BUFFER_TLS_CERT_SERIAL, REEF_TO_SERVER, TLS_CERTIFICATE},
    {REEF_BUFFER_TLS_CERT_SERIAL, REEF_TO_CLIENT, TLS_CERTIFICATE},
    {REEF_BUFFER_TLS_CERT_FINGERPRINT, REEF_TO_SERVER, TLS_CERTIFICATE},
    {REEF_BUFFER_TLS_CERT_FINGERPRINT, REEF_TO_CLIENT, TLS_CERTIFICATE},
    {REEF_BUFFER_TLS_SUBJECTALTNAME, REEF_TO_CLIENT, TLS_CERTIFICATE},
};

static bool whole(reef_view bytes, reef_buffer *out)
{
    *out = (reef_buffer){.bytes = bytes, .end = true};
    return bytes.data != NULL;
}

/* Fingerprints are made when somebody asks. */
static bool ja3_string(tls_state *state, int direction, reef_view *out)
{
    tls_side *side = &state->side[direction];
    if (!side->hello.whole)
        return false;
    if (side->ja3_string.data == NULL &&
        !reef_ja3_string(&side->hello, direction == REEF_TO_CLIENT, false, &state->arena, &side->ja3_string))
        return false;
    *out = side->ja3_string;
    return true;
}

static bool ja3_hash(tls_state *state, int direction, reef_view *out)
{
    tls_side *side = &state->side[direction];
    reef_view string;
    if (!ja3_string(state, direction, &string))
        return false;
    if (side->ja3_hash.data == NULL && !reef_md5_text(string, &state->arena, &side->ja3_hash))
        return false;
    *out = side->ja3_hash;
    return true;
}

static bool ja4(tls_state *state, reef_view *out)
{
    tls_side *side = &state->side[REEF_TO_SERVER];
    if (!side->hello.whole || (side->ja4.data == NULL && !reef_ja4(&side->hello, 't', &state->arena, &side->ja4)))
        return false;
    *out = side->ja4;
    return true;
}

/* The `index`th of names behind one byte of length. */
static bool alpn_at(reef_view list, unsigned index, reef_view *out)
{
    while (list.length > 0 && list.data[0] < list.length) {
        uint32_t length = list.data[0];
        *out = (reef_view){list.data + 1, length};
        if (index-- == 0)
            return true;
        list.data += 1 + length;
        list.length -= 1 + length;
    }
    return false;
}

static bool certificate_at(reef_view chain, unsigned index, reef_view *out)
{
    while (chain.length >= 3) {
        uint32_t length = reef_be24(chain.data);
        *out = (reef_view){chain.data + 3, length};
        if (index-- == 0)
            return true;
        chain.data += 3 + length;
        chain.length -= 3 + length;
    }
    return false;
}

static bool random_part(const tls_side *side, uint32_t from, uint32_t to, reef_buffer *out)
{
    return side->has_random && whole((reef_view){side->random + from, to - from}, out);
}

bool tls_buffer(const reef_session *session, const reef_transaction *transaction, int direction, unsigned kind, unsigned index,
                reef_buffer *out)
{
    (void)transaction;
    tls_state *state = session->state;
    const tls_side *side = &state->side[direction];
    reef_view v;
    switch (kind) {
    case REEF_BUFFER_TLS_ALPN:
        return alpn_at(side->hello.alpn, index, &v) && whole(v, out);
    case REEF_BUFFER_TLS_CERTS:
        return certificate_at(side->certificates, index, &v) && whole(v, out);
    case REEF_BUFFER_TLS_SUBJECTALTNAME:
        return index < side->certificate.sans_count && whole(side->certificate.sans[index], out);
    default:
        break;
    }
    if (index > 0)
        return false;
    switch (kind) {
    case REEF_BUFFER_TLS_SNI:
        return whole(side->hello.sni, out);
    case REEF_BUFFER_TLS_RANDOM:
        return random_part(side, 0, 32, out);
    case REEF_BUFFER_TLS_RANDOM_TIME:
        return random_part(side, 0, 4, out);
    case REEF_BUFFER_TLS_RANDOM_BYTES:
        return random_part(side, 4, 32, out);
    case REEF_BUFFER_JA3_HASH:
    case REEF_BUFFER_JA3S_HASH:
        return ja3_hash(state, direction, &v) && whole(v, out);
    case REEF_BUFFER_JA3_STRING:
    case REEF_BUFFER_JA3S_STRING:
        return ja3_string(state, direction, &v) && whole(v, out);
    case REEF_BUFFER_JA4_HASH:
        return ja4(state, &v) && whole(v, out);
    case REEF_BUFFER_TLS_CERT_SUBJECT:
        return whole(side->certificate.subject, out);
    case REEF_BUFFER_TLS_CERT_ISSUER:
        return whole(side->certificate.issuer, out);
    case REEF_BUFFER_TLS_CERT_SERIAL:
        return whole(side->certificate.serial, out);
    case REEF_BUFFER_TLS_CERT_FINGERPRINT:
        return whole(side->certificate.fingerprint, out);
    default:
        return false;
    }
}

bool tls_value(const reef_session *session, const reef_transaction *transaction, int direction, unsigned kind, unsigned index,
               uint64_t *out)
{
    (void)transaction;
    const tls_state *state = session->state;
    const tls_side *side = &state->side[direction];
    if (index > 0)
        return false;
    switch (kind) {
    case REEF_VALUE_TLS_VERSION:
        *out = side->version >> 8 == 0x7f ? 0x0304 : side->version;
        return side->version != 0;
    case REEF_VALUE_TLS_CERT_CHAIN_LEN:
        *out = side->chain;
        return side->has_certificates;
    case REEF_VALUE_TLS_CERT_NOTBEFORE:
        *out = (uint64_t)side->certificate.not_before;
        return side->has_certificate && side->certificate.not_before >= 0;
    case REEF_VALUE_TLS_CERT_NOTAFTER:
        *out = (uint64_t)side->certificate.not_after;
        return side->has_certificate && side->certificate.not_after >= 0;
    default:
        return false;
    }
}

/* --- EVE ----------------------------------------------------------------------------------------------------- */

/* Suricata's words for versions. */
static const char *version_text(uint16_t version, char number[24])
{
    switch (version) {
    case 0: return "UNDETERMINED";
    case 0x0200: return "SSLv2";
    case 0x0300: return "SSLv3";
    case 0x0301: return "TLSv1";
    case 0x0302: return "TLS 1.1";
    case 0x0303: return "TLS 1.2";
    case 0x0304: return "TLS 1.3";
    case 0x7f01: return "TLS 1.3 draft-<16";
    default: break;
    }
    if (version >= 0x7f10 && version <= 0x7f1c)
        snprintf(number, 24, "TLS 1.3 draft-%u", version & 0xffu);
    else if (tls_is_version(version))
        snprintf(number, 24, "TLS 1.3 draft-%u-fb", version & 0xffu);
    else
        snprintf(number, 24, "0x%04x", version);
    return number;
}

static void write_view(reef_json *json, const char *key, reef_view v)
{
    if (v.data != NULL && v.length > 0)
        reef_json_bytes(json, key, v.data, v.length, REEF_TLS_TEXT_MAX);
}

/* "2026-03-31T17:00:00" */
static void write_date(reef_json *json, const char *key, int64_t seconds)
{
    if (seconds == 0)
        return;
    int64_t days = seconds / 86400, rest = seconds % 86400;
    if (rest < 0) {
        days--;
        rest += 86400;
    }
    int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097, of_era = z - era * 146097;
    int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100), shifted = (5 * of_year + 2) / 153;
    int day = (int)(of_year - (153 * shifted + 2) / 5 + 1), month = (int)(shifted < 10 ? shifted + 3 : shifted - 9);
    int year = (int)(year_of_era + era * 400 + (month <= 2));
    char text[48];
    snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d", year, month, day, (int)(rest / 3600), (int)(rest / 60 % 60),
             (int)(rest % 60));
    reef_json_text(json, key, text);
}

static void write_ja3(reef_json *json, const char *key, tls_state *state, int direction)
{
    reef_view string, hash;
    if (!ja3_string(state, direction, &string) || !ja3_hash(state, direction, &hash))
        return;
    reef_json_open(json, key, '{');
    write_view(json, "hash", hash);
    write_view(json, "string", string);
    reef_json_close(json, '}');
}

static void write_client(reef_json *json, const reef_x509 *client)
{
    reef_json_open(json, "client", '{');
    write_view(json, "subject", client->subject);
    write_view(json, "issuerdn", client->issuer);
    write_view(json, "fingerprint", client->fingerprint);
    write_view(json, "serial", client->serial);
    write_date(json, "notbefore", client->not_before);
    write_date(json, "notafter", client->not_after);
    reef_json_close(json, '}');
}

bool tls_write(const reef_session *session, const reef_transaction *transaction, reef_log which, reef_json *json)
{
    (void)transaction;
    tls_state *state = session->state;
    const tls_side *client = &state->side[REEF_TO_SERVER], *server = &state->side[REEF_TO_CLIENT];
    char number[24];
    reef_view v;
    if (which != REEF_LOG_ALERT && !server->has_certificate &&
        (state->flags & (TLS_WITHOUT_CERTIFICATE | TLS_RESUMED)) == 0)
        return false;
    if (session->before != NULL)
        reef_json_text(json, "from_proto", session->before->name);
    write_view(json, "subject", server->certificate.subject);
    write_view(json, "issuerdn", server->certificate.issuer);
    if ((state->flags & TLS_RESUMED) && !server->has_certificate && (state->flags & TLS_SERVER_HELLO) &&
        !(state->flags & TLS_WITHOUT_CERTIFICATE))
        reef_json_bool(json, "session_resumed", true);
    write_view(json, "serial", server->certificate.serial);
    write_view(json, "fingerprint", server->certificate.fingerprint);
    write_view(json, "sni", client->hello.sni);
    reef_json_text(json, "version", version_text(server->version, number));
    write_date(json, "notbefore", server->certificate.not_before);
    write_date(json, "notafter", server->certificate.not_after);
    write_ja3(json, "ja3", state, REEF_TO_SERVER);
    write_ja3(json, "ja3s", state, REEF_TO_CLIENT);
    if (ja4(state, &v))
        write_view(json, "ja4", v);
    if (client->has_certificate)
        write_client(json, &client->certificate);
    return true;
}
