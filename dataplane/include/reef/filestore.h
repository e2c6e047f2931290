/* filestore: files taken out of traffic, by the digest of their bytes, in a directory laid out as Suricata's file-store
 * version 2: "tmp/" for those that still come, then "ab/abcd…" by SHA-256. The directory is opened before privileges go;
 * everything happens beneath it. Bounded by bytes and by the files that are open at once. */
#ifndef REEF_FILESTORE_H
#define REEF_FILESTORE_H

#include <stdbool.h>
#include <stdint.h>

#include "reef/view.h"

typedef struct reef_filestore reef_filestore;
typedef struct reef_stored reef_stored; /* a file that comes */

typedef struct reef_filestore_counters {
    uint64_t kept, bytes; /* files and bytes new in the store */
    uint64_t known;       /* files that were there already */
    uint64_t refused;     /* over a limit */
    uint64_t failed;      /* the system said no */
} reef_filestore_counters;

/* `directory`: a descriptor, borrowed. Makes "tmp" and empties it of what a worker of this `number` left. At most `limit` bytes in all. */
int reef_filestore_new(int directory, unsigned number, uint64_t limit, reef_filestore **out);
void reef_filestore_free(reef_filestore *store);

/* NULL: too many at once, or it cannot be made (counted). */
reef_stored *reef_filestore_begin(reef_filestore *store);
/* False: it is given up, and `file` gone. */
bool reef_filestore_add(reef_stored *file, reef_view bytes);
/* Under its name; false: it could not. `file` is gone in any case. */
bool reef_filestore_keep(reef_stored *file, const uint8_t sha256[32]);
void reef_filestore_drop(reef_stored *file);

/* So many bytes of it were deleted from outside: there is room for as many. */
void reef_filestore_freed(reef_filestore *store, uint64_t bytes);
void reef_filestore_count(const reef_filestore *store, reef_filestore_counters *counters);

#endif
