/* The EVE object of one IKE message. */
#include <stdio.h>

#include "ike_internal.h"

static const char *name_in(const char *const *names, size_t count, unsigned value, const char *other)
{
    return value < count && names[value] != NULL ? names[value] : other;
}

#define NAME_IN(names, value, other) name_in(names, sizeof(names) / sizeof(names)[0], value, other)

/* Those that Suricata's schema has a place for. */
static const char *const attribute_names[] = {
    [1] = "alg_enc",       [2] = "alg_hash",          [3] = "alg_auth",      [4] = "alg_dh",
    [11] = "sa_life_type", [12] = "sa_life_duration", [14] = "sa_key_length",
};
static const char *const encryption_1[] = {
    [1] = "EncDesCbc",       [2] = "EncIdeaCbc", [3] = "EncBlowfishCbc", [4] = "EncRc5R16B64Cbc",
    [5] = "EncTripleDesCbc", [6] = "EncCastCbc", [7] = "EncAesCbc",      [8] = "EncCamelliaCbc",
};
static const char *const hash_1[] = {
    [1] = "HashMd5", [2] = "HashSha", [3] = "HashTiger", [4] = "HashSha2_256", [5] = "HashSha2_384", [6] = "HashSha2_512",
};
static const char *const authentication_1[] = {
    [1] = "AuthPreSharedKey",      [2] = "AuthDssSignatures",           [3] = "AuthRsaSignatures",
    [4] = "AuthEncryptionWithRsa", [5] = "AuthRevisedEncryptionWithRsa",
};
static const char *const group_1[] = {
    [1] = "GroupDefault768BitModp", [2] = "GroupAlternate1024BitModpGroup", [5] = "GroupModp1536Bit",
    [14] = "GroupModp2048Bit",      [15] = "GroupModp3072Bit",              [16] = "GroupModp4096Bit",
};
static const char *const life_1[] = {[1] = "LifeTypeSeconds", [2] = "LifeTypeKilobytes"};
static const char *const payloads_1[] = {
    [0] = "None",         [1] = "SecurityAssociation", [2] = "Proposal",           [3] = "Transform", [4] = "KeyExchange",
    [5] = "Identification", [6] = "Certificate",       [7] = "CertificateRequest", [8] = "Hash",      [9] = "Signature",
    [10] = "Nonce",       [11] = "Notification",       [12] = "Delete",            [13] = "VendorID", [20] = "NatDiscovery",
    [21] = "NatOriginalAddress",
};
static const char *const payloads_2[] = {
    [33] = "SecurityAssociation", [34] = "KeyExchange",    [35] = "IdentInitiator",
    [36] = "IdentResponder",      [37] = "Certificate",    [38] = "CertificateRequest",
    [39] = "Authentication",      [40] = "Nonce",          [41] = "Notify",
    [42] = "Delete",              [43] = "VendorID",       [44] = "TrafficSelectorInitiator",
    [45] = "TrafficSelectorResponder", [46] = "EncryptedAndAuthenticated", [47] = "Configuration",
    [48] = "ExtensibleAuthentication",
};
static const char *const encryption_2[] = {
    [1] = "ENCR_DES_IV64",  [2] = "ENCR_DES",         [3] = "ENCR_3DES",        [4] = "ENCR_RC5",        [5] = "ENCR_IDEA",
    [6] = "ENCR_CAST",      [7] = "ENCR_BLOWFISH",    [8] = "ENCR_3IDEA",       [9] = "ENCR_DES_IV32",   [11] = "ENCR_NULL",
    [12] = "ENCR_AES_CBC",  [13] = "ENCR_AES_CTR",    [14] = "ENCR_AES_CCM_8",  [15] = "ENCR_AES_CCM_12", [16] = "ENCR_AES_CCM_16",
    [18] = "ENCR_AES_GCM_8", [19] = "ENCR_AES_GCM_12", [20] = "ENCR_AES_GCM_16", [28] = "ENCR_CHACHA20_POLY1305",
};
static const char *const integrity_2[] = {
    [0] = "NONE",               [1] = "AUTH_HMAC_MD5_96",   [2] = "AUTH_HMAC_SHA1_96",      [3] = "AUTH_DES_MAC",
    [4] = "AUTH_KPDK_MD5",      [5] = "AUTH_AES_XCBC_96",   [6] = "AUTH_HMAC_MD5_128",      [7] = "AUTH_HMAC_SHA1_160",
    [8] = "AUTH_AES_CMAC_96",   [12] = "AUTH_HMAC_SHA2_256_128", [13] = "AUTH_HMAC_SHA2_384_192",
    [14] = "AUTH_HMAC_SHA2_512_256",
};
static const char *const group_2[] = {
    [0] = "None",      [1] = "Modp768",   [2] = "Modp1024",     [5] = "Modp1536",    [14] = "Modp2048",
    [15] = "Modp3072", [16] = "Modp4096", [17] = "Modp6144",    [18] = "Modp8192",   [19] = "Ecp256",
    [20] = "Ecp384",   [21] = "Ecp521",   [22] = "Modp1024s160", [23] = "Modp2048s224", [24] = "Modp2048s256",
    [31] = "Curve25519", [32] = "Curve448",
};

