//! `linux.resources.hugepageLimits`.

use oci_spec::runtime::LinuxHugepageLimit;

use super::{Plan, Setting, invalid};
use crate::Result;

pub(super) fn plan(limit: &LinuxHugepageLimit, plan: &mut Plan) -> Result<()> {
    let size = limit.page_size();
    if !is_size(size) {
        return Err(invalid("hugepageLimits.pageSize", format!("{size:?} is not a size like 2MB or 1GB")));
    }
    if limit.limit() < 0 {
        return Err(invalid("hugepageLimits.limit", format!("{} is negative", limit.limit())));
    }
    // Nobody can use pages that the host does not have, so a limit of 0 holds without a file.
    let none = limit.limit() == 0;
    let field = format!("hugepageLimits[{size}]");
    let file = format!("hugetlb.{size}.max");
    plan.settings
        .push(Setting::new("hugetlb", &field, &file, limit.limit().to_string()).harmless_if_missing(none));
    // Limits reservations as well (Linux 5.7), so that mmap fails instead of a later page fault with SIGBUS.
    let file = format!("hugetlb.{size}.rsvd.max");
    plan.settings
        .push(Setting::new("hugetlb", &field, &file, limit.limit().to_string()).harmless_if_missing(true));
    Ok(())
}

/// The kernel's names: a number without leading zero, and KB, MB or GB.
fn is_size(text: &str) -> bool {
    let Some(number) = ["KB", "MB", "GB"].iter().find_map(|unit| text.strip_suffix(unit)) else {
        return false;
    };
    !number.is_empty() && !number.starts_with('0') && number.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use crate::resources::tests::{pair, planned, refused};

    #[test]
    fn limit_and_reservation() {
        assert_eq!(
            planned(r#"{"hugepageLimits":[{"pageSize":"2MB","limit":4194304}]}"#),
            [pair("hugetlb.2MB.max", "4194304"), pair("hugetlb.2MB.rsvd.max", "4194304")]
        );
    }

    #[test]
    fn sizes_cannot_be_paths() {
        for size in ["", "2", "MB", "02MB", "2mb", "../2MB", "2/MB"] {
            let json = format!(r#"{{"hugepageLimits":[{{"pageSize":"{size}","limit":0}}]}}"#);
            assert!(refused(&json).contains("pageSize"), "{size}");
        }
    }
}
