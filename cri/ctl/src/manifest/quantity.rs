//! Kubernetes' quantities: `64Mi`, `0.5`, `250m`, `1e3`.

use serde::Deserialize;

/// A non-negative quantity in thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Quantity(u128);

impl Quantity {
    /// Whole units, rounded up: bytes.
    pub fn units(self) -> i64 {
        i64::try_from(self.0.div_ceil(1000)).unwrap_or(i64::MAX)
    }

    /// Thousandths: of a CPU.
    pub fn milli(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }
}

impl TryFrom<String> for Quantity {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        parse(&text).ok_or_else(|| format!("{text:?} is no quantity (like 64Mi, 0.5 or 250m)"))
    }
}

fn parse(text: &str) -> Option<Quantity> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    if part.contains('.') || whole.len() + part.len() > 18 {
        return None;
    }
    let digits: u128 = format!("{whole}{part}").parse().ok()?;
    let divisor = 10u128.pow(u32::try_from(part.len()).ok()?);
    Some(Quantity(digits.checked_mul(milli_of(suffix)?)?.div_ceil(divisor)))
}

/// What one unit with this suffix is in thousandths.
fn milli_of(suffix: &str) -> Option<u128> {
    let binary = |power: u32| 1000 << (10 * power);
    Some(match suffix {
        "m" => 1,
        "" => 1000,
        "k" => 10u128.pow(6),
        "M" => 10u128.pow(9),
        "G" => 10u128.pow(12),
        "T" => 10u128.pow(15),
        "P" => 10u128.pow(18),
        "E" => 10u128.pow(21),
        "Ki" => binary(1),
        "Mi" => binary(2),
        "Gi" => binary(3),
        "Ti" => binary(4),
        "Pi" => binary(5),
        "Ei" => binary(6),
        _ => {
            let power: u32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            10u128.pow(3 + Some(power).filter(|p| *p <= 15)?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        let cases = [
            ("0", 0),
            ("1", 1000),
            ("250m", 250),
            ("0.5", 500),
            (".5", 500),
            ("1.5Gi", 1_610_612_736_000),
            ("64Mi", 67_108_864_000),
            ("1e3", 1_000_000),
            ("2k", 2_000_000),
            ("0.0001", 1),
        ];
        for (text, milli) in cases {
            assert_eq!(parse(text).unwrap().milli(), milli, "{text}");
        }
        assert_eq!(parse("1m").unwrap().units(), 1);
        assert_eq!(parse("999999999999999E").unwrap().units(), i64::MAX);
    }

    #[test]
    fn no_values() {
        for text in ["", "Mi", "-1", "1.2.3", "1 Mi", "5X", "0x10", "1e", "1e99", ".", "1234567890123456789"]
        {
            assert!(parse(text).is_none(), "{text} passed");
        }
    }
}
