#include "reef/event.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "reef/status.h"

/* The writer's and the reader's marks lie on cache lines of their own. A ring that the reader has emptied is begun at its first
 * bytes again: they are in the cache, the rest of it is for when the reader falls behind. What is skipped counts as read. */
struct reef_events {
    reef_event *record;
    char *text;
    uint32_t mask;
    uint32_t text_size;

    _Alignas(64) _Atomic uint64_t head; /* records written */
    uint64_t text_head;                 /* the writer's own: bytes of text used, ever */
    uint64_t text_floor;                /* likewise: where it was begun again */
    uint64_t jump_from, jump_to;        /* the last records that were skipped; read behind `head` */
    uint64_t unsaid;                    /* lost since the last REEF_EVENT_LOST */
    _Atomic uint64_t lost;

    _Alignas(64) _Atomic uint64_t tail; /* records read */
    _Atomic uint64_t text_tail;
};

static uint32_t power_of_two(uint32_t n)
{
    uint32_t p = 1;
    while (p < n)
        p *= 2;
    return p;
}

int reef_events_new(uint32_t records, uint32_t text_bytes, reef_events **out)
{
    *out = NULL;
    if (records < 2 || records > REEF_EVENTS_MAX || text_bytes < 2 * REEF_EVENT_TEXT_MAX || text_bytes > 1u << 30)
        return REEF_INVALID;
    reef_events *events = aligned_alloc(64, (sizeof *events + 63) / 64 * 64);
    if (events == NULL)
        return REEF_NOMEM;
    memset(events, 0, sizeof *events);
    records = power_of_two(records);
    events->mask = records - 1;
    events->text_size = power_of_two(text_bytes);
    events->record = calloc(records, sizeof *events->record);
    events->text = malloc(events->text_size);
    if (events->record == NULL || events->text == NULL) {
        reef_events_free(events);
        return REEF_NOMEM;
    }
    *out = events;
    return REEF_OK;
}

void reef_events_free(reef_events *events)
{
    if (events == NULL)
        return;
    free(events->record);
    free(events->text);
    free(events);
}

/* Where a text of the largest size can start without wrapping; the gap before it is skipped. */
static uint64_t text_start(const reef_events *events)
{
    uint64_t at = events->text_head;
    uint64_t left = events->text_size - at % events->text_size;
    return left < REEF_EVENT_TEXT_MAX ? at + left : at;
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t records_waiting(const reef_events *events)
{
    uint64_t head = atomic_load_explicit(&events->head, memory_order_relaxed);
    return head - later(atomic_load_explicit(&events->tail, memory_order_acquire), events->jump_to);
}

static uint64_t text_tail(const reef_events *events)
{
    return later(atomic_load_explicit(&events->text_tail, memory_order_acquire), events->text_floor);
}

bool reef_events_have_room(reef_events *events)
{
    return records_waiting(events) <= events->mask &&
           text_start(events) + REEF_EVENT_TEXT_MAX - text_tail(events) <= events->text_size;
}

bool reef_events_half_full(reef_events *events)
{
    return records_waiting(events) * 2 > events->mask ||
           (events->text_head - text_tail(events)) * 2 > events->text_size;
}

bool reef_events_due(reef_events *events)
{
    return records_waiting(events) >= REEF_EVENTS_TURN || events->text_head - text_tail(events) >= REEF_EVENTS_TURN_BYTES ||
           reef_events_half_full(events);
}

/* Everything is read: begin again at the first record and the first byte of text. */
static void begin_again(reef_events *events)
{
    uint64_t head = atomic_load_explicit(&events->head, memory_order_relaxed);
    if (records_waiting(events) > 0 || (head & events->mask) == 0)
        return;
    events->jump_from = head;
    events->jump_to = (head | events->mask) + 1;
    events->text_head = (events->text_head + events->text_size - 1) & ~(uint64_t)(events->text_size - 1);
    events->text_floor = events->text_head;
    atomic_store_explicit(&events->head, events->jump_to, memory_order_release);
}

size_t reef_events_batch(const reef_events *events)
{
    size_t by_records = (events->mask + 1u) / 2 / REEF_PACKET_EVENTS_MAX;
    size_t by_text = events->text_size / 2 / REEF_EVENT_TEXT_MAX; /* a packet brings one transaction at most */
    size_t batch = by_records < by_text ? by_records : by_text;
    return batch < 1 ? 1 : batch > REEF_BATCH_MAX ? REEF_BATCH_MAX : batch;
}

static reef_event *next_record(reef_events *events)
{
    reef_event *event = &events->record[atomic_load_explicit(&events->head, memory_order_relaxed) & events->mask];
    memset(event, 0, sizeof *event);
    return event;
}

reef_event *reef_events_begin(reef_events *events, uint64_t time_ns, reef_json *text)
{
    begin_again(events);
    if (events->unsaid > 0 && reef_events_have_room(events)) {
        reef_event *event = next_record(events);
        event->kind = REEF_EVENT_LOST;
        event->time_ns = time_ns;
        event->packets[0] = events->unsaid;
        reef_json_init(text, events->text, 0);
        reef_events_commit(events, event, text);
        events->unsaid = 0;
    }
    if (!reef_events_have_room(events)) {
        events->unsaid++;
        atomic_fetch_add_explicit(&events->lost, 1, memory_order_relaxed);
        return NULL;
    }
    reef_event *event = next_record(events);
    event->time_ns = time_ns;
    reef_json_init(text, events->text + text_start(events) % events->text_size, REEF_EVENT_TEXT_MAX);
    return event;
}

void reef_events_commit(reef_events *events, reef_event *event, const reef_json *text)
{
    if (text->full) { /* half a text is none */
        events->unsaid++;
        atomic_fetch_add_explicit(&events->lost, 1, memory_order_relaxed);
        return;
    }
    uint64_t at = text_start(events);
    event->text_length = (uint32_t)reef_json_length(text);
    event->text_at = (uint32_t)(at % events->text_size);
    if (event->text_length > 0)
        events->text_head = at + event->text_length;
    event->text_end = events->text_head;
    atomic_fetch_add_explicit(&events->head, 1, memory_order_release);
}

/* Where the reader stands while the ring is not empty: the writer changes its jump only when it is. */
static uint64_t reading_at(const reef_events *events)
{
    uint64_t tail = atomic_load_explicit(&events->tail, memory_order_relaxed);
    return tail == events->jump_from && events->jump_to > tail ? events->jump_to : tail;
}

const reef_event *reef_events_peek(reef_events *events, const char **text)
{
    uint64_t head = atomic_load_explicit(&events->head, memory_order_acquire);
    if (head == atomic_load_explicit(&events->tail, memory_order_relaxed))
        return NULL;
    uint64_t at = reading_at(events);
    if (at == head)
        return NULL;
    const reef_event *event = &events->record[at & events->mask];
    *text = events->text + event->text_at;
    return event;
}

void reef_events_done(reef_events *events)
{
    uint64_t at = reading_at(events);
    uint64_t text_end = events->record[at & events->mask].text_end;
    atomic_store_explicit(&events->text_tail, text_end, memory_order_release);
    atomic_store_explicit(&events->tail, at + 1, memory_order_release);
}

uint64_t reef_events_lost(const reef_events *events)
{
    return atomic_load_explicit(&events->lost, memory_order_relaxed);
}
