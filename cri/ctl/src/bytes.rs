//! Sizes, durations and ids for people.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// `12.3 MB`, in powers of 1000 as disks and registries count.
pub fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if value < 999.5 {
            let digits = usize::from(unit != "B" && value < 99.95);
            return format!("{value:.digits$} {unit}");
        }
        value /= 1000.0;
    }
    format!("{value:.1} TB")
}

/// How long ago a time in nanoseconds since the epoch was; `-` for 0, which stands for never.
pub fn ago(ns: i64) -> String {
    match u64::try_from(ns) {
        Ok(ns) if ns > 0 => {
            let then = UNIX_EPOCH + Duration::from_nanos(ns);
            let passed = SystemTime::now().duration_since(then).unwrap_or_default();
            format!("{} ago", span(passed))
        }
        _ => "-".into(),
    }
}

/// `3 s`, `5 min`, `2 h`, `9 d`.
pub fn span(time: Duration) -> String {
    match time.as_secs() {
        s @ 0..120 => format!("{s} s"),
        s @ 120..7200 => format!("{} min", s / 60),
        s @ 7200..172_800 => format!("{} h", s / 3600),
        s => format!("{} d", s / 86400),
    }
}

/// The part of an id that people read: 12 characters, as everywhere in the field.
pub fn short(id: &str) -> &str {
    let id = id.strip_prefix("sha256:").unwrap_or(id);
    id.get(..12).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_digits() {
        let cases = [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (99_950, "100 kB"),
            (999_999, "1.0 MB"),
            (4 << 30, "4.3 GB"),
        ];
        for (bytes, text) in cases {
            assert_eq!(size(bytes), text);
        }
        assert_eq!(size(u64::MAX), "18446744.1 TB");
    }

    #[test]
    fn ids_and_times_that_are_odd_are_shown_as_they_are() {
        assert_eq!((short("sha256:0123456789abcdef"), short("ab"), short("")), ("0123456789ab", "ab", ""));
        assert_eq!((ago(0).as_str(), ago(-1).as_str()), ("-", "-"));
        assert_eq!(span(Duration::from_secs(7199)), "119 min");
    }
}
