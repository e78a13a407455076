//! Limits as properties of a unit: the same plan that is written into the group's files, in systemd's words.

use zbus::{Array, Signature, Structure, Variant};

use crate::resources::Setting;

/// Name and value of a property.
pub(super) type Property = (String, Variant<'static>);

/// systemd's word for no limit.
const INFINITY: u64 = u64::MAX;

/// The properties of a list of settings. What systemd has no property for, and what is no value at all, is left to the
/// group's files.
pub(super) fn of(settings: &[Setting]) -> Vec<Property> {
    let mut out: Vec<Property> = Vec::new();
    for setting in settings {
        for (name, value) in setting.files().find_map(|(file, value)| one(file, value)).unwrap_or_default() {
            // Lists of devices add up; of the rest the last one counts, as with the files.
            if !matches!(value, Variant::Array(ref list) if list.element_signature() != &Signature::U8) {
                out.retain(|(other, _)| other != name);
            }
            out.push((name.to_string(), value));
        }
    }
    out
}

fn one(file: &str, value: &str) -> Option<Vec<(&'static str, Variant<'static>)>> {
    let number = |name: &'static str| bytes(value).map(|number| vec![(name, Variant::from(number))]);
    match file {
        "pids.max" => number("TasksMax"),
        "memory.max" => number("MemoryMax"),
        "memory.high" => number("MemoryHigh"),
        "memory.low" => number("MemoryLow"),
        "memory.min" => number("MemoryMin"),
        "memory.swap.max" => number("MemorySwapMax"),
        "cpu.weight" => number("CPUWeight"),
        // An idle group is one of weight 0; "no value" is the weight that a unit has if none is asked for.
        "cpu.idle" => Some(vec![("CPUWeight", Variant::from(if value == "1" { 0 } else { INFINITY }))]),
        "cpu.max" => quota(value),
        "cpuset.cpus" => mask(value).map(|mask| vec![("AllowedCPUs", mask)]),
        "cpuset.mems" => mask(value).map(|mask| vec![("AllowedMemoryNodes", mask)]),
        "io.weight" => match value.split_once(' ') {
            None => number("IOWeight"),
            Some(("default", weight)) => Some(vec![("IOWeight", Variant::from(bytes(weight)?))]),
            Some((device, weight)) => Some(vec![("IODeviceWeight", per_device(device, bytes(weight)?)?)]),
        },
        "io.max" => {
            let (device, rates) = value.split_once(' ')?;
            rates.split_whitespace().map(|rate| throttle(device, rate)).collect()
        }
        _ => None,
    }
}

fn throttle(device: &str, rate: &str) -> Option<(&'static str, Variant<'static>)> {
    let (key, value) = rate.split_once('=')?;
    let name = match key {
        "rbps" => "IOReadBandwidthMax",
        "wbps" => "IOWriteBandwidthMax",
        "riops" => "IOReadIOPSMax",
        "wiops" => "IOWriteIOPSMax",
        _ => return None,
    };
    Some((name, per_device(device, bytes(value)?)?))
}

/// One element of type (st). The path is one that udev makes for every block device.
fn per_device(device: &str, value: u64) -> Option<Variant<'static>> {
    let pair = Structure::from((format!("/dev/block/{device}"), value));
    let mut list = Array::new(pair.signature());
    list.append(Variant::Structure(pair)).ok()?;
    Some(Variant::Array(list))
}

/// `cpu.max` is "QUOTA [PERIOD]" in microseconds. systemd keeps the quota as time per second, in steps of a hundredth of a
/// CPU; rounded up, so that it never gives less than was asked for.
fn quota(value: &str) -> Option<Vec<(&'static str, Variant<'static>)>> {
    let mut words = value.split_whitespace();
    let quota = words.next()?;
    let period: u64 =
        words.next().map_or(Some(100_000), |word| word.parse().ok()).filter(|period| *period > 0)?;
    let per_second = match quota {
        "max" => INFINITY,
        quota => u64::try_from(u128::from(quota.parse::<u64>().ok()?) * 1_000_000 / u128::from(period))
            .ok()?
            .checked_next_multiple_of(10_000)?,
    };
    Some(vec![
        ("CPUQuotaPerSecUSec", Variant::from(per_second)),
        ("CPUQuotaPeriodUSec", Variant::from(period)),
    ])
}

