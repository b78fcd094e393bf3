//! The embedded store: the latest results in memory, for the demo's table and whatever shows results in this process.

use crate::delivery::{Batch, Sink, SinkError, Stop};
use crate::market::{Forecast, Score, Span, Symbol, Timestamp};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many forecasts, and how many scores, are kept per symbol and horizon: two days of minutes.
pub const RECENT_MAX: usize = 2880;

/// How much went through the store since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Forecasts.
    pub forecasts: u64,
    /// Scores, void ones included.
    pub scores: u64,
    /// Scores that are void.
    pub void: u64,
    /// End of the last closed pane.
    pub through: Timestamp,
}

#[derive(Default)]
struct Series {
    forecasts: VecDeque<Forecast>,
    scores: VecDeque<Score>,
}

#[derive(Default)]
struct Inner {
    /// Ordered by symbol bytes, then ascending horizon.
    series: BTreeMap<(Symbol, Span), Series>,
    totals: Totals,
}

/// A handle to one store; its clones share it. One of them goes to the committer as a [`Sink`], the others read.
#[derive(Clone)]
pub struct EmbeddedStore {
    recent_max: usize,
    inner: Arc<Mutex<Inner>>,
}

impl Default for EmbeddedStore {
    fn default() -> Self {
        Self::with_recent(RECENT_MAX)
    }
}

/// Appends, and drops the oldest beyond `max`.
fn push<T>(ring: &mut VecDeque<T>, item: T, max: usize) {
    ring.push_back(item);
    while ring.len() > max {
        ring.pop_front();
    }
}

impl EmbeddedStore {
    /// A store that keeps `recent_max` forecasts and as many scores per symbol and horizon.
    #[must_use]
    pub fn with_recent(recent_max: usize) -> Self {
        Self { recent_max, inner: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Readers cannot leave it half changed, and the one writer only appends.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The symbols and horizons that have a forecast or a score, by symbol bytes, then ascending horizon.
    #[must_use]
    pub fn keys(&self) -> Vec<(Symbol, Span)> {
        self.lock().series.keys().cloned().collect()
    }

    /// The latest forecast of each symbol and horizon, by symbol bytes, then ascending horizon.
    #[must_use]
    pub fn latest(&self) -> Vec<Forecast> {
        self.lock().series.values().filter_map(|series| series.forecasts.back().cloned()).collect()
    }

    /// The recent forecasts of one symbol and horizon, oldest first.
    #[must_use]
    pub fn forecasts(&self, symbol: &Symbol, horizon: Span) -> Vec<Forecast> {
        let inner = self.lock();
        inner.series.get(&(symbol.clone(), horizon)).map(|s| s.forecasts.iter().cloned().collect()).unwrap_or_default()
    }

    /// The recent scores of one symbol and horizon, oldest first.
    #[must_use]
    pub fn scores(&self, symbol: &Symbol, horizon: Span) -> Vec<Score> {
        let inner = self.lock();
        inner.series.get(&(symbol.clone(), horizon)).map(|s| s.scores.iter().cloned().collect()).unwrap_or_default()
    }

    /// How much went through.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.lock().totals
    }
}

impl Sink for EmbeddedStore {
    fn name(&self) -> &'static str {
        "store"
    }

    fn write(&mut self, batch: &Batch, _: &Stop) -> Result<(), SinkError> {
        let recent_max = self.recent_max;
        let mut inner = self.lock();
        for score in &batch.scores {
            let series = inner.series.entry((score.symbol.clone(), score.horizon)).or_default();
            push(&mut series.scores, score.clone(), recent_max);
            inner.totals.scores += 1;
            inner.totals.void += u64::from(score.outcome.is_none());
        }
        for forecast in &batch.forecasts {
            let series = inner.series.entry((forecast.symbol.clone(), forecast.horizon)).or_default();
            push(&mut series.forecasts, forecast.clone(), recent_max);
            inner.totals.forecasts += 1;
        }
        inner.totals.through = inner.totals.through.max(batch.through);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::test_records::{forecast, score};

    #[test]
    fn keeps_the_latest_in_order_and_no_more_than_it_may() {
        let store = EmbeddedStore::with_recent(3);
        let mut sink = store.clone();
        for at in 1..=5 {
            let mut forecasts = vec![forecast("ETH", at), forecast("BTC", at), forecast("BTC", at)];
            forecasts[1].horizon = Span::from_millis(3_600_000);
            let scores = vec![score("BTC", at, at % 2 == 0)];
            let batch = Batch { through: Timestamp::from_millis(at), forecasts, scores, ..Batch::default() };
            sink.write(&batch, &Stop::default()).unwrap();
        }
        let latest: Vec<_> =
            store.latest().iter().map(|f| format!("{}/{}/{}", f.symbol, f.horizon, f.issued_at.millis())).collect();
        assert_eq!(latest, ["BTC/1m/5", "BTC/1h/5", "ETH/1m/5"]);
        let (btc, minute) = (Symbol::new("BTC").unwrap(), Span::from_millis(60_000));
        assert_eq!(store.keys()[0], (btc.clone(), minute));
        let issued: Vec<_> = store.forecasts(&btc, minute).iter().map(|f| f.issued_at.millis()).collect();
        assert_eq!(issued, [3, 4, 5]);
        let targets: Vec<_> = store.scores(&btc, minute).iter().map(|s| s.target_at.millis()).collect();
        assert_eq!(targets, [3, 4, 5]);
        assert_eq!(store.totals(), Totals { forecasts: 15, scores: 5, void: 3, through: Timestamp::from_millis(5) });
        assert!(store.scores(&Symbol::new("X").unwrap(), minute).is_empty());
    }
}
