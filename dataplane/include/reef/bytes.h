/* Reading numbers out of packets: any alignment, network order unless said otherwise. */
#ifndef REEF_BYTES_H
#define REEF_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t reef_be16(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return __builtin_bswap16(v);
}

static inline uint32_t reef_be24(const uint8_t *p)
{
    return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
}

static inline uint32_t reef_be32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return __builtin_bswap32(v);
}

static inline uint64_t reef_be64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return __builtin_bswap64(v);
}

/* Host order: the machine's own, which both targets (x86-64, arm64) have little-endian. */
static inline uint16_t reef_u16(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline uint32_t reef_u32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* Zeros in small stores, for structs of a few cache lines that are made for every packet: the string instruction that compilers
 * write for them takes longer to get going than the stores. `size` is known when compiling. */
static inline __attribute__((always_inline)) void reef_zero(void *data, size_t size)
{
    uint8_t *p = data;
#pragma GCC unroll 8
    for (size_t at = 0; at < size / 64; at++)
        memset(p + at * 64, 0, 64);
    memset(p + size / 64 * 64, 0, size % 64);
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "Reef is built for little-endian machines");

#endif
