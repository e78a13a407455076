//! Tables for people.

use std::io::{self, Write};

/// Rows of cells under a heading; columns are as wide as their widest cell.
#[derive(Debug)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with a heading.
    pub fn new(heading: &[&str]) -> Self {
        Self { rows: vec![heading.iter().map(|h| (*h).to_owned()).collect()] }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        // A name or message from elsewhere may hold what moves a terminal's cursor.
        self.rows.push(cells.into_iter().map(|c| printable(&c)).collect());
    }

    /// Writes the table.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |i: usize| self.rows.iter().filter_map(|r| r.get(i)).map(|c| c.chars().count()).max();
        let widths: Vec<_> = (0..columns).map(|i| width(i).unwrap_or(0)).collect();
        for row in &self.rows {
            let cells: Vec<_> = row.iter().zip(&widths).map(|(c, w)| format!("{c:<w$}")).collect();
            writeln!(out, "{}", cells.join("  ").trim_end())?;
        }
        Ok(())
    }
}

/// The text on one line and without control characters.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_nothing_moves_the_cursor() {
        let mut table = Table::new(&["NAME", "STATE"]);
        table.row(["a".into(), "running".into()]);
        table.row(["long\x1b[2Jer".into(), "ä".into()]);
        let mut out = Vec::new();
        table.write(&mut out).unwrap();
        let expected = "NAME        STATE\na           running\nlong [2Jer  ä\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
