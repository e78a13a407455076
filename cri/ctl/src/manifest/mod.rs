//! Kubernetes Pod manifests: those fields that a runtime can honour.
//!
//! Every known field is either used, or named as having no effect here, or refused. An unknown one is an
//! error: a typo must not start something else than what was meant.

pub mod check;
pub mod pod;
pub mod quantity;
pub mod security;
pub mod volume;

use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_saphyr::Spanned;

use pod::Pod;

/// A manifest is some kilobytes long.
const MAX_MANIFEST: usize = 1 << 20;

/// A manifest that can't be used: file, line, path, and what is wrong there.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file can't be read.
    #[error("open {file}: {source}")]
    Read { file: String, source: std::io::Error },
    /// It is not YAML, or a field has a wrong name, type or value.
    #[error("{file}:{line}: {}{problem}", if path.is_empty() { String::new() } else { format!("{path}: ") })]
    Field { file: String, line: u64, path: String, problem: String },
    /// It is larger than any Pod.
    #[error("{file} is larger than {MAX_MANIFEST} bytes")]
    TooLarge { file: String },
}

/// A field that Kubernetes knows and a runtime has no use for.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct NoEffect(Spanned<IgnoredAny>);

impl NoEffect {
    /// The line it is on.
    pub fn line(&self) -> u64 {
        self.0.referenced.line()
    }
}

/// Reads a manifest; `-` is standard input.
pub fn read(path: &Path) -> Result<Pod, Error> {
    let file = path.display().to_string();
    let failed = |source| Error::Read { file: file.clone(), source };
    let text = match file.as_str() {
        "-" => std::io::read_to_string(std::io::stdin()).map_err(failed)?,
        _ => std::fs::read_to_string(path).map_err(failed)?,
    };
    parse(&text, &file)
}

/// Parses a manifest; `file` is told in errors.
pub fn parse(text: &str, file: &str) -> Result<Pod, Error> {
    if text.len() > MAX_MANIFEST {
        return Err(Error::TooLarge { file: file.to_owned() });
    }
    let mut at = String::new();
    let parsed: Result<Pod, _> = serde_saphyr::with_deserializer_from_str(text, |de| {
        serde_path_to_error::deserialize(de).map_err(|e| {
            at = e.path().to_string();
            e.into_inner()
        })
    });
    let pod = parsed.map_err(|e| {
        let line = e.location().map_or(1, |l| l.line());
        let told = e.without_snippet().to_string();
        let problem = told.rsplit_once(" at line ").map_or(told.as_str(), |(what, _)| what).to_owned();
        Error::Field { file: file.to_owned(), line, path: clean(&at), problem }
    })?;
    check::pod(&pod).map_err(|w| Error::Field {
        file: file.to_owned(),
        line: w.line,
        path: w.path,
        problem: w.problem,
    })?;
    Ok(pod)
}

/// The path without the steps that come from how values are wrapped here.
fn clean(path: &str) -> String {
    path.trim_end_matches(".?").trim_end_matches(".value").trim_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        parse(text, "pod.yaml").unwrap_err().to_string()
    }

    const HEAD: &str = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\nspec:\n";

    #[test]
    fn errors_name_file_line_and_path() {
        let a = "  containers:\n  - name: a\n    image: x\n";
        let cases = [
            (
                "  containers:\n  - name: a\n    imag: x\n".into(),
                "8: spec.containers[0].imag: unknown field `imag`",
            ),
            ("  containers:\n  - image: x\n".into(), "7: spec.containers[0]: missing field `name`"),
            ("  containers: 3\n".into(), "6: spec.containers: "),
            ("  containers: []\n".into(), "1: spec.containers: a pod has at least one container"),
            (
                format!("{a}    resources: {{limits: {{memory: 5X}}}}\n"),
                "9: spec.containers[0].resources.limits.memory: \"5X\" is no quantity",
            ),
            ("  restartPolicy: Sometimes\n".into(), "6: spec.restartPolicy: unknown variant `Sometimes`"),
            (
                format!("{a}    volumeMounts:\n    - name: data\n      mountPath: /d\n"),
                "10: spec.containers[0].volumeMounts[0].name: no volume is called \"data\"",
            ),
            (
                format!("{a}  - {{name: a, image: x}}\n"),
                "9: spec.containers[1].name: two containers are called \"a\"",
            ),
            (
                "  containers:\n  - {name: ../a, image: x}\n".into(),
                "7: spec.containers[0].name: \"../a\" is no name",
            ),
            (
                format!("{a}    env:\n    - name: A\n      valueFrom: {{}}\n"),
                "11: spec.containers[0].env[0].valueFrom: is not supported",
            ),
        ];
        for (text, expected) in cases {
            let said = said(&format!("{HEAD}{text}"));
            assert!(said.starts_with(&format!("pod.yaml:{expected}")), "{said}\nwanted: {expected}");
        }
    }

    #[test]
    fn other_kinds_and_other_syntax_are_refused() {
        let service = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {containers: []}\n";
        assert_eq!(said(service), "pod.yaml:2: kind: \"Service\" is not Pod");
        assert!(said("apiVersion: v1\nkind: [\n").starts_with("pod.yaml:"));
        assert!(said("").starts_with("pod.yaml:"));
        assert!(said(&"a".repeat(MAX_MANIFEST + 1)).contains("larger than"));
        let bomb: String = (0..30).map(|i| format!("a{i}: &a{} [*a{i}, *a{i}]\n", i + 1)).collect();
        assert!(said(&format!("x: &a0 [x, x]\n{bomb}")).starts_with("pod.yaml:"));
    }

    #[test]
    fn what_has_no_effect_is_told_with_its_line() {
        let text = format!(
            "{HEAD}  nodeName: n1\n  containers:\n  - name: a\n    image: x\n    livenessProbe:\n      exec: {{}}\n"
        );
        let pod = parse(&text, "pod.yaml").unwrap();
        let expected = [
            "spec.nodeName (line 6) has no effect here",
            "spec.containers[0].livenessProbe (line 11) has no effect here",
        ];
        assert_eq!(check::warnings(&pod), expected);
    }
}
