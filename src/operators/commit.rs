//! The end of the dataflow: everything that is closed goes to the sinks, in order, from one worker.
//!
//! ```text
//!   scores, forecasts, rows, dead letters ──Exchange(worker 0)──> [commit] ──queue──> committer (its own thread)
//! ```
//!
//! Results of a pane are handed over when the frontier has passed it, dead letters at once. The operator holds its
//! capability until the sinks have acknowledged: the frontier behind it says how far everything is published. It never
//! waits: the queue takes a batch, or gives it back until the committer wakes us.

use super::learn::Verdict;
use super::source::{Aside, Idleness};
use super::windows::PaneRows;
use crate::delivery::committer::BatchSender;
use crate::delivery::{Batch, Stop};
use crate::market::{FeatureRow, Forecast, Pane, PartitionId, Release, Score, Slide, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::operator::Operator;

/// Something to publish.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Item {
    /// A score or a forecast of a pane.
    Verdict(Pane, Verdict),
    /// A feature row of a pane.
    Row(Pane, FeatureRow),
    /// What leaves the source of a worker beside ticks.
    Aside(u32, Aside),
}

impl Item {
    /// The rows of a pane, one by one.
    pub fn rows(rows: PaneRows) -> impl Iterator<Item = Self> {
        let pane = rows.pane;
        rows.into_rows().map(move |row| Self::Row(pane, row))
    }
}

/// Where the results go.
#[derive(Clone)]
pub struct CommitLinks {
    /// The queue to the sinks.
    pub sender: BatchSender,
    /// Told how many bytes of a worker's source were handed over.
    pub taken: Arc<dyn Fn(usize, usize) + Send + Sync>,
    /// Whether everything that is closed has to get out now.
    pub stop: Stop,
}

