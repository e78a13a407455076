//! The pod's own configuration.

use std::collections::HashMap;

use husk_cri_api as cri;
use husk_cri_api::security_profile::ProfileType;

use crate::data::PodData;
use crate::manifest::pod::{Container, DnsConfig, Pod, Port, Protocol};
use crate::manifest::security::{GroupsPolicy, SeccompKind, SeccompProfile};

/// Longest host name (sethostname(2)).
const MAX_HOSTNAME: usize = 63;

/// PodSandboxConfig of `pod`.
pub fn config(pod: &Pod, data: &PodData) -> cri::PodSandboxConfig {
    cri::PodSandboxConfig {
        metadata: Some(cri::PodSandboxMetadata {
            name: pod.metadata.name.value.clone(),
            uid: data.uid.clone(),
            namespace: namespace(pod).to_owned(),
            attempt: 0,
        }),
        hostname: hostname(pod),
        log_directory: data.logs().display().to_string(),
        dns_config: dns(&pod.spec.dns_config),
        port_mappings: pod.spec.containers.iter().flat_map(|c| &c.ports).map(port).collect(),
        labels: labels(pod, data),
        annotations: pod.metadata.annotations.clone().into_iter().collect(),
        linux: Some(linux(pod)),
        ..cri::PodSandboxConfig::default()
    }
}

pub fn namespace(pod: &Pod) -> &str {
    pod.metadata.namespace.as_ref().map_or("default", |n| &n.value)
}

/// The manifest's labels, and those by which the kubelet marks what it runs.
fn labels(pod: &Pod, data: &PodData) -> HashMap<String, String> {
    let mut labels: HashMap<_, _> = pod.metadata.labels.clone().into_iter().collect();
    labels.insert("io.kubernetes.pod.name".into(), pod.metadata.name.value.clone());
    labels.insert("io.kubernetes.pod.namespace".into(), namespace(pod).to_owned());
    labels.insert("io.kubernetes.pod.uid".into(), data.uid.clone());
    labels
}

fn hostname(pod: &Pod) -> String {
    let name = pod.spec.hostname.as_ref().unwrap_or(&pod.metadata.name.value);
    match pod.spec.host_network {
        true => String::new(),
        false => name.get(..MAX_HOSTNAME).unwrap_or(name).trim_end_matches(['-', '.']).to_owned(),
    }
}

fn dns(dns: &DnsConfig) -> Option<cri::DnsConfig> {
    let options = dns.options.iter().map(|o| match &o.value {
        Some(value) => format!("{}:{value}", o.name),
        None => o.name.clone(),
    });
    let config = cri::DnsConfig {
        servers: dns.nameservers.clone(),
        searches: dns.searches.clone(),
        options: options.collect(),
    };
    (config != cri::DnsConfig::default()).then_some(config)
}

fn port(port: &Port) -> cri::PortMapping {
    let protocol = match port.protocol {
        Protocol::Tcp => cri::Protocol::Tcp,
        Protocol::Udp => cri::Protocol::Udp,
        Protocol::Sctp => cri::Protocol::Sctp,
    };
    cri::PortMapping {
        protocol: protocol.into(),
        container_port: port.container_port.into(),
        host_port: port.host_port.into(),
        host_ip: port.host_ip.clone(),
    }
}

fn linux(pod: &Pod) -> cri::LinuxPodSandboxConfig {
    let security = &pod.spec.security_context;
    let privileged = |c: &Container| c.security_context.privileged;
    cri::LinuxPodSandboxConfig {
        security_context: Some(cri::LinuxSandboxSecurityContext {
            namespace_options: Some(namespaces(pod)),
            run_as_user: security.run_as_user.map(int),
            run_as_group: security.run_as_group.map(int),
            supplemental_groups: groups(pod),
            supplemental_groups_policy: groups_policy(pod),
            // A pod may hold a privileged container only if it is privileged itself.
            privileged: pod.spec.containers.iter().chain(&pod.spec.init_containers).any(privileged),
            seccomp: Some(seccomp(security.seccomp_profile.as_ref())),
            ..cri::LinuxSandboxSecurityContext::default()
        }),
        sysctls: security.sysctls.iter().map(|s| (s.name.clone(), s.value.clone())).collect(),
        ..cri::LinuxPodSandboxConfig::default()
    }
}

