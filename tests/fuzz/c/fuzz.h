/* What every target has: the entry libFuzzer calls, and a check that stops it. */
#ifndef REEF_FUZZ_H
#define REEF_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MUST(condition)      \
    do {                     \
        if (!(condition))    \
            abort();         \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
