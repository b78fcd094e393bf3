//! What becomes of a record, and what is said of it.

use super::SourceConfig;
use super::live::SymbolLimits;
use crate::config::LatePolicy;
use crate::market::{Observation, Quote, Span, Timestamp};
use crate::operators::support::stats::Records;
use std::borrow::Cow;

/// The record at hand.
pub(super) struct Read<'a> {
    pub offset: u64,
    pub broker_time: Option<Timestamp>,
    pub key: Option<&'a [u8]>,
    /// None where it came from memory, decoded.
    pub bytes: Option<&'a [u8]>,
    pub bounds: Bounds,
}

/// What holds during one read.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// A tick at or after this lies too far ahead.
    pub limit: Timestamp,
    pub symbols: SymbolLimits,
}

/// What became of one observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Used,
    /// Its pane had ended at or before its partition's watermark.
    Late,
    /// Its pane was closed while its partition was idle.
    Idle,
    /// Too far ahead of its broker's stamp.
    Quarantined,
    /// Too far ahead of everything before it in its partition, and what followed came back.
    Jumped,
    /// Its partition has as many symbols as it may have.
    TooManySymbols,
    /// A candle longer than a pane.
    SpansPanes(Span),
    /// Outside of `--from` and `--to`.
    Outside,
    /// The history that comes before the topic has it.
    History,
    /// It was used already. What an open pane may still take from it, another look at a candle, goes on all the same.
    Duplicate,
}

impl Outcome {
    /// Outcome and reason as they are counted; none for what is used.
    pub const fn words(&self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Used => None,
            Self::Outside => Some(("ignored", "outside")),
            Self::History => Some(("ignored", "history")),
            Self::Duplicate => Some(("ignored", "duplicate")),
            Self::Quarantined => Some(("quarantined", "ahead")),
            Self::Jumped => Some(("quarantined", "jumped")),
            Self::TooManySymbols => Some(("undecodable", "too_many_symbols")),
            Self::SpansPanes(_) => Some(("undecodable", "spans_panes")),
            Self::Idle => Some(("late", "idle")),
            Self::Late => Some(("late", "late")),
        }
    }

    /// The outcome of a record of which nothing was used. What lies outside of the range was not asked for, and what comes again
    /// was used: another fate says more.
    pub fn telling(outcomes: &[Self]) -> Option<&Self> {
        outcomes
            .iter()
            .find(|outcome| !matches!(outcome, Self::Outside | Self::History | Self::Duplicate))
            .or(outcomes.first())
    }

    /// Where it is counted.
    pub const fn counter<'r>(&self, records: &'r mut Records) -> &'r mut u64 {
        match self {
            Self::Used => &mut records.used,
            Self::Late | Self::Idle => &mut records.late,
            Self::Quarantined | Self::Jumped => &mut records.quarantined,
            Self::SpansPanes(_) | Self::TooManySymbols => &mut records.undecodable,
            Self::Outside | Self::History | Self::Duplicate => &mut records.ignored,
        }
    }

    /// Why it was refused; none where it was not.
    pub fn error(&self, config: &SourceConfig) -> Option<Cow<'static, str>> {
        let (slide, ahead, after) = (config.slide.span(), config.max_ahead, config.forget_after);
        match self {
            Self::Quarantined => {
                Some(format!("its event time is more than {ahead} ahead of the broker's timestamp").into())
            }
            Self::Jumped => Some(
                format!("its event time is more than {ahead} ahead of what came before it in its partition, and the next record came back").into(),
            ),
            Self::SpansPanes(interval) => {
                Some(format!("a candle of {interval} spans several panes of {slide}: set time.slide to {interval}").into())
            }
            Self::TooManySymbols => Some(
                format!(
                    "too_many_symbols: its partition has as many symbols with a tick in the last {after} as source.symbols_max = {} allows",
                    config.symbols_max
                )
                .into(),
            ),
            Self::Late => Some("late: its pane had closed".into()),
            Self::Idle => Some("late: its pane had closed while its partition was idle".into()),
            Self::Outside | Self::History | Self::Duplicate | Self::Used => None,
        }
    }

    /// Whether it becomes a dead letter, being refused.
    pub fn is_dead_letter(&self, config: &SourceConfig) -> bool {
        config.late == LatePolicy::DeadLetter || !matches!(self, Self::Late | Self::Idle)
    }
}

/// The event time that is held against the broker's stamp: of a candle, its open.
pub(super) fn begins(observation: &Observation) -> Timestamp {
    match observation.quote {
        Quote::Tick { .. } | Quote::Large(_) => observation.at,
        Quote::Candle { interval, .. } => observation.at.minus(interval).plus(Span::from_millis(1)),
    }
}
