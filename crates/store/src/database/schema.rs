//! The schema: which one a database has (`PRAGMA user_version`), and how it becomes the newest.
//!
//! Each migration is a file of SQL, applied in a transaction with its number; a kill leaves the schema before or after it. A
//! migration that was published is never changed: the next one is added.

use std::path::Path;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::error::{Error, Result};

/// How a database of each schema becomes one of the next. The first one makes it out of nothing.
pub(super) const MIGRATIONS: &[&str] = &[include_str!("migrations/1.sql"), include_str!("migrations/2.sql")];

/// Says whose database it is (`PRAGMA application_id`): "bang".
const APPLICATION: i64 = 0x6261_6e67;

/// Whether there is nothing in a database yet. One that is not ours, or from the future, is refused before anything in it is
/// changed.
pub(super) fn is_new(connection: &Connection, path: &Path) -> Result<bool> {
    let error = |source| Error::sqlite("look at the schema", path, source);
    let found = version(connection).map_err(error)?;
    let application: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0)).map_err(error)?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(error)?;
    let is_new = found == 0 && application == 0 && tables == 0;
    if !is_new && application != APPLICATION {
        return Err(Error::Foreign { path: path.to_owned() });
    }
    refuse_newer(found, MIGRATIONS, path)?;
    Ok(is_new)
}

fn refuse_newer(found: i64, migrations: &[&str], path: &Path) -> Result<()> {
    let supported = i64::try_from(migrations.len()).unwrap_or(i64::MAX);
    if found > supported {
        return Err(Error::NewerSchema { path: path.to_owned(), found, supported });
    }
    Ok(())
}

/// Brings a database to the newest schema.
pub(super) fn migrate(connection: &mut Connection, path: &Path, migrations: &[&str]) -> Result<()> {
    let error = |source| Error::sqlite("change the schema", path, source);
    if version(connection).map_err(error)? == migrations.len() as i64 {
        return Ok(());
    }
    for (number, migration) in (1_i64..).zip(migrations) {
        let mut apply = || {
            let transaction = Transaction::new(connection, TransactionBehavior::Immediate)?;
            // Looked at in the transaction: a newer one is never gone over.
            let found = version(&transaction)?;
            if found.checked_add(1) == Some(number) {
                transaction.execute_batch(migration)?;
                transaction.pragma_update(None, "application_id", APPLICATION)?;
                transaction.pragma_update(None, "user_version", number)?;
                transaction.commit()?;
            }
            Ok(())
        };
        apply().map_err(error)?;
    }
    refuse_newer(version(connection).map_err(error)?, migrations, path)
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "CREATE TABLE t (a TEXT) STRICT; INSERT INTO t VALUES ('kept');";
    const TWO: &str = "ALTER TABLE t ADD COLUMN b TEXT NOT NULL DEFAULT 'new';";
    const THREE: &str = "UPDATE t SET b = b || 'er';";
    /// Fails after it has done something.
    const BROKEN: &str = "UPDATE t SET a = 'lost'; INSERT INTO nothing VALUES (1);";

    fn shown(connection: &Connection) -> (i64, Vec<String>) {
        let mut statement = connection.prepare("SELECT * FROM t").unwrap();
        let columns = statement.column_count();
        let row = statement.query_row([], |row| (0..columns).map(|column| row.get(column)).collect()).unwrap();
        (version(connection).unwrap(), row)
    }

    #[test]
    fn every_older_schema_becomes_the_newest_and_keeps_what_is_there() {
        let path = Path::new("test.db");
        for from in 0..=3 {
            let all = [ONE, TWO, THREE];
            let mut connection = Connection::open_in_memory().unwrap();
            migrate(&mut connection, path, &all[..from]).unwrap();
            for _ in 0..2 {
                migrate(&mut connection, path, &all).unwrap();
                assert_eq!(shown(&connection), (3, vec!["kept".to_owned(), "newer".to_owned()]), "from {from}");
            }
        }
    }

    #[test]
    fn a_migration_that_fails_leaves_the_schema_before_it() {
        let path = Path::new("test.db");
        let mut connection = Connection::open_in_memory().unwrap();
        let error = migrate(&mut connection, path, &[ONE, TWO, BROKEN]).unwrap_err();
        assert_eq!(error.to_string(), "cannot change the schema in test.db");
        assert_eq!(shown(&connection), (2, vec!["kept".to_owned(), "new".to_owned()]));
        migrate(&mut connection, path, &[ONE, TWO, THREE]).unwrap();
        assert_eq!(shown(&connection), (3, vec!["kept".to_owned(), "newer".to_owned()]));
    }

    #[test]
    fn a_newer_schema_is_refused_and_left_alone() {
        let path = Path::new("test.db");
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, path, &[ONE, TWO]).unwrap();
        let error = migrate(&mut connection, path, &[ONE]).unwrap_err();
        assert!(matches!(error, Error::NewerSchema { found: 2, supported: 1, .. }), "{error:?}");
        assert_eq!(shown(&connection), (2, vec!["kept".to_owned(), "new".to_owned()]));
    }

    #[test]
    fn a_database_of_something_else_is_refused() {
        let path = Path::new("test.db");
        for make in [
            "CREATE TABLE t (a)",
            "PRAGMA application_id = 7",
            "PRAGMA user_version = 1",
            "PRAGMA user_version = 1; CREATE TABLE image (id); PRAGMA application_id = 7",
        ] {
            let connection = Connection::open_in_memory().unwrap();
            connection.execute_batch(make).unwrap();
            assert!(matches!(is_new(&connection, path), Err(Error::Foreign { .. })), "{make}");
        }
        assert!(is_new(&Connection::open_in_memory().unwrap(), path).unwrap());
    }
}
