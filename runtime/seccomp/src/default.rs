//! The profile that `RuntimeDefault` stands for.
//!
//! It lets through what programs in containers need and answers EPERM to the rest. What it permits equals what the field's
//! default profile permits (moby/profiles, mid 2026), so that an image which runs there runs here.

use oci_spec::runtime::{
    Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompArgBuilder, LinuxSeccompOperator,
    LinuxSyscall,
};

use LinuxSeccompOperator::{ScmpCmpEq as Eq, ScmpCmpGt as Gt, ScmpCmpLt as Lt, ScmpCmpMaskedEq as MaskedEq};

/// Allowed to everybody, by subject.
#[rustfmt::skip]
const ALLOWED: &[&str] = &[
    // Files and directories.
    "_llseek access cachestat chdir chmod chown chown32 close close_range copy_file_range creat dup dup2 dup3 faccessat \
     faccessat2 fadvise64 fadvise64_64 fallocate fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat \
     fcntl fcntl64 fdatasync flock fstat fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 \
     futimesat getcwd getdents getdents64 ioctl lchown lchown32 link linkat listmount lseek lstat lstat64 \
     mkdir mkdirat mknod mknodat name_to_handle_at newfstatat open openat openat2 pread64 preadv preadv2 \
     pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv rename renameat renameat2 rmdir \
     sendfile sendfile64 splice stat stat64 statfs statfs64 statmount statx symlink symlinkat sync \
     sync_file_range syncfs tee truncate truncate64 umask unlink unlinkat utime utimensat utimensat_time64 \
     utimes vmsplice write writev",
    // Extended attributes.
    "fgetxattr flistxattr fremovexattr fsetxattr getxattr getxattrat lgetxattr listxattr listxattrat \
     llistxattr lremovexattr lsetxattr removexattr removexattrat setxattr setxattrat",
    // Waiting for descriptors.
    "_newselect epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait \
     epoll_wait_old eventfd eventfd2 fanotify_mark inotify_add_watch inotify_init inotify_init1 \
     inotify_rm_watch pipe pipe2 poll ppoll ppoll_time64 pselect6 pselect6_time64 select signalfd signalfd4",
    // Asynchronous input and output; not io_uring, whose requests pass seccomp by.
    "io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit",
    // Memory.
    "brk madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mlock mlock2 mlockall mmap \
     mmap2 mprotect mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect \
     remap_file_pages",
    // Processes and threads.
    "arch_prctl arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush execve execveat exit exit_group fork futex \
     futex_requeue futex_time64 futex_wait futex_waitv futex_wake get_robust_list get_thread_area getcpu \
     getpgid getpgrp getpid getppid getpriority getrlimit getrusage getsid gettid ioprio_get ioprio_set kill \
     pause pidfd_open pidfd_send_signal prctl prlimit64 process_mrelease process_vm_readv process_vm_writev \
     ptrace restart_syscall rseq sched_get_priority_max \
     sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler \
     sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam \
     sched_setscheduler sched_yield set_robust_list set_thread_area set_tid_address set_tls setpgid \
     setpriority setrlimit setsid sysinfo tgkill times tkill ugetrlimit uname uretprobe \
     vfork wait4 waitid waitpid",
    // Signals.
    "alarm rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend \
     rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sigaltstack sigprocmask sigreturn",
    // Clocks and timers; setting a clock needs CAP_SYS_TIME, which the kernel checks.
    "adjtimex clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64 \
     clock_nanosleep clock_nanosleep_time64 getitimer gettimeofday nanosleep setitimer time timer_create \
     timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create \
     timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64",
    // Sockets; `socket` itself is below.
    "accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom recvmmsg \
     recvmmsg_time64 recvmsg send sendmmsg sendmsg sendto setsockopt shutdown socketcall socketpair",
    // System V and POSIX message queues, semaphores, shared memory.
    "ipc mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend \
     mq_timedsend_time64 mq_unlink msgctl msgget msgrcv msgsnd semctl semget semop semtimedop \
     semtimedop_time64 shmat shmctl shmdt shmget",
    // Who the process is.
    "capget capset getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getresgid \
     getresgid32 getresuid getresuid32 getuid getuid32 setfsgid setfsgid32 setfsuid setfsuid32 setgid \
     setgid32 setgroups setgroups32 setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid \
     setreuid32 setuid setuid32",
    // Giving up rights, randomness.
    "getrandom landlock_add_rule landlock_create_ruleset landlock_restrict_self seccomp",
];

