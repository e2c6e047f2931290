/* NFLOG: the packets that log statements of the ruleset send up, with the prefix of their rule. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netlink.h"
#include "reef/bytes.h"
#include "reef/capture.h"
#include "reef/decode.h"
#include "reef/status.h"

enum { COPY_BYTES = 256, RECEIVE_BYTES = 8 << 20, BATCH_PACKETS = 64, BATCH_CENTISECONDS = 5 };

struct reef_nflog {
    int fd;
    uint32_t sequence; /* the next we expect */
    bool sequenced;
    uint64_t lost, said;
    uint32_t rate, this_second; /* records a second at most, and how many became events in the present one */
    uint64_t second;
    uint64_t left_out, left_out_said;
    uint8_t buffer[REEF_NETLINK_BUFFER];
};

/* --- configuration --------------------------------------------------------------------------------- */

typedef struct request {
    struct nlmsghdr header;
    struct nfgenmsg message;
    uint8_t attributes[128];
} request;

static void add_attribute(request *r, uint16_t type, const void *value, size_t size)
{
    struct nlattr header = {.nla_len = (uint16_t)(sizeof header + size), .nla_type = type};
    uint8_t *at = (uint8_t *)r + r->header.nlmsg_len;
    memcpy(at, &header, sizeof header);
    memcpy(at + sizeof header, value, size);
    r->header.nlmsg_len += (uint32_t)NLA_ALIGN(sizeof header + size);
}

static request config_request(uint16_t group)
{
    return (request){.header = {.nlmsg_len = sizeof(struct nlmsghdr) + sizeof(struct nfgenmsg),
                                .nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG,
                                .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK},
                     .message = {.nfgen_family = 0, .version = NFNETLINK_V0, .res_id = htons(group)}};
}

/* Send and wait for the kernel's answer, which netlink gives within the call. */
static int ask(int fd, const request *r)
{
    uint8_t answer[4096];
    if (send(fd, r, r->header.nlmsg_len, 0) < 0)
        return REEF_SYSTEM;
    ssize_t n = recv(fd, answer, sizeof answer, 0);
    if (n < (ssize_t)(sizeof(struct nlmsghdr) + sizeof(int)))
        return REEF_SYSTEM;
    struct nlmsghdr header;
    int error;
    memcpy(&header, answer, sizeof header);
    memcpy(&error, answer + sizeof header, sizeof error);
    if (header.nlmsg_type == NLMSG_ERROR && error == 0)
        return REEF_OK;
    errno = header.nlmsg_type == NLMSG_ERROR ? -error : EPROTO;
    return REEF_SYSTEM;
}

static int ask_flags(int fd, uint16_t group, uint16_t flags)
{
    request r = config_request(group);
    flags = htons(flags);
    add_attribute(&r, NFULA_CFG_FLAGS, &flags, sizeof flags);
    return ask(fd, &r);
}

static int configure(int fd, uint16_t group)
{
    request r = config_request(group);
    struct nfulnl_msg_config_cmd command = {.command = NFULNL_CFG_CMD_BIND};
    add_attribute(&r, NFULA_CFG_CMD, &command, sizeof command);
    int status = ask(fd, &r);
    if (status != REEF_OK)
        return status;
    /* With the connection's number where the kernel can tell it (nf_conntrack_netlink), without where it cannot. */
    if (ask_flags(fd, group, NFULNL_CFG_F_SEQ | NFULNL_CFG_F_CONNTRACK) != REEF_OK &&
        (status = ask_flags(fd, group, NFULNL_CFG_F_SEQ)) != REEF_OK)
        return status;
    r = config_request(group);
    struct nfulnl_msg_config_mode mode = {.copy_range = htonl(COPY_BYTES), .copy_mode = NFULNL_COPY_PACKET};
    uint32_t threshold = htonl(BATCH_PACKETS), timeout = htonl(BATCH_CENTISECONDS);
    add_attribute(&r, NFULA_CFG_MODE, &mode, sizeof mode);
    add_attribute(&r, NFULA_CFG_QTHRESH, &threshold, sizeof threshold);
    add_attribute(&r, NFULA_CFG_TIMEOUT, &timeout, sizeof timeout);
    return ask(fd, &r);
}

