#include "reef/tx_file.h"

#include <magic.h>
#include <nettle/md5.h>
#include <nettle/sha1.h>
#include <nettle/sha2.h>
#include <stdlib.h>
#include <string.h>

#include "reef/limits.h"
#include "reef/status.h"

struct reef_files {
    reef_file_wants wants;
    reef_filestore *store;
    magic_t magic;
};

typedef struct digests {
    struct md5_ctx md5_state;
    struct sha1_ctx sha1_state;
    struct sha256_ctx sha256_state;
    uint8_t md5[MD5_DIGEST_SIZE], sha1[SHA1_DIGEST_SIZE], sha256[SHA256_DIGEST_SIZE];
} digests;

struct reef_tx_file {
    reef_tx_file *next;
    reef_view name;
    reef_view magic; /* in the transaction's arena, as the name */
    uint64_t number; /* of the transaction */
    uint64_t start, end; /* of a range; end 0: it is none */
    reef_body body;
    reef_body_limits limits;
    uint8_t *head; /* first bytes, for the kind of file */
    uint32_t head_length;
    digests *digests;
    reef_stored *stored;
    uint64_t store_limit;
    uint32_t sid[REEF_TX_FILE_SIDS_MAX];
    uint8_t sids;
    uint8_t state; /* reef_tx_file_state */
    uint8_t direction;
    bool gaps, logged, keep, kept;
    bool wants_data, wants_magic, wants_md5, wants_sha1, wants_sha256;
};

/* --- of a worker -------------------------------------------------------------------------------------- */

static int open_magic(reef_files *files)
{
    if (!files->wants.magic || files->magic != NULL)
        return REEF_OK;
    files->magic = magic_open(MAGIC_NO_CHECK_COMPRESS | MAGIC_NO_CHECK_ELF); /* neither unpacked nor walked through: cheap and small */
    if (files->magic == NULL)
        return REEF_NOMEM;
    return magic_load(files->magic, NULL) == 0 ? REEF_OK : REEF_SYSTEM;
}

int reef_files_new(const reef_file_wants *wants, reef_filestore *store, reef_files **out)
{
    *out = NULL;
    reef_files *files = calloc(1, sizeof *files);
    if (files == NULL)
        return REEF_NOMEM;
    files->store = store;
    int status = reef_files_change(files, wants);
    if (status != REEF_OK) {
        reef_files_free(files);
        return status;
    }
    *out = files;
    return REEF_OK;
}

void reef_files_free(reef_files *files)
{
    if (files == NULL)
        return;
    if (files->magic != NULL)
        magic_close(files->magic);
    free(files);
}

const reef_file_wants *reef_files_wants(const reef_files *files)
{
    return &files->wants;
}

bool reef_files_wanted(const reef_call *call)
{
    return !call->sheds_files && (call->files == NULL || call->files->wants.any);
}

void reef_files_keep(reef_files *files, reef_filestore *store)
{
    files->store = store;
}

int reef_files_change(reef_files *files, const reef_file_wants *wants)
{
    files->wants = *wants;
    return open_magic(files);
}

/* --- a file ---------------------------------------------------------------------------------------------- */

static void begin_digests(reef_memory *memory, reef_tx_file *file)
{
    if (!file->wants_md5 && !file->wants_sha1 && !file->wants_sha256)
        return;
    file->digests = reef_memory_get_raw(memory, sizeof *file->digests);
    if (file->digests == NULL) {
        file->wants_md5 = file->wants_sha1 = file->wants_sha256 = false;
        return;
    }
    md5_init(&file->digests->md5_state);
    sha1_init(&file->digests->sha1_state);
    sha256_init(&file->digests->sha256_state);
}

static void take_wants(reef_call *call, reef_tx_file *file)
{
    if (call->sheds_files)
        return;
    if (call->files == NULL) {
        file->wants_data = true;
        return;
    }
    const reef_file_wants *wants = &call->files->wants;
    file->wants_data = wants->data;
    file->wants_magic = wants->magic && call->files->magic != NULL;
    file->wants_md5 = wants->md5;
    file->wants_sha1 = wants->sha1;
    file->wants_sha256 = wants->sha256;
    if ((wants->store || wants->store_all) && call->files->store != NULL) {
        file->stored = reef_filestore_begin(call->files->store);
        file->store_limit = wants->store_limit;
        file->keep = wants->store_all;
        file->wants_sha256 = true;
    }
    begin_digests(call->memory, file);
    if (file->digests == NULL && file->stored != NULL) {
        reef_filestore_drop(file->stored);
        file->stored = NULL;
    }
}

