/* Capture files: pcap (draft-ietf-opsawg-pcap) and pcapng (draft-ietf-opsawg-pcapng), mapped, read in place. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reef/bytes.h"
#include "reef/capture.h"
#include "reef/decode.h"
#include "reef/status.h"

enum { PCAP_HEADER = 24, PCAP_RECORD = 16 };
#define PCAP_MICROSECONDS 0xa1b2c3d4u
#define PCAP_NANOSECONDS 0xa1b23c4du
#define PCAPNG_SECTION 0x0a0d0d0au
#define PCAPNG_BYTE_ORDER 0x1a2b3c4du
enum { BLOCK_INTERFACE = 1, BLOCK_PACKET_OLD = 2, BLOCK_SIMPLE = 3, BLOCK_ENHANCED = 6 };
enum { OPTION_END = 0, OPTION_TSRESOL = 9, OPTION_TSOFFSET = 14 };

typedef struct interface {
    uint16_t link;
    uint8_t resolution; /* as in if_tsresol: 10^-n, or with the top bit 2^-n */
    int64_t offset;     /* seconds to add */
    uint32_t snap;
} interface;

struct reef_file {
    const uint8_t *data;
    size_t size, at;
    bool mapped;
    bool next_generation;
    bool swapped;
    bool nanoseconds; /* of pcap */
    uint16_t link;    /* of pcap */
    unsigned interfaces;
    interface interface[REEF_PCAPNG_INTERFACES_MAX];
    /* Of reef_file_pull: where a frame lies is known from the one before, and each such look is a wait for memory. So the frames
     * of the next batch are looked for one by one while those of this one are worked on. */
    reef_frame frames[2][REEF_BATCH_MAX];
    uint8_t turn;  /* frames[turn] is the next batch */
    size_t found;  /* frames of it so far */
    size_t batch;
    int status;    /* why no more are found */
};

static uint16_t number16(const reef_file *file, const uint8_t *p)
{
    return file->swapped ? reef_be16(p) : reef_u16(p);
}

static uint32_t number32(const reef_file *file, const uint8_t *p)
{
    return file->swapped ? reef_be32(p) : reef_u32(p);
}

static int read_header(reef_file *file)
{
    if (file->size < 4)
        return REEF_FORMAT;
    uint32_t magic = reef_u32(file->data);
    if (magic == PCAPNG_SECTION) { /* the same in both byte orders */
        file->next_generation = true;
        return REEF_OK;
    }
    file->swapped = magic == __builtin_bswap32(PCAP_MICROSECONDS) || magic == __builtin_bswap32(PCAP_NANOSECONDS);
    magic = number32(file, file->data);
    if (magic != PCAP_MICROSECONDS && magic != PCAP_NANOSECONDS)
        return REEF_FORMAT;
    if (file->size < PCAP_HEADER)
        return REEF_TRUNCATED;
    file->nanoseconds = magic == PCAP_NANOSECONDS;
    file->link = (uint16_t)number32(file, file->data + 20); /* the upper bits speak of the frame check sequence */
    file->at = PCAP_HEADER;
    return reef_decode_knows_link(file->link) ? REEF_OK : REEF_UNSUPPORTED;
}

int reef_file_memory(const uint8_t *data, size_t size, reef_file **out)
{
    *out = NULL;
    reef_file *file = calloc(1, sizeof *file);
    if (file == NULL)
        return REEF_NOMEM;
    file->data = data;
    file->size = size;
    int status = read_header(file);
    if (status != REEF_OK) {
        free(file);
        return status;
    }
    *out = file;
    return REEF_OK;
}

int reef_file_open(const char *path, reef_file **out)
{
    *out = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return REEF_SYSTEM;
    struct stat about;
    if (fstat(fd, &about) != 0) {
        int error = errno;
        close(fd);
        errno = error;
        return REEF_SYSTEM;
    }
    if (!S_ISREG(about.st_mode) || about.st_size < 4) {
        close(fd);
        return REEF_FORMAT;
    }
    void *data = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    int error = errno;
    close(fd);
    if (data == MAP_FAILED) {
        errno = error;
        return REEF_SYSTEM;
    }
    madvise(data, (size_t)about.st_size, MADV_SEQUENTIAL);
    int status = reef_file_memory(data, (size_t)about.st_size, out);
    if (status != REEF_OK)
        munmap(data, (size_t)about.st_size);
    else
        (*out)->mapped = true;
    return status;
}

