/* What Python sees of the replay; the types are described in dataplane/include/reef/{classify,flowlog,replay}.h. */
typedef struct reef_policy reef_policy;
typedef struct reef_replay reef_replay;

#define REEF_OK ...
#define REEF_NOMEM ...
#define REEF_FORMAT ...
const char *reef_status_text(int status);

int reef_policy_new(const uint64_t *words, size_t count, reef_policy **out);
void reef_policy_free(reef_policy *policy);

typedef struct reef_flow_run { uint32_t from, to, rule, rows; uint16_t port; uint8_t protocol, action; ...; } reef_flow_run;
typedef struct reef_flow_heads {
    uint32_t names;
    const char **name;
    reef_flow_run *run;
    uint32_t runs, rows;
    ...;
} reef_flow_heads;
typedef struct reef_flow_body {
    uint32_t rows, addresses, addresses4;
    uint8_t (*address)[16];
    uint32_t *source, *destination, *count, *minute;
    ...;
} reef_flow_body;

int reef_flow_heads_decode(const uint8_t *heads, size_t size, reef_flow_heads **out);
void reef_flow_heads_free(reef_flow_heads *heads);
int reef_flow_body_decode(const reef_flow_heads *heads, const uint8_t *body, size_t body_size,
                          const uint8_t *addresses, size_t addresses_size, reef_flow_body **out);
void reef_flow_body_free(reef_flow_body *body);

typedef struct reef_change {
    int32_t from, to, to_now, rule, rule_now;
    uint8_t kind, action, action_now, version, protocol;
    uint16_t port;
    uint8_t source[16], destination[16];
    uint32_t first, last;
    uint64_t rows, flows, bytes, packets;
    ...;
} reef_change;

typedef enum reef_detail_axis { REEF_BY_SERVICE, REEF_BY_SOURCE, REEF_BY_DESTINATION, ... } reef_detail_axis;

typedef struct reef_detail {
    uint8_t address[16];
    uint64_t flows;
    uint16_t port;
    uint8_t version, protocol;
    ...;
} reef_detail;

typedef struct reef_replay_sum {
    uint64_t rows, flows, unsure_flows, unlike_log_flows, details_lost, changes_lost;
    uint32_t changes;
    ...;
} reef_replay_sum;

int reef_replay_new(reef_policy *running, reef_policy *candidate, const uint64_t seed[2], reef_replay **out);
void reef_replay_free(reef_replay *replay);
bool reef_replay_wants(reef_replay *replay, const reef_flow_heads *heads, const int32_t *zone_of_name);
int reef_replay_rows(reef_replay *replay, const reef_flow_heads *heads, const reef_flow_body *body,
                     const int32_t *zone_of_name, const int32_t *rule_of_name, bool all);
void reef_replay_sum_up(const reef_replay *replay, reef_replay_sum *sum);
const reef_change *reef_replay_change(const reef_replay *replay, uint32_t index);
size_t reef_replay_details(reef_replay *replay, uint32_t change, reef_detail_axis axis, reef_detail *out, size_t max);
