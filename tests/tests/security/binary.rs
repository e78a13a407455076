//! The runtime's own binary, descriptors and state as seen from inside a container.

use husk_tests::{Bundle, Runtime, bin, run, wait_until};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

/// Ends a process that the test started when the test ends.
struct Running(std::process::Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A container runs the runtime's binary as `/proc/self/exe`, keeps it open and writes to it, while it runs and after.
#[test]
fn cve_2019_5736_the_host_binary_cannot_be_overwritten() {
    let folder = husk_tests::temp_dir();
    let program = folder.path().join("husk");
    std::fs::copy(bin("husk"), &program).expect("a copy of husk");
    let before = std::fs::read(&program).expect("husk");
    let Some(runtime) = Runtime::peer(program.to_str().expect("a path")) else { panic!("no copy of husk") };

    let bundle = Bundle::new(&["sleep", "1000"]);
    let trap = bundle.rootfs().join("trap");
    std::fs::create_dir(&trap).expect("a folder");
    let container = runtime.start(&bundle);
    // Reading its config.json from a FIFO, the runtime stays for as long as the attacker likes.
    container.exec(&["mkfifo", "/trap/config.json"]).ok();
    let victim = runtime
        .command()
        .args([
            "exec",
            &container.id,
            "/proc/self/exe",
            "--root",
            "/tmp",
            "run",
            "--bundle",
            "/trap",
            "victim",
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("husk exec");
    let _victim = Running(victim);
    let attack = "
        for dir in /proc/[0-9]*; do
            [ $dir != /proc/1 ] && tr '\\0' ' ' <$dir/cmdline | grep -q '/trap victim' || continue
            exec 3<$dir/exe || continue
            (echo pwned >$dir/exe) 2>/dev/null && echo written while it ran
            echo nonsense >/trap/config.json & sleep 1; kill -9 ${dir#/proc/}; sleep 1
            (echo pwned >/proc/self/fd/3) 2>/dev/null && echo written after
            echo tried
            exit
        done";
    let mut output = String::new();
    wait_until("the attacker meets the runtime's binary", || {
        output = container.sh(attack).stdout;
        output.contains("tried")
    });
    assert!(!output.contains("written"), "{output}");
    assert_eq!(std::fs::read(&program).expect("husk"), before, "the binary has changed");
}

/// Working directories that name a descriptor of the runtime's lead out of the root where one has leaked.
#[test]
fn cve_2024_21626_no_working_directory_outside_the_root() {
    let runtime = Runtime::new();
    for fd in 3..20 {
        let mut bundle = Bundle::script("pwd; ls -a . | tr '\\n' ' '; cat ../../../../etc/debian_version");
        bundle.set("/process/cwd", format!("/proc/self/fd/{fd}"));
        let done = runtime.run(&bundle);
        assert_ne!(done.code, 0, "the working directory was taken: {done:?}");
        let real = std::fs::read_to_string("/etc/debian_version").unwrap_or_else(|_| "none".into());
        assert!(!done.stdout.contains(real.trim()), "a file of the host was read: {done:?}");
    }
}

/// Descriptors that the runtime's caller left open, and the runtime's own, stay outside.
#[test]
fn cve_2024_21626_no_descriptor_leaks() {
    let runtime = Runtime::new();
    let bundle = Bundle::script("ls /proc/self/fd | tr '\\n' ' '");
    bundle.write();
    let id = husk_tests::unique("fds");
    let container = husk_tests::Container::named(&runtime, &id);
    let husk = runtime.command();
    let mut caller = Command::new("sh");
    caller
        .args(["-c", "exec 7</ 9</etc/passwd; exec \"$0\" \"$@\""])
        .arg(husk.get_program())
        .args(husk.get_args());
    let done = run(caller.arg("run").arg("--bundle").arg(bundle.path()).arg(&id)).ok();
    drop(container);
    // 3 is the folder that ls reads.
    assert_eq!(done.text(), "0 1 2 3");

    let long = Bundle::new(&["sleep", "1000"]);
    let container = runtime.start(&long);
    let husk = runtime.command();
    let mut caller = Command::new("sh");
    caller
        .args(["-c", "exec 7</ 9</etc/passwd; exec \"$0\" \"$@\""])
        .arg(husk.get_program())
        .args(husk.get_args());
    let done = run(caller.args(["exec", &container.id, "ls", "/proc/self/fd"])).ok();
    assert_eq!(done.stdout.split_whitespace().collect::<Vec<_>>(), ["0", "1", "2", "3"]);
    assert_eq!(container.exec(&["ls", "/proc/1/fd"]).ok().stdout.split_whitespace().count(), 3);
}

/// While a created container waits for its start, its init has nothing of the host open but its streams, the FIFO that it
/// waits at, and its end of a socket whose other end has gone.
#[test]
fn cve_2024_21626_a_created_container_holds_nothing_of_the_host() {
    let runtime = Runtime::husk();
    let mut bundle = Bundle::new(&["true"]);
    bundle.mount("/t", "tmpfs", "t", &[]);
    let container = runtime.create(&bundle);
    let held =
        std::fs::read_dir(format!("/proc/{}/fd", container.pid())).expect("init's descriptors").flatten();
    let mut others: Vec<_> = held
        .filter(|fd| fd.file_name().to_str().is_some_and(|number| number.parse::<i32>().is_ok_and(|n| n > 2)))
        .map(|fd| std::fs::read_link(fd.path()).expect("a descriptor").display().to_string())
        .collect();
    others.retain(|other| !other.starts_with("socket:"));
    let fifo = runtime.root().join(&container.id).join("exec.fifo").display().to_string();
    assert_eq!(others, [fifo]);
    container.call("start", &[]).ok();
}

/// State tells which host processes and folders belong to a container: it is its owner's alone.
#[test]
fn cve_2024_25621_state_is_not_readable_by_others() {
    let runtime = Runtime::husk();
    let bundle = Bundle::new(&["sleep", "1000"]);
    let container = runtime.start(&bundle);
    let folder = runtime.root().join(&container.id);
    // The root may be passed through, for the sockets of containers that other users are given; it cannot be read.
    for (path, bits) in [(runtime.root(), 0o066), (folder.clone(), 0o077)] {
        let mode = std::fs::metadata(&path).expect("state").permissions().mode();
        assert_eq!(mode & bits, 0, "{} has mode {mode:o}", path.display());
    }
    for entry in std::fs::read_dir(folder).expect("state").flatten() {
        let data = entry.metadata().expect("state");
        assert!(data.is_symlink() || data.permissions().mode() & 0o077 == 0, "{entry:?} has mode {data:?}");
    }
}
