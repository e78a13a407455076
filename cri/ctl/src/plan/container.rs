//! A container's configuration.

use anyhow::Context;
use husk_cri_api as cri;

use super::sandbox::{groups, groups_policy, int, namespace, namespaces, seccomp};
use super::{env, resources};
use crate::data::PodData;
use crate::manifest::pod::{Container, Pod};
use crate::manifest::volume::{Propagation, RecursiveReadOnly, VolumeMount};

/// ContainerConfig of one container of `pod`, for its first attempt.
pub fn config(pod: &Pod, c: &Container, data: &PodData) -> anyhow::Result<cri::ContainerConfig> {
    let name = &c.name.value;
    let vars = env::resolve(&c.env);
    let mounts = c.volume_mounts.iter().map(|m| mount(pod, m, data));
    let mounts = mounts.collect::<anyhow::Result<_>>().with_context(|| format!("container {name}"))?;
    let labels = [
        ("io.kubernetes.pod.name", pod.metadata.name.value.as_str()),
        ("io.kubernetes.pod.namespace", namespace(pod)),
        ("io.kubernetes.pod.uid", &data.uid),
        ("io.kubernetes.container.name", name),
    ];
    Ok(cri::ContainerConfig {
        metadata: Some(cri::ContainerMetadata { name: name.clone(), attempt: 0 }),
        image: Some(cri::ImageSpec {
            image: c.image.clone(),
            user_specified_image: c.image.clone(),
            ..cri::ImageSpec::default()
        }),
        command: c.command.iter().map(|word| env::expand(word, &vars)).collect(),
        args: c.args.iter().map(|word| env::expand(word, &vars)).collect(),
        working_dir: c.working_dir.clone(),
        envs: vars.into_iter().map(|(key, value)| cri::KeyValue { key, value: value.into_bytes() }).collect(),
        mounts,
        labels: labels.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
        log_path: log_path(name, 0),
        tty: c.tty,
        linux: Some(cri::LinuxContainerConfig {
            resources: Some(resources::of(&c.resources)),
            security_context: Some(security(pod, c)),
        }),
        ..cri::ContainerConfig::default()
    })
}

/// Where an attempt's log is, in the pod's log directory: `NAME/ATTEMPT.log`, as the kubelet has it.
pub fn log_path(name: &str, attempt: u32) -> String {
    format!("{name}/{attempt}.log")
}

fn mount(pod: &Pod, m: &VolumeMount, data: &PodData) -> anyhow::Result<cri::Mount> {
    let volume = pod.spec.volumes.iter().find(|v| v.name.value == m.name.value);
    let volume = volume.with_context(|| format!("no volume is called {:?}", m.name.value))?;
    let source = data.source(volume, m.sub_path.as_ref().map(|s| s.value.as_str()))?;
    let propagation = match m.mount_propagation {
        Propagation::None => cri::MountPropagation::PropagationPrivate,
        Propagation::HostToContainer => cri::MountPropagation::PropagationHostToContainer,
        Propagation::Bidirectional => cri::MountPropagation::PropagationBidirectional,
    };
    Ok(cri::Mount {
        container_path: m.mount_path.value.clone(),
        host_path: source.display().to_string(),
        readonly: m.read_only,
        propagation: propagation.into(),
        recursive_read_only: m.read_only && m.recursive_read_only != RecursiveReadOnly::Disabled,
        ..cri::Mount::default()
    })
}

fn security(pod: &Pod, c: &Container) -> cri::LinuxContainerSecurityContext {
    let (own, pods) = (&c.security_context, &pod.spec.security_context);
    let capabilities = &own.capabilities;
    let user = own.run_as_user.or(pods.run_as_user);
    // CRI takes a group only beside a user; without one the image's applies.
    let group = own.run_as_group.or(pods.run_as_group).filter(|_| user.is_some());
    let profile = own.seccomp_profile.as_ref().or(pods.seccomp_profile.as_ref());
    cri::LinuxContainerSecurityContext {
        capabilities: Some(cri::Capability {
            add_capabilities: capabilities.add.clone(),
            drop_capabilities: capabilities.drop.clone(),
            ..cri::Capability::default()
        }),
        privileged: own.privileged,
        namespace_options: Some(namespaces(pod)),
        run_as_user: user.map(int),
        run_as_group: group.map(int),
        readonly_rootfs: own.read_only_root_filesystem,
        supplemental_groups: groups(pod),
        supplemental_groups_policy: groups_policy(pod),
        no_new_privs: own.allow_privilege_escalation == Some(false),
        masked_paths: if own.privileged { Vec::new() } else { owned(&MASKED) },
        readonly_paths: if own.privileged { Vec::new() } else { owned(&READ_ONLY) },
        seccomp: Some(seccomp(profile)),
        ..cri::LinuxContainerSecurityContext::default()
    }
}

/// procMount Default: what /proc and /sys say about the machine or let one change on it.
const MASKED: [&str; 11] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
];
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

fn owned(paths: &[&str]) -> Vec<String> {
    paths.iter().map(|p| (*p).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::plan;
    use super::*;

    fn only(fields: &str) -> cri::ContainerConfig {
        plan(&format!("  containers:\n  - name: c\n    image: x\n{fields}")).containers.remove(0).config
    }

    fn context(fields: &str) -> cri::LinuxContainerSecurityContext {
        only(&format!("    securityContext: {fields}\n")).linux.unwrap().security_context.unwrap()
    }

    #[test]
    fn the_container_s_settings_go_before_the_pod_s() {
        let spec = concat!(
            "  securityContext: {runAsUser: 1000, runAsGroup: 2000, fsGroup: 3000, supplementalGroups: [4000]}\n",
            "  containers:\n  - {name: c, image: x, securityContext: {runAsUser: 0}}\n",
        );
        let linux = plan(spec).containers.remove(0).config.linux.unwrap().security_context.unwrap();
        assert_eq!((linux.run_as_user, linux.run_as_group), (Some(int(0)), Some(int(2000))));
        assert_eq!(linux.supplemental_groups, [4000, 3000]);
    }

    #[test]
    fn a_privileged_container_sees_all_of_proc() {
        assert!(context("{privileged: true}").masked_paths.is_empty());
        let plain = context("{allowPrivilegeEscalation: false, readOnlyRootFilesystem: true}");
        assert!(
            plain.masked_paths.contains(&"/proc/kcore".to_owned())
                && plain.no_new_privs
                && plain.readonly_rootfs
        );
    }

    #[test]
    fn words_and_variables_are_expanded() {
        let c = only(
            "    command: [sh, -c]\n    args: ['echo $(A) $$(A) $(B)']\n    env:\n    - {name: A, value: x}\n",
        );
        assert_eq!(c.args, ["echo x $(A) $(B)"]);
        assert_eq!(c.envs, [cri::KeyValue { key: "A".into(), value: b"x".into() }]);
        assert_eq!(c.log_path, "c/0.log");
    }
}
