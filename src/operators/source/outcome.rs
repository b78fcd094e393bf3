//! What becomes of a record, and what is said of it.

use crate::market::fixed::raw_to_f64;
use crate::market::{Observation, Ohlcv, Quote, Reported, Span, Timestamp};

/// The record at hand.
pub(super) struct Read<'a> {
    pub offset: u64,
    pub broker_time: Option<Timestamp>,
    pub key: Option<&'a [u8]>,
    /// None where it came from memory, decoded.
    pub bytes: Option<&'a [u8]>,
    /// A tick at or after this lies too far ahead.
    pub limit: Timestamp,
}

/// What became of one observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Used,
    /// Its pane had ended at or before its partition's watermark.
    Late,
    /// Its pane was closed while its partition was idle.
    Idle,
    Quarantined,
    /// A candle longer than a pane.
    SpansPanes(Span),
    /// Outside of `--from` and `--to`.
    Outside,
}

impl Outcome {
    /// Outcome and reason as they are counted; none for what is used.
    pub const fn words(&self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Used => None,
            Self::Outside => Some(("ignored", "outside")),
            Self::Quarantined => Some(("quarantined", "ahead")),
            Self::SpansPanes(_) => Some(("undecodable", "spans_panes")),
            Self::Idle => Some(("late", "idle")),
            Self::Late => Some(("late", "late")),
        }
    }
}

/// The event time that is held against the broker's stamp: of a candle, its open.
pub(super) fn begins(observation: &Observation) -> Timestamp {
    match observation.quote {
        Quote::Tick { .. } => observation.at,
        Quote::Candle { interval, .. } => observation.at.minus(interval).plus(Span::from_millis(1)),
    }
}

/// A candle as the `data` collection holds it.
pub(super) fn reported(bar: &Ohlcv) -> Reported {
    let [open, high, low, close] = [bar.open, bar.high, bar.low, bar.close].map(|price| Some(price.to_f64()));
    Reported { open, high, low, close, volume: Some(raw_to_f64(bar.volume)) }
}
