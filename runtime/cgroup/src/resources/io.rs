//! `linux.resources.blockIO`.

use oci_spec::runtime::{LinuxBlockIo, LinuxThrottleDevice, LinuxWeightDevice};

use super::{Plan, Setting, invalid};
use crate::Result;

pub(super) fn plan(io: &LinuxBlockIo, plan: &mut Plan) -> Result<()> {
    if let Some(weight) = io.weight().filter(|w| *w != 0) {
        check_weight("blockIO.weight", weight)?;
        // BFQ takes v1's numbers; the io.cost controller's file has a range of its own.
        let setting = Setting::new("io", "blockIO.weight", "io.bfq.weight", weight.to_string());
        plan.settings.push(setting.or("io.weight", io_weight(weight).to_string()));
    }
    if io.leaf_weight().is_some_and(|w| w != 0) {
        plan.no_equivalent("blockIO.leafWeight", "cgroup v2 has no leaf weights");
    }
    for device in io.weight_device().iter().flatten() {
        weight_device(device, plan)?;
    }
    throttle(plan, io.throttle_read_bps_device(), "throttleReadBpsDevice", "rbps")?;
    throttle(plan, io.throttle_write_bps_device(), "throttleWriteBpsDevice", "wbps")?;
    throttle(plan, io.throttle_read_iops_device(), "throttleReadIOPSDevice", "riops")?;
    throttle(plan, io.throttle_write_iops_device(), "throttleWriteIOPSDevice", "wiops")
}

fn check_weight(field: &str, weight: u16) -> Result<()> {
    if (10..=1000).contains(&weight) {
        return Ok(());
    }
    Err(invalid(field, format!("{weight} is not in 10 to 1000")))
}

/// 10 to 1000 of v1 as 1 to 10000 of io.weight.
fn io_weight(weight: u16) -> u64 {
    1 + u64::from(weight.saturating_sub(10)) * 9999 / 990
}

fn weight_device(device: &LinuxWeightDevice, plan: &mut Plan) -> Result<()> {
    if device.leaf_weight().is_some_and(|w| w != 0) {
        plan.no_equivalent("blockIO.weightDevice.leafWeight", "cgroup v2 has no leaf weights");
    }
    let Some(weight) = device.weight().filter(|w| *w != 0) else { return Ok(()) };
    check_weight("blockIO.weightDevice.weight", weight)?;
    let name = number("blockIO.weightDevice", device.major(), device.minor())?;
    let setting = Setting::new("io", "blockIO.weightDevice", "io.bfq.weight", format!("{name} {weight}"));
    plan.settings.push(setting.or("io.weight", format!("{name} {}", io_weight(weight))));
    Ok(())
}

fn throttle(plan: &mut Plan, list: &Option<Vec<LinuxThrottleDevice>>, field: &str, key: &str) -> Result<()> {
    for device in list.iter().flatten() {
        let field = format!("blockIO.{field}");
        let name = number(&field, device.major(), device.minor())?;
        // 0 was "no limit" on v1; the kernel of v2 takes no 0.
        let rate = if device.rate() == 0 { "max".to_string() } else { device.rate().to_string() };
        let setting = Setting::new("io", &field, "io.max", format!("{name} {key}={rate}"));
        plan.settings.push(setting.harmless_if_missing(rate == "max"));
    }
    Ok(())
}

fn number(field: &str, major: i64, minor: i64) -> Result<String> {
    if major < 0 || minor < 0 {
        return Err(invalid(field, format!("{major}:{minor} is not a device number")));
    }
    Ok(format!("{major}:{minor}"))
}

#[cfg(test)]
mod tests {
    use super::io_weight;
    use crate::resources::plan;
    use crate::resources::tests::{left_out, pair, planned, refused};

    #[test]
    fn weight_falls_back_to_the_general_file() {
        let resources = serde_json::from_str(r#"{"blockIO":{"weight":500}}"#).unwrap();
        let settings = plan(&resources).unwrap().settings;
        assert_eq!(settings[0].choices, [pair("io.bfq.weight", "500"), pair("io.weight", "4950")]);
        assert_eq!((io_weight(10), io_weight(1000)), (1, 10_000));
        assert!(refused(r#"{"blockIO":{"weight":5}}"#).contains("10 to 1000"));
    }

    #[test]
    fn throttles() {
        let json = r#"{"blockIO":{"throttleReadBpsDevice":[{"major":8,"minor":0,"rate":1048576}],
            "throttleWriteIOPSDevice":[{"major":8,"minor":0,"rate":0}]}}"#;
        assert_eq!(planned(json), [pair("io.max", "8:0 rbps=1048576"), pair("io.max", "8:0 wiops=max")]);
        let bad = r#"{"blockIO":{"throttleReadBpsDevice":[{"major":-1,"minor":0,"rate":1}]}}"#;
        assert!(refused(bad).contains("throttleReadBpsDevice: -1:0"));
    }

    #[test]
    fn weight_per_device() {
        let json = r#"{"blockIO":{"leafWeight":10,"weightDevice":[{"major":8,"minor":16,"weight":20,"leafWeight":3}]}}"#;
        assert_eq!(planned(json), [pair("io.bfq.weight", "8:16 20")]);
        assert_eq!(left_out(json).len(), 2);
    }
}
