/* Measures the XDP gate with a million prefixes, beside the kernel's trie and a drop without looking.
 *
 *   bench_gate PINS PREFIXES FRAMES ROUNDS [SENDER-NAMESPACE SENDER-LINK RECEIVER-NAMESPACE RECEIVER-LINK [FILE]]
 *   bench_gate flood PINS SECONDS SENDER-NAMESPACE SENDER-LINK
 *
 * Each line of output is one figure: what, of which version, hit or miss, and frames a second (or seconds). With FILE the
 * prefixes of IPv4 are written there, one a line, and when a line has come from standard input, banned sources are sent to
 * whatever stands at the receiver then. `flood` sends SYNs of ever other sources for so long. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "bench_gate.h"
#include "gate.h"
#include "reef/status.h"

enum { FRAME = 64, BATCH = 64 };
#define SEED 0x1234567890abcdefull

struct bench {
    reef_gate *gate;
    struct bench_address *addresses, *hits4, *hits6;
    volatile struct bench_state *state;
    uint32_t prefixes, frames, rounds;
    uint64_t random;
    int sender, receiver; /* namespaces; -1 without */
    uint32_t sends, receives;
};

static void fail(const char *what)
{
    fprintf(stderr, "bench_gate: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t next_random(struct bench *bench)
{
    uint64_t x = bench->random;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return bench->random = x;
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int map_fd(const struct bench *bench, const char *name)
{
    return bpf_object__find_map_fd_by_name(bench->gate->object, name);
}

static int program_fd(const struct bench *bench, const char *name)
{
    return bpf_program__fd(bpf_object__find_program_by_name(bench->gate->object, name));
}

static void *mapped(const struct bench *bench, const char *name, size_t length)
{
    void *at = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, map_fd(bench, name), 0);
    if (at == MAP_FAILED)
        fail(name);
    return at;
}

/* --- what is banned --------------------------------------------------------------------------------- */

/* Hosts for the most part, as lists have them, some small networks and some /24. */
static unsigned length4(uint64_t random)
{
    unsigned of_ten = (unsigned)(random % 10);
    return of_ten == 0 ? 24 : of_ten == 1 ? 25 + (unsigned)(random / 16 % 7) : 32;
}

static unsigned length6(uint64_t random)
{
    static const unsigned lengths[10] = {44, 48, 48, 56, 56, 64, 64, 64, 128, 128};
    return lengths[random % 10];
}

static struct reef_prefix prefix4(struct bench *bench, struct bench_address *inside)
{
    uint64_t random = next_random(bench);
    unsigned length = length4(random >> 40);
    uint32_t address = (uint32_t)random, network = address & ~0u << (32 - length);
    struct reef_prefix prefix = {.version = 4, .length = (uint8_t)length};
    for (int i = 0; i < 4; i++)
        prefix.address[i] = (uint8_t)(network >> (24 - 8 * i));
    inside->words[0] = __builtin_bswap32(address);
    return prefix;
}

static struct reef_prefix prefix6(struct bench *bench, struct bench_address *inside)
{
    uint64_t random = next_random(bench);
    struct reef_prefix prefix = {.version = 6, .length = (uint8_t)length6(random >> 40)};
    /* One of 65,536 providers. */
    inside->words[0] = __builtin_bswap32(0x20000000u | (uint32_t)((random & 0xffff) * 7919 & 0x1fffffff));
    for (int i = 1; i < 4; i++)
        inside->words[i] = (uint32_t)next_random(bench);
    memcpy(prefix.address, inside->words, 16);
    for (unsigned bit = prefix.length; bit < 128; bit++)
        prefix.address[bit / 8] &= (uint8_t)~(0x80 >> bit % 8);
    return prefix;
}

static void fill_trie(struct bench *bench, const char *name, const struct reef_prefix *prefixes)
{
    int fd = map_fd(bench, name);
    uint8_t yes = 1;
    for (uint32_t i = 0; i < bench->prefixes; i++) {
        struct reef_gate_allow6 key = {.length = prefixes[i].length};
        memcpy(key.address, prefixes[i].address, 16);
        if (bpf_map_update_elem(fd, &key, &yes, BPF_ANY) != 0)
            fail("the trie");
    }
}

static void replace(struct bench *bench, const struct reef_prefix *prefixes, uint32_t list, const char *version)
{
    struct reef_banlist_report report = {0};
    reef_banlist *entries;
    double begun = seconds();
    if (reef_banlist_new(&entries) != REEF_OK)
        fail("no memory");
    for (uint32_t i = 0; i < bench->prefixes; i++)
        if (reef_banlist_add(entries, &prefixes[i]) != REEF_OK)
            fail("a prefix is refused");
    reef_banlist_finish(entries, &report);
    int status = reef_bans_replace(bench->gate->bans, list, entries);
    if (status != REEF_OK)
        fail(status == REEF_FULL ? "the table is full" : "the list is refused");
    printf("replace %s all %.6f\n", version, seconds() - begun);
}

static void single(struct bench *bench)
{
    double worst = 0;
    for (int i = 0; i < 1000; i++) {
        struct bench_address inside;
        struct reef_prefix prefix = prefix4(bench, &inside);
        double begun = seconds();
        if (reef_bans_add(bench->gate->bans, 3, &prefix) == REEF_OK)
            (void)reef_bans_remove(bench->gate->bans, 3, &prefix);
        double taken = seconds() - begun;
        worst = taken > worst ? taken : worst;
    }
    printf("single 4 worst %.6f\n", worst);
}

static void ban(struct bench *bench)
{
    struct reef_prefix *prefixes = calloc(bench->prefixes, sizeof *prefixes);
    bench->hits4 = calloc(bench->prefixes, sizeof *bench->hits4);
    bench->hits6 = calloc(bench->prefixes, sizeof *bench->hits6);
    if (prefixes == NULL || bench->hits4 == NULL || bench->hits6 == NULL)
        fail("no memory");
    for (uint32_t i = 0; i < bench->prefixes; i++)
        prefixes[i] = prefix4(bench, &bench->hits4[i]);
    fill_trie(bench, "trie4", prefixes);
    replace(bench, prefixes, 1, "4");
    replace(bench, prefixes, 1, "4");
    for (uint32_t i = 0; i < bench->prefixes; i++)
        prefixes[i] = prefix6(bench, &bench->hits6[i]);
    fill_trie(bench, "trie6", prefixes);
    replace(bench, prefixes, 2, "6");
    free(prefixes);
    printf("memory all all %llu\n", (unsigned long long)reef_gate_memory(bench->gate));
    single(bench);
}

/* --- frames ----------------------------------------------------------------------------------------- */

static void choose(struct bench *bench, int version, bool hit)
{
    for (uint32_t i = 0; i < BENCH_ADDRESSES; i++) {
        struct bench_address *to = &bench->addresses[i];
        struct bench_address *from = version == 4 ? bench->hits4 : bench->hits6, ignored;
        if (hit)
            *to = from[next_random(bench) % bench->prefixes];
        else if (version == 4)
            to->words[0] = (uint32_t)next_random(bench);
        else
            (void)prefix6(bench, hit ? &ignored : to);
    }
}

/* A datagram; its checksum is nobody's business here. */
static void write_frame(uint8_t frame[FRAME], int version)
{
    static const uint8_t head4[] = {0x45, 0, 0, 50, 0, 0, 0, 0, 64, 17, 0, 0, 0, 0, 0, 0, 10, 9, 9, 9, 3, 232, 0, 9, 0, 30};
    static const uint8_t head6[] = {0x60, 0, 0, 0, 0, 10, 17, 64};
    memset(frame, 2, FRAME);
    frame[12] = version == 4 ? 0x08 : 0x86;
    frame[13] = version == 4 ? 0x00 : 0xdd;
    memset(frame + 14, 0, FRAME - 14);
    if (version == 4) {
        memcpy(frame + 14, head4, sizeof head4);
    } else {
        memcpy(frame + 14, head6, sizeof head6);
        memset(frame + 38, 0x3f, 16);
        memcpy(frame + 54, (uint8_t[]){3, 232, 0, 9, 0, 10}, 6);
    }
}

/* Frames a second of a program that is run on a frame again and again. */
static double tried(struct bench *bench, const char *name, const uint8_t *frame)
{
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame, .data_size_in = FRAME, .repeat = (int)bench->frames);
    bench->state->frames = bench->state->dropped = 0;
    if (bpf_prog_test_run_opts(program_fd(bench, name), &options) != 0)
        fail(name);
    return 1e9 / (options.duration > 0 ? options.duration : 1);
}

static void enter(int namespace)
{
    if (setns(namespace, CLONE_NEWNET) != 0)
        fail("a namespace");
}

/* Frames a second that arrive at the other end of a link, where the program stands. */
static double sent(struct bench *bench, const char *name, const uint8_t *frame)
{
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame, .data_size_in = FRAME, .repeat = (int)bench->frames,
                .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = BATCH);
    LIBBPF_OPTS(bpf_link_create_opts, native, .flags = XDP_FLAGS_DRV_MODE);
    enter(bench->receiver);
    int link = bpf_link_create(program_fd(bench, name), (int)bench->receives, BPF_XDP, &native);
    if (link < 0)
        fail("the program cannot stand at the receiver's link");
    enter(bench->sender);
    bench->state->frames = bench->state->dropped = 0;
    double begun = seconds();
    if (bpf_prog_test_run_opts(program_fd(bench, "send"), &options) != 0)
        fail("sending");
    double taken = seconds() - begun;
    bpf_link_detach(link);
    close(link);
    return (double)bench->state->frames / taken;
}