void reef_file_free(reef_file *file)
{
    if (file == NULL)
        return;
    if (file->mapped)
        munmap((void *)(uintptr_t)file->data, file->size);
    free(file);
}

void reef_file_progress(const reef_file *file, uint64_t *done, uint64_t *size)
{
    *done = file->at;
    *size = file->size;
}

static int next_pcap(reef_file *file, reef_frame *frame)
{
    if (file->at == file->size)
        return REEF_END;
    if (file->size - file->at < PCAP_RECORD)
        return REEF_TRUNCATED;
    const uint8_t *p = file->data + file->at;
    uint32_t captured = number32(file, p + 8), length = number32(file, p + 12);
    if (captured > REEF_FRAME_MAX)
        return REEF_FORMAT;
    if (captured > file->size - file->at - PCAP_RECORD)
        return REEF_TRUNCATED;
    uint64_t fraction = number32(file, p + 4);
    *frame = (reef_frame){.data = p + PCAP_RECORD,
                          .captured = captured,
                          .length = length < captured ? captured : length,
                          .time_ns = number32(file, p) * 1000000000ull + (file->nanoseconds ? fraction : fraction * 1000),
                          .link = file->link};
    file->at += PCAP_RECORD + captured;
    return REEF_OK;
}

static uint64_t time_of(const interface *from, uint64_t stamp)
{
    unsigned n = from->resolution & 0x7f;
    uint64_t seconds, ns;
    if (from->resolution & 0x80) {
        if (n > 63)
            n = 63;
        seconds = stamp >> n;
        ns = (uint64_t)((unsigned __int128)(stamp - (seconds << n)) * 1000000000u >> n);
    } else {
        uint64_t unit = 1;
        for (unsigned i = 0; i < n && i < 19; i++)
            unit *= 10;
        seconds = stamp / unit;
        ns = (uint64_t)((unsigned __int128)(stamp % unit) * 1000000000u / unit);
    }
    return (seconds + (uint64_t)from->offset) * 1000000000u + ns;
}

static void read_interface(reef_file *file, const uint8_t *p, size_t n)
{
    interface *new = &file->interface[file->interfaces++];
    *new = (interface){.link = number16(file, p), .resolution = 6, .snap = number32(file, p + 4)};
    for (size_t at = 8; at + 4 <= n;) {
        uint16_t code = number16(file, p + at), length = number16(file, p + at + 2);
        at += 4;
        if (code == OPTION_END || length > n - at)
            return;
        if (code == OPTION_TSRESOL && length == 1)
            new->resolution = p[at];
        else if (code == OPTION_TSOFFSET && length == 8)
            new->offset = (int64_t)(file->swapped ? reef_be64(p + at)
                                                  : (uint64_t)reef_u32(p + at) | (uint64_t)reef_u32(p + at + 4) << 32);
        at += (length + 3u) & ~3u;
    }
}

/* A frame at `p`, if the interface is known and `captured` bytes lie there. */
static int packet_of(const reef_file *file, unsigned number, uint64_t stamp, uint32_t captured, uint32_t length,
                     const uint8_t *p, size_t n, reef_frame *frame)
{
    if (number >= file->interfaces || captured > REEF_FRAME_MAX || captured > n)
        return REEF_FORMAT;
    const interface *from = &file->interface[number];
    *frame = (reef_frame){.data = p,
                          .captured = captured,
                          .length = length < captured ? captured : length,
                          .time_ns = time_of(from, stamp),
                          .link = from->link,
                          .interface = number};
    return REEF_OK;
}

