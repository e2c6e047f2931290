/* What NFLOG's socket gives: netlink messages with logged packets. */
#include "fuzz.h"
#include "reef/eve.h"
#include "reef/status.h"
#include "../../../dataplane/capture/nflog.c" /* its reader of datagrams is its own business: no header shows it */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char out[2 * REEF_EVE_LINE_MAX];
    uint8_t *copy = malloc(size > 0 ? size : 1); /* of its own, so that a byte read too far is seen */
    memcpy(copy, data, size);
    reef_options options;
    reef_options_default(&options);
    options.flows = 8, options.memory = 1 << 20, options.events = 64, options.text_bytes = 1 << 16;
    reef_config *config;
    reef_worker *worker;
    reef_names *names;
    MUST(reef_config_new(&options, &config) == REEF_OK);
    MUST(reef_worker_new(config, &worker) == REEF_OK);
    MUST(reef_names_new("fuzz", &names) == REEF_OK);
    reef_nflog nflog = {.fd = -1, .rate = 16};
    uint64_t packets = read_datagram(&nflog, (attributes){copy, size}, reef_worker_events(worker), 1);
    size_t used, lines, reported = 0;
    int status;
    do {
        status = reef_eve_drain(reef_worker_events(worker), names, out, sizeof out, &used, &lines);
        MUST(status == REEF_OK || status == REEF_UNKNOWN_PREFIX);
        MUST((used == 0) == (lines == 0));
        reported += lines;
        if (status == REEF_UNKNOWN_PREFIX) { /* every prefix is some rule's: what it says goes into the line */
            const char *text;
            const reef_event *event = reef_events_peek(reef_worker_events(worker), &text);
            const reef_rule_name rule = {.rule = "R-7", .action = "deny", .source = "lan", .destination = "internet"};
            MUST(event != NULL && event->prefix_length <= REEF_PREFIX_MAX);
            MUST(reef_names_prefix(names, text, event->prefix_length, &rule) == REEF_OK);
        }
    } while (lines > 0 || status != REEF_OK);
    MUST(reported <= packets + 3); /* and what was lost: in the kernel, by rate, for want of room */
    reef_names_free(names);
    reef_worker_free(worker);
    reef_config_free(config);
    free(copy);
    return 0;
}
