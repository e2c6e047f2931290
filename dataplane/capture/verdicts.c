/* One lane's thread in the process that holds the queues. Three states: no worker, a worker that answers, a worker that is silent.
 * In the first and the last packets are decided at once by the queue they came by; they go through memory of the holder's own. */
#include "reef/verdicts.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "reef/status.h"

enum { NOBODY = -1, MASK = REEF_LANE_PACKETS - 1 };

/* A packet that lies in the lane. */
typedef struct waiting {
    reef_queued queued;
    bool decided; /* without the worker, which has not come to it yet */
} waiting;

struct reef_verdicts {
    reef_nfqueue *queues;
    reef_lane *lane;
    int lane_fds[REEF_LANE_FDS];
    int kick;                /* eventfd: look at what other threads want */
    _Atomic bool stop;
    _Atomic int coming;      /* a worker's socket that is not taken yet, or NOBODY */
    _Atomic bool taken;      /* a worker is there or coming */
    int peer;                /* the worker's socket, or NOBODY */
    bool silent;
    uint64_t progress_ns;    /* when the worker answered last, or had nothing to answer */
    uint32_t first, last;    /* of `waiting`, as numbers that go round: oldest, and behind the newest */
    waiting waiting[REEF_LANE_PACKETS];
    uint64_t open_queues;    /* bits by number, of those below 64 */
    uint8_t *own;            /* REEF_LANE_BATCH slots for what does not go into the lane */
    _Atomic uint64_t packets, accepted, dropped, rejected, handed_back, unseen, alone_accepted, alone_dropped, silences, workers, broken,
        verdicts_failed;
    _Atomic bool is_attached, is_silent;
};

static void count(_Atomic uint64_t *counter, uint64_t more)
{
    /* One writer: no need for a locked addition. */
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + more, memory_order_relaxed);
}

static uint64_t now_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* --- its life ------------------------------------------------------------------------------------------- */

static int bind_all(reef_verdicts *v, const uint16_t *queues, size_t number, bool open)
{
    for (size_t i = 0; i < number; i++) {
        if (queues[i] >= 64)
            return REEF_INVALID;
        int status = reef_nfqueue_bind(v->queues, queues[i], open);
        if (status != REEF_OK)
            return status;
        v->open_queues |= open ? 1ull << queues[i] : 0;
    }
    return REEF_OK;
}

int reef_verdicts_new(const uint16_t *closed, size_t closed_count, const uint16_t *open, size_t open_count, reef_verdicts **out)
{
    *out = NULL;
    reef_verdicts *v = calloc(1, sizeof *v);
    if (v == NULL)
        return REEF_NOMEM;
    v->peer = NOBODY;
    atomic_store(&v->coming, NOBODY);
    v->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    v->own = malloc((size_t)REEF_LANE_BATCH * REEF_LANE_SLOT);
    int status = v->kick < 0 ? REEF_SYSTEM : v->own == NULL ? REEF_NOMEM : reef_lane_new(&v->lane);
    if (status == REEF_OK)
        status = reef_nfqueue_open(&v->queues);
    if (status == REEF_OK)
        status = bind_all(v, closed, closed_count, false);
    if (status == REEF_OK)
        status = bind_all(v, open, open_count, true);
    if (status != REEF_OK) {
        int error = errno;
        reef_verdicts_free(v);
        errno = error;
        return status;
    }
    reef_lane_fds(v->lane, v->lane_fds);
    *out = v;
    return REEF_OK;
}

void reef_verdicts_free(reef_verdicts *v)
{
    if (v == NULL)
        return;
    reef_nfqueue_free(v->queues);
    reef_lane_free(v->lane);
    int coming = atomic_load(&v->coming);
    if (coming != NOBODY)
        close(coming);
    if (v->peer != NOBODY)
        close(v->peer);
    if (v->kick >= 0)
        close(v->kick);
    free(v->own);
    free(v);
}

static void kick(reef_verdicts *v)
{
    uint64_t one = 1;
    ssize_t written = write(v->kick, &one, sizeof one);
    (void)written;
}

void reef_verdicts_stop(reef_verdicts *v)
{
    atomic_store(&v->stop, true);
    kick(v);
}

int reef_verdicts_attach(reef_verdicts *v, int peer)
{
    bool free_place = false;
    if (!atomic_compare_exchange_strong(&v->taken, &free_place, true))
        return REEF_FULL;
    atomic_store(&v->coming, peer);
    kick(v);
    return REEF_OK;
}

