//! The embedded store: what a job delivered, in an SQLite database, for whoever has no other.
//!
//! | table | holds | by |
//! |---|---|---|
//! | `forecasts` | the forecasts' JSON | symbol, horizon, target |
//! | `scores` | the scores' JSON | symbol, horizon, target |
//! | `bars` | windows of feature rows at their whole multiples | symbol, window, end |
//! | `about` | the job, the schema's version, up to where it is complete, how often its records were replaced | name |
//!
//! One writer (the committer's thread), readers beside it, in other processes too: the log is written ahead, so nobody waits for
//! anybody, and what a transaction has committed survives `kill -9`. Records are written again under the same key, so that a
//! recomputation overwrites. Without a file it lives in memory.

mod import;
mod keep;
mod read;
mod whole;
mod write;

pub use import::Importer;
pub use read::SqliteReader;
pub use whole::WholeSink;
pub use write::SqliteSink;

use crate::delivery::reader::Kind;
use crate::market::Span;
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Of the tables.
const SCHEMA: i64 = 1;
/// How long somebody waits for another process's lock.
const BUSY: Duration = Duration::from_secs(5);

/// A store that cannot be used. The message names the file and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StoreFault(String);

/// A table, and what its keys are called.
struct Table {
    name: &'static str,
    span: &'static str,
    at: &'static str,
}

const fn table(kind: Kind) -> Table {
    match kind {
        Kind::Forecasts => Table { name: "forecasts", span: "horizon_ms", at: "target_ms" },
        Kind::Scores => Table { name: "scores", span: "horizon_ms", at: "target_ms" },
        Kind::Bars => Table { name: "bars", span: "window_ms", at: "end_ms" },
    }
}

const KINDS: [Kind; 3] = [Kind::Forecasts, Kind::Scores, Kind::Bars];

/// A connection that several may hold.
type Shared = Arc<Mutex<Connection>>;

fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    // A transaction that a panic left open was rolled back.
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where a store lives.
#[derive(Clone, Debug)]
pub enum Place {
    /// In this file.
    File(PathBuf),
    /// In this process, as long as it does.
    Memory,
    /// In a file without a name, as long as this process does.
    Temporary,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "store {}", path.display()),
            Self::Memory => f.write_str("store in memory"),
            Self::Temporary => f.write_str("store in a temporary file"),
        }
    }
}

/// A job's store, open for writing.
pub struct SqliteStore {
    place: Place,
    connection: Shared,
    job: String,
    limits: Limits,
}

impl SqliteStore {
    /// Opens it; it is made where it is not there.
    ///
    /// # Errors
    /// When it cannot be opened, is no store of this program, or another job's.
    pub fn open(place: Place, job: &str, limits: Limits) -> Result<Self, StoreFault> {
        let connection = match &place {
            Place::File(path) => connect(path, false)?,
            Place::Memory => Connection::open_in_memory().map_err(|error| of(&place, error.into()))?,
            // What SQLite does with a name that is none.
            Place::Temporary => Connection::open("").map_err(|error| of(&place, error.into()))?,
        };
        prepare(&connection, job).map_err(|fault| of(&place, fault))?;
        Ok(Self { place, connection: Arc::new(Mutex::new(connection)), job: job.to_owned(), limits })
    }

    /// What writes it, with bars of these windows.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn sink(&self, windows: &[Span]) -> Result<SqliteSink, StoreFault> {
        let sink =
            SqliteSink::new(Arc::clone(&self.connection), self.limits, windows, !matches!(self.place, Place::File(_)));
        sink.map_err(|error| of(&self.place, error.into()))
    }

    /// What takes in records that were written elsewhere.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn importer(&self) -> Result<Importer, StoreFault> {
        Importer::new(Arc::clone(&self.connection), self.limits).map_err(|error| of(&self.place, error.into()))
    }

    /// What reads it, beside its writer.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn reader(&self) -> Result<SqliteReader, StoreFault> {
        match &self.place {
            Place::File(path) => SqliteReader::open(path, Some(&self.job)),
            Place::Memory | Place::Temporary => Ok(self.reader_named(self.place.to_string())),
        }
    }

    /// What reads it by its writer's own connection, under another name.
    #[must_use]
    pub fn reader_named(&self, name: String) -> SqliteReader {
        SqliteReader::beside(Arc::clone(&self.connection), name)
    }

    /// Takes everything out of it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn clear(&self) -> Result<(), StoreFault> {
        let all = "BEGIN; DELETE FROM forecasts; DELETE FROM scores; DELETE FROM bars";
        let all = format!("{all};\n{}; COMMIT", begin_history("main"));
        lock(&self.connection).execute_batch(&all).map_err(|error| of(&self.place, error.into()))
    }
}

