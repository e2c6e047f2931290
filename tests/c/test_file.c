/* Capture files: both formats, both byte orders, every way to end too early. */
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "packets.h"
#include "reef/capture.h"
#include "reef/eve.h"
#include "reef/status.h"

/* Written in the byte order asked for. */
static bool swapped;

static void put16(bytes *b, unsigned v) { swapped ? add16(b, v) : (add8(b, v), add8(b, v >> 8)); }
static void put32(bytes *b, uint32_t v)
{
    if (swapped)
        add32(b, v);
    else
        add8(b, v), add8(b, v >> 8), add8(b, v >> 16), add8(b, v >> 24);
}

static void pcap_header(bytes *b, uint32_t magic, uint32_t link)
{
    b->length = 0;
    put32(b, magic), put16(b, 2), put16(b, 4), put32(b, 0), put32(b, 0), put32(b, 65535), put32(b, link);
}

static void pcap_record(bytes *b, uint32_t seconds, uint32_t fraction, uint32_t captured, uint32_t length)
{
    put32(b, seconds), put32(b, fraction), put32(b, captured), put32(b, length);
    for (uint32_t i = 0; i < captured; i++)
        add8(b, i);
}

static int frames_of(const bytes *b, reef_frame *frames, size_t max, size_t *count)
{
    reef_file *file;
    int status = reef_file_memory(b->data, b->length, &file);
    if (status != REEF_OK)
        return status;
    *count = 0;
    for (size_t got; (status = reef_file_next(file, frames + *count, max - *count, &got)) == REEF_OK;)
        *count += got;
    reef_file_free(file);
    return status;
}

static void test_pcap(void)
{
    bytes b;
    reef_frame frames[8];
    size_t count = 0;
    for (int order = 0; order < 2; order++) {
        swapped = order;
        pcap_header(&b, 0xa1b2c3d4, REEF_LINK_ETHERNET);
        pcap_record(&b, 10, 20, 6, 60);
        pcap_record(&b, 11, 0, 0, 0);
        CHECK_EQUAL(frames_of(&b, frames, 8, &count), REEF_END);
        CHECK_EQUAL(count, 2);
        CHECK_EQUAL(frames[0].time_ns, 10000020000ull);
        CHECK_EQUAL(frames[0].captured, 6);
        CHECK_EQUAL(frames[0].length, 60);
        CHECK_EQUAL(frames[0].link, REEF_LINK_ETHERNET);
        CHECK_EQUAL(frames[0].data[5], 5);
        uint32_t whole = b.length;
        for (b.length = 4; b.length < whole; b.length++) { /* cut anywhere: never a frame that is not whole */
            int status = frames_of(&b, frames, 8, &count);
            CHECK_EQUAL(status, b.length == 24 || b.length == 46 ? REEF_END : REEF_TRUNCATED);
        }
        pcap_header(&b, 0xa1b23c4d, REEF_LINK_RAW);
        pcap_record(&b, 10, 20, 6, 6);
        CHECK_EQUAL(frames_of(&b, frames, 8, &count), REEF_END);
        CHECK_EQUAL(frames[0].time_ns, 10000000020ull);
        pcap_header(&b, 0xa1b2c3d4, REEF_LINK_ETHERNET);
        put32(&b, 1), put32(&b, 1), put32(&b, REEF_FRAME_MAX + 1), put32(&b, 1);
        CHECK_EQUAL(frames_of(&b, frames, 8, &count), REEF_FORMAT);
    }
    swapped = false;
    pcap_header(&b, 0xa1b2c3d4, 105); /* IEEE 802.11 */
    CHECK_EQUAL(frames_of(&b, frames, 8, &count), REEF_UNSUPPORTED);
    b.length = 0;
    add_text(&b, "no capture at all");
    CHECK_EQUAL(frames_of(&b, frames, 8, &count), REEF_FORMAT);
    b.length = 0;
    CHECK_EQUAL(frames_of(&b, frames, 8, &count), REEF_FORMAT);
}

