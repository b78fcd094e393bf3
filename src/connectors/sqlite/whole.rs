//! A store that is written beside its name and takes its place at the end, as a bounded run does it: what stood there before
//! stays until then, whatever goes wrong, and whoever reads it sees one or the other.

use super::{KINDS, Place, Shared, SqliteSink, SqliteStore, StoreFault, Table, begin_history, lock, of, table};
use crate::delivery::{Batch, Ending, Sink, SinkError, Stop, Wants};
use crate::market::Span;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where the store of a bounded run is until its end.
pub(super) fn part_of(path: &Path) -> PathBuf {
    with(path, ".part")
}

fn with(path: &Path, more: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(more);
    PathBuf::from(name)
}

fn remove(path: &Path) {
    for more in ["", "-wal", "-shm"] {
        // What is not there need not go.
        let _ = std::fs::remove_file(with(path, more));
    }
}

/// Writes a store beside `path`.
pub struct WholeSink {
    inner: SqliteSink,
    connection: Shared,
    job: String,
    path: PathBuf,
}

impl SqliteStore {
    /// An empty store that is to take the place of `path`.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn part(path: &Path, job: &str, limits: super::Limits) -> Result<Self, StoreFault> {
        let part = part_of(path);
        remove(&part);
        Self::open(Place::File(part), job, limits)
    }

    /// What writes it, and puts it where `path` is when the run is complete.
    ///
    /// # Errors
    /// As [`SqliteStore::sink`].
    pub fn whole_sink(&self, windows: &[Span], path: &Path) -> Result<WholeSink, StoreFault> {
        let (inner, connection) = (self.sink(windows)?, Arc::clone(&self.connection));
        Ok(WholeSink { inner, connection, job: self.job.clone(), path: path.to_owned() })
    }
}

impl WholeSink {
    /// In one transaction of the store whose place it takes.
    fn take_the_place(&self) -> Result<(), StoreFault> {
        let place = Place::File(self.path.clone());
        drop(SqliteStore::open(place.clone(), &self.job, super::Limits::NONE)?);
        let connection = lock(&self.connection);
        let mut statements = format!("BEGIN IMMEDIATE; {};\n", begin_history("whole"));
        for Table { name, .. } in KINDS.map(table) {
            statements += &format!("DELETE FROM whole.{name}; INSERT INTO whole.{name} SELECT * FROM main.{name};\n");
        }
        statements += "INSERT INTO whole.about SELECT * FROM main.about WHERE name = 'through'; COMMIT;";
        let Some(path) = self.path.to_str() else {
            return Err(of(&place, StoreFault("its name is no UTF-8: name another file".to_owned())));
        };
        let moved = || -> rusqlite::Result<()> {
            connection.execute("ATTACH ? AS whole", [path])?;
            connection.execute_batch(&statements)?;
            connection.execute("DETACH whole", []).map(|_| ())
        };
        moved().map_err(|error| of(&place, error.into()))
    }
}

impl Sink for WholeSink {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn wants(&self) -> Wants {
        self.inner.wants()
    }

    fn write(&mut self, batch: &Batch, stop: &Stop) -> Result<(), SinkError> {
        self.inner.write(batch, stop)
    }

    fn finish(&mut self, ending: Ending) -> Result<(), SinkError> {
        let part = part_of(&self.path);
        match ending {
            Ending::Complete => self.take_the_place().map_err(|fault| SinkError::Fatal(fault.0))?,
            Ending::Stopped => {
                tracing::warn!(
                    "stopped before the end: {} is not whole, {} is as it was",
                    part.display(),
                    self.path.display()
                );
                return Ok(());
            }
            Ending::Failed => {}
        }
        remove(&part);
        Ok(())
    }
}
