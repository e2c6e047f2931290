/* tx_file: a file that is carried in a transaction (HTTP body, MIME attachment, FTP data): its name, size, digests, kind,
 * and its bytes as file.data. Digests are made only when somebody asks for them. */
#ifndef REEF_TX_FILE_H
#define REEF_TX_FILE_H

#include "reef/body.h"
#include "reef/filestore.h"
#include "reef/json.h"
#include "reef/session.h"

typedef enum reef_tx_file_state { REEF_TX_FILE_OPEN, REEF_TX_FILE_CLOSED, REEF_TX_FILE_TRUNCATED } reef_tx_file_state;

typedef struct reef_tx_file reef_tx_file;

/* What is wanted of every file of a worker; the rules and the policy say it. */
typedef struct reef_file_wants {
    bool data;               /* a rule looks at file.data (or a body that is one) */
    bool magic, md5, sha1, sha256;
    bool store;              /* a rule may ask for the bytes: they go to the store while they come */
    bool store_all;          /* every file is kept */
    uint64_t store_limit;    /* bytes of one file; 0: no limit but the store's */
    bool any;                /* somebody is told anything of bodies and files (rules, events), if only how large they are */
} reef_file_wants;

/* What the files of one worker share: the wants, the table of kinds of files, the store. */
typedef struct reef_files reef_files;

/* `store` may be NULL and is borrowed. Reads the system's table of kinds when `wants` asks for it: before privileges go. */
int reef_files_new(const reef_file_wants *wants, reef_filestore *store, reef_files **out);
void reef_files_free(reef_files *files);
const reef_file_wants *reef_files_wants(const reef_files *files);
/* False: whatever is in bodies and files, nobody learns it: they need not even be unpacked. */
bool reef_files_wanted(const reef_call *call);
/* Files that begin from now on go there, or with NULL nowhere. */
void reef_files_keep(reef_files *files, reef_filestore *store);
/* Other rules want other things of the files that begin from now on. */
int reef_files_change(reef_files *files, const reef_file_wants *wants);

/* Begin a file of a transaction; NULL at the limits. `list` is where the transaction keeps its files of this direction.
 * `limits` NULL: its bytes are a body that the protocol keeps itself, and answers file.data with.
 * The functions below take NULL for a file that could not begin. */
reef_tx_file *reef_tx_file_begin(reef_call *call, reef_transaction *transaction, int direction, reef_tx_file **list,
                                 reef_view name, const reef_body_limits *limits);
void reef_tx_file_bytes(reef_call *call, reef_transaction *transaction, reef_tx_file *file, reef_view bytes);
/* A hole of `missing` bytes. */
void reef_tx_file_gap(reef_call *call, reef_transaction *transaction, reef_tx_file *file, uint32_t missing);
/* The second end of a file is nothing. */
void reef_tx_file_end(reef_call *call, reef_transaction *transaction, reef_tx_file *file, reef_tx_file_state state);
/* The file is bytes `start` to `end` (inclusive) of a larger one. */
void reef_tx_file_range(reef_tx_file *file, uint64_t start, uint64_t end);
void reef_tx_file_free_list(reef_memory *memory, reef_tx_file *list);

/* What protocols answer for REEF_BUFFER_FILE_* and REEF_VALUE_FILESIZE. A file whose "fileinfo" was written is over: rules are
 * asked again for the files after it, and alerts name those. */
bool reef_tx_file_buffer(const reef_tx_file *list, unsigned kind, unsigned index, reef_buffer *out);
bool reef_tx_file_value(const reef_tx_file *list, unsigned kind, unsigned index, uint64_t *out);
void reef_tx_file_inspected(reef_memory *memory, reef_tx_file *list);
/* A rule with filestore matched in the transaction: keep its files. `sid` is written in their "fileinfo". */
void reef_tx_file_keep(reef_tx_file *list, uint32_t sid);

/* "files": [...] of alerts (nothing where all are over); and the members of one "fileinfo". */
void reef_tx_file_write_list(const reef_tx_file *list, reef_json *json);
void reef_tx_file_write(const reef_tx_file *file, reef_json *json);
/* The next file whose "fileinfo" is due: ended, or `all` at the end of the flow; each once. NULL: none. */
reef_tx_file *reef_tx_file_to_log(reef_tx_file *list, bool all);
reef_tx_file *reef_tx_file_next(const reef_tx_file *file);

#endif