static void measure(struct bench *bench, int version, bool hit)
{
    static const char *const trying[] = {"try_drop", "try_trie", "try_gate"};
    static const char *const taking[] = {"take_drop", "take_trie", "reef_gate"};
    static const char *const names[] = {"drop", "trie", "gate"};
    uint8_t frame[FRAME];
    double best[6] = {0}, share[6] = {0};
    write_frame(frame, version);
    choose(bench, version, hit);
    for (uint32_t round = 0; round < bench->rounds; round++)
        for (int i = 0; i < (bench->sender >= 0 ? 6 : 3); i++) {
            double rate = i < 3 ? tried(bench, trying[i], frame) : sent(bench, taking[i - 3], frame);
            best[i] = rate > best[i] ? rate : best[i];
            share[i] = bench->state->frames > 0 ? (double)bench->state->dropped / (double)bench->state->frames : 0;
        }
    for (int i = 0; i < (bench->sender >= 0 ? 6 : 3); i++)
        printf("%s-%s %d %s %.0f %.4f\n", i < 3 ? "try" : "wire", names[i % 3], version, hit ? "hit" : "miss", best[i], share[i]);
}

static void write_prefixes(const char *path)
{
    struct bench again = {.random = SEED};
    FILE *file = fopen(path, "w");
    if (file == NULL)
        fail(path);
    for (uint32_t i = 0; i < BENCH_PREFIXES; i++) {
        struct bench_address inside;
        struct reef_prefix prefix = prefix4(&again, &inside);
        const uint8_t *at = prefix.address;
        fprintf(file, "%u.%u.%u.%u/%u\n", at[0], at[1], at[2], at[3], prefix.length);
    }
    if (fclose(file) != 0)
        fail(path);
}

