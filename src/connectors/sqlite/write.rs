//! Writes batches: one transaction each.

use super::keep::{Keeper, Limits, all_series};
use super::{Shared, Table, lock, table};
use crate::delivery::reader::Kind;
use crate::delivery::{Batch, Retrying, Sink, SinkError, Stop, Wants};
use crate::market::json::{write_forecast, write_score, write_window};
use crate::market::{Span, Symbol, Timestamp};
use rusqlite::{CachedStatement, Connection};
use std::time::Duration;

/// Before a write is tried again.
const PAUSE: Duration = Duration::from_millis(500);

/// The sink of a store.
pub struct SqliteSink {
    connection: Shared,
    keeper: Keeper,
    /// The configured windows, in the order of a row's.
    windows: Vec<Span>,
    buffer: Vec<u8>,
    has_warned: bool,
}

impl SqliteSink {
    pub(super) fn new(connection: Shared, limits: Limits, windows: &[Span]) -> rusqlite::Result<Self> {
        let series = all_series(&lock(&connection))?;
        Ok(Self {
            connection,
            keeper: Keeper::new(limits, series),
            windows: windows.to_vec(),
            buffer: Vec::new(),
            has_warned: false,
        })
    }

    fn write_all(&mut self, batch: &Batch) -> rusqlite::Result<()> {
        let Self { connection, keeper, windows, buffer, .. } = self;
        let mut connection = lock(connection);
        let transaction = connection.transaction()?;
        {
            let mut rows = Rows { connection: &transaction, keeper, buffer };
            let mut put = rows.statement(Kind::Scores)?;
            for s in &batch.scores {
                rows.put(&mut put, (Kind::Scores, &s.symbol, s.horizon), s.target_at, |out| write_score(s, out))?;
            }
            let mut put = rows.statement(Kind::Forecasts)?;
            for f in &batch.forecasts {
                rows.put(&mut put, (Kind::Forecasts, &f.symbol, f.horizon), f.target_at, |out| write_forecast(f, out))?;
            }
            let mut put = rows.statement(Kind::Bars)?;
            for row in &batch.rows {
                for (window, bar) in windows.iter().zip(&row.windows) {
                    if let Some(bar) = bar.as_ref().filter(|_| row.end.is_multiple_of(*window)) {
                        rows.put(&mut put, (Kind::Bars, &row.symbol, *window), row.end, |out| {
                            write_window(&row.symbol, *window, row.end, bar, out);
                        })?;
                    }
                }
            }
            note_through(&transaction, batch.through)?;
        }
        keeper.clean(&transaction, batch.through)?;
        transaction.commit()
    }
}

/// Puts a record into a table, over one of the same key.
pub(super) fn put_statement(connection: &Connection, kind: Kind) -> rusqlite::Result<CachedStatement<'_>> {
    let Table { name, .. } = table(kind);
    connection.prepare_cached(&format!("INSERT OR REPLACE INTO {name} VALUES (?, ?, ?, ?)"))
}

/// Up to where the store is complete. Never back: what is computed again after a kill is in it already.
pub(super) fn note_through(connection: &Connection, through: Timestamp) -> rusqlite::Result<()> {
    let mut about = connection.prepare_cached(
        "INSERT INTO about VALUES ('through', ?) \
         ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)",
    )?;
    about.execute([through.millis()]).map(|_| ())
}

/// What puts records into a table.
struct Rows<'a> {
    connection: &'a Connection,
    keeper: &'a mut Keeper,
    buffer: &'a mut Vec<u8>,
}

impl<'a> Rows<'a> {
    fn statement(&self, kind: Kind) -> rusqlite::Result<CachedStatement<'a>> {
        put_statement(self.connection, kind)
    }

    fn put(
        &mut self,
        statement: &mut CachedStatement<'_>,
        (kind, symbol, span): (Kind, &Symbol, Span),
        at: Timestamp,
        json: impl FnOnce(&mut Vec<u8>),
    ) -> rusqlite::Result<()> {
        self.buffer.clear();
        json(self.buffer);
        // What we write is UTF-8.
        let text = std::str::from_utf8(self.buffer).unwrap_or_default();
        statement.execute((symbol.as_str(), span.millis(), at.millis(), text))?;
        self.keeper.note(kind, symbol, span);
        Ok(())
    }
}

impl Sink for SqliteSink {
    fn name(&self) -> &'static str {
        "store"
    }

    fn wants(&self) -> Wants {
        Wants { bars: !self.windows.is_empty(), ..Wants::default() }
    }

    fn write(&mut self, batch: &Batch, stop: &Stop) -> Result<(), SinkError> {
        loop {
            let Err(error) = self.write_all(batch) else {
                self.has_warned = false;
                return Ok(());
            };
            Retrying::Store.note();
            if !self.has_warned {
                self.has_warned = true;
                tracing::warn!("http.store cannot be written: {error}; the job waits and tries again");
            }
            if stop.is_over() || !stop.sleep(PAUSE) {
                return Err(SinkError::Stopped);
            }
        }
    }
}
