//! What was published last, and what is new: the last of a job's sinks, so that nothing shows before every other has it.

use crate::delivery::{Batch, Sink, SinkError, Stop, Wants};
use crate::market::{FeatureRow, Forecast, Score, Span, Symbol, Timestamp};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::sync::watch;

/// Batches that are kept for streams that are behind or come back.
const KEPT_BATCHES: usize = 256;
/// The most forecasts, scores and rows in them.
const KEPT_RECORDS: usize = 20_000;
/// However large batches are, so many are kept.
const KEPT_AT_LEAST: usize = 4;

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
    /// The latest batches, without a hole in their numbers.
    kept: VecDeque<Arc<Published>>,
    kept_records: usize,
    /// The next batch's number.
    next: u64,
    /// How often all was replaced.
    history: u64,
}

/// A handle; clones share it. One of them is the job's [`Sink`], the others read.
#[derive(Clone)]
pub struct Live {
    inner: Arc<RwLock<Inner>>,
    /// That there is something new: batches themselves are in `inner` alone, so that streams that are slow hold none.
    news: watch::Sender<()>,
}

impl Default for Live {
    fn default() -> Self {
        Self { inner: Arc::default(), news: watch::channel(()).0 }
    }
}

/// What a [`Follower`] is told.
#[derive(Debug)]
pub(super) enum News {
    /// This was published.
    Batch(Arc<Published>),
    /// All of before was replaced.
    Replaced,
    /// So many batches are gone that were not looked at.
    Missed(u64),
}

/// One stream's place in what is published.
pub(super) struct Follower {
    live: Live,
    news: watch::Receiver<()>,
    /// The batch that comes next.
    at: u64,
    history: u64,
}

impl Follower {
    /// What is next. Nothing is lost where it is not waited for to the end; none when nothing will come any more.
    pub async fn next(&mut self) -> Option<News> {
        loop {
            // Marked as seen before it is looked at: what comes in between wakes it again.
            self.news.borrow_and_update();
            if let Some(news) = self.look() {
                return Some(news);
            }
            self.news.changed().await.ok()?;
        }
    }

    fn look(&mut self) -> Option<News> {
        let inner = self.live.read();
        if inner.history != self.history {
            (self.history, self.at) = (inner.history, inner.oldest());
            return Some(News::Replaced);
        }
        let behind = self.at.checked_sub(inner.oldest());
        let Some(behind) = behind else {
            let missed = inner.oldest() - self.at;
            self.at = inner.oldest();
            return Some(News::Missed(missed));
        };
        let batch = usize::try_from(behind).ok().and_then(|behind| inner.kept.get(behind))?;
        self.at += 1;
        Some(News::Batch(Arc::clone(batch)))
    }
}

impl Inner {
    /// The first batch that is here, or the next one.
    fn oldest(&self) -> u64 {
        self.kept.front().map_or(self.next, |batch| batch.number)
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
        let (next, history) = (inner.next + 1, inner.history + 1);
        let totals = Totals { through: Timestamp::default(), ..inner.totals };
        *inner = Inner { next, history, totals, ..Inner::default() };
        self.news.send_replace(());
    }

    /// What is published from now on, or after the batch with the number `after` where all of that is still here; and whether it is.
    pub(super) fn follow(&self, after: Option<u64>) -> (Follower, bool) {
        let inner = self.read();
        let is_here = after.is_none_or(|after| after < inner.next && after + 1 >= inner.oldest());
        let at = after.filter(|_| is_here).map_or(inner.next, |after| after + 1);
        let follower = Follower { live: self.clone(), news: self.news.subscribe(), at, history: inner.history };
        (follower, is_here)
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
        inner.kept.push_back(batch);
        while inner.kept_records > KEPT_RECORDS && inner.kept.len() > KEPT_AT_LEAST || inner.kept.len() > KEPT_BATCHES {
            let Some(oldest) = inner.kept.pop_front() else { break };
            inner.kept_records -= oldest.len();
        }
        drop(inner);
        self.news.send_replace(());
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
        let numbers = |after| {
            let (mut follower, is_here) = live.follow(Some(after));
            is_here.then(|| std::iter::from_fn(|| number(follower.look()?)).collect::<Vec<_>>())
        };
        assert_eq!(numbers(2), Some(vec![3, 4]));
        let (mut behind, _) = live.follow(Some(2));
        let (mut waiting, _) = live.follow(None);
        assert!(waiting.look().is_none());
        publish(&live, 6);
        assert_eq!(number(waiting.look().unwrap()), Some(5));
        assert_eq!(numbers(5), Some(vec![]));
        assert_eq!(numbers(6), None, "of another process");
        for at in 7..20_000 {
            publish(&live, at);
        }
        assert_eq!(numbers(5), None, "too long ago");
        let oldest = 19_999 - KEPT_BATCHES as u64;
        assert!(matches!(behind.look(), Some(News::Missed(missed)) if missed == oldest - 3), "too slow");
        assert_eq!(number(behind.look().unwrap()), Some(oldest), "and goes on");
    }

    fn number(news: News) -> Option<u64> {
        if let News::Batch(batch) = news { Some(batch.number) } else { None }
    }

    #[test]
    fn large_batches_are_few() {
        let live = Live::default();
        let (mut slow, _) = live.follow(None);
        let many: Vec<_> = (0..=KEPT_RECORDS as i64).map(|at| forecast("BTC", at)).collect();
        for _ in 0..=KEPT_AT_LEAST {
            live.publish(&many, &[], &[], Timestamp::from_millis(1));
        }
        assert_eq!(live.read().kept.len(), KEPT_AT_LEAST);
        assert!(matches!(slow.look(), Some(News::Missed(1))), "streams hold none themselves");
    }

    #[test]
    fn who_follows_is_told_that_all_was_replaced() {
        let live = Live::default();
        publish(&live, 1);
        let (mut follower, _) = live.follow(None);
        publish(&live, 2);
        live.forget();
        publish(&live, 3);
        assert!(matches!(follower.look(), Some(News::Replaced)));
        assert!(matches!(follower.look(), Some(News::Batch(batch)) if batch.through.millis() == 3));
        assert!(follower.look().is_none());
    }
}
