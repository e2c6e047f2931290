#include <nettle/hkdf.h>
#include <nettle/hmac.h>
#include <string.h>

#include "quic_internal.h"
#include "reef/bytes.h"

enum { KEY = 16, TAG = 16, NUMBER_MAX = 4 };

bool quic_is_google(uint32_t version)
{
    return version >= QUIC_Q043 && version <= QUIC_Q046;
}

static bool take(reef_view *from, uint64_t n, reef_view *out)
{
    if (n > from->length)
        return false;
    *out = (reef_view){from->data, (uint32_t)n};
    from->data += n;
    from->length -= (uint32_t)n;
    return true;
}

bool quic_take_number(reef_view *from, uint64_t *out)
{
    reef_view v;
    if (from->length == 0 || !take(from, 1u << (from->data[0] >> 6), &v))
        return false;
    *out = v.data[0] & 0x3f;
    for (uint32_t i = 1; i < v.length; i++)
        *out = *out << 8 | v.data[i];
    return true;
}

/* --- headers -------------------------------------------------------------------------------------------------- */

/* Of Google's first versions: flags, connection id, nonce, version, number. */
static bool read_google_short(reef_view rest, uint8_t flags, quic_header *header)
{
    reef_view v;
    if (!take(&rest, flags & 0x08 ? 8 : 0, &header->destination))
        return false;
    if ((flags & 0x04) && !(flags & 0x08) && !take(&rest, 32, &v))
        return false;
    header->type = QUIC_SHORT;
    if (flags & 0x01) {
        if (!take(&rest, 4, &v))
            return false;
        header->version = reef_be32(v.data);
        header->type = QUIC_INITIAL;
    }
    if (!take(&rest, 1 + ((flags & 0x30) >> 4), &v) || ((flags & 0x08) && !take(&rest, 12, &v)))
        return false;
    header->length = rest.length;
    return true;
}

static bool type_of(uint32_t version, uint8_t first, quic_type *type)
{
    static const quic_type v1[] = {QUIC_INITIAL, QUIC_ZERO_RTT, QUIC_HANDSHAKE, QUIC_RETRY};
    static const quic_type v2[] = {QUIC_RETRY, QUIC_INITIAL, QUIC_ZERO_RTT, QUIC_HANDSHAKE};
    static const quic_type old[] = {QUIC_ZERO_RTT, QUIC_HANDSHAKE, QUIC_RETRY, QUIC_INITIAL};
    if (version == 0) {
        *type = QUIC_NEGOTIATION;
    } else if (quic_is_google(version) && version != QUIC_Q046) {
        if ((first & 0x7f) < 0x7c)
            return false;
        *type = old[(first & 0x7f) - 0x7c];
    } else {
        *type = (version == QUIC_V2 ? v2 : v1)[first >> 4 & 3];
    }
    return true;
}

static bool take_ids(reef_view *rest, bool google, quic_header *header)
{
    reef_view v, source;
    if (!take(rest, 1, &v))
        return false;
    if (google) {
        uint32_t destination = v.data[0] >> 4, length = v.data[0] & 15;
        return take(rest, destination != 0 ? destination + 3 : 0, &header->destination) &&
               take(rest, length != 0 ? length + 3 : 0, &source);
    }
    return take(rest, v.data[0], &header->destination) && take(rest, 1, &v) && take(rest, v.data[0], &source);
}

bool quic_read_header(reef_view bytes, quic_header *header)
{
    reef_view rest = bytes, v;
    uint64_t length;
    *header = (quic_header){0};
    if (bytes.length == 0 || bytes.length > UINT16_MAX)
        return false;
    uint8_t first = bytes.data[0];
    take(&rest, 1, &v);
    header->is_long = first & 0x80;
    if (!header->is_long) {
        header->type = QUIC_SHORT;
        header->length = rest.length;
        if ((first & 0x40) == 0 && !read_google_short(rest, first, header))
            return false;
        header->at = bytes.length - header->length;
        return true;
    }
    if (!take(&rest, 4, &v))
        return false;
    header->version = reef_be32(v.data);
    bool google = quic_is_google(header->version);
    if (!type_of(header->version, first, &header->type) || !take_ids(&rest, google, header))
        return false;
    if (header->type == QUIC_INITIAL && google && !take(&rest, 16, &v)) /* number, hash */
        return false;
    if (header->type == QUIC_INITIAL && !google) {
        if (!quic_take_number(&rest, &length) || !take(&rest, length, &v) || !quic_take_number(&rest, &length) ||
            length > rest.length)
            return false;
        header->length = (uint32_t)length;
    } else {
        header->length = header->type == QUIC_RETRY ? 0 : rest.length;
    }
    header->at = header->type == QUIC_RETRY ? bytes.length : (uint32_t)(rest.data - bytes.data);
    return true;
}

/* --- protection (RFC 9001 5) ------------------------------------------------------------------------------------- */

