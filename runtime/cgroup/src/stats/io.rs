//! `io.stat`.

use serde::{Deserialize, Serialize};

/// Traffic of one disk since the group was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IoDevice {
    /// Device number.
    pub major: u32,
    /// Device number.
    pub minor: u32,
    /// Bytes read.
    pub rbytes: u64,
    /// Bytes written.
    pub wbytes: u64,
    /// Reads.
    pub rios: u64,
    /// Writes.
    pub wios: u64,
    /// Bytes discarded.
    pub dbytes: u64,
    /// Discards.
    pub dios: u64,
}

/// `8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6`, one line per disk. A disk without traffic may have no values.
pub(super) fn parse(text: &str) -> Vec<IoDevice> {
    text.lines().filter_map(line).collect()
}

fn line(line: &str) -> Option<IoDevice> {
    let mut words = line.split_whitespace();
    let (major, minor) = words.next()?.split_once(':')?;
    let mut device =
        IoDevice { major: major.parse().ok()?, minor: minor.parse().ok()?, ..IoDevice::default() };
    for (key, value) in words.filter_map(|word| word.split_once('=')) {
        let Ok(value) = value.parse() else { continue };
        match key {
            "rbytes" => device.rbytes = value,
            "wbytes" => device.wbytes = value,
            "rios" => device.rios = value,
            "wios" => device.wios = value,
            "dbytes" => device.dbytes = value,
            "dios" => device.dios = value,
            _ => {}
        }
    }
    Some(device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let text = "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6 cost.usage=9\n7:1 \nbroken\n";
        let devices = parse(text);
        assert_eq!(devices.len(), 2);
        assert_eq!((devices[0].rbytes, devices[0].dios), (1, 6));
        assert_eq!(devices[1], IoDevice { major: 7, minor: 1, ..IoDevice::default() });
    }
}
