/* evidence: the ring keeps the newest frames whatever their sizes; files hold one conversation, whole and in order. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "reef/evidence.h"
#include "reef/limits.h"
#include "reef/status.h"

enum { PCAP_HEAD = 24, FRAME_HEAD = 16, RING = REEF_EVIDENCE_RING_MIN };

static char folder[] = "/tmp/reef-evidence-XXXXXX";
static uint8_t kept[1 << 20];

static void name_of(const uint8_t digest[32], char *name, size_t size)
{
    int at = snprintf(name, size, "%s/%02x/", folder, digest[0]);
    for (int i = 0; i < 32; i++)
        at += snprintf(name + at, size - (size_t)at, "%02x", digest[i]);
}

/* The bytes of a file in the store, which then goes. */
static size_t take(const uint8_t digest[32])
{
    char name[160];
    name_of(digest, name, sizeof name);
    FILE *file = fopen(name, "rb");
    CHECK(file != NULL);
    size_t size = fread(kept, 1, sizeof kept, file);
    fclose(file);
    unlink(name);
    return size;
}

static void frame(reef_evidence *evidence, uint64_t flow, unsigned number, uint32_t size)
{
    static uint8_t data[4096];
    for (uint32_t i = 0; i < size; i++)
        data[i] = (uint8_t)(number + i);
    const reef_frame one = {.data = data, .captured = size, .length = size, .time_ns = number * 1000000000ull, .link = REEF_LINK_ETHERNET};
    reef_evidence_frame(evidence, flow, &one);
}

/* Every frame of the file is one that was handed over, and they come in order. Returns how many. */
static unsigned check_file(size_t size, uint32_t first, uint32_t (*size_of)(unsigned))
{
    unsigned frames = 0;
    uint32_t number = first;
    for (size_t at = PCAP_HEAD; at < size; frames++) {
        uint32_t head[4];
        memcpy(head, kept + at, sizeof head);
        number = head[0];
        CHECK_EQUAL(head[2], size_of(number));
        CHECK_EQUAL(kept[at + FRAME_HEAD], (uint8_t)number);
        CHECK_EQUAL(kept[at + FRAME_HEAD + head[2] - 1], (uint8_t)(number + head[2] - 1));
        at += FRAME_HEAD + head[2];
    }
    return frames;
}

static uint32_t odd_size(unsigned number) { return 60 + number * 37 % 1400; }

static void test_ring(reef_filestore *store)
{
    reef_evidence *evidence;
    uint8_t digest[32];
    CHECK_EQUAL(reef_evidence_new(store, RING, 1 << 20, &evidence), REEF_OK);
    for (unsigned rounds = 1; rounds < 400; rounds += 7) {
        for (unsigned i = 1; i <= rounds; i++)
            frame(evidence, 1 + i % 2, i, odd_size(i));
        reef_evidence_alert(evidence, 1);
        frame(evidence, 1, rounds + 2, odd_size(rounds + 2));
        CHECK(reef_evidence_end(evidence, 1, digest));
        unsigned frames = check_file(take(digest), 1, odd_size);
        CHECK(frames >= 1 + (rounds / 2 < 25 ? rounds / 2 : 25)); /* the ring holds 50 frames of the largest size at least */
        CHECK(!reef_evidence_end(evidence, 1, digest));
    }
    reef_evidence_counters counters;
    reef_evidence_count(evidence, &counters);
    CHECK_EQUAL(counters.refused, 0);
    reef_evidence_free(evidence);
}

static uint32_t thousand(unsigned number) { (void)number; return 1000; }

static void test_bounds(reef_filestore *store)
{
    reef_evidence *evidence;
    uint8_t digest[32];
    CHECK_EQUAL(reef_evidence_new(store, 1, 1, &evidence), REEF_INVALID);
    CHECK_EQUAL(reef_evidence_new(store, RING, 5000, &evidence), REEF_OK);
    reef_evidence_alert(evidence, 9);
    for (unsigned i = 0; i < 20; i++)
        frame(evidence, 9, i, 1000);
    CHECK(reef_evidence_end(evidence, 9, digest));
    CHECK_EQUAL(check_file(take(digest), 0, thousand), 4);
    /* An alert without any packet leaves nothing behind. */
    reef_evidence_alert(evidence, 10);
    CHECK(!reef_evidence_end(evidence, 10, digest));
    /* Too many at once: the others are refused and counted. */
    for (unsigned i = 0; i < REEF_EVIDENCE_FLOWS_MAX + 3; i++)
        reef_evidence_alert(evidence, 100 + i);
    reef_evidence_counters counters;
    reef_evidence_count(evidence, &counters);
    CHECK_EQUAL(counters.refused, 3);
    reef_evidence_free(evidence);
}

static void test_tag(reef_filestore *store)
{
    reef_evidence *evidence;
    uint8_t digest[32], data[64] = {0};
    CHECK_EQUAL(reef_evidence_new(store, RING, 1 << 20, &evidence), REEF_OK);
    data[12] = 0x08;
    const reef_frame one = {.data = data, .captured = 64, .length = 64, .time_ns = 1, .link = REEF_LINK_ETHERNET, .vlan = REEF_FRAME_HAS_VLAN | 7};
    reef_evidence_alert(evidence, 1);
    reef_evidence_frame(evidence, 1, &one);
    CHECK(reef_evidence_end(evidence, 1, digest));
    CHECK_EQUAL(take(digest), PCAP_HEAD + FRAME_HEAD + 68);
    CHECK(memcmp(kept + PCAP_HEAD + FRAME_HEAD + 12, "\x81\x00\x00\x07\x08", 5) == 0);
    reef_evidence_free(evidence);
}

/* A store that is full takes no more, until some of it went. */
static void test_room(int directory)
{
    reef_filestore *store;
    static const uint8_t data[64] = {1};
    CHECK_EQUAL(reef_filestore_new(directory, 1, 63, &store), REEF_OK);
    CHECK(!reef_filestore_add(reef_filestore_begin(store), (reef_view){data, 64}));
    reef_filestore_freed(store, 1);
    reef_stored *file = reef_filestore_begin(store);
    CHECK(reef_filestore_add(file, (reef_view){data, 64}));
    reef_filestore_drop(file);
    reef_filestore_free(store);
}

int main(void)
{
    CHECK(mkdtemp(folder) != NULL);
    int directory = open(folder, O_RDONLY | O_DIRECTORY);
    reef_filestore *store;
    CHECK_EQUAL(reef_filestore_new(directory, 0, 1 << 30, &store), REEF_OK);
    test_ring(store);
    test_bounds(store);
    test_tag(store);
    test_room(directory);
    reef_filestore_free(store);
    close(directory);
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command) == 0 ? 0 : 1;
}
