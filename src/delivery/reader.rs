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

    /// The horizons or windows of one symbol that there are records of, ascending.
    ///
    /// # Errors
    /// As [`Reader::read`].
    fn spans(&self, kind: Kind, symbol: &Symbol) -> Result<Vec<Span>, ReadError> {
        let all = self.series(kind)?.into_iter();
        Ok(all.filter(|(other, _)| other == symbol).map(|(_, span)| span).collect())
    }
}
