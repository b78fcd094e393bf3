//! The thread that publishes the market into the embedded broker: candles of the past, then trades.

use crate::cli::Usage;
use crate::cli::screen::table::Phase;
use crate::config::{CollectConfig, KafkaSourceConfig};
use crate::connectors::kafka::{PublishError, Publisher, Reading};
use crate::delivery::Stop;
use crate::feeds::streams::{Counters, Hub, HubError, Plan, Warm, Warmth};
use crate::market::Span;
use crate::serving::JobWatch;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

/// Candles published before the job starts: those of symbols whose history begins with the others' are among them.
const FIRST: u64 = 1000;
/// So many may wait for the job: the embedded broker keeps 5 MiB of a partition.
const AHEAD: u64 = 5000;
/// How often to ask for what has come meanwhile: of very many symbols that itself takes minutes.
const CATCH_UP: usize = 3;
/// How often to look whether it has read on.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// What the feed tells the others.
#[derive(Clone, Default)]
pub struct State(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// Minutes to ask for, and those that were.
    minutes: AtomicUsize,
    asked: AtomicUsize,
    /// Candles to publish, and those that were.
    all: AtomicU64,
    candles: AtomicU64,
    told: Mutex<Option<Vec<Warmth>>>,
}

impl State {
    /// What it is doing.
    pub fn phase(&self) -> Phase {
        let share = |part: f64, all: f64| if all > 0.0 { part / all } else { 1.0 };
        let Shared { minutes, asked, all, candles, told } = &*self.0;
        if told.lock().unwrap_or_else(PoisonError::into_inner).is_none() {
            return Phase::Asking(share(asked.load(Relaxed) as f64, minutes.load(Relaxed) as f64));
        }
        let (candles, all) = (candles.load(Relaxed), all.load(Relaxed));
        if candles < all { Phase::History(Some(share(candles as f64, all as f64))) } else { Phase::Live(Some(1.0)) }
    }

    /// Candles that were published.
    pub fn candles(&self) -> u64 {
        self.0.candles.load(Relaxed)
    }

    /// What was had of the past.
    pub fn told(&self) -> Vec<Warmth> {
        self.0.told.lock().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or_default()
    }
}

/// See above.
pub struct Feed {
    pub collect: CollectConfig,
    pub kafka: KafkaSourceConfig,
    pub warm: Span,
    pub reading: Reading,
    pub counters: Arc<Counters>,
    pub watch: Arc<JobWatch>,
    pub state: State,
    pub stop: Stop,
}

impl Feed {
    /// Until it is stopped. Says on `ready` when there is something to read, or nothing to wait for.
    ///
    /// # Errors
    /// When the broker refuses what is published.
    pub fn run(&self, plan: Plan, ready: &mpsc::Sender<()>) -> anyhow::Result<()> {
        match self.publish(plan, ready) {
            Err(HubError::Publish(PublishError::Stopped)) => Ok(()),
            Err(HubError::Config(error)) => Err(Usage(error).into()),
            ended => Ok(ended?),
        }
    }

    fn publish(&self, plan: Plan, ready: &mpsc::Sender<()>) -> Result<(), HubError> {
        let shared = &self.state.0;
        let mut warm = Warm::default();
        if self.warm.millis() > 0 {
            shared.minutes.store(Warm::minutes(&plan, self.warm), Relaxed);
            let (plan, back) = (plan.clone(), self.warm);
            warm = self.aside(move |asked, stop| Warm::fetch(&plan, back, asked, stop))?;
        }
        self.tell(&plan, &warm);
        let mut publisher = Publisher::open(&self.kafka, None, &self.stop)?;
        let mut is_told = false;
        let mut tell = |publisher: &mut Publisher| {
            if std::mem::replace(&mut is_told, true) {
                return Ok(());
            }
            publisher.flush(&self.stop)?;
            // Nobody listens any more when all is being stopped.
            let _ = ready.send(());
            Ok::<_, PublishError>(())
        };
        for round in 0..=CATCH_UP {
            warm.publish(|symbol, venue, value| {
                publisher.send_from(Some(symbol.as_bytes()), value, venue, &self.stop)?;
                let sent = shared.candles.fetch_add(1, Relaxed) + 1;
                if sent == FIRST {
                    tell(&mut publisher)?;
                }
                self.wait_for_job(sent)
            })?;
            tell(&mut publisher)?;
            if round == CATCH_UP {
                break;
            }
            // Minutes have ended while the job learned: of many symbols that takes longer than trades are asked back for.
            let mut taken = std::mem::take(&mut warm);
            let (has_more, all) = self.aside(move |asked, stop| (taken.go_on(asked, stop), taken))?;
            warm = all;
            if !has_more {
                break;
            }
            self.tell(&plan, &warm);
        }
        publisher.flush(&self.stop)?;
        drop(publisher);
        let joins = warm.joins(&plan);
        Hub::open(&self.collect, plan, &self.kafka, &joins, &self.counters, &self.stop)?.run()?;
        Ok(())
    }

