//! The other side of a [`Sink`](super::Sink): what was delivered, read back.

use crate::market::{Span, Symbol, Timestamp};

/// What is read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Forecasts, by their target times.
    Forecasts,
    /// Scores, by their target times.
    Scores,
    /// Bars: windows of feature rows, by their ends.
    Bars,
}

/// Which of a series are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// Not before this. Where it is given the first ones are wanted, else the last.
    pub from: Option<Timestamp>,
    /// Before this.
    pub to: Option<Timestamp>,
    /// At most so many.
    pub limit: usize,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The time that it is kept by.
    pub at: Timestamp,
    /// Its JSON, as it was delivered.
    pub json: String,
}

/// One record, and what it is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// What it is.
    pub kind: Kind,
    /// Of which symbol.
    pub symbol: Symbol,
    /// Of which horizon or window.
    pub span: Span,
    /// The time that it is kept by.
    pub at: Timestamp,
    /// Its JSON.
    pub json: String,
}

/// Why nothing could be read.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct ReadError(pub String);

/// Results that were delivered, of one job.
pub trait Reader: Send + Sync {
    /// Where it reads, for people.
    fn name(&self) -> &str;

    /// Records of one symbol and horizon (of bars: window), ascending by time.
    ///
    /// # Errors
    /// When they cannot be read.
    fn read(&self, kind: Kind, symbol: &Symbol, span: Span, range: Range) -> Result<Vec<Line>, ReadError>;

    /// The symbols and horizons (of bars: windows) that there are records of, by symbol bytes, then by length.
    ///
    /// # Errors
    /// As [`Reader::read`].
    fn series(&self, kind: Kind) -> Result<Vec<(Symbol, Span)>, ReadError>;

    /// End of the last pane that it has everything of; none where that is not known.
    ///
    /// # Errors
    /// As [`Reader::read`].
    fn through(&self) -> Result<Option<Timestamp>, ReadError> {
        Ok(None)
    }

    /// Changes where all that was delivered was replaced, as by another backfill.
    ///
    /// # Errors
    /// As [`Reader::read`].
    fn history(&self) -> Result<i64, ReadError> {
        Ok(0)
    }

    /// The horizons or windows of one symbol that there are records of, ascending.
    ///
    /// # Errors
    /// As [`Reader::read`].
    fn spans(&self, kind: Kind, symbol: &Symbol) -> Result<Vec<Span>, ReadError> {
        let all = self.series(kind)?.into_iter();
        Ok(all.filter(|(other, _)| other == symbol).map(|(_, span)| span).collect())
    }
}

/// Two places of the same results: what is near goes back to some time, the other goes back further.
///
/// What `near` holds of a series it holds without a hole up to its end.
pub struct Layered<N, F> {
    near: N,
    far: F,
    name: String,
}

impl<N: Reader, F: Reader> Layered<N, F> {
    /// Of both.
    pub fn new(near: N, far: F) -> Self {
        let name = format!("{}, and before that {}", near.name(), far.name());
        Self { near, far, name }
    }
}

impl<N: Reader, F: Reader> Reader for Layered<N, F> {
    fn name(&self) -> &str {
        &self.name
    }

    fn read(&self, kind: Kind, symbol: &Symbol, span: Span, range: Range) -> Result<Vec<Line>, ReadError> {
        let of = |place: &dyn Reader, range| place.read(kind, symbol, span, range);
        let Some(from) = range.from else {
            let mut near = of(&self.near, range)?;
            if near.len() >= range.limit {
                return Ok(near);
            }
            let to = near.first().map(|line| line.at).or(range.to);
            let mut lines = of(&self.far, Range { to, limit: range.limit - near.len(), ..range })?;
            lines.append(&mut near);
            return Ok(lines);
        };
        let first =
            of(&self.near, Range { from: Some(Timestamp::MIN), to: None, limit: 1 })?.first().map(|line| line.at);
        let mut lines = match first {
            Some(first) if first <= from => vec![],
            // Before the first that is near, or all where none is.
            first => of(&self.far, Range { to: first.into_iter().chain(range.to).min(), ..range })?,
        };
        if lines.len() < range.limit && first.is_some() {
            lines.extend(of(&self.near, Range { limit: range.limit - lines.len(), ..range })?);
        }
        Ok(lines)
    }