/// Statements that say in a schema's `about` that its records are of another run than those before.
fn begin_history(schema: &str) -> String {
    format!(
        "DELETE FROM {schema}.about WHERE name = 'through';\n\
         INSERT INTO {schema}.about VALUES ('history', 1) ON CONFLICT (name) DO UPDATE SET value = value + 1"
    )
}

/// Whether a file can be opened as the store of `job`, where there is one; changes nothing of it.
///
/// # Errors
/// As [`SqliteStore::open`].
pub fn check(path: &Path, job: &str) -> Result<(), StoreFault> {
    if path.exists() {
        SqliteReader::open(path, Some(job)).map(|_| ())
    } else {
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        if dir.is_dir() {
            Ok(())
        } else {
            Err(StoreFault(format!("http.store: the directory {} is not there: make it first", dir.display())))
        }
    }
}

impl From<rusqlite::Error> for StoreFault {
    fn from(error: rusqlite::Error) -> Self {
        Self(error.to_string())
    }
}

fn of(place: &Place, StoreFault(why): StoreFault) -> StoreFault {
    match place {
        Place::File(path) => StoreFault(format!("http.store: {}: {why}", path.display())),
        Place::Memory | Place::Temporary => StoreFault(format!("the {place}: {why}")),
    }
}

fn connect(path: &Path, reads_only: bool) -> Result<Connection, StoreFault> {
    use rusqlite::OpenFlags;
    let flags = if reads_only {
        // Its index of the log may have to be made anew: only for that it is opened for writing.
        OpenFlags::SQLITE_OPEN_READ_WRITE
    } else {
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE
    };
    let open = || -> rusqlite::Result<Connection> {
        let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.busy_timeout(BUSY)?;
        Ok(connection)
    };
    open().map_err(|error| of(&Place::File(path.to_owned()), error.into()))
}

/// Makes the tables where they are missing.
fn prepare(connection: &Connection, job: &str) -> Result<(), StoreFault> {
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "normal")?;
    connection.pragma_update(None, "cache_size", -16_000)?;
    let has_tables: bool = connection.query_row("SELECT EXISTS (SELECT 1 FROM sqlite_master)", [], |row| row.get(0))?;
    if !has_tables {
        let mut made = String::from("BEGIN IMMEDIATE;\n");
        for Table { name, span, at } in KINDS.map(table) {
            made += &format!(
                "CREATE TABLE {name} (symbol TEXT NOT NULL, {span} INTEGER NOT NULL, {at} INTEGER NOT NULL, \
                 json TEXT NOT NULL, PRIMARY KEY (symbol, {span}, {at})) STRICT, WITHOUT ROWID;\n"
            );
        }
        made += "CREATE TABLE about (name TEXT PRIMARY KEY, value) WITHOUT ROWID;\nCOMMIT;";
        connection.execute_batch(&made)?;
        connection.execute("INSERT INTO about VALUES ('schema', ?), ('job', ?)", (SCHEMA, job))?;
    }
    check_about(connection, Some(job))
}

/// That it is a store of this program, and of this job.
fn check_about(connection: &Connection, job: Option<&str>) -> Result<(), StoreFault> {
    let about = |name: &str| {
        connection
            .query_row("SELECT value FROM about WHERE name = ?", [name], |row| row.get::<_, rusqlite::types::Value>(0))
    };
    let foreign = || StoreFault("it is no store of tickcast: name another file".to_owned());
    match about("schema") {
        Ok(rusqlite::types::Value::Integer(SCHEMA)) => {}
        Ok(rusqlite::types::Value::Integer(other)) => {
            return Err(StoreFault(format!("its schema is {other}, this program's is {SCHEMA}: name another file")));
        }
        Ok(_) | Err(rusqlite::Error::QueryReturnedNoRows) => return Err(foreign()),
        Err(rusqlite::Error::SqliteFailure(failure, _))
            if matches!(failure.code, rusqlite::ErrorCode::NotADatabase | rusqlite::ErrorCode::Unknown) =>
        {
            return Err(foreign());
        }
        Err(error) => return Err(error.into()),
    }
    match (about("job"), job) {
        (Ok(rusqlite::types::Value::Text(found)), Some(job)) if found != job => {
            Err(StoreFault(format!("it is the store of job `{found}`, not of `{job}`: name another file")))
        }
        (Ok(rusqlite::types::Value::Text(_)), _) => Ok(()),
        (Ok(_), _) => Err(foreign()),
        (Err(error), _) => Err(error.into()),
    }
}

pub use keep::Limits;

#[cfg(test)]
mod tests;
