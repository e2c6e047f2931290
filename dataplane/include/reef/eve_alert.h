/* eve_alert: the text of events whose state lives in the worker: alerts, transactions, files, what a flow spoke. Each writes members
 * that stand behind the endpoints of a line (eve.h), and completes the event (kind, what came): the first bytes of the text, `prefix_length` of them,
 * are members of "metadata", to which the reader adds rule and zones. Call them with the endpoints set and an empty `json`. */
#ifndef REEF_EVE_ALERT_H
#define REEF_EVE_ALERT_H

#include "reef/event.h"
#include "reef/match.h"
#include "reef/tx_file.h"

/* What an analyst may ask for; none of it by default (R30: no content of conversations is kept unasked). */
enum {
    REEF_ALERT_WITH_PAYLOAD = 1, /* payload, payload_printable: of the packet, or the end of the stream's bytes */
    REEF_ALERT_WITH_RULE = 2,    /* the rule as it is written */
};

/* How the packet came: on the wire, out of a tunnel, put together from fragments. */
uint8_t reef_packet_came(const reef_packet *packet);

/* An alert. `matcher` NULL: no flowbits are told. */
void reef_alert_write(reef_event *event, const reef_matcher *matcher, const reef_rules *rules, const reef_scene *scene,
                      const reef_alert *alert, unsigned with, reef_json *json);

/* A transaction, its own object and what stands beside it; false: nothing to say of it. */
bool reef_transaction_write(reef_event *event, const reef_session *session, const reef_transaction *transaction,
                            reef_log which, reef_json *json);

/* A file that is over: "fileinfo" and the transaction it came in. */
void reef_fileinfo_write(reef_event *event, const reef_session *session, const reef_transaction *transaction,
                         const reef_tx_file *file, reef_json *json);

/* An app-layer-event: "anomaly". `transaction` NULL: of the session (a number with REEF_SESSION_EVENT: of detection). */
void reef_app_anomaly_write(reef_event *event, const reef_session *session, const reef_transaction *transaction,
                            unsigned number, reef_json *json);

/* The packets of a flow are kept under this name: "engine". */
void reef_evidence_write(reef_event *event, const uint8_t sha256[32], reef_json *json);

/* A rule that costs too much rests: "engine". */
void reef_slow_rule_write(reef_event *event, const reef_rule *rule, reef_json *json);

/* A packet that a rule's `tag` asked for: "packet"; its bytes stand there when payload is asked for. */
void reef_tagged_write(reef_event *event, const reef_frame *frame, unsigned with, reef_json *json);

/* What a flow that ends spoke: app_proto and its kin, flowbits. May write nothing. */
void reef_flow_text_write(reef_event *event, const reef_matcher *matcher, const reef_flow *flow, reef_json *json);

#endif
