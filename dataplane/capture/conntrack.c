/* Connections that end, from the kernel's own table: addresses, counters and the mark that names the rule. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

#include "netlink.h"
#include "reef/bytes.h"
#include "reef/capture.h"
#include "reef/status.h"

enum { RECEIVE_BYTES = 8 << 20 };

struct reef_conntrack {
    int fd;
    uint64_t overruns;
    uint8_t buffer[REEF_NETLINK_BUFFER];
};

int reef_conntrack_open(reef_conntrack **out)
{
    *out = NULL;
    reef_conntrack *conntrack = calloc(1, sizeof *conntrack);
    if (conntrack == NULL)
        return REEF_NOMEM;
    conntrack->fd = reef_netlink_open(1u << (NFNLGRP_CONNTRACK_DESTROY - 1), RECEIVE_BYTES);
    if (conntrack->fd < 0) {
        int error = errno;
        free(conntrack);
        errno = error;
        return REEF_SYSTEM;
    }
    *out = conntrack;
    return REEF_OK;
}

void reef_conntrack_free(reef_conntrack *conntrack)
{
    if (conntrack == NULL)
        return;
    close(conntrack->fd);
    free(conntrack);
}

int reef_conntrack_fd(const reef_conntrack *conntrack)
{
    return conntrack->fd;
}

uint64_t reef_conntrack_overruns(const reef_conntrack *conntrack)
{
    return conntrack->overruns;
}

static void read_addresses(attributes list, reef_event *event)
{
    unsigned type;
    attributes value;
    while (next_attribute(&list, &type, &value)) {
        if ((type == CTA_IP_V4_SRC || type == CTA_IP_V4_DST) && value.left >= 4) {
            event->version = 4;
            memcpy(type == CTA_IP_V4_SRC ? event->source : event->destination, value.at, 4);
        } else if ((type == CTA_IP_V6_SRC || type == CTA_IP_V6_DST) && value.left >= 16) {
            event->version = 6;
            memcpy(type == CTA_IP_V6_SRC ? event->source : event->destination, value.at, 16);
        }
    }
}

static void read_protocol(attributes list, reef_event *event)
{
    unsigned type;
    attributes value;
    while (next_attribute(&list, &type, &value)) {
        switch (type) {
        case CTA_PROTO_NUM:
            event->protocol = value.left >= 1 ? value.at[0] : 0;
            break;
        case CTA_PROTO_SRC_PORT:
            event->source_port = value.left >= 2 ? reef_be16(value.at) : 0;
            break;
        case CTA_PROTO_DST_PORT:
            event->destination_port = value.left >= 2 ? reef_be16(value.at) : 0;
            break;
        case CTA_PROTO_ICMP_TYPE:
        case CTA_PROTO_ICMPV6_TYPE:
            event->icmp_type = value.left >= 1 ? value.at[0] : 0;
            break;
        case CTA_PROTO_ICMP_CODE:
        case CTA_PROTO_ICMPV6_CODE:
            event->icmp_code = value.left >= 1 ? value.at[0] : 0;
            break;
        default:
            break;
        }
    }
}

void reef_conntrack_tuple(attributes list, reef_event *event)
{
    unsigned type;
    attributes value;
    while (next_attribute(&list, &type, &value)) {
        if (type == CTA_TUPLE_IP)
            read_addresses(value, event);
        else if (type == CTA_TUPLE_PROTO)
            read_protocol(value, event);
    }
}

static void read_counters(attributes list, reef_event *event, int direction)
{
    unsigned type;
    attributes value;
    while (next_attribute(&list, &type, &value)) {
        if (type == CTA_COUNTERS_PACKETS && value.left >= 8)
            event->packets[direction] = reef_be64(value.at);
        else if (type == CTA_COUNTERS_BYTES && value.left >= 8)
            event->bytes[direction] = reef_be64(value.at);
    }
}

static void read_times(attributes list, reef_event *event)
{
    unsigned type;
    attributes value;
    while (next_attribute(&list, &type, &value)) {
        if (type == CTA_TIMESTAMP_START && value.left >= 8)
            event->start_ns = reef_be64(value.at);
        else if (type == CTA_TIMESTAMP_STOP && value.left >= 8 && reef_be64(value.at) != 0)
            event->time_ns = reef_be64(value.at);
    }
}

static uint8_t tcp_state_of(unsigned kernel)
{
    static const uint8_t states[] = {
        [TCP_CONNTRACK_NONE] = REEF_TCP_NONE,
        [TCP_CONNTRACK_SYN_SENT] = REEF_TCP_SYN_SENT,
        [TCP_CONNTRACK_SYN_RECV] = REEF_TCP_SYN_RECV,
        [TCP_CONNTRACK_ESTABLISHED] = REEF_TCP_ESTABLISHED,
        [TCP_CONNTRACK_FIN_WAIT] = REEF_TCP_FIN_WAIT1,
        [TCP_CONNTRACK_CLOSE_WAIT] = REEF_TCP_CLOSE_WAIT,
        [TCP_CONNTRACK_LAST_ACK] = REEF_TCP_LAST_ACK,
        [TCP_CONNTRACK_TIME_WAIT] = REEF_TCP_TIME_WAIT,
        [TCP_CONNTRACK_CLOSE] = REEF_TCP_CLOSED,
        [TCP_CONNTRACK_SYN_SENT2] = REEF_TCP_SYN_SENT,
    };
    return kernel < sizeof states ? states[kernel] : REEF_TCP_NONE;
}

static void read_protoinfo(attributes list, reef_event *event)
{
    unsigned type;
    attributes value, inner;
    while (next_attribute(&list, &type, &value)) {
        if (type != CTA_PROTOINFO_TCP)
            continue;
        while (next_attribute(&value, &type, &inner))
            if (type == CTA_PROTOINFO_TCP_STATE && inner.left >= 1)
                event->tcp_state = tcp_state_of(inner.at[0]);
    }
}

static uint8_t state_of(uint32_t status, const reef_event *event)
{
    if (event->protocol == REEF_PROTO_TCP && event->tcp_state >= REEF_TCP_TIME_WAIT &&
        event->tcp_state != REEF_TCP_CLOSE_WAIT)
        return REEF_FLOW_CLOSED;
    return status & IPS_SEEN_REPLY ? REEF_FLOW_ESTABLISHED : REEF_FLOW_NEW;
}

/* Who answers is whom the connection reached: another one than was asked after destination NAT. */
static void note_reached(reef_event *event, const reef_event *reply)
{
    if (reply->version != event->version || (memcmp(reply->source, event->destination, 16) == 0 &&
                                             reply->source_port == event->destination_port))
        return;
    event->other = REEF_OTHER_REACHED;
    event->other_port = reply->source_port;
    memcpy(event->other_address, reply->source, 16);
}

