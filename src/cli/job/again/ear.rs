//! Listens to a job that is computed again, and ends it when all that was asked for was heard.

use super::{Places, Question};
use crate::delivery::sink::{Sink, SinkError, Wants};
use crate::delivery::{Batch, Stop};
use crate::market::{FeatureRow, Forecast, Score, Span, StoredTick, Symbol, Timestamp};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// What was heard.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// The forecast.
    pub forecast: Option<Forecast>,
    /// What became of it.
    pub score: Option<Score>,
    /// The symbol's used ticks in the span that was asked for, in their order.
    pub ticks: Vec<StoredTick>,
    /// Its rows at the ends of steps in that span, the one of the issue last.
    pub rows: Vec<FeatureRow>,
}

impl Heard {
    /// Where the last records lie.
    pub fn last_records(&self, count: usize) -> Places {
        let mut places = BTreeSet::new();
        for tick in self.ticks.iter().rev() {
            if places.len() >= count {
                break;
            }
            places.insert((tick.partition, tick.offset));
        }
        let mut all = Places::new();
        for (partition, offset) in places {
            all.entry(partition).or_default().insert(offset);
        }
        all
    }
}

/// What is heard, as it comes.
#[derive(Clone, Default)]
pub(super) struct Hearing(Arc<Mutex<Heard>>);

impl Hearing {
    /// All of it, in order.
    pub fn take(&self) -> Heard {
        let mut heard = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        heard.ticks.sort_by_key(|tick| (tick.at, tick.partition, tick.offset, tick.index));
        heard.rows.sort_by_key(|row| row.end);
        heard
    }
}

/// The only sink of a job that is computed again.
#[derive(Clone)]
pub(super) struct Ear {
    symbol: Symbol,
    horizon: Span,
    issued_at: Timestamp,
    target_at: Timestamp,
    /// Rows and ticks from then on.
    from: Timestamp,
    step: Span,
    hearing: Hearing,
    stop: Stop,
}

impl Ear {
    /// Listens for what is asked; requests `stop` when it was heard.
    pub fn new(question: &Question, step: Span, stop: Stop) -> (Self, Hearing) {
        let (trace, hearing) = (&question.trace, Hearing::default());
        let ear = Self {
            symbol: trace.symbol.clone(),
            horizon: trace.horizon,
            issued_at: trace.issued_at,
            target_at: question.target_at,
            from: trace.ticks.0,
            step,
            hearing: hearing.clone(),
            stop,
        };
        (ear, hearing)
    }

    /// What ends the job.
    pub const fn stop(&self) -> &Stop {
        &self.stop
    }

    fn is_wanted(&self, row: &FeatureRow) -> bool {
        row.symbol == self.symbol
            && row.end > self.from
            && row.end <= self.issued_at
            && row.end.is_multiple_of(self.step)
    }
}

impl Sink for Ear {
    fn name(&self) -> &'static str {
        "explain"
    }

    fn wants(&self) -> Wants {
        Wants { bars: true, ticks: true, ..Wants::default() }
    }

    fn write(&mut self, batch: &Batch, _: &Stop) -> Result<(), SinkError> {
        let heard = &mut *self.hearing.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard.ticks.extend(batch.ticks.iter().filter(|tick| tick.symbol == self.symbol).cloned());
        heard.rows.extend(batch.rows.iter().filter(|row| self.is_wanted(row)).cloned());
        let is_it =
            |f: &&Forecast| f.symbol == self.symbol && f.horizon == self.horizon && f.issued_at == self.issued_at;
        if let Some(forecast) = batch.forecasts.iter().find(is_it) {
            heard.forecast = Some(forecast.clone());
        }
        let is_its = |s: &&Score| s.symbol == self.symbol && s.horizon == self.horizon && s.target_at == self.target_at;
        if let Some(score) = batch.scores.iter().find(is_its) {
            heard.score = Some(score.clone());
        }
        if batch.through >= self.target_at {
            self.stop.request();
        }
        Ok(())
    }
}
