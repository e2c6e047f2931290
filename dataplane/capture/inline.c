/* The loop of an inline worker. It asks for nothing but packets: what other threads want waits in a letter box, which is looked
 * into once a batch and costs nothing while it is empty. */
#include "reef/inline.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "reef/lane.h"
#include "reef/limits.h"
#include "reef/pressure.h"
#include "reef/status.h"

enum { BATCH = 16, BATCH_BYTES = 1 << 18, IDLE_MS = 100, FIRST_MS = 1000 };

typedef enum wish_kind { NOTHING, RULES, SET_CHANGE, KEEP, COUNT, COSTS } wish_kind;

typedef struct set_change {
    const char *name;
    bool out;
    const uint8_t *values;
    size_t length;
} set_change;

typedef struct cost_wish {
    uint32_t *from;
    reef_rule_cost *out;
    uint32_t max, written;
} cost_wish;

struct reef_inline {
    reef_worker *worker;
    reef_lane *lane; /* while it runs */
    int fds[REEF_LANE_FDS];
    _Atomic bool stop;
    reef_pressure pressure;
    _Atomic unsigned pressed, most_pressed;
    /* The letter box: one wish at a time; its owner waits until it is fulfilled. */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    _Atomic int wish;
    bool running;
    const reef_rules *rules;
    const reef_reactions *reactions;
    set_change set;
    reef_filestore *store;
    struct reef_evidence *evidence;
    bool all;
    reef_counters counters;
    cost_wish costs;
    int status;
};

int reef_inline_new(reef_worker *worker, reef_inline **out)
{
    *out = NULL;
    reef_inline *line = calloc(1, sizeof *line);
    if (line == NULL)
        return REEF_NOMEM;
    line->worker = worker;
    pthread_mutex_init(&line->mutex, NULL);
    pthread_cond_init(&line->changed, NULL);
    *out = line;
    return REEF_OK;
}

void reef_inline_free(reef_inline *line)
{
    if (line == NULL)
        return;
    pthread_cond_destroy(&line->changed);
    pthread_mutex_destroy(&line->mutex);
    free(line);
}

void reef_inline_stop(reef_inline *line)
{
    atomic_store(&line->stop, true);
}

/* --- the letter box -------------------------------------------------------------------------------------- */

static void fulfil(reef_inline *line, wish_kind wish)
{
    line->status = REEF_OK;
    if (wish == RULES) {
        line->status = reef_worker_rules(line->worker, line->rules);
        if (line->status == REEF_OK)
            line->status = reef_worker_reactions(line->worker, line->reactions);
    } else if (wish == SET_CHANGE) {
        const set_change *set = &line->set;
        line->status = reef_worker_set_change(line->worker, set->name, set->out, set->values, set->length);
    } else if (wish == KEEP)
        line->status = reef_worker_keep(line->worker, line->store, line->all, line->evidence);
    else if (wish == COUNT)
        reef_worker_count(line->worker, &line->counters);
    else if (wish == COSTS)
        line->costs.written = reef_worker_rule_costs(line->worker, line->costs.from, line->costs.out, line->costs.max);
}

static void read_box(reef_inline *line)
{
    pthread_mutex_lock(&line->mutex);
    int wish = atomic_load(&line->wish);
    if (wish != NOTHING)
        fulfil(line, (wish_kind)wish);
    atomic_store(&line->wish, NOTHING);
    pthread_cond_broadcast(&line->changed);
    pthread_mutex_unlock(&line->mutex);
}

/* With the mutex held and the wish's arguments in place. Nobody looks into the box while nothing runs: then it is done here. */
static int put_in_box(reef_inline *line, wish_kind wish)
{
    if (!line->running)
        fulfil(line, wish);
    else {
        atomic_store(&line->wish, (int)wish);
        while (atomic_load(&line->wish) != NOTHING)
            pthread_cond_wait(&line->changed, &line->mutex);
    }
    return line->status;
}

int reef_inline_rules(reef_inline *line, const reef_rules *rules, const reef_reactions *reactions)
{
    pthread_mutex_lock(&line->mutex);
    line->rules = rules;
    line->reactions = reactions;
    int status = put_in_box(line, RULES);
    pthread_mutex_unlock(&line->mutex);
    return status;
}

int reef_inline_set_change(reef_inline *line, const char *name, bool out, const uint8_t *values, size_t length)
{
    pthread_mutex_lock(&line->mutex);
    line->set = (set_change){name, out, values, length};
    int status = put_in_box(line, SET_CHANGE);
    pthread_mutex_unlock(&line->mutex);
    return status;
}

int reef_inline_keep(reef_inline *line, reef_filestore *store, bool all, struct reef_evidence *evidence)
{
    pthread_mutex_lock(&line->mutex);
    line->store = store, line->all = all, line->evidence = evidence;
    int status = put_in_box(line, KEEP);
    pthread_mutex_unlock(&line->mutex);
    return status;
}

void reef_inline_count(reef_inline *line, reef_counters *counters)
{
    pthread_mutex_lock(&line->mutex);
    (void)put_in_box(line, COUNT);
    *counters = line->counters;
    pthread_mutex_unlock(&line->mutex);
}

