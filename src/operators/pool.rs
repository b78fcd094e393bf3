//! Where all symbols share a network: sums of gradients to one total, the same on every worker.
//!
//! ```text
//!   learn ── sums ══(a copy to every worker)══> [pool] ── totals, in memory ──> learn
//! ```
//!
//! At the end of an epoch `learn` sends what its symbols contribute, gives up the capability to send more at that step, and
//! keeps the one for its forecasts. When the frontier here has passed the step, the total is complete; `learn` finds it in
//! memory that the two share, learns from it, and goes on to the forecasts. A loop in the graph would say the same, with
//! times of its own to keep apart the rounds.

use crate::market::{Pane, Slide, Timestamp};
use crate::model::pool::{GradientSum, Pool};
use crate::model::scratch::LearnerScratch;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::operator::Operator;
use timely::scheduling::Activator;

/// One worker's part of the gradient at the end of an epoch, on its way to one worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Share {
    /// Where to: a worker's index.
    to: u64,
    /// The pane that the epoch ends with.
    pane: Pane,
    sum: GradientSum,
}

/// What one worker's two operators share.
#[derive(Debug)]
pub struct Totals {
    /// By the pane that an epoch ends with; complete where the frontier has passed it.
    pub(super) sums: BTreeMap<Pane, GradientSum>,
    /// None when nothing comes any more.
    pub(super) frontier: Option<Pane>,
    /// The pane that `learn` waits for.
    awaited: Option<Pane>,
}

impl Default for Totals {
    fn default() -> Self {
        Self { sums: BTreeMap::new(), frontier: Some(Pane::default()), awaited: None }
    }
}

impl Totals {
    fn has_passed(&self, pane: Pane) -> bool {
        self.frontier.is_none_or(|frontier| pane < frontier)
    }
}

/// Adds up what all workers contribute, and wakes `learn` when what it waits for is complete.
pub fn pool(shares: StreamVec<'_, Pane, Share>, totals: Rc<RefCell<Totals>>, learn: Activator) {
    let by_worker = Exchange::new(|share: &Share| share.to);
    shares.sink(by_worker, "Pool", move |(input, frontier)| {
        let mut totals = totals.borrow_mut();
        input.for_each_stamp(|_, data| {
            for batch in data {
                for share in batch.drain(..) {
                    totals.sums.entry(share.pane).or_default().merge(&share.sum);
                }
            }
        });
        totals.frontier = frontier.frontier().first().copied();
        if totals.awaited.is_some_and(|pane| totals.has_passed(pane)) {
            totals.awaited = None;
            learn.activate();
        }
    });
}

/// A worker's copy of the shared network, and how far it has learnt.
pub struct Pooled {
    /// The network.
    pub pool: Pool,
    totals: Rc<RefCell<Totals>>,
    slide: Slide,
    workers: u64,
    /// The last epoch's end that all workers have learnt.
    joined: Option<Timestamp>,
}

impl Pooled {
    /// A copy that has learnt nothing.
    #[must_use]
    pub fn new(pool: Pool, totals: Rc<RefCell<Totals>>, slide: Slide, workers: usize) -> Self {
        Self { pool, totals, slide, workers: workers as u64, joined: None }
    }

    /// The network has learnt all epochs up to then.
    pub fn has_learnt(&mut self, through: Option<Timestamp>) {
        self.joined = through;
    }

    /// What this worker's symbols have contributed to the epoch that ends with `pane`, once for every worker.
    pub fn shares(&mut self, pane: Pane) -> impl Iterator<Item = Share> + use<> {
        let sum = self.pool.take_sum();
        let copies = if sum.is_empty() { 0 } else { self.workers };
        (0..copies).map(move |to| Share { to, pane, sum: sum.clone() })
    }

    /// Learns all epochs up to the one that ends at `end`. False while a worker's part is missing: `learn` is woken when it
    /// is there.
    pub fn join(&mut self, end: Timestamp, scratch: &mut LearnerScratch) -> bool {
        if self.joined >= Some(end) {
            return true;
        }
        let Some(pane) = self.slide.pane_ending_at(end) else { return true };
        let passed = {
            let mut totals = self.totals.borrow_mut();
            let passed = totals.has_passed(pane);
            totals.awaited = (!passed).then_some(pane);
            passed
        };
        if passed {
            self.learn_before(pane.following(), scratch);
            self.joined = Some(end);
        }
        passed
    }

    /// Learns what is complete, up to `pane`, exclusive: so that nothing piles up on a worker without symbols.
    pub fn catch_up(&mut self, pane: Pane, scratch: &mut LearnerScratch) {
        let frontier = self.totals.borrow().frontier.unwrap_or(Pane::LAST);
        self.learn_before(pane.min(frontier), scratch);
    }

    fn learn_before(&mut self, end: Pane, scratch: &mut LearnerScratch) {
        let mut totals = self.totals.borrow_mut();
        while let Some(entry) = totals.sums.first_entry()
            && *entry.key() < end
        {
            let (pane, total) = entry.remove_entry();
            self.pool.learn(self.slide.end_of(pane), &total, scratch);
        }
    }
}
