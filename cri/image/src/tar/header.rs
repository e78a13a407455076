//! One 512-byte header block (POSIX ustar, with GNU's extensions; tar(5)).

use super::{TarError, show};

pub(super) const BLOCK: usize = 512;

/// A block whose checksum is right.
pub(super) struct Header<'a>(&'a [u8; BLOCK]);

impl<'a> Header<'a> {
    /// Nothing for a block of zeros: the end of the archive.
    pub fn check(block: &'a [u8; BLOCK]) -> Result<Option<Header<'a>>, TarError> {
        if block.iter().all(|b| *b == 0) {
            return Ok(None);
        }
        let header = Header(block);
        let stated = number(&block[148..156]).ok_or(TarError::Checksum)?;
        // Old writers summed signed bytes.
        let (mut unsigned, mut signed) = (0_u64, 0_i64);
        for (at, byte) in block.iter().enumerate() {
            let byte = if (148..156).contains(&at) { b' ' } else { *byte };
            unsigned += u64::from(byte);
            signed += i64::from(byte.cast_signed());
        }
        if stated != unsigned && i64::try_from(stated) != Ok(signed) {
            return Err(TarError::Checksum);
        }
        Ok(Some(header))
    }

    pub fn kind(&self) -> u8 {
        self.0[156]
    }

    pub fn path(&self) -> Vec<u8> {
        let name = text(&self.0[..100]);
        let prefix = text(&self.0[345..500]);
        // GNU's magic ("ustar  \0") has other fields where POSIX has the prefix.
        if &self.0[257..263] != b"ustar\0" || prefix.is_empty() {
            return name.to_vec();
        }
        [prefix, b"/", name].concat()
    }

    pub fn link(&self) -> Vec<u8> {
        text(&self.0[157..257]).to_vec()
    }

    pub fn mode(&self) -> Result<u32, TarError> {
        self.small(100..108, "mode").map(|mode| mode & 0o7777)
    }

    pub fn uid(&self) -> Result<u64, TarError> {
        self.field(108..116, "uid")
    }

    pub fn gid(&self) -> Result<u64, TarError> {
        self.field(116..124, "gid")
    }

    pub fn size(&self) -> Result<u64, TarError> {
        self.field(124..136, "size")
    }

    /// Negative times exist (before 1970) in GNU's binary form.
    pub fn mtime(&self) -> Result<i64, TarError> {
        let field = &self.0[136..148];
        let value = match field[0] {
            0xff => i64::from_be_bytes(field[4..12].try_into().map_err(|_| self.bad("mtime"))?),
            _ => number(field)
                .and_then(|seconds| i64::try_from(seconds).ok())
                .ok_or_else(|| self.bad("mtime"))?,
        };
        Ok(value)
    }

    pub fn device(&self) -> Result<(u32, u32), TarError> {
        Ok((self.small(329..337, "device major")?, self.small(337..345, "device minor")?))
    }

    /// GNU's old sparse format: up to four pieces here, whether blocks with more follow, and the real size.
    pub fn gnu_sparse(&self) -> (&'a [u8], bool, Result<u64, TarError>) {
        (&self.0[386..482], self.0[482] != 0, self.field(483..495, "real size"))
    }

    fn small(&self, range: std::ops::Range<usize>, name: &'static str) -> Result<u32, TarError> {
        u32::try_from(self.field(range, name)?).map_err(|_| self.bad(name))
    }

    fn field(&self, range: std::ops::Range<usize>, name: &'static str) -> Result<u64, TarError> {
        number(&self.0[range]).ok_or_else(|| self.bad(name))
    }

    fn bad(&self, field: &'static str) -> TarError {
        TarError::Field { path: show(&self.path()), field }
    }
}

/// A field up to its first NUL.
fn text(field: &[u8]) -> &[u8] {
    field.split(|b| *b == 0).next().unwrap_or_default()
}

/// Octal text, or GNU's big-endian binary with the top bit set. Negative and overlong numbers are no numbers.
pub(super) fn number(field: &[u8]) -> Option<u64> {
    let (&first, rest) = field.split_first()?;
    if first & 0x80 != 0 {
        let mut value = u64::from(first & 0x7f);
        for byte in rest {
            value = value.checked_mul(256)?.checked_add(u64::from(*byte))?;
        }
        return (first != 0xff).then_some(value);
    }
    let digits = field.trim_ascii_start();
    let end = digits.iter().position(|b| *b == b' ' || *b == 0).unwrap_or(digits.len());
    let mut value = 0_u64;
    for digit in &digits[..end] {
        let digit = match digit {
            b'0'..=b'7' => u64::from(digit - b'0'),
            _ => return None,
        };
        value = value.checked_mul(8)?.checked_add(digit)?;
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_octal_and_binary() {
        assert_eq!(number(b"0000644\0"), Some(0o644));
        assert_eq!(number(b"   755 \0"), Some(0o755));
        assert_eq!(number(b"\0\0\0\0"), Some(0));
        assert_eq!(number(b"\x80\0\0\0\0\0\0\0\0\0\x01\0"), Some(256));
        for bad in
            [&b"-1\0"[..], b"9\0", b"\xff\xff\xff\xff", b"\xbf\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"]
        {
            assert_eq!(number(bad), None, "{bad:?}");
        }
    }
}
