/* What the control channel of FTP tells the data channel with an expectation. */
#ifndef REEF_FTP_DATA_H
#define REEF_FTP_DATA_H

#include <stdint.h>

#include "reef/limits.h"

enum { FTP_DATA_RETR = 1, FTP_DATA_STOR = 2 };
enum { FTP_DATA_NAME_MAX = REEF_EXPECT_COOKIE_MAX - 3 };

typedef struct ftp_data_cookie {
    uint8_t command;   /* FTP_DATA_... */
    uint8_t direction; /* of the bytes in the new flow */
    uint8_t name_length;
    uint8_t name[FTP_DATA_NAME_MAX];
} ftp_data_cookie;

_Static_assert(sizeof(ftp_data_cookie) == REEF_EXPECT_COOKIE_MAX, "all bytes, no padding");

#endif