static const char *attribute_text(unsigned major, const ike_attribute *a)
{
    switch (a->type) {
    case IKE_ENCRYPTION:
        return major == 1 ? NAME_IN(encryption_1, a->value, "Unknown") : NAME_IN(encryption_2, a->value, "Unknown");
    case IKE_HASH:
        return NAME_IN(hash_1, a->value, "Unknown");
    case IKE_AUTHENTICATION:
        return major == 1 ? NAME_IN(authentication_1, a->value, "Unknown") : NAME_IN(integrity_2, a->value, "Unknown");
    case IKE_GROUP:
        return major == 1 ? NAME_IN(group_1, a->value, "Unknown") : NAME_IN(group_2, a->value, "Unknown");
    case IKE_LIFE_TYPE:
        return NAME_IN(life_1, a->value, "Unknown");
    default:
        return "Unknown";
    }
}

static void write_attributes(reef_json *json, unsigned major, const ike_transform *transform)
{
    for (uint32_t i = 0; i < transform->attributes; i++) {
        const ike_attribute *a = &transform->attribute[i];
        const char *key = NAME_IN(attribute_names, a->type, NULL);
        if (key == NULL)
            continue;
        reef_json_open(json, NULL, '{');
        reef_json_text(json, "key", key);
        reef_json_text(json, "value", attribute_text(major, a));
        reef_json_number(json, "raw", a->value);
        reef_json_close(json, '}');
    }
}

static bool has_attributes(const ike_transform *transform)
{
    for (uint32_t i = 0; i < transform->attributes; i++)
        if (NAME_IN(attribute_names, transform->attribute[i].type, NULL) != NULL)
            return true;
    return false;
}

static void write_hex(reef_json *json, const char *key, const char *length_key, reef_view v)
{
    static const char digits[] = "0123456789abcdef";
    char hex[2 * REEF_IKE_HEX_MAX];
    if (v.length == 0)
        return;
    uint32_t n = v.length < REEF_IKE_HEX_MAX ? v.length : REEF_IKE_HEX_MAX;
    for (uint32_t i = 0; i < n; i++) {
        hex[2 * i] = digits[v.data[i] >> 4];
        hex[2 * i + 1] = digits[v.data[i] & 15];
    }
    reef_json_bytes(json, key, (const uint8_t *)hex, 2 * (size_t)n, sizeof hex);
    reef_json_number(json, length_key, v.length);
}

static void write_proposals(reef_json *json, const ike_transaction *t)
{
    bool any = false;
    for (uint32_t i = 0; i < t->transforms_count && !any; i++)
        any = has_attributes(&t->transforms[i]);
    if (!any)
        return;
    reef_json_open(json, "proposals", '[');
    for (uint32_t i = 0; i < t->transforms_count; i++)
        write_attributes(json, t->major, &t->transforms[i]);
    reef_json_close(json, ']');
}

