//! Manifest to CRI: what the kubelet would ask for.

mod container;
mod env;
mod resources;
mod sandbox;

pub use container::log_path;

use husk_cri_api::{ContainerConfig, PodSandboxConfig};

use crate::data::PodData;
use crate::manifest::pod::{Container, Pod, PullPolicy, RestartPolicy};

/// A pod, ready to be asked for.
#[derive(Debug)]
pub struct Plan {
    pub sandbox: PodSandboxConfig,
    pub runtime_handler: String,
    /// Run one after the other before the others, each to its end unless it is a sidecar.
    pub init: Vec<Planned>,
    pub containers: Vec<Planned>,
    /// Seconds between SIGTERM and SIGKILL.
    pub grace: u32,
}

/// A container, ready to be asked for but for its attempt and its image's id.
#[derive(Debug, Clone)]
pub struct Planned {
    pub name: String,
    pub config: ContainerConfig,
    pub image: String,
    pub pull: PullPolicy,
    pub restart: RestartPolicy,
    /// An init container that goes on running beside the others.
    pub sidecar: bool,
    /// The image must not make it root.
    pub non_root: bool,
}

impl Plan {
    /// Plans `pod` with the directories of `data`.
    pub fn of(pod: &Pod, data: &PodData) -> anyhow::Result<Self> {
        let init = pod.spec.init_containers.iter().map(|c| planned(pod, c, data, true));
        let containers = pod.spec.containers.iter().map(|c| planned(pod, c, data, false));
        Ok(Self {
            sandbox: sandbox::config(pod, data),
            runtime_handler: pod.spec.runtime_class_name.clone(),
            init: init.collect::<anyhow::Result<_>>()?,
            containers: containers.collect::<anyhow::Result<_>>()?,
            grace: pod.spec.termination_grace_period_seconds.unwrap_or(30),
        })
    }

    /// All containers in the order in which they start.
    pub fn all(&self) -> impl Iterator<Item = &Planned> {
        self.init.iter().chain(&self.containers)
    }
}

fn planned(pod: &Pod, container: &Container, data: &PodData, init: bool) -> anyhow::Result<Planned> {
    let sidecar = init && container.restart_policy == Some(RestartPolicy::Always);
    let security = &container.security_context;
    let restart = match pod.spec.restart_policy {
        _ if sidecar => RestartPolicy::Always,
        // An init container that ended well is done.
        RestartPolicy::Always if init => RestartPolicy::OnFailure,
        policy => policy,
    };
    Ok(Planned {
        name: container.name.value.clone(),
        config: container::config(pod, container, data)?,
        image: container.image.clone(),
        pull: container.image_pull_policy.unwrap_or_else(|| default_policy(&container.image)),
        restart,
        sidecar,
        non_root: security.run_as_non_root.or(pod.spec.security_context.run_as_non_root).unwrap_or(false),
    })
}

/// Kubernetes' default: what may change under its name is pulled each time.
fn default_policy(image: &str) -> PullPolicy {
    let name = image.rsplit('/').next().unwrap_or(image);
    match name.split_once(':') {
        _ if image.contains('@') => PullPolicy::IfNotPresent,
        Some((_, tag)) if tag != "latest" => PullPolicy::IfNotPresent,
        _ => PullPolicy::Always,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn plan(spec: &str) -> Plan {
        let text =
            format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: web, namespace: shop}}\nspec:\n{spec}");
        let pod = crate::manifest::parse(&text, "pod.yaml").unwrap();
        let dir = tempfile::tempdir().unwrap();
        Plan::of(&pod, &PodData::of(dir.path(), "0a1b2c3d-0000-4000-8000-000000000000").unwrap()).unwrap()
    }

    #[test]
    fn images_that_may_change_are_pulled_each_time() {
        for (image, policy) in [
            ("busybox", PullPolicy::Always),
            ("busybox:latest", PullPolicy::Always),
            ("host:5000/busybox", PullPolicy::Always),
            ("busybox:1.36", PullPolicy::IfNotPresent),
            ("host:5000/busybox@sha256:00", PullPolicy::IfNotPresent),
        ] {
            assert_eq!(default_policy(image), policy, "{image}");
        }
    }

    #[test]
    fn init_containers_end_and_sidecars_go_on() {
        let plan = plan(concat!(
            "  initContainers:\n  - {name: a, image: x}\n  - {name: b, image: x, restartPolicy: Always}\n",
            "  containers:\n  - {name: c, image: x}\n",
        ));
        let seen: Vec<_> = plan.all().map(|c| (c.name.as_str(), c.restart, c.sidecar)).collect();
        let expected = [
            ("a", RestartPolicy::OnFailure, false),
            ("b", RestartPolicy::Always, true),
            ("c", RestartPolicy::Always, false),
        ];
        assert_eq!(seen, expected);
    }
}
