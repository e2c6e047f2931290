/* Two packet sockets (packet(7)). Frames are received and sent many at a time, each with the header that says of a frame of many
 * segments how it is to be cut, and of one without checksum where it belongs (PACKET_VNET_HDR): so both go on as they came.
 *
 * No ring: blocks of TPACKET_V3 are handed over when they are full or by a timer of milliseconds, which frames that wait cannot
 * bear, and slots of the older rings would have to be 64 KiB each. */
#include "reef/bridge.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "reef/bytes.h"
#include "reef/status.h"

enum { SIDES = 2, HEADER = sizeof(struct virtio_net_hdr), ADDRESSES = 2 * ETH_ALEN, TAG = 4, PIECES = 4, SEND_BYTES = 16 << 20 };
enum { NO_PROTOCOL = 0xffff }; /* reserved (IEEE): a bind to protocol 0 would keep the one before */
enum { BEAT_MS = 20 }; /* who waits for signs of life is patient for several of them */

typedef struct side {
    int fd;
    uint32_t interface; /* 0: not bound */
} side;

/* A frame on its way out, in pieces: header, addresses, tag, rest; or all in one where there is no tag. */
typedef struct leaving {
    struct virtio_net_hdr header;
    uint8_t tag[TAG];
    struct iovec piece[PIECES];
} leaving;

struct reef_bridge {
    side side[SIDES];
    _Atomic uint32_t mark;
    _Atomic bool open;
    int keeper;      /* hears from us while we carry; -1: nobody does */
    uint64_t begun, beat; /* this turn, and the last sign of life; ms */
    uint8_t *slots; /* REEF_LANE_BATCH of REEF_LANE_SLOT bytes */
    leaving leaving[REEF_LANE_BATCH];
    _Atomic uint64_t passed, stopped, unseen, lost;
};

static void count(_Atomic uint64_t *counter, uint64_t more)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + more, memory_order_relaxed);
}

/* --- its life -------------------------------------------------------------------------------------------- */

static int set(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof value) == 0 ? REEF_OK : REEF_SYSTEM;
}

static int open_side(side *s)
{
    s->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->fd < 0 || set(s->fd, SOL_PACKET, PACKET_VNET_HDR, 1) != REEF_OK || set(s->fd, SOL_PACKET, PACKET_AUXDATA, 1) != REEF_OK ||
        set(s->fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1) != REEF_OK)
        return REEF_SYSTEM;
    /* Beyond the usual bounds where we may (CAP_NET_ADMIN). */
    if (set(s->fd, SOL_SOCKET, SO_RCVBUFFORCE, REEF_QUEUE_RECEIVE_BYTES) != REEF_OK)
        (void)set(s->fd, SOL_SOCKET, SO_RCVBUF, REEF_QUEUE_RECEIVE_BYTES);
    if (set(s->fd, SOL_SOCKET, SO_SNDBUFFORCE, SEND_BYTES) != REEF_OK)
        (void)set(s->fd, SOL_SOCKET, SO_SNDBUF, SEND_BYTES);
    return REEF_OK;
}

int reef_bridge_open(reef_bridge **out)
{
    *out = NULL;
    reef_bridge *bridge = calloc(1, sizeof *bridge);
    if (bridge == NULL)
        return REEF_NOMEM;
    bridge->side[0].fd = bridge->side[1].fd = bridge->keeper = -1;
    bridge->slots = malloc((size_t)REEF_LANE_BATCH * REEF_LANE_SLOT);
    if (bridge->slots == NULL || open_side(&bridge->side[0]) != REEF_OK || open_side(&bridge->side[1]) != REEF_OK) {
        int error = errno;
        reef_bridge_free(bridge);
        errno = error;
        return REEF_SYSTEM;
    }
    *out = bridge;
    return REEF_OK;
}