    fn series(&self, kind: Kind) -> Result<Vec<(Symbol, Span)>, ReadError> {
        let mut all = self.near.series(kind)?;
        all.extend(self.far.series(kind)?);
        all.sort();
        all.dedup();
        Ok(all)
    }

    fn through(&self) -> Result<Option<Timestamp>, ReadError> {
        self.near.through()
    }

    fn spans(&self, kind: Kind, symbol: &Symbol) -> Result<Vec<Span>, ReadError> {
        let mut all = self.near.spans(kind, symbol)?;
        match self.far.spans(kind, symbol) {
            Ok(more) => all.extend(more),
            // What is near can be asked for while the other is away.
            Err(_) if !all.is_empty() => {}
            Err(error) => return Err(error),
        }
        all.sort();
        all.dedup();
        Ok(all)
    }
}

impl<R: Reader + ?Sized> Reader for std::sync::Arc<R> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn read(&self, kind: Kind, symbol: &Symbol, span: Span, range: Range) -> Result<Vec<Line>, ReadError> {
        (**self).read(kind, symbol, span, range)
    }

    fn series(&self, kind: Kind) -> Result<Vec<(Symbol, Span)>, ReadError> {
        (**self).series(kind)
    }

    fn through(&self) -> Result<Option<Timestamp>, ReadError> {
        (**self).through()
    }

    fn history(&self) -> Result<i64, ReadError> {
        (**self).history()
    }

    fn spans(&self, kind: Kind, symbol: &Symbol) -> Result<Vec<Span>, ReadError> {
        (**self).spans(kind, symbol)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// One series of records at these times.
    struct Held(std::ops::Range<i64>);

    impl Reader for Held {
        fn name(&self) -> &str {
            "held"
        }

        fn read(&self, _: Kind, _: &Symbol, _: Span, range: Range) -> Result<Vec<Line>, ReadError> {
            let from = range.from.map_or(i64::MIN, Timestamp::millis);
            let to = range.to.map_or(i64::MAX, Timestamp::millis);
            let line = |at: i64| Line { at: Timestamp::from_millis(at), json: at.to_string() };
            let mut lines: Vec<Line> = self.0.clone().filter(|at| (from..to).contains(at)).map(line).collect();
            if range.from.is_some() {
                lines.truncate(range.limit);
            } else {
                lines.drain(..lines.len().saturating_sub(range.limit));
            }
            Ok(lines)
        }

        fn series(&self, _: Kind) -> Result<Vec<(Symbol, Span)>, ReadError> {
            Ok(vec![])
        }
    }

    proptest! {
        /// Both together are as one that holds all.
        #[test]
        fn two_places_are_as_one(
            seam in 0_i64..40,
            behind in 0_i64..5,
            from in prop::option::of(-5_i64..45),
            to in prop::option::of(-5_i64..45),
            limit in 1_usize..50,
        ) {
            let far = if seam == 40 { 0..40 } else { 0..(40 - behind).max(seam) };
            let both = Layered::new(Held(seam..40), Held(far));
            let at = |at: Option<i64>| at.map(Timestamp::from_millis);
            let range = Range { from: at(from), to: at(to), limit };
            let (symbol, span) = (Symbol::new("A").unwrap(), Span::from_millis(1));
            let read = |reader: &dyn Reader| reader.read(Kind::Scores, &symbol, span, range).unwrap();
            prop_assert_eq!(read(&both), read(&Held(0..40)));
        }
    }
}
