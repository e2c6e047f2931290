/* The whole path over a capture file: decode, flow, stream, the parsers, events, EVE lines. */
#include "fuzz.h"
#include "reef/capture.h"
#include "reef/eve.h"
#include "reef/status.h"

/* Whole records, one behind the other. */
static void check_feed(reef_feed *feed)
{
    size_t size;
    const uint8_t *data = reef_feed_data(feed, &size);
    for (size_t at = 0; at < size;) {
        reef_feed_record record;
        MUST(size - at >= sizeof record);
        memcpy(&record, data + at, sizeof record);
        MUST(record.size >= sizeof record && record.size <= size - at && record.size % 8 == 0);
        at += record.size;
    }
    reef_feed_empty(feed);
}

static void drain(reef_worker *worker, const reef_names *names, reef_feed *feed)
{
    static char out[2 * REEF_EVE_LINE_MAX];
    size_t used, lines;
    do {
        MUST(reef_eve_drain_and_log(reef_worker_events(worker), names, NULL, feed, out, sizeof out, &used, &lines) ==
             REEF_OK);
        MUST((used == 0) == (lines == 0));
        check_feed(feed);
        MUST(used == 0 || out[used - 1] == '\n');
    } while (lines > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    reef_file *file;
    if (reef_file_memory(data, size, &file) != REEF_OK)
        return 0;
    reef_options options;
    reef_options_default(&options);
    options.flows = 8, options.memory = 1 << 20, options.events = 64, options.text_bytes = 1 << 16, options.feeds = true;
    reef_config *config;
    reef_worker *worker;
    reef_names *names;
    reef_feed *feed;
    MUST(reef_config_new(&options, &config) == REEF_OK);
    MUST(reef_worker_new(config, &worker) == REEF_OK);
    MUST(reef_names_new("fuzz", &names) == REEF_OK);
    MUST(reef_feed_new(REEF_EVE_LINE_MAX * 2, &feed) == REEF_OK);
    while (reef_file_pull(file, worker) == REEF_OK)
        drain(worker, names, feed);
    while (!reef_worker_finish(worker))
        drain(worker, names, feed);
    drain(worker, names, feed);
    reef_counters counters;
    reef_worker_count(worker, &counters);
    MUST(counters.flows_active == 0);
    reef_feed_free(feed);
    reef_names_free(names);
    reef_worker_free(worker);
    reef_config_free(config);
    reef_file_free(file);
    return 0;
}