static void block(bytes *b, uint32_t type, const bytes *body)
{
    put32(b, type), put32(b, body->length + 12);
    add_bytes(b, body->data, body->length);
    put32(b, body->length + 12);
}

static void pcapng(bytes *b)
{
    bytes body = {.length = 0};
    b->length = 0;
    put32(&body, 0x1a2b3c4d), put16(&body, 1), put16(&body, 0), put32(&body, 0xffffffff), put32(&body, 0xffffffff);
    block(b, 0x0a0d0d0a, &body);
    body.length = 0; /* interface 0: microseconds */
    put16(&body, REEF_LINK_ETHERNET), put16(&body, 0), put32(&body, 4);
    block(b, 1, &body);
    body.length = 0; /* interface 1: nanoseconds, an hour behind */
    put16(&body, REEF_LINK_RAW), put16(&body, 0), put32(&body, 0);
    put16(&body, 9), put16(&body, 1), add8(&body, 9), add8(&body, 0), add16(&body, 0);
    put16(&body, 14), put16(&body, 8);
    if (swapped)
        put32(&body, 0), put32(&body, 3600);
    else
        put32(&body, 3600), put32(&body, 0);
    put16(&body, 0), put16(&body, 0);
    block(b, 1, &body);
    body.length = 0; /* a packet of interface 1 */
    put32(&body, 1), put32(&body, 0), put32(&body, 5), put32(&body, 3), put32(&body, 100), add_text(&body, "abc"), add8(&body, 0);
    block(b, 6, &body);
    body.length = 0; /* something unknown */
    put32(&body, 0);
    block(b, 0x0bad, &body);
    body.length = 0; /* an old packet block of interface 0 */
    put16(&body, 0), put16(&body, 0), put32(&body, 0), put32(&body, 7), put32(&body, 1), put32(&body, 1), add_text(&body, "x"), add8(&body, 0),
        add16(&body, 0);
    block(b, 2, &body);
    body.length = 0; /* a simple packet, cut at the interface's four bytes */
    put32(&body, 50), add_text(&body, "wxyz");
    block(b, 3, &body);
}

static void test_pcapng(void)
{
    bytes b;
    reef_frame frames[8];
    size_t count = 0;
    for (int order = 0; order < 2; order++) {
        swapped = order;
        pcapng(&b);
        CHECK_EQUAL(frames_of(&b, frames, 8, &count), REEF_END);
        CHECK_EQUAL(count, 3);
        CHECK_EQUAL(frames[0].link, REEF_LINK_RAW);
        CHECK_EQUAL(frames[0].interface, 1);
        CHECK_EQUAL(frames[0].time_ns, 3600000000005ull);
        CHECK_EQUAL(frames[0].captured, 3);
        CHECK_EQUAL(frames[0].length, 100);
        CHECK(memcmp(frames[0].data, "abc", 3) == 0);
        CHECK_EQUAL(frames[1].time_ns, 7000);
        CHECK_EQUAL(frames[2].captured, 4);
        CHECK_EQUAL(frames[2].length, 50);
        uint32_t whole = b.length;
        for (b.length = 12; b.length < whole; b.length++) {
            int status = frames_of(&b, frames, 8, &count);
            CHECK(status == REEF_TRUNCATED || status == REEF_END);
        }
    }
    /* Interfaces are numbered anew in each section. */
    swapped = false;
    pcapng(&b);
    bytes second = {.length = 0};
    bytes part = {.length = 0};
    put32(&part, 0x1a2b3c4d), put16(&part, 1), put16(&part, 0), put32(&part, 0xffffffff), put32(&part, 0xffffffff);
    block(&second, 0x0a0d0d0a, &part);
    part.length = 0;
    put16(&part, REEF_LINK_IPV6), put16(&part, 0), put32(&part, 0);
    block(&second, 1, &part);
    part.length = 0;
    put32(&part, 0), put32(&part, 0), put32(&part, 5), put32(&part, 0), put32(&part, 0);
    block(&second, 6, &part);
    add_bytes(&b, second.data, second.length);
    CHECK_EQUAL(frames_of(&b, frames, 8, &count), REEF_END);
    CHECK_EQUAL(count, 4);
    CHECK_EQUAL(frames[3].link, REEF_LINK_IPV6);

    /* A packet of an interface that was never described. */
    swapped = false;
    pcapng(&b);
    bytes body = {.length = 0};
    b.length = 28;
    put32(&body, 5), put32(&body, 0), put32(&body, 5), put32(&body, 0), put32(&body, 0);
    block(&b, 6, &body);
    CHECK_EQUAL(frames_of(&b, frames, 8, &count), REEF_FORMAT);
}

