//! `bare ROOTFS GROUP PROGRAM...`: the least that a container with the default configuration asks of the kernel, and nothing
//! else: namespaces, a cgroup with its device program, mounts, devices, hidden paths, pivot_root, capabilities, exec, and
//! the way back. It reads no configuration and keeps no state: the floor that `husk run` is measured against.

use husk_sys::clone::{Fork, Namespaces, clone3};
use rustix::fs::{CWD, FileType, Mode, OFlags, makedev, mknodat, open, symlink};
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_change, mount_remount, unmount,
};
use rustix::process::{WaitOptions, chdir, fchdir, pivot_root, waitpid};
use std::ffi::CString;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::process::ExitCode;

const HIDDEN: &[&str] =
    &["acpi", "kcore", "keys", "latency_stats", "timer_list", "timer_stats", "sched_debug", "scsi"];
const READ_ONLY: &[&str] = &["bus", "fs", "irq", "sys", "sysrq-trigger"];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [rootfs, group, program @ ..] = &args[..] else {
        eprintln!("bare ROOTFS GROUP PROGRAM...");
        return ExitCode::from(2);
    };
    match run(Path::new(rootfs), Path::new(group), program) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("bare: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(rootfs: &Path, group: &Path, program: &[String]) -> std::io::Result<u8> {
    std::fs::create_dir(group)?;
    let fd = open(group, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    // r0 = 1; exit: every device is allowed.
    let allow = [[0xb7, 0, 0, 0, 1, 0, 0, 0], [0x95, 0, 0, 0, 0, 0, 0, 0]];
    let devices = husk_sys::bpf::load_device_program(&allow)?;
    husk_sys::bpf::attach_device_program(fd.as_fd(), devices.as_fd(), None)?;
    let spaces =
        Namespaces::NEWNS | Namespaces::NEWUTS | Namespaces::NEWIPC | Namespaces::NEWPID | Namespaces::NEWNET;
    let child = match clone3(spaces, 0, Some(fd.as_fd()))? {
        Fork::Child => {
            let error = init(rootfs, program).err().map(|error| error.to_string()).unwrap_or_default();
            eprintln!("bare: {error}");
            husk_sys::exec::exit_now(125)
        }
        Fork::Parent(child) => child,
    };
    let status = waitpid(rustix::process::Pid::from_raw(child.pid), WaitOptions::empty())?;
    let code = status.and_then(|(_, status)| status.exit_status()).unwrap_or(125);
    std::fs::remove_dir(group)?;
    Ok(u8::try_from(code).unwrap_or(125))
}

fn init(rootfs: &Path, program: &[String]) -> std::io::Result<()> {
    husk_sys::clone::unshare(Namespaces::NEWCGROUP)?;
    mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)?;
    mount_bind(rootfs, rootfs)?;
    chdir(rootfs)?;
    let safe = MountFlags::NOSUID | MountFlags::NOEXEC | MountFlags::NODEV;
    mount("proc", "proc", "proc", MountFlags::empty(), None)?;
    mount("tmpfs", "dev", "tmpfs", MountFlags::NOSUID, Some(c"mode=755,size=65536k"))?;
    for dir in ["dev/pts", "dev/shm", "dev/mqueue"] {
        std::fs::create_dir(dir)?;
    }
    mount(
        "devpts",
        "dev/pts",
        "devpts",
        MountFlags::NOSUID | MountFlags::NOEXEC,
        Some(c"newinstance,ptmxmode=0666,mode=0620"),
    )?;
    mount("shm", "dev/shm", "tmpfs", safe, Some(c"mode=1777,size=65536k"))?;
    mount("mqueue", "dev/mqueue", "mqueue", safe, None)?;
    mount("sysfs", "sys", "sysfs", safe | MountFlags::RDONLY, None)?;
    mount("cgroup", "sys/fs/cgroup", "cgroup2", safe | MountFlags::RDONLY, None)?;
    for (name, minor) in [("null", 3), ("zero", 5), ("full", 7), ("random", 8), ("urandom", 9)] {
        mknodat(
            CWD,
            format!("dev/{name}"),
            FileType::CharacterDevice,
            Mode::from_raw_mode(0o666),
            makedev(1, minor),
        )?;
    }
    mknodat(CWD, "dev/tty", FileType::CharacterDevice, Mode::from_raw_mode(0o666), makedev(5, 0))?;
    for (from, to) in [("/proc/self/fd", "dev/fd"), ("pts/ptmx", "dev/ptmx")] {
        symlink(from, to)?;
    }
    for name in HIDDEN {
        let path = Path::new("proc").join(name);
        if path.is_dir() {
            mount("tmpfs", &path, "tmpfs", MountFlags::RDONLY, None)?;
        } else if path.exists() {
            mount_bind("/dev/null", &path)?;
        }
    }
    for name in READ_ONLY {
        let path = Path::new("proc").join(name);
        if path.exists() {
            mount_bind(&path, &path)?;
            mount_remount(&path, MountFlags::BIND | MountFlags::RDONLY | safe, c"")?;
        }
    }
    enter(rootfs)?;
    rustix::system::sethostname(b"bare")?;
    for capability in rustix::thread::CapabilitySet::all().difference(rustix::thread::CapabilitySet::KILL) {
        let _ = rustix::thread::remove_capability_from_bounding_set(capability);
    }
    rustix::thread::set_no_new_privs(true)?;
    let args: Vec<CString> = program.iter().filter_map(|word| CString::new(word.as_str()).ok()).collect();
    let first = args.first().ok_or(std::io::ErrorKind::InvalidInput)?;
    Err(husk_sys::exec::execve(first, &args, &[c"PATH=/bin".to_owned()]).into())
}

fn enter(rootfs: &Path) -> std::io::Result<()> {
    let open_dir = |path: &Path| open(path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let (old, new): (OwnedFd, OwnedFd) = (open_dir(Path::new("/"))?, open_dir(rootfs)?);
    fchdir(&new)?;
    pivot_root(".", ".")?;
    fchdir(&old)?;
    mount_change(".", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)?;
    unmount(".", UnmountFlags::DETACH)?;
    chdir("/")?;
    Ok(())
}