    /// Tells what was had of the past.
    fn tell(&self, plan: &Plan, warm: &Warm) {
        let (told, shared) = (warm.told(), &self.state.0);
        self.watch.set_market(words(&plan.names().into_iter().collect(), &told));
        shared.all.store(told.iter().map(|warmth| warmth.candles as u64).sum(), Relaxed);
        *shared.told.lock().unwrap_or_else(PoisonError::into_inner) = Some(told);
    }

    /// Asks for candles, in a thread of its own: a call may take longer than somebody who stops wants to wait.
    fn aside<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&AtomicUsize, &Stop) -> T + Send + 'static,
    ) -> Result<T, HubError> {
        let (sender, fetched) = mpsc::channel();
        let (shared, stop) = (Arc::clone(&self.state.0), self.stop.clone());
        std::thread::Builder::new().name("candles".to_owned()).spawn(move || {
            // Nobody waits any more when all is being stopped.
            let _ = sender.send(ask(&shared.asked, &stop));
        })?;
        loop {
            match fetched.recv_timeout(LOOK_EVERY) {
                Ok(warm) => return Ok(warm),
                Err(mpsc::RecvTimeoutError::Timeout) if !self.stop.requested() => {}
                Err(mpsc::RecvTimeoutError::Disconnected) if !self.stop.requested() => {
                    return Err(std::io::Error::other("the one that asks for candles has ended").into());
                }
                Err(_) => return Err(PublishError::Stopped.into()),
            }
        }
    }

    /// Until the job has read enough of what was sent.
    fn wait_for_job(&self, sent: u64) -> Result<(), PublishError> {
        let is_ahead = || {
            let read: i64 = self.reading.positions.all().values().sum();
            sent > u64::try_from(read).unwrap_or(0) + AHEAD
        };
        // Each look costs more than a record.
        if sent.is_multiple_of(AHEAD / 10) {
            while is_ahead() {
                if !self.stop.sleep(LOOK_EVERY) {
                    return Err(PublishError::Stopped);
                }
            }
        }
        Ok(())
    }
}

/// Where the records come from, for people.
fn words(venues: &BTreeSet<&str>, told: &[Warmth]) -> String {
    let names = venues.iter().copied().collect::<Vec<_>>().join(", ");
    let mut text = format!("The real market: trades of {names}, as they are made.");
    let (had, lacking): (Vec<&Warmth>, Vec<&Warmth>) = told.iter().partition(|warmth| warmth.why.is_none());
    if let (Some(from), Some(to)) =
        (had.iter().map(|warmth| warmth.from).min(), had.iter().map(|warmth| warmth.to).max())
    {
        let hours = (to.millis() - from.millis()) as f64 / 3_600_000.0;
        let list: Vec<String> = had.iter().map(|warmth| format!("{} {}", warmth.symbol, warmth.candles)).collect();
        let to = to.to_string();
        let (day, time) = to.split_once('T').unwrap_or((&to, ""));
        let time = time.get(..5).unwrap_or(time);
        text += &format!(
            " What was before {day} {time} UTC was learned from {hours:.1} hours of the venue's own candles of a minute ({}).",
            list.join(", ")
        );
    }
    for Warmth { symbol, venue, why, .. } in lacking {
        let why = why.as_deref().unwrap_or_default();
        text += &format!(" {symbol} begins with its next trade: {venue} gave no candles ({why}).");
    }
    text
}
