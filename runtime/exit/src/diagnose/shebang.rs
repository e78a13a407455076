//! The `#!` line as the kernel reads it (fs/binfmt_script.c).

/// What stands behind `#!`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shebang<'a> {
    /// The interpreter's path, with a carriage return at its end where the line has one and no argument.
    pub interpreter: &'a [u8],
    /// The line ends in CR LF.
    pub carriage_return: bool,
}

/// The kernel looks at no more than this (BINPRM_BUF_SIZE).
const LINE_MAX: usize = 256;

/// `None` where the file has no such line, or no interpreter in it.
pub(crate) fn parse(head: &[u8]) -> Option<Shebang<'_>> {
    let line = head.get(..head.len().min(LINE_MAX))?.strip_prefix(b"#!")?;
    let line = line.split(|b| *b == b'\n').next()?;
    // Blanks are space and tab; a carriage return is none, and that is the whole trouble.
    let blank = |b: &u8| *b == b' ' || *b == b'\t';
    let start = line.iter().position(|b| !blank(b))?;
    let rest = &line[start..];
    let end = rest.iter().position(|b| blank(b) || *b == 0).unwrap_or(rest.len());
    let interpreter = &rest[..end];
    (!interpreter.is_empty())
        .then_some(Shebang { interpreter, carriage_return: interpreter.ends_with(b"\r") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines() {
        let parse = |text: &'static str| {
            parse(text.as_bytes()).map(|s| (std::str::from_utf8(s.interpreter).unwrap(), s.carriage_return))
        };
        assert_eq!(parse("#!/bin/sh\necho"), Some(("/bin/sh", false)));
        assert_eq!(parse("#! \t/bin/sh -e x\n"), Some(("/bin/sh", false)));
        assert_eq!(parse("#!/bin/sh\r\necho"), Some(("/bin/sh\r", true)));
        assert_eq!(parse("#!/usr/bin/env python\r\n"), Some(("/usr/bin/env", false)));
        assert_eq!(parse("#!/bin/sh"), Some(("/bin/sh", false)));
        assert_eq!(parse("#!\n"), None);
        assert_eq!(parse("#!   "), None);
        assert_eq!(parse("echo"), None);
        assert_eq!(parse(""), None);
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = parse(&bytes);
            let mut script = b"#!".to_vec();
            script.extend(bytes);
            let _ = parse(&script);
        }
    }
}
