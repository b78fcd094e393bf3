//! Writes batches: one transaction each.

use super::keep::{Keeper, Limits, all_series};
use super::{Shared, Table, lock, table};
use crate::delivery::reader::Kind;
use crate::delivery::{Batch, Retrying, Sink, SinkError, Stop, Wants};
use crate::market::json::{write_forecast, write_score, write_window};
use crate::market::{FeatureRow, Forecast, Score, Span, Symbol, Timestamp};
use rusqlite::{CachedStatement, Connection};
use std::time::Duration;

/// Before a write is tried again.
const PAUSE: Duration = Duration::from_millis(500);

/// Forecasts, scores and rows that are written at once while readers wait: some milliseconds.
const ITEMS_SHARED: usize = 128;
/// How long readers then have.
const BREATH: Duration = Duration::from_micros(200);

/// The sink of a store.
pub struct SqliteSink {
    connection: Shared,
    keeper: Keeper,
    /// The configured windows, in the order of a row's.
    windows: Vec<Span>,
    buffer: Vec<u8>,
    /// What a transaction takes in: all of a batch where readers have connections of their own, little where they wait for this one.
    items_at_once: usize,
    has_warned: bool,
}

impl SqliteSink {
    pub(super) fn new(
        connection: Shared,
        limits: Limits,
        windows: &[Span],
        shares_connection: bool,
    ) -> rusqlite::Result<Self> {
        let series = all_series(&lock(&connection))?;
        Ok(Self {
            connection,
            keeper: Keeper::new(limits, series),
            windows: windows.to_vec(),
            buffer: Vec::new(),
            items_at_once: if shares_connection { ITEMS_SHARED } else { usize::MAX },
            has_warned: false,
        })
    }

    fn write_all(&mut self, batch: &Batch) -> rusqlite::Result<()> {
        let items: Vec<Item<'_>> = batch
            .scores
            .iter()
            .map(Item::Score)
            .chain(batch.forecasts.iter().map(Item::Forecast))
            .chain(batch.rows.iter().map(Item::Row))
            .collect();
        let (whole, rest) = items.split_at(items.len() - items.len() % self.items_at_once);
        for piece in whole.chunks(self.items_at_once) {
            self.write_piece(piece, batch.through, false)?;
            // Somebody who waits for the lock gets it.
            std::thread::sleep(BREATH);
        }
        self.write_piece(rest, batch.through, true)
    }

    /// One transaction; with the last one of a batch, that the store is complete through there.
    fn write_piece(&mut self, items: &[Item<'_>], through: Timestamp, is_last: bool) -> rusqlite::Result<()> {
        let Self { connection, keeper, windows, buffer, .. } = self;
        let mut connection = lock(connection);
        let transaction = connection.transaction()?;
        let mut rows = Rows { connection: &transaction, keeper, buffer };
        for item in items {
            match item {
                Item::Score(s) => {
                    rows.put((Kind::Scores, &s.symbol, s.horizon), s.target_at, |out| write_score(s, out))?;
                }
                Item::Forecast(f) => {
                    rows.put((Kind::Forecasts, &f.symbol, f.horizon), f.target_at, |out| write_forecast(f, out))?;
                }
                Item::Row(row) => {
                    for (window, bar) in windows.iter().zip(&row.windows) {
                        if let Some(bar) = bar.as_ref().filter(|_| row.end.is_multiple_of(*window)) {
                            rows.put((Kind::Bars, &row.symbol, *window), row.end, |out| {
                                write_window(&row.symbol, *window, row.end, bar, out);
                            })?;
                        }
                    }
                }
            }
        }
        if is_last {
            note_through(&transaction, through)?;
        }
        keeper.clean(&transaction, through, items.len())?;
        transaction.commit()
    }
}

/// What becomes one record, or of a row one for each window.
enum Item<'a> {
    Score(&'a Score),
    Forecast(&'a Forecast),
    Row(&'a FeatureRow),
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

impl Rows<'_> {
    fn put(
        &mut self,
        (kind, symbol, span): (Kind, &Symbol, Span),
        at: Timestamp,
        json: impl FnOnce(&mut Vec<u8>),
    ) -> rusqlite::Result<()> {
        self.buffer.clear();
        json(self.buffer);
        // What we write is UTF-8.
        let text = std::str::from_utf8(self.buffer).unwrap_or_default();
        let mut statement = put_statement(self.connection, kind)?;
        statement.execute((symbol.as_str(), span.millis(), at.millis(), text))?;
        self.keeper.note(kind, symbol, span, at);
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