int reef_nflog_open(uint16_t group, uint32_t rate, reef_nflog **out)
{
    *out = NULL;
    if (rate == 0)
        return REEF_INVALID;
    reef_nflog *nflog = calloc(1, sizeof *nflog);
    if (nflog == NULL)
        return REEF_NOMEM;
    nflog->rate = rate;
    nflog->fd = reef_netlink_open(0, RECEIVE_BYTES);
    if (nflog->fd < 0 || configure(nflog->fd, group) != REEF_OK) {
        int error = errno;
        reef_nflog_free(nflog);
        errno = error;
        return REEF_SYSTEM;
    }
    /* Records wait in the kernel to be sent together. As long as some socket wants stamps, packets are stamped when they
     * arrive, and the record carries that time rather than ours. */
    int on = 1;
    (void)setsockopt(nflog->fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    *out = nflog;
    return REEF_OK;
}

void reef_nflog_free(reef_nflog *nflog)
{
    if (nflog == NULL)
        return;
    if (nflog->fd >= 0)
        close(nflog->fd);
    free(nflog);
}

int reef_nflog_fd(const reef_nflog *nflog)
{
    return nflog->fd;
}

uint64_t reef_nflog_lost(const reef_nflog *nflog)
{
    return nflog->lost;
}

uint64_t reef_nflog_left_out(const reef_nflog *nflog)
{
    return nflog->left_out;
}

/* --- reading --------------------------------------------------------------------------------------- */

typedef struct record {
    uint64_t time_ns;
    uint32_t in, out, mark;
    uint32_t connection; /* its number in the kernel's table, 0 when there is none */
    reef_event asked;    /* its addresses and ports as it began, before NAT; `version` 0 when not told */
    attributes prefix, packet;
    uint8_t hook;
} record;

static void read_connection(attributes list, record *r)
{
    unsigned type;
    attributes value;
    while (next_attribute(&list, &type, &value)) {
        if (type == CTA_ID && value.left >= 4)
            r->connection = reef_be32(value.at);
        else if (type == CTA_TUPLE_ORIG)
            reef_conntrack_tuple(value, &r->asked);
    }
}

static void read_record(reef_nflog *nflog, attributes list, record *r)
{
    unsigned type;
    attributes value;
    *r = (record){0};
    while (next_attribute(&list, &type, &value)) {
        switch (type) {
        case NFULA_PACKET_HDR:
            if (value.left >= sizeof(struct nfulnl_msg_packet_hdr))
                r->hook = value.at[offsetof(struct nfulnl_msg_packet_hdr, hook)];
            break;
        case NFULA_TIMESTAMP:
            if (value.left >= 16)
                r->time_ns = reef_be64(value.at) * 1000000000u + reef_be64(value.at + 8) * 1000u;
            break;
        case NFULA_MARK:
            r->mark = value.left >= 4 ? reef_be32(value.at) : 0;
            break;
        case NFULA_IFINDEX_INDEV:
            r->in = value.left >= 4 ? reef_be32(value.at) : 0;
            break;
        case NFULA_IFINDEX_OUTDEV:
            r->out = value.left >= 4 ? reef_be32(value.at) : 0;
            break;
        case NFULA_PREFIX: /* with its NUL */
            r->prefix = value;
            if (r->prefix.left > 0 && r->prefix.at[r->prefix.left - 1] == '\0')
                r->prefix.left--;
            break;
        case NFULA_PAYLOAD:
            r->packet = value;
            break;
        case NFULA_CT:
            read_connection(value, r);
            break;
        case NFULA_SEQ:
            if (value.left >= 4) {
                uint32_t sequence = reef_be32(value.at);
                if (nflog->sequenced)
                    nflog->lost += sequence - nflog->sequence;
                nflog->sequence = sequence + 1;
                nflog->sequenced = true;
            }
            break;
        default:
            break;
        }
    }
}

/* The members of EVE's "drop" object, as Suricata writes them. */
static void write_header(reef_json *text, const reef_packet *packet)
{
    const uint8_t *ip = packet->network, *transport = packet->transport;
    if (packet->version == 4) {
        reef_json_number(text, "len", reef_be16(ip + 2));
        reef_json_number(text, "tos", ip[1]);
        reef_json_number(text, "ttl", ip[8]);
        reef_json_number(text, "ipid", reef_be16(ip + 4));
    } else if (packet->version == 6) {
        reef_json_number(text, "len", reef_be16(ip + 4));
        reef_json_number(text, "tc", reef_be16(ip) >> 4 & 0xff);
        reef_json_number(text, "hoplimit", ip[7]);
        reef_json_number(text, "flowlbl", reef_be32(ip) & 0xfffff);
    }
    if (!(packet->flags & REEF_PACKET_TRANSPORT))
        return;
    if (packet->protocol == REEF_PROTO_TCP) {
        static const struct { uint8_t bit; const char *key; } flags[] = {
            {REEF_TCP_SYN, "syn"}, {REEF_TCP_ACK, "ack"}, {REEF_TCP_PSH, "psh"},
            {REEF_TCP_RST, "rst"}, {REEF_TCP_URG, "urg"}, {REEF_TCP_FIN, "fin"}};
        reef_json_number(text, "tcpseq", packet->tcp_sequence);
        reef_json_number(text, "tcpack", packet->tcp_acknowledgement);
        reef_json_number(text, "tcpwin", packet->tcp_window);
        for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
            reef_json_bool(text, flags[i].key, packet->tcp_flags & flags[i].bit);
        reef_json_number(text, "tcpres", transport[12] & 0x0f);
        reef_json_number(text, "tcpurgp", reef_be16(transport + 18));
    } else if (packet->protocol == REEF_PROTO_UDP) {
        reef_json_number(text, "udplen", reef_be16(transport + 4));
    } else if ((packet->protocol == REEF_PROTO_ICMP || packet->protocol == REEF_PROTO_ICMPV6) &&
               packet->source_port != 0) { /* an echo's identifier */
        reef_json_number(text, "icmp_id", packet->source_port);
        reef_json_number(text, "icmp_seq", reef_be16(transport + 6));
    }
}

/* `lost` so far, `said` of them already. */
static void report_lost(reef_events *events, uint8_t code, uint64_t lost, uint64_t *said)
{
    reef_json text;
    if (lost == *said)
        return;
    reef_event *event = reef_events_begin(events, reef_wall_clock_ns(), &text);
    if (event == NULL)
        return;
    event->kind = REEF_EVENT_LOST;
    event->code = code;
    event->packets[0] = lost - *said;
    *said = lost;
    reef_events_commit(events, event, &text);
}

/* May this record become an event? A new second says first what the last one left out. */
static bool within_rate(reef_nflog *nflog, reef_events *events, uint64_t second)
{
    if (second != nflog->second) {
        nflog->second = second;
        nflog->this_second = 0;
        report_lost(events, REEF_LOST_BY_RATE, nflog->left_out, &nflog->left_out_said);
    }
    if (nflog->this_second == nflog->rate) {
        nflog->left_out++;
        return false;
    }
    nflog->this_second++;
    return true;
}

/* The packet was seen after destination NAT; where it had been sent to, its connection knows. */
static void note_asked(reef_event *event, const reef_event *asked)
{
    if (asked->version != event->version || memcmp(asked->source, event->source, 16) != 0 ||
        (memcmp(asked->destination, event->destination, 16) == 0 && asked->destination_port == event->destination_port))
        return;
    event->other = REEF_OTHER_ASKED;
    event->other_port = asked->destination_port;
    memcpy(event->other_address, asked->destination, 16);
}

static void report_record(const record *r, reef_events *events)
{
    reef_packet packet;
    reef_frame frame = {.data = r->packet.at,
                        .captured = (uint32_t)r->packet.left,
                        .length = UINT16_MAX, /* only the first COPY_BYTES came up */
                        .time_ns = r->time_ns != 0 ? r->time_ns : reef_wall_clock_ns(),
                        .link = REEF_LINK_RAW};
    reef_decode(&frame, &packet);
    reef_json text;
    reef_event *event = reef_events_begin(events, frame.time_ns, &text);
    if (event == NULL)
        return;
    event->kind = REEF_EVENT_LOG;
    event->code = r->hook;
    event->start_ns = frame.time_ns;
    event->flow_id = r->connection; /* the same in the flow's end (conntrack.c) */
    event->interface = r->in;
    event->out_interface = r->out;
    event->mark = r->mark;
    event->opened = true;
    event->from_kernel = true;
    event->version = packet.version;
    event->protocol = packet.protocol;
    event->source_port = packet.source_port;
    event->destination_port = packet.destination_port;
    event->icmp_type = packet.icmp_type;
    event->icmp_code = packet.icmp_code;
    event->tcp_flags[REEF_TO_SERVER] = packet.tcp_flags;
    memcpy(event->source, packet.source, 16);
    memcpy(event->destination, packet.destination, 16);
    event->packets[REEF_TO_SERVER] = 1;
    event->bytes[REEF_TO_SERVER] = packet.version == 4   ? reef_be16(packet.network + 2)
                                   : packet.version == 6 ? reef_be16(packet.network + 4) + 40u
                                                         : frame.captured;
    note_asked(event, &r->asked);
    size_t prefix = r->prefix.left < REEF_PREFIX_MAX ? r->prefix.left : REEF_PREFIX_MAX;
    event->prefix_length = (uint16_t)prefix;
    reef_json_raw(&text, (const char *)r->prefix.at, prefix);
    write_header(&text, &packet);
    reef_events_commit(events, event, &text);
}

static uint64_t read_datagram(reef_nflog *nflog, attributes datagram, reef_events *events, uint64_t second)
{
    attributes list;
    struct nlmsghdr header;
    uint64_t packets = 0;
    while (next_message(&datagram, &header, &list)) {
        if (header.nlmsg_type != (NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET))
            continue;
        record r;
        read_record(nflog, list, &r);
        if (within_rate(nflog, events, second))
            report_record(&r, events);
        packets++;
    }
    report_lost(events, REEF_LOST_BY_KERNEL, nflog->lost, &nflog->said);
    return packets;
}

int reef_nflog_pull(reef_nflog *nflog, reef_worker *worker, uint64_t *packets)
{
    reef_events *events = reef_worker_events(worker);
    uint64_t second = reef_wall_clock_ns() / 1000000000u;
    *packets = 0;
    while (!reef_events_half_full(events)) {
        long n = reef_netlink_receive(nflog->fd, nflog->buffer, sizeof nflog->buffer);
        if (n == 0)
            break;
        if (n == -2)
            return REEF_SYSTEM;
        if (n == -1)
            continue; /* overflowed: the sequence numbers will say by how much */
        *packets += read_datagram(nflog, (attributes){nflog->buffer, (size_t)n}, events, second);
    }
    if (second != nflog->second) /* the flood ended, and nothing came that would say it */
        report_lost(events, REEF_LOST_BY_RATE, nflog->left_out, &nflog->left_out_said);
    return REEF_OK;
}
