//! Which names there are, for who only wants to look: nothing is made, locked or removed, and nothing is an error.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::store::DATABASE;

/// Names in a store, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Of images.
    pub images: Vec<String>,
    /// Of kernels.
    pub kernels: Vec<String>,
}

/// Names in the store in a directory. None where there is no store, or none that can be read.
pub fn names(root: &Path) -> Names {
    read(&root.join(DATABASE)).unwrap_or_default()
}

fn read(path: &Path) -> Option<Names> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let log = format!("{}-wal", path.to_str()?);
    // Where there is a log, somebody has the database open, or was killed, and it is read with the rest. Where there is none,
    // even a reader would make an empty one, unless it takes the file as it is.
    let as_it_is = if Path::new(&log).exists() { "" } else { "?immutable=1" };
    let connection = Connection::open_with_flags(format!("{}{as_it_is}", uri(path)?), flags).ok()?;
    let names = |table: &str| {
        let mut statement = connection.prepare(&format!("SELECT name FROM {table} ORDER BY name"))?;
        statement.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()
    };
    Some(Names { images: names("image_name").ok()?, kernels: names("kernel").ok()? })
}

/// A path as SQLite takes it in a URI.
fn uri(path: &Path) -> Option<String> {
    let path = std::path::absolute(path).ok()?;
    let mut uri = String::from("file:");
    for character in path.to_str()?.chars() {
        match character {
            '%' | '?' | '#' => uri.push_str(&format!("%{:02x}", u32::from(character))),
            _ => uri.push(character),
        }
    }
    Some(uri)
}
