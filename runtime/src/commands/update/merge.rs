//! The new limits and the old ones: what is to be written to the group, and what to the configuration.

use oci_spec::runtime::{
    LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxResources, LinuxThrottleDevice, LinuxWeightDevice,
};

/// Result of [`merge`].
pub struct Merged {
    /// What was given, with what of the old it cannot be understood without.
    pub to_apply: LinuxResources,
    /// The old with what was given in its place.
    pub to_keep: LinuxResources,
}

/// Puts the given values over the old ones.
///
/// Only what was given is applied, not the whole: a limit that was left out at create, because the host lacks its
/// controller, must not make each update fail. Devices are never changed: runc does not, and whoever added some since (a
/// GPU hook) would lose them.
pub fn merge(old: &LinuxResources, mut given: LinuxResources) -> Merged {
    given.set_devices(None);
    let mut to_apply = given.clone();
    let mut to_keep = old.clone();
    if let Some(memory) = given.memory() {
        let before = old.memory().unwrap_or_default();
        to_apply.set_memory(Some(apply_memory(&before, memory)));
        to_keep.set_memory(Some(keep_memory(before, memory)));
    }
    if let Some(cpu) = given.cpu() {
        let before = old.cpu().clone().unwrap_or_default();
        to_apply.set_cpu(Some(apply_cpu(&before, cpu)));
        to_keep.set_cpu(Some(keep_cpu(before, cpu)));
    }
    if let Some(io) = given.block_io() {
        to_keep.set_block_io(Some(keep_io(old.block_io().clone().unwrap_or_default(), io)));
    }
    if given.pids().is_some() {
        to_keep.set_pids(*given.pids());
    }
    if let Some(pages) = given.hugepage_limits() {
        let mut all = old.hugepage_limits().clone().unwrap_or_default();
        for page in pages {
            all.retain(|other| other.page_size() != page.page_size());
            all.push(page.clone());
        }
        to_keep.set_hugepage_limits(Some(all));
    }
    if let Some(rdma) = given.rdma() {
        let mut all = old.rdma().clone().unwrap_or_default();
        all.extend(rdma.clone());
        to_keep.set_rdma(Some(all));
    }
    if let Some(unified) = given.unified() {
        let mut all = old.unified().clone().unwrap_or_default();
        all.extend(unified.clone());
        to_keep.set_unified(Some(all));
    }
    Merged { to_apply, to_keep }
}

/// 0 is unset, for whoever speaks Go.
fn set(value: Option<i64>) -> Option<i64> {
    value.filter(|value| *value != 0)
}

/// The spec's swap is memory and swap together, so each needs the other.
fn apply_memory(old: &LinuxMemory, given: &LinuxMemory) -> LinuxMemory {
    let mut out = *given;
    let (limit, swap) = (set(given.limit()), set(given.swap()));
    if limit.is_none() && swap.is_some() {
        out.set_limit(old.limit());
    }
    // With memory becoming unlimited the old sum means nothing any more, and runc sets swap free, too.
    if swap.is_none() && limit.is_some_and(|limit| limit != -1) {
        out.set_swap(set(old.swap()).filter(|swap| *swap != -1));
    }
    out
}

fn keep_memory(mut old: LinuxMemory, given: &LinuxMemory) -> LinuxMemory {
    if let Some(limit) = set(given.limit()) {
        old.set_limit(Some(limit));
        if limit == -1 && set(given.swap()).is_none() {
            old.set_swap(None);
        }
    }
    if let Some(swap) = set(given.swap()) {
        old.set_swap(Some(swap));
    }
    if let Some(reservation) = set(given.reservation()) {
        old.set_reservation(Some(reservation));
    }
    if given.check_before_update().is_some() {
        old.set_check_before_update(given.check_before_update());
    }
    old
}

/// `cpu.max` is quota and period in one file, so each needs the other. An idle group loses its weight, and gets it back.
fn apply_cpu(old: &LinuxCpu, given: &LinuxCpu) -> LinuxCpu {
    let mut out = given.clone();
    let quota = given.quota().filter(|q| *q != 0);
    let period = given.period().filter(|p| *p != 0);
    match (quota, period) {
        (Some(_), None) => drop(out.set_period(old.period())),
        (None, Some(_)) => drop(out.set_quota(old.quota())),
        _ => {}
    }
    if given.idle() == Some(0) && given.shares().is_none_or(|s| s == 0) {
        out.set_shares(old.shares());
    }
    out
}

fn keep_cpu(mut old: LinuxCpu, given: &LinuxCpu) -> LinuxCpu {
    macro_rules! take {
        ($($get:ident $set:ident $zero:expr;)*) => {
            $(if let Some(value) = given.$get().filter(|value| !$zero || *value != 0) {
                old.$set(Some(value));
            })*
        };
    }
    take! {
        shares set_shares true;
        quota set_quota true;
        period set_period true;
        burst set_burst false;
        idle set_idle false;
        realtime_runtime set_realtime_runtime true;
        realtime_period set_realtime_period true;
    }
    if let Some(cpus) = given.cpus().as_ref().filter(|list| !list.is_empty()) {
        old.set_cpus(Some(cpus.clone()));
    }
    if let Some(mems) = given.mems().as_ref().filter(|list| !list.is_empty()) {
        old.set_mems(Some(mems.clone()));
    }
    old
}

