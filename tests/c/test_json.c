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

int main(void)
{
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
