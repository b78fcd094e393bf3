//! All series of a run: filters what comes, and hands each record to its own.

use super::bins::{Merge, TimeBins};
use super::figures::{self, Figures, Training};
use super::series::Series;
use super::{Issued, Settled};
use crate::market::{Span, Symbol, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The most symbols times horizons: each costs some 50 kB.
pub const SERIES_MAX: usize = 20_000;

/// What counts.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Forecasts of this job; `None`: of the first that comes, and another is an error.
    pub job: Option<String>,
    /// Of these symbols; empty: all.
    pub symbols: Vec<String>,
    /// Of these horizons; empty: all.
    pub horizons: Vec<Span>,
    /// Issued from then on.
    pub from: Option<Timestamp>,
    /// Issued before.
    pub to: Option<Timestamp>,
}

/// Why records cannot be judged together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JudgeError {
    /// Two jobs.
    #[error("there are forecasts of job `{0}` and of job `{1}`: choose one with --job")]
    TwoJobs(String, String),
    /// more series than are judged at once.
    #[error("there are more than {SERIES_MAX} symbols times horizons: choose with --symbol or --horizon")]
    TooMany,
}

#[derive(Clone, Copy, Debug, Default)]
struct Loss {
    count: u64,
    sum: f64,
}

impl Merge for Loss {
    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.sum += other.sum;
    }
}

#[derive(Debug, Default)]
struct Trained {
    version: u64,
    loss: TimeBins<Loss>,
}

/// Judges forecasts by their scores.
#[derive(Debug, Default)]
pub struct Judge {
    filter: Filter,
    job: Option<Arc<str>>,
    series: BTreeMap<(Symbol, Span), Series>,
    training: BTreeMap<Symbol, Trained>,
    forecasts: u64,
    repeated: u64,
    orphans: u64,
}

impl Judge {
    /// Nothing judged yet.
    #[must_use]
    pub fn new(filter: Filter) -> Self {
        Self { filter, ..Self::default() }
    }

    /// Whether forecasts of this symbol can be among those to be judged.
    #[must_use]
    pub fn wants_symbol(&self, symbol: &str) -> bool {
        self.filter.symbols.is_empty() || self.filter.symbols.iter().any(|name| name == symbol)
    }

    /// The same of a horizon.
    #[must_use]
    pub fn wants_horizon(&self, horizon: Span) -> bool {
        self.filter.horizons.is_empty() || self.filter.horizons.contains(&horizon)
    }

    fn wants(&mut self, job: &Arc<str>, symbol: &Symbol, horizon: Span, at: Timestamp) -> Result<bool, JudgeError> {
        let Filter { job: wanted, symbols: _, horizons: _, from, to } = &self.filter;
        let fits = self.wants_symbol(symbol.as_str())
            && self.wants_horizon(horizon)
            && from.is_none_or(|from| at >= from)
            && to.is_none_or(|to| at < to)
            && wanted.as_ref().is_none_or(|wanted| **wanted == **job);
        if fits {
            let first = self.job.get_or_insert_with(|| Arc::clone(job));
            if first != job {
                return Err(JudgeError::TwoJobs(first.to_string(), job.to_string()));
            }
        }
        Ok(fits)
    }

    /// Takes in a forecast. `floor`: the least target of all scores that are still to come; `None`: none comes any more.
    ///
    /// # Errors
    /// [`JudgeError`]
    pub fn forecast(&mut self, f: &Issued, floor: Option<Timestamp>) -> Result<(), JudgeError> {
        if !self.wants(&f.job, &f.symbol, f.horizon, f.issued_at)? {
            return Ok(());
        }
        let key = (f.symbol.clone(), f.horizon);
        if self.series.len() >= SERIES_MAX && !self.series.contains_key(&key) {
            return Err(JudgeError::TooMany);
        }
        let series = self.series.entry(key).or_insert_with(|| Series::new(f.horizon));
        if !series.forecast(f, floor) {
            self.repeated += 1;
            return Ok(());
        }
        self.forecasts += 1;
        let trained = self.training.entry(f.symbol.clone()).or_default();
        if f.version > trained.version {
            trained.version = f.version;
            if let Some(loss) = f.loss {
                trained.loss.at(f.issued_at).merge(&Loss { count: 1, sum: loss });
            }
        }
        Ok(())
    }

    /// Takes in a score, once all forecasts that were issued before its target are in.
    ///
    /// # Errors
    /// [`JudgeError`]
    pub fn score(&mut self, s: &Settled) -> Result<(), JudgeError> {
        if !self.wants(&s.job, &s.symbol, s.horizon, s.target_at.minus(s.horizon))? {
            return Ok(());
        }
        let series = self.series.get_mut(&(s.symbol.clone(), s.horizon));
        self.orphans += u64::from(!series.is_some_and(|series| series.score(s)));
        Ok(())
    }

    /// The figures, when nothing comes any more.
    #[must_use]
    pub fn finish(mut self) -> Figures {
        self.series.values_mut().for_each(Series::finish);
        Figures {
            version: 1,
            job: self.job.map(|job| job.to_string()),
            forecasts: self.forecasts,
            repeated: self.repeated,
            scores_without_forecast: self.orphans,
            series: self.series.iter().map(|((symbol, _), series)| figures::of(symbol.as_str(), series)).collect(),
            training: self.training.iter().map(|(symbol, trained)| training(symbol, trained)).collect(),
            records: None,
        }
    }
}

fn training(symbol: &Symbol, trained: &Trained) -> Training {
    let mean = |(at, loss): (Timestamp, &Loss)| (at, loss.sum / loss.count as f64);
    Training {
        symbol: symbol.as_str().to_owned(),
        versions: trained.version,
        seconds: trained.loss.width_ms() / 1000,
        loss: trained.loss.iter().map(mean).map(|(at, loss)| (at.to_string(), loss)).collect(),
        points: trained.loss.iter().map(mean).map(|(at, loss)| (at.millis(), loss)).collect(),
    }
}