static int read_section(reef_file *file, const uint8_t *p)
{
    if (file->size - file->at < 12)
        return REEF_TRUNCATED;
    uint32_t order = reef_u32(p + 8);
    if (order == PCAPNG_BYTE_ORDER)
        file->swapped = false;
    else if (order == __builtin_bswap32(PCAPNG_BYTE_ORDER))
        file->swapped = true;
    else
        return REEF_FORMAT;
    file->interfaces = 0; /* their numbers count within a section */
    return REEF_OK;
}

/* The next block; `*got` says whether it held a frame. */
static int next_block(reef_file *file, reef_frame *frame, bool *got)
{
    *got = false;
    if (file->at == file->size)
        return REEF_END;
    if (file->size - file->at < 12)
        return REEF_TRUNCATED;
    const uint8_t *p = file->data + file->at;
    if (reef_u32(p) == PCAPNG_SECTION) {
        int status = read_section(file, p);
        if (status != REEF_OK)
            return status;
    }
    uint32_t type = number32(file, p), total = number32(file, p + 4);
    if (total < 12 || total % 4 != 0)
        return REEF_FORMAT;
    if (total > file->size - file->at)
        return REEF_TRUNCATED;
    const uint8_t *body = p + 8;
    size_t n = total - 12;
    int status = REEF_OK;
    if (type == BLOCK_INTERFACE) {
        if (n < 8 || file->interfaces == REEF_PCAPNG_INTERFACES_MAX)
            return REEF_FORMAT;
        read_interface(file, body, n);
    } else if (type == BLOCK_ENHANCED || type == BLOCK_PACKET_OLD) {
        if (n < 20)
            return REEF_FORMAT;
        unsigned number = type == BLOCK_ENHANCED ? number32(file, body) : number16(file, body);
        uint64_t stamp = (uint64_t)number32(file, body + 4) << 32 | number32(file, body + 8);
        status = packet_of(file, number, stamp, number32(file, body + 12), number32(file, body + 16), body + 20,
                           n - 20, frame);
        *got = true;
    } else if (type == BLOCK_SIMPLE) {
        if (n < 4)
            return REEF_FORMAT;
        uint32_t length = number32(file, body), captured = length;
        if (file->interfaces > 0 && file->interface[0].snap > 0 && captured > file->interface[0].snap)
            captured = file->interface[0].snap;
        status = packet_of(file, 0, 0, captured, length, body + 4, n - 4, frame);
        *got = true;
    }
    if (status == REEF_OK)
        file->at += total;
    return status;
}

static int next_frame(reef_file *file, reef_frame *frame)
{
    if (!file->next_generation)
        return next_pcap(file, frame);
    bool got = false;
    int status = REEF_OK;
    while (status == REEF_OK && !got)
        status = next_block(file, frame, &got);
    return status;
}

int reef_file_next(reef_file *file, reef_frame *frames, size_t max, size_t *count)
{
    int status = REEF_OK;
    *count = 0;
    while (*count < max && (status = next_frame(file, &frames[*count])) == REEF_OK)
        (*count)++;
    return *count > 0 ? REEF_OK : status;
}

/* One more frame of the next batch; the one behind it is on its way then. */
static void find_one(void *context)
{
    reef_file *file = context;
    if (file->found == file->batch || file->status != REEF_OK)
        return;
    file->status = next_frame(file, &file->frames[file->turn][file->found]);
    if (file->status != REEF_OK)
        return;
    file->found++;
    __builtin_prefetch(file->data + file->at);
    if (file->size - file->at > 64)
        __builtin_prefetch(file->data + file->at + 64);
}

int reef_file_pull(reef_file *file, reef_worker *worker)
{
    reef_events *events = reef_worker_events(worker);
    file->batch = reef_events_batch(events);
    while (!reef_events_due(events)) {
        while (file->found < file->batch && file->status == REEF_OK)
            find_one(file);
        if (file->found == 0)
            return file->status;
        const reef_frame *frames = file->frames[file->turn];
        size_t count = file->found;
        file->turn ^= 1;
        file->found = 0;
        reef_worker_frames_meanwhile(worker, frames, count, find_one, file);
    }
    return REEF_OK;
}