/// Which namespaces are the pod's, the containers' own, or the node's.
pub fn namespaces(pod: &Pod) -> cri::NamespaceOption {
    let of = |host, else_| if host { cri::NamespaceMode::Node } else { else_ };
    let pid = if pod.spec.share_process_namespace {
        cri::NamespaceMode::Pod
    } else {
        cri::NamespaceMode::Container
    };
    cri::NamespaceOption {
        network: of(pod.spec.host_network, cri::NamespaceMode::Pod).into(),
        pid: of(pod.spec.host_pid, pid).into(),
        ipc: of(pod.spec.host_ipc, cri::NamespaceMode::Pod).into(),
        ..cri::NamespaceOption::default()
    }
}

/// Supplemental groups, with fsGroup, which owns the volumes.
pub fn groups(pod: &Pod) -> Vec<i64> {
    let security = &pod.spec.security_context;
    security.supplemental_groups.iter().chain(&security.fs_group).map(|g| i64::from(*g)).collect()
}

pub fn groups_policy(pod: &Pod) -> i32 {
    match pod.spec.security_context.supplemental_groups_policy {
        GroupsPolicy::Merge => cri::SupplementalGroupsPolicy::Merge.into(),
        GroupsPolicy::Strict => cri::SupplementalGroupsPolicy::Strict.into(),
    }
}

/// The profile; without one, the runtime's own: what Kubernetes leaves open, a person is better off with.
pub fn seccomp(profile: Option<&SeccompProfile>) -> cri::SecurityProfile {
    let kind = match profile.map(|p| p.kind) {
        None | Some(SeccompKind::RuntimeDefault) => ProfileType::RuntimeDefault,
        Some(SeccompKind::Unconfined) => ProfileType::Unconfined,
        Some(SeccompKind::Localhost) => ProfileType::Localhost,
    };
    let localhost_ref = profile.map(|p| p.localhost_profile.clone()).unwrap_or_default();
    cri::SecurityProfile { profile_type: kind.into(), localhost_ref }
}

/// CRI's way to tell 0 from absent.
pub fn int(value: u32) -> cri::Int64Value {
    cri::Int64Value { value: value.into() }
}

#[cfg(test)]
mod tests {
    use super::super::tests::plan;
    use super::*;

    const C: &str = "  containers:\n  - {name: c, image: x}\n";

    fn options(spec: &str) -> cri::NamespaceOption {
        let sandbox = plan(&format!("{spec}{C}")).sandbox;
        sandbox.linux.unwrap().security_context.unwrap().namespace_options.unwrap()
    }

    #[test]
    fn namespaces_follow_the_manifest() {
        use cri::NamespaceMode::{Container, Node, Pod};
        let seen = |spec| {
            let o = options(spec);
            (o.network(), o.pid(), o.ipc())
        };
        assert_eq!(seen(""), (Pod, Container, Pod));
        assert_eq!(seen("  shareProcessNamespace: true\n"), (Pod, Pod, Pod));
        assert_eq!(seen("  hostNetwork: true\n  hostPID: true\n  hostIPC: true\n"), (Node, Node, Node));
    }

    #[test]
    fn host_names_are_cut_where_the_kernel_cuts_and_absent_on_the_host_network() {
        assert_eq!(plan(C).sandbox.hostname, "web");
        assert_eq!(plan(&format!("  hostNetwork: true\n{C}")).sandbox.hostname, "");
        let long = format!("  hostname: {}-b\n{C}", "a".repeat(62));
        assert_eq!(plan(&long).sandbox.hostname, "a".repeat(62));
    }

    #[test]
    fn names_labels_and_resolver_arrive() {
        let sandbox = plan(&format!(
            "  dnsConfig: {{nameservers: [1.1.1.1], options: [{{name: ndots, value: '2'}}]}}\n{C}"
        ))
        .sandbox;
        assert_eq!(sandbox.metadata.unwrap().namespace, "shop");
        assert_eq!(sandbox.labels["io.kubernetes.pod.name"], "web");
        assert_eq!(sandbox.dns_config.unwrap().options, ["ndots:2"]);
        assert_eq!(plan(C).sandbox.dns_config, None);
    }
}