/// Hands results to the sinks; the stream behind it carries nothing but progress.
#[must_use]
pub fn commit(items: StreamVec<'_, Pane, Item>, slide: Slide, links: CommitLinks) -> StreamVec<'_, Pane, ()> {
    let scope = items.scope();
    let everything_to_worker_0 = Exchange::new(|_: &Item| 0);
    items.unary_frontier::<CapacityContainerBuilder<Vec<()>>, _, _, _>(
        everything_to_worker_0,
        "Commit",
        move |capability, info| {
            let mut capability = (scope.index() == 0).then_some(capability);
            let waker = scope.worker().sync_activator_for(info.address.to_vec());
            if capability.is_some() {
                // A lost wake-up is made good by the worker's own timer.
                links.sender.progress().add_wake(Box::new(move || {
                    let _ = waker.activate();
                }));
            }
            let mut state = CommitState {
                slide,
                links,
                panes: BTreeMap::new(),
                ready: Batch::default(),
                aside_bytes: BTreeMap::new(),
                idle: BTreeMap::new(),
                closed: None,
                sent: None,
            };
            move |(input, frontier), _output| {
                input.for_each_stamp(|_, data| {
                    for batch in data {
                        batch.drain(..).for_each(|item| state.stash(item));
                    }
                });
                let Some(held) = capability.as_mut() else { return };
                let frontier = frontier.frontier().first().copied();
                state.close(frontier);
                state.send();
                match (frontier, state.is_through()) {
                    (None, true) => capability = None,
                    _ => {
                        // Everything that ended by then is published: what comes next begins with the pane after it.
                        let open = slide.pane_of(state.links.sender.progress().acknowledged());
                        held.downgrade(&open.max(*held.time()));
                    }
                }
            }
        },
    )
}

struct CommitState {
    slide: Slide,
    links: CommitLinks,
    /// Results of panes that are not closed.
    panes: BTreeMap<Pane, PaneResults>,
    /// Closed, and not handed over.
    ready: Batch,
    /// Of that, what came straight from each worker's source.
    aside_bytes: BTreeMap<u32, usize>,
    /// Partitions that are idle, or have just been.
    idle: BTreeMap<PartitionId, Idleness>,
    /// End of the last closed pane.
    closed: Option<Timestamp>,
    /// `through` of the last batch handed over.
    sent: Option<Timestamp>,
}

#[derive(Default)]
struct PaneResults {
    scores: Vec<Score>,
    forecasts: Vec<Forecast>,
    rows: Vec<FeatureRow>,
}

impl CommitState {
    fn stash(&mut self, item: Item) {
        match item {
            Item::Verdict(pane, Verdict::Score(score)) => self.panes.entry(pane).or_default().scores.push(score),
            Item::Verdict(pane, Verdict::Forecast(forecast)) => {
                self.panes.entry(pane).or_default().forecasts.push(forecast);
            }
            Item::Row(pane, row) => self.panes.entry(pane).or_default().rows.push(row),
            Item::Aside(worker, aside) => {
                *self.aside_bytes.entry(worker).or_default() += aside.bytes();
                match aside {
                    Aside::DeadLetter(letter) => self.ready.dead_letters.push(letter),
                    Aside::Stored(tick) => self.ready.ticks.push(tick),
                    Aside::Release(release) => self.ready.releases.push(release),
                    Aside::Standing(partition, Idleness::None) => {
                        self.idle.remove(&partition);
                    }
                    Aside::Standing(partition, idleness) => {
                        self.idle.insert(partition, idleness);
                    }
                }
            }
        }
    }

    /// Moves what the frontier has passed to `ready`, in order.
    fn close(&mut self, frontier: Option<Pane>) {
        while let Some(entry) = self.panes.first_entry()
            && frontier.is_none_or(|frontier| *entry.key() < frontier)
        {
            let (pane, mut results) = entry.remove_entry();
            // Workers own symbols, so only the order between workers is open.
            results.scores.sort_by(|a, b| (&a.symbol, a.horizon).cmp(&(&b.symbol, b.horizon)));
            results.forecasts.sort_by(|a, b| (&a.symbol, a.horizon).cmp(&(&b.symbol, b.horizon)));
            results.rows.sort_by(|a, b| a.symbol.cmp(&b.symbol));
            self.ready.scores.append(&mut results.scores);
            self.ready.forecasts.append(&mut results.forecasts);
            self.ready.rows.append(&mut results.rows);
            self.closed = self.closed.max(Some(self.slide.end_of(pane)));
        }
        if let Some(last) = frontier.and_then(Pane::previous) {
            self.closed = self.closed.max(Some(self.slide.end_of(last)));
        }
    }

    /// Hands over what is ready. Progress alone is handed over when nothing else is on its way, so that a quiet market moves
    /// it without a transaction per pane.
    fn send(&mut self) {
        let progress = self.links.sender.progress();
        let moved = self.closed > self.sent;
        let on_its_way = self.sent.is_some_and(|sent| sent > progress.acknowledged());
        if self.ready.is_empty() && (!moved || on_its_way && !self.links.stop.requested()) {
            return;
        }
        let through = self.closed.or(self.sent).unwrap_or_default();
        self.ready.through = through;
        self.ready.idle = self.idle_at(through);
        match self.links.sender.try_send(std::mem::take(&mut self.ready)) {
            Ok(()) => {
                self.sent = Some(through);
                for (worker, bytes) in std::mem::take(&mut self.aside_bytes) {
                    (self.links.taken)(worker as usize, bytes);
                }
            }
            Err(back) => self.ready = back,
        }
    }

    /// For the progress record, at a moment when all panes that end by `through` are closed: any tick that an idle partition
    /// would still bring for one of them is late, and a resume has to decide the same.
    ///
    /// A partition that comes back says so before its pane moves on, so that no pane of its own is closed without that.
    fn idle_at(&self, through: Timestamp) -> BTreeMap<PartitionId, Release> {
        let before = self.slide.start_of(self.slide.pane_of(through));
        let release = |(&partition, &idleness): (&PartitionId, &Idleness)| match idleness {
            Idleness::Idle { next_offset: offset } => Some((partition, Release { partition, offset, before })),
            Idleness::Since(release) => Some((partition, release)),
            Idleness::None => None,
        };
        self.idle.iter().filter_map(release).collect()
    }

    /// Whether nothing is left to publish.
    fn is_through(&self) -> bool {
        let progress = self.links.sender.progress();
        self.ready.is_empty()
            && self.panes.is_empty()
            && self.closed <= self.sent
            && progress.pending() == 0
            && self.sent.is_none_or(|sent| progress.acknowledged() >= sent)
    }
}
