/* A flat JSON writer into memory of the caller. It never writes past the end: what does not fit sets
 * `full`, and the caller throws the whole text away. */
#ifndef REEF_JSON_H
#define REEF_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct reef_json {
    char *start, *at, *end;
    bool full;
    bool comma; /* the next value in this object or array needs one before it */
} reef_json;

void reef_json_init(reef_json *json, char *memory, size_t size);
static inline size_t reef_json_length(const reef_json *json) { return (size_t)(json->at - json->start); }
static inline size_t reef_json_room(const reef_json *json) { return (size_t)(json->end - json->at); }

/* `key` NULL: an element of an array, or the outermost value. Keys are written as they are. */
void reef_json_open(reef_json *json, const char *key, char bracket);
void reef_json_close(reef_json *json, char bracket);
void reef_json_number(reef_json *json, const char *key, uint64_t value);
void reef_json_bool(reef_json *json, const char *key, bool value);
void reef_json_text(reef_json *json, const char *key, const char *value); /* NUL-terminated, trusted to be UTF-8 */
/* Bytes from the network: at most `limit` bytes of output; control characters become \u00XX, what is
 * not UTF-8 becomes the text \xXX as Suricata writes it. */
void reef_json_bytes(reef_json *json, const char *key, const uint8_t *data, size_t length, size_t limit);
void reef_json_base64(reef_json *json, const char *key, const uint8_t *data, size_t length);
/* Bytes as text for people: line ends stay, what is not printable ASCII becomes a dot. */
void reef_json_printable(reef_json *json, const char *key, const uint8_t *data, size_t length);
/* IPv6 in full, "2001:0db8:0000:…", as Suricata writes it: tools compare addresses as text. */
void reef_json_address(reef_json *json, const char *key, unsigned version, const uint8_t *address);
/* "2026-03-31T17:00:00.123456+0000" */
void reef_json_time(reef_json *json, const char *key, uint64_t time_ns);
void reef_json_hex(reef_json *json, const char *key, unsigned value, unsigned digits);
/* Text that already is JSON: the members of an object, without braces. Empty is nothing. */
void reef_json_members(reef_json *json, const char *text, size_t length);
void reef_json_raw(reef_json *json, const char *text, size_t length);

/* RFC 5952 text of an address; `out` holds 46 bytes. Returns the length. */
size_t reef_address_text(unsigned version, const uint8_t *address, char *out);

#endif
