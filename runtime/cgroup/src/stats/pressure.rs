//! Pressure stall information. Linux `Documentation/accounting/psi.rst`.

use serde::{Deserialize, Serialize};

/// Time lost waiting for one resource.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Pressure {
    /// At least one process waited.
    pub some: Stall,
    /// All that wanted to run waited.
    pub full: Stall,
}

/// Shares of time in percent, and the sum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Stall {
    /// Of the last 10 seconds.
    pub avg10: f64,
    /// Of the last 60 seconds.
    pub avg60: f64,
    /// Of the last 300 seconds.
    pub avg300: f64,
    /// Microseconds in all.
    pub total: u64,
}

impl Pressure {
    /// None where the text has neither line.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut out = Self::default();
        let mut any = false;
        for line in text.lines() {
            let stall = match line.split_once(' ') {
                Some(("some", rest)) => (&mut out.some, rest),
                Some(("full", rest)) => (&mut out.full, rest),
                _ => continue,
            };
            *stall.0 = Stall::parse(stall.1);
            any = true;
        }
        any.then_some(out)
    }
}

impl Stall {
    fn parse(text: &str) -> Self {
        let mut out = Self::default();
        for (key, value) in text.split(' ').filter_map(|pair| pair.split_once('=')) {
            match key {
                "avg10" => out.avg10 = value.parse().unwrap_or_default(),
                "avg60" => out.avg60 = value.parse().unwrap_or_default(),
                "avg300" => out.avg300 = value.parse().unwrap_or_default(),
                "total" => out.total = value.parse().unwrap_or_default(),
                _ => {}
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_lines() {
        let text = "some avg10=1.50 avg60=0.10 avg300=0.00 total=37210\nfull avg10=0.00 avg60=0.00 avg300=0.25 total=9\n";
        let pressure = Pressure::parse(text).unwrap();
        assert_eq!((pressure.some.avg10, pressure.some.total), (1.5, 37210));
        assert_eq!((pressure.full.avg300, pressure.full.total), (0.25, 9));
        assert_eq!(Pressure::parse(""), None);
    }
}
