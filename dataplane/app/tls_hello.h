/* ClientHello and ServerHello (RFC 8446 4.1, RFC 5246 7.4.1), of TLS and of QUIC, and the fingerprints made of them. */
#ifndef REEF_TLS_HELLO_H
#define REEF_TLS_HELLO_H

#include <stdbool.h>

#include "reef/memory.h"
#include "reef/view.h"

/* What a hello did wrong: bits. */
enum { REEF_HELLO_BAD_LENGTH = 1, REEF_HELLO_BAD_SNI_TYPE = 2, REEF_HELLO_BAD_SNI_LENGTH = 4, REEF_HELLO_TWO_SNI = 8 };

/* Views point into the message. */
typedef struct reef_tls_hello {
    uint16_t legacy_version;  /* as its first field says */
    uint16_t version;         /* what supported_versions makes of it; 0: the extension says nothing */
    uint16_t highest_version; /* of the two, as JA4 wants it */
    reef_view random, session_id;
    reef_view ciphers;        /* two bytes each; of a server the one it chose */
    reef_view extensions;     /* type, length, data of each, as far as they could be read */
    reef_view groups, formats, algorithms;
    reef_view sni;
    reef_view alpn;           /* names behind their lengths */
    uint8_t wrong;            /* REEF_HELLO_... */
    bool early_data, ticket, versions;
    bool whole;               /* read to the end: fingerprints are made of it */
    bool old;                 /* a server's, of a draft without session id and compression */
} reef_tls_hello;

/* `message` is the body of the handshake message. `has_sni`: an earlier one had a server name. */
void reef_tls_hello_read(reef_view message, bool server, bool has_sni, reef_tls_hello *hello);

/* Text in the arena; false: no memory. `grease`: values of RFC 8701 count too, as Suricata has it for QUIC. */
bool reef_ja3_string(const reef_tls_hello *hello, bool server, bool grease, reef_arena *arena, reef_view *out);
/* 32 hexadecimal figures. */
bool reef_md5_text(reef_view data, reef_arena *arena, reef_view *out);
bool reef_ja4(const reef_tls_hello *hello, char transport, reef_arena *arena, reef_view *out);

#endif
