/* grams: which four bytes are seldom seen in traffic, so that looking for them costs little. */
#include "scanner_internal.h"

uint32_t scanner_byte_worth(uint8_t byte)
{
    static const uint8_t letters[26] = {25, 33, 29, 29, 22, 32, 32, 30, 25, 44, 36, 29, 30, 25, 26, 30, 48, 26, 25, 24, 31, 36, 35, 38, 36, 44};
    byte |= 0x20;
    if (byte >= 'a' && byte <= 'z')
        return letters[byte - 'a'];
    if (byte >= '0' && byte <= '9')
        return 32;
    switch (byte) {
    case ' ': return 20; /* NUL too */
    case '/': case '.': case '-': case '*': case '=': case ':': return 29; /* CR and LF are among them */
    default: return 42;
    }
}

static bool is_common(uint32_t gram)
{
    static const char common[][5] = {
#define REEF_GRAM(text) text,
#include "grams.def"
#undef REEF_GRAM
    };
    unsigned low = 0, high = sizeof common / sizeof *common;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        uint32_t value = gram_at((const uint8_t *)common[middle]);
        if (value == gram)
            return true;
        if (value < gram)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

static uint32_t gram_worth(const uint8_t *data)
{
    uint32_t worth = 1, gram = gram_at(data) | FOLD;
    for (unsigned i = 0; i < GRAM; i++)
        worth += scanner_byte_worth(data[i]);
    uint32_t same = (uint32_t)(data[0] == data[1]) + (data[1] == data[2]) + (data[2] == data[3]);
    worth -= worth * same / 4;
    return is_common(gram) ? worth / 4 : worth;
}

uint32_t scanner_best_place(reef_view bytes, uint32_t step, uint32_t *worth)
{
    uint32_t best = 0, window[4] = {0};
    *worth = 0;
    for (uint32_t at = 0; at + GRAM <= bytes.length && at < 250; at++) {
        window[at % step] = gram_worth(bytes.data + at);
        if (at + 1 < step)
            continue;
        uint32_t least = window[0], all = 0;
        for (uint32_t k = 0; k < step; k++) {
            least = window[k] < least ? window[k] : least;
            all += window[k];
        }
        uint32_t here = least * 4 + all * 2 / step;
        if (here > *worth) {
            *worth = here;
            best = at + 1 - step;
        }
    }
    return best;
}

uint8_t scanner_rarest(reef_view bytes, uint32_t window)
{
    uint32_t best = 0, most = 0, worth = 0;
    for (uint32_t end = 0; end < bytes.length && end < UINT8_MAX; end++) {
        worth += scanner_byte_worth(bytes.data[end]);
        if (end + 1 < window)
            continue;
        if (worth > most) {
            most = worth;
            best = end + 1 - window;
        }
        worth -= scanner_byte_worth(bytes.data[end + 1 - window]);
    }
    return (uint8_t)best;
}

uint32_t scanner_worth(reef_view bytes, bool nocase)
{
    uint32_t worth = 0;
    (void)nocase;
    if (bytes.length >= LONG_MIN) {
        scanner_best_place(bytes, bytes.length >= FAR_MIN ? 4 : 2, &worth);
        uint32_t extra = bytes.length < 32 ? bytes.length : 32;
        return worth + 8 * extra;
    }
    for (uint32_t i = 0; i < bytes.length; i++)
        worth += scanner_byte_worth(bytes.data[i]);
    return worth;
}

