/* What Python sees of the C core; the types are described in dataplane/include/reef/. */
typedef struct reef_config reef_config;
typedef struct reef_worker reef_worker;
typedef struct reef_events reef_events;
typedef struct reef_names reef_names;
typedef struct reef_flowlog reef_flowlog;
typedef struct reef_feed reef_feed;
typedef struct reef_file reef_file;
typedef struct reef_ring reef_ring;
typedef struct reef_nflog reef_nflog;
typedef struct reef_conntrack reef_conntrack;

#define REEF_OK ...
#define REEF_END ...
#define REEF_NOMEM ...
#define REEF_INVALID ...
#define REEF_SYSTEM ...
#define REEF_FORMAT ...
#define REEF_TRUNCATED ...
#define REEF_UNSUPPORTED ...
#define REEF_FULL ...
#define REEF_UNKNOWN_PREFIX ...
#define REEF_EVE_LINE_MAX ...
#define REEF_ALERT_WITH_PAYLOAD ...
#define REEF_ALERT_WITH_RULE ...
#define REEF_PREFIX_MAX ...

const char *reef_status_text(int status);

typedef struct reef_flow_timeouts {
    uint32_t tcp_new, tcp_established, tcp_closed;
    uint32_t udp_new, udp_established;
    uint32_t icmp, other;
    ...;
} reef_flow_timeouts;

typedef struct reef_protocol {
    const char *name;
    ...;
} reef_protocol;
const reef_protocol *reef_protocol_by_number(unsigned number);
unsigned reef_protocols_count(void);

typedef struct reef_rules reef_rules;
typedef struct reef_filestore reef_filestore;
typedef struct reef_claims reef_claims;
int reef_claims_new(const uint64_t seed[2], reef_claims **out);
void reef_claims_free(reef_claims *claims);

typedef struct reef_file_wants {
    bool magic, md5, sha1, sha256, store_all;
    uint64_t store_limit;
    ...;
} reef_file_wants;

typedef struct reef_filestore_counters {
    uint64_t kept, bytes, known, refused, failed;
    ...;
} reef_filestore_counters;

typedef struct reef_evidence reef_evidence;
int reef_evidence_new(reef_filestore *store, uint32_t ring, uint32_t most, reef_evidence **out);
void reef_evidence_free(reef_evidence *evidence);

int reef_filestore_new(int directory, unsigned number, uint64_t limit, reef_filestore **out);
void reef_filestore_free(reef_filestore *store);
void reef_filestore_freed(reef_filestore *store, uint64_t bytes);
void reef_filestore_count(const reef_filestore *store, reef_filestore_counters *counters);

typedef struct reef_tcp_options {
    uint32_t depth;
    bool midstream, async_oneside, inline_;
    ...;
} reef_tcp_options;

typedef struct reef_match_options {
    bool act;
    uint32_t alerts_max;
    bool costs;
    const char *places;
    uint64_t seed[2];
    ...;
} reef_match_options;

typedef struct reef_options {
    uint32_t flows, events, text_bytes;
    reef_flow_timeouts timeouts;
    uint64_t seed[2];
    bool by_interface, only_entering, report_flows, report_apps, report_anomalies;
    bool feeds;
    bool checksums;
    uint32_t depth;
    uint64_t memory;
    reef_tcp_options tcp;
    reef_match_options match;
    unsigned alerts_with;
    reef_filestore *store;
    struct reef_evidence *evidence;
    reef_file_wants files;
    reef_claims *claims;
    const reef_rules *rules;
    ...;
} reef_options;

typedef struct reef_counters {
    uint64_t packets, bytes;
    uint64_t not_ip, malformed, fragments;
    uint64_t flows_created, flows_ended, flows_evicted, flows_refused, clock_set_back;
    uint64_t transactions;
    uint64_t events_lost;
    uint64_t alerts;
    uint64_t verdicts[4];
    uint64_t shed;
    uint64_t feed_lost;
    uint64_t memory_used, memory_peak, memory_refused;
    uint32_t flows_active;
    ...;
} reef_counters;

void reef_options_default(reef_options *options);
int reef_config_new(const reef_options *options, reef_config **out);
void reef_config_free(reef_config *config);
int reef_worker_new(const reef_config *config, reef_worker **out);
void reef_worker_free(reef_worker *worker);
void reef_worker_time(reef_worker *worker, uint64_t now_ns);
bool reef_worker_finish(reef_worker *worker);
reef_events *reef_worker_events(reef_worker *worker);
void reef_worker_count(const reef_worker *worker, reef_counters *counters);

typedef struct reef_rule_cost {
    uint32_t sid, gid, rev;
    const char *message;
    uint32_t message_length;
    uint64_t checks, matches, ns, worst_ns;
    ...;
} reef_rule_cost;
uint32_t reef_worker_rule_costs(const reef_worker *worker, uint32_t *from, reef_rule_cost *out, uint32_t max);

