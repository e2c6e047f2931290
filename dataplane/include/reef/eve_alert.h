/* eve_alert: the text of events whose state lives in the worker: alerts, transactions, files, what a flow spoke. Each writes members
 * that stand behind the endpoints of a line (eve.h); the reader adds nothing but those. */
#ifndef REEF_EVE_ALERT_H
#define REEF_EVE_ALERT_H

#include "reef/match.h"
#include "reef/tx_file.h"

/* What an analyst may ask for; none of it by default (R30: no content of conversations is kept unasked). */
enum {
    REEF_ALERT_WITH_PAYLOAD = 1, /* payload, payload_printable: of the packet, or the end of the stream's bytes */
    REEF_ALERT_WITH_RULE = 2,    /* the rule as it is written */
};

/* An alert. `matcher` NULL: no flowbits are told. */
void reef_alert_write(const reef_matcher *matcher, const reef_rules *rules, const reef_scene *scene,
                      const reef_alert *alert, unsigned with, reef_json *json);

/* A transaction, its own object and what stands beside it; false: nothing to say of it. */
bool reef_transaction_write(const reef_session *session, const reef_transaction *transaction, reef_log which,
                            reef_json *json);

/* A file that is over: "fileinfo" and the transaction it came in. */
void reef_fileinfo_write(const reef_session *session, const reef_transaction *transaction, const reef_tx_file *file,
                         reef_json *json);

/* An app-layer-event: "anomaly". `transaction` NULL: of the session. */
void reef_app_anomaly_write(const reef_session *session, const reef_transaction *transaction, unsigned event,
                            reef_json *json);

/* What a flow that ends spoke: app_proto and its kin, flowbits. May write nothing. */
void reef_flow_text_write(const reef_matcher *matcher, const reef_flow *flow, reef_json *json);

#endif
