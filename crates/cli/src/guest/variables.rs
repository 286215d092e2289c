//! `--env-file` and `--env`: variables of the environment, in files as docker reads them.
//!
//! A line is `NAME=VALUE`, or `NAME` for the value that the variable has here, if it has one. White space before a name, empty lines and
//! lines that begin with `#` are skipped. There are no quotes: all that stands behind the `=` is the value.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::values::{self, Passed, Variable};

/// Bytes of a file of variables, at most.
const FILE_BYTES: u64 = 1 << 20;

/// The variables of some files, and on top of them those that are named one by one. The last of one name counts.
pub(crate) fn variables<'a>(
    files: &[PathBuf],
    named: impl IntoIterator<Item = &'a Variable>,
) -> Result<BTreeMap<String, String>, Failure> {
    let mut variables = BTreeMap::new();
    for path in files {
        let text = read(path)?;
        for (number, line) in text.lines().enumerate() {
            let parsed = parse(line).map_err(|error| {
                let what = format!("line {} of {path:?} is no variable: {error}", number.saturating_add(1));
                Failure::new(Exit::Usage, what).hint("a line is NAME=VALUE, NAME, or a comment after #")
            })?;
            variables.extend(parsed.map(|Variable { name, value }| (name, value)));
        }
    }
    variables.extend(named.into_iter().map(|Variable { name, value }| (name.clone(), value.clone())));
    Ok(variables)
}

fn read(path: &Path) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| Failure::file("open", path, &error))?;
    file.take(FILE_BYTES + 1).read_to_end(&mut bytes).map_err(|error| Failure::file("read", path, &error))?;
    if bytes.len() as u64 > FILE_BYTES {
        return Err(Failure::new(Exit::Usage, format!("{path:?} is too long for a file of variables")));
    }
    String::from_utf8(bytes).map_err(|_| Failure::new(Exit::Usage, format!("{path:?} is not UTF-8")))
}

/// The variable of a line, if it has one.
fn parse(line: &str) -> Result<Option<Variable>, String> {
    // Editors of other systems put it before the first line.
    let line = line.trim_start_matches('\u{feff}').trim_start();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let name = line.split_once('=').map_or(line, |(name, _)| name);
    if name.contains(char::is_whitespace) {
        return Err("its name has white space".to_owned());
    }
    values::passed_variable(line).map(|Passed(variable)| variable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_docker_reads_them() {
        let directory = tempfile::tempdir().unwrap();
        let [first, second] = ["first", "second"].map(|name| directory.path().join(name));
        std::fs::write(&first, "\u{feff}A=1\n# B=2\n\n  C= a 'b' # c \r\nD=\nE=x=y\nBANGER_NOT_SET_HERE\n").unwrap();
        std::fs::write(&second, "A=2\nCARGO_PKG_NAME\n").unwrap();
        let named = Variable { name: "D".to_owned(), value: "named".to_owned() };
        let variables = variables(&[first, second], [&named]).unwrap();
        let cargo = std::env::var("CARGO_PKG_NAME").unwrap_or_default();
        let mut expected = vec![("A", "2"), ("C", " a 'b' # c "), ("D", "named"), ("E", "x=y")];
        if !cargo.is_empty() {
            expected.insert(2, ("CARGO_PKG_NAME", &cargo));
        }
        let found: Vec<_> = variables.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_no_variable_is_told_with_its_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (text, line) in [("A=1\n=x\n", "line 2"), ("A B=1\n", "line 1"), ("A=1\n\nB\0=1\n", "line 3")] {
            std::fs::write(file.path(), text).unwrap();
            let failure = variables(&[file.path().to_owned()], []).unwrap_err();
            assert!(format!("{failure:?}").contains(line), "{failure:?}");
        }
    }
}
