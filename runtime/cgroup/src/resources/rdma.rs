//! `linux.resources.rdma`.

use std::collections::HashMap;

use oci_spec::runtime::LinuxRdma;

use super::{Plan, Setting, invalid};
use crate::Result;

pub(super) fn plan(devices: &HashMap<String, LinuxRdma>, plan: &mut Plan) -> Result<()> {
    let mut names: Vec<_> = devices.keys().collect();
    names.sort();
    for name in names {
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(invalid("rdma", format!("{name:?} is not the name of a device")));
        }
        let mut value = name.clone();
        if let Some(handles) = devices[name].hca_handles() {
            value.push_str(&format!(" hca_handle={handles}"));
        }
        if let Some(objects) = devices[name].hca_objects() {
            value.push_str(&format!(" hca_object={objects}"));
        }
        if value.len() == name.len() {
            return Err(invalid("rdma", format!("{name:?} has neither hcaHandles nor hcaObjects")));
        }
        plan.settings.push(Setting::new("rdma", &format!("rdma[{name}]"), "rdma.max", value));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::resources::tests::{pair, planned, refused};

    #[test]
    fn one_line_per_device() {
        let json = r#"{"rdma":{"mlx5_1":{"hcaHandles":3,"hcaObjects":10000},"mlx4_0":{"hcaObjects":1000}}}"#;
        assert_eq!(
            planned(json),
            [
                pair("rdma.max", "mlx4_0 hca_object=1000"),
                pair("rdma.max", "mlx5_1 hca_handle=3 hca_object=10000")
            ]
        );
        assert!(refused(r#"{"rdma":{"a b":{"hcaHandles":3}}}"#).contains("a b"));
        assert!(refused(r#"{"rdma":{"mlx4_0":{}}}"#).contains("neither"));
    }
}