int reef_rules_new(const uint8_t *image, size_t size, const uint8_t *prepared, size_t prepared_size, reef_rules **out);
void reef_rules_free(reef_rules *rules);
int reef_rules_places(reef_rules *rules, const char *path);
int reef_rules_prepared(const reef_rules *rules, uint8_t **data, size_t *size);
void reef_rules_prepared_free(uint8_t *data);
uint32_t reef_rules_count(const reef_rules *rules);
void reef_rules_engine_digest(uint8_t out[32]);
typedef struct reef_text {
    uint32_t at, length;
    ...;
} reef_text;
typedef struct reef_rule {
    uint32_t sid, gid, rev;
    uint32_t flags;
    uint8_t action;
    uint8_t priority;
    reef_text category, message;
    ...;
} reef_rule;
#define REEF_RULE_NOALERT ...
#define REEF_ALERT ...
#define REEF_PASS ...
#define REEF_DROP ...
#define REEF_REJECT ...
#define REEF_OFF ...
const reef_rule *reef_rules_at(const reef_rules *rules, uint32_t index);
const char *reef_rules_text(const reef_rules *rules, reef_text text);
int reef_worker_rules(reef_worker *worker, const reef_rules *rules);
int reef_worker_set_change(reef_worker *worker, const char *name, bool out, const uint8_t *values, size_t length);

typedef struct reef_reactions reef_reactions;
typedef struct reef_reaction_threshold {
    uint8_t kind, by;
    uint32_t count, seconds;
} reef_reaction_threshold;
typedef struct reef_address_range {
    uint8_t version, spare[3];
    uint8_t first[16], last[16];
} reef_address_range;
typedef struct reef_suppression {
    uint8_t action;
    uint64_t until_s;
    const reef_address_range *client, *server, *either;
    uint32_t clients, servers, eithers;
    const uint16_t *profile;
    uint32_t profiles;
} reef_suppression;
int reef_reactions_new(const reef_rules *rules, uint32_t profiles, const uint8_t *actions, reef_reactions **out);
void reef_reactions_free(reef_reactions *reactions);
int reef_reactions_profile(reef_reactions *reactions, const uint16_t *profile_of, uint32_t numbers);
typedef struct reef_limits {
    uint32_t depth;
    uint8_t shed_at[5];
} reef_limits;
int reef_reactions_limits(reef_reactions *reactions, uint32_t profile, const reef_limits *limits);
int reef_reactions_threshold(reef_reactions *reactions, uint32_t profile, const uint32_t *rules, uint32_t count, const reef_reaction_threshold *threshold);
int reef_reactions_suppress(reef_reactions *reactions, const uint32_t *rules, uint32_t count, const reef_suppression *suppression);
int reef_worker_reactions(reef_worker *worker, const reef_reactions *reactions);
int reef_worker_keep(reef_worker *worker, reef_filestore *store, bool all, struct reef_evidence *evidence);

typedef struct reef_inline reef_inline;
int reef_inline_new(reef_worker *worker, reef_inline **out);
void reef_inline_free(reef_inline *line);
int reef_inline_run(reef_inline *line, int peer);

typedef struct reef_bridge reef_bridge;
typedef struct reef_bridge_counters {
    uint64_t passed, stopped, unseen, lost;
    ...;
} reef_bridge_counters;
int reef_bridge_open(reef_bridge **out);
void reef_bridge_free(reef_bridge *bridge);
int reef_bridge_bind(reef_bridge *bridge, uint32_t one, uint32_t other, uint32_t mark, bool open, int keeper);
void reef_bridge_mean(reef_bridge *bridge, uint32_t mark, bool open);
void reef_bridge_rest(reef_bridge *bridge);
void reef_bridge_count(const reef_bridge *bridge, reef_bridge_counters *counters);
int reef_inline_bridge(reef_inline *line, reef_bridge *bridge);
void reef_inline_stop(reef_inline *line);
int reef_inline_rules(reef_inline *line, const reef_rules *rules, const reef_reactions *reactions);
int reef_inline_set_change(reef_inline *line, const char *name, bool out, const uint8_t *values, size_t length);
int reef_inline_keep(reef_inline *line, reef_filestore *store, bool all, struct reef_evidence *evidence);
void reef_inline_pressure(reef_inline *line, unsigned *now, unsigned *most);
void reef_inline_count(reef_inline *line, reef_counters *counters);
uint32_t reef_inline_rule_costs(reef_inline *line, uint32_t *from, reef_rule_cost *out, uint32_t max);

