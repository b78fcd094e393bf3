//! What a file holds, row by row: a checksum that agrees says that it is what the venue has, not that it is right.
//!
//! Rows are read as the job reads them. Trades are numbered by their ids, candles by the interval since 1970 in which they open.

use crate::config::{FilesSourceConfig, Format, HistoryKind};
use crate::connectors::files::index::Point;
use crate::connectors::files::input::FilesInput;
use crate::connectors::input::{Flow, Input, PartitionState, Payload, Record};
use crate::delivery::Stop;
use crate::formats::{Decoded, Decoder};
use crate::market::{Observation, PartitionId, Quote, Span, SymbolTable, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::Path;

/// Breaks that are told apart; a month of candles of a minute has no more.
const BREAKS_MAX: usize = 50_000;
/// Rows that are read at once.
const ROWS: usize = 4096;
/// A file is the only one that its reader has.
const ONE: PartitionId = PartitionId(0);
/// Rows out of their place that are kept in memory, at most: a file with more is no good.
pub const DISPLACED_MAX: usize = 1_000_000;

/// The greatest id: a job takes greater ones for words, not for numbers.
pub const NUMBER_MAX: u64 = (1 << 59) - 1;

/// What the rows of a file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rows {
    /// Candles or trades.
    pub kind: HistoryKind,
    /// Of candles.
    pub interval: Span,
    /// Each number follows the one before; else they are not compared.
    pub contiguous: bool,
    /// So far outside of its period a row may lie: some sort by when they heard of it.
    pub slack: Span,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// Records.
    pub rows: u64,
    /// The first one.
    pub first: Option<Point>,
    /// The one with the greatest.
    pub last: Option<Point>,
    /// Where numbers leave some out: the record before and the one behind.
    pub breaks: Vec<(Point, Point)>,
    /// Rows whose number was there before.
    pub repeated: u64,
    /// Rows that come behind greater numbers, and were not there before.
    pub displaced: u64,
    /// Candles that do not open at a multiple of their length.
    pub off_grid: u64,
}

impl Content {
    /// Whether each number comes once, in its place.
    #[must_use]
    pub const fn is_tidy(&self) -> bool {
        self.repeated == 0 && self.displaced == 0
    }
}

impl Rows {
    /// Hands each row of a file to `visit`, with its place; that has no number where rows are not numbered.
    ///
    /// # Errors
    /// When the file is damaged, or a row cannot be used.
    pub fn each(self, path: &Path, mut visit: impl FnMut(Point, &[u8])) -> Result<(), String> {
        let mut reader = self.open(path)?;
        while reader.next(&mut |point, _, row| visit(point, row))? {}
        Ok(())
    }

    /// Opens a file, to read it some rows at a time.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn open(self, path: &Path) -> Result<Reader, String> {
        let interval = (self.kind == HistoryKind::Klines).then_some(self.interval);
        let config = FilesSourceConfig {
            paths: vec![path.to_owned()],
            symbol: Some("X".to_owned()),
            interval,
            ..FilesSourceConfig::default()
        };
        let format = if interval.is_some() { Format::Candle } else { Format::Trade };
        quietly(|| {
            let input = FilesInput::open(&config, format, 0, 1).map_err(|error| error.to_string())?;
            let decoder = input.decoder(ONE).map_err(|error| error.to_string())?;
            Ok(Reader { rows: self, input, decoder, symbols: SymbolTable::default(), seen: Vec::new() })
        })
    }

    fn point(self, seen: &Observation) -> Option<Point> {
        match seen.quote {
            Quote::Candle { interval, .. } => {
                // It is known at its close.
                let open = seen.at.millis() + 1 - interval.millis();
                (interval == self.interval)
                    .then_some(Point { id: open.div_euclid(interval.millis().max(1)).try_into().ok()?, at: open })
            }
            _ if !self.contiguous => Some(Point { id: 0, at: seen.at.millis() }),
            _ => Some(Point { id: seen.identity?.number()?, at: seen.at.millis() }),
        }
    }

    /// Looks at a file whose rows should lie in [begin, end).
    ///
    /// # Errors
    /// What is wrong with it, for people; and when it was stopped.
    pub fn look(self, path: &Path, (begin, end): (Timestamp, Timestamp), stop: &Stop) -> Result<Content, String> {
        let mut content = Content::default();
        let (begin, end) = (begin.minus(self.slack).millis(), end.plus(self.slack).millis());
        let (mut outside, mut example) = (0_u64, 0);
        let mut order = Order::default();
        let step = self.interval.millis().max(1);
        let mut take = |point: Point, _: &Observation, _: &[u8]| {
            content.rows += 1;
            if point.at < begin || point.at >= end {
                outside += 1;
                example = point.at;
            }
            if self.kind == HistoryKind::Klines && point.at.rem_euclid(step) != 0 {
                content.off_grid += 1;
            }
            if !self.contiguous {
                content.first = content.first.or(Some(point));
                content.last = Some(point);
                return;
            }
            match order.take(point) {
                Taken::Next => {}
                Taken::Displaced => content.displaced += 1,
                Taken::Repeated => content.repeated += 1,
            }
        };
        let mut reader = self.open(path)?;
        while reader.next(&mut take)? {
            if stop.requested() {
                return Err("stopped".to_owned());
            }
        }
        if self.contiguous {
            (content.first, content.last) = (order.first, order.last);
            if order.displaced.len() >= DISPLACED_MAX {
                return Err(format!("{DISPLACED_MAX} of its rows or more are out of their place"));
            }
            content.breaks = order.breaks;
        }
        if outside > 0 {
            let [at, begin, end] = [example, begin, end].map(Timestamp::from_millis);
            return Err(format!(
                "{outside} of its {} rows do not lie in {begin} to {end}: one is of {at}",
                content.rows
            ));
        }
        Ok(content)
    }
}

