/* A worker's life: what it is made of, and what it counted. */
#include <stdlib.h>

#include "engine_internal.h"
#include "reef/status.h"

void reef_options_default(reef_options *options)
{
    *options = (reef_options){
        .flows = REEF_FLOWS_DEFAULT,
        .memory = REEF_MEMORY_DEFAULT,
        .events = REEF_EVENTS_DEFAULT,
        .text_bytes = REEF_PAYLOAD_DEFAULT,
        .timeouts = {.tcp_new = 60, .tcp_established = 600, .tcp_closed = 10, .udp_new = 30, .udp_established = 120,
                     .icmp = 30, .other = 60},
        .report_flows = true,
        .report_apps = true,
        .report_anomalies = true,
        .checksums = true,
        .depth = REEF_INLINE_DEPTH,
    };
    reef_tcp_options_default(&options->tcp);
    reef_defrag_options_default(&options->defrag);
    options->match.alerts_max = REEF_ALERTS_DEFAULT;
}

int reef_config_new(const reef_options *options, reef_config **out)
{
    *out = NULL;
    if (options->flows == 0 || options->flows > REEF_FLOWS_MAX)
        return REEF_INVALID;
    reef_config *config = malloc(sizeof *config);
    if (config == NULL)
        return REEF_NOMEM;
    config->options = *options;
    *out = config;
    return REEF_OK;
}

void reef_config_free(reef_config *config)
{
    free(config);
}

/* What the options and the rules want of files. An alert of any rule tells the sizes of its transaction's files. */
static int want_files(reef_worker *worker)
{
    const reef_options *options = &worker->config->options;
    reef_file_wants wants = options->files;
    wants.store_all |= worker->keeps_all;
    wants.any |= options->report_apps || options->report_anomalies || wants.store_all;
    if (worker->rules != NULL) {
        reef_rules_wants(worker->rules, &wants);
        wants.any |= reef_rules_count(worker->rules) > 0;
    }
    return reef_files_change(worker->files, &wants);
}

int reef_worker_new(const reef_config *config, reef_worker **out)
{
    const reef_options *options = &config->options;
    *out = NULL;
    reef_worker *worker = calloc(1, sizeof *worker);
    if (worker == NULL)
        return REEF_NOMEM;
    worker->config = config;
    worker->evidence = options->evidence;
    worker->epoch = 1;
    int status = reef_flows_new(options->flows, &options->timeouts, options->seed, options->by_interface, &worker->flows);
    if (status == REEF_OK)
        status = reef_memory_new(options->memory, &worker->memory);
    if (status == REEF_OK)
        status = reef_defrag_new(worker->memory, &options->defrag, &worker->defrag);
    if (status == REEF_OK)
        status = reef_expectations_new(REEF_EXPECTATIONS_MAX, &worker->expectations);
    if (status == REEF_OK)
        status = reef_files_new(&options->files, options->store, &worker->files);
    if (status == REEF_OK && options->feeds)
        status = reef_neighbours_new(options->seed, &worker->neighbours);
    if (status == REEF_OK)
        status = reef_events_new(options->events, options->text_bytes, &worker->events);
    if (status == REEF_OK) {
        reef_worker_settle_call(worker);
        status = options->rules != NULL ? reef_worker_rules(worker, options->rules) : want_files(worker);
    }
    if (status != REEF_OK) {
        reef_worker_free(worker);
        return status;
    }
    *out = worker;
    return REEF_OK;
}

/* What the flows hold goes before the memory it came from. */
void reef_worker_free(reef_worker *worker)
{
    if (worker == NULL)
        return;
    reef_flow *flow;
    while (worker->flows != NULL && (flow = reef_flows_any(worker->flows)) != NULL) {
        reef_worker_forget(worker, flow);
        reef_flows_release(worker->flows, flow, false);
    }
    reef_matcher_free(worker->matcher);
    reef_events_free(worker->events);
    reef_neighbours_free(worker->neighbours);
    reef_files_free(worker->files);
    reef_expectations_free(worker->expectations);
    reef_defrag_free(worker->defrag);
    reef_memory_free(worker->memory);
    reef_flows_free(worker->flows);
    free(worker);
}

reef_events *reef_worker_events(reef_worker *worker)
{
    return worker->events;
}

int reef_worker_rules(reef_worker *worker, const reef_rules *rules)
{
    const reef_options *options = &worker->config->options;
    int status;
    if (worker->matcher != NULL && rules == worker->rules)
        return REEF_OK;
    if (worker->matcher == NULL)
        status = reef_matcher_new(worker->memory, rules, &options->match, &worker->matcher);
    else
        status = reef_matcher_rules(worker->matcher, rules);
    if (status != REEF_OK)
        return status;
    worker->rules = rules;
    reef_worker_settle_call(worker);
    worker->epoch = (uint8_t)(worker->epoch % (REEF_DONE_ELSEWHERE - 1) + 1);
    return want_files(worker);
}

int reef_worker_reactions(reef_worker *worker, const reef_reactions *reactions)
{
    return worker->matcher != NULL ? reef_matcher_reactions(worker->matcher, reactions) : REEF_INVALID;
}

int reef_worker_set_change(reef_worker *worker, const char *name, bool out, const uint8_t *values, size_t length)
{
    if (worker->matcher == NULL)
        return REEF_END;
    return reef_matcher_set_change(worker->matcher, (reef_view){(const uint8_t *)name, (uint32_t)strlen(name)}, out, values, length);
}

uint32_t reef_worker_rule_costs(const reef_worker *worker, uint32_t *from, reef_rule_cost *out, uint32_t max)
{
    return worker->matcher != NULL ? reef_match_costs(worker->matcher, from, out, max) : 0;
}

int reef_worker_keep(reef_worker *worker, reef_filestore *store, bool all, reef_evidence *evidence)
{
    worker->evidence = evidence;
    worker->evidence_flow = 0;
    worker->keeps_all = all;
    reef_files_keep(worker->files, store);
    return want_files(worker);
}

void reef_worker_count(const reef_worker *worker, reef_counters *counters)
{
    reef_flows_counters flows;
    reef_memory_counters memory;
    reef_flows_count(worker->flows, &flows);
    reef_memory_count(worker->memory, &memory);
    *counters = worker->counters;
    counters->flows_created = flows.created;
    counters->flows_ended = flows.ended;
    counters->flows_evicted = flows.evicted;
    counters->flows_refused = flows.refused;
    counters->clock_set_back = flows.clock_set_back;
    counters->flows_active = flows.active;
    counters->memory_refused = memory.refused;
    counters->memory_used = memory.used;
    counters->memory_peak = memory.peak;
    counters->events_lost = reef_events_lost(worker->events);
}