void reef_verdicts_count(const reef_verdicts *v, reef_verdicts_counters *c)
{
    *c = (reef_verdicts_counters){
        .packets = atomic_load(&v->packets),
        .accepted = atomic_load(&v->accepted),
        .dropped = atomic_load(&v->dropped),
        .rejected = atomic_load(&v->rejected),
        .handed_back = atomic_load(&v->handed_back),
        .unseen = atomic_load(&v->unseen),
        .alone_accepted = atomic_load(&v->alone_accepted),
        .alone_dropped = atomic_load(&v->alone_dropped),
        .silences = atomic_load(&v->silences),
        .workers = atomic_load(&v->workers),
        .broken = atomic_load(&v->broken),
        .verdicts_failed = atomic_load(&v->verdicts_failed),
        .attached = atomic_load(&v->is_attached),
        .silent = atomic_load(&v->is_silent),
    };
}

/* --- verdicts ------------------------------------------------------------------------------------------- */

static void decide_alone(reef_verdicts *v, const reef_queued *queued)
{
    if (v->open_queues >> queued->queue & 1) {
        reef_nfqueue_accept(v->queues, queued, REEF_MARK_GOES_ON);
        count(&v->alone_accepted, 1);
    } else {
        reef_nfqueue_drop(v->queues, queued);
        count(&v->alone_dropped, 1);
    }
}

static void decide(reef_verdicts *v, const reef_queued *queued, reef_judgement judgement)
{
    bool open = v->open_queues >> queued->queue & 1, done = judgement.flags & REEF_JUDGED_DONE;
    bool unseen = judgement.flags & REEF_JUDGED_UNSEEN;
    count(&v->unseen, unseen);
    if (judgement.verdict == REEF_VERDICT_REJECT) {
        reef_nfqueue_accept(v->queues, queued, REEF_MARK_REJECT);
        count(&v->rejected, 1);
    } else if (judgement.verdict == REEF_VERDICT_DROP || (unseen && !open)) {
        reef_nfqueue_drop(v->queues, queued);
        count(&v->dropped, 1);
    } else {
        reef_nfqueue_accept(v->queues, queued, done ? REEF_MARK_DONE : REEF_MARK_GOES_ON);
        count(&v->accepted, 1);
        count(&v->handed_back, done);
    }
}

static void send_verdicts(reef_verdicts *v)
{
    count(&v->verdicts_failed, reef_nfqueue_send(v->queues) != REEF_OK);
}

/* Those in the lane that nobody has decided. */
static void decide_waiting(reef_verdicts *v)
{
    for (uint32_t i = v->first; i != v->last; i++) {
        waiting *of = &v->waiting[i & MASK];
        if (!of->decided)
            decide_alone(v, &of->queued);
        of->decided = true;
    }
    send_verdicts(v);
}

/* --- the worker: it comes, is silent, speaks again, goes ------------------------------------------------ */

static bool greet(const reef_verdicts *v, int peer)
{
    char hello = 'L';
    struct iovec vector = {.iov_base = &hello, .iov_len = 1};
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof v->lane_fds)];
    } control = {0};
    struct msghdr message = {
        .msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control.room};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof v->lane_fds);
    memcpy(CMSG_DATA(header), v->lane_fds, sizeof v->lane_fds);
    return sendmsg(peer, &message, MSG_DONTWAIT | MSG_NOSIGNAL) == 1;
}

static void set_silent(reef_verdicts *v, bool silent)
{
    v->silent = silent;
    atomic_store(&v->is_silent, silent);
}

static void part(reef_verdicts *v)
{
    decide_waiting(v);
    v->first = v->last;
    reef_lane_clear(v->lane);
    close(v->peer);
    v->peer = NOBODY;
    set_silent(v, false);
    atomic_store(&v->is_attached, false);
    atomic_store(&v->taken, false);
}

static void meet(reef_verdicts *v, int peer)
{
    v->peer = peer;
    v->progress_ns = now_ns(CLOCK_MONOTONIC);
    if (!greet(v, peer)) {
        part(v);
        return;
    }
    count(&v->workers, 1);
    atomic_store(&v->is_attached, true);
}

/* What it has judged since. */
static bool collect(reef_verdicts *v)
{
    reef_judgement judgements[REEF_LANE_PACKETS];
    size_t number;
    if (!reef_lane_take(v->lane, judgements, REEF_LANE_PACKETS, &number)) {
        count(&v->broken, 1);
        part(v);
        return true;
    }
    for (size_t i = 0; i < number; i++) {
        const waiting *of = &v->waiting[v->first++ & MASK];
        if (!of->decided)
            decide(v, &of->queued, judgements[i]);
    }
    if (number > 0) {
        v->progress_ns = now_ns(CLOCK_MONOTONIC);
        send_verdicts(v);
    }
    if (v->silent && v->first == v->last)
        set_silent(v, false); /* it has come to the end of what was decided without it */
    return number > 0;
}