/// What a reader says of a file is not news here.
fn quietly<T>(work: impl FnOnce() -> T) -> T {
    tracing::subscriber::with_default(tracing::subscriber::NoSubscriber::new(), work)
}

/// A file that is read some rows at a time.
pub struct Reader {
    rows: Rows,
    input: FilesInput,
    decoder: Decoder,
    symbols: SymbolTable,
    seen: Vec<Observation>,
}

impl Reader {
    /// Hands the next rows to `visit`: each with its place, and what the job reads in it; false at the end.
    ///
    /// # Errors
    /// When the file is damaged, or a row cannot be used.
    pub fn next(&mut self, visit: &mut dyn FnMut(Point, &Observation, &[u8])) -> Result<bool, String> {
        let Self { rows, input, decoder, symbols, seen } = self;
        let mut wrong = None;
        let mut take = |record: Record<'_>, symbols: &mut SymbolTable| {
            let row = match record.value {
                Payload::Bytes(row) => row,
                Payload::Decoder(new) => {
                    *decoder = new;
                    return Flow::Continue;
                }
                _ => return Flow::Continue,
            };
            seen.clear();
            match decoder.decode(None, row, symbols, seen) {
                Ok(Decoded::Ignored(_)) => {}
                Ok(Decoded::Used) if seen.len() == 1 => match rows.point(&seen[0]) {
                    Some(point) => visit(point, &seen[0], row),
                    None => wrong = Some(format!("row {} has no id, or another interval", record.offset + 1)),
                },
                Ok(_) => wrong = Some(format!("row {} holds several", record.offset + 1)),
                Err(error) => wrong = Some(format!("row {}: {error}", record.offset + 1)),
            }
            if wrong.is_some() { Flow::Pause } else { Flow::Continue }
        };
        let state = quietly(|| input.read(ONE, ROWS, symbols, &mut take)).map_err(|error| error.to_string())?;
        wrong.map_or(Ok(state != PartitionState::Ended), Err)
    }
}

/// What a row is, as numbers go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Behind all before it.
    Next,
    /// Behind greater ones, and not there before.
    Displaced,
    /// There before.
    Repeated,
}

/// Tells rows apart by their numbers, in the order in which they come.
#[derive(Debug, Default)]
pub struct Order {
    /// The first row.
    first: Option<Point>,
    /// The one with the greatest number.
    last: Option<Point>,
    /// Where numbers were left out.
    breaks: Vec<(Point, Point)>,
    /// Those that came later than their place.
    displaced: BTreeSet<u64>,
}

impl Order {
    /// Takes the next row.
    pub fn take(&mut self, point: Point) -> Taken {
        let (Some(first), Some(last)) = (self.first, self.last) else {
            (self.first, self.last) = (Some(point), Some(point));
            return Taken::Next;
        };
        if point.id > last.id {
            if point.id - last.id > 1 && self.breaks.len() < BREAKS_MAX {
                self.breaks.push((last, point));
            }
            self.last = Some(point);
            return Taken::Next;
        }
        // Breaks ascend.
        let at = self.breaks.partition_point(|(_, before)| before.id <= point.id);
        let is_missing = self.breaks.get(at).is_some_and(|(after, _)| after.id < point.id);
        let is_new = (is_missing || point.id < first.id) && self.displaced.len() < DISPLACED_MAX;
        if is_new && self.displaced.insert(point.id) { Taken::Displaced } else { Taken::Repeated }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_told_apart_by_their_numbers() {
        use Taken::{Displaced, Next, Repeated};
        let mut order = Order::default();
        let rows = [
            (5, Next),
            (6, Next),
            (9, Next),
            (9, Repeated),
            (5, Repeated),
            (7, Displaced),
            (7, Repeated),
            (2, Displaced),
            (20, Next),
            (8, Displaced),
            (10, Displaced),
            (6, Repeated),
        ];
        for (id, expected) in rows {
            assert_eq!(order.take(Point { id, at: 0 }), expected, "{id}");
        }
        assert_eq!(order.breaks.len(), 2);
    }
}
