//! Times and spans as text.

/// A time in nanoseconds since the epoch: `2026-11-21T08:15:00.123456789Z`.
pub fn rfc3339(epoch_ns: u64) -> String {
    let (seconds, ns) = (epoch_ns / 1_000_000_000, epoch_ns % 1_000_000_000);
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ns:09}Z")
}

/// Year, month and day of a day number since 1970-01-01, counting in eras of 400 years that begin with March.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year_of_era + carry, month, day)
}

/// `12 ms`, `3.4 s`, `5 min 7 s`, `2 h 3 min`.
pub(crate) fn span(ns: u64) -> String {
    let (ms, s) = (ns / 1_000_000, ns / 1_000_000_000);
    match s {
        0 if ms == 0 => format!("{} µs", ns / 1000),
        0 => format!("{ms} ms"),
        1..60 => format!("{s}.{} s", ms / 100 % 10),
        60..3600 => format!("{} min {} s", s / 60, s % 60),
        _ => format!("{} h {} min", s / 3600, s / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(rfc3339(951_782_400_000_000_001), "2000-02-29T00:00:00.000000001Z");
        assert_eq!(rfc3339(1_767_225_599_999_999_999), "2025-12-31T23:59:59.999999999Z");
        assert!(rfc3339(u64::MAX).starts_with("2554-07-21"));
    }

    #[test]
    fn spans() {
        assert_eq!(span(900), "0 µs");
        assert_eq!(span(12_345_678), "12 ms");
        assert_eq!(span(3_456_000_000), "3.4 s");
        assert_eq!(span(307_000_000_000), "5 min 7 s");
        assert_eq!(span(7_380_000_000_000), "2 h 3 min");
    }
}