reef_tx_file *reef_tx_file_begin(reef_call *call, reef_transaction *transaction, int direction, reef_tx_file **list,
                                 reef_view name, const reef_body_limits *limits)
{
    unsigned count = 0;
    reef_tx_file **at = list;
    for (; *at != NULL; at = &(*at)->next)
        if (++count == REEF_TX_FILES_MAX)
            return NULL;
    if (name.length > REEF_FILE_NAME_MAX)
        name.length = REEF_FILE_NAME_MAX;
    const uint8_t *kept_name = reef_arena_copy(&transaction->arena, name.data, name.length);
    reef_tx_file *file = kept_name == NULL ? NULL : reef_memory_get(call->memory, sizeof *file);
    if (file == NULL)
        return NULL;
    file->name = (reef_view){kept_name, name.length};
    file->number = transaction->number;
    file->direction = (uint8_t)direction;
    take_wants(call, file);
    if (limits != NULL)
        file->limits = *limits;
    else
        file->wants_data = false;
    *at = file;
    transaction->files_begun[direction]++;
    transaction->updated[direction] = true;
    return file;
}

void reef_tx_file_range(reef_tx_file *file, uint64_t start, uint64_t end)
{
    if (file == NULL)
        return;
    file->start = start;
    file->end = end;
}

static void find_kind(reef_call *call, reef_transaction *transaction, reef_tx_file *file)
{
    file->wants_magic = false;
    if (file->head_length == 0 || call->files == NULL || call->files->magic == NULL)
        return;
    const char *kind = magic_buffer(call->files->magic, file->head, file->head_length);
    if (kind == NULL)
        return;
    size_t length = strnlen(kind, REEF_FILE_MAGIC_TEXT_MAX);
    uint8_t *copy = reef_arena_copy(&transaction->arena, (const uint8_t *)kind, length);
    if (copy != NULL)
        file->magic = (reef_view){copy, (uint32_t)length};
    transaction->updated[file->direction] = true;
}

static void take_head(reef_call *call, reef_transaction *transaction, reef_tx_file *file, reef_view bytes)
{
    if (file->head == NULL)
        file->head = reef_memory_get_raw(call->memory, REEF_FILE_MAGIC_BYTES);
    if (file->head == NULL) {
        file->wants_magic = false;
        return;
    }
    uint32_t room = REEF_FILE_MAGIC_BYTES - file->head_length;
    uint32_t take = bytes.length < room ? bytes.length : room;
    memcpy(file->head + file->head_length, bytes.data, take);
    file->head_length += take;
    if (file->head_length == REEF_FILE_MAGIC_BYTES)
        find_kind(call, transaction, file);
}

static void take_digests(reef_tx_file *file, reef_view bytes)
{
    if (file->wants_md5)
        md5_update(&file->digests->md5_state, bytes.length, bytes.data);
    if (file->wants_sha1)
        sha1_update(&file->digests->sha1_state, bytes.length, bytes.data);
    if (file->wants_sha256)
        sha256_update(&file->digests->sha256_state, bytes.length, bytes.data);
}

static void give_up_store(reef_tx_file *file)
{
    if (file->stored != NULL)
        reef_filestore_drop(file->stored);
    file->stored = NULL;
}

static void take_store(reef_tx_file *file, reef_view bytes)
{
    if (file->store_limit != 0 && file->body.size > file->store_limit)
        give_up_store(file);
    else if (!reef_filestore_add(file->stored, bytes))
        file->stored = NULL;
}

void reef_tx_file_bytes(reef_call *call, reef_transaction *transaction, reef_tx_file *file, reef_view bytes)
{
    if (file == NULL || file->state != REEF_TX_FILE_OPEN || bytes.length == 0)
        return;
    if (!file->wants_data)
        file->body.size += bytes.length;
    else if (reef_body_add(&file->body, call->memory, &file->limits, bytes))
        reef_transaction_window(transaction, file->direction);
    if (file->wants_magic)
        take_head(call, transaction, file, bytes);
    if (file->digests != NULL)
        take_digests(file, bytes);
    if (file->stored != NULL)
        take_store(file, bytes);
}

