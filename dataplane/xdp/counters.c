/* Reads the counters of the program, summed over the processors; and asks the program itself. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gate.h"
#include "reef/status.h"

static int sum(reef_gate *gate, int map, uint32_t key, reef_gate_tally *out)
{
    *out = (reef_gate_tally){0, 0};
    if (bpf_map_lookup_elem(map, &key, gate->counts) != 0)
        return REEF_SYSTEM;
    for (int i = 0; i < gate->processors; i++) {
        out->packets += gate->counts[i].packets;
        out->bytes += gate->counts[i].bytes;
    }
    return REEF_OK;
}

int reef_gate_count_list(reef_gate *gate, uint32_t list, reef_gate_tally *out)
{
    return list <= REEF_GATE_LISTS ? sum(gate, gate->lists, list, out) : REEF_INVALID;
}

int reef_gate_forget_list(reef_gate *gate, uint32_t list)
{
    memset(gate->counts, 0, (size_t)gate->processors * sizeof *gate->counts);
    if (list > REEF_GATE_LISTS)
        return REEF_INVALID;
    return bpf_map_update_elem(gate->lists, &list, gate->counts, BPF_ANY) == 0 ? REEF_OK : REEF_SYSTEM;
}

int reef_gate_count_line(reef_gate *gate, uint32_t interface, uint32_t reason, reef_gate_tally *out)
{
    struct reef_gate_line line;
    *out = (reef_gate_tally){0, 0};
    if (reason >= REEF_GATE_REASONS)
        return REEF_INVALID;
    if (!reef_gate_line_known(gate, interface, &line))
        return REEF_END;
    return sum(gate, gate->reasons, line.counters % REEF_GATE_LINE_COUNTERS * REEF_GATE_REASONS + reason, out);
}

uint32_t reef_gate_reasons(void)
{
    return REEF_GATE_REASONS;
}

const char *reef_gate_reason_name(uint32_t reason)
{
    static const char *const names[REEF_GATE_REASONS] = {
        [REEF_GATE_BANNED] = "banned",
        [REEF_GATE_ALLOWED] = "allowed",
        [REEF_GATE_BAD_ETHERNET] = "ethernet",
        [REEF_GATE_BAD_IPV4] = "ipv4",
        [REEF_GATE_BAD_IPV6] = "ipv6",
        [REEF_GATE_BAD_FRAGMENT] = "fragment",
        [REEF_GATE_BAD_TCP] = "tcp",
        [REEF_GATE_BAD_FLAGS] = "tcp-flags",
        [REEF_GATE_BAD_UDP] = "udp",
        [REEF_GATE_BAD_ICMP] = "icmp",
        [REEF_GATE_LAND] = "land",
        [REEF_GATE_BOGON] = "bogon",
        [REEF_GATE_SYN] = "syn-flood",
        [REEF_GATE_UDP] = "udp-flood",
        [REEF_GATE_ICMP] = "icmp-flood",
        [REEF_GATE_SYN_TOTAL] = "syn-total",
    };
    return reason < REEF_GATE_REASONS ? names[reason] : "";
}

int reef_gate_try(reef_gate *gate, uint32_t interface, const uint8_t *frame, size_t length, uint32_t repeat, bool *passes,
                  uint32_t *nanoseconds)
{
    struct xdp_md context = {.data_end = (uint32_t)length, .ingress_ifindex = interface};
    struct bpf_test_run_opts options = {
        .sz = sizeof options,
        .data_in = frame,
        .data_size_in = (uint32_t)length,
        .ctx_in = &context,
        .ctx_size_in = sizeof context,
        .repeat = (int)repeat,
    };
    if (bpf_prog_test_run_opts(gate->program, &options) != 0)
        return REEF_SYSTEM;
    *passes = options.retval == XDP_PASS;
    *nanoseconds = options.duration;
    return REEF_OK;
}
