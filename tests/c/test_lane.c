/* lane: packets one way, judgements the other, and a worker that lies. */
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "reef/lane.h"
#include "reef/status.h"

typedef struct both {
    reef_lane *holder, *worker;
} both;

static both open_lane(void)
{
    both b;
    int fds[REEF_LANE_FDS];
    CHECK_EQUAL(reef_lane_new(&b.holder), REEF_OK);
    reef_lane_fds(b.holder, fds);
    CHECK_EQUAL(reef_lane_join(fds, &b.worker), REEF_OK);
    return b;
}

static void close_lane(both *b)
{
    reef_lane_free(b->worker);
    reef_lane_free(b->holder);
}

/* `count` packets, each with its number in it. */
static void post(reef_lane *holder, unsigned first, size_t count)
{
    uint8_t *slots[REEF_LANE_PACKETS];
    CHECK_EQUAL(reef_lane_slots(holder, slots, count), count);
    for (size_t i = 0; i < count; i++) {
        unsigned number = first + (unsigned)i;
        memcpy(slots[i] + 100, &number, sizeof number);
        reef_lane_packet packet = {.time_ns = number, .at = 100, .captured = sizeof number, .length = sizeof number, .mark = ~number, .in = 7};
        reef_lane_post(holder, &packet);
    }
    reef_lane_publish(holder);
}

static void expect(const reef_frame *frame, unsigned number)
{
    unsigned read;
    CHECK_EQUAL(frame->captured, sizeof read);
    memcpy(&read, frame->data, sizeof read);
    CHECK_EQUAL(read, number);
    CHECK_EQUAL(frame->time_ns, number);
    CHECK_EQUAL(frame->mark, ~number);
    CHECK_EQUAL(frame->interface, 7);
    CHECK_EQUAL(frame->link, REEF_LINK_RAW);
}

static reef_judgement judgement_of(unsigned number)
{
    return (reef_judgement){.verdict = number % 4, .flags = number % 3};
}

static void test_packets_and_judgements_keep_their_order(void)
{
    both b = open_lane();
    unsigned posted = 0, seen = 0, judged = 0;
    for (unsigned turn = 0; turn < 1000; turn++) {
        size_t more = posted - judged > REEF_LANE_PACKETS / 2 ? 0 : turn % 23;
        post(b.holder, posted, more);
        posted += (unsigned)more;
        reef_frame frames[32];
        reef_judgement judgements[32], back[32];
        size_t count = reef_lane_next(b.worker, frames, 1 + turn % 32), taken;
        for (size_t i = 0; i < count; i++, seen++) {
            expect(&frames[i], seen);
            judgements[i] = judgement_of(seen);
        }
        reef_lane_judge(b.worker, judgements, count);
        CHECK(reef_lane_take(b.holder, back, 32, &taken));
        CHECK_EQUAL(taken, count);
        for (size_t i = 0; i < taken; i++, judged++)
            CHECK(memcmp(&back[i], &(reef_judgement){.verdict = judged % 4, .flags = judged % 3}, sizeof back[i]) == 0);
        CHECK_EQUAL(reef_lane_pending(b.holder), posted - judged);
    }
    CHECK(judged > 5000);
    close_lane(&b);
}

static void test_a_full_lane_takes_no_more_until_something_is_judged(void)
{
    both b = open_lane();
    uint8_t *slots[REEF_LANE_PACKETS];
    post(b.holder, 0, REEF_LANE_PACKETS);
    CHECK_EQUAL(reef_lane_slots(b.holder, slots, 1), 0);
    reef_frame frames[8];
    reef_judgement judgements[8] = {{0}};
    size_t taken;
    CHECK_EQUAL(reef_lane_next(b.worker, frames, 8), 8);
    CHECK_EQUAL(reef_lane_slots(b.holder, slots, 1), 0); /* read, and not judged */
    reef_lane_judge(b.worker, judgements, 3);
    CHECK(reef_lane_take(b.holder, judgements, 8, &taken));
    CHECK_EQUAL(taken, 3);
    CHECK_EQUAL(reef_lane_slots(b.holder, slots, 8), 3);
    for (unsigned i = 3; i < 8; i++)
        expect(&frames[i], i); /* they stay as they are */
    close_lane(&b);
}