void reef_tx_file_gap(reef_call *call, reef_transaction *transaction, reef_tx_file *file, uint32_t missing)
{
    if (file == NULL || file->state != REEF_TX_FILE_OPEN || missing == 0)
        return;
    file->gaps = true;
    if (!file->wants_data)
        file->body.size += missing;
    else if (reef_body_gap(&file->body, call->memory, &file->limits, missing))
        reef_transaction_window(transaction, file->direction);
    if (file->wants_magic)
        find_kind(call, transaction, file);
    file->wants_md5 = file->wants_sha1 = file->wants_sha256 = false; /* of what, is not known */
    give_up_store(file);
}

static void end_digests(reef_tx_file *file)
{
    if (file->wants_md5)
        md5_digest(&file->digests->md5_state, sizeof file->digests->md5, file->digests->md5);
    if (file->wants_sha1)
        sha1_digest(&file->digests->sha1_state, sizeof file->digests->sha1, file->digests->sha1);
    if (file->wants_sha256)
        sha256_digest(&file->digests->sha256_state, sizeof file->digests->sha256, file->digests->sha256);
}

void reef_tx_file_end(reef_call *call, reef_transaction *transaction, reef_tx_file *file, reef_tx_file_state state)
{
    if (file == NULL || file->state != REEF_TX_FILE_OPEN || state == REEF_TX_FILE_OPEN)
        return;
    file->state = (uint8_t)state;
    if (file->wants_magic)
        find_kind(call, transaction, file);
    if (file->digests != NULL)
        end_digests(file);
    if (file->wants_data && reef_body_end(&file->body, &file->limits))
        reef_transaction_window(transaction, file->direction);
    transaction->files_ended = true;
    transaction->updated[file->direction] = true;
}

void reef_tx_file_free_list(reef_memory *memory, reef_tx_file *list)
{
    for (reef_tx_file *next, *file = list; file != NULL; file = next) {
        next = file->next;
        reef_body_free(&file->body, memory);
        reef_memory_give(memory, file->head, REEF_FILE_MAGIC_BYTES);
        reef_memory_give(memory, file->digests, sizeof *file->digests);
        give_up_store(file);
        reef_memory_give(memory, file, sizeof *file);
    }
}

reef_tx_file *reef_tx_file_next(const reef_tx_file *file)
{
    return file->next;
}

/* --- for rules ----------------------------------------------------------------------------------------------- */

static bool whole(const uint8_t *data, uint32_t length, reef_buffer *out)
{
    *out = (reef_buffer){.bytes = {data, length}, .end = true};
    return true;
}

static bool buffer_of(const reef_tx_file *file, unsigned kind, reef_buffer *out)
{
    bool closed = file->state == REEF_TX_FILE_CLOSED;
    if (file->logged)
        return false; /* it is over: what rules see now are the files after it */
    switch (kind) {
    case REEF_BUFFER_FILE_DATA:
        return reef_body_window(&file->body, &file->limits, out);
    case REEF_BUFFER_FILE_NAME:
        return file->name.length > 0 && whole(file->name.data, file->name.length, out);
    case REEF_BUFFER_FILE_MAGIC:
        return file->magic.length > 0 && whole(file->magic.data, file->magic.length, out);
    case REEF_BUFFER_FILE_MD5:
        return file->wants_md5 && closed && whole(file->digests->md5, sizeof file->digests->md5, out);
    case REEF_BUFFER_FILE_SHA1:
        return file->wants_sha1 && closed && whole(file->digests->sha1, sizeof file->digests->sha1, out);
    case REEF_BUFFER_FILE_SHA256:
        return file->wants_sha256 && closed && whole(file->digests->sha256, sizeof file->digests->sha256, out);
    default:
        return false;
    }
}

/* Files that have nothing to show are passed over: indexes stay dense. */
bool reef_tx_file_buffer(const reef_tx_file *list, unsigned kind, unsigned index, reef_buffer *out)
{
    for (const reef_tx_file *file = list; file != NULL; file = file->next)
        if (buffer_of(file, kind, out) && index-- == 0)
            return true;
    return false;
}

