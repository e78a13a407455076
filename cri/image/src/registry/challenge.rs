//! The `WWW-Authenticate` header (RFC 9110, 11.6.1): which credentials a registry wants.

/// What the registry asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    Basic,
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
}

impl Challenge {
    /// The best challenge of one header's value: a token before a password.
    pub fn parse(header: &str) -> Option<Challenge> {
        let mut basic = None;
        for (scheme, parameters) in challenges(header) {
            if scheme.eq_ignore_ascii_case("basic") {
                basic = Some(Challenge::Basic);
            }
            if scheme.eq_ignore_ascii_case("bearer") {
                let get = |name: &str| {
                    let found = parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
                    found.map(|(_, value)| value.clone())
                };
                let (service, scope) = (get("service"), get("scope"));
                return Some(Challenge::Bearer { realm: get("realm")?, service, scope });
            }
        }
        basic
    }
}

type Parameters = Vec<(String, String)>;

/// Schemes with their parameters. A word that is not followed by `=` starts a new challenge.
fn challenges(header: &str) -> Vec<(String, Parameters)> {
    let mut found: Vec<(String, Parameters)> = Vec::new();
    let mut rest = header;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "-._~+/!#$%&'*^`|".contains(c)));
        let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
        if word.is_empty() {
            return found;
        }
        let value_text = after.trim_start().strip_prefix('=');
        match (value_text, found.last_mut()) {
            (Some(text), Some((_, parameters))) => {
                let (value, after) = value(text.trim_start());
                parameters.push((word.to_owned(), value));
                rest = after;
            }
            (Some(_), None) => return found,
            (None, _) => {
                found.push((word.to_owned(), Vec::new()));
                rest = after;
            }
        }
    }
}

/// A token or a quoted string, and what follows it.
fn value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        return match text.find([',', ' ', '\t']) {
            Some(end) => (text[..end].to_owned(), &text[end..]),
            None => (text.to_owned(), ""),
        };
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
            _ => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn usual_challenges() {
        let header =
            r#"Bearer realm="https://a.example/token?x=1,2",service="r.example",scope="repository:a/b:pull""#;
        assert_eq!(
            Challenge::parse(header),
            Some(Challenge::Bearer {
                realm: "https://a.example/token?x=1,2".into(),
                service: Some("r.example".into()),
                scope: Some("repository:a/b:pull".into()),
            })
        );
        assert_eq!(Challenge::parse(r#"Basic realm="x \"y\"""#), Some(Challenge::Basic));
        let both = Challenge::parse(r#"Basic realm="x", Bearer realm=https://t.example"#);
        assert!(matches!(both, Some(Challenge::Bearer { realm, .. }) if realm == "https://t.example"));
        for none in ["", "Negotiate abc==", "Bearer", "=,=", "Digest realm=\"x\""] {
            assert_eq!(Challenge::parse(none), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn any_header_is_parsed_or_ignored(header in "[ -~]{0,80}") {
            drop(Challenge::parse(&header));
        }
    }
}
