//! What was published last, and what is new: the last of a job's sinks, so that nothing shows before every other has it.

use crate::delivery::{Batch, Sink, SinkError, Stop, Wants};
use crate::market::{FeatureRow, Forecast, Score, Span, Symbol, Timestamp};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::sync::broadcast;

/// Batches that a stream may be behind; one that is further behind is ended with a word.
const BEHIND_MAX: usize = 256;
/// The most forecasts and scores that are kept for streams that come back.
const KEPT_MAX: usize = 20_000;

/// What one batch has published.
#[derive(Clone, Debug, Default)]
pub struct Published {
    /// Its number since this process began to serve.
    pub number: u64,
    /// End of the last closed pane.
    pub through: Timestamp,
    /// By (issue, symbol, horizon).
    pub forecasts: Vec<Forecast>,
    /// By (target, symbol, horizon).
    pub scores: Vec<Score>,
    /// At the ends of whole windows, by (end, symbol).
    pub rows: Vec<FeatureRow>,
}

impl Published {
    fn len(&self) -> usize {
        self.forecasts.len() + self.scores.len() + self.rows.len()
    }
}

/// How much was published since this process began to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Forecasts.
    pub forecasts: u64,
    /// Scores, void ones included.
    pub scores: u64,
    /// End of the last closed pane.
    pub through: Timestamp,
}

#[derive(Default)]
struct Inner {
    latest: BTreeMap<Symbol, BTreeMap<Span, Forecast>>,
    totals: Totals,
    kept: VecDeque<Arc<Published>>,
    kept_records: usize,
    next: u64,
}

/// A handle; clones share it. One of them is the job's [`Sink`], the others read.
#[derive(Clone)]
pub struct Live {
    inner: Arc<RwLock<Inner>>,
    news: broadcast::Sender<Arc<Published>>,
}

impl Default for Live {
    fn default() -> Self {
        Self { inner: Arc::default(), news: broadcast::channel(BEHIND_MAX).0 }
    }
}

impl Live {
    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        // The one writer changes one thing after the other, each whole.
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_lock(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// How much was published.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.read().totals
    }

    /// The latest forecast of each symbol and horizon, by symbol bytes, then ascending horizon.
    #[must_use]
    pub fn latest(&self) -> Vec<Forecast> {
        self.read().latest.values().flat_map(BTreeMap::values).cloned().collect()
    }

    /// Looks at the latest forecasts of all symbols, by symbol bytes.
    pub fn look<T>(&self, look: impl FnOnce(&BTreeMap<Symbol, BTreeMap<Span, Forecast>>) -> T) -> T {
        look(&self.read().latest)
    }

    /// The horizons that a symbol has forecasts for; none of a symbol that is not known.
    #[must_use]
    pub fn horizons(&self, symbol: &Symbol) -> Vec<Span> {
        self.read().latest.get(symbol).map(|horizons| horizons.keys().copied().collect()).unwrap_or_default()
    }

    /// Shows forecasts that were published before this process began to serve.
    pub fn show(&self, latest: Vec<Forecast>) {
        let mut inner = self.write_lock();
        for forecast in latest {
            inner.latest.entry(forecast.symbol.clone()).or_default().insert(forecast.horizon, forecast);
        }
    }

    /// All of it was replaced: nothing of before shows any more, and who comes back has to read anew.
    pub fn forget(&self) {
        let mut inner = self.write_lock();
        let next = inner.next + 1;
        let totals = Totals { through: Timestamp::default(), ..inner.totals };
        *inner = Inner { next, totals, ..Inner::default() };
    }

