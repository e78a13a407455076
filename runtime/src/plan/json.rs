//! Reading JSON, with errors for people: the file, the place in it, what is there and what may be there.

use serde::de::DeserializeOwned;

/// Parses a document, which must be an object. An error names the file and the place in it.
pub fn parse<T: DeserializeOwned>(text: &[u8], file: &str) -> anyhow::Result<T> {
    // The deserializer takes a list for an object with its fields in order.
    match text.iter().find(|byte| !byte.is_ascii_whitespace()) {
        None => anyhow::bail!("{file}: is empty, and must be a JSON object"),
        Some(b'[') => anyhow::bail!("{file}: is a list, and must be a JSON object"),
        Some(_) => {}
    }
    let mut json = serde_json::Deserializer::from_slice(text);
    let value: T = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let inner = plain(error.inner());
        match path.as_str() {
            "." | "?" => anyhow::anyhow!("{file}: {inner}"),
            path => anyhow::anyhow!("{file}: {path}: {inner}"),
        }
    })?;
    json.end().map_err(|error| anyhow::anyhow!("{file}: {}", plain(&error)))?;
    Ok(value)
}

/// serde's message in words that need no knowledge of Rust.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let message = text.strip_suffix(place.as_str()).unwrap_or(&text);
    format!("{} (line {})", reworded(message), error.line())
}

fn reworded(message: &str) -> String {
    if message.starts_with("EOF while parsing") {
        return "the file ends in the middle of it".to_owned();
    }
    if let Some((found, expected)) =
        message.strip_prefix("unknown variant ").and_then(|rest| rest.split_once(", expected "))
    {
        let expected = expected.trim_start_matches("one of ").replace(" or ", ", ").replace('`', "");
        return format!("{} is not one of {expected}", found.replace('`', "\""));
    }
    if let Some(rest) = message.strip_prefix("missing field ") {
        return format!("{} is missing in it", rest.replace('`', ""));
    }
    // What strum says of a capability.
    if let Some((name, _)) =
        message.strip_prefix("no variant for ").and_then(|rest| rest.split_once(" (converted"))
    {
        return format!("{name:?} is not a known name");
    }
    let found = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "));
    if let Some((found, expected)) = found.and_then(|rest| rest.rsplit_once(", expected ")) {
        return format!("is {}, and must be {}", kind_found(found), kind_expected(expected));
    }
    match message.strip_prefix("invalid length ").and_then(|rest| rest.split_once(", expected ")) {
        Some((_, expected)) => {
            format!("is a list of another length, and must be {}", kind_expected(expected))
        }
        None => message.to_owned(),
    }
}

fn kind_found(found: &str) -> String {
    let (kind, value) = found.split_once([' ']).unwrap_or((found, ""));
    match kind {
        "map" => "an object".to_owned(),
        "sequence" => "a list".to_owned(),
        "null" | "unit" => "null".to_owned(),
        "string" => format!("the string {value}"),
        "integer" | "number" | "boolean" => value.replace('`', ""),
        "floating" => value.trim_start_matches("point ").replace('`', ""),
        _ => found.replace('`', ""),
    }
}

fn kind_expected(expected: &str) -> String {
    let whole = |most: u64| format!("a whole number from 0 to {most}");
    match expected {
        "a map" => "an object".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "path string" => "a string".to_owned(),
        "u8" => whole(u8::MAX.into()),
        "u16" => whole(u16::MAX.into()),
        "u32" => whole(u32::MAX.into()),
        "u64" => whole(u64::MAX),
        "i8" | "i16" | "i32" | "i64" => format!("a whole number of {} bits", &expected[1..]),
        name if name.starts_with("struct ") => "an object".to_owned(),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::parse;
    use oci_spec::runtime::Spec;

    fn error(text: &str) -> String {
        parse::<Spec>(text.as_bytes(), "config.json").unwrap_err().to_string()
    }

    #[test]
    fn messages_say_what_is_there_and_what_may_be_there() {
        for (text, wanted) in [
            ("", "config.json: is empty, and must be a JSON object"),
            (" []", "config.json: is a list, and must be a JSON object"),
            ("{\"hostname\": 5}", "config.json: hostname: is 5, and must be a string (line 1)"),
            ("{\"hostname\": 1.5}", "config.json: hostname: is 1.5, and must be a string (line 1)"),
            ("{\"mounts\": {}}", "config.json: mounts: is an object, and must be a list (line 1)"),
            ("{\"linux\": true}", "config.json: linux: is true, and must be an object (line 1)"),
            ("{\"linux\":\n", "config.json: linux: the file ends in the middle of it (line 2)"),
            (
                "{\"linux\": {\"personality\": {\"domain\": \"x\"}}}",
                "config.json: linux.personality.domain: \"x\" is not one of LINUX, LINUX32 (line 1)",
            ),
            (
                "{\"hooks\": {\"prestart\": [{}]}}",
                "config.json: hooks.prestart[0]: path is missing in it (line 1)",
            ),
            (
                "{\"linux\": {\"uidMappings\": [{\"size\": -1}]}}",
                "config.json: linux.uidMappings[0].size: is -1, and must be a whole number from 0 to 4294967295 (line 1)",
            ),
            (
                "{\"process\": {\"capabilities\": {\"bounding\": [\"CAP_X\"]}}}",
                "config.json: process.capabilities.bounding[0]: \"CAP_X\" is not a known name (line 1)",
            ),
        ] {
            assert_eq!(error(text), wanted, "{text}");
        }
    }
}
