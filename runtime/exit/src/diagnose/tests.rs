use super::*;
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::{PermissionsExt, symlink};

struct Image(tempfile::TempDir);

impl Image {
    fn new() -> Image {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("bin")).unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Image(dir)
    }

    fn file(self, path: &str, mode: u32, bytes: impl AsRef<[u8]>) -> Image {
        let full = self.0.path().join(path);
        fs::create_dir_all(full.parent().unwrap()).unwrap();
        fs::write(&full, bytes).unwrap();
        fs::set_permissions(full, fs::Permissions::from_mode(mode)).unwrap();
        self
    }

    fn link(self, path: &str, target: &str) -> Image {
        symlink(target, self.0.path().join(path)).unwrap();
        self
    }

    fn ask_as(&self, uid: u32, program: &str, errno: Errno) -> StartFailure {
        let root = fs::File::open(self.0.path()).unwrap();
        let attempt = Attempt {
            program: OsStr::new(program),
            path: Some(OsStr::new("/sbin:/bin")),
            cwd: Path::new("/"),
            uid,
            gid: uid,
            groups: &[],
        };
        diagnose(root.as_fd(), &attempt, errno.raw_os_error())
    }

    fn ask(&self, program: &str, errno: Errno) -> StartFailure {
        self.ask_as(0, program, errno)
    }
}

#[test]
fn missing_things() {
    let image = Image::new()
        .link("bin/dangling", "/nowhere/x")
        .link("bin/outside", "../../../../../../etc/hostname")
        .file("bin/script", 0o755, "#!/usr/bin/python9 -u\n")
        .file("bin/crlf", 0o755, "#!/bin/sh\r\necho hi\r\n")
        .file("bin/dynamic", 0o755, elf::tests::program(native(), "/lib64/ld-9.so"))
        .file("bin/sh2", 0o755, "#!/bin/dynamic\n");
    let f = image.ask("nothing", Errno::NOENT);
    assert_eq!((f.kind, f.exit_code()), (Kind::NotInPath, 127));
    assert_eq!(f.to_string(), "there is no nothing in any directory of PATH (/sbin:/bin)");
    let f = image.ask("/bin/nothing", Errno::NOENT);
    assert_eq!((f.kind, f.errno), (Kind::NotFound, 2));
    assert_eq!(f.to_string(), "/bin/nothing does not exist in the container");
    let f = image.ask("/bin/dangling", Errno::NOENT);
    assert_eq!((f.kind, f.detail.as_deref()), (Kind::DanglingLink, Some("/nowhere/x")));
    // /etc/hostname exists on this machine, not in the image.
    assert_eq!(image.ask("/bin/outside", Errno::NOENT).kind, Kind::DanglingLink);
    let f = image.ask("script", Errno::NOENT);
    assert_eq!((f.kind, f.detail.as_deref()), (Kind::MissingInterpreter, Some("/usr/bin/python9")));
    assert_eq!(f.subject, "/bin/script");
    assert_eq!(image.ask("/bin/crlf", Errno::NOENT).kind, Kind::CrlfShebang);
    assert!(image.ask("/bin/crlf", Errno::NOENT).to_string().contains("\"/bin/sh\\r\""));
    let f = image.ask("/bin/dynamic", Errno::NOENT);
    assert_eq!((f.kind, f.detail.as_deref()), (Kind::MissingLoader, Some("/lib64/ld-9.so")));
    // A script whose interpreter is there, but cannot start.
    let f = image.ask("/bin/sh2", Errno::NOENT);
    assert_eq!((f.kind, f.subject.as_str()), (Kind::MissingLoader, "/bin/dynamic"));
}

fn native() -> u16 {
    if cfg!(target_arch = "aarch64") { 183 } else { 62 }
}

#[test]
fn things_that_are_there_but_cannot_be_executed() {
    let foreign = if native() == 62 { 183 } else { 62 };
    let image = Image::new()
        .file("bin/plain", 0o644, "x")
        .file("bin/empty", 0o755, "")
        .file("bin/text", 0o755, "echo hello\n")
        .file("bin/foreign", 0o755, elf::tests::program(foreign, "/lib/ld.so"))
        .file("bin/private", 0o700, "#!/bin/plain\n")
        .file("locked/x", 0o755, "")
        .file("bin/loop1", 0o755, "#!/bin/loop1\n");
    fs::set_permissions(image.0.path().join("locked"), fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(image.ask("/bin", Errno::ACCESS).kind, Kind::IsDirectory);
    assert_eq!(image.ask("/bin/plain", Errno::ACCESS).kind, Kind::NotExecutable);
    assert_eq!(image.ask("plain", Errno::ACCESS).kind, Kind::NotExecutable);
    assert_eq!(image.ask("plain", Errno::ACCESS).exit_code(), 126);
    assert_eq!(image.ask("/bin/empty", Errno::NOEXEC).kind, Kind::EmptyFile);
    assert_eq!(image.ask("/bin/text", Errno::NOEXEC).kind, Kind::UnknownFormat);
    let f = image.ask("/bin/foreign", Errno::NOEXEC);
    assert_eq!((f.kind, f.exit_code()), (Kind::WrongArchitecture, 126));
    assert_eq!(image.ask_as(1000, "/bin/private", Errno::ACCESS).kind, Kind::NotExecutable);
    assert_eq!(image.ask_as(1000, "/locked/x", Errno::ACCESS).kind, Kind::PathDenied);
    assert_eq!(image.ask("/bin/loop1", Errno::LOOP).kind, Kind::Setup);
    assert_eq!(image.ask("/bin/private", Errno::TOOBIG).kind, Kind::ArgumentsTooLong);
    // Nothing wrong to be seen: the errno's own text, and no invention.
    let fine = Image::new().file("bin/true", 0o755, elf::tests::program(native(), "/bin/true"));
    assert!(fine.ask("/bin/true", Errno::NOMEM).to_string().contains("Cannot allocate memory"));
}

#[test]
fn working_directories() {
    let f = diagnose_cwd(Path::new("/work"), 2);
    assert_eq!((f.kind, f.exit_code()), (Kind::CwdMissing, 126));
    assert_eq!(diagnose_cwd(Path::new("/work"), 13).kind, Kind::CwdDenied);
    assert!(
        diagnose_cwd(Path::new("/work"), 5)
            .to_string()
            .starts_with("the working directory /work cannot be entered")
    );
}

#[test]
fn the_own_root_works_alike() {
    let attempt = |program| Attempt {
        program: OsStr::new(program),
        path: None,
        cwd: Path::new("/"),
        uid: 0,
        gid: 0,
        groups: &[],
    };
    assert_eq!(diagnose_here(&attempt("/no/such/program"), 2).kind, Kind::NotFound);
    assert_eq!(diagnose_here(&attempt("no-such-program"), 2).kind, Kind::NotInPath);
    assert_eq!(diagnose_here(&attempt("/"), 13).kind, Kind::IsDirectory);
}
