//! From what a person types to one container or pod: an id, the unique start of one, a name, or POD/NAME.

use husk_cri_api as cri;

use crate::bytes::short;
use crate::client::{Client, Error, rpc};

/// What a word stands for.
#[derive(Debug, Clone)]
pub enum Found {
    Container(cri::Container),
    Pod(cri::PodSandbox),
}

/// A word that stands for nothing, or for too much.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    #[error("no {kind} is called {word:?}")]
    None { kind: &'static str, word: String },
    #[error("{word:?} could be {}", candidates.join(", "))]
    Several { word: String, candidates: Vec<String> },
    #[error(transparent)]
    Rpc(#[from] Error),
}

/// Everything that a server runs or has run.
#[derive(Debug)]
pub struct Inventory {
    pub containers: Vec<cri::Container>,
    pub pods: Vec<cri::PodSandbox>,
}

impl Inventory {
    /// Asks the server.
    pub async fn of(client: &Client) -> Result<Self, Error> {
        let (mut one, mut two) = (client.runtime.clone(), client.runtime.clone());
        let containers =
            rpc("ListContainers", one.list_containers(cri::ListContainersRequest::default())).await?;
        let pods = rpc("ListPodSandbox", two.list_pod_sandbox(cri::ListPodSandboxRequest::default())).await?;
        Ok(Self { containers: containers.containers, pods: pods.items })
    }

    /// The container that `word` stands for: of several attempts under one name, the last.
    pub fn container(&self, word: &str) -> Result<&cri::Container, Problem> {
        if let Some(exact) = self.containers.iter().find(|c| c.id == word) {
            return Ok(exact);
        }
        let named = self.newest(self.containers.iter().filter(|c| self.is_called(c, word)));
        let by_id =
            || self.containers.iter().filter(|c| !word.is_empty() && c.id.starts_with(word)).collect();
        let found = if named.is_empty() { by_id() } else { named };
        one("container", word, found, |c| format!("{} ({})", short(&c.id), self.full_name(c)))
    }

    /// The pod that `word` stands for: of several under one name, one that is ready goes before others.
    pub fn pod(&self, word: &str) -> Result<&cri::PodSandbox, Problem> {
        if let Some(exact) = self.pods.iter().find(|p| p.id == word) {
            return Ok(exact);
        }
        let ready = |p: &&cri::PodSandbox| p.state() == cri::PodSandboxState::SandboxReady;
        let mut found: Vec<_> = self.pods.iter().filter(|p| pod_name(p) == word).collect();
        if found.iter().any(ready) {
            found.retain(ready);
        }
        if found.is_empty() {
            found = self.pods.iter().filter(|p| !word.is_empty() && p.id.starts_with(word)).collect();
        }
        one("pod", word, found, |p| format!("{} ({})", short(&p.id), pod_name(p)))
    }

    /// A pod or a container; where both have the name, the pod, which holds the other. A name goes before the start of
    /// an id: a container called `a` is not to be missed because some pod's id begins with that letter.
    pub fn any(&self, word: &str) -> Result<Found, Problem> {
        let a_pod_has_the_name = self.pods.iter().any(|p| p.id == word || pod_name(p) == word);
        if !a_pod_has_the_name && self.containers.iter().any(|c| c.id == word || self.is_called(c, word)) {
            return self.container(word).cloned().map(Found::Container);
        }
        match (self.pod(word), self.container(word)) {
            (Ok(pod), _) => Ok(Found::Pod(pod.clone())),
            (Err(several @ Problem::Several { .. }), _) => Err(several),
            (_, Ok(container)) => Ok(Found::Container(container.clone())),
            (_, Err(Problem::None { word, .. })) => Err(Problem::None { kind: "pod or container", word }),
            (_, Err(e)) => Err(e),
        }
    }

    /// `POD/NAME` of a container.
    pub fn full_name(&self, c: &cri::Container) -> String {
        let pod = self.pods.iter().find(|p| p.id == c.pod_sandbox_id).map_or("?", pod_name);
        format!("{pod}/{}", name(c))
    }

    fn is_called(&self, c: &cri::Container, word: &str) -> bool {
        !word.is_empty() && (name(c) == word || self.full_name(c) == word)
    }

    /// Of each pod's containers the last attempt.
    fn newest<'a>(&self, all: impl Iterator<Item = &'a cri::Container>) -> Vec<&'a cri::Container> {
        let mut kept: Vec<&cri::Container> = Vec::new();
        for c in all {
            let key = |c: &cri::Container| (c.pod_sandbox_id.clone(), name(c).to_owned());
            match kept.iter_mut().find(|k| key(k) == key(c)) {
                Some(k) if attempt(k) < attempt(c) => *k = c,
                Some(_) => {}
                None => kept.push(c),
            }
        }
        kept
    }
}

