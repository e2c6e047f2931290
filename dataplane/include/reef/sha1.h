/* SHA-1 (FIPS 180-4) of short messages, for the Community ID only; nothing secret rests on it. */
#ifndef REEF_SHA1_H
#define REEF_SHA1_H

#include <stddef.h>
#include <stdint.h>

#define REEF_SHA1_MESSAGE_MAX 119 /* two blocks */

/* `length` at most REEF_SHA1_MESSAGE_MAX. */
void reef_sha1(const uint8_t *message, size_t length, uint8_t digest[20]);

#endif