/* Milliseconds that may be slept; -1: until something happens. */
static int watch(reef_verdicts *v)
{
    if (v->peer == NOBODY || v->silent || v->first == v->last)
        return -1;
    uint64_t waited_ms = (now_ns(CLOCK_MONOTONIC) - v->progress_ns) / 1000000u;
    if (waited_ms < REEF_LANE_SILENCE_MS)
        return (int)(REEF_LANE_SILENCE_MS - waited_ms);
    set_silent(v, true);
    count(&v->silences, 1);
    decide_waiting(v);
    return -1;
}

/* --- packets -------------------------------------------------------------------------------------------- */

static bool receive_alone(reef_verdicts *v)
{
    uint8_t *slots[REEF_LANE_BATCH];
    uint32_t sizes[REEF_LANE_BATCH];
    for (size_t i = 0; i < REEF_LANE_BATCH; i++)
        slots[i] = v->own + i * REEF_LANE_SLOT;
    size_t got = reef_nfqueue_receive(v->queues, slots, REEF_LANE_BATCH, sizes);
    for (size_t i = 0; i < got; i++) {
        reef_queued queued;
        if (!reef_nfqueue_read(slots[i], sizes[i], &queued))
            continue;
        count(&v->packets, 1);
        decide_alone(v, &queued);
    }
    send_verdicts(v);
    return got > 0;
}

/* Into the lane, where they are received. A slot of which nothing comes is posted as an empty packet: order is all. */
static bool receive(reef_verdicts *v)
{
    uint8_t *slots[REEF_LANE_BATCH];
    uint32_t sizes[REEF_LANE_BATCH];
    size_t room = reef_lane_slots(v->lane, slots, REEF_LANE_BATCH);
    size_t got = room > 0 ? reef_nfqueue_receive(v->queues, slots, room, sizes) : 0;
    if (got == 0)
        return false;
    if (v->first == v->last)
        v->progress_ns = now_ns(CLOCK_MONOTONIC);
    uint64_t time = now_ns(CLOCK_REALTIME);
    for (size_t i = 0; i < got; i++) {
        waiting *of = &v->waiting[v->last++ & MASK];
        of->decided = !reef_nfqueue_read(slots[i], sizes[i], &of->queued);
        const reef_queued *queued = &of->queued;
        reef_lane_packet packet = {.time_ns = time,
                                   .at = queued->at,
                                   .captured = queued->captured,
                                   .length = queued->length,
                                   .mark = queued->mark,
                                   .in = queued->in,
                                   .out = queued->out};
        count(&v->packets, !of->decided);
        reef_lane_post(v->lane, &packet);
    }
    reef_lane_publish(v->lane);
    return true;
}

static void sleep_until(reef_verdicts *v, int milliseconds)
{
    bool full = v->peer != NOBODY && !v->silent && reef_lane_pending(v->lane) == REEF_LANE_PACKETS;
    struct pollfd watched[4] = {
        {.fd = full ? -1 : reef_nfqueue_fd(v->queues), .events = POLLIN}, /* the kernel keeps what the lane has no room for */
        {.fd = v->lane_fds[REEF_LANE_FDS - 1], .events = POLLIN},
        {.fd = v->kick, .events = POLLIN},
        {.fd = v->peer, .events = POLLIN | POLLRDHUP},
    };
    if (reef_lane_before_sleep(v->lane))
        (void)poll(watched, 4, milliseconds);
    reef_lane_after_sleep(v->lane);
    if (watched[2].revents & POLLIN) {
        uint64_t number;
        ssize_t got = read(v->kick, &number, sizeof number);
        (void)got;
    }
    if (v->peer != NOBODY && watched[3].revents != 0)
        part(v); /* it went, or says what it has no reason to say */
}

int reef_verdicts_run(reef_verdicts *v)
{
    while (!atomic_load(&v->stop)) {
        int coming = atomic_load(&v->coming);
        if (coming != NOBODY) {
            atomic_store(&v->coming, NOBODY);
            meet(v, coming);
        }
        bool worked = v->peer == NOBODY || v->silent ? receive_alone(v) : receive(v);
        if (v->peer != NOBODY)
            worked |= collect(v);
        int milliseconds = watch(v);
        if (!worked)
            sleep_until(v, milliseconds);
    }
    return REEF_OK;
}