    /// What is published from now on; and what was after the batch with the number `after`, where all of that is still here.
    pub(super) fn follow(
        &self,
        after: Option<u64>,
    ) -> (broadcast::Receiver<Arc<Published>>, Option<Vec<Arc<Published>>>) {
        // Nothing comes in between: who publishes has to lock first.
        let inner = self.read();
        let news = self.news.subscribe();
        let Some(after) = after else { return (news, Some(Vec::new())) };
        let oldest = inner.kept.front().map_or(inner.next, |batch| batch.number);
        let is_here = after < inner.next && after + 1 >= oldest;
        let missed = is_here.then(|| inner.kept.iter().filter(|batch| batch.number > after).cloned().collect());
        (news, missed)
    }

    /// Takes in what was published.
    pub fn publish(&self, forecasts: &[Forecast], scores: &[Score], rows: &[FeatureRow], through: Timestamp) {
        let mut inner = self.write_lock();
        for forecast in forecasts {
            match inner.latest.get_mut(&forecast.symbol) {
                Some(horizons) => {
                    horizons.insert(forecast.horizon, forecast.clone());
                }
                None => {
                    let first = BTreeMap::from([(forecast.horizon, forecast.clone())]);
                    inner.latest.insert(forecast.symbol.clone(), first);
                }
            }
        }
        inner.totals.forecasts += forecasts.len() as u64;
        inner.totals.scores += scores.len() as u64;
        inner.totals.through = inner.totals.through.max(through);
        let number = inner.next;
        inner.next += 1;
        // Cloned for those who follow: what is more than is kept is not.
        let (forecasts, scores, rows) = (forecasts.to_vec(), scores.to_vec(), rows.to_vec());
        let batch = Arc::new(Published { number, through, forecasts, scores, rows });
        inner.kept_records += batch.len();
        inner.kept.push_back(Arc::clone(&batch));
        while inner.kept_records > KEPT_MAX && inner.kept.len() > 1 || inner.kept.len() > BEHIND_MAX {
            let Some(oldest) = inner.kept.pop_front() else { break };
            inner.kept_records -= oldest.len();
        }
        // Nobody may be there.
        let _ = self.news.send(batch);
    }
}

impl Sink for Live {
    fn name(&self) -> &'static str {
        "live"
    }

    fn wants(&self) -> Wants {
        Wants { bars: true, ..Wants::default() }
    }

    fn write(&mut self, batch: &Batch, _: &Stop) -> Result<(), SinkError> {
        self.publish(&batch.forecasts, &batch.scores, &batch.rows, batch.through);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::test_records::{forecast, score};

    fn publish(live: &Live, at: i64) {
        let forecasts = [forecast("BTC", at), forecast("ETH", at)];
        live.publish(&forecasts, &[score("BTC", at, true)], &[], Timestamp::from_millis(at));
    }

    #[test]
    fn the_latest_of_each_and_what_came_since() {
        let live = Live::default();
        for at in 1..=5 {
            publish(&live, at);
        }
        let latest: Vec<_> =
            live.latest().iter().map(|f| format!("{}/{}/{}", f.symbol, f.horizon, f.issued_at.millis())).collect();
        assert_eq!(latest, ["BTC/1m/5", "ETH/1m/5"]);
        assert_eq!(live.totals(), Totals { forecasts: 10, scores: 5, through: Timestamp::from_millis(5) });
        let numbers = |missed: Option<Vec<Arc<Published>>>| {
            missed.map(|batches| batches.iter().map(|batch| batch.number).collect::<Vec<_>>())
        };
        let (mut news, missed) = live.follow(Some(2));
        assert_eq!(numbers(missed), Some(vec![3, 4]));
        publish(&live, 6);
        assert_eq!(news.try_recv().unwrap().number, 5);
        assert_eq!(numbers(live.follow(Some(5)).1), Some(vec![]));
        assert_eq!(numbers(live.follow(Some(6)).1), None, "of another process");
        for at in 7..20_000 {
            publish(&live, at);
        }
        assert_eq!(numbers(live.follow(Some(5)).1), None, "too long ago");
        assert!(live.read().kept_records <= KEPT_MAX && live.read().kept.len() <= BEHIND_MAX);
    }
}
