//! When a source looks at its input again: woken by whoever has something for it, and by a slow timer, since wake-ups get
//! lost and not every input gives any.

use crate::connectors::input::Wake;
use crate::market::Pane;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use timely::dataflow::operators::probe::Handle as ProbeHandle;
use timely::scheduling::{Activator, SyncActivator};

/// How soon to look again after a look that found records: they rarely come alone, and each wake-up costs more than a record.
pub(super) const PACE: Duration = Duration::from_millis(4);
/// How soon to look again while the sinks have too much to write already.
pub(super) const CONGESTED_PAUSE: Duration = Duration::from_millis(20);
/// How soon to look again when nobody wakes us.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The least time to a look of which only the clock is the reason.
pub(super) const IDLE_LOOK_MIN: Duration = Duration::from_millis(20);

/// Schedules one source.
pub(super) struct Schedule {
    activator: Activator,
    sync: Arc<SyncActivator>,
    /// Whether wake-ups from outside are left out: one is on its way, or a timer will do.
    muted: Arc<AtomicBool>,
    /// The earliest timer that is set. Timely keeps each that was ever set, so an activation must not add one.
    timer: Option<Instant>,
}

impl Schedule {
    pub fn new(activator: Activator, sync: SyncActivator) -> Self {
        Self { activator, sync: Arc::new(sync), muted: Arc::default(), timer: None }
    }

    /// What others call.
    pub fn wake(&self) -> Wake {
        let (sync, muted) = (Arc::clone(&self.sync), Arc::clone(&self.muted));
        Arc::new(move || {
            if !muted.swap(true, Ordering::AcqRel) {
                // A worker that has ended needs none.
                let _ = sync.activate();
            }
        })
    }

    pub fn activator(&self) -> Activator {
        self.activator.clone()
    }

    /// Before a look: what comes from now on may not be seen by it.
    pub fn begin(&mut self) {
        self.muted.store(false, Ordering::Release);
        if self.timer.is_some_and(|timer| timer <= Instant::now()) {
            self.timer = None;
        }
    }

    /// Looks again after `pause`, or at once; `quietly`: nobody has to wake us before.
    pub fn again(&mut self, pause: Duration, quietly: bool) {
        if quietly {
            self.muted.store(true, Ordering::Release);
        }
        if pause.is_zero() {
            self.activator.activate();
            return;
        }
        let at = Instant::now() + pause;
        if self.timer.is_none_or(|timer| at < timer) {
            self.timer = Some(at);
            self.activator.activate_after(pause);
        }
    }
}

/// How far a worker has come with forecasting, and its source where that waits for more.
#[derive(Clone, Default)]
pub struct Finished {
    probe: ProbeHandle<Pane>,
    waiting: Rc<RefCell<Option<(Pane, Activator)>>>,
}

impl Finished {
    /// To be attached where forecasts come out.
    #[must_use]
    pub const fn probe(&self) -> &ProbeHandle<Pane> {
        &self.probe
    }

    /// The first pane that is not finished.
    #[must_use]
    pub fn pane(&self) -> Pane {
        self.probe.with_frontier(|frontier| frontier.first().copied()).unwrap_or(Pane::LAST)
    }

    /// Wakes this source once more than now is finished.
    pub(super) fn await_more(&self, source: Activator) {
        *self.waiting.borrow_mut() = Some((self.pane(), source));
    }

    /// After a step of the worker: wakes the source that waited for what is finished now.
    pub fn wake_source(&self) {
        let mut waiting = self.waiting.borrow_mut();
        if let Some((_, source)) = waiting.take_if(|(pane, _)| *pane != self.pane()) {
            source.activate();
        }
    }
}
