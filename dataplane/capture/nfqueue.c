/* NFQUEUE by netlink (net/netfilter/nfnetlink_queue.c): packets one by one, verdicts many at once. A run of equal verdicts is one
 * message, and all messages that are due are one call. */
#include "reef/nfqueue.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netlink.h"
#include "reef/bytes.h"
#include "reef/status.h"

#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif

enum { COPY_BYTES = 0xffff, VERDICT_BYTES = 64, VERDICTS_MAX = 256 };

/* Verdicts of one queue that can be said by one message: all that wait up to `id`. */
typedef struct run {
    uint16_t queue;
    bool any;
    uint32_t id, mark;
} run;

struct reef_nfqueue {
    int fd;
    unsigned queues;
    run run[REEF_QUEUES_MAX];
    size_t used;
    uint8_t verdicts[VERDICTS_MAX * VERDICT_BYTES];
};

/* --- messages to the kernel ----------------------------------------------------------------------------- */

typedef struct request {
    struct nlmsghdr header;
    struct nfgenmsg message;
    uint8_t attributes[VERDICT_BYTES];
} request;

static request begin(uint16_t queue, uint16_t type, uint16_t flags)
{
    return (request){.header = {.nlmsg_len = sizeof(struct nlmsghdr) + sizeof(struct nfgenmsg),
                                .nlmsg_type = (uint16_t)(NFNL_SUBSYS_QUEUE << 8 | type),
                                .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags)},
                     .message = {.nfgen_family = 0, .version = NFNETLINK_V0, .res_id = htons(queue)}};
}

static void add(request *r, uint16_t type, const void *value, size_t size)
{
    struct nlattr header = {.nla_len = (uint16_t)(sizeof header + size), .nla_type = type};
    uint8_t *at = (uint8_t *)r + r->header.nlmsg_len;
    memcpy(at, &header, sizeof header);
    memcpy(at + sizeof header, value, size);
    r->header.nlmsg_len += (uint32_t)NLA_ALIGN(sizeof header + size);
}

/* A packet that came while the queue was set up: nobody looks at it. Only its head was read. */
static void refuse(reef_nfqueue *queues, uint8_t *message, size_t size)
{
    reef_queued queued;
    uint32_t length = (uint32_t)size;
    memcpy(message + offsetof(struct nlmsghdr, nlmsg_len), &length, sizeof length);
    if (!reef_nfqueue_read(message, size, &queued))
        return;
    reef_nfqueue_drop(queues, &queued);
    (void)reef_nfqueue_send(queues);
}

/* Send and wait for the answer, which netlink gives within the call; packets may come before it. */
static int ask(reef_nfqueue *queues, const request *r)
{
    uint8_t answer[512];
    if (send(queues->fd, r, r->header.nlmsg_len, 0) < 0)
        return REEF_SYSTEM;
    for (;;) {
        ssize_t n = recv(queues->fd, answer, sizeof answer, 0);
        struct nlmsghdr header;
        int error;
        if (n < (ssize_t)(sizeof header + sizeof error))
            return REEF_SYSTEM;
        memcpy(&header, answer, sizeof header);
        memcpy(&error, answer + sizeof header, sizeof error);
        if (header.nlmsg_type != NLMSG_ERROR) {
            refuse(queues, answer, (size_t)n);
            continue;
        }
        errno = -error;
        return error == 0 ? REEF_OK : REEF_SYSTEM;
    }
}

int reef_nfqueue_open(reef_nfqueue **out)
{
    *out = NULL;
    reef_nfqueue *queues = calloc(1, sizeof *queues);
    if (queues == NULL)
        return REEF_NOMEM;
    queues->fd = reef_netlink_open(0, REEF_QUEUE_RECEIVE_BYTES);
    if (queues->fd < 0) {
        int error = errno;
        reef_nfqueue_free(queues);
        errno = error;
        return REEF_SYSTEM;
    }
    /* What finds no room is the queue's affair, which counts it; the socket shall not stop over it. */
    int on = 1;
    (void)setsockopt(queues->fd, SOL_NETLINK, NETLINK_NO_ENOBUFS, &on, sizeof on);
    *out = queues;
    return REEF_OK;
}

void reef_nfqueue_free(reef_nfqueue *queues)
{
    if (queues == NULL)
        return;
    if (queues->fd >= 0)
        close(queues->fd);
    free(queues);
}

int reef_nfqueue_fd(const reef_nfqueue *queues)
{
    return queues->fd;
}

/* All in one message, so that no packet comes before the queue is what it shall be. */
int reef_nfqueue_bind(reef_nfqueue *queues, uint16_t queue, bool open)
{
    if (queues->queues == REEF_QUEUES_MAX)
        return REEF_FULL;
    request r = begin(queue, NFQNL_MSG_CONFIG, NLM_F_ACK);
    struct nfqnl_msg_config_cmd command = {.command = NFQNL_CFG_CMD_BIND};
    struct nfqnl_msg_config_params copy = {.copy_range = htonl(COPY_BYTES), .copy_mode = NFQNL_COPY_PACKET};
    uint32_t length = htonl(REEF_QUEUE_PACKETS), wanted = NFQA_CFG_F_GSO | (open ? NFQA_CFG_F_FAIL_OPEN : 0);
    uint32_t flags = htonl(wanted), mask = htonl(NFQA_CFG_F_GSO | NFQA_CFG_F_FAIL_OPEN);
    add(&r, NFQA_CFG_CMD, &command, sizeof command);
    add(&r, NFQA_CFG_PARAMS, &copy, sizeof copy);
    add(&r, NFQA_CFG_QUEUE_MAXLEN, &length, sizeof length);
    add(&r, NFQA_CFG_FLAGS, &flags, sizeof flags);
    add(&r, NFQA_CFG_MASK, &mask, sizeof mask);
    queues->run[queues->queues++].queue = queue;
    int status = ask(queues, &r);
    queues->queues -= status != REEF_OK;
    return status;
}

