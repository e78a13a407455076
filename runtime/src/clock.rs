//! The time now, as exit records and texts have it.

use std::time::{SystemTime, UNIX_EPOCH};

/// In nanoseconds since the epoch.
pub fn now_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

/// In UTC, with nanoseconds, as `2026-07-01T12:00:00.123456789Z` (RFC 3339).
pub fn now_rfc3339() -> String {
    husk_exit::rfc3339(now_ns())
}
