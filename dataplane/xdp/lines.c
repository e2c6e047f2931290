/* Puts the program at lines and takes it away. A line has one pinned link, named by the number of its interface. */
#include <dirent.h>
#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gate.h"
#include "reef/status.h"

#define PREFIX "line-"
enum { NAME_ROOM = 32 };

static void link_path(char *out, size_t size, const char *pins, uint32_t interface)
{
    snprintf(out, size, "%s/" PREFIX "%u", pins, interface);
}

/* At which interface a link is; 0 when that is gone, or the link no link of XDP. */
static uint32_t interface_of(int link)
{
    struct bpf_link_info info = {0};
    uint32_t length = sizeof info;
    if (bpf_obj_get_info_by_fd(link, &info, &length) != 0 || info.type != BPF_LINK_TYPE_XDP)
        return 0;
    return info.xdp.ifindex;
}

bool reef_gate_line_known(const reef_gate *gate, uint32_t interface, struct reef_gate_line *line)
{
    uint32_t at = interface % REEF_GATE_LINES;
    return bpf_map_lookup_elem(gate->ways_in, &at, line) == 0 && line->interface == interface && interface != 0;
}

/* --- settings --------------------------------------------------------------------------------------- */

/* A row of counters that no line has, set to zero. -1: all are taken. */
static int free_row(reef_gate *gate)
{
    uint64_t taken = 0;
    for (uint32_t at = 0; at < REEF_GATE_LINES; at++) {
        struct reef_gate_line line;
        if (bpf_map_lookup_elem(gate->ways_in, &at, &line) == 0 && line.interface != 0)
            taken |= 1ull << line.counters % REEF_GATE_LINE_COUNTERS;
    }
    for (uint32_t row = 0; row < REEF_GATE_LINE_COUNTERS; row++) {
        if (taken >> row & 1)
            continue;
        memset(gate->counts, 0, (size_t)gate->processors * sizeof *gate->counts);
        for (uint32_t i = 0; i < REEF_GATE_REASONS; i++) {
            uint32_t key = row * REEF_GATE_REASONS + i;
            if (bpf_map_update_elem(gate->reasons, &key, gate->counts, BPF_ANY) != 0)
                return -1;
        }
        return (int)row;
    }
    return -1;
}

static struct reef_gate_rate rate_of(const struct reef_gate_limit *limit)
{
    const uint64_t second = 1000000000ull >> REEF_GATE_TICK_SHIFT, longest = 1u << 30;
    if (limit->rate == 0)
        return (struct reef_gate_rate){0, 0};
    uint64_t gap = second / limit->rate > 0 ? second / limit->rate : 1, burst = gap * limit->burst;
    return (struct reef_gate_rate){(uint32_t)gap, (uint32_t)(burst < longest ? burst : longest)};
}

/* Do its packets have a header of Ethernet? Tunnels and PPP carry IP alone. What cannot be asked is taken to have one. */
static bool has_ethernet(uint32_t interface)
{
    struct ifreq request = {.ifr_ifindex = (int)interface};
    int asker = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool bare = asker >= 0 && ioctl(asker, SIOCGIFNAME, &request) == 0 && ioctl(asker, SIOCGIFHWADDR, &request) == 0 &&
                request.ifr_hwaddr.sa_family != ARPHRD_ETHER && request.ifr_hwaddr.sa_family != ARPHRD_LOOPBACK;
    if (asker >= 0)
        close(asker);
    return !bare;
}

static uint32_t checks_of(const struct reef_gate_way *way, uint32_t interface)
{
    return (way->malformed ? REEF_GATE_CHECK_MALFORMED : 0u) | (way->martians ? REEF_GATE_CHECK_MARTIANS : 0u) |
           (way->private_sources ? REEF_GATE_CHECK_PRIVATE : 0u) | (way->examples ? REEF_GATE_CHECK_EXAMPLES : 0u) |
           (has_ethernet(interface) ? 0u : REEF_GATE_NO_ETHERNET);
}

static int set_way(reef_gate *gate, uint32_t interface, const struct reef_gate_way *way, char words[REEF_GATE_WORDS])
{
    uint32_t at = interface % REEF_GATE_LINES;
    struct reef_gate_line old = {0}, line;
    int row;
    if (bpf_map_lookup_elem(gate->ways_in, &at, &old) != 0)
        return REEF_GATE_SAY(words, "the settings of the line cannot be read: %s", strerror(errno));
    if (old.interface != 0 && old.interface != interface)
        return REEF_GATE_SAY(words, "interface %u stands where interface %u would be kept", old.interface, interface);
    row = old.interface == interface ? (int)old.counters : free_row(gate);
    if (row < 0)
        return REEF_GATE_SAY(words, "the gate counts for %u lines and no more", REEF_GATE_LINE_COUNTERS);
    line = (struct reef_gate_line){
        .interface = interface,
        .counters = (uint32_t)row,
        .checks = checks_of(way, interface),
        .syn = rate_of(&way->syn),
        .udp = rate_of(&way->udp),
        .icmp = rate_of(&way->icmp),
        .syn_total = rate_of(&way->syn_total),
    };
    if (bpf_map_update_elem(gate->ways_in, &at, &line, BPF_ANY) != 0)
        return REEF_GATE_SAY(words, "the settings of the line cannot be kept: %s", strerror(errno));
    return REEF_OK;
}