/* --- packets -------------------------------------------------------------------------------------------- */

size_t reef_nfqueue_receive(reef_nfqueue *queues, uint8_t *const *buffers, size_t max, uint32_t *sizes)
{
    struct mmsghdr messages[REEF_LANE_BATCH];
    struct iovec vectors[REEF_LANE_BATCH];
    struct sockaddr_nl from[REEF_LANE_BATCH] = {{0}};
    if (max > REEF_LANE_BATCH)
        max = REEF_LANE_BATCH;
    for (size_t i = 0; i < max; i++) {
        vectors[i] = (struct iovec){.iov_base = buffers[i], .iov_len = REEF_LANE_SLOT};
        messages[i].msg_hdr = (struct msghdr){
            .msg_name = &from[i], .msg_namelen = sizeof from[i], .msg_iov = &vectors[i], .msg_iovlen = 1};
    }
    int got = recvmmsg(queues->fd, messages, (unsigned)max, MSG_DONTWAIT, NULL);
    if (got <= 0)
        return 0;
    for (int i = 0; i < got; i++)
        sizes[i] = from[i].nl_pid == 0 ? messages[i].msg_len : 0; /* only the kernel is heard */
    return (size_t)got;
}

bool reef_nfqueue_read(const uint8_t *message, size_t size, reef_queued *queued)
{
    attributes datagram = {message, size}, list, value;
    struct nlmsghdr header;
    unsigned type;
    bool known = false;
    *queued = (reef_queued){0};
    if (!next_message(&datagram, &header, &list) || header.nlmsg_type != (NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_PACKET) ||
        header.nlmsg_len < sizeof header + sizeof(struct nfgenmsg))
        return false;
    queued->queue = (uint16_t)reef_be16(message + sizeof header + offsetof(struct nfgenmsg, res_id));
    while (next_attribute(&list, &type, &value)) {
        uint32_t word = value.left >= 4 ? reef_be32(value.at) : 0;
        switch (type) {
        case NFQA_PACKET_HDR:
            if (value.left < sizeof(struct nfqnl_msg_packet_hdr))
                return false;
            queued->id = word;
            queued->hook = value.at[offsetof(struct nfqnl_msg_packet_hdr, hook)];
            known = true;
            break;
        case NFQA_MARK: queued->mark = word; break;
        case NFQA_IFINDEX_INDEV: queued->in = word; break;
        case NFQA_IFINDEX_OUTDEV: queued->out = word; break;
        case NFQA_CAP_LEN: queued->length = word; break;
        case NFQA_PAYLOAD:
            queued->at = (uint32_t)(value.at - message);
            queued->captured = (uint32_t)value.left;
            break;
        default: break;
        }
    }
    if (queued->length < queued->captured)
        queued->length = queued->captured;
    return known;
}

/* --- verdicts ------------------------------------------------------------------------------------------- */

static void put(reef_nfqueue *queues, const request *r)
{
    memcpy(queues->verdicts + queues->used, r, r->header.nlmsg_len);
    queues->used += NLMSG_ALIGN((size_t)r->header.nlmsg_len);
}

static request verdict_of(uint16_t queue, uint16_t type, uint32_t id, uint32_t verdict)
{
    request r = begin(queue, type, 0);
    struct nfqnl_msg_verdict_hdr header = {.verdict = htonl(verdict), .id = htonl(id)};
    add(&r, NFQA_VERDICT_HDR, &header, sizeof header);
    return r;
}

/* The message of a run is written behind those that are due already, and so comes after them. */
static void say(reef_nfqueue *queues, run *said)
{
    request r = verdict_of(said->queue, NFQNL_MSG_VERDICT_BATCH, said->id, NF_ACCEPT);
    uint32_t mark = htonl(said->mark);
    add(&r, NFQA_MARK, &mark, sizeof mark);
    put(queues, &r);
    said->any = false;
}

static run *run_of(reef_nfqueue *queues, uint16_t queue)
{
    for (unsigned i = 0; i < queues->queues; i++)
        if (queues->run[i].queue == queue)
            return &queues->run[i];
    return NULL;
}

static bool has_room(const reef_nfqueue *queues)
{
    return queues->used + (REEF_QUEUES_MAX + 2) * VERDICT_BYTES <= sizeof queues->verdicts;
}

void reef_nfqueue_accept(reef_nfqueue *queues, const reef_queued *queued, uint32_t mark)
{
    run *of = run_of(queues, queued->queue);
    if (of == NULL)
        return;
    if (of->any && of->mark != mark)
        say(queues, of);
    *of = (run){of->queue, true, queued->id, mark};
    if (!has_room(queues))
        (void)reef_nfqueue_send(queues);
}

/* At once: a later message of its queue would take it along. Those before it may wait on. */
void reef_nfqueue_drop(reef_nfqueue *queues, const reef_queued *queued)
{
    request r = verdict_of(queued->queue, NFQNL_MSG_VERDICT, queued->id, NF_DROP);
    if (run_of(queues, queued->queue) == NULL)
        return;
    put(queues, &r);
    if (!has_room(queues))
        (void)reef_nfqueue_send(queues);
}

int reef_nfqueue_send(reef_nfqueue *queues)
{
    for (unsigned i = 0; i < queues->queues; i++)
        if (queues->run[i].any)
            say(queues, &queues->run[i]);
    if (queues->used == 0)
        return REEF_OK;
    size_t size = queues->used;
    queues->used = 0;
    ssize_t sent;
    do
        sent = send(queues->fd, queues->verdicts, size, 0);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? REEF_SYSTEM : REEF_OK;
}