void reef_bridge_free(reef_bridge *bridge)
{
    if (bridge == NULL)
        return;
    for (int i = 0; i < SIDES; i++)
        if (bridge->side[i].fd >= 0)
            close(bridge->side[i].fd);
    free(bridge->slots);
    free(bridge);
}

static int watch_all(int fd, uint32_t interface, int option)
{
    struct packet_mreq all = {.mr_ifindex = (int)interface, .mr_type = PACKET_MR_PROMISC};
    return setsockopt(fd, SOL_PACKET, option, &all, sizeof all) == 0 ? REEF_OK : REEF_SYSTEM;
}

/* Nothing comes any more, and what waits is thrown away: the kernel carried it, or nobody should. */
static void silence(side *s)
{
    struct sockaddr_ll nothing = {.sll_family = AF_PACKET, .sll_protocol = htons(NO_PROTOCOL), .sll_ifindex = (int)s->interface};
    uint8_t beginning[HEADER]; /* less than the header is refused, and the frame stays */
    if (s->interface != 0) {
        (void)watch_all(s->fd, s->interface, PACKET_DROP_MEMBERSHIP); /* it may be gone */
        (void)bind(s->fd, (struct sockaddr *)&nothing, sizeof nothing);
    }
    s->interface = 0;
    while (recv(s->fd, beginning, sizeof beginning, MSG_DONTWAIT | MSG_TRUNC) >= 0 || errno == ENETDOWN)
        ;
}

static int bind_side(side *s, uint32_t interface)
{
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = (int)interface};
    silence(s);
    if (bind(s->fd, (struct sockaddr *)&address, sizeof address) != 0)
        return REEF_SYSTEM;
    s->interface = interface;
    return watch_all(s->fd, interface, PACKET_ADD_MEMBERSHIP);
}

void reef_bridge_mean(reef_bridge *bridge, uint32_t mark, bool open)
{
    bridge->mark = mark;
    bridge->open = open;
}

int reef_bridge_bind(reef_bridge *bridge, uint32_t one, uint32_t other, uint32_t mark, bool open, int keeper)
{
    if (one == 0 || other == 0 || one == other)
        return REEF_INVALID;
    reef_bridge_mean(bridge, mark, open);
    bridge->keeper = keeper;
    bridge->beat = 0;
    int status = bind_side(&bridge->side[0], one);
    return status == REEF_OK ? bind_side(&bridge->side[1], other) : status;
}

void reef_bridge_rest(reef_bridge *bridge)
{
    for (int i = 0; i < SIDES; i++)
        silence(&bridge->side[i]);
}

void reef_bridge_count(const reef_bridge *bridge, reef_bridge_counters *counters)
{
    *counters = (reef_bridge_counters){.passed = atomic_load(&bridge->passed),
                                       .stopped = atomic_load(&bridge->stopped),
                                       .unseen = atomic_load(&bridge->unseen),
                                       .lost = atomic_load(&bridge->lost)};
    for (int i = 0; i < SIDES; i++) {
        struct tpacket_stats statistics;
        socklen_t size = sizeof statistics;
        if (getsockopt(bridge->side[i].fd, SOL_PACKET, PACKET_STATISTICS, &statistics, &size) == 0)
            count(&((reef_bridge *)bridge)->lost, statistics.tp_drops); /* reading sets the kernel's count to zero */
    }
}

/* --- in -------------------------------------------------------------------------------------------------- */

typedef struct arrivals {
    struct mmsghdr message[REEF_LANE_BATCH];
    struct iovec vector[REEF_LANE_BATCH];
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
    } control[REEF_LANE_BATCH];
    reef_frame frame[REEF_LANE_BATCH];
    uint16_t protocol[REEF_LANE_BATCH], tci[REEF_LANE_BATCH]; /* the tag that the kernel took off; protocol 0: none */
} arrivals;

static uint64_t wall_clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t steady_clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

