//! The database: opened, brought to the newest schema, and asked in transactions.
//!
//! Write-ahead log, each commit synced (`synchronous=FULL`): what was told to be done survives a power cut. Those who write
//! begin with `BEGIN IMMEDIATE`, so that nobody has to give up in the middle because somebody else was faster.

pub(crate) mod images;
pub(crate) mod kernels;
mod schema;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use crate::error::{Error, Result, What};
use crate::files::look;
use crate::limits::DATABASE_PATIENCE;

/// Bytes that a database begins with (SQLite's file format, 1.3).
const HEADER: u64 = 100;

/// Why a transaction was not committed.
pub(crate) enum Failure {
    Sqlite(rusqlite::Error),
    Store(Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

/// An open database. Copies are the same connection.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    path: PathBuf,
    connection: Arc<Mutex<Connection>>,
}

impl Database {
    /// Opens the database, which is made where there is none, or nothing in it, unless `refuse_new` has a reason not to.
    ///
    /// Nobody else may do so at the same time: SQLite does not wait for those who change the journal's mode.
    pub(crate) fn open(path: &Path, refuse_new: &dyn Fn() -> Result<()>) -> Result<Self> {
        match look(path)?.map(|metadata| metadata.len()) {
            // Before there is even a file.
            None | Some(0) => refuse_new()?,
            // SQLite would take it for an empty database and write over it.
            Some(1..HEADER) => return Err(Error::Foreign { path: path.to_owned() }),
            Some(_) => {}
        }
        let error = |source| Error::sqlite("open", path, source);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(path, flags).map_err(error)?;
        let set = |connection: &Connection| {
            connection.busy_timeout(DATABASE_PATIENCE)?;
            connection.pragma_update(None, "foreign_keys", true)?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            // Nothing in a file that somebody may have changed is run.
            connection.pragma_update(None, "trusted_schema", false)
        };
        set(&connection).map_err(error)?;
        if schema::is_new(&connection, path)? {
            refuse_new()?;
        }
        // Where the file system cannot share memory it stays the old journal, which is as safe.
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())).map_err(error)?;
        schema::migrate(&mut connection, path, schema::MIGRATIONS)?;
        Ok(Self { path: path.to_owned(), connection: Arc::new(Mutex::new(connection)) })
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // A transaction that was broken off by a panic has been rolled back.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn error(&self, doing: &'static str, failure: Failure) -> Error {
        match failure {
            Failure::Sqlite(source) => Error::sqlite(doing, &self.path, source),
            Failure::Store(error) => error,
        }
    }

    /// Reads in one transaction: what is seen belongs together.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&Connection) -> Result<T, Failure>) -> Result<T> {
        let mut connection = self.lock();
        let read = || {
            let transaction = Transaction::new(&mut connection, TransactionBehavior::Deferred)?;
            read(&transaction)
        };
        read().map_err(|failure| self.error("look something up", failure))
    }

    /// Changes something, all of it or nothing.
    ///
    /// A commit whose sync failed has failed, but what it wrote is in the log, and would count if the log were read anew after a
    /// kill. Another transaction that is written after it takes its place.
    pub(crate) fn write<T>(
        &self,
        doing: &'static str,
        write: impl FnOnce(&Connection) -> Result<T, Failure>,
    ) -> Result<T> {
        let mut connection = self.lock();
        let write = || {
            let transaction = Transaction::new(&mut connection, TransactionBehavior::Immediate)?;
            let written = write(&transaction)?;
            transaction.commit()?;
            Ok(written)
        };
        let written = write();
        if let Err(Failure::Sqlite(_)) = &written {
            // Where that fails, too, nothing can be done about it: files are not removed before it has been done, see `settle`.
            let _ = supersede(&mut connection);
        }
        written.map_err(|failure| self.error(doing, failure))
    }

    /// Whether something has a row, now and for good: no commit that failed can change it any more. Asked before files without
    /// a row are removed; otherwise a row might come back to which there are none.
    pub(crate) fn settle(&self, what: What, key: &str) -> Result<bool> {
        let mut connection = self.lock();
        supersede(&mut connection)
            .and_then(|()| is_recorded(&connection, what, key))
            .map_err(|error| Error::sqlite("settle what is there", &self.path, error))
    }

    /// Whether a directory has a row.
    pub(crate) fn is_recorded(&self, what: What, key: &str) -> Result<bool> {
        self.read(|connection| Ok(is_recorded(connection, what, key)?))
    }

    /// What SQLite finds wrong with the database. Nothing, if all is well.
    pub(crate) fn check(&self) -> Result<Vec<String>> {
        self.read(|connection| {
            let mut statement = connection.prepare("PRAGMA integrity_check")?;
            let lines = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
            let mut wrong: Vec<String> = lines.into_iter().filter(|line| line != "ok").collect();
            let orphans: i64 =
                connection.query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0))?;
            if orphans > 0 {
                wrong.push(format!("{orphans} names of images that there are not"));
            }
            Ok(wrong)
        })
    }
}

/// Writes something that says nothing, in the place of what a failed commit may have left.
fn supersede(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = Transaction::new(connection, TransactionBehavior::Immediate)?;
    transaction.execute("UPDATE settled SET times = times + 1", [])?;
    transaction.commit()
}

fn is_recorded(connection: &Connection, what: What, key: &str) -> rusqlite::Result<bool> {
    let question = match what {
        What::Image => "SELECT EXISTS (SELECT 1 FROM image WHERE id = ?1 AND managed)",
        What::Kernel => "SELECT EXISTS (SELECT 1 FROM kernel WHERE name = ?1)",
    };
    connection.query_row(question, [key], |row| row.get(0))
}

/// A size, as SQLite has numbers. No file is as long as what does not fit.
fn number(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

fn size(row: &rusqlite::Row<'_>, column: &str) -> rusqlite::Result<u64> {
    let number: i64 = row.get(column)?;
    Ok(u64::try_from(number).unwrap_or(0))
}

/// A path as text.
fn text(path: &Path) -> Result<&str> {
    path.to_str().ok_or_else(|| Error::Path { path: path.to_owned() })
}

/// A path in a row: relative to the directory that its files are in.
fn below<'a>(directory: &Path, path: &'a Path) -> Result<&'a str> {
    text(path.strip_prefix(directory).unwrap_or(path))
}