fn keep_io(mut old: LinuxBlockIo, given: &LinuxBlockIo) -> LinuxBlockIo {
    if given.weight().is_some_and(|w| w != 0) {
        old.set_weight(given.weight());
    }
    let weights = over(old.weight_device(), given.weight_device(), weight_number);
    let read_bps = over(old.throttle_read_bps_device(), given.throttle_read_bps_device(), throttle_number);
    let write_bps = over(old.throttle_write_bps_device(), given.throttle_write_bps_device(), throttle_number);
    let read_iops = over(old.throttle_read_iops_device(), given.throttle_read_iops_device(), throttle_number);
    let write_iops =
        over(old.throttle_write_iops_device(), given.throttle_write_iops_device(), throttle_number);
    old.set_weight_device(weights)
        .set_throttle_read_bps_device(read_bps)
        .set_throttle_write_bps_device(write_bps)
        .set_throttle_read_iops_device(read_iops)
        .set_throttle_write_iops_device(write_iops);
    old
}

fn weight_number(device: &LinuxWeightDevice) -> (i64, i64) {
    (device.major(), device.minor())
}

fn throttle_number(device: &LinuxThrottleDevice) -> (i64, i64) {
    (device.major(), device.minor())
}

/// The old list with the given devices in place of those of the same number.
fn over<T: Clone>(
    old: &Option<Vec<T>>,
    given: &Option<Vec<T>>,
    number: fn(&T) -> (i64, i64),
) -> Option<Vec<T>> {
    let Some(given) = given else { return old.clone() };
    let mut all = old.clone().unwrap_or_default();
    all.retain(|device| !given.iter().any(|new| number(new) == number(device)));
    all.extend(given.iter().cloned());
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, from_value, json, to_value};

    fn merged(old: Value, given: Value) -> (Value, Value) {
        let Merged { to_apply, to_keep } = merge(&from_value(old).unwrap(), from_value(given).unwrap());
        (to_value(to_apply).unwrap(), to_value(to_keep).unwrap())
    }

    #[test]
    fn only_what_was_given_is_applied() {
        let (apply, keep) = merged(json!({"memory": {"limit": 5}}), json!({"pids": {"limit": 7}}));
        assert_eq!(apply, json!({"pids": {"limit": 7}}));
        assert_eq!(keep, json!({"memory": {"limit": 5}, "pids": {"limit": 7}}));
    }

    #[test]
    fn memory_and_swap_come_together() {
        let old = json!({"memory": {"limit": 100, "swap": 300}});
        let (apply, keep) = merged(old.clone(), json!({"memory": {"limit": 200}}));
        assert_eq!(apply["memory"], json!({"limit": 200, "swap": 300}));
        assert_eq!(keep["memory"], json!({"limit": 200, "swap": 300}));
        let (apply, _) = merged(old.clone(), json!({"memory": {"swap": 400}}));
        assert_eq!(apply["memory"], json!({"limit": 100, "swap": 400}));
        let (apply, keep) = merged(old, json!({"memory": {"limit": -1}}));
        assert_eq!(apply["memory"], json!({"limit": -1}));
        assert_eq!(keep["memory"], json!({"limit": -1}));
    }

    #[test]
    fn quota_and_period_come_together() {
        let old = json!({"cpu": {"quota": 1000, "period": 5000, "shares": 512}});
        let (apply, keep) = merged(old.clone(), json!({"cpu": {"quota": 2000}}));
        assert_eq!(apply["cpu"], json!({"quota": 2000, "period": 5000}));
        assert_eq!(keep["cpu"], json!({"quota": 2000, "period": 5000, "shares": 512}));
        let (apply, _) = merged(old.clone(), json!({"cpu": {"idle": 0}}));
        assert_eq!(apply["cpu"], json!({"idle": 0, "shares": 512}));
        let (apply, _) = merged(old, json!({"cpu": {"idle": 1}}));
        assert_eq!(apply["cpu"], json!({"idle": 1}));
    }

    #[test]
    fn lists_are_merged_by_device_and_size() {
        let device = |minor: i64, rate: u64| json!({"major": 8, "minor": minor, "rate": rate});
        let (apply, keep) = merged(
            json!({"blockIO": {"throttleReadBpsDevice": [device(0, 1), device(16, 2)]}}),
            json!({"blockIO": {"throttleReadBpsDevice": [device(0, 9)]}, "devices": [{"allow": true}]}),
        );
        assert_eq!(apply["blockIO"]["throttleReadBpsDevice"], json!([device(0, 9)]));
        assert_eq!(keep["blockIO"]["throttleReadBpsDevice"], json!([device(16, 2), device(0, 9)]));
        assert!(keep["devices"].is_null() && apply["devices"].is_null());
    }
}
