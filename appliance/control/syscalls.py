"""The system calls each class of process may make; everything else fails with EPERM and is logged by the kernel.

The lists were made by running the processes under strace on Debian 12 and 13, x86-64 and arm64 names together
(a name that an architecture lacks is passed over). `FORBIDDEN` is what no class may ever list; a test holds it.
"""

from __future__ import annotations

import socket

import msgspec

from appliance.control.processes import Seccomp


class Condition(msgspec.Struct, frozen=True):
    """The argument at `index`, and-ed with `mask`, must be `value`."""

    index: int
    mask: int
    value: int


class Allowed(msgspec.Struct, frozen=True):
    """One system call, allowed when every condition holds."""

    name: str
    conditions: tuple[Condition, ...] = ()


WORD = 0xFFFFFFFF

# Constants of <sys/mman.h>, <sched.h>, <asm/ioctls.h>, <linux/sockios.h>, <linux/prctl.h>.
PROT_WRITE = 0x2
PROT_EXEC = 0x4
CLONE_THREAD = 0x00010000
IOCTLS = {
    "TCGETS": 0x5401,
    "FIONREAD": 0x541B,
    "FIONBIO": 0x5421,
    "FIONCLEX": 0x5450,
    "FIOCLEX": 0x5451,
    "SIOCGIFNAME": 0x8910,
    "SIOCGIFHWADDR": 0x8927,
    "SIOCGIFINDEX": 0x8933,
}
PR_SET_NAME = 15
# <linux/sched.h>: every flag of clone(2) that makes a namespace.
CLONE_NEW = 0x7E020080
PRIO_PROCESS = 0

# How nice the thread of inspectd is that compiles rules: packets go before it. It can only make itself nicer.
COMPILING = 5

# Commands of bpf(2), <linux/bpf.h>, with which gated uses what it has: elements of maps, and its program's links.
# Never one that loads a program or makes a map.
BPF_COMMANDS = {
    "BPF_MAP_LOOKUP_ELEM": 1,
    "BPF_MAP_UPDATE_ELEM": 2,
    "BPF_MAP_DELETE_ELEM": 3,
    "BPF_OBJ_PIN": 6,
    "BPF_OBJ_GET": 7,
    "BPF_OBJ_GET_INFO_BY_FD": 15,
    "BPF_LINK_CREATE": 28,
    "BPF_LINK_UPDATE": 29,
    "BPF_LINK_DETACH": 34,
}


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FORBIDDEN = frozenset(
    _words("""
    execve execveat fork vfork ptrace process_vm_readv process_vm_writev kcmp pidfd_getfd
    mount umount umount2 mount_setattr move_mount open_tree fsopen fsmount fsconfig pivot_root chroot
    setns unshare clone3
    perf_event_open userfaultfd io_uring_setup io_uring_enter io_uring_register
    init_module finit_module delete_module create_module kexec_load kexec_file_load reboot
    keyctl add_key request_key
    setuid setgid setreuid setregid setresuid setresgid setgroups setfsuid setfsgid capset
    swapon swapoff acct quotactl syslog iopl ioperm settimeofday clock_settime adjtimex clock_adjtime
    sethostname setdomainname mknod mknodat modify_ldt personality name_to_handle_at open_by_handle_at
    memfd_create memfd_secret process_madvise
    """)
)

# What the interpreter, threads, memory, time, files and Unix sockets need: every process.
_INTERPRETER = _words("""
    read write readv writev pread64 pwrite64 preadv pwritev close close_range lseek fstat newfstatat stat lstat statx
    fstatfs statfs open openat access faccessat faccessat2 getdents64 getcwd readlink readlinkat umask
    dup dup2 dup3 pipe pipe2 fcntl flock
    munmap mremap brk madvise mincore membarrier
    futex futex_wait futex_wake futex_waitv set_robust_list get_robust_list rseq set_tid_address sched_yield
    sched_getaffinity sched_getparam sched_getscheduler getcpu
    rt_sigaction rt_sigprocmask rt_sigreturn rt_sigtimedwait rt_sigpending rt_sigsuspend sigaltstack
    select pselect6 poll ppoll epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2
    eventfd eventfd2 timerfd_create timerfd_settime timerfd_gettime signalfd4 restart_syscall pause
    inotify_init1 inotify_add_watch inotify_rm_watch
    nanosleep clock_nanosleep clock_gettime clock_getres gettimeofday time times alarm setitimer getitimer
    getpid gettid getppid getpgrp getpgid getsid getuid geteuid getgid getegid getresuid getresgid getgroups
    getrlimit getrusage sysinfo uname getrandom capget arch_prctl exit exit_group wait4 waitid
    connect accept accept4 bind listen shutdown getsockname getpeername getsockopt setsockopt
    sendto recvfrom sendmsg recvmsg sendmmsg recvmmsg
""")

