/* decode + flow beside the limit of the machine: a loop that reads every byte of the same frames, in eight-byte
 * loads. The two take turns in one run, so that what else the machine does hits both; times are those of the thread.
 *
 *     bench_decode [--megabytes N] [--flows N] [--rounds N] [--count PACKETS] [FILE...]
 *
 * Prints one line per round and kind: "kind packets bytes seconds". With --count it runs decode + flow once over so
 * many packets and prints nothing: for callgrind, which looks at `decode_and_flow`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "reef/bytes.h"
#include "reef/engine.h"
#include "reef/eve.h"
#include "reef/status.h"
#include "traffic.h"

static uint64_t sum; /* keeps the compiler from leaving the loop out */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static __attribute__((noinline)) void touch(const traffic *t)
{
    uint64_t total = 0;
    for (size_t i = 0; i < t->frames; i++) {
        const uint8_t *p = t->frame[i].data, *end = p + t->frame[i].captured;
        for (; end - p >= 8; p += 8) {
            uint64_t word;
            memcpy(&word, p, sizeof word);
            total += word;
        }
        for (; p < end; p++)
            total += *p;
    }
    sum += total;
}

__attribute__((noinline)) void decode_and_flow(reef_worker *worker, const reef_frame *frames, size_t count);
void decode_and_flow(reef_worker *worker, const reef_frame *frames, size_t count)
{
    for (size_t at = 0; at < count; at += REEF_BATCH_MAX)
        reef_worker_frames(worker, frames + at, count - at < REEF_BATCH_MAX ? count - at : REEF_BATCH_MAX);
}

static void everything(reef_worker *worker, const traffic *t, const reef_names *names)
{
    static char out[1 << 20];
    reef_events *events = reef_worker_events(worker);
    for (size_t at = 0; at < t->frames; at += REEF_BATCH_MAX) {
        reef_worker_frames(worker, t->frame + at, t->frames - at < REEF_BATCH_MAX ? t->frames - at : REEF_BATCH_MAX);
        size_t used, lines;
        while (reef_events_half_full(events)) {
            reef_eve_drain(events, names, out, sizeof out, &used, &lines);
            sum += used;
        }
    }
}

static void must(int status)
{
    if (status != REEF_OK) {
        fprintf(stderr, "bench_decode: %s\n", reef_status_text(status));
        exit(2);
    }
}

typedef struct engine {
    reef_config *config;
    reef_worker *worker;
} engine;

static engine engine_new(bool reports)
{
    reef_options options;
    engine e;
    reef_options_default(&options);
    options.seed[0] = 1, options.seed[1] = 2;
    options.report_flows = options.report_apps = options.report_anomalies = reports;
    options.checksums = false; /* the frames that are made here have none */
    must(reef_config_new(&options, &e.config));
    must(reef_worker_new(e.config, &e.worker));
    return e;
}

static void engine_free(engine *e)
{
    reef_worker_free(e->worker);
    reef_config_free(e->config);
}

static void say(const char *kind, const traffic *t, double seconds)
{
    printf("%s %zu %llu %.6f\n", kind, t->frames, (unsigned long long)t->bytes, seconds);
}

static void measure(const traffic *t, unsigned rounds)
{
    reef_names *names;
    must(reef_names_new("bench", &names));
    touch(t);
    for (unsigned round = 0; round < rounds; round++) {
        double start = now();
        touch(t);
        say("touch", t, now() - start);

        engine e = engine_new(false);
        decode_and_flow(e.worker, t->frame, t->frames < 65536 ? t->frames : 65536); /* its memory is there, too */
        start = now();
        decode_and_flow(e.worker, t->frame, t->frames);
        say("decode+flow", t, now() - start);
        engine_free(&e);

        e = engine_new(true);
        start = now();
        everything(e.worker, t, names);
        say("everything", t, now() - start);
        engine_free(&e);
    }
    reef_names_free(names);
}

int main(int argc, char **argv)
{
    unsigned long megabytes = 256, flows = 20000, rounds = 5, count = 0;
    int at = 1;
    for (; at + 1 < argc && strncmp(argv[at], "--", 2) == 0; at += 2) {
        unsigned long value = strtoul(argv[at + 1], NULL, 10);
        if (strcmp(argv[at], "--megabytes") == 0)
            megabytes = value;
        else if (strcmp(argv[at], "--flows") == 0)
            flows = value;
        else if (strcmp(argv[at], "--rounds") == 0)
            rounds = value;
        else if (strcmp(argv[at], "--count") == 0)
            count = value;
        else
            break;
    }
    if (megabytes < 1 || megabytes > 4096 || flows < 1 || flows > 1000000) {
        fprintf(stderr, "usage: bench_decode [--megabytes N] [--flows N] [--rounds N] [--count PACKETS] [FILE...]\n");
        return 2;
    }
    traffic t = at < argc ? traffic_read(argv + at, (size_t)(argc - at), megabytes << 20)
                          : traffic_made(megabytes << 20, (unsigned)flows);
    if (count > 0) {
        engine e = engine_new(false);
        if (count > t.frames) {
            fprintf(stderr, "bench_decode: the traffic has only %zu packets\n", t.frames);
            return 2;
        }
        decode_and_flow(e.worker, t.frame, count);
        engine_free(&e);
    } else {
        measure(&t, (unsigned)rounds);
    }
    traffic_free(&t);
    return sum == 1 ? 3 : 0;
}
