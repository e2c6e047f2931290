/* What rules and logs ask of a certificate (RFC 5280), in the words of Suricata's decoder. */
#ifndef REEF_X509_H
#define REEF_X509_H

#include "reef/memory.h"
#include "reef/view.h"

enum { REEF_X509_SANS_MAX = 64 };

typedef enum reef_x509_status {
    REEF_X509_OK,
    REEF_X509_BAD_LENGTH, REEF_X509_BAD_VERSION, REEF_X509_BAD_SERIAL, REEF_X509_BAD_ALGORITHM, REEF_X509_BAD_NAME,
    REEF_X509_BAD_DATE, REEF_X509_BAD_EXTENSIONS, REEF_X509_BAD_DER, REEF_X509_BAD_CERTIFICATE,
    REEF_X509_BAD_SUBJECT, REEF_X509_BAD_ISSUER, /* read, but not to be told as text */
    REEF_X509_NO_MEMORY,
} reef_x509_status;

typedef struct reef_x509 {
    reef_view subject, issuer, serial, fingerprint; /* text in the arena */
    int64_t not_before, not_after;                  /* seconds since the epoch */
    reef_view *sans;                                /* names it stands for, text in the arena */
    uint32_t sans_count;
} reef_x509;

reef_x509_status reef_x509_read(reef_view der, reef_arena *arena, reef_x509 *out);

#endif
