/* Where packets and the kernel's own events come from. Opening needs privilege (CAP_NET_RAW for the ring,
 * CAP_NET_ADMIN for nflog and conntrack); reading does not. */
#ifndef REEF_CAPTURE_H
#define REEF_CAPTURE_H

#include <stddef.h>
#include <stdint.h>

#include "reef/engine.h"

/* --- capture files: pcap (µs and ns, either byte order) and pcapng --- */

typedef struct reef_file reef_file;

/* The file is mapped: it must not be cut short while it is read. */
int reef_file_open(const char *path, reef_file **out);
/* The same over memory of the caller, which must outlive the file. */
int reef_file_memory(const uint8_t *data, size_t size, reef_file **out);
void reef_file_free(reef_file *file);

/* Up to `max` frames. REEF_OK: `count` of them; REEF_END: there are no more; REEF_TRUNCATED or REEF_FORMAT:
 * what follows cannot be read (frames before that were given by the calls before). Frames point into the file. */
int reef_file_next(reef_file *file, reef_frame *frames, size_t max, size_t *count);
/* Frames to the worker until its ring is half full or the file ends (REEF_END, and the errors above). Instead of reef_file_next, not
 * beside it: this one looks ahead. */
int reef_file_pull(reef_file *file, reef_worker *worker);
/* Bytes of the file already read, and of all. */
void reef_file_progress(const reef_file *file, uint64_t *done, uint64_t *size);

/* --- AF_PACKET: a ring shared with the kernel (TPACKET_V3) --- */

typedef struct reef_ring reef_ring;

/* `interface` 0 sees every interface of the network namespace, those that appear later too.
 * `block_bytes` is a multiple of the page size; an unsegmented (GSO) packet of 64 KiB needs 131072. */
int reef_ring_open(uint32_t interface, uint32_t block_bytes, uint32_t blocks, reef_ring **out);
void reef_ring_free(reef_ring *ring);
int reef_ring_fd(const reef_ring *ring);
/* Hand over packets of these interfaces only; `count` 0 hands over none. */
int reef_ring_select(reef_ring *ring, const uint32_t *interfaces, size_t count);
/* What is ready goes to the worker, until its ring is half full or nothing is left. */
int reef_ring_pull(reef_ring *ring, reef_worker *worker, uint64_t *packets);
/* Packets the kernel had no room for, since the ring was opened. */
int reef_ring_lost(reef_ring *ring, uint64_t *lost);

/* --- netlink: what the ruleset logs, and connections that end --- */

typedef struct reef_nflog reef_nflog;

/* At most `rate` records a second become events, so that a flood of dropped packets cannot push everything else out
 * of the log; what is left out is counted, and said by an event once a second. The rules' counters count all. */
int reef_nflog_open(uint16_t group, uint32_t rate, reef_nflog **out);
void reef_nflog_free(reef_nflog *nflog);
int reef_nflog_fd(const reef_nflog *nflog);
int reef_nflog_pull(reef_nflog *nflog, reef_worker *worker, uint64_t *packets);
/* Log records that the kernel made and we never got, by their sequence numbers. */
uint64_t reef_nflog_lost(const reef_nflog *nflog);
/* Those that were left out for the rate. */
uint64_t reef_nflog_left_out(const reef_nflog *nflog);

typedef struct reef_conntrack reef_conntrack;

int reef_conntrack_open(reef_conntrack **out);
void reef_conntrack_free(reef_conntrack *conntrack);
int reef_conntrack_fd(const reef_conntrack *conntrack);
int reef_conntrack_pull(reef_conntrack *conntrack, reef_worker *worker, uint64_t *flows);
/* How often the socket overflowed; how many events that cost the kernel does not say. */
uint64_t reef_conntrack_overruns(const reef_conntrack *conntrack);

#endif
