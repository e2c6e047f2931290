/* tx_file: a file that is carried in a transaction (HTTP body, MIME attachment, FTP data): its name, size, digests, kind,
 * and its bytes as file.data. Digests are made only when somebody asks for them. */
#ifndef REEF_TX_FILE_H
#define REEF_TX_FILE_H

#include "reef/body.h"
#include "reef/json.h"
#include "reef/session.h"

typedef enum reef_tx_file_state { REEF_TX_FILE_OPEN, REEF_TX_FILE_CLOSED, REEF_TX_FILE_TRUNCATED } reef_tx_file_state;

typedef struct reef_tx_file reef_tx_file;

/* What is wanted of every file of a worker; the rules and the policy say it. */
typedef struct reef_file_wants {
    bool magic, md5, sha1, sha256;
    bool store;              /* keep the bytes for extraction */
    uint64_t store_limit;    /* bytes of one file */
} reef_file_wants;

/* Begin a file of a transaction; NULL at the limits. `list` is where the transaction keeps its files of this direction. */
reef_tx_file *reef_tx_file_begin(reef_call *call, reef_transaction *transaction, int direction, reef_tx_file **list,
                                 reef_view name, const reef_body_limits *limits);
void reef_tx_file_bytes(reef_call *call, reef_transaction *transaction, reef_tx_file *file, reef_view bytes);
/* A hole of `missing` bytes. */
void reef_tx_file_gap(reef_call *call, reef_transaction *transaction, reef_tx_file *file, uint32_t missing);
void reef_tx_file_end(reef_call *call, reef_transaction *transaction, reef_tx_file *file, reef_tx_file_state state);
void reef_tx_file_free_list(reef_memory *memory, reef_tx_file *list);

/* What protocols answer for REEF_BUFFER_FILE_* and REEF_VALUE_FILESIZE. */
bool reef_tx_file_buffer(const reef_tx_file *list, unsigned kind, unsigned index, reef_buffer *out);
bool reef_tx_file_value(const reef_tx_file *list, unsigned kind, unsigned index, uint64_t *out);
void reef_tx_file_inspected(reef_memory *memory, reef_tx_file *list);
/* "files": [...] of alerts; and the members of one "fileinfo". */
void reef_tx_file_write_list(const reef_tx_file *list, reef_json *json);
void reef_tx_file_write(const reef_tx_file *file, reef_json *json);
reef_tx_file *reef_tx_file_next(const reef_tx_file *file);

#endif
