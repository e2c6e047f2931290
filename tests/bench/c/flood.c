/* Sends prepared frames over one interface as fast as it goes: the packet generator of bench_forward.
 *
 * usage: flood INTERFACE FRAMES SIZE COUNT PASSES
 *
 * FRAMES is a file of frames of SIZE bytes each, one after another (Ethernet, IPv4 or IPv6, UDP). COUNT frames
 * are sent, going round the file. With PASSES 1 each round has the next UDP source port, so that every packet
 * begins a new connection; with 0 the rounds are equal. Prints the frames sent and the nanoseconds of processor time it took.
 *
 * The queueing discipline is passed by: with veth the whole way to the far end is walked inside send(). */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 64, LARGEST_FRAME = 2048 };

static int fail(const char *what)
{
    fprintf(stderr, "flood: %s: %s\n", what, strerror(errno));
    return 1;
}

/* The next source port, and the UDP checksum that belongs to it (RFC 1624); 0 stays "no checksum" in IPv4. */
static void next_port(unsigned char *frame)
{
    int six = frame[12] == 0x86;
    unsigned char *udp = frame + ETH_HLEN + (six ? 40 : 20);
    uint16_t port = (uint16_t)((udp[0] << 8 | udp[1]) + 1);
    udp[0] = (unsigned char)(port >> 8);
    udp[1] = (unsigned char)port;
    if (six) {
        uint32_t sum = (uint32_t)(udp[6] << 8 | udp[7]);
        sum = (~sum & 0xffff) + 1;
        sum = (sum & 0xffff) + (sum >> 16);
        sum = ~sum & 0xffff;
        if (sum == 0)
            sum = 0xffff;
        udp[6] = (unsigned char)(sum >> 8);
        udp[7] = (unsigned char)sum;
    }
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "usage: flood INTERFACE FRAMES SIZE COUNT PASSES\n");
        return 2;
    }
    size_t size = strtoul(argv[3], NULL, 10);
    unsigned long count = strtoul(argv[4], NULL, 10);
    int renew = atoi(argv[5]);
    if (size < 64 || size > LARGEST_FRAME) {
        fprintf(stderr, "flood: a frame has 64 to %d bytes\n", LARGEST_FRAME);
        return 2;
    }
    int file = open(argv[2], O_RDONLY | O_CLOEXEC);
    struct stat facts;
    if (file < 0 || fstat(file, &facts) < 0)
        return fail(argv[2]);
    size_t frames = (size_t)facts.st_size / size;
    unsigned char *all = malloc(frames * size);
    if (all == NULL || frames == 0 || read(file, all, frames * size) != (ssize_t)(frames * size))
        return fail("reading the frames");
    close(file);

    int raw = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (raw < 0)
        return fail("AF_PACKET");
    int yes = 1;
    if (setsockopt(raw, SOL_PACKET, PACKET_QDISC_BYPASS, &yes, sizeof yes) < 0)
        return fail("PACKET_QDISC_BYPASS");
    struct sockaddr_ll line = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(argv[1])};
    if (line.sll_ifindex == 0 || bind(raw, (struct sockaddr *)&line, sizeof line) < 0)
        return fail(argv[1]);

    struct mmsghdr messages[BATCH];
    struct iovec parts[BATCH];
    memset(messages, 0, sizeof messages);
    for (int i = 0; i < BATCH; i++) {
        parts[i].iov_len = size;
        messages[i].msg_hdr.msg_iov = &parts[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    struct timespec begin, end;
    /* The processor's time for this thread, which holds the softirq work it causes: the wall clock would
     * measure whoever else wants the core. */
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
    unsigned long sent = 0;
    size_t at = 0;
    while (sent < count) {
        unsigned batch = 0;
        for (; batch < BATCH && sent + batch < count; batch++) {
            if (at == frames) {
                if (renew && batch)
                    break; /* what waits in this batch still has the old ports */
                at = 0;
                for (size_t i = 0; renew && i < frames; i++)
                    next_port(all + i * size);
            }
            parts[batch].iov_base = all + at++ * size;
        }
        unsigned gone = 0;
        while (gone < batch) {
            int done = sendmmsg(raw, messages + gone, batch - gone, 0);
            if (done < 0 && errno != ENOBUFS && errno != EAGAIN && errno != EINTR)
                return fail("sendmmsg");
            gone += done > 0 ? (unsigned)done : 0;
        }
        sent += batch;
    }
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
    printf("%lu %lld\n", sent,
           (long long)(end.tv_sec - begin.tv_sec) * 1000000000LL + (end.tv_nsec - begin.tv_nsec));
    free(all);
    close(raw);
    return 0;
}