static void read_tag(arrivals *a, size_t i)
{
    a->protocol[i] = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&a->message[i].msg_hdr); c != NULL; c = CMSG_NXTHDR(&a->message[i].msg_hdr, c)) {
        if (c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA)
            continue;
        struct tpacket_auxdata about;
        memcpy(&about, CMSG_DATA(c), sizeof about);
        if (!(about.tp_status & TP_STATUS_VLAN_VALID))
            continue;
        a->frame[i].vlan = (uint16_t)((about.tp_vlan_tci & 0x0fff) | REEF_FRAME_HAS_VLAN);
        a->protocol[i] = about.tp_status & TP_STATUS_VLAN_TPID_VALID ? about.tp_vlan_tpid : ETH_P_8021Q;
        a->tci[i] = about.tp_vlan_tci; /* its priority goes on, too */
    }
}

static size_t receive(reef_bridge *bridge, const side *from, arrivals *a)
{
    for (size_t i = 0; i < REEF_LANE_BATCH; i++) {
        a->vector[i] = (struct iovec){.iov_base = bridge->slots + i * REEF_LANE_SLOT, .iov_len = REEF_LANE_SLOT};
        a->message[i].msg_hdr = (struct msghdr){.msg_iov = &a->vector[i],
                                                .msg_iovlen = 1,
                                                .msg_control = a->control[i].room,
                                                .msg_controllen = sizeof a->control[i].room};
    }
    int got = recvmmsg(from->fd, a->message, REEF_LANE_BATCH, MSG_DONTWAIT | MSG_TRUNC, NULL);
    if (got <= 0)
        return 0;
    uint64_t time = wall_clock_ns();
    for (int i = 0; i < got; i++) {
        uint32_t length = a->message[i].msg_len < HEADER ? 0 : a->message[i].msg_len - HEADER;
        uint32_t room = REEF_LANE_SLOT - HEADER;
        a->frame[i] = (reef_frame){.data = (const uint8_t *)a->vector[i].iov_base + HEADER,
                                   .captured = length < room ? length : room,
                                   .length = length,
                                   .time_ns = time,
                                   .interface = from->interface,
                                   .mark = bridge->mark,
                                   .link = REEF_LINK_ETHERNET,
                                   .way = REEF_WAY_IN};
        read_tag(a, (size_t)i);
    }
    return (size_t)got;
}

/* --- out ------------------------------------------------------------------------------------------------- */