static void forget_way(reef_gate *gate, uint32_t interface)
{
    uint32_t at = interface % REEF_GATE_LINES;
    struct reef_gate_line line, none = {0};
    if (reef_gate_line_known(gate, interface, &line))
        (void)bpf_map_update_elem(gate->ways_in, &at, &none, BPF_ANY);
}

/* --- links ------------------------------------------------------------------------------------------ */

/* Is it one of ours, still at its interface? Then the program there becomes this one. REEF_END: it is not. */
static int exchange(reef_gate *gate, const char *path, uint32_t interface)
{
    int link = bpf_obj_get(path);
    if (link < 0)
        return REEF_END;
    int status = interface_of(link) == interface && bpf_link_update(link, gate->program, NULL) == 0 ? REEF_OK : REEF_END;
    close(link);
    if (status != REEF_OK)
        unlink(path);
    return status;
}

static int create(reef_gate *gate, uint32_t interface, bool generic)
{
    struct bpf_link_create_opts native = {.sz = sizeof native, .flags = XDP_FLAGS_DRV_MODE};
    struct bpf_link_create_opts slow = {.sz = sizeof slow, .flags = XDP_FLAGS_SKB_MODE};
    int link = -1;
    if (!generic)
        link = bpf_link_create(gate->program, (int)interface, BPF_XDP, &native);
    if (link < 0 && (generic || (link != -EBUSY && link != -EEXIST && link != -ENODEV)))
        link = bpf_link_create(gate->program, (int)interface, BPF_XDP, &slow);
    return link;
}

reef_gate_mode reef_gate_mode_at(reef_gate *gate, uint32_t interface)
{
    struct bpf_xdp_query_opts query = {.sz = sizeof query};
    char path[PATH_MAX + NAME_ROOM];
    link_path(path, sizeof path, gate->pins, interface);
    int link = bpf_obj_get(path);
    if (link < 0)
        return REEF_GATE_NOWHERE;
    bool there = interface_of(link) == interface;
    close(link);
    if (!there || bpf_xdp_query((int)interface, 0, &query) != 0)
        return REEF_GATE_NOWHERE;
    return query.drv_prog_id != 0 ? REEF_GATE_NATIVE : query.skb_prog_id != 0 ? REEF_GATE_GENERIC : REEF_GATE_NOWHERE;
}

static int refused(int error, uint32_t interface, char words[REEF_GATE_WORDS])
{
    struct bpf_xdp_query_opts query = {.sz = sizeof query};
    if ((error == -EBUSY || error == -EEXIST) && bpf_xdp_query((int)interface, 0, &query) == 0) {
        uint32_t other = query.drv_prog_id != 0 ? query.drv_prog_id : query.skb_prog_id != 0 ? query.skb_prog_id : query.prog_id;
        return REEF_GATE_SAY(words, "another XDP program (id %u) is there; take it away, and the gate comes by itself", other);
    }
    return REEF_GATE_SAY(words, "the kernel does not take the program there: %s", strerror(-error));
}

int reef_gate_attach(reef_gate *gate, uint32_t interface, const struct reef_gate_way *way, bool generic,
                     reef_gate_mode *mode, char words[REEF_GATE_WORDS])
{
    char path[PATH_MAX + NAME_ROOM];
    *mode = REEF_GATE_NOWHERE;
    link_path(path, sizeof path, gate->pins, interface);
    int status = set_way(gate, interface, way, words);
    if (status != REEF_OK)
        return status;
    if (exchange(gate, path, interface) != REEF_OK) {
        int link = create(gate, interface, generic);
        if (link < 0) {
            forget_way(gate, interface);
            return refused(link, interface, words);
        }
        if (bpf_obj_pin(link, path) != 0) {
            (void)REEF_GATE_SAY(words, "the link cannot be pinned: %s", strerror(errno));
            bpf_link_detach(link);
            close(link);
            forget_way(gate, interface);
            return REEF_SYSTEM;
        }
        close(link);
    }
    *mode = reef_gate_mode_at(gate, interface);
    return REEF_OK;
}

static int take_away(const char *path)
{
    int link = bpf_obj_get(path);
    if (link >= 0) {
        (void)bpf_link_detach(link); /* at once; without it the link goes when its last holder does */
        close(link);
    }
    if (unlink(path) != 0)
        return errno == ENOENT ? REEF_END : REEF_SYSTEM;
    return REEF_OK;
}

int reef_gate_detach(reef_gate *gate, uint32_t interface)
{
    char path[PATH_MAX + NAME_ROOM];
    link_path(path, sizeof path, gate->pins, interface);
    int status = take_away(path);
    forget_way(gate, interface);
    return status;
}

static bool wanted(const char *path, const uint32_t *interfaces, size_t count)
{
    int link = bpf_obj_get(path);
    if (link < 0)
        return false;
    uint32_t interface = interface_of(link);
    close(link);
    for (size_t i = 0; i < count; i++)
        if (interfaces[i] == interface)
            return true;
    return false;
}

int reef_gate_detach_others(const char *pins, const uint32_t *interfaces, size_t count)
{
    DIR *folder = opendir(pins);
    int status = REEF_OK;
    if (folder == NULL)
        return REEF_SYSTEM;
    for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        char path[PATH_MAX + NAME_ROOM + NAME_MAX];
        snprintf(path, sizeof path, "%s/%s", pins, entry->d_name);
        if (strncmp(entry->d_name, PREFIX, sizeof PREFIX - 1) == 0 && !wanted(path, interfaces, count) &&
            take_away(path) == REEF_SYSTEM)
            status = REEF_SYSTEM;
    }
    closedir(folder);
    return status;
}
