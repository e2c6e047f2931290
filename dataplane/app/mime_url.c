#include <string.h>
#include <strings.h>

#include "mime.h"
#include "reef/limits.h"

/* Suricata's extract-urls-schemes of its default configuration. */
static const char *const schemes[] = {"http", "https", "ftp", "mailto"};

static bool ends_url(uint8_t c)
{
    return c == ' ' || c == '"' || c == '\'' || c == '<' || c == '>' || c == ']' || c == '\t' || c == '\0';
}

static void take(const reef_mime_sink *sink, void *context, const uint8_t *from, const uint8_t *end)
{
    uint8_t url[REEF_MIME_URL_MAX];
    uint32_t n = 0;
    for (; from + n < end && n < sizeof url && !ends_url(from[n]); n++)
        url[n] = (uint8_t)(from[n] >= 'A' && from[n] <= 'Z' ? from[n] | 0x20 : from[n]);
    if (n > 0)
        sink->url(context, (reef_view){url, n});
}

/* Each "://" is looked at from behind: is a scheme in front of it? */
void reef_mime_urls(const reef_mime_sink *sink, void *context, reef_view line)
{
    const uint8_t *at = line.data, *end = line.data + line.length;
    while (at < end) {
        const uint8_t *mark = memmem(at, (size_t)(end - at), "://", 3);
        if (mark == NULL)
            return;
        for (unsigned i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
            size_t length = strlen(schemes[i]);
            if ((size_t)(mark - line.data) >= length && strncasecmp((const char *)mark - length, schemes[i], length) == 0)
                take(sink, context, mark + 3, end);
        }
        at = mark + 3;
    }
}
