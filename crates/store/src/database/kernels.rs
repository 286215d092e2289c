//! Rows of kernels, as they are asked for and written.

use std::path::PathBuf;

use rusqlite::{Connection, OptionalExtension, Row as Columns, named_params};

use super::{Failure, below, number, size};
use crate::area::Area;
use crate::error::{Error, What};
use crate::kernel::Row;

/// All rows, by name.
pub(crate) fn all(connection: &Connection, area: &Area) -> Result<Vec<Row>, Failure> {
    let mut statement = connection.prepare("SELECT * FROM kernel ORDER BY name")?;
    let rows = statement.query_map([], |columns| row(columns, area))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The row of a name.
pub(crate) fn by_name(connection: &Connection, area: &Area, name: &str) -> Result<Option<Row>, Failure> {
    let question = "SELECT * FROM kernel WHERE name = ?1";
    Ok(connection.query_row(question, [name], |columns| row(columns, area)).optional()?)
}

/// The row of a name that has to be there.
pub(crate) fn existing(connection: &Connection, area: &Area, name: &str) -> Result<Row, Failure> {
    match by_name(connection, area, name)? {
        Some(row) => Ok(row),
        None => Err(not_found(connection, name)?.into()),
    }
}

/// Writes the row of a kernel; over the one that is there, if there is one.
pub(crate) fn put(connection: &Connection, area: &Area, row: &Row) -> Result<(), Failure> {
    let directory = area.place(&row.name);
    let optional = |file: Option<&PathBuf>| file.map(|file| below(&directory, file).map(str::to_owned)).transpose();
    connection.execute(
        "INSERT OR REPLACE INTO kernel VALUES (
            :name, :version, :architecture, :format, :digest, :size, :source, :created, :image, :initrd, :modules)",
        named_params! {
            ":name": row.name,
            ":version": row.version,
            ":architecture": row.architecture,
            ":format": row.format,
            ":digest": row.digest,
            ":size": number(row.size),
            ":source": row.source,
            ":created": row.created,
            ":image": below(&directory, &row.image)?,
            ":initrd": optional(row.initrd.as_ref())?,
            ":modules": optional(row.modules.as_ref())?,
        },
    )?;
    Ok(())
}

/// Deletes the row of a kernel. Whether it was there.
pub(crate) fn delete(connection: &Connection, name: &str) -> rusqlite::Result<bool> {
    Ok(connection.execute("DELETE FROM kernel WHERE name = ?1", [name])? > 0)
}

fn row(columns: &Columns<'_>, area: &Area) -> rusqlite::Result<Row> {
    let name: String = columns.get("name")?;
    let directory = area.place(&name);
    let path = |text: String| directory.join(text);
    Ok(Row {
        version: columns.get("version")?,
        architecture: columns.get("architecture")?,
        format: columns.get("format")?,
        digest: columns.get("digest")?,
        size: size(columns, "size")?,
        source: columns.get("source")?,
        created: columns.get("created")?,
        image: path(columns.get("image")?),
        initrd: columns.get::<_, Option<String>>("initrd")?.map(path),
        modules: columns.get::<_, Option<String>>("modules")?.map(path),
        name,
    })
}

/// What is said when there is no such kernel.
pub(crate) fn not_found(connection: &Connection, name: &str) -> Result<Error, Failure> {
    let mut statement = connection.prepare("SELECT name FROM kernel")?;
    let names = statement.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
    Ok(Error::NotFound { what: What::Kernel, name: name.to_owned(), nearest: crate::name::nearest(name, names) })
}
