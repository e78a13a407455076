//! Ids and times.

use std::time::{SystemTime, UNIX_EPOCH};

use rustix::rand::{GetRandomFlags, getrandom};

use crate::error::{Context, Result};

/// A new id: 64 hex digits, as clients of the CRI shorten and show them.
pub fn fresh() -> Result<String> {
    let mut bytes = [0u8; 32];
    // Up to 256 bytes come whole once the kernel's pool is ready (getrandom(2)).
    getrandom(&mut bytes, GetRandomFlags::empty()).on("getrandom", "an id")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Nanoseconds since the epoch.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// The kernel's id of this boot: what lived under another one is gone.
pub fn boot() -> Result<String> {
    let path = "/proc/sys/kernel/random/boot_id";
    Ok(std::fs::read_to_string(path).on("read", path)?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    #[test]
    fn ids_are_long_and_different() {
        let (a, b) = (super::fresh().unwrap(), super::fresh().unwrap());
        assert_eq!(a.len(), 64);
        assert_ne!(a, b);
    }
}
