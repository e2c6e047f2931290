/* The memory between the holder of a queue and its worker. Entries go round in the order of the packets; slots are taken from
 * a stack, so that few of them are used while few packets wait, and those stay in the cache. */
#include "reef/lane.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reef/status.h"

#define LANE_MAGIC 0x454e414c46454552ull /* "REEFLANE" */
enum { LANE_VERSION = 1, MASK = REEF_LANE_PACKETS - 1, PAGE = 4096 };
enum { PACKETS, JUDGEMENTS, WAKES_WORKER, WAKES_HOLDER };

_Static_assert((REEF_LANE_PACKETS & MASK) == 0, "entries go round by a mask");

typedef struct entry {
    reef_lane_packet packet;
    uint32_t slot;
} entry;

/* The holder writes, the worker reads. What each side writes often has a cache line of its own. */
typedef struct packets_memory {
    uint64_t magic;
    uint32_t version, entries, slot_bytes;
    _Alignas(64) _Atomic uint32_t posted;
    _Alignas(64) _Atomic uint32_t holder_sleeps;
    _Alignas(64) entry entry[REEF_LANE_PACKETS];
    _Alignas(PAGE) uint8_t slot[REEF_LANE_PACKETS][REEF_LANE_SLOT];
} packets_memory;

/* The worker writes, the holder reads and believes nothing. */
typedef struct judgements_memory {
    _Alignas(64) _Atomic uint32_t judged;
    _Alignas(64) _Atomic uint32_t worker_sleeps;
    _Alignas(64) reef_judgement judgement[REEF_LANE_PACKETS];
} judgements_memory;

struct reef_lane {
    packets_memory *packets;
    judgements_memory *judgements;
    int fd[REEF_LANE_FDS];
    bool holds;
    /* Counted from 0 and going round; entries are these by MASK. */
    uint32_t posted; /* the holder: beyond what is published; the worker: as far as it was seen */
    uint32_t given;  /* the worker: handed to its caller */
    uint32_t judged;
    /* The holder alone: which slots are free, the first `frees` of them; and which each entry has. */
    uint32_t frees;
    uint16_t free[REEF_LANE_PACKETS], slot_of[REEF_LANE_PACKETS];
};

void reef_lane_free(reef_lane *lane)
{
    if (lane == NULL)
        return;
    if (lane->packets != NULL)
        munmap(lane->packets, sizeof *lane->packets);
    if (lane->judgements != NULL)
        munmap(lane->judgements, sizeof *lane->judgements);
    for (int i = 0; i < REEF_LANE_FDS; i++)
        if (lane->holds && lane->fd[i] >= 0)
            close(lane->fd[i]);
    free(lane);
}

static int fail(reef_lane *lane, int status)
{
    int error = errno;
    reef_lane_free(lane);
    errno = error;
    return status;
}

