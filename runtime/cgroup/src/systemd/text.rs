//! Annotations `org.systemd.property.NAME`: further properties of the scope, in the text form of D-Bus values.
//!
//! The form is GLib's ("GVariant Text Format"), which runc takes, too: `true`, `'text'`, `uint64 5`, `['a', 'b']`.

use std::collections::BTreeMap;

use zbus::{Array, Signature, Structure, Variant};

use super::properties::Property;
use crate::{Error, Result};

/// What the names of such annotations begin with.
pub const PREFIX: &str = "org.systemd.property.";

/// Properties that say what a container's scope is; husk sets them.
const OWN: [&str; 4] = ["Delegate", "PIDs", "PIDFDs", "Slice"];

/// The properties that annotations ask for.
pub(super) fn of(annotations: &BTreeMap<String, String>) -> Result<Vec<Property>> {
    let ours = annotations.iter().filter_map(|(key, text)| Some((key.strip_prefix(PREFIX)?, text)));
    ours.map(|(name, text)| one(name, text)).collect()
}

fn one(name: &str, text: &str) -> Result<Property> {
    let bad = |reason: &str| Error::Invalid {
        field: format!("annotations[{PREFIX}{name}]"),
        reason: reason.to_string(),
    };
    if !name.starts_with(|c: char| c.is_ascii_uppercase()) || !name.bytes().all(|b| b.is_ascii_alphanumeric())
    {
        return Err(bad("the name of a systemd property is letters, the first one a capital"));
    }
    if OWN.contains(&name) {
        return Err(bad("husk sets this property itself"));
    }
    let mut rest = text.trim();
    let value = value(&mut rest, 0).ok_or_else(|| {
        bad(&format!("{text:?} is no value in GVariant text format, such as 'text', true or uint64 5"))
    })?;
    if !rest.is_empty() {
        return Err(bad(&format!("{rest:?} stands after the value")));
    }
    // A unit file has seconds where D-Bus has microseconds.
    if let Some(stem) = name.strip_suffix("Sec").filter(|stem| !stem.ends_with('U')) {
        let micros = seconds(&value).ok_or_else(|| bad("is not a number of seconds"))?;
        return Ok((format!("{stem}USec"), Variant::from(micros)));
    }
    Ok((name.to_string(), value))
}

fn seconds(value: &Variant<'_>) -> Option<u64> {
    let whole = match value {
        Variant::U8(v) => u64::from(*v),
        Variant::I16(v) => u64::try_from(*v).ok()?,
        Variant::U16(v) => u64::from(*v),
        Variant::I32(v) => u64::try_from(*v).ok()?,
        Variant::U32(v) => u64::from(*v),
        Variant::I64(v) => u64::try_from(*v).ok()?,
        Variant::U64(v) => *v,
        Variant::F64(v) if *v >= 0.0 && *v < 1e12 => return Some((v * 1e6) as u64),
        _ => return None,
    };
    whole.checked_mul(1_000_000)
}

/// Takes one value from the front of the text.
fn value(rest: &mut &str, depth: usize) -> Option<Variant<'static>> {
    if depth > 8 {
        return None;
    }
    *rest = rest.trim_start();
    match rest.chars().next()? {
        '\'' | '"' => string(rest).map(Variant::from),
        '[' => {
            let items = items(rest, ']', depth)?;
            let mut array = Array::new(items.first()?.value_signature());
            items.into_iter().try_for_each(|item| array.append(item)).ok()?;
            Some(Variant::Array(array))
        }
        '(' => {
            let items = items(rest, ')', depth)?;
            let structure =
                items.into_iter().fold(Structure::builder(), |builder, item| builder.append_field(item));
            structure.build().ok().map(Variant::Structure)
        }
        // A type in front: `@as []`, `@t 5`.
        '@' => {
            let end = rest.find(' ')?;
            let signature = Signature::try_from(&rest[1..end]).ok()?;
            *rest = rest[end..].trim_start();
            match &signature {
                Signature::Array(child) if rest.starts_with("[]") => {
                    *rest = rest[2..].trim_start();
                    Some(Variant::Array(Array::new(child.signature())))
                }
                Signature::Array(_) | Signature::Structure(_) => {
                    value(rest, depth + 1).filter(|value| value.value_signature() == &signature)
                }
                simple => scalar(rest, simple, depth),
            }
        }
        _ => word(rest, depth),
    }
}

/// A boolean, a number, or the name of a type with a value after it.
fn word(rest: &mut &str, depth: usize) -> Option<Variant<'static>> {
    let end = rest.find([' ', ',', ']', ')']).unwrap_or(rest.len());
    let word = &rest[..end];
    let signature = match word {
        "boolean" => Signature::Bool,
        "byte" => Signature::U8,
        "int16" => Signature::I16,
        "uint16" => Signature::U16,
        "int32" => Signature::I32,
        "uint32" => Signature::U32,
        "int64" => Signature::I64,
        "uint64" => Signature::U64,
        "double" => Signature::F64,
        "string" => Signature::Str,
        "true" | "false" => return scalar(rest, &Signature::Bool, depth),
        _ if word.contains('.') => return scalar(rest, &Signature::F64, depth),
        _ => return scalar(rest, &Signature::I32, depth),
    };
    *rest = rest[end..].trim_start();
    scalar(rest, &signature, depth)
}

