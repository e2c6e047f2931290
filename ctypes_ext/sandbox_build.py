"""cffi definition of `ctypes_ext._sandbox`: the kernel's calls for giving up privilege, over libseccomp and libc.

Every function returns 0, or the negative errno of the call that failed. What the calls mean together is
decided in `appliance/control/sandbox.py`; nothing here has a policy of its own.
"""

from __future__ import annotations

import cffi

ffibuilder = cffi.FFI()

ffibuilder.cdef(
    """
    struct reef_syscall_argument {
        unsigned int index;
        uint64_t mask;      /* the argument and-ed with mask must equal value */
        uint64_t value;
    };
    struct reef_syscall_rule {
        const char *name;
        unsigned int arguments;
        struct reef_syscall_argument argument[3];
    };
    int reef_seccomp_load(const struct reef_syscall_rule *rules, size_t count, int refusal);
    int reef_capabilities_keep(uint64_t keep);
    int reef_capabilities_held(uint64_t *permitted, uint64_t *bounding);
    int reef_no_new_privileges(void);
    int reef_landlock_writes(const char *const *paths, size_t count);
    int reef_keep_capabilities_over_setuid(int on);
    int reef_dumpable(int on);
    int reef_parent_death_signal(int signal);
    int reef_setns(int fd, int kind);
    int reef_unshare(int flags);
    int reef_mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data);
    int reef_umount(const char *target, int flags);
    """
)