static void write_side(reef_json *json, const ike_transaction *t)
{
    bool client = t->direction == REEF_TO_SERVER;
    if (t->key_exchange.length == 0 && t->nonce.length == 0 && !client)
        return;
    reef_json_open(json, client ? "client" : "server", '{');
    write_hex(json, "key_exchange_payload", "key_exchange_payload_length", t->key_exchange);
    write_hex(json, "nonce_payload", "nonce_payload_length", t->nonce);
    if (client)
        write_proposals(json, t);
    reef_json_close(json, '}');
}

static void write_version_1(reef_json *json, const ike_state *state, const ike_transaction *t)
{
    reef_json_open(json, "ikev1", '{');
    if (state->has_domain)
        reef_json_number(json, "doi", state->domain);
    reef_json_bool(json, "encrypted_payloads", t->flags & IKE_ENCRYPTED);
    if (!(t->flags & IKE_ENCRYPTED)) {
        write_side(json, t);
        if (t->vendors != NULL) {
            reef_json_open(json, "vendor_ids", '[');
            for (const ike_vendor *v = t->vendors; v != NULL; v = v->next)
                reef_json_bytes(json, NULL, v->hex.data, v->hex.length, 2 * REEF_IKE_VENDOR_MAX);
            reef_json_close(json, ']');
        }
    }
    reef_json_close(json, '}');
}

static void write_version_2(reef_json *json, const ike_transaction *t)
{
    reef_json_open(json, "ikev2", '{');
    reef_json_number(json, "errors", t->errors);
    if (t->notifies > 0) {
        reef_json_open(json, "notify", '[');
        for (uint32_t i = 0; i < t->notifies; i++) {
            char text[32];
            snprintf(text, sizeof text, "NotifyType(%u)", t->notify[i]);
            reef_json_text(json, NULL, text);
        }
        reef_json_close(json, ']');
    }
    reef_json_close(json, '}');
}

static void write_payloads(reef_json *json, const ike_transaction *t)
{
    bool any = false;
    for (uint32_t i = 0; i < t->payloads && !any; i++)
        any = t->major == 1 ? NAME_IN(payloads_1, t->payload[i], NULL) != NULL : NAME_IN(payloads_2, t->payload[i], NULL) != NULL;
    if (!any)
        return;
    reef_json_open(json, "payload", '[');
    for (uint32_t i = 0; i < t->payloads; i++) {
        const char *name = t->major == 1 ? NAME_IN(payloads_1, t->payload[i], NULL) : NAME_IN(payloads_2, t->payload[i], NULL);
        if (name != NULL)
            reef_json_text(json, NULL, name);
    }
    reef_json_close(json, ']');
}

bool ike_write(const reef_session *session, const reef_transaction *transaction, reef_log which, reef_json *json)
{
    const ike_transaction *t = (const ike_transaction *)transaction;
    const ike_state *state = session->state;
    (void)which;
    reef_json_number(json, "version_major", t->major);
    reef_json_number(json, "version_minor", t->minor);
    reef_json_bytes(json, "init_spi", (const uint8_t *)t->initiator, sizeof t->initiator, sizeof t->initiator);
    reef_json_bytes(json, "resp_spi", (const uint8_t *)t->responder, sizeof t->responder, sizeof t->responder);
    reef_json_number(json, "message_id", t->message_id);
    reef_json_number(json, "exchange_type", t->exchange);
    if (t->major == 2)
        reef_json_text(json, "role", t->flags & IKE_INITIATOR ? "initiator" : "responder");
    if (has_attributes(&state->chosen) && (t->major == 1 || !(t->flags & IKE_INITIATOR))) {
        reef_json_open(json, "attributes", '[');
        write_attributes(json, t->major, &state->chosen);
        reef_json_close(json, ']');
    }
    write_payloads(json, t);
    if (t->major == 1)
        write_version_1(json, state, t);
    else
        write_version_2(json, t);
    return true;
}
