//! `$(NAME)` in command, args and env.

use crate::manifest::pod::EnvVar;

/// Variables in order, each with references to earlier ones expanded.
pub fn resolve(vars: &[EnvVar]) -> Vec<(String, String)> {
    let mut resolved: Vec<(String, String)> = Vec::new();
    for var in vars {
        let value = expand(&var.value, &resolved);
        resolved.push((var.name.value.clone(), value));
    }
    resolved
}

/// Replaces `$(NAME)` by the variable's value. An unknown name stays as it is, and `$$` is one `$`.
pub fn expand(text: &str, vars: &[(String, String)]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let name = rest.strip_prefix('(').and_then(|r| Some(r.split_once(')')?.0));
        // The last one of a name is the one that the program will see.
        let value = name.and_then(|n| Some((n, &vars.iter().rev().find(|(k, _)| k == n)?.1)));
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((name, value)) = value {
            out.push_str(value);
            rest = &rest[name.len() + 2..];
        } else {
            out.push('$');
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references() {
        let vars = [("A", "1"), ("B", "two"), ("A", "3")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        for (text, expected) in [
            ("", ""),
            ("$(A)$(B)", "3two"),
            ("$(C) $A $", "$(C) $A $"),
            ("$$(A) $$$(A)", "$(A) $3"),
            ("$(A", "$(A"),
            ("ä$(B)ü", "ätwoü"),
        ] {
            assert_eq!(expand(text, &vars), expected, "{text}");
        }
    }
}
