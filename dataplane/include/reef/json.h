/* A flat JSON writer into memory of the caller. It never writes past the end: what does not fit sets
 * `full`, and the caller throws the whole text away.
 *
 * Keys are nearly always literals: what writes them is inline, so that their length is known to the compiler and a key with
 * its quotes and colon is a few stores. */
#ifndef REEF_JSON_H
#define REEF_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct reef_json {
    char *start, *at, *end;
    bool full;
    bool comma; /* the next value in this object or array needs one before it */
} reef_json;

#define REEF_JSON_INLINE static inline __attribute__((always_inline))

void reef_json_init(reef_json *json, char *memory, size_t size);
static inline size_t reef_json_length(const reef_json *json) { return (size_t)(json->at - json->start); }
static inline size_t reef_json_room(const reef_json *json) { return (size_t)(json->end - json->at); }

REEF_JSON_INLINE void reef_json_raw(reef_json *json, const char *text, size_t length)
{
    if (length > reef_json_room(json)) {
        json->full = true;
        return;
    }
    if (length > 0) /* nothing may be at NULL, which memcpy does not take */
        memcpy(json->at, text, length);
    json->at += length;
}

/* What stands before a value. `key` NULL: an element of an array, or the outermost value. Keys are written as they are. */
REEF_JSON_INLINE void reef_json_key(reef_json *json, const char *key)
{
    size_t length = key != NULL ? strlen(key) : 0;
    if (length + 4 > reef_json_room(json)) {
        json->full = true;
        return;
    }
    char *at = json->at;
    *at = ',';
    at += json->comma;
    json->comma = true;
    if (key != NULL) {
        *at++ = '"';
        memcpy(at, key, length);
        at += length;
        *at++ = '"';
        *at++ = ':';
    }
    json->at = at;
}

/* Values without what stands before them; the functions below write both. */
void reef_json_put_number(reef_json *json, uint64_t value);
void reef_json_put_bytes(reef_json *json, const uint8_t *data, size_t length, size_t limit);
void reef_json_put_base64(reef_json *json, const uint8_t *data, size_t length);
void reef_json_put_printable(reef_json *json, const uint8_t *data, size_t length);
void reef_json_put_address(reef_json *json, unsigned version, const uint8_t *address);
void reef_json_put_time(reef_json *json, uint64_t time_ns);
void reef_json_put_hex(reef_json *json, unsigned value, unsigned digits);

REEF_JSON_INLINE void reef_json_open(reef_json *json, const char *key, char bracket)
{
    reef_json_key(json, key);
    reef_json_raw(json, &bracket, 1);
    json->comma = false;
}

REEF_JSON_INLINE void reef_json_close(reef_json *json, char bracket)
{
    reef_json_raw(json, &bracket, 1);
    json->comma = true;
}

REEF_JSON_INLINE void reef_json_number(reef_json *json, const char *key, uint64_t value)
{
    reef_json_key(json, key);
    reef_json_put_number(json, value);
}

REEF_JSON_INLINE void reef_json_bool(reef_json *json, const char *key, bool value)
{
    reef_json_key(json, key);
    if (value)
        reef_json_raw(json, "true", 4);
    else
        reef_json_raw(json, "false", 5);
}

/* One of our own words, with nothing in it that JSON escapes. */
REEF_JSON_INLINE void reef_json_word(reef_json *json, const char *key, const char *word)
{
    reef_json_key(json, key);
    reef_json_raw(json, "\"", 1);
    reef_json_raw(json, word, strlen(word));
    reef_json_raw(json, "\"", 1);
}

/* NUL-terminated, trusted to be UTF-8. */
REEF_JSON_INLINE void reef_json_text(reef_json *json, const char *key, const char *value)
{
    reef_json_key(json, key);
    reef_json_put_bytes(json, (const uint8_t *)value, strlen(value), SIZE_MAX);
}

/* Bytes from the network: at most `limit` bytes of output; control characters become \u00XX, what is
 * not UTF-8 becomes the text \xXX as Suricata writes it. */
REEF_JSON_INLINE void reef_json_bytes(reef_json *json, const char *key, const uint8_t *data, size_t length, size_t limit)
{
    reef_json_key(json, key);
    reef_json_put_bytes(json, data, length, limit);
}

REEF_JSON_INLINE void reef_json_base64(reef_json *json, const char *key, const uint8_t *data, size_t length)
{
    reef_json_key(json, key);
    reef_json_put_base64(json, data, length);
}

/* Bytes as text for people: line ends stay, what is not printable ASCII becomes a dot. */
REEF_JSON_INLINE void reef_json_printable(reef_json *json, const char *key, const uint8_t *data, size_t length)
{
    reef_json_key(json, key);
    reef_json_put_printable(json, data, length);
}

/* IPv6 in full, "2001:0db8:0000:…", as Suricata writes it: tools compare addresses as text. */
REEF_JSON_INLINE void reef_json_address(reef_json *json, const char *key, unsigned version, const uint8_t *address)
{
    reef_json_key(json, key);
    reef_json_put_address(json, version, address);
}

/* "2026-03-31T17:00:00.123456+0000" */
REEF_JSON_INLINE void reef_json_time(reef_json *json, const char *key, uint64_t time_ns)
{
    reef_json_key(json, key);
    reef_json_put_time(json, time_ns);
}

/* `digits` 0: as many as it takes. */
REEF_JSON_INLINE void reef_json_hex(reef_json *json, const char *key, unsigned value, unsigned digits)
{
    reef_json_key(json, key);
    reef_json_put_hex(json, value, digits);
}

/* Text that already is JSON: the members of an object, without braces. Empty is nothing. */
REEF_JSON_INLINE void reef_json_members(reef_json *json, const char *text, size_t length)
{
    if (length == 0)
        return;
    reef_json_key(json, NULL);
    reef_json_raw(json, text, length);
}

/* RFC 5952 text of an address; `out` holds 46 bytes. Returns the length. */
size_t reef_address_text(unsigned version, const uint8_t *address, char *out);

#endif
