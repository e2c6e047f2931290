/* AF_PACKET with TPACKET_V3: the kernel fills blocks of memory that both sides see (packet(7),
 * Documentation/networking/packet_mmap.rst). */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "reef/capture.h"
#include "reef/status.h"

enum { FRAME_BYTES = 2048, RETIRE_MS = 20 };

struct reef_ring {
    int fd;
    uint8_t *memory;
    uint32_t block_bytes, blocks;
    uint32_t block;       /* the one we read next */
    uint32_t left;        /* packets of it still to be read; 0: not begun */
    const uint8_t *next;  /* the first of those */
    uint64_t lost;
    uint32_t *interface;  /* sorted */
    size_t interfaces;
    uint32_t last_selected; /* the interface of the last packet that was handed over */
};

static int fail(reef_ring *ring)
{
    int error = errno;
    reef_ring_free(ring);
    errno = error;
    return REEF_SYSTEM;
}

int reef_ring_open(uint32_t interface, uint32_t block_bytes, uint32_t blocks, reef_ring **out)
{
    *out = NULL;
    if (block_bytes < 65536 || block_bytes > 1u << 26 || block_bytes % (uint32_t)sysconf(_SC_PAGESIZE) != 0 || blocks < 2 ||
        blocks > 4096)
        return REEF_INVALID;
    reef_ring *ring = calloc(1, sizeof *ring);
    if (ring == NULL)
        return REEF_NOMEM;
    ring->block_bytes = block_bytes;
    ring->blocks = blocks;
    /* Protocol 0: nothing comes before the ring stands and the socket is bound. */
    ring->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (ring->fd < 0)
        return fail(ring);
    int version = TPACKET_V3;
    struct tpacket_req3 request = {.tp_block_size = block_bytes,
                                   .tp_block_nr = blocks,
                                   .tp_frame_size = FRAME_BYTES,
                                   .tp_frame_nr = block_bytes / FRAME_BYTES * blocks,
                                   .tp_retire_blk_tov = RETIRE_MS};
    if (setsockopt(ring->fd, SOL_PACKET, PACKET_VERSION, &version, sizeof version) != 0 ||
        setsockopt(ring->fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof request) != 0)
        return fail(ring);
    void *memory = mmap(NULL, (size_t)block_bytes * blocks, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, 0);
    if (memory == MAP_FAILED)
        return fail(ring);
    ring->memory = memory;
    struct sockaddr_ll address = {
        .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = (int)interface};
    if (bind(ring->fd, (struct sockaddr *)&address, sizeof address) != 0)
        return fail(ring);
    if (interface != 0) {
        int status = reef_ring_select(ring, &interface, 1);
        if (status != REEF_OK) {
            reef_ring_free(ring);
            return status;
        }
    }
    *out = ring;
    return REEF_OK;
}

void reef_ring_free(reef_ring *ring)
{
    if (ring == NULL)
        return;
    if (ring->memory != NULL)
        munmap(ring->memory, (size_t)ring->block_bytes * ring->blocks);
    if (ring->fd >= 0)
        close(ring->fd);
    free(ring->interface);
    free(ring);
}

int reef_ring_fd(const reef_ring *ring)
{
    return ring->fd;
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

int reef_ring_select(reef_ring *ring, const uint32_t *interfaces, size_t count)
{
    if (count > REEF_INTERFACES_MAX)
        return REEF_INVALID;
    uint32_t *copy = malloc((count + 1) * sizeof *copy);
    if (copy == NULL)
        return REEF_NOMEM;
    memcpy(copy, interfaces, count * sizeof *copy);
    qsort(copy, count, sizeof *copy, by_number);
    free(ring->interface);
    ring->interface = copy;
    ring->interfaces = count;
    ring->last_selected = 0;
    return REEF_OK;
}

static bool is_selected(reef_ring *ring, uint32_t interface)
{
    if (interface == ring->last_selected)
        return true;
    if (bsearch(&interface, ring->interface, ring->interfaces, sizeof interface, by_number) == NULL)
        return false;
    ring->last_selected = interface;
    return true;
}

/* What the driver hands over where it has no Ethernet header (tunnels, PPP) begins with IP. */
static uint16_t link_of(unsigned hardware)
{
    return hardware == ARPHRD_ETHER || hardware == ARPHRD_LOOPBACK ? REEF_LINK_ETHERNET : REEF_LINK_RAW;
}

static bool frame_of(reef_ring *ring, const struct tpacket3_hdr *header, reef_frame *frame)
{
    const uint8_t *base = (const uint8_t *)header;
    const struct sockaddr_ll *from = (const struct sockaddr_ll *)(base + TPACKET_ALIGN(sizeof *header));
    if (!is_selected(ring, (uint32_t)from->sll_ifindex))
        return false;
    *frame = (reef_frame){
        .data = base + header->tp_mac,
        .captured = header->tp_snaplen,
        .length = header->tp_len,
        .time_ns = header->tp_sec * 1000000000ull + header->tp_nsec,
        .interface = (uint32_t)from->sll_ifindex,
        .link = link_of(from->sll_hatype),
        .way = from->sll_pkttype == PACKET_OUTGOING ? REEF_WAY_OUT : REEF_WAY_IN,
    };
    if (header->tp_status & TP_STATUS_VLAN_VALID)
        frame->vlan = (uint16_t)((header->hv1.tp_vlan_tci & 0x0fff) | REEF_FRAME_HAS_VLAN);
    return true;
}

int reef_ring_pull(reef_ring *ring, reef_worker *worker, uint64_t *packets)
{
    reef_frame frames[REEF_BATCH_MAX];
    reef_events *events = reef_worker_events(worker);
    size_t batch = reef_events_batch(events);
    *packets = 0;
    for (uint32_t taken = 0; taken < ring->blocks && !reef_events_half_full(events);) {
        struct tpacket_block_desc *block =
            (struct tpacket_block_desc *)(void *)(ring->memory + (size_t)ring->block * ring->block_bytes);
        if (!(__atomic_load_n(&block->hdr.bh1.block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER))
            break;
        if (ring->left == 0) {
            ring->left = block->hdr.bh1.num_pkts;
            ring->next = (const uint8_t *)block + block->hdr.bh1.offset_to_first_pkt;
        }
        size_t count = 0;
        for (; ring->left > 0 && count < batch; ring->left--) {
            const struct tpacket3_hdr *header = (const struct tpacket3_hdr *)(const void *)ring->next;
            count += frame_of(ring, header, &frames[count]);
            ring->next += header->tp_next_offset;
        }
        reef_worker_frames(worker, frames, count);
        *packets += count;
        if (ring->left == 0) {
            __atomic_store_n(&block->hdr.bh1.block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
            ring->block = (ring->block + 1) % ring->blocks;
            taken++;
        }
    }
    return REEF_OK;
}

int reef_ring_lost(reef_ring *ring, uint64_t *lost)
{
    struct tpacket_stats_v3 statistics;
    socklen_t size = sizeof statistics;
    if (getsockopt(ring->fd, SOL_PACKET, PACKET_STATISTICS, &statistics, &size) != 0)
        return REEF_SYSTEM;
    ring->lost += statistics.tp_drops; /* reading sets the kernel's count to zero */
    *lost = ring->lost;
    return REEF_OK;
}
