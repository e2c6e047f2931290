/* json: numbers, escapes, times and addresses as other programs read them; never a byte past the end. */
#include "check.h"
#include "reef/json.h"

static char memory[512];

static const char *text_of(reef_json *json)
{
    CHECK(!json->full);
    memory[reef_json_length(json)] = '\0';
    return memory;
}

static const char *bytes_text(const void *data, size_t n, size_t limit)
{
    reef_json json;
    reef_json_init(&json, memory, sizeof memory - 1);
    reef_json_bytes(&json, NULL, data, n, limit);
    return text_of(&json);
}

static const char *time_text(uint64_t ns)
{
    reef_json json;
    reef_json_init(&json, memory, sizeof memory - 1);
    reef_json_time(&json, NULL, ns);
    return text_of(&json);
}

static const char *address_text(unsigned version, const char *address)
{
    reef_json json;
    reef_json_init(&json, memory, sizeof memory - 1);
    reef_json_address(&json, NULL, version, (const uint8_t *)address);
    return text_of(&json);
}

/* The plain way, one byte after the other, of text without bytes above 0x7f. */
static size_t plainly(const uint8_t *data, size_t n, size_t limit, char *out)
{
    static const char digits[] = "0123456789abcdef";
    size_t length = 1;
    out[0] = '"';
    for (size_t i = 0; i < n; i++) {
        uint8_t c = data[i];
        bool odd = c < 0x20 || c == 0x7f, quoted = c == '"' || c == '\\';
        size_t needed = odd ? 6 : quoted ? 2 : 1;
        if (length - 1 + needed > limit)
            break;
        if (odd) {
            memcpy(out + length, "\\u00", 4);
            out[length + 4] = digits[c >> 4];
            out[length + 5] = digits[c & 15];
        } else if (quoted) {
            out[length] = '\\';
            out[length + 1] = (char)c;
        } else {
            out[length] = (char)c;
        }
        length += needed;
    }
    out[length++] = '"';
    out[length] = '\0';
    return length;
}

/* Texts that are copied in words are what they are byte by byte: every length, place of an odd byte, limit and end of memory. */
static void test_words_of_text(void)
{
    static const char odd[] = {'"', '\\', '\n', 0, 0x1f, 0x7f, ' ', '!', '[', ']', '~'};
    uint8_t text[40];
    char wanted[256];
    for (size_t n = 0; n <= sizeof text; n++)
        for (size_t at = 0; at <= n; at++)
            for (size_t which = 0; which < sizeof odd; which++) {
                for (size_t i = 0; i < n; i++)
                    text[i] = (uint8_t)(i == at || i == at + 3 ? (uint8_t)odd[which] : 'a' + i % 26);
                size_t limit = (n + at + which) % 50, length = plainly(text, n, limit, wanted);
                CHECK_TEXT(bytes_text(text, n, limit), wanted);
                length = plainly(text, n, SIZE_MAX - 1, wanted);
                reef_json json;
                for (size_t size = length + 1; size > 0 && size + 3 > length; size--) {
                    memset(memory, '#', sizeof memory);
                    reef_json_init(&json, memory, size);
                    reef_json_put_bytes(&json, text, n, SIZE_MAX);
                    CHECK_EQUAL(json.full, size < length);
                    CHECK(memory[size] == '#');
                    if (!json.full)
                        CHECK(memcmp(memory, wanted, length) == 0);
                }
            }
}

static void test_numbers(void)
{
    char wanted[32];
    for (uint64_t power = 1; power <= 10000000000000000000u / 10; power *= 10)
        for (uint64_t value = power - 1; value <= power + 1; value++) {
            reef_json json;
            reef_json_init(&json, memory, sizeof memory - 1);
            reef_json_put_number(&json, value);
            (void)snprintf(wanted, sizeof wanted, "%llu", (unsigned long long)value);
            CHECK_TEXT(text_of(&json), wanted);
        }
    for (unsigned value = 0; value < 70000; value += 1 + value / 300) {
        reef_json json;
        reef_json_init(&json, memory, sizeof memory - 1);
        reef_json_put_hex(&json, value, 0);
        (void)snprintf(wanted, sizeof wanted, "\"%x\"", value);
        CHECK_TEXT(text_of(&json), wanted);
    }
}

int main(void)
{
    test_words_of_text();
    test_numbers();
    reef_json json;
    reef_json_init(&json, memory, sizeof memory - 1);
    reef_json_open(&json, NULL, '{');
    reef_json_number(&json, "a", 0);
    reef_json_number(&json, "b", UINT64_MAX);
    reef_json_open(&json, "c", '[');
    reef_json_bool(&json, NULL, true);
    reef_json_bool(&json, NULL, false);
    reef_json_close(&json, ']');
    reef_json_open(&json, "d", '{');
    reef_json_close(&json, '}');
    reef_json_hex(&json, "e", 0x1a, 2);
    reef_json_members(&json, "\"f\":1", 5);
    reef_json_members(&json, "", 0);
    reef_json_close(&json, '}');
    CHECK_TEXT(text_of(&json), "{\"a\":0,\"b\":18446744073709551615,\"c\":[true,false],\"d\":{},\"e\":\"1a\",\"f\":1}");

    CHECK_TEXT(bytes_text("a\"\\\n\0\x7f", 6, 100), "\"a\\\"\\\\\\u000a\\u0000\\u007f\"");
    CHECK_TEXT(bytes_text("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 9, 100), "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"");
    CHECK_TEXT(bytes_text("\xc3", 1, 100), "\"\\\\xc3\"");             /* cut */
    CHECK_TEXT(bytes_text("\xc0\x80", 2, 100), "\"\\\\xc0\\\\x80\""); /* not the shortest form */
    CHECK_TEXT(bytes_text("\xed\xa0\x80", 3, 100), "\"\\\\xed\\\\xa0\\\\x80\""); /* a surrogate */
    CHECK_TEXT(bytes_text("\xf5\x80\x80\x80", 4, 100), "\"\\\\xf5\\\\x80\\\\x80\\\\x80\""); /* beyond Unicode */
    CHECK_TEXT(bytes_text("abcdef", 6, 3), "\"abc\"");
    CHECK_TEXT(bytes_text("ab\1", 3, 7), "\"ab\"");        /* an escape is written whole or not at all */
    CHECK_TEXT(bytes_text("ab\xc3\xa4", 4, 3), "\"ab\"");

    CHECK_TEXT(time_text(0), "\"1970-01-01T00:00:00.000000+0000\"");
    CHECK_TEXT(time_text(951782400000000000ull), "\"2000-02-29T00:00:00.000000+0000\"");
    CHECK_TEXT(time_text(1295981566123456789ull), "\"2011-01-25T18:52:46.123456+0000\"");
    CHECK_TEXT(time_text(4102444799999999999ull), "\"2099-12-31T23:59:59.999999+0000\"");

    CHECK_TEXT(address_text(4, "\0\x09\x63\xff"), "\"0.9.99.255\"");
    CHECK_TEXT(address_text(6, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"), "\"2001:0db8:0000:0000:0000:0000:0000:0001\"");

    /* In memory of every size: full or whole, and nothing beyond. */
    for (size_t size = 0; size < 64; size++) {
        memset(memory, '#', sizeof memory);
        reef_json_init(&json, memory, size);
        reef_json_open(&json, NULL, '{');
        reef_json_text(&json, "key", "value \x01");
        reef_json_time(&json, "t", 1);
        reef_json_close(&json, '}');
        CHECK_EQUAL(json.full, size < 60);
        CHECK(memory[size] == '#');
    }
    return 0;
}
