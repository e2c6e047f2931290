/* What connection tracking's socket gives: netlink messages about connections that ended. */
#include "fuzz.h"
#include "reef/eve.h"
#include "reef/status.h"
#include "../../../dataplane/capture/conntrack.c" /* its reader of datagrams is its own business: no header shows it */

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
    uint64_t flows = read_datagram((attributes){copy, size}, reef_worker_events(worker));
    size_t used, lines, reported = 0;
    do {
        MUST(reef_eve_drain(reef_worker_events(worker), names, out, sizeof out, &used, &lines) == REEF_OK);
        MUST((used == 0) == (lines == 0));
        reported += lines;
    } while (lines > 0);
    MUST(reported <= flows);
    reef_names_free(names);
    reef_worker_free(worker);
    reef_config_free(config);
    free(copy);
    return 0;
}
