#include "check.h"
#include "dialogue.h"

enum { C = REEF_TO_SERVER, S = REEF_TO_CLIENT };

static uint32_t message(uint8_t out[300], uint8_t op, const void *options, uint32_t length)
{
    memset(out, 0, 300);
    out[0] = op, out[1] = 1, out[2] = 6;
    memcpy(out + 4, "\0\0\x12\x34", 4);
    memcpy(out + 16, "\x0a\0\0\x05", 4);
    memcpy(out + 28, "\2\0\0\0\0\1", 6);
    memcpy(out + 236, "\x63\x82\x53\x63", 4);
    memcpy(out + 240, options, length);
    return 240 + length;
}

static void messages_are_read(void)
{
    conversation c;
    uint8_t m[300];
    converse(&c, NULL, REEF_PROTO_UDP, 67);
    static const char ask[] = "\x35\1\3\x0c\4host\x3d\7\1\2\0\0\0\0\1\x37\3\1\3\6\xff";
    say_bytes(&c, C, m, message(m, 1, ask, sizeof ask - 1), false);
    CHECK_TEXT(heard(&c), "- complete\n"); /* only what was handed out is written down */
    static const char ack[] = "\x35\1\5\x33\4\0\0\x0e\x10\1\4\xff\xff\xff\0\3\4\x0a\0\0\1\6\x08\x08\x08\x08\x08\x09\x09\x09\x09\xff";
    say_bytes(&c, S, m, message(m, 2, ack, sizeof ack - 1), false);
    CHECK_TEXT(heard(&c), "- complete\n\"type\":\"reply\",\"id\":4660,\"client_mac\":\"02:00:00:00:00:01\",\"assigned_ip\":\"10.0.0.5\","
                          "\"relay_ip\":\"0.0.0.0\",\"next_server_ip\":\"0.0.0.0\",\"dhcp_type\":\"ack\",\"lease_time\":3600,\"subnet_mask\":"
                          "\"255.255.255.0\",\"routers\":[\"10.0.0.1\"],\"dns_servers\":[\"8.8.8.8\",\"9.9.9.9\"] complete\n");
    uint64_t number;
    CHECK(c.call.session->protocol->value(c.call.session, c.call.session->last, S, REEF_VALUE_DHCP_LEASETIME, 0, &number) && number == 3600);
    CHECK(!c.call.session->protocol->value(c.call.session, c.call.session->first, C, REEF_VALUE_DHCP_LEASETIME, 0, &number));
    say_bytes(&c, C, m, message(m, 1, "\x35\2\3\3\x0c\x50h", 7), false);
    CHECK(strstr(heard(&c), "- malformed_options truncated_options complete\n") != NULL);
    part(&c);
}

static void ntp_tells_requests_from_noise(void)
{
    conversation c;
    uint8_t m[48] = {0x23};
    converse(&c, NULL, REEF_PROTO_UDP, 123);
    say_bytes(&c, C, m, sizeof m, false);
    CHECK_TEXT(c.call.session->protocol->name, "ntp");
    m[0] = 0x24;
    say_bytes(&c, S, m, sizeof m, false), say_bytes(&c, C, m, 7, false);
    CHECK_TEXT(heard(&c), "- malformed_data complete\n");
    part(&c);
}

int main(void)
{
    messages_are_read();
    ntp_tells_requests_from_noise();
    return 0;
}
