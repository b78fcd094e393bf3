//! The thread that publishes the market into the embedded broker: the first records, history, and then live.

use crate::cli::screen::table::Phase;
use crate::connectors::kafka::Reading;
use crate::delivery::Stop;
use crate::market::{PartitionId, Span, Timestamp};
use crate::replay::{
    Ahead, Ended, FileSource, Merge, Pace, Publish, RecordSource, ReplayError, ReplayRecord, Replayed, Replayer,
    SystemClock, Throttle, Until,
};
use crate::simulation::SimulatedMarket;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};

/// How much history comes first.
pub const HISTORY: Span = Span::from_millis(2 * 86_400_000);
/// Records published before the job starts: with the simulated market, enough for every symbol to have some.
const FIRST_RECORDS: u64 = 1000;

/// What is replayed.
pub enum Market {
    /// The simulated one.
    Simulated(Box<SimulatedMarket>),
    /// Recorded files.
    Recorded(Merge<FileSource>),
}

impl RecordSource for Market {
    fn read_into(&mut self, record: &mut ReplayRecord) -> Result<bool, ReplayError> {
        match self {
            Self::Simulated(market) => market.read_into(record),
            Self::Recorded(files) => files.read_into(record),
        }
    }
}

/// What the feed tells the rest of the demo.
#[derive(Clone, Debug)]
pub struct Feed(Arc<Mutex<FeedState>>);

#[derive(Clone, Copy, Debug)]
pub struct FeedState {
    pub phase: Phase,
    pub replayed: Replayed,
    /// Everything is published into the input topic, and the job's watermark can get this far, but for its allowed
    /// lateness.
    pub complete: Option<Timestamp>,
    /// Rows of files that were left out.
    pub left_out: u64,
}

impl Feed {
    pub fn new() -> Self {
        let replayed = Replayed::default();
        Self(Arc::new(Mutex::new(FeedState { phase: Phase::History(None), replayed, complete: None, left_out: 0 })))
    }

    pub fn state(&self) -> FeedState {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, FeedState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How the market is to be replayed.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// After history.
    pub pace: Pace,
    /// Nothing comes after history; recorded files are history as a whole.
    pub exit: bool,
    /// Where the simulated market's history ends; that of recorded files is [`HISTORY`] long.
    pub history_end: Option<Timestamp>,
}

/// Publishes `market` until it ends or `stop`. Says on `ready` when the first records are in the topic.
///
/// # Errors
/// When the market cannot be read or the broker refuses it.
pub fn publish(
    market: Market,
    publisher: impl Publish,
    plan: Plan,
    reading: &Reading,
    stop: &Stop,
    feed: &Feed,
    ready: &mpsc::Sender<()>,
) -> Result<(), ReplayError> {
    let positions = Arc::clone(&reading.positions);
    let position = move |partition| {
        let next = positions.next(PartitionId(partition)).unwrap_or(0);
        u64::try_from(next).unwrap_or(0)
    };
    let throttle = Throttle::new(Ahead::default(), Box::new(position));
    let recorded = matches!(market, Market::Recorded(_));
    let mut replayer = Replayer::new(market, publisher, SystemClock::default()).with_throttle(throttle);
    let mut report = |done: &Replayed| feed.lock().replayed = *done;

    let mut ended = replayer.run(Pace::Max, Until::Records(FIRST_RECORDS), stop, &mut report)?;
    if replayer.replayed().records == 0 && ended == Ended::Source {
        return Err(ReplayError::Fatal("the files hold no record that can be used".to_owned()));
    }
    // Nobody listens any more when the demo is being stopped.
    let _ = ready.send(());

    let start = replayer.replayed().first_at;
    let history = if recorded && plan.exit {
        Until::End
    } else {
        Until::Time(plan.history_end.unwrap_or_else(|| start.plus(HISTORY)))
    };
    if ended == Ended::Until {
        let mut report = |done: &Replayed| {
            let share =
                |end: Timestamp| (done.at.millis() - start.millis()) as f64 / (end.millis() - start.millis()) as f64;
            let mut state = feed.lock();
            state.replayed = *done;
            state.phase = Phase::History(match history {
                Until::Time(end) => Some(share(end)),
                Until::End | Until::Records(_) => None,
            });
        };
        ended = replayer.run(Pace::Max, history, stop, &mut report)?;
    }
    if ended == Ended::Until && !plan.exit {
        let speed = match plan.pace {
            Pace::Max => None,
            Pace::Recorded(speed) => Some(speed),
        };
        feed.lock().phase = Phase::Live(speed);
        // However fast, simulated stamps stay in the past.
        replayer = replayer.behind_wall_clock();
        ended = replayer.run(plan.pace, Until::End, stop, &mut report)?;
    }
    let mut state = feed.lock();
    if ended != Ended::Stopped {
        state.phase = Phase::Finishing;
        state.complete = replayer.least_latest();
    }
    if let Market::Recorded(files) = replayer.source() {
        state.left_out = files.sources().iter().map(|file| file.report().undecodable).sum();
        for report in files.sources().iter().map(FileSource::report).filter(|report| report.undecodable > 0) {
            let first = report.first_error.as_deref().unwrap_or_default();
            tracing::warn!("{}: {} rows left out; {first}", report.path.display(), report.undecodable);
        }
    }
    Ok(())
}