/* More judgements than packets: the holder takes none of them, whatever the number is. */
static void test_a_worker_that_judges_what_it_never_got_is_found_out(void)
{
    for (unsigned more = 1; more < 3000; more += 97) {
        both b = open_lane();
        reef_judgement judgements[REEF_LANE_PACKETS] = {{0}};
        size_t taken;
        post(b.holder, 0, 5);
        for (unsigned left = 5 + more; left > 0;) {
            unsigned now = left < REEF_LANE_PACKETS ? left : REEF_LANE_PACKETS;
            reef_lane_judge(b.worker, judgements, now);
            left -= now;
        }
        CHECK(!reef_lane_take(b.holder, judgements, REEF_LANE_PACKETS, &taken));
        CHECK_EQUAL(taken, 0);
        reef_lane_clear(b.holder);
        CHECK_EQUAL(reef_lane_pending(b.holder), 0);
        CHECK(reef_lane_take(b.holder, judgements, REEF_LANE_PACKETS, &taken));
        CHECK_EQUAL(taken, 0);
        close_lane(&b);
    }
}

static void test_the_worker_cannot_write_packets_nor_change_the_size(void)
{
    int fds[REEF_LANE_FDS];
    reef_lane *holder;
    CHECK_EQUAL(reef_lane_new(&holder), REEF_OK);
    reef_lane_fds(holder, fds);
    CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fds[0], 0) == MAP_FAILED);
    char byte = 0;
    CHECK(pwrite(fds[0], &byte, 1, 0) < 0);
    CHECK(ftruncate(fds[0], 0) != 0);
    CHECK(ftruncate(fds[1], 0) != 0);
    reef_lane_free(holder);
}

static void test_what_is_not_a_lane_is_not_joined(void)
{
    int fds[REEF_LANE_FDS], good[REEF_LANE_FDS];
    reef_lane *holder, *worker;
    CHECK_EQUAL(reef_lane_new(&holder), REEF_OK);
    reef_lane_fds(holder, good);
    memcpy(fds, good, sizeof fds);
    fds[0] = fds[1] = memfd_create("small", 0);
    CHECK_EQUAL(reef_lane_join(fds, &worker), REEF_FORMAT);
    close(fds[0]);
    memcpy(fds, good, sizeof fds);
    fds[0] = good[1], fds[1] = good[0];
    CHECK_EQUAL(reef_lane_join(fds, &worker), REEF_FORMAT);
    reef_lane_free(holder);
}

static void test_who_sleeps_is_woken(void)
{
    both b = open_lane();
    int other[2];
    CHECK_EQUAL(socketpair(AF_UNIX, SOCK_STREAM, 0, other), 0);
    CHECK(reef_lane_before_sleep(b.holder));
    reef_lane_after_sleep(b.holder);
    post(b.holder, 0, 1);
    CHECK_EQUAL(reef_lane_sleep(b.worker, other[0], 60000), REEF_OK); /* at once: there is something */
    reef_frame frame;
    reef_judgement judgement = {0};
    CHECK_EQUAL(reef_lane_next(b.worker, &frame, 1), 1);
    reef_lane_judge(b.worker, &judgement, 1);
    CHECK(!reef_lane_before_sleep(b.holder));
    reef_lane_after_sleep(b.holder);
    CHECK_EQUAL(reef_lane_sleep(b.worker, other[0], 1), REEF_OK);
    close(other[1]);
    CHECK_EQUAL(reef_lane_sleep(b.worker, other[0], 60000), REEF_END);
    close(other[0]);
    close_lane(&b);
}

int main(void)
{
    test_packets_and_judgements_keep_their_order();
    test_a_full_lane_takes_no_more_until_something_is_judged();
    test_a_worker_that_judges_what_it_never_got_is_found_out();
    test_the_worker_cannot_write_packets_nor_change_the_size();
    test_what_is_not_a_lane_is_not_joined();
    test_who_sleeps_is_woken();
    return 0;
}
