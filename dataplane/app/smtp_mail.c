/* The message that a transaction carries: what MIME tells becomes files, fields and events. */
#include <string.h>
#include <strings.h>

#include "smtp_internal.h"

/* Suricata's inspected-tracker of SMTP. */
static const reef_body_limits file_limits = {.limit = 100000, .minimal = 32768, .window = 4096};

typedef struct mail_context {
    reef_call *call;
    smtp_transaction *transaction;
} mail_context;

bool smtp_list_add(smtp_transaction *transaction, smtp_list *list, uint32_t limit, reef_view text)
{
    if (list->count >= limit)
        return false;
    smtp_text *entry = reef_arena_get(&transaction->common.arena, sizeof *entry);
    uint8_t *copy = entry != NULL ? reef_arena_copy(&transaction->common.arena, text.data, text.length) : NULL;
    if (copy == NULL)
        return false;
    *entry = (smtp_text){.text = {copy, text.length}};
    if (list->last != NULL)
        list->last->next = entry;
    else
        list->first = entry;
    list->last = entry;
    list->count++;
    return true;
}

static void on_header(void *context, reef_view name, reef_view value)
{
    static const char *const names[SMTP_FIELDS_COUNT] = {"from", "to", "cc", "subject", "date", "message-id", "x-mailer"};
    smtp_transaction *transaction = ((mail_context *)context)->transaction;
    if (name.length == 8 && strncasecmp((const char *)name.data, "received", 8) == 0) {
        (void)smtp_list_add(transaction, &transaction->received, REEF_SMTP_RECIPIENTS_MAX, value);
        return;
    }
    for (unsigned i = 0; i < SMTP_FIELDS_COUNT; i++) {
        if (name.length != strlen(names[i]) || strncasecmp((const char *)name.data, names[i], name.length) != 0)
            continue;
        if (transaction->field[i].data != NULL)
            return; /* the first one counts */
        const uint8_t *copy = reef_arena_copy(&transaction->common.arena, value.data, value.length);
        if (copy != NULL)
            transaction->field[i] = (reef_view){copy, value.length};
        transaction->common.updated[REEF_TO_SERVER] = true;
        return;
    }
}

static void on_file_begin(void *context, reef_view name)
{
    mail_context *mail = context;
    smtp_transaction *transaction = mail->transaction;
    (void)smtp_list_add(transaction, &transaction->attachments, REEF_TX_FILES_MAX, name);
    transaction->file = reef_tx_file_begin(mail->call, &transaction->common, REEF_TO_SERVER, &transaction->files, name, &file_limits);
}

static void on_file_bytes(void *context, reef_view bytes)
{
    mail_context *mail = context;
    reef_tx_file_bytes(mail->call, &mail->transaction->common, mail->transaction->file, bytes);
}

static void on_file_end(void *context, bool whole)
{
    mail_context *mail = context;
    reef_tx_file_end(mail->call, &mail->transaction->common, mail->transaction->file,
                     whole ? REEF_TX_FILE_CLOSED : REEF_TX_FILE_TRUNCATED);
    mail->transaction->file = NULL;
}

static void on_url(void *context, reef_view url)
{
    smtp_transaction *transaction = ((mail_context *)context)->transaction;
    for (const smtp_text *known = transaction->urls.first; known != NULL; known = known->next)
        if (known->text.length == url.length && memcmp(known->text.data, url.data, url.length) == 0)
            return;
    if (smtp_list_add(transaction, &transaction->urls, REEF_MIME_URLS_MAX, url))
        transaction->common.updated[REEF_TO_SERVER] = true;
}

static const reef_mime_sink sink = {on_header, on_file_begin, on_file_bytes, on_file_end, on_url};

static void tell_anomalies(reef_call *call, smtp_transaction *transaction)
{
    static const struct { uint16_t anomaly, event; } events[] = {
        {REEF_MIME_INVALID_BASE64, SMTP_MIME_INVALID_BASE64},
        {REEF_MIME_INVALID_QP, SMTP_MIME_INVALID_QP},
        {REEF_MIME_LONG_LINE, SMTP_MIME_LONG_LINE},
        {REEF_MIME_LONG_ENCODED_LINE, SMTP_MIME_LONG_ENC_LINE},
        {REEF_MIME_LONG_HEADER_NAME, SMTP_MIME_LONG_HEADER_NAME},
        {REEF_MIME_LONG_HEADER_VALUE, SMTP_MIME_LONG_HEADER_VALUE},
        {REEF_MIME_MALFORMED, SMTP_MIME_MALFORMED_MSG},
        {REEF_MIME_LONG_BOUNDARY, SMTP_MIME_LONG_BOUNDARY},
        {REEF_MIME_LONG_FILENAME, SMTP_MIME_LONG_FILENAME},
    };
    unsigned anomalies = reef_mime_anomalies(transaction->mime);
    for (unsigned i = 0; anomalies != 0 && i < sizeof events / sizeof events[0]; i++)
        if (anomalies & events[i].anomaly)
            reef_transaction_event(call, &transaction->common, events[i].event);
}

void smtp_mail_begin(reef_call *call, smtp_transaction *transaction)
{
    transaction->has_mime = true;
    transaction->mime = reef_mime_new(call->memory, &sink, NULL);
    if (transaction->mime == NULL)
        transaction->mime_status = REEF_MIME_FAILED;
}

void smtp_mail_line(reef_call *call, smtp_transaction *transaction, const reef_line *line)
{
    if (transaction->mime == NULL)
        return;
    mail_context context = {call, transaction};
    reef_mime_context(transaction->mime, &context);
    reef_mime_line(transaction->mime, line);
    if (reef_mime_state(transaction->mime) == REEF_MIME_FAILED)
        smtp_mail_end(call, transaction, false);
}

void smtp_mail_flush(reef_call *call, smtp_transaction *transaction)
{
    if (transaction->mime == NULL)
        return;
    mail_context context = {call, transaction};
    reef_mime_context(transaction->mime, &context);
    reef_mime_flush(transaction->mime);
    transaction->mime_status = (uint8_t)reef_mime_state(transaction->mime);
}

void smtp_mail_end(reef_call *call, smtp_transaction *transaction, bool whole)
{
    if (transaction->mime == NULL)
        return;
    mail_context context = {call, transaction};
    reef_mime_context(transaction->mime, &context);
    bool failed = reef_mime_state(transaction->mime) == REEF_MIME_FAILED;
    reef_mime_end(transaction->mime, whole);
    tell_anomalies(call, transaction);
    if (failed)
        reef_transaction_event(call, &transaction->common, SMTP_MIME_PARSE_FAILED);
    transaction->mime_status = (uint8_t)reef_mime_state(transaction->mime);
    reef_mime_free(transaction->mime, call->memory);
    transaction->mime = NULL;
}
