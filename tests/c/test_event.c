/* event: the ring keeps order and text, counts what it loses, and works between two threads. */
#include <pthread.h>
#include <sched.h>

#include "check.h"
#include "reef/event.h"
#include "reef/status.h"

enum { RECORDS = 64 };

static bool write_one(reef_events *events, uint64_t number, unsigned text_bytes)
{
    reef_json text;
    reef_event *event = reef_events_begin(events, 1, &text);
    if (event == NULL)
        return false;
    event->kind = REEF_EVENT_TRANSACTION;
    event->packet = number;
    for (unsigned i = 0; i < text_bytes; i++)
        reef_json_raw(&text, &"0123456789"[(number + i) % 10], 1);
    reef_events_commit(events, event, &text);
    return true;
}

static void check_text(const reef_event *event, const char *text)
{
    for (unsigned i = 0; i < event->text_length; i++)
        CHECK(text[i] == "0123456789"[(event->packet + i) % 10]);
}

static void test_loss_is_said(void)
{
    reef_events *events;
    const char *text;
    CHECK_EQUAL(reef_events_new(RECORDS, 1 << 20, &events), REEF_OK);
    CHECK(reef_events_peek(events, &text) == NULL);
    for (uint64_t i = 0; i < RECORDS + 10; i++)
        CHECK_EQUAL(write_one(events, i, 5), i < RECORDS);
    CHECK_EQUAL(reef_events_lost(events), 10);
    CHECK(reef_events_half_full(events));
    for (uint64_t i = 0; i < RECORDS; i++) {
        const reef_event *event = reef_events_peek(events, &text);
        CHECK_EQUAL(event->packet, i);
        CHECK_EQUAL(event->text_length, 5);
        check_text(event, text);
        reef_events_done(events);
    }
    CHECK(reef_events_peek(events, &text) == NULL);
    CHECK(write_one(events, 1000, 0));
    const reef_event *said = reef_events_peek(events, &text);
    CHECK_EQUAL(said->kind, REEF_EVENT_LOST);
    CHECK_EQUAL(said->packets[0], 10);
    reef_events_done(events);
    CHECK_EQUAL(reef_events_peek(events, &text)->packet, 1000);
    reef_events_free(events);
}

/* Texts of any length; the text ring runs full before the records do. */
static void test_text_ring(void)
{
    reef_events *events;
    const char *text;
    uint64_t written = 0, read = 0;
    CHECK_EQUAL(reef_events_new(1024, 2 * REEF_EVENT_TEXT_MAX, &events), REEF_OK);
    for (int round = 0; round < 2000; round++) {
        unsigned size = (unsigned)(round * 7919) % REEF_EVENT_TEXT_MAX;
        while (!reef_events_have_room(events)) {
            const reef_event *event = reef_events_peek(events, &text);
            CHECK_EQUAL(event->packet, read++);
            check_text(event, text);
            reef_events_done(events);
        }
        CHECK(write_one(events, written++, size));
    }
    CHECK_EQUAL(reef_events_lost(events), 0);
    reef_events_free(events);
}

/* A ring that was read empty begins at the same place again, whatever was in it; one that was not goes on. */
static void test_begins_again(void)
{
    reef_events *events;
    const char *text, *first;
    uint64_t number = 0;
    CHECK_EQUAL(reef_events_new(RECORDS, 1 << 20, &events), REEF_OK);
    CHECK(write_one(events, number, 100));
    CHECK_EQUAL(reef_events_peek(events, &first)->packet, number++);
    reef_events_done(events);
    for (unsigned round = 0; round < 3 * RECORDS; round++) {
        unsigned count = 1 + round % (RECORDS - 1);
        for (unsigned i = 0; i < count; i++)
            CHECK(write_one(events, number + i, (round + i) % 97));
        CHECK_EQUAL(reef_events_half_full(events), count >= RECORDS / 2);
        for (unsigned i = 0; i < count; i++) {
            const reef_event *event = reef_events_peek(events, &text);
            CHECK_EQUAL(event->packet, number++);
            CHECK(i > 0 || text == first);
            check_text(event, text);
            reef_events_done(events);
        }
        CHECK(reef_events_peek(events, &text) == NULL);
    }
    CHECK_EQUAL(reef_events_lost(events), 0);
    reef_events_free(events);
}

static void test_reader_has_its_turn(void)
{
    reef_events *events;
    const char *text;
    CHECK_EQUAL(reef_events_new(4 * REEF_EVENTS_TURN, 1 << 20, &events), REEF_OK);
    for (uint64_t i = 0; i < REEF_EVENTS_TURN; i++) {
        CHECK(!reef_events_due(events));
        CHECK(write_one(events, i, 0));
    }
    CHECK(reef_events_due(events));
    while (reef_events_peek(events, &text) != NULL)
        reef_events_done(events);
    CHECK(!reef_events_due(events));
    for (uint64_t i = 0; i < REEF_EVENTS_TURN_BYTES / 16000; i++)
        CHECK(write_one(events, i, 16000));
    CHECK(!reef_events_due(events));
    CHECK(write_one(events, 0, 16000));
    CHECK(reef_events_due(events));
    reef_events_free(events);
}

enum { MANY = 200000 };

static void *writer(void *argument)
{
    reef_events *events = argument;
    for (uint64_t i = 0; i < MANY;) {
        if (reef_events_have_room(events))
            write_one(events, i, i % 97), i++;
        else
            sched_yield();
    }
    return NULL;
}

static void test_two_threads(void)
{
    reef_events *events;
    const char *text;
    pthread_t thread;
    CHECK_EQUAL(reef_events_new(RECORDS, 1 << 16, &events), REEF_OK);
    CHECK_EQUAL(pthread_create(&thread, NULL, writer, events), 0);
    for (uint64_t i = 0; i < MANY;) {
        const reef_event *event = reef_events_peek(events, &text);
        if (event == NULL) {
            sched_yield();
            continue;
        }
        CHECK_EQUAL(event->packet, i);
        CHECK_EQUAL(event->text_length, i % 97);
        check_text(event, text);
        reef_events_done(events);
        i++;
    }
    pthread_join(thread, NULL);
    CHECK_EQUAL(reef_events_lost(events), 0);
    reef_events_free(events);
}

int main(void)
{
    reef_events *none;
    CHECK_EQUAL(reef_events_new(1, 1 << 20, &none), REEF_INVALID);
    CHECK_EQUAL(reef_events_new(64, 100, &none), REEF_INVALID);
    test_loss_is_said();
    test_text_ring();
    test_begins_again();
    test_reader_has_its_turn();
    test_two_threads();
    return 0;
}
