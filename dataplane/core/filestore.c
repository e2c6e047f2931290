#include "reef/filestore.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reef/limits.h"
#include "reef/status.h"

struct reef_stored {
    reef_filestore *store;
    reef_stored *next; /* in the list of those that are free */
    uint64_t size;
    int descriptor;
    unsigned number;
};

struct reef_filestore {
    int directory;
    unsigned number;
    uint64_t limit;
    uint64_t coming; /* bytes of files that are not kept yet */
    reef_filestore_counters counters;
    reef_stored *free;
    reef_stored file[REEF_FILESTORE_OPEN_MAX];
};

enum { NAME_BYTES = 80 };

static void name_of(const reef_filestore *store, unsigned file, char name[NAME_BYTES])
{
    (void)snprintf(name, NAME_BYTES, "tmp/%u.%u", store->number, file);
}

int reef_filestore_new(int directory, unsigned number, uint64_t limit, reef_filestore **out)
{
    *out = NULL;
    if (mkdirat(directory, "tmp", 0700) != 0 && errno != EEXIST)
        return REEF_SYSTEM;
    reef_filestore *store = calloc(1, sizeof *store);
    if (store == NULL)
        return REEF_NOMEM;
    store->directory = directory;
    store->number = number;
    store->limit = limit;
    for (unsigned i = REEF_FILESTORE_OPEN_MAX; i-- > 0;) {
        char name[NAME_BYTES];
        name_of(store, i, name);
        if (unlinkat(directory, name, 0) != 0 && errno != ENOENT) {
            free(store);
            return REEF_SYSTEM;
        }
        store->file[i] = (reef_stored){.store = store, .next = store->free, .descriptor = -1, .number = i};
        store->free = &store->file[i];
    }
    *out = store;
    return REEF_OK;
}

void reef_filestore_free(reef_filestore *store)
{
    if (store == NULL)
        return;
    for (unsigned i = 0; i < REEF_FILESTORE_OPEN_MAX; i++)
        if (store->file[i].descriptor >= 0)
            reef_filestore_drop(&store->file[i]);
    free(store);
}

reef_stored *reef_filestore_begin(reef_filestore *store)
{
    reef_stored *file = store->free;
    if (file == NULL) {
        store->counters.refused++;
        return NULL;
    }
    char name[NAME_BYTES];
    name_of(store, file->number, name);
    file->descriptor = openat(store->directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file->descriptor < 0) {
        store->counters.failed++;
        return NULL;
    }
    store->free = file->next;
    file->size = 0;
    return file;
}

/* The place of a file that came is free again. */
static void let_go(reef_stored *file)
{
    reef_filestore *store = file->store;
    close(file->descriptor);
    file->descriptor = -1;
    store->coming -= file->size;
    file->next = store->free;
    store->free = file;
}

void reef_filestore_drop(reef_stored *file)
{
    char name[NAME_BYTES];
    name_of(file->store, file->number, name);
    (void)unlinkat(file->store->directory, name, 0); /* if it stays, the next worker of this number removes it */
    let_go(file);
}

bool reef_filestore_add(reef_stored *file, reef_view bytes)
{
    reef_filestore *store = file->store;
    if (bytes.length > store->limit - store->counters.bytes - store->coming) {
        store->counters.refused++;
        reef_filestore_drop(file);
        return false;
    }
    for (uint32_t at = 0; at < bytes.length;) {
        ssize_t n = write(file->descriptor, bytes.data + at, bytes.length - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            store->counters.failed++;
            reef_filestore_drop(file);
            return false;
        }
        at += (uint32_t)n;
    }
    file->size += bytes.length;
    store->coming += bytes.length;
    return true;
}

bool reef_filestore_keep(reef_stored *file, const uint8_t sha256[32])
{
    reef_filestore *store = file->store;
    char from[NAME_BYTES], to[NAME_BYTES], folder[3];
    name_of(store, file->number, from);
    (void)snprintf(folder, sizeof folder, "%02x", sha256[0]);
    int length = snprintf(to, sizeof to, "%s/", folder);
    for (unsigned i = 0; i < 32; i++)
        length += snprintf(to + length, sizeof to - (size_t)length, "%02x", sha256[i]);
    if (mkdirat(store->directory, folder, 0700) != 0 && errno != EEXIST) {
        store->counters.failed++;
        reef_filestore_drop(file);
        return false;
    }
    if (faccessat(store->directory, to, F_OK, 0) == 0) { /* the same bytes */
        store->counters.known++;
        reef_filestore_drop(file);
        return true;
    }
    if (renameat(store->directory, from, store->directory, to) != 0) {
        store->counters.failed++;
        reef_filestore_drop(file);
        return false;
    }
    store->counters.kept++;
    store->counters.bytes += file->size;
    let_go(file);
    return true;
}

void reef_filestore_freed(reef_filestore *store, uint64_t bytes)
{
    store->limit += bytes;
}

void reef_filestore_count(const reef_filestore *store, reef_filestore_counters *counters)
{
    *counters = store->counters;
}
