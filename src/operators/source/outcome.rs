//! What becomes of an observation, and what an observation says of itself.

use super::SourceConfig;
use crate::config::LatePolicy;
use crate::market::fixed::raw_to_f64;
use crate::market::{Observation, Ohlcv, Quote, Reported, Span, Timestamp};

/// What became of one observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Used,
    /// Its pane had ended at or before its partition's watermark.
    Late,
    /// Its pane was closed while its partition was idle.
    Idle,
    Quarantined,
    /// Its partition has as many symbols as it may have.
    TooManySymbols,
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
            Self::TooManySymbols => Some(("undecodable", "too_many_symbols")),
            Self::SpansPanes(_) => Some(("undecodable", "spans_panes")),
            Self::Idle => Some(("late", "idle")),
            Self::Late => Some(("late", "late")),
        }
    }

    /// What its dead letter says; none where it becomes none.
    pub fn error(&self, config: &SourceConfig) -> Option<String> {
        let (slide, ahead, after) = (config.slide.span(), config.max_ahead, config.forget_after);
        let is_wanted = config.late == LatePolicy::DeadLetter;
        match self {
            Self::Quarantined => Some(format!("its event time is more than {ahead} ahead of the broker's timestamp")),
            Self::SpansPanes(interval) => {
                Some(format!("a candle of {interval} spans several panes of {slide}: set time.slide to {interval}"))
            }
            Self::TooManySymbols => Some(format!(
                "too_many_symbols: its partition has as many symbols with a tick in the last {after} as source.symbols_max = {} allows",
                config.symbols_max
            )),
            Self::Late if is_wanted => Some("late: its pane had closed".to_owned()),
            Self::Idle if is_wanted => Some("late: its pane had closed while its partition was idle".to_owned()),
            Self::Late | Self::Idle | Self::Outside | Self::Used => None,
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
