//! Reads what a job has written, beside it.

use super::{Place, Shared, StoreFault, Table, check_about, connect, keep, lock, of, table};
use crate::delivery::reader::{Kind, Line, Range, ReadError, Reader};
use crate::market::{Span, Symbol, Timestamp};
use rusqlite::Connection;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// How many may read at a time.
const CONNECTIONS: usize = 4;

/// The reading side of a store.
pub struct SqliteReader {
    name: String,
    connections: Vec<Shared>,
}

impl SqliteReader {
    /// Of a file, which another process may be writing; `job`: whose it has to be.
    ///
    /// # Errors
    /// When it is not there, or no store of this program and job.
    pub fn open(path: &Path, job: Option<&str>) -> Result<Self, StoreFault> {
        if !path.exists() {
            return Err(StoreFault(format!(
                "http.store: {} is not there: a job with this configuration makes it",
                path.display()
            )));
        }
        let mut connections = Vec::with_capacity(CONNECTIONS);
        for _ in 0..CONNECTIONS {
            let connection = connect(path, true)?;
            let ready = || -> Result<(), StoreFault> {
                connection.pragma_update(None, "query_only", true)?;
                check_about(&connection, job)
            };
            ready().map_err(|fault| of(&Place::File(path.to_owned()), fault))?;
            connections.push(Arc::new(Mutex::new(connection)));
        }
        Ok(Self { name: format!("store {}", path.display()), connections })
    }

    /// Of a store that only its writer's connection sees.
    pub(super) fn beside(writer: Shared, name: String) -> Self {
        Self { name, connections: vec![writer] }
    }

    /// The job whose store it is.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn job(&self) -> Result<String, ReadError> {
        self.with(|connection| connection.query_row("SELECT value FROM about WHERE name = 'job'", [], |row| row.get(0)))
    }

    fn with<T>(&self, ask: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, ReadError> {
        // One that is free; else the first.
        let free = self.connections.iter().find_map(|connection| connection.try_lock().ok());
        let connection = free.unwrap_or_else(|| lock(&self.connections[0]));
        ask(&connection).map_err(|error| ReadError(format!("{}: {error}", self.name)))
    }
}

impl Reader for SqliteReader {
    fn name(&self) -> &str {
        &self.name
    }

    fn read(&self, kind: Kind, symbol: &Symbol, span: Span, range: Range) -> Result<Vec<Line>, ReadError> {
        let Table { name, span: span_column, at } = table(kind);
        let order = if range.from.is_some() { "ASC" } else { "DESC" };
        let sql = format!(
            "SELECT {at}, json FROM {name} WHERE symbol = ? AND {span_column} = ? AND {at} >= ? AND {at} < ? \
             ORDER BY {at} {order} LIMIT ?"
        );
        let from = range.from.map_or(i64::MIN, Timestamp::millis);
        let to = range.to.map_or(i64::MAX, Timestamp::millis);
        let limit = i64::try_from(range.limit).unwrap_or(i64::MAX);
        let mut lines: Vec<Line> = self.with(|connection| {
            let mut select = connection.prepare_cached(&sql)?;
            let rows = select.query_map((symbol.as_str(), span.millis(), from, to, limit), |row| {
                Ok(Line { at: Timestamp::from_millis(row.get(0)?), json: row.get(1)? })
            })?;
            rows.collect()
        })?;
        if range.from.is_none() {
            lines.reverse();
        }
        Ok(lines)
    }

    fn series(&self, kind: Kind) -> Result<Vec<(Symbol, Span)>, ReadError> {
        self.with(|connection| keep::series(connection, kind))
    }

    fn through(&self) -> Result<Option<Timestamp>, ReadError> {
        let sql = "SELECT max(value) FROM about WHERE name = 'through'";
        let through = self.with(|connection| connection.query_row(sql, [], |row| row.get::<_, Option<i64>>(0)))?;
        Ok(through.map(Timestamp::from_millis))
    }

    fn history(&self) -> Result<i64, ReadError> {
        let sql = "SELECT max(value) FROM about WHERE name = 'history'";
        let history = self.with(|connection| connection.query_row(sql, [], |row| row.get::<_, Option<i64>>(0)))?;
        Ok(history.unwrap_or(0))
    }

    fn spans(&self, kind: Kind, symbol: &Symbol) -> Result<Vec<Span>, ReadError> {
        self.with(|connection| keep::spans(connection, kind, symbol))
    }
}