static void drop_events(reef_worker *worker)
{
    static char out[1 << 17];
    reef_names *names;
    size_t used, lines;
    CHECK_EQUAL(reef_names_new("", &names), REEF_OK);
    do
        CHECK_EQUAL(reef_eve_drain(reef_worker_events(worker), names, out, sizeof out, &used, &lines), REEF_OK);
    while (lines > 0);
    reef_names_free(names);
}

/* Every frame once and in order, however often the worker's ring is half full in between; what is cut off comes last. */
static void test_pull(void)
{
    enum { FRAMES = 1000 };
    swapped = false;
    for (uint32_t records = 64; records <= REEF_EVENTS_DEFAULT; records *= 8) {
        bytes b;
        pcap_header(&b, 0xa1b2c3d4, REEF_LINK_ETHERNET);
        uint8_t *all = malloc(b.length + FRAMES * (16 + 8));
        CHECK(all != NULL);
        size_t length = b.length;
        memcpy(all, b.data, b.length);
        for (uint32_t i = 0; i < FRAMES; i++) { /* too short for their link type: an anomaly each */
            b.length = 0;
            pcap_record(&b, 10 + i, 0, i % 9, i % 9);
            memcpy(all + length, b.data, b.length);
            length += b.length;
        }
        reef_options options;
        reef_config *config;
        reef_worker *worker;
        reef_file *file;
        reef_counters counters;
        reef_options_default(&options);
        options.events = records;
        CHECK_EQUAL(reef_config_new(&options, &config), REEF_OK);
        CHECK_EQUAL(reef_worker_new(config, &worker), REEF_OK);
        CHECK_EQUAL(reef_file_memory(all, length - 1, &file), REEF_OK);
        unsigned pulls = 0;
        int status;
        while ((status = reef_file_pull(file, worker)) == REEF_OK) {
            drop_events(worker);
            pulls++;
        }
        CHECK_EQUAL(status, REEF_TRUNCATED);
        CHECK(records == REEF_EVENTS_DEFAULT || pulls >= FRAMES / records);
        reef_worker_count(worker, &counters);
        CHECK_EQUAL(counters.packets, FRAMES - 1);
        CHECK_EQUAL(counters.clock_set_back, 0);
        CHECK_EQUAL(counters.events_lost, 0);
        reef_file_free(file);
        reef_worker_free(worker);
        reef_config_free(config);
        free(all);
    }
}

static void test_open(void)
{
    reef_file *file;
    CHECK_EQUAL(reef_file_open("/nonexistent/file.pcap", &file), REEF_SYSTEM);
    CHECK_EQUAL(reef_file_open("/", &file), REEF_FORMAT);
    char path[] = "/tmp/reef_test_file_XXXXXX";
    int fd = mkstemp(path);
    bytes b;
    swapped = false;
    pcap_header(&b, 0xa1b2c3d4, REEF_LINK_ETHERNET);
    pcap_record(&b, 1, 1, 9, 9);
    CHECK_EQUAL(write(fd, b.data, b.length), b.length);
    close(fd);
    CHECK_EQUAL(reef_file_open(path, &file), REEF_OK);
    reef_frame frame;
    size_t count;
    CHECK_EQUAL(reef_file_next(file, &frame, 1, &count), REEF_OK);
    uint64_t done, size;
    reef_file_progress(file, &done, &size);
    CHECK_EQUAL(done, b.length);
    CHECK_EQUAL(size, b.length);
    reef_file_free(file);
    unlink(path);
}

int main(void)
{
    test_pcap();
    test_pcapng();
    test_pull();
    test_open();
    return 0;
}