typedef struct reef_rule_name {
    const char *rule, *action;
    const char *source, *destination;
    bool log_start, log_end;
    ...;
} reef_rule_name;

int reef_names_new(const char *site, reef_names **out);
void reef_names_free(reef_names *names);
void reef_names_capture(reef_names *names);
int reef_names_interface(reef_names *names, uint32_t number, const char *name, const char *zone);
int reef_names_network(reef_names *names, unsigned version, const uint8_t *address, unsigned prefix, const char *zone);
int reef_names_rule(reef_names *names, uint32_t number, const reef_rule_name *rule);
int reef_names_prefix(reef_names *names, const char *prefix, size_t length, const reef_rule_name *rule);

int reef_eve_drain(reef_events *events, const reef_names *names, char *out, size_t size, size_t *used, size_t *lines);
int reef_eve_drain_and_log(reef_events *events, const reef_names *names, reef_flowlog *log, reef_feed *feed, char *out,
                           size_t size, size_t *used, size_t *lines);
int reef_feed_new(size_t size, reef_feed **out);
void reef_feed_free(reef_feed *feed);
const uint8_t *reef_feed_data(const reef_feed *feed, size_t *size);
void reef_feed_empty(reef_feed *feed);
uint64_t reef_feed_lost(const reef_feed *feed);
size_t reef_engine_first_prefix(reef_events *events, char *out, size_t size);

int reef_file_open(const char *path, reef_file **out);
void reef_file_free(reef_file *file);
int reef_file_pull(reef_file *file, reef_worker *worker);
void reef_file_progress(const reef_file *file, uint64_t *done, uint64_t *size);

int reef_ring_open(uint32_t interface, uint32_t block_bytes, uint32_t blocks, reef_ring **out);
void reef_ring_free(reef_ring *ring);
int reef_ring_fd(const reef_ring *ring);
int reef_ring_select(reef_ring *ring, const uint32_t *interfaces, size_t count);
int reef_ring_pull(reef_ring *ring, reef_worker *worker, uint64_t *packets);
int reef_ring_lost(reef_ring *ring, uint64_t *lost);

int reef_nflog_open(uint16_t group, uint32_t rate, reef_nflog **out);
void reef_nflog_free(reef_nflog *nflog);
int reef_nflog_fd(const reef_nflog *nflog);
int reef_nflog_pull(reef_nflog *nflog, reef_worker *worker, uint64_t *packets);
uint64_t reef_nflog_lost(const reef_nflog *nflog);
uint64_t reef_nflog_left_out(const reef_nflog *nflog);

int reef_conntrack_open(reef_conntrack **out);
void reef_conntrack_free(reef_conntrack *conntrack);
int reef_conntrack_fd(const reef_conntrack *conntrack);
int reef_conntrack_pull(reef_conntrack *conntrack, reef_worker *worker, uint64_t *flows);
uint64_t reef_conntrack_overruns(const reef_conntrack *conntrack);

typedef struct reef_flow_seen {
    const char *from, *to, *rule;
    uint8_t source[16], destination[16], asked[16];
    uint16_t port, asked_port;
    uint8_t version, protocol, action;
    uint32_t minute, count;
    uint64_t bytes, packets;
    ...;
} reef_flow_seen;

typedef struct reef_flow_sum {
    uint32_t rows, addresses, names, first, last;
    uint64_t flows, lost;
    ...;
} reef_flow_sum;

typedef struct reef_flow_heads { uint32_t rows; ...; } reef_flow_heads;
typedef struct reef_flow_body { uint32_t rows; ...; } reef_flow_body;

int reef_flowlog_new(uint32_t rows, const uint64_t seed[2], reef_flowlog **out);
void reef_flowlog_free(reef_flowlog *log);
int reef_flowlog_add(reef_flowlog *log, const reef_flow_seen *seen);
void reef_flowlog_sum(const reef_flowlog *log, reef_flow_sum *sum);
void reef_flowlog_empty(reef_flowlog *log);
void reef_flowlog_bound(const reef_flowlog *log, size_t *heads, size_t *body, size_t *addresses);
int reef_flowlog_encode(reef_flowlog *log, uint8_t *heads, size_t *heads_size, uint8_t *body, size_t *body_size,
                        uint8_t *addresses, size_t *addresses_size);
int reef_flow_heads_decode(const uint8_t *heads, size_t size, reef_flow_heads **out);
void reef_flow_heads_free(reef_flow_heads *heads);
int reef_flow_body_decode(const reef_flow_heads *heads, const uint8_t *body, size_t body_size,
                          const uint8_t *addresses, size_t addresses_size, reef_flow_body **out);
void reef_flow_body_free(reef_flow_body *body);
int reef_flowlog_merge(reef_flowlog *log, const reef_flow_heads *heads, const reef_flow_body *body);
