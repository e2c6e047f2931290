/* Finding and comparing, held against a plain loop at every length and place. */
#include "../../dataplane/detect/content.h"
#include "check.h"

static uint64_t state = 88172645463325252ull;

static uint32_t random_below(uint32_t n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 33) % n;
}

/* Letters of both cases, and what differs from them in the bit that tells the cases apart. */
static const char alphabet[] = "aAbB@`{[zZ\x80\xa0";

static bool plain_equal(const uint8_t *a, const uint8_t *b, uint32_t length, bool nocase)
{
    for (uint32_t i = 0; i < length; i++)
        if (nocase ? ascii_lower(a[i]) != ascii_lower(b[i]) : a[i] != b[i])
            return false;
    return true;
}

static const uint8_t *plain_find(const uint8_t *data, uint32_t length, reef_view pattern, bool nocase)
{
    for (uint32_t i = 0; i + pattern.length <= length; i++)
        if (plain_equal(data + i, pattern.data, pattern.length, nocase))
            return data + i;
    return NULL;
}

int main(void)
{
    uint32_t found = 0, equal = 0;
    for (uint32_t round = 0; round < 200000; round++) {
        uint32_t length = random_below(random_below(4) ? 40 : 300), size = 1 + random_below(random_below(2) ? 3 : 24);
        uint8_t *data = malloc(length + 1), *pattern = malloc(size); /* of just this size: what is read beyond is told */
        CHECK(data != NULL && pattern != NULL);
        for (uint32_t i = 0; i < length; i++)
            data[i] = (uint8_t)alphabet[random_below(random_below(8) ? 4 : sizeof alphabet - 1)];
        for (uint32_t i = 0; i < size; i++)
            pattern[i] = (uint8_t)alphabet[random_below(random_below(8) ? 4 : sizeof alphabet - 1)];
        bool nocase = random_below(2);
        if (size <= length && random_below(2)) { /* let it stand there, in other letters */
            uint32_t at = random_below(length - size + 1);
            for (uint32_t i = 0; i < size; i++)
                data[at + i] = nocase && random_below(2) ? ascii_upper(pattern[i]) : pattern[i];
            CHECK(content_equal(data + at, pattern, size, nocase));
        }
        uint8_t *exact = malloc(length > 0 ? length : 1);
        CHECK(exact != NULL);
        for (uint32_t i = 0; i < length; i++)
            exact[i] = data[i];
        const uint8_t *place = content_find(exact, length, (reef_view){pattern, size}, nocase);
        CHECK(place == plain_find(exact, length, (reef_view){pattern, size}, nocase));
        found += place != NULL;
        uint32_t shorter = size < length ? size : length;
        CHECK_EQUAL(content_equal(exact, pattern, shorter, nocase), plain_equal(exact, pattern, shorter, nocase));
        equal += content_equal(exact, pattern, shorter, nocase);
        free(exact);
        free(data);
        free(pattern);
    }
    CHECK(found > 20000 && equal > 2000); /* it compared something */
    return 0;
}
