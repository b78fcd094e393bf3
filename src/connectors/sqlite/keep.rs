//! What is kept: not longer than a span of event time, and not more than so many bytes.

use super::{KINDS, Table, table};
use crate::delivery::reader::Kind;
use crate::market::{Span, Symbol, Timestamp};
use rusqlite::Connection;
use std::collections::BTreeSet;
use std::ops::Bound;

/// How much a store keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Event time.
    pub retention: Span,
    /// Bytes of its file, without the log.
    pub bytes_max: u64,
}

impl Limits {
    /// Everything is kept.
    pub const NONE: Self = Self { retention: Span::from_millis(i64::MAX), bytes_max: u64::MAX };
}

/// A symbol and horizon or window of a table.
pub(super) type Series = (Kind, Symbol, Span);

/// At least so many series are looked at with each write.
const SERIES_AT_LEAST: usize = 64;
/// All of them within so many writes.
const WRITES_PER_ROUND: usize = 64;

/// Takes away what is too old, a few series with each write, so that no write takes long.
pub(super) struct Keeper {
    limits: Limits,
    series: BTreeSet<Series>,
    /// The last one that was looked at.
    after: Option<Series>,
    /// What is before this goes.
    floor: Timestamp,
}

impl Keeper {
    pub fn new(limits: Limits, series: BTreeSet<Series>) -> Self {
        Self { limits, series, after: None, floor: Timestamp::MIN }
    }

    /// All was replaced: what is too old is told anew.
    pub fn begin_again(&mut self) {
        (self.after, self.floor) = (None, Timestamp::MIN);
    }

    /// There are records of this series.
    pub fn note(&mut self, kind: Kind, symbol: &Symbol, span: Span) {
        // Looked up before it is cloned: nearly all are known.
        let key = (kind, symbol.clone(), span);
        if !self.series.contains(&key) {
            self.series.insert(key);
        }
    }

    /// Takes away what has become too old by `through`; within a transaction.
    pub fn clean(&mut self, connection: &Connection, through: Timestamp) -> rusqlite::Result<()> {
        if self.after.is_none() {
            self.floor = self.floor.max(through.minus(self.limits.retention));
            let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
            let used = (number("page_count")? - number("freelist_count")?).saturating_mul(number("page_size")?);
            if u64::try_from(used).unwrap_or(0) > self.limits.bytes_max {
                // The oldest eighth of the time that is kept.
                let kept = through.millis().saturating_sub(self.floor.millis());
                self.floor = self.floor.plus(Span::from_millis(kept / 8 + 1));
            }
        }
        let share = SERIES_AT_LEAST.max(self.series.len() / WRITES_PER_ROUND + 1);
        let from = self.after.clone().map_or(Bound::Unbounded, Bound::Excluded);
        let some: Vec<Series> = self.series.range((from, Bound::Unbounded)).take(share).cloned().collect();
        self.after = if some.len() < share { None } else { some.last().cloned() };
        for (kind, symbol, span) in some {
            let Table { name, span: span_column, at } = table(kind);
            let sql = format!("DELETE FROM {name} WHERE symbol = ? AND {span_column} = ? AND {at} < ?");
            let mut delete = connection.prepare_cached(&sql)?;
            delete.execute((symbol.as_str(), span.millis(), self.floor.millis()))?;
        }
        Ok(())
    }
}

/// The series that there are records of, by one look at each.
pub(super) fn series(connection: &Connection, kind: Kind) -> rusqlite::Result<Vec<(Symbol, Span)>> {
    let Table { name, span, .. } = table(kind);
    let sql =
        format!("SELECT symbol, {span} FROM {name} WHERE (symbol, {span}) > (?, ?) ORDER BY symbol, {span} LIMIT 1");
    let mut next = connection.prepare_cached(&sql)?;
    let mut last = (String::new(), i64::MIN);
    let mut found = Vec::new();
    loop {
        let row = next.query_row((&last.0, last.1), |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)));
        match row {
            Ok(row) => {
                if let Ok(symbol) = Symbol::new(&row.0) {
                    found.push((symbol, Span::from_millis(row.1)));
                }
                last = row;
            }
            Err(rusqlite::Error::QueryReturnedNoRows) => return Ok(found),
            Err(error) => return Err(error),
        }
    }
}

/// The horizons or windows of one symbol.
pub(super) fn spans(connection: &Connection, kind: Kind, symbol: &Symbol) -> rusqlite::Result<Vec<Span>> {
    let Table { name, span, .. } = table(kind);
    let sql = format!("SELECT min({span}) FROM {name} WHERE symbol = ? AND {span} > ?");
    let mut next = connection.prepare_cached(&sql)?;
    let (mut found, mut last) = (Vec::new(), i64::MIN);
    while let Some(span) = next.query_row((symbol.as_str(), last), |row| row.get::<_, Option<i64>>(0))? {
        found.push(Span::from_millis(span));
        last = span;
    }
    Ok(found)
}

/// The same of all tables.
pub(super) fn all_series(connection: &Connection) -> rusqlite::Result<BTreeSet<Series>> {
    let mut all = BTreeSet::new();
    for kind in KINDS {
        all.extend(series(connection, kind)?.into_iter().map(|(symbol, span)| (kind, symbol, span)));
    }
    Ok(all)
}
