/* What the files of the SMB parser share (MS-CIFS, MS-SMB2). */
#ifndef REEF_SMB_INTERNAL_H
#define REEF_SMB_INTERNAL_H

#include "dcerpc_pdu.h"
#include "piece.h"
#include "reef/bytes.h"
#include "reef/limits.h"
#include "reef/protocol.h"
#include "reef/tx_file.h"

enum { SMB_OPEN, SMB_ASKED, SMB_DONE }; /* progress of a direction: what a tree is, its answer tells */
enum { SMB_EV_MALFORMED_DATA, SMB_EV_RECORD_OVERFLOW, SMB_EV_FILE_OVERLAP, SMB_EV_RESPONSE_TO_SERVER, SMB_EV_REQUEST_TO_CLIENT,
       SMB_EVENTS };

typedef enum smb_kind { SMB_GENERIC, SMB_TREE, SMB_CREATE, SMB_RPC, SMB_FILE } smb_kind;

/* What a request names and its answer does not: a message and what it is about. */
typedef struct smb_key {
    uint64_t session, message;
    uint32_t tree;
    uint16_t command; /* of SMB1: 0x100 | command */
} smb_key;

typedef struct smb_transaction {
    reef_transaction common;
    smb_key key;
    uint8_t kind;      /* smb_kind */
    bool answered, is_pipe, from_pipe;
    uint32_t status;
    reef_view name;    /* of the tree or file; UTF-8, in the arena */
    uint64_t handle[2]; /* of the file a request is about, as its answer does not name it */
    /* SMB_RPC */
    uint32_t call;
    uint16_t context, operation;
    uint8_t request, response; /* types; 0xff: none */
    dcerpc_stub stub[2];
    /* SMB_FILE */
    int way;           /* whose bytes the file's are */
    uint64_t next;     /* offset of the byte expected next */
    reef_tx_file *files[2], *file;
    /* A read: where its bytes belong */
    uint64_t offset;
} smb_transaction;

enum { SMB_NO_TYPE = 0xff };

/* A tree or a file that is open. */
typedef struct smb_open {
    uint64_t id[2];
    uint32_t tree;
    bool is_pipe, is_tree;
    uint16_t name_length;
    char name[REEF_SMB_NAME_MAX];
} smb_open;

typedef struct smb_open_slot {
    smb_open *open;
    uint32_t size;
} smb_open_slot;

typedef struct smb_side {
    reef_piece held;
    uint32_t skip;            /* bytes of a message that nobody looks at */
    uint32_t body;            /* bytes of a file that come still within this message */
    bool noted;               /* rules were told of the message that is not whole yet */
    smb_transaction *file;    /* theirs */
    reef_piece rpc;           /* a fragment that is not whole, within a pipe */
} smb_side;

typedef struct smb_state {
    smb_side side[2];
    dcerpc_interfaces interfaces;
    smb_open_slot *opens;
    uint32_t opens_count, opens_capacity;
    uint16_t dialect; /* 0: not known */
    bool second_version; /* SMB2 or 3 */
} smb_state;

/* One message. */
typedef struct smb_message {
    reef_view bytes;   /* of it, or its beginning when it is long */
    uint32_t length;   /* of the whole */
    int direction;
    smb_key key;
    uint32_t status;
    bool answer, unicode;
} smb_message;

/* smb1.c, smb2.c: a message; bytes of a file that go on behind it are told in state->side[].body. */
void smb1_take(reef_call *call, smb_message *m);
void smb2_take(reef_call *call, smb_message *m);

/* smb_open.c */
smb_transaction *smb_begin(reef_call *call, const smb_message *m, smb_kind kind);
smb_transaction *smb_find(reef_call *call, const smb_key *key);
void smb_answered(smb_transaction *transaction, uint32_t status);
void smb_remember(reef_call *call, const smb_open *open);
const smb_open *smb_opened(const smb_state *state, bool is_tree, uint64_t id0, uint64_t id1);
void smb_forget(reef_call *call, bool is_tree, uint64_t id0, uint64_t id1);
void smb_forget_all(reef_memory *memory, smb_state *state);
/* A name as UTF-8: from UTF-16LE, or as it is. Ends at a NUL. Returns the length. */
uint32_t smb_name(const uint8_t *p, uint32_t length, bool unicode, char *out);

/* smb_data.c: bytes of a file, of which `here` are at hand and `length` come in all; those of a pipe. */
void smb_file_bytes(reef_call *call, const smb_message *m, const smb_open *open, uint64_t id0, uint64_t id1, uint64_t offset,
                    reef_view here, uint32_t length);
void smb_file_close(reef_call *call, uint64_t id0, uint64_t id1);
void smb_pipe_bytes(reef_call *call, const smb_message *m, reef_view bytes);

static inline uint64_t smb_u64(const uint8_t *p)
{
    return (uint64_t)reef_u32(p) | (uint64_t)reef_u32(p + 4) << 32;
}

#endif