/* Banned sources to a line where no program stands. */
static void send_to_ruleset(struct bench *bench)
{
    uint8_t frame[FRAME];
    struct bpf_test_run_opts options = {.sz = sizeof options, .data_in = frame, .data_size_in = FRAME,
                                        .repeat = (int)bench->frames, .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = BATCH};
    double best = 0;
    write_frame(frame, 4);
    choose(bench, 4, true);
    (void)getchar();
    for (uint32_t round = 0; round < bench->rounds; round++) {
        double begun = seconds();
        if (bpf_prog_test_run_opts(program_fd(bench, "send"), &options) != 0)
            fail("sending");
        double rate = bench->frames / (seconds() - begun);
        best = rate > best ? rate : best;
    }
    printf("wire-ruleset 4 hit %.0f %u\n", best, bench->frames * bench->rounds);
}

static int open_namespace(const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "/run/netns/%s", name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        fail(path);
    return fd;
}

static uint16_t checksum(const uint8_t *data, size_t length, uint32_t sum)
{
    for (size_t i = 0; i + 1 < length; i += 2)
        sum += (uint32_t)data[i] << 8 | data[i + 1];
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

/* A SYN to 10.99.2.2:80 but for its source and what that does to the checksums, which the program mends. */
static void write_syn(uint8_t frame[FRAME])
{
    static const uint8_t head[] = {0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 0, 0, 0, 0, 10, 99, 2, 2,
                                   0x30, 0x39, 0, 80, 1, 2, 3, 4, 0, 0, 0, 0, 0x50, 2, 0xff, 0xff};
    memset(frame, 0, FRAME);
    memcpy(frame, (uint8_t[]){2, 0, 0, 0, 9, 1, 2, 0, 0, 0, 9, 9, 8, 0}, 14);
    memcpy(frame + 14, head, sizeof head);
    uint16_t sum = checksum(frame + 14, 20, 0);
    frame[24] = (uint8_t)(sum >> 8);
    frame[25] = (uint8_t)sum;
    sum = checksum(frame + 34, 20, 6 + 20 + (10 << 8) + 99 + (2 << 8) + 2);
    frame[50] = (uint8_t)(sum >> 8);
    frame[51] = (uint8_t)sum;
}

/* SYNs of ever other sources, as fast as they go. */
static int flood(char **arguments)
{
    struct bench bench = {.random = SEED, .sender = open_namespace(arguments[4])};
    struct reef_gate_room room = {1024, 1024};
    char words[REEF_GATE_WORDS] = "";
    uint8_t frame[FRAME];
    struct bpf_test_run_opts options = {.sz = sizeof options, .data_in = frame, .data_size_in = FRAME, .repeat = 100000,
                                        .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = BATCH};
    if (reef_gate_new(arguments[2], &room, &bench.gate, words) != REEF_OK) {
        fprintf(stderr, "bench_gate: %s\n", words);
        return 1;
    }
    bench.addresses = mapped(&bench, "addresses", BENCH_ADDRESSES * sizeof *bench.addresses);
    bench.state = mapped(&bench, ".data.bench", sizeof *bench.state);
    enter(bench.sender);
    bench.state->link = if_nametoindex(arguments[5]);
    write_syn(frame);
    double begun = seconds(), end = begun + strtod(arguments[3], NULL);
    uint64_t sent_frames = 0;
    while (seconds() < end) {
        choose(&bench, 4, false);
        if (bpf_prog_test_run_opts(program_fd(&bench, "send_syn"), &options) != 0)
            fail("flooding");
        sent_frames += 100000;
    }
    printf("flood 4 %llu %.0f\n", (unsigned long long)sent_frames, (double)sent_frames / (seconds() - begun));
    reef_gate_free(bench.gate);
    return 0;
}

int main(int count, char **arguments)
{
    struct bench bench = {.random = SEED, .sender = -1, .receiver = -1};
    struct reef_gate_room room;
    char words[REEF_GATE_WORDS] = "";
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (count == 6 && strcmp(arguments[1], "flood") == 0)
        return flood(arguments);
    if (count != 5 && count != 9 && count != 10) {
        fprintf(stderr, "usage: bench_gate PINS PREFIXES FRAMES ROUNDS [NAMESPACE LINK NAMESPACE LINK]\n");
        return 2;
    }
    bench.prefixes = (uint32_t)strtoul(arguments[2], NULL, 10);
    bench.frames = (uint32_t)strtoul(arguments[3], NULL, 10);
    bench.rounds = (uint32_t)strtoul(arguments[4], NULL, 10);
    room = (struct reef_gate_room){bench.prefixes, bench.prefixes};
    if (reef_gate_new(arguments[1], &room, &bench.gate, words) != REEF_OK) {
        fprintf(stderr, "bench_gate: %s\n", words);
        return 1;
    }
    bench.addresses = mapped(&bench, "addresses", BENCH_ADDRESSES * sizeof *bench.addresses);
    bench.state = mapped(&bench, ".data.bench", sizeof *bench.state);
    ban(&bench);
    if (count >= 9) {
        bench.sender = open_namespace(arguments[5]);
        bench.receiver = open_namespace(arguments[7]);
        enter(bench.receiver);
        bench.receives = if_nametoindex(arguments[8]);
        enter(bench.sender);
        bench.sends = if_nametoindex(arguments[6]);
        bench.state->link = bench.sends;
    }
    for (int version = 4; version <= 6; version += 2)
        for (int hit = 1; hit >= 0; hit--)
            measure(&bench, version, hit != 0);
    if (count == 10) {
        write_prefixes(arguments[9]);
        send_to_ruleset(&bench);
    }
    reef_gate_free(bench.gate);
    return 0;
}