uint32_t reef_inline_rule_costs(reef_inline *line, uint32_t *from, reef_rule_cost *out, uint32_t max)
{
    pthread_mutex_lock(&line->mutex);
    line->costs = (cost_wish){from, out, max, 0};
    (void)put_in_box(line, COSTS);
    uint32_t written = line->costs.written;
    pthread_mutex_unlock(&line->mutex);
    return written;
}

void reef_inline_pressure(reef_inline *line, unsigned *now, unsigned *most)
{
    *now = atomic_load(&line->pressed);
    *most = atomic_exchange(&line->most_pressed, *now);
}

static void set_running(reef_inline *line, bool running)
{
    pthread_mutex_lock(&line->mutex);
    int wish = atomic_load(&line->wish);
    if (!running && wish != NOTHING)
        fulfil(line, (wish_kind)wish);
    atomic_store(&line->wish, NOTHING);
    line->running = running;
    pthread_cond_broadcast(&line->changed);
    pthread_mutex_unlock(&line->mutex);
}

/* --- the lane -------------------------------------------------------------------------------------------- */

static int take_lane(reef_inline *line, int peer)
{
    char hello;
    struct iovec vector = {.iov_base = &hello, .iov_len = 1};
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof line->fds)];
    } control = {0};
    struct msghdr message = {
        .msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control.room};
    struct timeval patience = {.tv_sec = FIRST_MS / 1000};
    (void)setsockopt(peer, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ssize_t got = recvmsg(peer, &message, MSG_CMSG_CLOEXEC);
    if (got < 0)
        return REEF_SYSTEM;
    const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (got == 0 || header == NULL)
        return REEF_END;
    if (header->cmsg_type != SCM_RIGHTS || header->cmsg_len != CMSG_LEN(sizeof line->fds) || message.msg_flags & MSG_CTRUNC)
        return REEF_FORMAT;
    memcpy(line->fds, CMSG_DATA(header), sizeof line->fds);
    int status = reef_lane_join(line->fds, &line->lane);
    if (status != REEF_OK)
        for (int i = 0; i < REEF_LANE_FDS; i++)
            close(line->fds[i]);
    return status;
}

static void leave_lane(reef_inline *line)
{
    reef_lane_free(line->lane);
    line->lane = NULL;
    for (int i = 0; i < REEF_LANE_FDS; i++)
        close(line->fds[i]);
}

static uint64_t wall_clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t steady_clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* How full the lane is says whether there is time for all that comes. */
static void feel_pressure(reef_inline *line)
{
    unsigned before = line->pressure.level;
    unsigned now = reef_pressure_feel(&line->pressure, reef_lane_waiting(line->lane), REEF_LANE_PACKETS, steady_clock_ns());
    if (now == before)
        return;
    reef_worker_pressure(line->worker, now);
    atomic_store(&line->pressed, now);
    if (now > atomic_load(&line->most_pressed))
        atomic_store(&line->most_pressed, now);
}

/* Judgements are told as soon as they are there: after a few packets, or one large one. */
static void judge(reef_inline *line, const reef_frame *frames, size_t count)
{
    reef_judgement judgements[BATCH];
    for (size_t at = 0; at < count;) {
        size_t end = at;
        for (size_t bytes = 0; end < count && bytes < BATCH_BYTES; end++)
            bytes += frames[end].captured;
        reef_worker_judge(line->worker, frames + at, end - at, judgements);
        reef_lane_judge(line->lane, judgements, end - at);
        at = end;
    }
}

static int work(reef_inline *line, int peer)
{
    reef_frame frames[BATCH];
    while (!atomic_load_explicit(&line->stop, memory_order_relaxed)) {
        if (atomic_load_explicit(&line->wish, memory_order_relaxed) != NOTHING)
            read_box(line);
        size_t count = reef_lane_next(line->lane, frames, BATCH);
        feel_pressure(line);
        if (count > 0) {
            judge(line, frames, count);
            continue;
        }
        int status = reef_lane_sleep(line->lane, peer, IDLE_MS);
        if (status != REEF_OK)
            return status;
        reef_worker_time(line->worker, wall_clock_ns());
    }
    return REEF_OK;
}

int reef_inline_bridge(reef_inline *line, reef_bridge *bridge)
{
    int status = REEF_OK;
    set_running(line, true);
    while (status == REEF_OK && !atomic_load_explicit(&line->stop, memory_order_relaxed)) {
        if (atomic_load_explicit(&line->wish, memory_order_relaxed) != NOTHING)
            read_box(line);
        status = reef_bridge_turn(bridge, line->worker, IDLE_MS);
    }
    int error = errno;
    set_running(line, false);
    errno = error;
    return status;
}

int reef_inline_run(reef_inline *line, int peer)
{
    int status = take_lane(line, peer);
    if (status != REEF_OK)
        return status;
    line->pressure = (reef_pressure){0};
    reef_worker_pressure(line->worker, 0);
    atomic_store(&line->pressed, 0);
    set_running(line, true);
    status = work(line, peer);
    set_running(line, false);
    leave_lane(line);
    return status;
}
