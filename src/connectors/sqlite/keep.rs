//! What is kept: not longer than a span of event time, and not more than so many bytes.

use super::{KINDS, Table, table};
use crate::delivery::reader::Kind;
use crate::market::{Span, Symbol, Timestamp};
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet};
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

/// Takes away what is too old, of as many series with each write as records came in: no write takes long, and no more comes in than one
/// record of each series before all of them were looked at.
pub(super) struct Keeper {
    limits: Limits,
    /// Each with a time that none of its records is before.
    series: BTreeMap<Series, Timestamp>,
    /// The last one that was looked at.
    after: Option<Series>,
    /// What is before this goes.
    floor: Timestamp,
    /// The oldest record of the series that were looked at in this round.
    oldest: Timestamp,
}

impl Keeper {
    pub fn new(limits: Limits, series: BTreeSet<Series>) -> Self {
        // What they hold is not known before it is looked at.
        let series = series.into_iter().map(|series| (series, Timestamp::MIN)).collect();
        Self { limits, series, after: None, floor: Timestamp::MIN, oldest: Timestamp::MAX }
    }

    /// All was replaced: what is too old is told anew.
    pub fn begin_again(&mut self) {
        (self.after, self.floor, self.oldest) = (None, Timestamp::MIN, Timestamp::MAX);
    }

    /// There is a record of this series.
    pub fn note(&mut self, kind: Kind, symbol: &Symbol, span: Span, at: Timestamp) {
        self.series.entry((kind, symbol.clone(), span)).and_modify(|first| *first = at.min(*first)).or_insert(at);
    }

    /// Takes away what has become too old by `through`, after so many records were written; within a transaction.
    pub fn clean(&mut self, connection: &Connection, through: Timestamp, written: usize) -> rusqlite::Result<()> {
        if self.after.is_none() {
            let oldest = std::mem::replace(&mut self.oldest, Timestamp::MAX);
            self.floor = self.floor.max(through.minus(self.limits.retention));
            let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
            let used = (number("page_count")? - number("freelist_count")?).saturating_mul(number("page_size")?);
            let used = u64::try_from(used).unwrap_or(0);
            if used > self.limits.bytes_max && oldest < through {
                // As much of the time that is kept as is too much, and an eighth more.
                let from = self.floor.max(oldest);
                let kept = through.millis().saturating_sub(from.millis()) as f64;
                let fits = kept * 0.875 * (self.limits.bytes_max as f64 / used as f64);
                self.floor = from.plus(Span::from_millis((kept - fits) as i64 + 1));
            }
        }
        let share = SERIES_AT_LEAST.max(written);
        let from = self.after.clone().map_or(Bound::Unbounded, Bound::Excluded);
        let (mut looked_at, mut last) = (0, None);
        for (series, first) in self.series.range_mut((from, Bound::Unbounded)).take(share) {
            looked_at += 1;
            if *first < self.floor {
                *first = trim(connection, series, self.floor)?;
            }
            self.oldest = self.oldest.min(*first);
            last = Some(series);
        }
        self.after = last.filter(|_| looked_at == share).cloned();
        Ok(())
    }
}

/// Takes away what a series has from before `floor`, and returns the first moment that is left; [`Timestamp::MAX`] when none is.
fn trim(connection: &Connection, (kind, symbol, span): &Series, floor: Timestamp) -> rusqlite::Result<Timestamp> {
    let Table { name, span: span_column, at } = table(*kind);
    let sql = format!("DELETE FROM {name} WHERE symbol = ? AND {span_column} = ? AND {at} < ?");
    connection.prepare_cached(&sql)?.execute((symbol.as_str(), span.millis(), floor.millis()))?;
    let sql = format!("SELECT min({at}) FROM {name} WHERE symbol = ? AND {span_column} = ?");
    let mut first = connection.prepare_cached(&sql)?;
    let first: Option<i64> = first.query_row((symbol.as_str(), span.millis()), |row| row.get(0))?;
    Ok(first.map_or(Timestamp::MAX, Timestamp::from_millis))
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