static const uint8_t *salt_of(uint32_t version)
{
    static const uint8_t q050[20] = {0x50, 0x45, 0x74, 0xef, 0xd0, 0x66, 0xfe, 0x2f, 0x9d, 0x94,
                                     0x5c, 0xfc, 0xdb, 0xd3, 0xa7, 0xf0, 0xd3, 0xb5, 0x6b, 0x45};
    static const uint8_t draft29[20] = {0xaf, 0xbf, 0xec, 0x28, 0x99, 0x93, 0xd2, 0x4c, 0x9e, 0x97,
                                        0x86, 0xf1, 0x9c, 0x61, 0x11, 0xe0, 0x43, 0x90, 0xa8, 0x99};
    static const uint8_t draft23[20] = {0xc3, 0xee, 0xf7, 0x12, 0xc7, 0x2e, 0xbb, 0x5a, 0x11, 0xa7,
                                        0xd2, 0x43, 0x2b, 0xb4, 0x63, 0x65, 0xbe, 0xf9, 0xf5, 0x02};
    static const uint8_t v1[20] = {0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17,
                                   0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a};
    static const uint8_t v2[20] = {0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93,
                                   0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9, 0xbd, 0x2e, 0xd9};
    if (version == 0x51303530)
        return q050;
    if (version >= 0xff00001d && version <= 0xff000020)
        return draft29;
    if (version == 0xfaceb002 || (version >= 0xff000017 && version <= 0xff00001c))
        return draft23;
    if (version == 1 || version == 0xff000021 || version == 0xff000022)
        return v1;
    return version == QUIC_V2 ? v2 : NULL;
}

/* HKDF-Expand-Label (RFC 8446 7.1) without context. */
static void expand(const uint8_t secret[32], const char *label, uint8_t *out, size_t length)
{
    struct hmac_sha256_ctx hmac;
    uint8_t info[64];
    size_t n = strlen(label);
    info[0] = 0;
    info[1] = (uint8_t)length;
    info[2] = (uint8_t)(6 + n);
    memcpy(info + 3, "tls13 ", 6);
    memcpy(info + 9, label, n);
    info[9 + n] = 0;
    hmac_sha256_set_key(&hmac, 32, secret);
    hkdf_expand(&hmac, (nettle_hash_update_func *)hmac_sha256_update, (nettle_hash_digest_func *)hmac_sha256_digest,
                SHA256_DIGEST_SIZE, 10 + n, info, length, out);
}

bool quic_initial_keys(uint32_t version, reef_view destination, quic_keys keys[2])
{
    struct hmac_sha256_ctx hmac;
    uint8_t initial[32], secret[32], key[KEY];
    const uint8_t *salt = salt_of(version);
    bool second = version == QUIC_V2;
    if (salt == NULL)
        return false;
    hmac_sha256_set_key(&hmac, 20, salt);
    hkdf_extract(&hmac, (nettle_hash_update_func *)hmac_sha256_update, (nettle_hash_digest_func *)hmac_sha256_digest,
                 SHA256_DIGEST_SIZE, destination.length, destination.data, initial);
    for (int d = 0; d < 2; d++) {
        expand(initial, d == REEF_TO_SERVER ? "client in" : "server in", secret, sizeof secret);
        expand(secret, second ? "quicv2 hp" : "quic hp", key, KEY);
        aes128_set_encrypt_key(&keys[d].header, key);
        expand(secret, second ? "quicv2 key" : "quic key", key, KEY);
        gcm_aes128_set_key(&keys[d].packet, key);
        expand(secret, second ? "quicv2 iv" : "quic iv", keys[d].iv, sizeof keys[d].iv);
    }
    return true;
}

uint32_t quic_decrypt(const quic_keys *keys, reef_view bytes, const quic_header *header, uint8_t *out)
{
    uint8_t mask[KEY], lead[1536], nonce[12], tag[TAG];
    uint32_t at = header->at;
    if (header->length < NUMBER_MAX + KEY + 1 || at + NUMBER_MAX > sizeof lead)
        return 0;
    memcpy(lead, bytes.data, at + NUMBER_MAX);
    aes128_encrypt(&keys->header, KEY, mask, bytes.data + at + NUMBER_MAX);
    lead[0] ^= mask[0] & (lead[0] & 0x80 ? 0x0f : 0x1f);
    uint32_t digits = 1u + (lead[0] & 3);
    uint64_t number = 0;
    for (uint32_t i = 0; i < digits; i++) {
        lead[at + i] ^= mask[1 + i];
        number = number << 8 | lead[at + i];
    }
    memcpy(nonce, keys->iv, sizeof nonce);
    for (unsigned i = 0; i < 8; i++)
        nonce[4 + i] ^= (uint8_t)(number >> (56 - 8 * i));
    if (header->length < digits + TAG)
        return 0;
    uint32_t length = header->length - digits - TAG;
    const uint8_t *sealed = bytes.data + at + digits;
    struct gcm_aes128_ctx gcm = keys->packet;
    gcm_aes128_set_iv(&gcm, sizeof nonce, nonce);
    gcm_aes128_update(&gcm, at + digits, lead);
    gcm_aes128_decrypt(&gcm, length, out, sealed);
    gcm_aes128_digest(&gcm, TAG, tag);
    return memcmp(tag, sealed + length, TAG) == 0 ? length : 0;
}
