/* What the files of SMTP share. */
#ifndef REEF_SMTP_INTERNAL_H
#define REEF_SMTP_INTERNAL_H

#include "lines.h"
#include "mime.h"
#include "reef/limits.h"
#include "reef/protocol.h"
#include "reef/tx_file.h"

typedef enum smtp_event {
    SMTP_INVALID_REPLY,
    SMTP_UNABLE_TO_MATCH_REPLY_WITH_REQUEST,
    SMTP_MAX_COMMAND_LINE_LEN_EXCEEDED,
    SMTP_MAX_REPLY_LINE_LEN_EXCEEDED,
    SMTP_INVALID_PIPELINED_SEQUENCE,
    SMTP_BDAT_CHUNK_LEN_EXCEEDED,
    SMTP_NO_SERVER_WELCOME_MESSAGE,
    SMTP_TLS_REJECTED,
    SMTP_DATA_COMMAND_REJECTED,
    SMTP_MIME_PARSE_FAILED,
    SMTP_MIME_MALFORMED_MSG,
    SMTP_MIME_INVALID_BASE64,
    SMTP_MIME_INVALID_QP,
    SMTP_MIME_LONG_LINE,
    SMTP_MIME_LONG_ENC_LINE,
    SMTP_MIME_LONG_HEADER_NAME,
    SMTP_MIME_LONG_HEADER_VALUE,
    SMTP_MIME_LONG_BOUNDARY,
    SMTP_MIME_LONG_FILENAME,
    SMTP_DUPLICATE_FIELDS,
    SMTP_UNPARSABLE_CONTENT,
    SMTP_TRUNCATED_LINE,
    SMTP_EVENTS_COUNT,
} smtp_event;

/* Texts of one kind, in the transaction's arena, oldest first. */
typedef struct smtp_text {
    struct smtp_text *next;
    reef_view text;
} smtp_text;

typedef struct smtp_list {
    smtp_text *first, *last;
    uint32_t count;
} smtp_list;

typedef enum smtp_field {
    SMTP_FROM,
    SMTP_TO,
    SMTP_CC,
    SMTP_SUBJECT,
    SMTP_DATE,
    SMTP_MESSAGE_ID,
    SMTP_X_MAILER,
    SMTP_FIELDS_COUNT,
} smtp_field;

typedef struct smtp_transaction {
    reef_transaction common;
    bool done;
    bool has_mail_from;
    bool unparsable;  /* another mail began within this one */
    uint8_t mime_status; /* reef_mime_status, kept when the parser is gone */
    reef_view mail_from;
    smtp_list recipients, attachments, urls, received;
    reef_view field[SMTP_FIELDS_COUNT];
    reef_mime *mime;
    bool has_mime; /* there is a message, whether its parser is still there or not */
    reef_tx_file *files, *file; /* file: the one that comes */
} smtp_transaction;

typedef enum smtp_command {
    SMTP_COMMAND_OTHER,
    SMTP_COMMAND_STARTTLS,
    SMTP_COMMAND_DATA,
    SMTP_COMMAND_BDAT,
    SMTP_COMMAND_MAIL, /* not a command: the end of the mail, which has a reply of its own */
    SMTP_COMMAND_RSET,
} smtp_command;

typedef struct smtp_state {
    reef_lines lines[2];
    reef_lines chunk_lines; /* of BDAT: its bytes are no lines of the conversation */
    smtp_transaction *current; /* NULL: none, or it left */
    uint8_t *helo;
    uint32_t helo_length;
    uint64_t chunk_left; /* bytes of a BDAT chunk */
    bool chunk_last, chunk_mid_line;
    bool in_data;        /* what the client sends is mail */
    bool has_helo, first_reply, multi_line, pipelining, cut; /* cut: the rest of a too long line is passed over */
    bool reply_cut;
    uint8_t command;     /* smtp_command */
    uint32_t command_at, commands_count;
    uint8_t commands[REEF_SMTP_COMMANDS_MAX];
} smtp_state;

bool smtp_list_add(smtp_transaction *transaction, smtp_list *list, uint32_t limit, reef_view text);

/* The message of a transaction (smtp_mail.c). */
void smtp_mail_begin(reef_call *call, smtp_transaction *transaction);
void smtp_mail_line(reef_call *call, smtp_transaction *transaction, const reef_line *line);
void smtp_mail_flush(reef_call *call, smtp_transaction *transaction);
void smtp_mail_end(reef_call *call, smtp_transaction *transaction, bool whole);

/* What rules and events see of it (smtp_view.c). */
bool smtp_buffer(const reef_session *session, const reef_transaction *common, int direction, unsigned kind, unsigned index,
                 reef_buffer *out);
bool smtp_value(const reef_session *session, const reef_transaction *common, int direction, unsigned kind, unsigned index,
                uint64_t *out);
void smtp_inspected(reef_session *session, reef_transaction *common, int direction);
reef_tx_file *smtp_files(const reef_session *session, const reef_transaction *common, int direction);
bool smtp_write(const reef_session *session, const reef_transaction *common, reef_log which, reef_json *json);
void smtp_write_beside(const reef_session *session, const reef_transaction *common, reef_log which, reef_json *json);

#endif