static void *map(int fd, size_t size, int protection)
{
    void *memory = mmap(NULL, size, protection, MAP_SHARED, fd, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static void wake(int fd)
{
    uint64_t one = 1;
    ssize_t written = write(fd, &one, sizeof one);
    (void)written; /* full: it is awake */
}

static void drain(int fd)
{
    uint64_t count;
    ssize_t got = read(fd, &count, sizeof count);
    (void)got; /* empty: nobody woke us */
}

/* --- the holder ---------------------------------------------------------------------------------------- */

int reef_lane_new(reef_lane **out)
{
    *out = NULL;
    reef_lane *lane = calloc(1, sizeof *lane);
    if (lane == NULL)
        return REEF_NOMEM;
    lane->holds = true;
    lane->fd[PACKETS] = memfd_create("reef-packets", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    lane->fd[JUDGEMENTS] = memfd_create("reef-judgements", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    lane->fd[WAKES_WORKER] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    lane->fd[WAKES_HOLDER] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    for (int i = 0; i < REEF_LANE_FDS; i++)
        if (lane->fd[i] < 0)
            return fail(lane, REEF_SYSTEM);
    if (ftruncate(lane->fd[PACKETS], (off_t)sizeof *lane->packets) != 0 ||
        ftruncate(lane->fd[JUDGEMENTS], (off_t)sizeof *lane->judgements) != 0)
        return fail(lane, REEF_SYSTEM);
    lane->packets = map(lane->fd[PACKETS], sizeof *lane->packets, PROT_READ | PROT_WRITE);
    lane->judgements = map(lane->fd[JUDGEMENTS], sizeof *lane->judgements, PROT_READ | PROT_WRITE);
    if (lane->packets == NULL || lane->judgements == NULL)
        return fail(lane, REEF_SYSTEM);
    /* Neither side can take memory away from under the other; only this mapping writes packets from now on. */
    if (fcntl(lane->fd[PACKETS], F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) != 0 ||
        fcntl(lane->fd[JUDGEMENTS], F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        return fail(lane, REEF_SYSTEM);
    lane->packets->magic = LANE_MAGIC;
    lane->packets->version = LANE_VERSION;
    lane->packets->entries = REEF_LANE_PACKETS;
    lane->packets->slot_bytes = REEF_LANE_SLOT;
    reef_lane_clear(lane);
    *out = lane;
    return REEF_OK;
}

void reef_lane_fds(const reef_lane *lane, int fds[REEF_LANE_FDS])
{
    memcpy(fds, lane->fd, sizeof lane->fd);
}

void reef_lane_clear(reef_lane *lane)
{
    lane->posted = lane->judged = lane->given = 0;
    lane->frees = REEF_LANE_PACKETS;
    for (uint32_t i = 0; i < REEF_LANE_PACKETS; i++)
        lane->free[i] = (uint16_t)(REEF_LANE_PACKETS - 1 - i);
    atomic_store(&lane->packets->posted, 0);
    atomic_store(&lane->packets->holder_sleeps, 0);
    atomic_store(&lane->judgements->judged, 0);
    atomic_store(&lane->judgements->worker_sleeps, 0);
    drain(lane->fd[WAKES_WORKER]);
    drain(lane->fd[WAKES_HOLDER]);
}

size_t reef_lane_slots(reef_lane *lane, uint8_t **slots, size_t max)
{
    size_t count = lane->frees < max ? lane->frees : max;
    for (size_t i = 0; i < count; i++)
        slots[i] = lane->packets->slot[lane->free[lane->frees - 1 - i]];
    return count;
}

void reef_lane_post(reef_lane *lane, const reef_lane_packet *packet)
{
    uint32_t at = lane->posted & MASK;
    lane->slot_of[at] = lane->free[--lane->frees];
    lane->packets->entry[at] = (entry){*packet, lane->slot_of[at]};
    lane->posted++;
}

void reef_lane_publish(reef_lane *lane)
{
    atomic_store(&lane->packets->posted, lane->posted); /* then: whoever lies down after this sees it */
    if (atomic_load(&lane->judgements->worker_sleeps))
        wake(lane->fd[WAKES_WORKER]);
}

uint32_t reef_lane_pending(const reef_lane *lane)
{
    return lane->posted - lane->judged;
}

bool reef_lane_take(reef_lane *lane, reef_judgement *judgements, size_t max, size_t *count)
{
    uint32_t ready = atomic_load_explicit(&lane->judgements->judged, memory_order_acquire) - lane->judged;
    *count = 0;
    if (ready > reef_lane_pending(lane))
        return false;
    if (ready > max)
        ready = (uint32_t)max;
    for (uint32_t i = 0; i < ready; i++, lane->judged++) {
        uint32_t at = lane->judged & MASK;
        memcpy(&judgements[i], &lane->judgements->judgement[at], sizeof judgements[i]);
        lane->free[lane->frees++] = lane->slot_of[at];
    }
    *count = ready;
    return true;
}

bool reef_lane_before_sleep(reef_lane *lane)
{
    atomic_store(&lane->packets->holder_sleeps, 1);
    return atomic_load(&lane->judgements->judged) == lane->judged;
}

void reef_lane_after_sleep(reef_lane *lane)
{
    atomic_store(&lane->packets->holder_sleeps, 0);
    drain(lane->fd[WAKES_HOLDER]);
}

/* --- the worker ---------------------------------------------------------------------------------------- */

/* Its size is what we think, and nobody can change that any more. */
static bool is_sealed(int fd, size_t size)
{
    struct stat about;
    int seals = fcntl(fd, F_GET_SEALS);
    return seals >= 0 && (seals & F_SEAL_SHRINK) && fstat(fd, &about) == 0 && about.st_size == (off_t)size;
}

int reef_lane_join(const int fds[REEF_LANE_FDS], reef_lane **out)
{
    *out = NULL;
    if (!is_sealed(fds[PACKETS], sizeof(packets_memory)) || !is_sealed(fds[JUDGEMENTS], sizeof(judgements_memory)))
        return REEF_FORMAT;
    reef_lane *lane = calloc(1, sizeof *lane);
    if (lane == NULL)
        return REEF_NOMEM;
    memcpy(lane->fd, fds, sizeof lane->fd);
    lane->packets = map(fds[PACKETS], sizeof *lane->packets, PROT_READ);
    lane->judgements = map(fds[JUDGEMENTS], sizeof *lane->judgements, PROT_READ | PROT_WRITE);
    if (lane->packets == NULL || lane->judgements == NULL)
        return fail(lane, REEF_SYSTEM);
    if (lane->packets->magic != LANE_MAGIC || lane->packets->version != LANE_VERSION ||
        lane->packets->entries != REEF_LANE_PACKETS || lane->packets->slot_bytes != REEF_LANE_SLOT)
        return fail(lane, REEF_FORMAT);
    *out = lane;
    return REEF_OK;
}

static void frame_of(const reef_lane *lane, uint32_t number, reef_frame *frame)
{
    const entry *from = &lane->packets->entry[number & MASK];
    reef_lane_packet packet = from->packet;
    uint32_t slot = from->slot & MASK;
    if (packet.at > REEF_LANE_SLOT || packet.captured > REEF_LANE_SLOT - packet.at)
        packet.at = packet.captured = packet.length = 0;
    *frame = (reef_frame){
        .data = lane->packets->slot[slot] + packet.at,
        .captured = packet.captured,
        .length = packet.length > packet.captured ? packet.length : packet.captured,
        .time_ns = packet.time_ns,
        .interface = packet.in,
        .mark = packet.mark,
        .link = REEF_LINK_RAW,
        .way = packet.in != 0 ? REEF_WAY_IN : REEF_WAY_OUT,
    };
}

size_t reef_lane_next(reef_lane *lane, reef_frame *frames, size_t max)
{
    lane->posted = atomic_load_explicit(&lane->packets->posted, memory_order_acquire);
    uint32_t ready = lane->posted - lane->given, room = REEF_LANE_PACKETS - (lane->given - lane->judged);
    if (ready > room)
        ready = room;
    if (ready > max)
        ready = (uint32_t)max;
    for (uint32_t i = 0; i < ready; i++)
        frame_of(lane, lane->given++, &frames[i]);
    return ready;
}

uint32_t reef_lane_waiting(const reef_lane *lane)
{
    return atomic_load_explicit(&lane->packets->posted, memory_order_relaxed) - lane->given;
}

void reef_lane_judge(reef_lane *lane, const reef_judgement *judgements, size_t count)
{
    for (size_t i = 0; i < count; i++)
        lane->judgements->judgement[lane->judged++ & MASK] = judgements[i];
    atomic_store(&lane->judgements->judged, lane->judged);
    if (atomic_load(&lane->packets->holder_sleeps))
        wake(lane->fd[WAKES_HOLDER]);
}

int reef_lane_sleep(reef_lane *lane, int other, int milliseconds)
{
    struct pollfd watched[2] = {{.fd = lane->fd[WAKES_WORKER], .events = POLLIN}, {.fd = other, .events = POLLIN | POLLRDHUP}};
    atomic_store(&lane->judgements->worker_sleeps, 1);
    int woken = 0;
    if (atomic_load(&lane->packets->posted) == lane->given)
        woken = poll(watched, 2, milliseconds);
    atomic_store(&lane->judgements->worker_sleeps, 0);
    drain(lane->fd[WAKES_WORKER]);
    if (woken < 0 && errno != EINTR)
        return REEF_SYSTEM;
    return woken > 0 && watched[1].revents & (POLLRDHUP | POLLHUP | POLLERR) ? REEF_END : REEF_OK;
}