fn one<'a, T>(
    kind: &'static str,
    word: &str,
    found: Vec<&'a T>,
    tell: impl Fn(&T) -> String,
) -> Result<&'a T, Problem> {
    match found.as_slice() {
        [] => Err(Problem::None { kind, word: word.to_owned() }),
        [one] => Ok(one),
        _ => {
            Err(Problem::Several { word: word.to_owned(), candidates: found.into_iter().map(tell).collect() })
        }
    }
}

/// A container's name in its pod.
pub fn name(c: &cri::Container) -> &str {
    c.metadata.as_ref().map_or("?", |m| &m.name)
}

/// Which attempt it is, from 0.
pub fn attempt(c: &cri::Container) -> u32 {
    c.metadata.as_ref().map_or(0, |m| m.attempt)
}

/// A pod's name.
pub fn pod_name(p: &cri::PodSandbox) -> &str {
    p.metadata.as_ref().map_or("?", |m| &m.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inventory() -> Inventory {
        let pod = |id: &str, name: &str, ready: bool| cri::PodSandbox {
            id: id.into(),
            metadata: Some(cri::PodSandboxMetadata { name: name.into(), ..Default::default() }),
            state: i32::from(!ready),
            ..Default::default()
        };
        let container = |id: &str, pod: &str, name: &str, attempt| cri::Container {
            id: id.into(),
            pod_sandbox_id: pod.into(),
            metadata: Some(cri::ContainerMetadata { name: name.into(), attempt }),
            ..Default::default()
        };
        Inventory {
            pods: vec![pod("p1", "web", true), pod("p2", "web", false), pod("q3", "db", true)],
            containers: vec![
                container("aa1", "p1", "app", 0),
                container("aa2", "p1", "app", 2),
                container("ab3", "p1", "app", 1),
                container("b4", "q3", "app", 0),
                container("c5", "q3", "db", 0),
            ],
        }
    }

    #[test]
    fn words_are_ids_starts_of_ids_and_names() {
        let all = inventory();
        for (word, id) in [("aa1", "aa1"), ("ab", "ab3"), ("web/app", "aa2"), ("db/app", "b4"), ("db", "c5")]
        {
            assert_eq!(all.container(word).unwrap().id, id, "{word}");
        }
        assert_eq!(all.pod("web").unwrap().id, "p1");
        assert_eq!(all.pod("p2").unwrap().id, "p2");
        assert!(matches!(all.any("db"), Ok(Found::Pod(_))));
        assert!(matches!(all.any("c5"), Ok(Found::Container(_))));
    }

    #[test]
    fn a_containers_name_goes_before_the_start_of_a_pods_id() {
        let mut all = inventory();
        all.containers[4].metadata.as_mut().unwrap().name = "q".into();
        assert!(matches!(all.any("q"), Ok(Found::Container(c)) if c.id == "c5"));
        assert!(matches!(all.any("q3"), Ok(Found::Pod(_))));
        all.containers[0].metadata.as_mut().unwrap().name = "p".into();
        all.containers[3].metadata.as_mut().unwrap().name = "p".into();
        assert!(matches!(all.any("p"), Err(Problem::Several { .. })));
    }

    #[test]
    fn words_that_are_nothing_or_too_much_are_told() {
        let all = inventory();
        assert_eq!(
            all.container("app").unwrap_err().to_string(),
            "\"app\" could be aa2 (web/app), b4 (db/app)"
        );
        assert_eq!(
            all.container("aa").unwrap_err().to_string(),
            "\"aa\" could be aa1 (web/app), aa2 (web/app)"
        );
        assert_eq!(all.any("x").unwrap_err().to_string(), "no pod or container is called \"x\"");
        assert!(all.any("").is_err());
    }
}
