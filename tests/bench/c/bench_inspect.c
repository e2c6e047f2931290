/* The whole engine over capture files, as `reef inspect` runs it, with the time of its thread told apart from that of
 * loading the rules:
 *
 *     bench_inspect [--image FILE [--prepared FILE]] [--all] [--costs] --eve FILE CAPTURE...
 *
 * --all writes every event, otherwise alerts alone. Checksums are ignored. Prints "load SECONDS" and, for each capture,
 * "CAPTURE packets bytes seconds alerts events"; with --costs, for each rule that was checked, "rule SID checks matches ns worst". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "reef/capture.h"
#include "reef/engine.h"
#include "reef/eve.h"
#include "reef/status.h"

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void must(int status, const char *what)
{
    if (status == REEF_OK)
        return;
    fprintf(stderr, "bench_inspect: %s: %s\n", what, reef_status_text(status));
    exit(2);
}

static uint8_t *read_whole(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        perror(path);
        exit(2);
    }
    *size = (size_t)ftell(file);
    rewind(file);
    uint8_t *data = malloc(*size + 1);
    if (data == NULL || fread(data, 1, *size, file) != *size) {
        perror(path);
        exit(2);
    }
    fclose(file);
    return data;
}

static size_t drain(reef_worker *worker, const reef_names *names, FILE *eve)
{
    static char out[1 << 20];
    size_t used, lines, all = 0;
    do {
        must(reef_eve_drain(reef_worker_events(worker), names, out, sizeof out, &used, &lines), "events");
        if (used > 0 && fwrite(out, 1, used, eve) != used) {
            perror("eve");
            exit(2);
        }
        all += lines;
    } while (lines > 0);
    return all;
}

static void print_costs(const reef_worker *worker)
{
    reef_rule_cost cost[64];
    uint32_t from = 0, count;
    while ((count = reef_worker_rule_costs(worker, &from, cost, 64)) > 0)
        for (uint32_t i = 0; i < count; i++)
            printf("rule %u %llu %llu %llu %llu\n", cost[i].sid, (unsigned long long)cost[i].checks, (unsigned long long)cost[i].matches,
                   (unsigned long long)cost[i].ns, (unsigned long long)cost[i].worst_ns);
}

static void inspect(const reef_options *options, const char *path, FILE *eve)
{
    reef_config *config;
    reef_worker *worker;
    reef_names *names;
    reef_file *file;
    reef_counters counters;
    must(reef_names_new("bench", &names), "names");
    must(reef_config_new(options, &config), "options");
    must(reef_worker_new(config, &worker), "worker");
    must(reef_file_open(path, &file), path);
    double start = now();
    size_t events = 0;
    int status;
    do {
        status = reef_file_pull(file, worker);
        events += drain(worker, names, eve);
    } while (status == REEF_OK);
    while (!reef_worker_finish(worker))
        events += drain(worker, names, eve);
    events += drain(worker, names, eve);
    double seconds = now() - start;
    if (status != REEF_END)
        must(status, path);
    reef_worker_count(worker, &counters);
    printf("%s %llu %llu %.6f %llu %zu\n", path, (unsigned long long)counters.packets, (unsigned long long)counters.bytes,
           seconds, (unsigned long long)counters.alerts, events);
    print_costs(worker);
    reef_file_free(file);
    reef_worker_free(worker);
    reef_config_free(config);
    reef_names_free(names);
}

int main(int argc, char **argv)
{
    const char *image_path = NULL, *prepared_path = NULL, *eve_path = "/dev/null";
    bool all = false, costs = false;
    int at = 1;
    for (; at < argc && strncmp(argv[at], "--", 2) == 0; at++) {
        if (strcmp(argv[at], "--all") == 0)
            all = true;
        else if (strcmp(argv[at], "--costs") == 0)
            costs = true;
        else if (at + 1 < argc && strcmp(argv[at], "--image") == 0)
            image_path = argv[++at];
        else if (at + 1 < argc && strcmp(argv[at], "--prepared") == 0)
            prepared_path = argv[++at];
        else if (at + 1 < argc && strcmp(argv[at], "--eve") == 0)
            eve_path = argv[++at];
        else
            break;
    }
    if (at >= argc) {
        fprintf(stderr, "usage: bench_inspect [--image FILE [--prepared FILE]] [--all] [--costs] [--eve FILE] CAPTURE...\n");
        return 2;
    }
    reef_options options;
    reef_options_default(&options);
    options.seed[0] = 1, options.seed[1] = 2;
    options.checksums = false;
    options.match.costs = costs;
    options.report_flows = options.report_apps = options.report_anomalies = all;
    reef_rules *rules = NULL;
    double start = now();
    if (image_path != NULL) {
        size_t size, prepared_size = 0;
        uint8_t *image = read_whole(image_path, &size);
        uint8_t *prepared = prepared_path != NULL ? read_whole(prepared_path, &prepared_size) : NULL;
        must(reef_rules_new(image, size, prepared, prepared_size, &rules), image_path);
        free(image);
        free(prepared);
        options.rules = rules;
    }
    printf("load %.6f\n", now() - start);
    FILE *eve = fopen(eve_path, "wb");
    if (eve == NULL) {
        perror(eve_path);
        return 2;
    }
    for (; at < argc; at++)
        inspect(&options, argv[at], eve);
    fclose(eve);
    reef_rules_free(rules);
    return 0;
}
