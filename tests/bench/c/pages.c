/* Web pages between two namespaces: both ends of bench_inline's measurement.
 *
 * usage: pages serve FILE PORT                                  answers until it is killed; prints "ready"
 *        pages fetch FILE PORT FROM FROMS TO AT_ONCE MOST SECONDS RATE
 *
 * FILE holds what is asked and answered: for each object the length of the request, the request, the length of the answer,
 * the answer; lengths are four bytes in this machine's order. A request says which it is by "?n=" and a number.
 * `fetch` keeps AT_ONCE connections open from FROMS addresses that begin with FROM, asks one to MOST times on each and opens another;
 * RATE: so many requests a second, begun on time whether or not others are late; 0: as many as go. Prints bytes, requests,
 * connections, failures, nanoseconds, and the median and 99th percentile of the time to the whole answer in nanoseconds. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { OBJECTS_MAX = 4096, BUFFER = 1 << 18, TIMES_MAX = 1 << 22, EVENTS = 64 };

typedef struct object {
    const char *request, *answer;
    uint32_t request_length, answer_length;
} object;

static object objects[OBJECTS_MAX];
static uint32_t object_count;

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "pages: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void load(const char *path)
{
    struct stat about;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &about) != 0)
        fail(path);
    const char *at = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0), *end = at + about.st_size;
    if (at == MAP_FAILED)
        fail(path);
    while (at < end && object_count < OBJECTS_MAX) {
        object *o = &objects[object_count++];
        memcpy(&o->request_length, at, 4);
        o->request = at + 4;
        at += 4 + o->request_length;
        memcpy(&o->answer_length, at, 4);
        o->answer = at + 4;
        at += 4 + o->answer_length;
    }
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void watch(int epoll, int fd, uint32_t events, void *of, int how)
{
    struct epoll_event event = {.events = events, .data.ptr = of};
    if (epoll_ctl(epoll, how, fd, &event) != 0)
        fail("epoll_ctl");
}

/* --- the server ----------------------------------------------------------------------------------------- */

typedef struct guest {
    int fd;
    char asked[4096];
    uint32_t asked_length;
    const object *answer;
    uint32_t sent;
    bool waits;
} guest;

/* False: it is over. */
static bool serve_guest(int epoll, guest *g)
{
    for (;;) {
        while (g->answer != NULL) {
            ssize_t n = send(g->fd, g->answer->answer + g->sent, g->answer->answer_length - g->sent, MSG_NOSIGNAL);
            if (n < 0 && errno == EAGAIN) {
                if (!g->waits)
                    watch(epoll, g->fd, EPOLLIN | EPOLLOUT, g, EPOLL_CTL_MOD);
                g->waits = true;
                return true;
            }
            if (n < 0)
                return false;
            g->sent += (uint32_t)n;
            if (g->sent == g->answer->answer_length)
                g->answer = NULL;
        }
        ssize_t n = recv(g->fd, g->asked + g->asked_length, sizeof g->asked - 1 - g->asked_length, 0);
        if (n < 0 && errno == EAGAIN) {
            if (g->waits)
                watch(epoll, g->fd, EPOLLIN, g, EPOLL_CTL_MOD);
            g->waits = false;
            return true;
        }
        if (n <= 0)
            return false;
        g->asked_length += (uint32_t)n;
        g->asked[g->asked_length] = '\0';
        if (strstr(g->asked, "\r\n\r\n") == NULL)
            continue;
        const char *number = strstr(g->asked, "?n=");
        g->answer = number == NULL ? NULL : &objects[(uint32_t)atoi(number + 3) % object_count];
        g->sent = g->asked_length = 0;
    }
}

static int serve(int port)
{
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), yes = 1;
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (listener < 0 || bind(listener, (struct sockaddr *)&any, sizeof any) != 0 || listen(listener, 4096) != 0)
        fail("listen");
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    watch(epoll, listener, EPOLLIN, NULL, EPOLL_CTL_ADD);
    puts("ready");
    fflush(stdout);
    for (;;) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            guest *g = events[i].data.ptr;
            if (g != NULL) {
                if (!serve_guest(epoll, g)) {
                    close(g->fd);
                    free(g);
                }
                continue;
            }
            for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
                g = calloc(1, sizeof *g);
                g->fd = fd;
                watch(epoll, fd, EPOLLIN, g, EPOLL_CTL_ADD);
            }
        }
    }
}

/* --- the client ----------------------------------------------------------------------------------------- */

typedef struct visit {
    int fd;             /* -1: none */
    unsigned left;      /* requests on it */
    const object *asks; /* NULL: it rests */
    uint32_t got;
    uint64_t begun;     /* when the request was due */
} visit;

typedef struct client {
    int epoll;
    struct sockaddr_in from, to;
    unsigned froms, turn, most;
    uint64_t random, bytes, requests, connections, failures, *times;
    char *buffer;
} client;

static unsigned chance(client *c, unsigned below)
{
    c->random = c->random * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(c->random >> 33) % below;
}

