//! Rows of images, as they are asked for and written.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, Row as Columns, named_params, params};

use super::{Failure, below, number, size, text};
use crate::area::Area;
use crate::error::Error;
use crate::image::{Boot, Kernel, Row};

const SELECT: &str = "SELECT * FROM image_name JOIN image USING (id)";

/// All rows, by name.
pub(crate) fn all(connection: &Connection, area: &Area) -> Result<Vec<Row>, Failure> {
    let mut statement = connection.prepare(&format!("{SELECT} ORDER BY name"))?;
    let rows = statement.query_map([], |columns| row(columns, area))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The row of a name.
pub(crate) fn by_name(connection: &Connection, area: &Area, name: &str) -> Result<Option<Row>, Failure> {
    let question = format!("{SELECT} WHERE name = ?1");
    Ok(connection.query_row(&question, [name], |columns| row(columns, area)).optional()?)
}

/// The row of a name that has to be there.
pub(crate) fn existing(connection: &Connection, area: &Area, name: &str) -> Result<Row, Failure> {
    match by_name(connection, area, name)? {
        Some(row) => Ok(row),
        None => Err(not_found(connection, name)?.into()),
    }
}

/// The rows of all names whose id begins like this, by id and name.
pub(crate) fn by_prefix(connection: &Connection, area: &Area, prefix: &str) -> Result<Vec<Row>, Failure> {
    // No hexadecimal digit comes after 'f'.
    let mut statement = connection.prepare(&format!("{SELECT} WHERE id >= ?1 AND id < ?1 || 'g' ORDER BY id, name"))?;
    let rows = statement.query_map([prefix], |columns| row(columns, area))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Whether an id is known, and whether its files are kept here.
pub(crate) fn managed(connection: &Connection, id: &str) -> rusqlite::Result<Option<bool>> {
    connection.query_row("SELECT managed FROM image WHERE id = ?1", [id], |row| row.get(0)).optional()
}

/// Writes what is the same for all names of an image; over what is there, if there is something.
pub(crate) fn put(connection: &Connection, area: &Area, row: &Row) -> Result<(), Failure> {
    let directory = area.place(&row.id);
    let path = |path: &Path| {
        if row.managed { below(&directory, path).map(str::to_owned) } else { text(path).map(str::to_owned) }
    };
    let optional = |file: Option<&PathBuf>| file.map(|file| path(file)).transpose();
    let kernel = row.kernel.as_ref();
    connection.execute(
        "INSERT OR REPLACE INTO image VALUES (
            :id, :managed, :rootfs, :size, :allocated, :content_id, :boot_mode, :boot_why,
            :kernel_version, :kernel_digest, :kernel_image, :kernel_initrd, :kernel_modules)",
        named_params! {
            ":id": row.id,
            ":managed": row.managed,
            ":rootfs": path(&row.rootfs)?,
            ":size": number(row.size),
            ":allocated": number(row.allocated),
            ":content_id": row.content_id,
            ":boot_mode": row.boot.as_ref().map(|boot| &boot.mode),
            ":boot_why": row.boot.as_ref().map(|boot| &boot.why),
            ":kernel_version": kernel.and_then(|kernel| kernel.version.as_ref()),
            ":kernel_digest": kernel.map(|kernel| &kernel.digest),
            ":kernel_image": optional(kernel.map(|kernel| &kernel.image))?,
            ":kernel_initrd": optional(kernel.and_then(|kernel| kernel.initrd.as_ref()))?,
            ":kernel_modules": optional(kernel.and_then(|kernel| kernel.modules.as_ref()))?,
        },
    )?;
    Ok(())
}

/// Gives an image a name that nothing has.
pub(crate) fn put_name(connection: &Connection, row: &Row) -> Result<(), Failure> {
    connection.execute(
        "INSERT INTO image_name VALUES (:name, :id, :source, :digest, :platform, :kernel_name, :created, :request)",
        named_params! {
            ":name": row.name,
            ":id": row.id,
            ":source": row.source,
            ":digest": row.digest,
            ":platform": row.platform,
            ":kernel_name": row.kernel.as_ref().and_then(|kernel| kernel.name.as_ref()),
            ":created": row.created,
            ":request": row.request,
        },
    )?;
    // It has a name again.
    connection.execute("DELETE FROM image_name WHERE name = ?1 AND name <> ?2", params![row.id, row.name])?;
    Ok(())
}

/// Keeps an image that has lost its last name under its id.
pub(crate) fn put_nameless(connection: &Connection, row: &Row) -> Result<(), Failure> {
    let question = "SELECT EXISTS (SELECT 1 FROM image_name WHERE id = ?1)";
    if connection.query_row(question, [&row.id], |row| row.get(0))? {
        return Ok(());
    }
    put_name(connection, &Row { name: row.id.clone(), ..row.clone() })
}

/// Takes a name away. Whether it was there.
pub(crate) fn delete_name(connection: &Connection, name: &str) -> rusqlite::Result<bool> {
    Ok(connection.execute("DELETE FROM image_name WHERE name = ?1", [name])? > 0)
}

/// Deletes what is known of an image, if it has no name any more. Whether that was so.
pub(crate) fn delete_nameless(connection: &Connection, id: &str) -> rusqlite::Result<bool> {
    let deleted = connection
        .execute("DELETE FROM image WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM image_name WHERE id = ?1)", [id])?;
    Ok(deleted > 0)
}

/// Changes a name. Whether it was there.
pub(crate) fn rename(connection: &Connection, from: &str, to: &str) -> rusqlite::Result<bool> {
    Ok(connection.execute("UPDATE image_name SET name = ?2 WHERE name = ?1", params![from, to])? > 0)
}

fn row(columns: &Columns<'_>, area: &Area) -> rusqlite::Result<Row> {
    let id: String = columns.get("id")?;
    let directory = area.place(&id);
    // What is absolute stays as it is.
    let path = |text: String| directory.join(text);
    let boot = match (columns.get("boot_mode")?, columns.get("boot_why")?) {
        (Some(mode), Some(why)) => Some(Boot { mode, why }),
        _ => None,
    };
    let kernel = match (columns.get("kernel_digest")?, columns.get::<_, Option<String>>("kernel_image")?) {
        (Some(digest), Some(image)) => Some(Kernel {
            name: columns.get("kernel_name")?,
            version: columns.get("kernel_version")?,
            digest,
            image: path(image),
            initrd: columns.get::<_, Option<String>>("kernel_initrd")?.map(path),
            modules: columns.get::<_, Option<String>>("kernel_modules")?.map(path),
        }),
        _ => None,
    };
    Ok(Row {
        name: columns.get("name")?,
        source: columns.get("source")?,
        digest: columns.get("digest")?,
        platform: columns.get("platform")?,
        boot,
        kernel,
        content_id: columns.get("content_id")?,
        size: size(columns, "size")?,
        allocated: size(columns, "allocated")?,
        created: columns.get("created")?,
        request: columns.get("request")?,
        managed: columns.get("managed")?,
        rootfs: path(columns.get("rootfs")?),
        id,
    })
}

/// What is said when there is no such image.
pub(crate) fn not_found(connection: &Connection, name: &str) -> Result<Error, Failure> {
    let mut statement = connection.prepare("SELECT name FROM image_name WHERE name <> id")?;
    let names = statement.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
    Ok(Error::NotFound { what: crate::What::Image, name: name.to_owned(), nearest: crate::name::nearest(name, names) })
}
