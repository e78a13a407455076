//! Programs that cannot be started: one sentence that says why.

use husk_tests::{Bundle, Runtime};

#[test]
fn what_cannot_be_started() {
    let runtime = Runtime::husk();
    let bundle = Bundle::new(&["nosuch"]);
    let done = runtime.run(&bundle).expect_code(127);
    assert!(done.stderr.contains("nosuch") && done.stderr.contains("PATH"), "{}", done.stderr);
    for (content, mode, code, word) in [
        (&b"#!/no/such/shell\n"[..], 0o755, 127, "/no/such/shell"),
        (b"#!/bin/sh\r\necho hi\n", 0o755, 127, "CR"),
        (b"echo hi\n", 0o644, 126, "/bin/prog"),
        (b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\xb7\0\x01\0\0\0", 0o755, 126, "/bin/prog"),
    ] {
        use std::os::unix::fs::PermissionsExt as _;
        let bundle = Bundle::new(&["/bin/prog"]);
        let program = bundle.rootfs().join("bin/prog");
        std::fs::write(&program, content).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(mode)).unwrap();
        let done = runtime.run(&bundle).expect_code(code);
        assert!(done.stderr.contains(word), "{word}: {}", done.stderr);
        assert_eq!(done.stderr.trim().lines().count(), 1, "{}", done.stderr);
    }
    // A root of empty directories: not even a shell.
    runtime.run(&Bundle::empty(&["/bin/sh"])).expect_code(127);
}
