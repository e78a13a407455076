//! `linux.resources.pids`.

use oci_spec::runtime::LinuxPids;

use super::{Plan, Setting};

/// -1 is no limit; 0 becomes 1, as with runc 1.5, since systemd takes no 0 and both mean that nothing can be forked.
pub(super) fn plan(pids: &LinuxPids, plan: &mut Plan) {
    let value = match pids.limit() {
        limit if limit < 0 => "max".to_string(),
        limit => limit.max(1).to_string(),
    };
    plan.settings
        .push(Setting::new("pids", "pids.limit", "pids.max", value).harmless_if_missing(pids.limit() < 0));
}

#[cfg(test)]
mod tests {
    use crate::resources::tests::{pair, planned};

    #[test]
    fn limit() {
        assert_eq!(planned(r#"{"pids":{"limit":7}}"#), [pair("pids.max", "7")]);
        assert_eq!(planned(r#"{"pids":{"limit":-1}}"#), [pair("pids.max", "max")]);
        assert_eq!(planned(r#"{"pids":{"limit":0}}"#), [pair("pids.max", "1")]);
    }
}
