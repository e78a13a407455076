//! Wall-clock time, in nanoseconds since the epoch and as the CRI log writes it.

use rustix::time::{ClockId, clock_gettime};

/// Now, in nanoseconds since the epoch.
pub fn now() -> i64 {
    let t = clock_gettime(ClockId::Realtime);
    t.tv_sec * 1_000_000_000 + t.tv_nsec
}

/// Length of [`rfc3339`]'s text.
pub const RFC3339_LEN: usize = 30;

/// `2026-11-21T08:00:00.123456789Z`: RFC 3339 with all nine digits, always as long.
pub fn rfc3339(ns: i64) -> [u8; RFC3339_LEN] {
    let (secs, nanos) = (ns.div_euclid(1_000_000_000), ns.rem_euclid(1_000_000_000));
    let (days, secs) = (secs.div_euclid(86_400), secs.rem_euclid(86_400));
    // Days to a date in the proleptic Gregorian calendar, counted in eras of 400 years that begin on 1 March, so
    // that the leap day is a year's last.
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);

    let mut out = *b"0000-00-00T00:00:00.000000000Z";
    digits(&mut out[0..4], year);
    digits(&mut out[5..7], month);
    digits(&mut out[8..10], day);
    digits(&mut out[11..13], secs / 3600);
    digits(&mut out[14..16], secs / 60 % 60);
    digits(&mut out[17..19], secs % 60);
    digits(&mut out[20..29], nanos);
    out
}

fn digits(out: &mut [u8], mut value: i64) {
    for digit in out.iter_mut().rev() {
        // 0..=9 by the remainder.
        *digit = b'0' + (value.rem_euclid(10)) as u8;
        value /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::rfc3339;

    #[test]
    fn dates() {
        let text = |ns| String::from_utf8(rfc3339(ns).to_vec()).unwrap();
        assert_eq!(text(0), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(text(951_827_696_000_000_001), "2000-02-29T12:34:56.000000001Z");
        assert_eq!(text(1_709_251_199_999_999_999), "2024-02-29T23:59:59.999999999Z");
        assert_eq!(text(1_709_251_200_000_000_000), "2024-03-01T00:00:00.000000000Z");
        assert_eq!(text(4_102_444_799_000_000_000), "2099-12-31T23:59:59.000000000Z");
        assert_eq!(text(-1), "1969-12-31T23:59:59.999999999Z");
    }
}
