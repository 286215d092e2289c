//! Small tables for people.

use std::fmt;

/// Rows of cells; the columns are as wide as they must be.
#[derive(Debug)]
pub(crate) struct Table<const N: usize> {
    rows: Vec<[String; N]>,
    /// Which columns have numbers, that stand at their right.
    right: [bool; N],
}

impl<const N: usize> Table<N> {
    /// A table with headings; columns whose heading begins with `>` stand at the right.
    pub(crate) fn new(headings: [&str; N]) -> Self {
        let right = headings.map(|heading| heading.starts_with('>'));
        Self { rows: vec![headings.map(|heading| heading.trim_start_matches('>').to_owned())], right }
    }

    pub(crate) fn row(&mut self, cells: [String; N]) {
        self.rows.push(cells);
    }
}

impl<const N: usize> fmt::Display for Table<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut widths = [0; N];
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        for row in &self.rows {
            let mut line = String::new();
            for ((cell, width), right) in row.iter().zip(widths).zip(self.right) {
                let gap = if line.is_empty() { "" } else { "  " };
                line += &if right { format!("{gap}{cell:>width$}") } else { format!("{gap}{cell:<width$}") };
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_cells() {
        let mut table = Table::new(["name", ">size", "digest"]);
        table.row(["a".into(), "1.0 KiB".into(), "x".into()]);
        table.row(["longer".into(), "3 B".into(), String::new()]);
        assert_eq!(table.to_string(), "name       size  digest\na       1.0 KiB  x\nlonger      3 B\n");
    }
}