static void read_connection(attributes list, reef_event *event)
{
    unsigned type;
    attributes value;
    uint32_t status = 0;
    reef_event reply = {0};
    while (next_attribute(&list, &type, &value)) {
        switch (type) {
        case CTA_TUPLE_ORIG:
            reef_conntrack_tuple(value, event);
            break;
        case CTA_TUPLE_REPLY:
            reef_conntrack_tuple(value, &reply);
            break;
        case CTA_COUNTERS_ORIG:
            read_counters(value, event, REEF_TO_SERVER);
            break;
        case CTA_COUNTERS_REPLY:
            read_counters(value, event, REEF_TO_CLIENT);
            break;
        case CTA_TIMESTAMP:
            read_times(value, event);
            break;
        case CTA_PROTOINFO:
            read_protoinfo(value, event);
            break;
        case CTA_STATUS:
            status = value.left >= 4 ? reef_be32(value.at) : 0;
            break;
        case CTA_MARK:
            event->mark = value.left >= 4 ? reef_be32(value.at) : 0;
            break;
        case CTA_ID:
            event->flow_id = value.left >= 4 ? reef_be32(value.at) : 0;
            break;
        default:
            break;
        }
    }
    event->state = state_of(status, event);
    note_reached(event, &reply);
}

/* Connections that no rule decided (mark 0) have nothing to answer to. */
static bool report_connection(attributes list, reef_events *events)
{
    reef_json text;
    reef_event *event = reef_events_begin(events, reef_wall_clock_ns(), &text);
    if (event == NULL)
        return false;
    event->kind = REEF_EVENT_FLOW;
    event->from_kernel = true;
    read_connection(list, event);
    if (event->start_ns == 0) /* net.netfilter.nf_conntrack_timestamp is off */
        event->start_ns = event->time_ns;
    if (event->mark == 0 || event->version == 0)
        return false;
    reef_events_commit(events, event, &text);
    return true;
}

static uint64_t read_datagram(attributes datagram, reef_events *events)
{
    attributes list;
    struct nlmsghdr header;
    uint64_t flows = 0;
    while (next_message(&datagram, &header, &list))
        if (header.nlmsg_type == (NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE))
            flows += report_connection(list, events);
    return flows;
}

int reef_conntrack_pull(reef_conntrack *conntrack, reef_worker *worker, uint64_t *flows)
{
    reef_events *events = reef_worker_events(worker);
    *flows = 0;
    while (!reef_events_half_full(events)) {
        long n = reef_netlink_receive(conntrack->fd, conntrack->buffer, sizeof conntrack->buffer);
        if (n == 0)
            break;
        if (n == -2)
            return REEF_SYSTEM;
        if (n == -1) {
            conntrack->overruns++;
            continue;
        }
        *flows += read_datagram((attributes){conntrack->buffer, (size_t)n}, events);
    }
    return REEF_OK;
}
