/* New TCP connections per second between two namespaces: both ends of bench_forward's connection test.
 *
 * usage: connects serve PORT...              accepts and drops connections until it is killed; prints "ready"
 *        connects begin FILE COUNT           begins COUNT connections, one after another
 *
 * A line of FILE is "source destination port" with numeric addresses of one family; they are taken in turn. Each
 * connection is a full handshake, ended by a reset so that no port is kept waiting. Prints the connections made
 * and the nanoseconds it took. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST_PORTS = 16, MOST_LINES = 8192 };

static int fail(const char *what)
{
    fprintf(stderr, "connects: %s: %s\n", what, strerror(errno));
    return 1;
}

static int serve(int ports, char **port)
{
    struct pollfd listening[MOST_PORTS];
    if (ports < 1 || ports > MOST_PORTS) {
        fprintf(stderr, "connects: 1 to %d ports\n", MOST_PORTS);
        return 2;
    }
    for (int i = 0; i < ports; i++) {
        int fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        int no = 0, yes = 1;
        struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)atoi(port[i]))};
        if (fd < 0 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no) < 0 ||
            setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) < 0 ||
            bind(fd, (struct sockaddr *)&any, sizeof any) < 0 || listen(fd, 4096) < 0)
            return fail(port[i]);
        listening[i] = (struct pollfd){.fd = fd, .events = POLLIN};
    }
    puts("ready");
    fflush(stdout);
    for (;;) {
        if (poll(listening, (nfds_t)ports, -1) < 0 && errno != EINTR)
            return fail("poll");
        for (int i = 0; i < ports; i++)
            for (int fd; (fd = accept4(listening[i].fd, NULL, NULL, SOCK_CLOEXEC)) >= 0;)
                close(fd);
    }
}

struct ends {
    struct sockaddr_storage from, to;
    socklen_t size;
};

static int address(const char *host, const char *port, struct sockaddr_storage *into, socklen_t *size)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV}, *found;
    if (getaddrinfo(host, port, &hints, &found) != 0)
        return -1;
    memcpy(into, found->ai_addr, found->ai_addrlen);
    *size = found->ai_addrlen;
    freeaddrinfo(found);
    return 0;
}

static int begin(const char *file, unsigned long count)
{
    static struct ends all[MOST_LINES];
    size_t lines = 0;
    char from[64], to[64], port[8];
    FILE *input = fopen(file, "re");
    if (input == NULL)
        return fail(file);
    while (lines < MOST_LINES && fscanf(input, "%63s %63s %7s", from, to, port) == 3) {
        struct ends *ends = &all[lines++];
        if (address(from, "0", &ends->from, &ends->size) < 0 || address(to, port, &ends->to, &ends->size) < 0) {
            fprintf(stderr, "connects: %s: line %zu is not \"source destination port\"\n", file, lines);
            return 2;
        }
    }
    fclose(input);
    if (lines == 0) {
        fprintf(stderr, "connects: %s is empty\n", file);
        return 2;
    }
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (unsigned long made = 0; made < count; made++) {
        const struct ends *ends = &all[made % lines];
        int fd = socket(ends->to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int yes = 1;
        struct linger reset = {.l_onoff = 1, .l_linger = 0};
        if (fd < 0 || setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes) < 0 ||
            bind(fd, (const struct sockaddr *)&ends->from, ends->size) < 0)
            return fail("bind");
        if (connect(fd, (const struct sockaddr *)&ends->to, ends->size) < 0)
            return fail("connect");
        if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset) < 0)
            return fail("SO_LINGER");
        close(fd);
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    printf("%lu %lld\n", count,
           (long long)(end.tv_sec - start.tv_sec) * 1000000000LL + (end.tv_nsec - start.tv_nsec));
    return 0;
}

int main(int argc, char **argv)
{
    if (argc >= 3 && strcmp(argv[1], "serve") == 0)
        return serve(argc - 2, argv + 2);
    if (argc == 4 && strcmp(argv[1], "begin") == 0)
        return begin(argv[2], strtoul(argv[3], NULL, 10));
    fprintf(stderr, "usage: connects serve PORT... | connects begin FILE COUNT\n");
    return 2;
}