# To keep something on disk: a process with a state directory or a spool.
_KEEP_FILES = _words("""
    rename renameat renameat2 unlink unlinkat mkdir mkdirat rmdir link linkat symlink symlinkat
    fsync fdatasync sync_file_range fallocate ftruncate fchmod fchmodat chmod utimensat copy_file_range sendfile
""")


def _sockets(*families: int) -> tuple[Allowed, ...]:
    return tuple(
        Allowed(call, (Condition(0, WORD, int(family)),)) for family in families for call in ("socket", "socketpair")
    )


def _always(own: int) -> tuple[Allowed, ...]:
    """What every class has. `own` is the process's id: it may signal itself (abort, raise) and nobody else."""
    return (
        *(Allowed(name) for name in _INTERPRETER),
        # Never memory that is executable and writable, nor writable memory made executable later.
        Allowed("mmap", (Condition(2, PROT_WRITE, 0),)),
        Allowed("mmap", (Condition(2, PROT_EXEC, 0),)),
        Allowed("mprotect", (Condition(2, PROT_EXEC, 0),)),
        # Threads, not processes.
        Allowed("clone", (Condition(0, CLONE_THREAD, CLONE_THREAD),)),
        *(Allowed("ioctl", (Condition(1, WORD, number),)) for number in IOCTLS.values()),
        Allowed("prctl", (Condition(0, WORD, PR_SET_NAME),)),
        Allowed("kill", (Condition(0, WORD, own),)),
        Allowed("tgkill", (Condition(0, WORD, own),)),
        # Its own limits, and only to read them.
        Allowed("prlimit64", (Condition(0, WORD, 0), Condition(2, 0xFFFFFFFFFFFFFFFF, 0))),
    )


_UNIX = int(socket.AF_UNIX)
_INET = int(socket.AF_INET)
_INET6 = int(socket.AF_INET6)
_NETLINK = int(socket.AF_NETLINK)

_FAMILIES: dict[Seccomp, tuple[int, ...]] = {
    "keys": (_UNIX,),
    "policy": (_UNIX,),
    "apply": (_UNIX, _NETLINK),
    # Its capture sockets are open before the filter is loaded.
    "inspect": (_UNIX,),
    # Its queues and lanes are open before. Netlink for the tables of bridges: each belongs to a socket of its own.
    "verdicts": (_UNIX, _NETLINK),
    # Netlink to ask which interfaces there are, and what stands at them.
    "gate": (_UNIX, _NETLINK),
    # What looks into captures (`reef inspect`) talks to nobody.
    "captures": (),
    "watch": (_UNIX,),
    "records": (_UNIX,),
    # Consumers come over TCP, and it goes to those who want to be told; netlink is for the resolver of libc.
    "events": (_UNIX, _INET, _INET6, _NETLINK),
    # People come over TCP, and it goes to who says who they are (OpenID Connect); netlink for the resolver of libc.
    "console": (_UNIX, _INET, _INET6, _NETLINK),
    # What judges and typesets for the console talks to nobody: its jobs come over sockets that it is given.
    "press": (),
    # Netlink only because the resolver of libc asks which addresses the box has.
    "names": (_UNIX, _INET, _INET6, _NETLINK),
}


def allowed(seccomp: Seccomp, own: int) -> tuple[Allowed, ...]:
    """The calls of a class for the process with id `own`."""
    bpf = BPF_COMMANDS.values() if seccomp == "gate" else ()
    nicer = (Condition(0, WORD, PRIO_PROCESS), Condition(1, WORD, 0), Condition(2, WORD, COMPILING))
    return (
        *_always(own),
        *(Allowed(name) for name in _KEEP_FILES),
        *(Allowed("bpf", (Condition(0, WORD, command),)) for command in bpf),
        *((Allowed("setpriority", nicer),) if seccomp == "inspect" else ()),
        # Each of its jobs is a process of its own, under this same filter.
        *((Allowed("clone", (Condition(0, CLONE_NEW, 0),)),) if seccomp == "press" else ()),
        *_sockets(*_FAMILIES[seccomp]),
    )
