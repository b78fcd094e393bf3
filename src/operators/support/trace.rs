//! A question to the operators: what is one forecast made of? Nobody asks in a run that publishes.

use crate::market::{FeatureRow, Span, Symbol, Timestamp};
use crate::model::lineage::Lineage;
use std::sync::{Mutex, PoisonError};

/// Asks what one forecast is made of.
#[derive(Debug)]
pub struct Trace {
    /// Of which symbol.
    pub symbol: Symbol,
    /// How far ahead.
    pub horizon: Span,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// Whether other symbols need not learn: nothing of it depends on what they have learnt.
    pub alone: bool,
    /// The ticks that are asked for, `[from, to)` in event time.
    pub ticks: (Timestamp, Timestamp),
    answer: Mutex<Option<Lineage>>,
}

impl Trace {
    /// Asks.
    #[must_use]
    pub fn new(
        symbol: Symbol,
        horizon: Span,
        issued_at: Timestamp,
        alone: bool,
        ticks: (Timestamp, Timestamp),
    ) -> Self {
        Self { symbol, horizon, issued_at, alone, ticks, answer: Mutex::new(None) }
    }

    /// Whether a symbol has to learn.
    #[must_use]
    pub fn needs(&self, symbol: &Symbol) -> bool {
        !self.alone || *symbol == self.symbol
    }

    /// Leaves out the rows of symbols that need not learn.
    pub fn keep(&self, rows: &mut Vec<FeatureRow>) {
        if self.alone {
            rows.retain(|row| row.symbol == self.symbol);
        }
    }

    /// Answers.
    pub fn answer(&self, lineage: Lineage) {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(lineage);
    }

    /// The answer; none where nobody has given one.
    #[must_use]
    pub fn take(&self) -> Option<Lineage> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
