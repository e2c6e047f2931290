/* The protocols, one line each. The order is the order of asking: what is surest of itself comes first. */
#include <string.h>
#include <strings.h>

#include "reef/protocol.h"

#define PROTOCOLS(P) \
    P(http) \
    P(http2) \
    P(dns) \
    P(tls) \
    P(ssh) \
    P(smtp) \
    P(ftp) \
    P(ftp_data) \
    P(sip) \
    P(dhcp) \
    P(ntp) \
    P(mqtt) \
    P(ike) \
    P(smb) \
    P(dcerpc) \
    P(snmp) \
    P(krb5) \
    P(telnet) \
    P(quic) \
    /* further ones in front of this line */

#define DECLARE(name) extern const reef_protocol reef_protocol_##name;
#define REFER(name) &reef_protocol_##name,

PROTOCOLS(DECLARE)

/* Numbers begin with 1. */
static const reef_protocol *const registry[] = {NULL, PROTOCOLS(REFER)};

enum { COUNT = sizeof registry / sizeof registry[0] - 1 };

/* Other names that rules use. */
static const struct { const char *alias, *name; } aliases[] = {
    {"http1", "http"}, {"ssl", "tls"}, {"ikev1", "ike"}, {"ikev2", "ike"}, {"ftpdata", "ftp-data"}, {"ftp_data", "ftp-data"},
    {"bittorrent_dht", "bittorrent-dht"},
};

const reef_protocol *reef_protocol_by_number(unsigned number)
{
    return number <= COUNT ? registry[number] : NULL;
}

unsigned reef_protocols_count(void)
{
    return COUNT;
}

unsigned reef_protocol_number(const reef_protocol *protocol)
{
    for (unsigned i = 1; i <= COUNT; i++)
        if (registry[i] == protocol)
            return i;
    return 0;
}

const reef_protocol *reef_protocol_by_name(const char *name)
{
    for (size_t i = 0; i < sizeof aliases / sizeof aliases[0]; i++)
        if (strcasecmp(name, aliases[i].alias) == 0)
            name = aliases[i].name;
    for (unsigned i = 1; i <= COUNT; i++)
        if (strcasecmp(name, registry[i]->name) == 0)
            return registry[i];
    return NULL;
}

int reef_protocol_event(const reef_protocol *protocol, const char *name)
{
    for (uint32_t i = 0; i < protocol->events_count; i++)
        if (strcasecmp(name, protocol->events[i]) == 0)
            return (int)i;
    return -1;
}