/// `max`, or a number with the suffix that the kernel takes.
fn bytes(value: &str) -> Option<u64> {
    if value == "max" {
        return Some(INFINITY);
    }
    let end = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
    let (number, unit) = value.split_at(end);
    let shift = match unit {
        "" => 0,
        "k" | "K" => 10,
        "m" | "M" => 20,
        "g" | "G" => 30,
        "t" | "T" => 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// `0-3,7` as bytes, bit 0 of byte 0 first. Empty is "as the parent", which is no bits.
fn mask(value: &str) -> Option<Variant<'static>> {
    let mut mask: Vec<u8> = Vec::new();
    for part in value.trim().split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        // More CPUs than any kernel has (NR_CPUS is 8192 at most) are not worth the memory.
        if last >= 8192 {
            return None;
        }
        mask.resize(mask.len().max(last / 8 + 1), 0);
        (first..=last).for_each(|bit| mask[bit / 8] |= 1 << (bit % 8));
    }
    Some(Variant::Array(Array::from(mask)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::plan;

    fn shown(json: &str) -> Vec<String> {
        let plan = plan(&serde_json::from_str(json).unwrap()).unwrap();
        of(&plan.settings).into_iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    #[test]
    fn limits() {
        let json = r#"{"memory":{"limit":100,"swap":300,"reservation":50},"pids":{"limit":7},
            "cpu":{"shares":1024,"quota":12345,"period":100000,"cpus":"0,3-4,9","mems":"0"}}"#;
        assert_eq!(
            shown(json),
            [
                "TasksMax=uint64 7",
                "MemorySwapMax=uint64 200",
                "MemoryMax=uint64 100",
                "MemoryLow=uint64 50",
                "CPUWeight=uint64 100",
                "CPUQuotaPerSecUSec=uint64 130000",
                "CPUQuotaPeriodUSec=uint64 100000",
                "AllowedCPUs=[byte 0x19, 0x02]",
                "AllowedMemoryNodes=[byte 0x01]",
            ]
        );
    }

    #[test]
    fn no_limit_is_infinity() {
        let json = r#"{"memory":{"limit":-1},"pids":{"limit":-1},"cpu":{"quota":-1}}"#;
        let most = u64::MAX;
        assert_eq!(
            shown(json),
            [
                format!("TasksMax=uint64 {most}"),
                format!("MemorySwapMax=uint64 {most}"),
                format!("MemoryMax=uint64 {most}"),
                format!("CPUQuotaPerSecUSec=uint64 {most}"),
                "CPUQuotaPeriodUSec=uint64 100000".to_string(),
            ]
        );
    }

    #[test]
    fn unified_has_the_last_word() {
        let json = r#"{"memory":{"limit":100},"unified":{"memory.max":"2M","memory.high":"1048576","cpu.weight":"5",
            "memory.oom.group":"1"}}"#;
        assert_eq!(
            shown(json),
            ["CPUWeight=uint64 5", "MemoryHigh=uint64 1048576", "MemoryMax=uint64 2097152"]
        );
    }

    #[test]
    fn devices_add_up() {
        let json = r#"{"blockIO":{"weight":500,"throttleReadBpsDevice":[{"major":8,"minor":0,"rate":9},{"major":8,"minor":1,"rate":0}]}}"#;
        assert_eq!(
            shown(json),
            [
                "IOWeight=uint64 4950".to_string(),
                "IOReadBandwidthMax=[(\"/dev/block/8:0\", uint64 9)]".to_string(),
                format!("IOReadBandwidthMax=[(\"/dev/block/8:1\", uint64 {})]", u64::MAX),
            ]
        );
    }
}