bool reef_tx_file_value(const reef_tx_file *list, unsigned kind, unsigned index, uint64_t *out)
{
    if (kind != REEF_VALUE_FILESIZE)
        return false;
    for (const reef_tx_file *file = list; file != NULL; file = file->next)
        if (file->state == REEF_TX_FILE_CLOSED && !file->logged && index-- == 0) {
            *out = file->body.size;
            return true;
        }
    return false;
}

void reef_tx_file_inspected(reef_memory *memory, reef_tx_file *list)
{
    for (reef_tx_file *file = list; file != NULL; file = file->next)
        reef_body_inspected(&file->body, memory, &file->limits);
}

void reef_tx_file_keep(reef_tx_file *list, uint32_t sid)
{
    for (reef_tx_file *file = list; file != NULL; file = file->next) {
        file->keep = true;
        bool known = false;
        for (unsigned i = 0; i < file->sids; i++)
            known = known || file->sid[i] == sid;
        if (!known && file->sids < REEF_TX_FILE_SIDS_MAX)
            file->sid[file->sids++] = sid;
    }
}

/* --- for events ------------------------------------------------------------------------------------------------- */

static void write_hex(reef_json *json, const char *key, const uint8_t *data, unsigned length)
{
    char text[2 * SHA256_DIGEST_SIZE + 1];
    for (unsigned i = 0; i < length; i++) {
        text[2 * i] = "0123456789abcdef"[data[i] >> 4];
        text[2 * i + 1] = "0123456789abcdef"[data[i] & 15];
    }
    text[2 * length] = 0;
    reef_json_text(json, key, text);
}

void reef_tx_file_write(const reef_tx_file *file, reef_json *json)
{
    static const char *const states[] = {"UNKNOWN", "CLOSED", "TRUNCATED"};
    bool ended = file->state != REEF_TX_FILE_OPEN;
    reef_json_bytes(json, "filename", file->name.data, file->name.length, REEF_FILE_NAME_MAX);
    if (file->sids > 0) {
        reef_json_open(json, "sid", '[');
        for (unsigned i = 0; i < file->sids; i++)
            reef_json_number(json, NULL, file->sid[i]);
        reef_json_close(json, ']');
    }
    if (file->magic.length > 0)
        reef_json_bytes(json, "magic", file->magic.data, file->magic.length, REEF_FILE_MAGIC_TEXT_MAX);
    reef_json_bool(json, "gaps", file->gaps);
    reef_json_text(json, "state", states[file->state]);
    if (file->wants_md5 && file->state == REEF_TX_FILE_CLOSED)
        write_hex(json, "md5", file->digests->md5, sizeof file->digests->md5);
    if (file->wants_sha1 && file->state == REEF_TX_FILE_CLOSED)
        write_hex(json, "sha1", file->digests->sha1, sizeof file->digests->sha1);
    if (file->wants_sha256 && ended)
        write_hex(json, "sha256", file->digests->sha256, sizeof file->digests->sha256);
    reef_json_bool(json, "stored", file->kept);
    reef_json_number(json, "size", file->body.size);
    if (file->end > 0) {
        reef_json_number(json, "start", file->start);
        reef_json_number(json, "end", file->end);
    }
    reef_json_number(json, "tx_id", file->number);
}

void reef_tx_file_write_list(const reef_tx_file *list, reef_json *json)
{
    while (list != NULL && list->logged)
        list = list->next;
    if (list == NULL)
        return;
    reef_json_open(json, "files", '[');
    for (const reef_tx_file *file = list; file != NULL; file = file->next) {
        if (file->logged)
            continue;
        reef_json_open(json, NULL, '{');
        reef_tx_file_write(file, json);
        reef_json_close(json, '}');
    }
    reef_json_close(json, ']');
}

/* Only now is it known whether a rule wants it kept: detection has seen the end of the file. */
static void settle_store(reef_tx_file *file)
{
    if (file->stored == NULL)
        return;
    if (!file->keep || file->state == REEF_TX_FILE_OPEN) {
        give_up_store(file);
        return;
    }
    file->kept = reef_filestore_keep(file->stored, file->digests->sha256);
    file->stored = NULL;
}

reef_tx_file *reef_tx_file_to_log(reef_tx_file *list, bool all)
{
    for (reef_tx_file *file = list; file != NULL; file = file->next)
        if (!file->logged && (all || file->state != REEF_TX_FILE_OPEN)) {
            file->logged = true;
            settle_store(file);
            return file;
        }
    return NULL;
}
