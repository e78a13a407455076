//! The few parts of protobuf that criu's RPC needs: numbers, strings and messages within messages
//! (protobuf.dev, "Encoding").

/// A message that is being written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Writer(Vec<u8>);

const VARINT: u64 = 0;
const BYTES: u64 = 2;

impl Writer {
    /// A number, or the number of an enumeration's word. Negative ones take ten bytes, as protobuf has it.
    pub fn number(&mut self, field: u64, value: i64) -> &mut Self {
        self.varint(field << 3 | VARINT);
        self.varint(value.cast_unsigned());
        self
    }

    /// A truth value; left out where it is false, which is criu's default for all that husk sends.
    pub fn flag(&mut self, field: u64, value: bool) -> &mut Self {
        if value { self.number(field, 1) } else { self }
    }

    /// A text.
    pub fn text(&mut self, field: u64, value: &str) -> &mut Self {
        self.bytes(field, value.as_bytes())
    }

    /// A message.
    pub fn message(&mut self, field: u64, value: &Self) -> &mut Self {
        self.bytes(field, &value.0)
    }

    /// What has been written.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn bytes(&mut self, field: u64, value: &[u8]) -> &mut Self {
        self.varint(field << 3 | BYTES);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

/// A field that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// A number or truth value.
    Number(u64),
    /// A text or a message.
    Bytes(&'a [u8]),
}

impl Value<'_> {
    /// As a number of 32 bits; 0 for what is none.
    pub fn as_i32(self) -> i32 {
        match self {
            // Negative numbers are sent as 64 bits.
            Value::Number(number) => number as i32,
            Value::Bytes(_) => 0,
        }
    }

    /// As a text; empty for what is none.
    pub fn as_text(self) -> String {
        match self {
            Value::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Value::Number(_) => String::new(),
        }
    }
}

/// The fields of a message with their numbers; nothing where the bytes are no message.
pub fn fields(mut bytes: &[u8]) -> Option<Vec<(u64, Value<'_>)>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        match key & 7 {
            VARINT => found.push((key >> 3, Value::Number(varint(&mut bytes)?))),
            BYTES => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                let (value, rest) = bytes.split_at_checked(length)?;
                bytes = rest;
                found.push((key >> 3, Value::Bytes(value)));
            }
            // Fixed-width numbers of fields that a newer criu may have.
            kind @ (1 | 5) => bytes = bytes.get(if kind == 1 { 8 } else { 4 }..)?,
            _ => return None,
        }
    }
    Some(found)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{Value, Writer, fields};

    #[test]
    fn known_encodings() {
        // The examples of protobuf's own description.
        assert_eq!(Writer::default().number(1, 150).as_bytes(), [0x08, 0x96, 0x01]);
        assert_eq!(Writer::default().text(2, "testing").as_bytes(), b"\x12\x07testing");
        let mut inner = Writer::default();
        inner.number(1, 150);
        assert_eq!(Writer::default().message(3, &inner).as_bytes(), [0x1a, 0x03, 0x08, 0x96, 0x01]);
    }

    #[test]
    fn what_is_written_can_be_read() {
        let mut writer = Writer::default();
        writer.number(1, -1).flag(2, false).flag(3, true).text(68, "a");
        let read = fields(writer.as_bytes()).unwrap();
        assert_eq!(read.len(), 3);
        assert_eq!(read[0].1.as_i32(), -1);
        assert_eq!(read[1], (3, Value::Number(1)));
        assert_eq!((read[2].0, read[2].1.as_text()), (68, "a".to_owned()));
    }

    #[test]
    fn what_is_cut_off_is_refused() {
        for bytes in [&[0x08][..], &[0x12, 5, b'a'], &[0x80; 11], &[0x0b], &[0x0d, 1]] {
            assert_eq!(fields(bytes), None, "{bytes:?}");
        }
    }
}
