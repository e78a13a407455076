//! PAX extended headers (POSIX pax, "extended header"): `LENGTH KEY=VALUE\n`, where LENGTH counts the whole record.

use super::TarError;

/// The records that husk heeds.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Pax {
    pub path: Option<Vec<u8>>,
    pub link: Option<Vec<u8>>,
    pub size: Option<u64>,
    pub uid: Option<u64>,
    pub gid: Option<u64>,
    pub mtime: Option<(i64, u32)>,
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub sparse: PaxSparse,
}

/// GNU's three ways to describe holes in PAX records: 0.0 (offset, numbytes …), 0.1 (map) and 1.0 (major, minor).
#[derive(Debug, Default, PartialEq)]
pub(super) struct PaxSparse {
    pub major: u64,
    pub name: Option<Vec<u8>>,
    pub size: Option<u64>,
    pub map: Option<Vec<(u64, u64)>>,
}

impl Pax {
    pub fn parse(mut data: &[u8]) -> Result<Pax, TarError> {
        let mut pax = Pax::default();
        while !data.is_empty() {
            // Some writers pad with NUL.
            if data.iter().all(|b| *b == 0) {
                break;
            }
            let space = data.iter().take(20).position(|b| *b == b' ').ok_or(TarError::Pax)?;
            let length = usize::try_from(decimal(&data[..space])?).map_err(|_| TarError::Pax)?;
            if length <= space + 1 || length > data.len() || data[length - 1] != b'\n' {
                return Err(TarError::Pax);
            }
            let record = &data[space + 1..length - 1];
            let equals = record.iter().position(|b| *b == b'=').ok_or(TarError::Pax)?;
            pax.take(&record[..equals], &record[equals + 1..])?;
            data = &data[length..];
        }
        Ok(pax)
    }

    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), TarError> {
        let text = || match value.contains(&0) {
            true => Err(TarError::Pax),
            false => Ok(value.to_vec()),
        };
        match key {
            b"path" => self.path = Some(text()?),
            b"linkpath" => self.link = Some(text()?),
            b"size" => self.size = Some(decimal(value)?),
            b"uid" => self.uid = Some(decimal(value)?),
            b"gid" => self.gid = Some(decimal(value)?),
            b"mtime" => self.mtime = Some(time(value)?),
            b"GNU.sparse.major" => self.sparse.major = decimal(value)?,
            b"GNU.sparse.name" => self.sparse.name = Some(text()?),
            b"GNU.sparse.size" | b"GNU.sparse.realsize" => self.sparse.size = Some(decimal(value)?),
            b"GNU.sparse.offset" => {
                let offset = decimal(value)?;
                self.sparse.map.get_or_insert_default().push((offset, 0));
            }
            b"GNU.sparse.numbytes" => {
                let length = decimal(value)?;
                let last = self.sparse.map.as_mut().and_then(|map| map.last_mut());
                last.ok_or(TarError::Pax)?.1 = length;
            }
            b"GNU.sparse.map" => {
                let numbers = value.split(|b| *b == b',').map(decimal).collect::<Result<Vec<_>, _>>()?;
                let (pairs, rest) = numbers.as_chunks::<2>();
                if !rest.is_empty() {
                    return Err(TarError::Pax);
                }
                self.sparse.map = Some(pairs.iter().map(|[offset, length]| (*offset, *length)).collect());
            }
            _ => {
                if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                    self.xattrs.push((name.to_vec(), value.to_vec()));
                }
            }
        }
        Ok(())
    }
}

pub(super) fn decimal(text: &[u8]) -> Result<u64, TarError> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return Err(TarError::Pax);
    }
    str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or(TarError::Pax)
}

/// Seconds with an optional sign and fraction; digits past the nanosecond are cut.
fn time(text: &[u8]) -> Result<(i64, u32), TarError> {
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let mut parts = text.splitn(2, |b| *b == b'.');
    let whole = i64::try_from(decimal(parts.next().unwrap_or_default())?).map_err(|_| TarError::Pax)?;
    let mut nanos = 0_u32;
    if let Some(fraction) = parts.next() {
        if !fraction.iter().all(u8::is_ascii_digit) {
            return Err(TarError::Pax);
        }
        for at in 0..9 {
            nanos = nanos * 10 + u32::from(fraction.get(at).map_or(0, |digit| digit - b'0'));
        }
    }
    Ok(match (negative, nanos) {
        (false, _) => (whole, nanos),
        (true, 0) => (-whole, 0),
        // -1.25 is 0.75 s after -2.
        (true, _) => (-whole - 1, 1_000_000_000 - nanos),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(key: &str, value: &[u8]) -> Vec<u8> {
        let body = key.len() + value.len() + 3;
        let mut length = body + 1;
        while length != body + length.to_string().len() {
            length = body + length.to_string().len();
        }
        [format!("{length} {key}=").as_bytes(), value, b"\n"].concat()
    }

    #[test]
    fn a_newline_in_a_value_is_data() {
        let value = b"\x01\0\0\x02\n\n=\0\0\0";
        let data = [record("SCHILY.xattr.security.capability", value), record("path", b"a/b")].concat();
        let pax = Pax::parse(&data).unwrap();
        assert_eq!(pax.xattrs, [(b"security.capability".to_vec(), value.to_vec())]);
        assert_eq!(pax.path.as_deref(), Some(&b"a/b"[..]));
    }

    #[test]
    fn times_have_signs_and_fractions() {
        assert_eq!(time(b"1700000000.123456789987").unwrap(), (1_700_000_000, 123_456_789));
        assert_eq!(time(b"5.5").unwrap(), (5, 500_000_000));
        assert_eq!(time(b"-1.25").unwrap(), (-2, 750_000_000));
        assert_eq!(time(b"-3").unwrap(), (-3, 0));
        assert!(time(b"1e3").is_err() && time(b"").is_err() && time(b"1.x").is_err());
    }

    #[test]
    fn malformed_records_are_refused() {
        for bad in
            [&b"4 a=\n"[..], b"x", b"99 path=a\n", b"0 a=b\n", b"9 path=ab", b"7 pathab\n", b"12 size=-12\n"]
        {
            assert!(Pax::parse(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_or_refused(data in proptest::collection::vec(any::<u8>(), 0..200)) {
            drop(Pax::parse(&data));
        }

        #[test]
        fn any_value_comes_back(value in proptest::collection::vec(any::<u8>(), 0..300)) {
            let pax = Pax::parse(&record("SCHILY.xattr.user.x", &value)).unwrap();
            prop_assert_eq!(&pax.xattrs[0].1, &value);
        }
    }
}