ffibuilder.set_source(
    "ctypes_ext._sandbox",
    r"""
    #ifndef _GNU_SOURCE
    #define _GNU_SOURCE
    #endif
    #include <errno.h>
    #include <fcntl.h>
    #include <linux/capability.h>
    #include <linux/landlock.h>
    #include <sched.h>
    #include <seccomp.h>
    #include <stdint.h>
    #include <string.h>
    #include <sys/mount.h>
    #include <sys/prctl.h>
    #include <sys/stat.h>
    #include <sys/syscall.h>
    #include <unistd.h>

    struct reef_syscall_argument {
        unsigned int index;
        uint64_t mask;
        uint64_t value;
    };
    struct reef_syscall_rule {
        const char *name;
        unsigned int arguments;
        struct reef_syscall_argument argument[3];
    };

    static int reef_result(long value) { return value < 0 ? -errno : 0; }

    static int reef_seccomp_load(const struct reef_syscall_rule *rules, size_t count, int refusal) {
        scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO((uint16_t)refusal));
        if (!filter) return -ENOMEM;
        /* Refusals go to the audit log. Kernels before 4.14 cannot: the filter holds there all the same. */
        (void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, 1);
        (void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
        int status = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
        for (size_t i = 0; status == 0 && i < count; i++) {
            int number = seccomp_syscall_resolve_name(rules[i].name);
            if (number < 0) continue; /* not a call of this architecture */
            struct scmp_arg_cmp compare[3];
            unsigned int arguments = rules[i].arguments;
            if (arguments > 3) { status = -EINVAL; break; }
            for (unsigned int a = 0; a < arguments; a++)
                compare[a] = SCMP_CMP(rules[i].argument[a].index, SCMP_CMP_MASKED_EQ,
                                      rules[i].argument[a].mask, rules[i].argument[a].value);
            status = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, number, arguments, compare);
        }
        if (status == 0) {
            /* clone3 hides its flags behind a pointer; ENOSYS makes libc use clone, whose flags are checked. */
            status = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
        }
        if (status == 0) status = seccomp_load(filter);
        seccomp_release(filter);
        return status;
    }

    static int reef_capabilities_held(uint64_t *permitted, uint64_t *bounding) {
        struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
        struct __user_cap_data_struct data[2];
        if (syscall(SYS_capget, &header, data) < 0) return -errno;
        *permitted = (uint64_t)data[0].permitted | (uint64_t)data[1].permitted << 32;
        *bounding = 0;
        for (int cap = 0; cap < 64; cap++) {
            int present = prctl(PR_CAPBSET_READ, cap, 0, 0, 0);
            if (present < 0) break;
            if (present) *bounding |= (uint64_t)1 << cap;
        }
        return 0;
    }

    /* Bounding first: it needs CAP_SETPCAP, which the capset that follows takes away. */
    static int reef_capabilities_keep(uint64_t keep) {
        struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
        struct __user_cap_data_struct data[2];
        uint64_t permitted, bounding;
        int status = reef_capabilities_held(&permitted, &bounding);
        if (status < 0) return status;
        if (permitted & (uint64_t)1 << CAP_SETPCAP) {
            memset(data, 0, sizeof data);
            data[0].permitted = data[0].effective = (uint32_t)permitted;
            data[1].permitted = data[1].effective = (uint32_t)(permitted >> 32);
            if (syscall(SYS_capset, &header, data) < 0) return -errno;
            for (int cap = 0; cap < 64; cap++)
                if ((bounding & ~keep) >> cap & 1 && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0) return -errno;
        }
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL) return -errno;
        memset(data, 0, sizeof data);
        data[0].permitted = data[0].effective = (uint32_t)keep;
        data[1].permitted = data[1].effective = (uint32_t)(keep >> 32);
        return reef_result(syscall(SYS_capset, &header, data));
    }

    /* Newer than the headers of Debian 12. */
    #define REEF_LANDLOCK_TRUNCATE (1ULL << 14)

    /* Beneath `paths` the process may change what there is, anywhere else nothing: landlock(7). */
    static int reef_landlock_writes(const char *const *paths, size_t count) {
        long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
        if (abi < 0) return -errno;
        const uint64_t files = LANDLOCK_ACCESS_FS_WRITE_FILE | (abi >= 3 ? REEF_LANDLOCK_TRUNCATE : 0);
        uint64_t all = files | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
                       LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
                       LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK |
                       LANDLOCK_ACCESS_FS_MAKE_SYM;
        if (abi >= 2) all |= LANDLOCK_ACCESS_FS_REFER;
        struct landlock_ruleset_attr attributes = {.handled_access_fs = all};
        long ruleset = syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0);
        if (ruleset < 0) return -errno;
        int status = 0;
        for (size_t i = 0; status == 0 && i < count; i++) {
            int fd = open(paths[i], O_PATH | O_CLOEXEC);
            struct stat kind;
            if (fd < 0 || fstat(fd, &kind) < 0) {
                status = -errno;
            } else {
                struct landlock_path_beneath_attr beneath = {
                    .allowed_access = S_ISDIR(kind.st_mode) ? all : files,
                    .parent_fd = fd,
                };
                if (syscall(SYS_landlock_add_rule, (int)ruleset, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) < 0)
                    status = -errno;
            }
            if (fd >= 0) close(fd);
        }
        if (status == 0 && syscall(SYS_landlock_restrict_self, (int)ruleset, 0) < 0) status = -errno;
        close((int)ruleset);
        return status;
    }

    static int reef_no_new_privileges(void) { return reef_result(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)); }
    static int reef_keep_capabilities_over_setuid(int on) { return reef_result(prctl(PR_SET_KEEPCAPS, on, 0, 0, 0)); }
    static int reef_dumpable(int on) { return reef_result(prctl(PR_SET_DUMPABLE, on, 0, 0, 0)); }
    static int reef_parent_death_signal(int signal) { return reef_result(prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0)); }
    static int reef_setns(int fd, int kind) { return reef_result(setns(fd, kind)); }
    static int reef_unshare(int flags) { return reef_result(unshare(flags)); }
    static int reef_mount(const char *source, const char *target, const char *type, unsigned long flags,
                          const char *data) {
        return reef_result(mount(source, target, type, flags, data));
    }
    static int reef_umount(const char *target, int flags) { return reef_result(umount2(target, flags)); }
    """,
    libraries=["seccomp"],
    extra_compile_args=["-std=gnu17", "-O2", "-Wall", "-Wextra"],
)
