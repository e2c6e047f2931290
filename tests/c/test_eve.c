/* eve: events as lines; what the gateway knows of them; Community IDs as other tools compute them. */
#include "check.h"
#include "reef/decode.h"
#include "reef/eve.h"
#include "reef/status.h"

static char line[REEF_EVE_LINE_MAX + 1];

static const char *line_of(const reef_event *event, const char *text, const reef_names *names)
{
    size_t length;
    CHECK_EQUAL(reef_eve_line(event, text, names, line, REEF_EVE_LINE_MAX, &length), REEF_OK);
    line[length] = '\0';
    return line;
}

static reef_event flow_event(void)
{
    reef_event event = {.kind = REEF_EVENT_FLOW, .time_ns = 1295981567000000000ull, .start_ns = 1295981566000000000ull,
                        .flow_id = 7, .version = 4, .protocol = REEF_PROTO_TCP, .source_port = 40000,
                        .destination_port = 80, .interface = 2, .packets = {3, 2}, .bytes = {300, 200}, .state = 1,
                        .tcp_state = REEF_TCP_ESTABLISHED, .tcp_flags = {0x1a, 0x12}};
    memcpy(event.source, "\x0a\x14\0\1", 4);
    memcpy(event.destination, "\xc0\0\2\1", 4);
    return event;
}

static reef_names *names_new(void)
{
    reef_names *names;
    CHECK_EQUAL(reef_names_new("health", &names), REEF_OK);
    CHECK_EQUAL(reef_names_interface(names, 2, "lan0", "lan"), REEF_OK);
    CHECK_EQUAL(reef_names_interface(names, 3, "wan0", "internet"), REEF_OK);
    reef_rule_name ended = {"R-1", "allow", "lan", "internet", false, true}, quiet = {"R-2", "allow", "", "", true, false};
    CHECK_EQUAL(reef_names_rule(names, 1, &ended), REEF_OK);
    CHECK_EQUAL(reef_names_rule(names, 2, &quiet), REEF_OK);
    return names;
}

static void test_flow(const reef_names *names)
{
    reef_event event = flow_event();
    CHECK_TEXT(line_of(&event, "", names),
               "{\"timestamp\":\"2011-01-25T18:52:47.000000+0000\",\"flow_id\":7,\"in_iface\":\"lan0\",\"event_type\":\"flow\","
               "\"src_ip\":\"10.20.0.1\",\"src_port\":40000,\"dest_ip\":\"192.0.2.1\",\"dest_port\":80,\"proto\":\"TCP\","
               "\"ip_v\":4,\"community_id\":\"1:QtPwYHEGFVPlrq5hZJodG94XSmI=\",\"host\":\"health\",\"flow\":{\"pkts_toserver\":3,"
               "\"pkts_toclient\":2,\"bytes_toserver\":300,\"bytes_toclient\":200,\"start\":\"2011-01-25T18:52:46.000000+0000\","
               "\"end\":\"2011-01-25T18:52:47.000000+0000\",\"age\":1,\"reason\":\"timeout\",\"state\":\"established\","
               "\"alerted\":false},\"tcp\":{\"tcp_flags\":\"1a\",\"tcp_flags_ts\":\"1a\",\"tcp_flags_tc\":\"12\",\"syn\":true,"
               "\"psh\":true,\"ack\":true,\"state\":\"established\"},\"metadata\":{\"flowvars\":[{\"gid\":\"reef\",\"from\":\"lan\"}]}}\n");

    /* Of the kernel's connections those are told whose rule says `log: end`; the rule number is in the mark. */
    event.from_kernel = true;
    event.mark = 0x12340000u | 1;
    CHECK(strstr(line_of(&event, "", names), "\"rule\":\"R-1\",\"action\":\"allow\",\"from\":\"lan\",\"to\":\"internet\"") != NULL);
    event.mark = 2;
    CHECK_TEXT(line_of(&event, "", names), "");
    event.mark = 3;
    CHECK_TEXT(line_of(&event, "", names), "");
}