static bool begin(client *c, visit *v)
{
    int yes = 1;
    v->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (v->fd < 0)
        fail("socket");
    struct sockaddr_in from = c->from;
    from.sin_addr.s_addr = htonl(ntohl(from.sin_addr.s_addr) + c->turn++ % c->froms);
    setsockopt(v->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    setsockopt(v->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
    v->left = 1 + chance(c, c->most);
    if (bind(v->fd, (struct sockaddr *)&from, sizeof from) == 0 &&
        (connect(v->fd, (struct sockaddr *)&c->to, sizeof c->to) == 0 || errno == EINPROGRESS)) {
        watch(c->epoll, v->fd, EPOLLIN | EPOLLOUT, v, EPOLL_CTL_ADD);
        return true;
    }
    close(v->fd);
    v->fd = -1;
    c->failures++;
    return false;
}

/* By a reset, so that no port is kept waiting. */
static void end(visit *v)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt(v->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(v->fd);
    v->fd = -1;
}

static void ask(client *c, visit *v)
{
    v->got = 0;
    if (send(v->fd, v->asks->request, v->asks->request_length, MSG_NOSIGNAL) != (ssize_t)v->asks->request_length) {
        c->failures++;
        v->asks = NULL;
        end(v);
        return;
    }
    watch(c->epoll, v->fd, EPOLLIN, v, EPOLL_CTL_MOD);
}

static void want(client *c, visit *v, uint64_t due)
{
    v->asks = &objects[chance(c, object_count)];
    v->begun = due;
    if (v->fd < 0) {
        if (!begin(c, v))
            v->asks = NULL;
        return;
    }
    ask(c, v);
}

static void answered(client *c, visit *v)
{
    if (c->requests < TIMES_MAX)
        c->times[c->requests] = now_ns() - v->begun;
    c->requests++;
    v->asks = NULL;
    if (--v->left == 0) {
        c->connections++;
        end(v);
    }
}

static void proceed(client *c, visit *v, uint32_t events)
{
    if (v->asks == NULL || v->fd < 0)
        return;
    if (events & EPOLLOUT) {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(v->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error == 0) {
            ask(c, v);
            return;
        }
        c->failures++;
        v->asks = NULL;
        end(v);
        return;
    }
    for (;;) {
        ssize_t n = recv(v->fd, c->buffer, BUFFER, 0);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            c->failures++;
            v->asks = NULL;
            end(v);
            return;
        }
        c->bytes += (uint64_t)n;
        v->got += (uint32_t)n;
        if (v->got >= v->asks->answer_length) {
            answered(c, v);
            return;
        }
    }
}

static int by_time(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Until the next request is due: to the microsecond, as waiting for it counts as its time. */
static int wait_until(int epoll, struct epoll_event *events, uint64_t due)
{
    uint64_t now = now_ns(), left = due > now ? due - now : 0;
    struct timespec patience = {.tv_sec = (time_t)(left / 1000000000u), .tv_nsec = (long)(left % 1000000000u)};
    return epoll_pwait2(epoll, events, EVENTS, &patience, NULL);
}

/* Whoever rests asks again: at once, or when the next request is due. */
static void keep_busy(client *c, visit *visits, unsigned at_once, uint64_t rate, uint64_t begun, uint64_t *due)
{
    uint64_t now = now_ns();
    uint64_t wanted = rate == 0 ? UINT64_MAX : (now - begun) * rate / 1000000000u;
    for (unsigned i = 0; i < at_once && *due < wanted; i++) {
        if (visits[i].asks != NULL)
            continue;
        want(c, &visits[i], rate == 0 ? now : begun + *due * 1000000000u / rate);
        if (rate != 0)
            ++*due;
    }
}

static int fetch(char **word)
{
    client c = {.epoll = epoll_create1(EPOLL_CLOEXEC), .random = 42, .froms = (unsigned)atoi(word[2]), .most = (unsigned)atoi(word[5])};
    c.from = (struct sockaddr_in){.sin_family = AF_INET};
    c.to = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(word[0]))};
    unsigned at_once = (unsigned)atoi(word[4]);
    uint64_t rate = (uint64_t)atoll(word[7]), due = 0;
    visit *visits = calloc(at_once, sizeof *visits);
    c.times = malloc(TIMES_MAX * sizeof *c.times);
    c.buffer = malloc(BUFFER);
    if (inet_pton(AF_INET, word[1], &c.from.sin_addr) != 1 || inet_pton(AF_INET, word[3], &c.to.sin_addr) != 1 || c.froms == 0)
        fail("address");
    for (unsigned i = 0; i < at_once; i++)
        visits[i].fd = -1;
    uint64_t begun = now_ns(), until = begun + (uint64_t)(atof(word[6]) * 1e9);
    while (now_ns() < until) {
        struct epoll_event events[EVENTS];
        keep_busy(&c, visits, at_once, rate, begun, &due);
        bool all_busy = rate == 0 || due < (now_ns() - begun) * rate / 1000000000u;
        int count = all_busy ? epoll_wait(c.epoll, events, EVENTS, 100)
                             : wait_until(c.epoll, events, begun + (due + 1) * 1000000000u / rate);
        for (int i = 0; i < count; i++)
            proceed(&c, events[i].data.ptr, events[i].events);
    }
    uint64_t took = now_ns() - begun, known = c.requests < TIMES_MAX ? c.requests : TIMES_MAX;
    qsort(c.times, known, sizeof *c.times, by_time);
    printf("%llu %llu %llu %llu %llu %llu %llu\n", (unsigned long long)c.bytes, (unsigned long long)c.requests,
           (unsigned long long)c.connections, (unsigned long long)c.failures, (unsigned long long)took,
           (unsigned long long)(known ? c.times[known / 2] : 0), (unsigned long long)(known ? c.times[known * 99 / 100] : 0));
    return 0;
}

int main(int count, char **word)
{
    if (count >= 4)
        load(word[2]);
    if (count == 4 && strcmp(word[1], "serve") == 0)
        return serve(atoi(word[3]));
    if (count == 11 && strcmp(word[1], "fetch") == 0)
        return fetch(word + 3);
    fprintf(stderr, "usage: pages serve FILE PORT | fetch FILE PORT FROM FROMS TO AT_ONCE MOST SECONDS RATE\n");
    return 2;
}
