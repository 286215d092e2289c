//! Small tables for people.

use std::fmt;

use crate::failure::Failure;
use crate::output::print;

/// Columns between two columns.
const GAP: usize = 2;

/// The last column keeps so many columns of a terminal, however narrow that is.
const LEAST: usize = 8;

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

    /// Prints it. On a terminal, unless `whole`, the last column is cut so that each row has one line.
    pub(crate) fn print(&self, whole: bool) -> Result<(), Failure> {
        let columns = if whole { None } else { terminal_columns() };
        print(self.text(columns).trim_end())
    }

    fn text(&self, columns: Option<usize>) -> String {
        let mut widths = [0; N];
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        if let (Some(columns), Some((last, others))) = (columns, widths.split_last_mut()) {
            let taken = others.iter().map(|width| *width + GAP).sum();
            *last = (*last).min(columns.saturating_sub(taken).max(LEAST));
        }
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (index, ((cell, width), right)) in row.iter().zip(widths).zip(self.right).enumerate() {
                let gap = if index == 0 { 0 } else { GAP };
                let cell = cut(cell, width);
                line +=
                    &if right { format!("{:gap$}{cell:>width$}", "") } else { format!("{:gap$}{cell:<width$}", "") };
            }
            text += line.trim_end();
            text.push('\n');
        }
        text
    }
}

impl<const N: usize> fmt::Display for Table<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(None))
    }
}

/// What fits; where something is lost, `…` says so.
fn cut(cell: &str, width: usize) -> String {
    if cell.chars().count() <= width {
        return cell.to_owned();
    }
    cell.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// The width of the terminal that standard output is, if it is one.
fn terminal_columns() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
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

    #[test]
    fn empty_cells_keep_their_column() {
        let mut table = Table::new(["", "b"]);
        table.row([String::new(), "x".into()]);
        assert_eq!(table.to_string(), "  b\n  x\n");
    }

    #[test]
    fn the_last_column_is_cut_to_the_terminal() {
        let mut table = Table::new(["name", "source"]);
        table.row(["web".into(), "docker.io/library/nginx:1.27".into()]);
        table.row(["grün".into(), "ä".repeat(40)]);
        for (columns, expected) in [
            (None, format!("name  source\nweb   docker.io/library/nginx:1.27\ngrün  {}\n", "ä".repeat(40))),
            (Some(100), format!("name  source\nweb   docker.io/library/nginx:1.27\ngrün  {}\n", "ä".repeat(40))),
            (Some(34), format!("name  source\nweb   docker.io/library/nginx:1.27\ngrün  {}…\n", "ä".repeat(27))),
            (Some(20), format!("name  source\nweb   docker.io/lib…\ngrün  {}…\n", "ä".repeat(13))),
            (Some(3), format!("name  source\nweb   docker.…\ngrün  {}…\n", "ä".repeat(7))),
        ] {
            assert_eq!(table.text(columns), expected, "{columns:?}");
        }
    }
}
