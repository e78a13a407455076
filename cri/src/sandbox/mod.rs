//! Pod sandboxes: made, stopped, removed, shown.

mod check;
mod files;
mod network;
mod release;
mod remove;
mod run;
mod stats;
mod status;
mod stop;
mod watch;

pub use release::{release, remove_dir, unmount_below};
pub use remove::{purge, remove};
pub use run::run;
pub use stats::{list as list_stats, of as stats};
pub use status::{labels, list, one as status};
pub use stop::stop;
pub use watch::{Waiters, watch};

use husk_cri_api::{NamespaceMode, NamespaceOption, PodSandboxConfig};

/// Namespace modes that the client asked for.
pub fn namespace_options(config: &PodSandboxConfig) -> NamespaceOption {
    let context = config.linux.as_ref().and_then(|linux| linux.security_context.as_ref());
    context.and_then(|context| context.namespace_options.clone()).unwrap_or_default()
}

/// The sandbox uses the host's network.
pub fn host_network(config: &PodSandboxConfig) -> bool {
    namespace_options(config).network() == NamespaceMode::Node
}

/// Hostname inside: the pod's, or the host's for pods on the host's network.
pub fn hostname(config: &PodSandboxConfig) -> String {
    if config.hostname.is_empty() {
        rustix::system::uname().nodename().to_string_lossy().into_owned()
    } else {
        config.hostname.clone()
    }
}
