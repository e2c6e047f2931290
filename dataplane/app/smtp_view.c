/* What rules and events see of SMTP. */
#include <string.h>

#include "smtp_internal.h"

static bool whole(reef_view text, reef_buffer *out)
{
    *out = (reef_buffer){.bytes = text, .end = true};
    return text.data != NULL;
}

static bool nth(const smtp_list *list, unsigned index, reef_buffer *out)
{
    for (const smtp_text *entry = list->first; entry != NULL; entry = entry->next)
        if (index-- == 0)
            return whole(entry->text, out);
    return false;
}

bool smtp_buffer(const reef_session *session, const reef_transaction *common, int direction, unsigned kind, unsigned index,
                 reef_buffer *out)
{
    const smtp_state *state = session->state;
    const smtp_transaction *transaction = (const smtp_transaction *)common;
    if (direction != REEF_TO_SERVER)
        return false;
    switch (kind) {
    case REEF_BUFFER_SMTP_HELO: return whole((reef_view){state->helo, state->helo_length}, out);
    case REEF_BUFFER_SMTP_MAIL_FROM: return whole(transaction->mail_from, out);
    case REEF_BUFFER_SMTP_RCPT_TO: return nth(&transaction->recipients, index, out);
    case REEF_BUFFER_EMAIL_FROM: return whole(transaction->field[SMTP_FROM], out);
    case REEF_BUFFER_EMAIL_SUBJECT: return whole(transaction->field[SMTP_SUBJECT], out);
    case REEF_BUFFER_EMAIL_TO: return whole(transaction->field[SMTP_TO], out);
    case REEF_BUFFER_EMAIL_CC: return whole(transaction->field[SMTP_CC], out);
    case REEF_BUFFER_EMAIL_DATE: return whole(transaction->field[SMTP_DATE], out);
    case REEF_BUFFER_EMAIL_MESSAGE_ID: return whole(transaction->field[SMTP_MESSAGE_ID], out);
    case REEF_BUFFER_EMAIL_X_MAILER: return whole(transaction->field[SMTP_X_MAILER], out);
    case REEF_BUFFER_EMAIL_URL: return nth(&transaction->urls, index, out);
    case REEF_BUFFER_EMAIL_RECEIVED: return nth(&transaction->received, index, out);
    default: return reef_tx_file_buffer(transaction->files, kind, index, out);
    }
}

bool smtp_value(const reef_session *session, const reef_transaction *common, int direction, unsigned kind, unsigned index,
                uint64_t *out)
{
    (void)session;
    return direction == REEF_TO_SERVER && reef_tx_file_value(((const smtp_transaction *)common)->files, kind, index, out);
}

void smtp_inspected(reef_session *session, reef_transaction *common, int direction)
{
    (void)session;
    if (direction == REEF_TO_SERVER)
        reef_tx_file_inspected(common->arena.memory, ((smtp_transaction *)common)->files);
}

reef_tx_file *smtp_files(const reef_session *session, const reef_transaction *common, int direction)
{
    (void)session;
    return direction == REEF_TO_SERVER ? ((const smtp_transaction *)common)->files : NULL;
}

static void write_text(reef_json *json, const char *key, reef_view text)
{
    if (text.data != NULL)
        reef_json_bytes(json, key, text.data, text.length, REEF_MIME_HEADER_MAX);
}

static void write_list(reef_json *json, const char *key, const smtp_list *list)
{
    if (list->first == NULL)
        return;
    reef_json_open(json, key, '[');
    for (const smtp_text *entry = list->first; entry != NULL; entry = entry->next)
        reef_json_bytes(json, NULL, entry->text.data, entry->text.length, REEF_MIME_URL_MAX);
    reef_json_close(json, ']');
}

/* Addresses with commas between them. */
static void write_addresses(reef_json *json, const char *key, reef_view text)
{
    if (text.length == 0)
        return;
    reef_json_open(json, key, '[');
    bool quoted = false;
    for (uint32_t at = 0, from = 0; at <= text.length; at++) {
        if (at < text.length && text.data[at] == '"')
            quoted = !quoted;
        if (at < text.length && (text.data[at] != ',' || quoted))
            continue;
        while (from < at && (text.data[from] == ' ' || text.data[from] == '\t'))
            from++;
        reef_json_bytes(json, NULL, text.data + from, at - from, REEF_MIME_URL_MAX);
        from = at + 1;
    }
    reef_json_close(json, ']');
}

bool smtp_write(const reef_session *session, const reef_transaction *common, reef_log which, reef_json *json)
{
    const smtp_state *state = session->state;
    const smtp_transaction *transaction = (const smtp_transaction *)common;
    (void)which;
    write_text(json, "helo", (reef_view){state->helo, state->helo_length});
    write_text(json, "mail_from", transaction->mail_from);
    write_list(json, "rcpt_to", &transaction->recipients);
    return true;
}

static const char *status_of(const smtp_transaction *transaction)
{
    if (transaction->unparsable)
        return "PARSE_ERROR";
    switch (transaction->mime_status) {
    case REEF_MIME_HEADER: return "HEADER_STARTED";
    case REEF_MIME_BODY: return "BODY_STARTED";
    case REEF_MIME_DONE: return "PARSE_DONE";
    default: return "PARSE_ERROR";
    }
}

void smtp_write_beside(const reef_session *session, const reef_transaction *common, reef_log which, reef_json *json)
{
    const smtp_transaction *transaction = (const smtp_transaction *)common;
    (void)session;
    (void)which;
    if (!transaction->has_mime)
        return;
    reef_json_open(json, "email", '{');
    reef_json_text(json, "status", status_of(transaction));
    write_text(json, "from", transaction->field[SMTP_FROM]);
    write_addresses(json, "to", transaction->field[SMTP_TO]);
    write_addresses(json, "cc", transaction->field[SMTP_CC]);
    write_text(json, "subject", transaction->field[SMTP_SUBJECT]);
    write_text(json, "date", transaction->field[SMTP_DATE]);
    write_text(json, "message_id", transaction->field[SMTP_MESSAGE_ID]);
    write_text(json, "x_mailer", transaction->field[SMTP_X_MAILER]);
    write_list(json, "attachment", &transaction->attachments);
    write_list(json, "url", &transaction->urls);
    reef_json_close(json, '}');
}