/* With its tag put back in front of the type; what the header says about offsets moves by as much. */
static void tag(leaving *out, const uint8_t *slot, uint32_t length, uint16_t protocol, uint16_t tci)
{
    memcpy(&out->header, slot, HEADER);
    if (out->header.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
        out->header.csum_start = (uint16_t)(out->header.csum_start + TAG);
    if (out->header.hdr_len != 0)
        out->header.hdr_len = (uint16_t)(out->header.hdr_len + TAG);
    uint16_t words[2] = {htons(protocol), htons(tci)};
    memcpy(out->tag, words, TAG);
    out->piece[0] = (struct iovec){.iov_base = &out->header, .iov_len = HEADER};
    out->piece[1] = (struct iovec){.iov_base = (void *)(uintptr_t)(slot + HEADER), .iov_len = ADDRESSES};
    out->piece[2] = (struct iovec){.iov_base = out->tag, .iov_len = TAG};
    out->piece[3] = (struct iovec){.iov_base = (void *)(uintptr_t)(slot + HEADER + ADDRESSES), .iov_len = length - ADDRESSES};
}

static struct msghdr message_of(leaving *out, uint8_t *slot, uint32_t length, uint16_t protocol, uint16_t tci)
{
    bool tagged = protocol != 0 && length >= ADDRESSES;
    if (tagged)
        tag(out, slot, length, protocol, tci);
    else
        out->piece[0] = (struct iovec){.iov_base = slot, .iov_len = HEADER + length};
    return (struct msghdr){.msg_iov = out->piece, .msg_iovlen = tagged ? PIECES : 1};
}

/* What one frame cannot do (too long for that line) the next one may. False: the line is gone. */
static bool send_all(reef_bridge *bridge, const side *to, struct mmsghdr *messages, size_t number)
{
    for (size_t at = 0; at < number;) {
        int sent = sendmmsg(to->fd, messages + at, (unsigned)(number - at), MSG_DONTWAIT);
        if (sent > 0) {
            at += (size_t)sent;
            count(&bridge->passed, (uint64_t)sent);
            continue;
        }
        if (errno == EINTR)
            continue;
        count(&bridge->lost, 1);
        at++;
        if (errno == ENXIO || errno == ENODEV || errno == EBADF)
            return false;
    }
    return true;
}

static bool passes(reef_bridge *bridge, reef_judgement judgement)
{
    bool unseen = judgement.flags & REEF_JUDGED_UNSEEN;
    bool stopped = judgement.verdict == REEF_VERDICT_DROP || judgement.verdict == REEF_VERDICT_REJECT || (unseen && !bridge->open);
    count(&bridge->unseen, unseen);
    count(&bridge->stopped, stopped);
    return !stopped;
}

/* Held up for so long that our keeper may have given us up: then the kernel carries these frames, and they must not come twice.
 * Before that it has not: it hears our last sign of life no earlier than we gave it. */
static bool given_up(const reef_bridge *bridge)
{
    return bridge->keeper >= 0 && steady_clock_ms() - bridge->beat > REEF_BRIDGE_PATIENCE_MS;
}

static int carry(reef_bridge *bridge, reef_worker *worker, int from)
{
    arrivals a;
    struct mmsghdr messages[REEF_LANE_BATCH];
    reef_judgement judgements[REEF_LANE_BATCH];
    size_t got = receive(bridge, &bridge->side[from], &a), number = 0;
    reef_worker_judge(worker, a.frame, got, judgements);
    for (size_t i = 0; i < got; i++)
        if (passes(bridge, judgements[i]))
            messages[number++].msg_hdr = message_of(&bridge->leaving[i], a.vector[i].iov_base, a.frame[i].captured, a.protocol[i], a.tci[i]);
    if (given_up(bridge)) {
        count(&bridge->lost, number);
        return REEF_END;
    }
    return send_all(bridge, &bridge->side[!from], messages, number) ? REEF_OK : REEF_SYSTEM;
}

/* A sign of life. REEF_END: nobody waits for one any more. */
static int beat(reef_bridge *bridge)
{
    if (bridge->keeper < 0 || bridge->begun - bridge->beat < BEAT_MS)
        return REEF_OK;
    bridge->beat = bridge->begun;
    if (send(bridge->keeper, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL) == 1 || errno == EAGAIN || errno == EINTR)
        return REEF_OK;
    return REEF_END;
}

static int fault_of(const side *s)
{
    int error = 0;
    socklen_t size = sizeof error;
    (void)getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    errno = error;
    return REEF_SYSTEM;
}

int reef_bridge_turn(reef_bridge *bridge, reef_worker *worker, int milliseconds)
{
    struct pollfd watched[SIDES] = {{.fd = bridge->side[0].fd, .events = POLLIN}, {.fd = bridge->side[1].fd, .events = POLLIN}};
    bridge->begun = steady_clock_ms();
    int status = beat(bridge);
    if (status != REEF_OK)
        return status;
    int ready = poll(watched, SIDES, bridge->keeper >= 0 && milliseconds > BEAT_MS ? BEAT_MS : milliseconds);
    if (ready < 0)
        return errno == EINTR ? REEF_OK : REEF_SYSTEM;
    if (ready == 0)
        reef_worker_time(worker, wall_clock_ns());
    for (int i = 0; i < SIDES && status == REEF_OK; i++) {
        if (watched[i].revents & (POLLERR | POLLNVAL)) /* down, or gone: the socket says which */
            return fault_of(&bridge->side[i]);
        if (watched[i].revents & POLLIN)
            status = carry(bridge, worker, i);
    }
    return status;
}
