/* DER (X.690): reading one element after the other, never past the end. */
#ifndef REEF_DER_H
#define REEF_DER_H

#include <stdbool.h>

#include "reef/view.h"

enum {
    REEF_DER_INTEGER = 0x02,
    REEF_DER_BIT_STRING = 0x03,
    REEF_DER_OCTET_STRING = 0x04,
    REEF_DER_OID = 0x06,
    REEF_DER_UTF8 = 0x0c,
    REEF_DER_UTC_TIME = 0x17,
    REEF_DER_GENERALIZED_TIME = 0x18,
    REEF_DER_BMP = 0x1e,
    REEF_DER_SEQUENCE = 0x30,
    REEF_DER_SET = 0x31,
};

typedef enum reef_der_status { REEF_DER_OK, REEF_DER_SHORT, REEF_DER_BAD } reef_der_status;

/* The element at the front of `from`, which moves behind it. SHORT: it is longer than what is there. */
reef_der_status reef_der_next(reef_view *from, uint8_t *tag, reef_view *content);
/* The same where one tag is right: BAD for another one, which stays. */
reef_der_status reef_der_expect(reef_view *from, uint8_t tag, reef_view *content);

#endif