fn scalar(rest: &mut &str, signature: &Signature, depth: usize) -> Option<Variant<'static>> {
    if signature == &Signature::Str {
        return value(rest, depth + 1).filter(|value| matches!(value, Variant::Str(_)));
    }
    let end = rest.find([' ', ',', ']', ')']).unwrap_or(rest.len());
    let (word, after) = rest.split_at(end);
    *rest = after.trim_start();
    let hex = word.strip_prefix("0x").and_then(|digits| u64::from_str_radix(digits, 16).ok());
    let decimal = hex.map(|number| number.to_string());
    let word = decimal.as_deref().unwrap_or(word);
    match signature {
        Signature::Bool => word.parse().ok().map(Variant::Bool),
        Signature::U8 => word.parse().ok().map(Variant::U8),
        Signature::I16 => word.parse().ok().map(Variant::I16),
        Signature::U16 => word.parse().ok().map(Variant::U16),
        Signature::I32 => word.parse().ok().map(Variant::I32),
        Signature::U32 => word.parse().ok().map(Variant::U32),
        Signature::I64 => word.parse().ok().map(Variant::I64),
        Signature::U64 => word.parse().ok().map(Variant::U64),
        Signature::F64 => word.parse().ok().map(Variant::F64),
        _ => None,
    }
}

fn string(rest: &mut &str) -> Option<String> {
    let quote = rest.chars().next()?;
    let mut out = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => match chars.next()?.1 {
                'n' => out.push('\n'),
                't' => out.push('\t'),
                other => out.push(other),
            },
            c if c == quote => {
                *rest = rest[at + 1..].trim_start();
                return Some(out);
            }
            c => out.push(c),
        }
    }
    None
}

/// What stands between brackets.
fn items(rest: &mut &str, end: char, depth: usize) -> Option<Vec<Variant<'static>>> {
    *rest = rest[1..].trim_start();
    let mut out = Vec::new();
    while !rest.starts_with(end) {
        out.push(value(rest, depth + 1)?);
        *rest = rest.trim_start();
        match rest.strip_prefix(',') {
            Some(after) => *rest = after.trim_start(),
            None if rest.starts_with(end) => {}
            None => return None,
        }
    }
    *rest = rest[1..].trim_start();
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(name: &str, text: &str) -> Result<String> {
        one(name, text).map(|(name, value)| format!("{name}={value}"))
    }

    #[test]
    fn values() {
        for (text, wanted) in [
            ("true", "true"),
            ("'it\\'s'", "\"it's\""),
            ("\"two words\"", "\"two words\""),
            ("uint64 123456789", "uint64 123456789"),
            ("@t 5", "uint64 5"),
            ("5", "5"),
            ("0x10", "16"),
            ("1.5", "1.5"),
            ("['a.target', 'b.target']", "[\"a.target\", \"b.target\"]"),
            ("@as []", "@as []"),
            ("('/dev/null', uint64 7)", "(\"/dev/null\", uint64 7)"),
            ("[(1, true), (2, false)]", "[(1, true), (2, false)]"),
        ] {
            assert_eq!(shown("X", text).unwrap(), format!("X={wanted}"), "{text}");
        }
    }

    #[test]
    fn seconds_become_microseconds() {
        assert_eq!(shown("TimeoutStopSec", "4").unwrap(), "TimeoutStopUSec=uint64 4000000");
        assert_eq!(shown("TimeoutStopSec", "0.5").unwrap(), "TimeoutStopUSec=uint64 500000");
        assert_eq!(shown("TimeoutStopUSec", "uint64 9").unwrap(), "TimeoutStopUSec=uint64 9");
        assert!(shown("TimeoutStopSec", "'x'").is_err());
    }

    #[test]
    fn what_is_refused() {
        for (name, text) in [
            ("lower", "true"),
            ("Slice", "'evil.slice'"),
            ("Delegate", "false"),
            ("X", ""),
            ("X", "'open"),
            ("X", "[1, 'a']"),
            ("X", "[]"),
            ("X", "true false"),
            ("X", "uint64 -1"),
            ("X", "byte 300"),
            ("X", "@as 5"),
            ("X", "[[[[[[[[[[1]]]]]]]]]]"),
        ] {
            let error = shown(name, text).unwrap_err().to_string();
            assert!(error.contains(&format!("annotations[org.systemd.property.{name}]")), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_an_answer_or_an_error(text in "[\\[\\]()@,'\" a-z0-9.\\\\-]{0,40}") {
            let _ = one("X", &text);
        }
    }
}
