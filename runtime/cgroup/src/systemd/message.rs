//! Messages of D-Bus as bytes. Bodies are zbus's work; the header of the few calls that husk makes is written here.
//!
//! Source: D-Bus specification, "Message Protocol".

use serde::Serialize;
use zbus::wire::{BE, DynamicType, Endian, LE, Type, serialized::Context, serialized::Data, to_bytes};
use zbus::{OwnedVariant, Str};

/// What a reply or a signal of systemd's may have in all; the specification's own limit is 128 MiB.
const LONGEST: usize = 1 << 20;

/// Whom a call goes to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Method<'a> {
    pub destination: &'a str,
    pub path: &'a str,
    pub interface: &'a str,
    pub member: &'a str,
}

/// A received message.
#[derive(Debug, Default)]
pub(super) struct Message {
    kind: u8,
    /// The call that this answers.
    pub reply_to: u32,
    /// Name of the signal.
    pub member: String,
    /// Name of the error.
    pub error: String,
    signature: String,
    body: Vec<u8>,
    big_endian: bool,
}

pub(super) const RETURN: u8 = 2;
pub(super) const ERROR: u8 = 3;
pub(super) const SIGNAL: u8 = 4;

/// A method call.
pub(super) fn call<B>(serial: u32, method: &Method<'_>, body: Option<&B>) -> Result<Vec<u8>, String>
where
    B: Serialize + DynamicType + ?Sized,
{
    let (content, signature) = match body {
        None => (Vec::new(), String::new()),
        Some(body) => {
            let data = to_bytes(Context::new(LE, 0), body).map_err(|error| error.to_string())?;
            let signature = body.signature().to_string();
            // A tuple's own brackets are not part of a message's signature.
            let inner = signature.strip_prefix('(').and_then(|text| text.strip_suffix(')'));
            (data.bytes().to_vec(), inner.unwrap_or(&signature).to_string())
        }
    };
    let mut fields = Vec::new();
    for (code, kind, value) in [
        (1, b'o', method.path),
        (2, b's', method.interface),
        (3, b's', method.member),
        (6, b's', method.destination),
        (8, b'g', signature.as_str()),
    ] {
        if value.is_empty() {
            continue;
        }
        pad(&mut fields, 8);
        fields.extend([code, 1, kind, 0]);
        match kind {
            b'g' => fields.push(value.len() as u8),
            _ => fields.extend((value.len() as u32).to_le_bytes()),
        }
        fields.extend(value.as_bytes());
        fields.push(0);
    }
    let mut out = vec![b'l', 1, 0, 1];
    out.extend((content.len() as u32).to_le_bytes());
    out.extend(serial.to_le_bytes());
    out.extend((fields.len() as u32).to_le_bytes());
    out.extend(fields);
    pad(&mut out, 8);
    out.extend(content);
    Ok(out)
}

fn pad(out: &mut Vec<u8>, to: usize) {
    out.resize(out.len().next_multiple_of(to), 0);
}

impl Message {
    /// Takes the first message out of what was received; None while it is not whole.
    pub fn take(input: &mut Vec<u8>) -> Result<Option<Self>, String> {
        let Some(fixed) = input.get(..16) else { return Ok(None) };
        let big_endian = fixed[0] == b'B';
        let number = |at: usize| {
            let bytes = [fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]];
            (if big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }) as usize
        };
        let (body, fields) = (number(4), number(12));
        if !matches!(fixed[0], b'l' | b'B') || fixed[3] != 1 || body > LONGEST || fields > LONGEST {
            return Err(format!("it sent no message of D-Bus version 1 (it begins with {fixed:02x?})"));
        }
        let start = (16 + fields).next_multiple_of(8);
        if input.len() < start + body {
            return Ok(None);
        }
        let mut message = Self { kind: fixed[1], big_endian, ..Self::default() };
        message.fields(&input[..start])?;
        message.body = input[start..start + body].to_vec();
        input.drain(..start + body);
        Ok(Some(message))
    }

    fn fields(&mut self, header: &[u8]) -> Result<(), String> {
        type Header = (u8, u8, u8, u8, u32, u32, Vec<(u8, OwnedVariant)>);
        let data = Data::new(header, Context::new(endian(self.big_endian), 0));
        let ((.., fields), _) = data.deserialize::<Header>().map_err(|error| error.to_string())?;
        let text =
            |value: OwnedVariant| Str::try_from(value).map(|text| text.to_string()).unwrap_or_default();
        for (code, value) in fields {
            match code {
                3 => self.member = text(value),
                4 => self.error = text(value),
                5 => self.reply_to = u32::try_from(value).unwrap_or_default(),
                8 => {
                    self.signature =
                        zbus::Signature::try_from(value).map(|s| s.to_string()).unwrap_or_default()
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Return, error or signal.
    pub fn kind(&self) -> u8 {
        self.kind
    }

    /// The arguments.
    pub fn body<T: serde::de::DeserializeOwned + Type>(&self) -> Result<T, String> {
        let data = Data::new(&self.body[..], Context::new(endian(self.big_endian), 0));
        data.deserialize::<T>().map(|(value, _)| value).map_err(|error| error.to_string())
    }

    /// What an error says for people: its first argument, if that is text.
    pub fn text(&self) -> String {
        match self.signature.trim_start_matches('(').starts_with('s') {
            true => self.body::<String>().unwrap_or_default(),
            false => String::new(),
        }
    }
}

fn endian(big: bool) -> Endian {
    if big { BE } else { LE }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use zbus::Variant;

    const METHOD: Method<'static> =
        Method { destination: "a.b", path: "/a", interface: "a.b.C", member: "Do" };

    #[test]
    fn a_call_reads_back() {
        let properties = vec![("Name", Variant::from(7u64)), ("Other", Variant::from("text"))];
        let mut bytes = call(9, &METHOD, Some(&("unit", properties))).unwrap();
        let whole = bytes.clone();
        bytes.extend([0; 3]);
        let message = Message::take(&mut bytes).unwrap().unwrap();
        assert_eq!((message.kind, message.member.as_str(), bytes.len()), (1, "Do", 3));
        assert_eq!(message.signature, "(sa(sv))");
        let (unit, list): (String, Vec<(String, OwnedVariant)>) = message.body().unwrap();
        assert_eq!((unit.as_str(), list.len()), ("unit", 2));
        assert_eq!(message.text(), "unit");
        for length in 0..whole.len() {
            assert!(Message::take(&mut whole[..length].to_vec()).unwrap().is_none(), "{length}");
        }
    }

    #[test]
    fn a_call_without_arguments() {
        let mut bytes = call(1, &METHOD, None::<&()>).unwrap();
        let message = Message::take(&mut bytes).unwrap().unwrap();
        assert_eq!((message.signature.as_str(), bytes.len()), ("", 0));
    }

    proptest! {
        #[test]
        fn anything_may_come(mut bytes in prop::collection::vec(any::<u8>(), 0..200), start in 0..2usize) {
            if start == 1 && bytes.len() >= 16 {
                bytes[..16].copy_from_slice(&[b'l', 2, 0, 1, 8, 0, 0, 0, 1, 0, 0, 0, 16, 0, 0, 0]);
            }
            let _ = Message::take(&mut bytes).map(|message| message.map(|m| m.text()));
        }
    }
}
