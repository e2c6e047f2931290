/* The little of netlink that both netlink captures need: attributes read within bounds, and messages. */
#ifndef REEF_NETLINK_H
#define REEF_NETLINK_H

#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "reef/event.h"

typedef struct attributes {
    const uint8_t *at;
    size_t left;
} attributes;

/* The next attribute; false at the end, and where the rest is malformed. */
static inline bool next_attribute(attributes *list, unsigned *type, attributes *value)
{
    struct nlattr header;
    if (list->left < sizeof header)
        return false;
    memcpy(&header, list->at, sizeof header);
    if (header.nla_len < sizeof header || header.nla_len > list->left)
        return false;
    *type = header.nla_type & NLA_TYPE_MASK;
    *value = (attributes){list->at + sizeof header, header.nla_len - sizeof header};
    size_t step = NLA_ALIGN((size_t)header.nla_len);
    if (step > list->left)
        step = list->left;
    list->at += step;
    list->left -= step;
    return true;
}

/* The next message of a datagram and the attributes after its nfgenmsg; false at the end. */
static inline bool next_message(attributes *datagram, struct nlmsghdr *header, attributes *list)
{
    if (datagram->left < sizeof *header)
        return false;
    memcpy(header, datagram->at, sizeof *header);
    if (header->nlmsg_len < sizeof *header || header->nlmsg_len > datagram->left)
        return false;
    size_t fixed = sizeof *header + sizeof(struct nfgenmsg);
    *list = header->nlmsg_len > fixed ? (attributes){datagram->at + fixed, header->nlmsg_len - fixed}
                                      : (attributes){datagram->at, 0};
    size_t step = NLMSG_ALIGN((size_t)header->nlmsg_len);
    if (step > datagram->left)
        step = datagram->left;
    datagram->at += step;
    datagram->left -= step;
    return true;
}

/* A netfilter netlink socket with a receive buffer of `bytes`; -1 and errno on failure. */
int reef_netlink_open(uint32_t groups, int bytes);
/* One datagram without waiting: its length, 0 when there is none, -1 when the socket overflowed since the
 * last call, -2 on another failure (errno). */
long reef_netlink_receive(int fd, uint8_t *buffer, size_t size);
uint64_t reef_wall_clock_ns(void);

/* The addresses and ports of one direction of a connection (CTA_TUPLE_ORIG, CTA_TUPLE_REPLY). */
void reef_conntrack_tuple(attributes list, reef_event *event);

#endif
