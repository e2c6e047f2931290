/* QUIC (RFC 9000, RFC 9369) and its Google forebear: what can be read of a connection's first packets. */
#ifndef REEF_QUIC_INTERNAL_H
#define REEF_QUIC_INTERNAL_H

#include <nettle/aes.h>
#include <nettle/gcm.h>

#include "reef/protocol.h"

enum { QUIC_Q043 = 0x51303433, QUIC_Q044 = 0x51303434, QUIC_Q045 = 0x51303435, QUIC_Q046 = 0x51303436, QUIC_V2 = 0x6b3343cf };

typedef enum quic_type { QUIC_INITIAL, QUIC_RETRY, QUIC_HANDSHAKE, QUIC_ZERO_RTT, QUIC_NEGOTIATION, QUIC_SHORT } quic_type;

typedef struct quic_header {
    bool is_long;
    quic_type type;
    uint32_t version;
    uint32_t at;     /* bytes of the header */
    uint32_t length; /* of what follows and belongs to it */
    reef_view destination;
} quic_header;

typedef struct quic_keys { /* of one direction */
    struct aes128_ctx header;
    struct gcm_aes128_ctx packet;
    uint8_t iv[12];
} quic_keys;

bool quic_is_google(uint32_t version);
/* False: it is not one. */
bool quic_read_header(reef_view bytes, quic_header *header);
/* A number of 1, 2, 4 or 8 bytes (RFC 9000 16). */
bool quic_take_number(reef_view *from, uint64_t *out);
/* Keys of Initial packets (RFC 9001 5.2), of the client and of the server. False: the version is not known. */
bool quic_initial_keys(uint32_t version, reef_view destination, quic_keys keys[2]);
/* The packet that begins at `bytes`, unprotected into `out` (at least header->length bytes); its length, or 0. */
uint32_t quic_decrypt(const quic_keys *keys, reef_view bytes, const quic_header *header, uint8_t *out);

#endif
