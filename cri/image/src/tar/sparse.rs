//! Maps of files with holes.

use super::header::number;
use super::pax::decimal;
use super::{TarError, show};

/// More pieces than any real file has; each costs 16 bytes of memory.
const MAX_PIECES: usize = 1 << 20;

/// Pieces of a file: offset and length, in order and within the file.
#[derive(Debug, Default)]
pub(super) struct Map {
    pub pieces: Vec<(u64, u64)>,
}

impl Map {
    /// Adds the entries of one GNU header (24 bytes each: offset, length in octal); an empty one ends the list.
    pub fn add_gnu(&mut self, table: &[u8], path: &[u8]) -> Result<(), TarError> {
        for slot in table.as_chunks::<24>().0 {
            if slot[0] == 0 {
                break;
            }
            let pair = number(&slot[..12]).zip(number(&slot[12..]));
            self.pieces.push(pair.ok_or_else(|| TarError::Sparse { path: show(path) })?);
            if self.pieces.len() > MAX_PIECES {
                return Err(TarError::Sparse { path: show(path) });
            }
        }
        Ok(())
    }

    /// Reads the map that stands before the data in GNU's PAX format 1.0: decimal lines, padded to a block. Returns
    /// the bytes taken.
    pub fn read_v1(
        &mut self,
        path: &[u8],
        mut next_block: impl FnMut() -> Result<[u8; 512], TarError>,
    ) -> Result<u64, TarError> {
        let bad = || TarError::Sparse { path: show(path) };
        let mut taken = 0;
        let mut line = Vec::new();
        let mut numbers: Vec<u64> = Vec::new();
        loop {
            let block = next_block()?;
            taken += 512;
            for byte in block {
                if byte != b'\n' {
                    line.push(byte);
                    if line.len() > 20 {
                        return Err(bad());
                    }
                    continue;
                }
                numbers.push(decimal(&line).map_err(|_| bad())?);
                line.clear();
                let count =
                    usize::try_from(numbers[0]).ok().filter(|count| *count <= MAX_PIECES).ok_or_else(bad)?;
                if numbers.len() == 1 + 2 * count {
                    self.pieces =
                        numbers[1..].as_chunks::<2>().0.iter().map(|[at, len]| (*at, *len)).collect();
                    return Ok(taken);
                }
            }
        }
    }

    /// Whether the pieces are in order, within `size`, and of `stored` bytes together.
    pub fn check(self, size: u64, stored: u64, path: &[u8]) -> Result<Vec<(u64, u64)>, TarError> {
        let bad = || TarError::Sparse { path: show(path) };
        let (mut end, mut sum) = (0_u64, 0_u64);
        for (offset, length) in &self.pieces {
            if *offset < end {
                return Err(bad());
            }
            end = offset.checked_add(*length).ok_or_else(bad)?;
            sum += length;
        }
        if end > size || sum != stored || i64::try_from(size).is_err() {
            return Err(bad());
        }
        Ok(self.pieces)
    }
}
