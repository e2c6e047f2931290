#include "reef/app.h"

/* The order is the order of trying: the protocol that is surest of itself comes first. */
static const reef_app_protocol *const registry[] = {
    &reef_app_dns,
    &reef_app_tls,
    &reef_app_http,
};

enum { COUNT = sizeof registry / sizeof registry[0] };

const reef_app_protocol *reef_app_by_number(unsigned number)
{
    return number >= 1 && number <= COUNT ? registry[number - 1] : NULL;
}

unsigned reef_app_count(void)
{
    return COUNT;
}
