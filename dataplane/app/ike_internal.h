/* Between the files of IKE only: version 1 (RFC 2408, 2409) and 2 (RFC 7296). */
#ifndef REEF_APP_IKE_INTERNAL_H
#define REEF_APP_IKE_INTERNAL_H

#include "reef/limits.h"
#include "reef/protocol.h"

enum { IKE_HEADER = 28 };
enum { IKE_ENCRYPTED = 0x01 /* of version 1 */, IKE_INITIATOR = 0x08 /* of version 2 */ };

/* Attributes of a transform by their number in version 1; those of version 2 have the same meaning here. */
enum {
    IKE_ENCRYPTION = 1, IKE_HASH = 2, IKE_AUTHENTICATION = 3, IKE_GROUP = 4, IKE_GROUP_TYPE = 5, IKE_LIFE_TYPE = 11,
    IKE_LIFE_DURATION = 12, IKE_PRF = 13, IKE_KEY_LENGTH = 14, IKE_FIELD_SIZE = 15, IKE_EXTENDED_SEQUENCE = 100,
};

typedef struct ike_attribute {
    uint16_t type;
    uint32_t value;
} ike_attribute;

typedef struct ike_transform {
    ike_attribute attribute[REEF_IKE_ATTRIBUTES_MAX];
    uint32_t attributes;
} ike_transform;

typedef struct ike_vendor { struct ike_vendor *next; reef_view hex; } ike_vendor;

typedef struct ike_transaction {
    reef_transaction head;
    uint8_t direction;
    uint8_t major, minor, exchange, flags;
    uint32_t message_id;
    char initiator[16], responder[16]; /* SPIs in hex */
    reef_view key_exchange, nonce;     /* of version 1, in the arena */
    ike_vendor *vendors, *last_vendor;
    ike_transform *transforms;         /* in the arena; of version 2: what the responder chose */
    uint32_t transforms_count;
    uint8_t payload[REEF_IKE_PAYLOADS_MAX]; /* types, in the order they stand */
    uint32_t payloads;
    uint16_t notify[REEF_IKE_PAYLOADS_MAX];
    uint32_t notifies, errors;
} ike_transaction;

typedef struct ike_state {
    ike_transform chosen; /* by the responder */
    uint32_t domain;      /* of interpretation */
    bool has_domain;
} ike_state;

enum {
    IKE_EVENT_MALFORMED, IKE_EVENT_NO_ENCRYPTION, IKE_EVENT_WEAK_ENC, IKE_EVENT_WEAK_PRF, IKE_EVENT_WEAK_DH, IKE_EVENT_WEAK_AUTH,
    IKE_EVENT_NO_DH, IKE_EVENT_NO_AUTH, IKE_EVENT_INVALID_PROPOSAL, IKE_EVENT_UNKNOWN_PROPOSAL, IKE_EVENT_EXTRA_DATA,
    IKE_EVENT_MULTIPLE_PROPOSAL, IKE_EVENTS,
};

/* Payloads of a message (behind its header). False: they cannot be read to their end. */
bool ike_read_1(reef_call *call, ike_transaction *t, uint8_t type, reef_view v);
void ike_read_2(reef_call *call, ike_transaction *t, uint8_t type, reef_view v);

bool ike_write(const reef_session *session, const reef_transaction *transaction, reef_log which, reef_json *json);

#endif