static void test_log(reef_names *names)
{
    static const char prefix[] = "R-9 reject lan - ";
    char text[64];
    snprintf(text, sizeof text, "%s\"len\":60", prefix);
    reef_event event = flow_event();
    event.kind = REEF_EVENT_LOG;
    event.prefix_length = sizeof prefix - 1;
    event.text_length = (uint32_t)strlen(text);
    event.opened = true;
    event.out_interface = 3;
    size_t length;
    CHECK_EQUAL(reef_eve_line(&event, text, names, line, sizeof line, &length), REEF_UNKNOWN_PREFIX);
    reef_rule_name rule = {"R-9", "reject", "lan", "", true, false};
    CHECK_EQUAL(reef_names_prefix(names, prefix, sizeof prefix - 1, &rule), REEF_OK);
    const char *written = line_of(&event, text, names);
    CHECK(strstr(written, "\"event_type\":\"drop\"") != NULL);
    CHECK(strstr(written, "\"drop\":{\"len\":60,\"reason\":\"rules\"},\"verdict\":{\"action\":\"reject\"}") != NULL);
    CHECK(strstr(written, "\"rule\":\"R-9\",\"action\":\"reject\",\"from\":\"lan\",\"to\":\"internet\"") != NULL);
    event.code = 1; /* the input hook: to the box itself */
    CHECK(strstr(line_of(&event, text, names), "\"to\":\"gateway\"") != NULL);

    rule.action = "allow";
    CHECK_EQUAL(reef_names_prefix(names, prefix, sizeof prefix - 1, &rule), REEF_OK);
    written = line_of(&event, text, names);
    CHECK(strstr(written, "\"event_type\":\"flow\"") != NULL);
    CHECK(strstr(written, "\"end\"") == NULL);
    rule.action = ""; /* of another table: nothing of ours */
    CHECK_EQUAL(reef_names_prefix(names, prefix, sizeof prefix - 1, &rule), REEF_OK);
    CHECK_TEXT(line_of(&event, text, names), "");
}

static void test_others(const reef_names *names)
{
    reef_event event = {.kind = REEF_EVENT_ANOMALY, .code = REEF_EV_IPV4_TRUNC_PKT, .time_ns = 1, .vlans = 1, .vlan = {7}};
    CHECK_TEXT(line_of(&event, "", names),
               "{\"timestamp\":\"1970-01-01T00:00:00.000000+0000\",\"event_type\":\"anomaly\",\"vlan\":[7],\"host\":\"health\","
               "\"anomaly\":{\"type\":\"decode\",\"event\":\"decoder.ipv4.trunc_pkt\"}}\n");
    reef_event lost = {.kind = REEF_EVENT_LOST, .packets = {12, 0}, .time_ns = 1};
    CHECK(strstr(line_of(&lost, "", names), "events lost: 12; the event ring was full") != NULL);
}

/* A line is written whole or not at all. */
static void test_small_buffers(const reef_names *names)
{
    reef_event event = flow_event();
    size_t whole = strlen(line_of(&event, "", names)), length;
    for (size_t size = 0; size <= whole; size++) {
        int status = reef_eve_line(&event, "", names, line, size, &length);
        CHECK_EQUAL(status, size < whole ? REEF_FULL : REEF_OK);
    }
}

static void check_community(unsigned version, unsigned protocol, const void *source, unsigned source_port,
                            const void *destination, unsigned destination_port, const char *expected)
{
    reef_event event = {.version = (uint8_t)version, .protocol = (uint8_t)protocol};
    memcpy(event.source, source, version == 4 ? 4 : 16);
    memcpy(event.destination, destination, version == 4 ? 4 : 16);
    if (protocol == REEF_PROTO_ICMP || protocol == REEF_PROTO_ICMPV6)
        event.icmp_type = (uint8_t)source_port, event.icmp_code = (uint8_t)destination_port;
    else
        event.source_port = (uint16_t)source_port, event.destination_port = (uint16_t)destination_port;
    char id[31];
    CHECK(reef_community_id(&event, id));
    CHECK_TEXT(id, expected);
}

/* The baselines of the specification's own repository (corelight/community-id-spec, seed 0). */
static void test_community_id(void)
{
    check_community(4, REEF_PROTO_TCP, "\x80\xe8\x6e\x78", 34855, "\x42\x23\xfa\xcc", 80, "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
    check_community(4, REEF_PROTO_TCP, "\x42\x23\xfa\xcc", 80, "\x80\xe8\x6e\x78", 34855, "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
    check_community(4, REEF_PROTO_UDP, "\xc0\xa8\x01\x34", 54585, "\x08\x08\x08\x08", 53, "1:d/FP5EW3wiY1vCndhwleRRKHowQ=");
    check_community(4, REEF_PROTO_ICMP, "\xc0\xa8\0\x59", 8, "\xc0\xa8\0\1", 0, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk=");
    check_community(4, REEF_PROTO_ICMP, "\xc0\xa8\0\1", 0, "\xc0\xa8\0\x59", 0, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk=");
    check_community(4, REEF_PROTO_ICMP, "\xc0\xa8\0\x59", 20, "\xc0\xa8\0\1", 0, "1:3o2RFccXzUgjl7zDpqmY7yJi8rI=");
}

int main(void)
{
    reef_names *names = names_new();
    test_community_id();
    test_flow(names);
    test_log(names);
    test_others(names);
    test_small_buffers(names);
    reef_names_free(names);
    return 0;
}
