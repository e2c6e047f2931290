"""cffi definition of `ctypes_ext._inject`: hand the kernel a frame as if an interface had received it.

BPF_PROG_TEST_RUN in live mode (linux/bpf.h, since 5.18) passes a frame through an XDP program that says "pass", from
where it goes the way of every received frame. Each function returns 0 or the negative errno of the call that failed.
"""

from __future__ import annotations

import cffi

ffibuilder = cffi.FFI()

ffibuilder.cdef("int reef_inject(unsigned int interface, const unsigned char *frame, size_t length);")

ffibuilder.set_source(
    "ctypes_ext._inject",
    r"""
    #ifndef _GNU_SOURCE
    #define _GNU_SOURCE
    #endif
    #include <errno.h>
    #include <linux/bpf.h>
    #include <stdint.h>
    #include <string.h>
    #include <sys/syscall.h>
    #include <unistd.h>

    /* return XDP_PASS */
    static int reef_pass_program(void) {
        struct bpf_insn code[2] = {
            {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS},
            {.code = BPF_JMP | BPF_EXIT},
        };
        union bpf_attr attr;
        memset(&attr, 0, sizeof attr);
        attr.prog_type = BPF_PROG_TYPE_XDP;
        attr.insns = (uint64_t)(uintptr_t)code;
        attr.insn_cnt = 2;
        attr.license = (uint64_t)(uintptr_t)"GPL";
        long fd = syscall(__NR_bpf, BPF_PROG_LOAD, &attr, sizeof attr);
        return fd < 0 ? -errno : (int)fd;
    }

    static int reef_inject(unsigned int interface, const unsigned char *frame, size_t length) {
        int program = reef_pass_program();
        if (program < 0) return program;
        struct xdp_md where;
        memset(&where, 0, sizeof where);
        where.data_end = (uint32_t)length;
        where.ingress_ifindex = interface;
        union bpf_attr attr;
        memset(&attr, 0, sizeof attr);
        attr.test.prog_fd = (uint32_t)program;
        attr.test.data_in = (uint64_t)(uintptr_t)frame;
        attr.test.data_size_in = (uint32_t)length;
        attr.test.ctx_in = (uint64_t)(uintptr_t)&where;
        attr.test.ctx_size_in = sizeof where;
        attr.test.repeat = 1;
        attr.test.batch_size = 1;
        attr.test.flags = BPF_F_TEST_XDP_LIVE_FRAMES;
        int status = syscall(__NR_bpf, BPF_PROG_TEST_RUN, &attr, sizeof attr) < 0 ? -errno : 0;
        close(program);
        return status;
    }
    """,
)