/// Allowed to a process that has the capability.
const BY_CAPABILITY: &[(&str, &str)] = &[
    ("CAP_BPF", "bpf"),
    ("CAP_DAC_READ_SEARCH", "open_by_handle_at"),
    ("CAP_PERFMON", "perf_event_open"),
    (
        "CAP_SYS_ADMIN",
        "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr lsm_list_modules \
         lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl quotactl_fd setdomainname \
         sethostname setns syslog umount umount2 unshare",
    ),
    ("CAP_SYS_BOOT", "reboot"),
    ("CAP_SYS_CHROOT", "chroot"),
    ("CAP_SYS_MODULE", "delete_module finit_module init_module"),
    ("CAP_SYS_NICE", "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"),
    ("CAP_SYS_PACCT", "acct"),
    ("CAP_SYS_PTRACE", "kcmp pidfd_getfd process_madvise"),
    ("CAP_SYS_RAWIO", "ioperm iopl"),
    ("CAP_SYS_TIME", "clock_settime clock_settime64 settimeofday stime"),
    ("CAP_SYS_TTY_CONFIG", "vhangup"),
    ("CAP_SYSLOG", "syslog"),
];

/// The namespaces that clone(2) makes: CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET.
const CLONE_NAMESPACES: u64 = 0x7e02_0000;

const AF_ALG: u64 = 38;
const AF_VSOCK: u64 = 40;

/// What personality(2) may be asked for: Linux, 32 bits' view, either without a fixed memory layout, and the question itself.
const PERSONALITIES: [u64; 5] = [0, 0x0008, 0x2_0000, 0x2_0008, 0xffff_ffff];

const EPERM: u32 = 1;
const ENOSYS: u32 = 38;

/// The profile that `RuntimeDefault` stands for, for a process whose bounding set is `capabilities` (`CAP_SYS_ADMIN`, …).
pub fn default_profile(capabilities: &[&str]) -> LinuxSeccomp {
    let has = |name: &str| capabilities.contains(&name);
    let allowed = ALLOWED.iter().flat_map(|group| group.split_whitespace()).collect();
    let mut rules = vec![rule(allowed, LinuxSeccompAction::ScmpActAllow, None, &[])];
    // Were a condition ever refused, its rule would be left out, which only forbids more.
    let mut allow = |name: &'static str, condition: Option<LinuxSeccompArg>| {
        rules.extend(condition.map(|c| rule(vec![name], LinuxSeccompAction::ScmpActAllow, None, &[c])));
    };
    // AF_ALG has had holes in the kernel, and AF_VSOCK reaches the hypervisor, past any network namespace.
    allow("socket", arg(0, Lt, AF_ALG, 0));
    allow("socket", arg(0, Eq, AF_ALG + 1, 0));
    allow("socket", arg(0, Gt, AF_VSOCK, 0));
    for value in PERSONALITIES {
        allow("personality", arg(0, Eq, value, 0));
    }
    if !has("CAP_SYS_ADMIN") {
        allow("clone", arg(0, MaskedEq, CLONE_NAMESPACES, 0));
        // Its flags lie in memory, out of sight. ENOSYS makes libraries fall back to clone.
        rules.push(rule(vec!["clone3"], LinuxSeccompAction::ScmpActErrno, Some(ENOSYS), &[]));
    }
    for (_, names) in BY_CAPABILITY.iter().filter(|(capability, _)| has(capability)) {
        rules.push(rule(names.split_whitespace().collect(), LinuxSeccompAction::ScmpActAllow, None, &[]));
    }

    let mut profile = LinuxSeccomp::default();
    profile
        .set_default_action(LinuxSeccompAction::ScmpActErrno)
        .set_default_errno_ret(Some(EPERM))
        .set_architectures(Some(architectures()))
        .set_syscalls(Some(rules));
    profile
}

fn architectures() -> Vec<Arch> {
    match std::env::consts::ARCH {
        "x86_64" => vec![Arch::ScmpArchX86_64, Arch::ScmpArchX86, Arch::ScmpArchX32],
        "aarch64" => vec![Arch::ScmpArchAarch64, Arch::ScmpArchArm],
        _ => vec![Arch::ScmpArchNative],
    }
}

fn rule(
    names: Vec<&str>,
    action: LinuxSeccompAction,
    errno: Option<u32>,
    args: &[LinuxSeccompArg],
) -> LinuxSyscall {
    let mut rule = LinuxSyscall::default();
    rule.set_names(names.into_iter().map(String::from).collect())
        .set_action(action)
        .set_errno_ret(errno)
        .set_args((!args.is_empty()).then(|| args.to_vec()));
    rule
}

fn arg(index: usize, op: LinuxSeccompOperator, value: u64, value_two: u64) -> Option<LinuxSeccompArg> {
    LinuxSeccompArgBuilder::default().index(index).op(op).value(value).value_two(value_two).build().ok()
}
