#include "tls_hello.h"

#include <string.h>

#include "reef/bytes.h"

enum {
    EXTENSION_SNI = 0, EXTENSION_GROUPS = 10, EXTENSION_FORMATS = 11, EXTENSION_ALGORITHMS = 13, EXTENSION_ALPN = 16,
    EXTENSION_TICKET = 35, EXTENSION_EARLY_DATA = 42, EXTENSION_VERSIONS = 43,
};

/* The next `n` bytes; false: they are not there. */
static bool take(reef_view *from, uint32_t n, reef_view *out)
{
    if (n > from->length)
        return false;
    *out = (reef_view){from->data, n};
    from->data += n;
    from->length -= n;
    return true;
}

static bool take_number(reef_view *from, uint32_t bytes, uint32_t *out)
{
    reef_view v;
    if (!take(from, bytes, &v))
        return false;
    *out = 0;
    for (uint32_t i = 0; i < bytes; i++)
        *out = *out << 8 | v.data[i];
    return true;
}

/* A vector behind its length. */
static bool take_vector(reef_view *from, uint32_t length_bytes, reef_view *out)
{
    uint32_t length;
    return take_number(from, length_bytes, &length) && take(from, length, out);
}

static bool is_version(uint32_t version)
{
    return (version >= 0x0300 && version <= 0x0304) || (version >= 0x7f10 && version <= 0x7f1c) || version == 0x7f01 ||
           (version >= 0xfb14 && version <= 0xfb17) || version == 0xfb1a;
}

/* --- extensions: false when the rest of the list is not to be read -------------------------------------------- */

static bool bad_length(reef_tls_hello *hello)
{
    hello->wrong |= REEF_HELLO_BAD_LENGTH;
    return false;
}

static bool read_sni(reef_tls_hello *hello, reef_view e, bool has_sni)
{
    uint32_t list, type, length;
    reef_view name;
    if (e.length == 0)
        return true;
    if (!take_number(&e, 2, &list) || !take_number(&e, 1, &type))
        return bad_length(hello);
    if (type != 0) {
        hello->wrong |= REEF_HELLO_BAD_SNI_TYPE;
        return false;
    }
    if (!take_number(&e, 2, &length))
        return bad_length(hello);
    if (length == 0 || length > 255 || !take(&e, length, &name)) {
        hello->wrong |= REEF_HELLO_BAD_SNI_LENGTH;
        return false;
    }
    if (has_sni || hello->sni.data != NULL)
        hello->wrong |= REEF_HELLO_TWO_SNI;
    else
        hello->sni = name;
    return true;
}

static bool read_versions(reef_tls_hello *hello, reef_view e, bool server)
{
    reef_view list;
    uint32_t version;
    if (e.length == 0)
        return true;
    if (server) {
        if (!take_number(&e, 2, &version))
            return bad_length(hello);
        hello->version = (uint16_t)version;
        return true;
    }
    if (!take_vector(&e, 1, &list) || list.length < 2)
        return bad_length(hello);
    hello->versions = true;
    while (list.length >= 2 && take_number(&list, 2, &version)) {
        if (!is_version(version))
            continue;
        hello->version = (uint16_t)version;
        if (version > hello->highest_version)
            hello->highest_version = (uint16_t)version;
        break;
    }
    return true;
}

static bool read_list(reef_tls_hello *hello, reef_view e, uint32_t length_bytes, uint32_t item, reef_view *out)
{
    reef_view list;
    if (e.length == 0)
        return true;
    if (!take_vector(&e, length_bytes, &list) || list.length % item != 0)
        return bad_length(hello);
    *out = list;
    return true;
}

static bool read_extension(reef_tls_hello *hello, uint32_t type, reef_view e, bool server, bool has_sni)
{
    switch (type) {
    case EXTENSION_SNI:
        return read_sni(hello, e, has_sni);
    case EXTENSION_GROUPS:
        return read_list(hello, e, 2, 2, &hello->groups);
    case EXTENSION_FORMATS:
        return read_list(hello, e, 1, 1, &hello->formats);
    case EXTENSION_ALGORITHMS:
        return read_list(hello, e, 2, 2, &hello->algorithms);
    case EXTENSION_ALPN:
        return read_list(hello, e, 2, 1, &hello->alpn);
    case EXTENSION_VERSIONS:
        return read_versions(hello, e, server);
    case EXTENSION_EARLY_DATA:
        hello->early_data = true;
        return true;
    case EXTENSION_TICKET:
        hello->ticket = true;
        return true;
    default:
        return true;
    }
}

static void read_extensions(reef_tls_hello *hello, reef_view m, bool server, bool has_sni)
{
    reef_view list, data;
    uint32_t type;
    hello->whole = true;
    if (m.length < 2)
        return;
    if (!take_vector(&m, 2, &list)) {
        hello->whole = bad_length(hello);
        return;
    }
    hello->extensions = (reef_view){list.data, 0};
    while (list.length > 0) {
        if (!take_number(&list, 2, &type) || !take_vector(&list, 2, &data)) {
            hello->whole = bad_length(hello);
            return;
        }
        if (!read_extension(hello, type, data, server, has_sni))
            return;
        hello->extensions.length = (uint32_t)(list.data - hello->extensions.data);
    }
}

void reef_tls_hello_read(reef_view m, bool server, bool has_sni, reef_tls_hello *hello)
{
    uint32_t version, unused;
    reef_view methods;
    *hello = (reef_tls_hello){0};
    if (!take_number(&m, 2, &version) || !take(&m, 32, &hello->random)) {
        bad_length(hello);
        return;
    }
    hello->legacy_version = hello->highest_version = (uint16_t)version;
    hello->old = server && (version == 0x0304 || version >> 8 == 0x7f);
    bool sound = (hello->old || take_vector(&m, 1, &hello->session_id)) &&
                 (server ? take(&m, 2, &hello->ciphers) : take_vector(&m, 2, &hello->ciphers)) &&
                 hello->ciphers.length % 2 == 0 &&
                 (hello->old || (server ? take_number(&m, 1, &unused) : take_vector(&m, 1, &methods)));
    if (!sound) {
        bad_length(hello);
        return;
    }
    read_extensions(hello, m, server, has_sni);
}
