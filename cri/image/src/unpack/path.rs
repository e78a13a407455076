//! Names of entries.

/// Longest path of an entry (PATH_MAX, without the NUL).
const MAX_BYTES: usize = 4095;
/// Deepest nesting. Real images stay far below; walking and removing stay cheap.
const MAX_DEPTH: usize = 1000;

/// The path without `.`, doubled and trailing slashes; empty for the root. What leads out of the layer is refused: the
/// field's own tools never write it.
pub(super) fn clean(path: &[u8]) -> Result<Vec<u8>, &'static str> {
    if path.is_empty() {
        return Err("has no name");
    }
    if path.first() == Some(&b'/') {
        return Err("leads out of the layer (absolute path)");
    }
    if path.len() > MAX_BYTES {
        return Err("has a path longer than 4095 bytes");
    }
    if path.contains(&0) {
        return Err("has a NUL byte in its path");
    }
    let mut clean = Vec::with_capacity(path.len());
    let mut depth = 0;
    for component in path.split(|b| *b == b'/') {
        match component {
            b"" | b"." => continue,
            b".." => return Err("leads out of the layer (\"..\")"),
            _ => {}
        }
        if component.len() > 255 {
            return Err("has a name longer than 255 bytes");
        }
        depth += 1;
        if depth > MAX_DEPTH {
            return Err("is nested deeper than 1000 directories");
        }
        if !clean.is_empty() {
            clean.push(b'/');
        }
        clean.extend_from_slice(component);
    }
    Ok(clean)
}

/// Parent (empty for the root) and last component of a clean path.
pub(super) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|b| *b == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (&[], path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn usual_forms_are_normalised() {
        for (given, wanted) in
            [("./", ""), (".", ""), ("a", "a"), ("./a//b/./c/", "a/b/c"), ("a/..b", "a/..b"), ("...", "...")]
        {
            assert_eq!(clean(given.as_bytes()).unwrap(), wanted.as_bytes(), "{given}");
        }
        assert_eq!(split(b"a/b/c"), (&b"a/b"[..], &b"c"[..]));
        assert_eq!(split(b"a"), (&b""[..], &b"a"[..]));
    }

    #[test]
    fn ways_out_and_monsters_are_refused() {
        let deep = "a/".repeat(1001);
        let long = "a".repeat(256);
        for bad in ["", "/etc/passwd", "..", "../x", "a/../../x", "a/..", "x\0y", &deep, &long] {
            assert!(clean(bad.as_bytes()).is_err(), "{bad:.20}");
        }
    }

    proptest! {
        #[test]
        fn what_is_accepted_stays_inside(path in proptest::collection::vec(
            prop_oneof![Just(b'/'), Just(b'.'), any::<u8>()], 0..40))
        {
            if let Ok(clean) = clean(&path) {
                prop_assert!(!clean.starts_with(b"/") && !clean.ends_with(b"/"));
                for part in clean.split(|b| *b == b'/') {
                    prop_assert!(part != b".." && part != b"." && (!part.is_empty() || clean.is_empty()));
                }
                prop_assert_eq!(super::clean(&clean).unwrap_or_default(), clean);
            }
        }
    }
}
