//! The job's one producer to Kafka: forecasts, scores, dead letters and the progress record of everything that is
//! ready, in one transaction.
//!
//! A transaction that fails, for whatever reason, is mended in one way: a new producer, `init_transactions` (the broker
//! aborts what was open), the progress record is read, and it tells what of the batch had been committed after all. A batch
//! that is too large for one transaction is written in several: the progress record says how far.

mod takeover;

use super::budget::Budget;
use super::channel::Channel;
use super::connect::{CALL_WAIT, Inquirer, START_WAIT};
use super::context::Limiter;
use super::options::Server;
use super::patience::{Backoff, Patience, Trouble};
use super::progress::{self, Open, ReadError};
use super::records::{self, Outgoing, Topics};
use super::work::Work;
use crate::config::{Delivery, KafkaSinkConfig};
use crate::delivery::{Batch, Retrying, Sink, SinkError, Stop};
use crate::market::Release;
use crate::recovery::{Fault, Offsets, Progress, point};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

pub use takeover::Begin;

/// Writes to Kafka, exactly once unless `delivery` says otherwise.
pub struct KafkaSink {
    server: Server,
    topics: Topics,
    delivery: Delivery,
    /// `None` after trouble.
    channel: Option<Channel>,
    /// As committed last; `start` and `covers` as the next transaction will write them.
    progress: Progress,
    /// What a transaction may hold.
    budget: Budget,
    limiter: Limiter,
    scratch: Vec<u8>,
    /// So many releases are worth a warning.
    warn_at: usize,
    /// From which offsets the oldest checkpoint goes on: what was decided before them need not stay on record.
    kept_from: Arc<Mutex<Offsets>>,
}

/// So many releases stay on record, whatever checkpoints there are: a job with fewer can always be computed from its start.
const RELEASES_KEPT: usize = 64;
/// So many take some 100 kB.
const RELEASES_WARNED: usize = 2000;

impl KafkaSink {
    /// What the job has published, without taking it over; `None` for one that has never run.
    ///
    /// # Errors
    /// When no broker answers within 10 seconds, or the options cannot be used.
    pub fn published(config: &KafkaSinkConfig, job: &str, stop: &Stop) -> Result<Option<Progress>, SinkError> {
        let server = Server::of_sink(config).map_err(|error| SinkError::Fatal(error.0))?;
        let topics = Topics::new(&config.topic, None);
        let inquirer = Inquirer::new(&server, &server.inquirer(), START_WAIT, stop).map_err(SinkError::Fatal)?;
        if inquirer.partitions_now(&topics.progress).map_err(SinkError::Fatal)?.is_none() {
            return Ok(None);
        }
        let started = Instant::now();
        loop {
            match progress::read(&server, &topics.progress, job, START_WAIT, Open::LeaveOut, &mut Patience::new(stop)) {
                Ok(found) => return Ok(found),
                Err(ReadError::Again(_)) if started.elapsed() < START_WAIT => {}
                Err(ReadError::Again(text) | ReadError::Unusable(text)) => return Err(SinkError::Fatal(text)),
                Err(ReadError::Stopped) => return Err(SinkError::Stopped),
            }
        }
    }

    /// The offsets that `start` was resolved to. To be told before the first batch, which records them.
    pub fn set_start(&mut self, start: &Offsets) {
        self.progress.start.clone_from(start);
    }

    /// Where the offsets stand that the oldest checkpoint goes on from.
    pub fn set_kept_from(&mut self, kept_from: Arc<Mutex<Offsets>>) {
        self.kept_from = kept_from;
    }

    /// Leaves out releases that no checkpoint needs, where there are many.
    fn prune(&mut self, progress: &mut Progress) {
        if progress.releases.len() <= RELEASES_KEPT {
            return;
        }
        if progress.releases.len() >= self.warn_at {
            self.warn_at = 2 * progress.releases.len();
            tracing::warn!(
                target: "tickcast::kafka",
                "{} releases of idle partitions are on record, more than one transaction's record will hold one day: with [checkpoint] \
                 those that none needs go, with a longer time.idle_timeout there are fewer",
                progress.releases.len()
            );
        }
        let kept_from = self.kept_from.lock().unwrap_or_else(PoisonError::into_inner);
        let needed = |release: &Release| {
            let from = kept_from.get(&release.partition).copied().unwrap_or(0);
            i64::try_from(release.offset).is_ok_and(|offset| offset >= from)
        };
        let before = progress.releases.len();
        progress.releases.retain(needed);
        if progress.releases.len() < before {
            progress.releases_from.clone_from(&kept_from);
        }
    }

    /// The names of the sinks that `through` holds for.
    pub fn set_covers(&mut self, sinks: Vec<String>) {
        self.progress.covers = sinks;
    }

    /// What is published.
    #[must_use]
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// A producer that may begin.
    fn connect(&self, wait: Option<Duration>, patience: &mut Patience<'_>) -> Result<Channel, Trouble> {
        match self.delivery {
            Delivery::AtLeastOnce => Channel::open(&self.server, &self.server.producer()),
            Delivery::ExactlyOnce => {
                let channel = Channel::open(&self.server, &self.server.transactional(&self.transactional_id()))?;
                channel.init_transactions(wait, patience)?;
                Ok(channel)
            }
        }
    }

    fn read_progress(&self, wait: Duration, patience: &mut Patience<'_>) -> Result<Option<Progress>, Trouble> {
        progress::read(&self.server, &self.topics.progress, &self.progress.job, wait, Open::Await, patience).map_err(
            |error| match error {
                ReadError::Again(text) => Trouble::Renew(text),
                ReadError::Unusable(text) => Trouble::Fatal(text),
                ReadError::Stopped => Trouble::Stopped,
            },
        )
    }

    /// What the broker knows of us, once it is clear that no other instance has taken over.
    fn read_own_progress(&self, patience: &mut Patience<'_>) -> Result<Progress, Trouble> {
        let (job, topic) = (&self.progress.job, &self.topics.progress);
        let mine = self.progress.generation;
        match self.read_progress(CALL_WAIT, patience)? {
            Some(found) if found.generation > mine => Err(Trouble::Refused(Fault::fenced(format!(
                "another instance of job `{job}` has taken over (generation {} after {mine}): stop one of them, or give it another `job.id`",
                found.generation
            )))),
            Some(found) if found.generation == mine && found.sequence >= self.progress.sequence => Ok(found),
            _ => Err(Trouble::Fatal(format!(
                "the progress of job `{job}` in topic `{topic}` is gone: was it deleted, or cut by retention? Its cleanup.policy must be `compact`"
            ))),
        }
    }

    /// A producer after trouble, and what it makes known: a transaction in doubt may have been committed.
    fn renew(&mut self, patience: &mut Patience<'_>) -> Result<Channel, Trouble> {
        // Looks first: the instance that has taken over must not be fenced by the one that goes.
        self.read_own_progress(patience)?;
        let channel = self.connect(None, patience)?;
        let found = self.read_own_progress(patience)?;
        if found.sequence > self.progress.sequence {
            tracing::info!(target: "tickcast::kafka", "the transaction in doubt had been committed");
            self.progress = found;
        }
        Ok(channel)
    }

    /// Writes what fits of what is left of `batch`. False when nothing was left.
    fn write_some(&mut self, batch: &Batch, patience: &mut Patience<'_>) -> Result<bool, Trouble> {
        let channel = match self.channel.take() {
            Some(channel) => channel,
            None => self.renew(patience)?,
        };
        let Some(mut work) = self.progress.work(batch, self.topics.dead_letters.is_some(), self.budget) else {
            self.channel = Some(channel);
            return Ok(false);
        };
        self.prune(&mut work.progress);
        let begin = Instant::now();
        let published = self.publish(&channel, &work, patience);
        match &published {
            Ok(()) => {
                self.budget.succeeded(begin.elapsed());
                self.progress = work.progress;
                self.channel = Some(channel);
            }
            Err(Trouble::Renew(_)) if self.budget.failed(work.size, begin.elapsed()) => {
                let Budget { records, bytes } = work.size;
                tracing::warn!(
                    target: "tickcast::kafka",
                    "a transaction of {records} records, {bytes} bytes, took too long: the next one is half as large"
                );
            }
            Err(_) => {}
        }
        published.map(|()| true)
    }

    fn publish(&mut self, channel: &Channel, work: &Work<'_>, patience: &mut Patience<'_>) -> Result<(), Trouble> {
        if self.delivery == Delivery::AtLeastOnce {
            return self.send(channel, work, patience);
        }
        channel.begin()?;
        point::reach("kafka.begun");
        if let Err(trouble) = self.send(channel, work, patience) {
            if patience.stop().requested() {
                self.take_back(channel, &trouble, patience.stop());
            }
            return Err(trouble);
        }
        point::reach("kafka.sent");
        channel.commit(patience)?;
        point::reach("kafka.committed");
        Ok(())
    }

    /// Ends the open transaction at a stop: nobody comes to fence it, and until the broker's time-out readers of what is
    /// committed would wait.
    fn take_back(&self, channel: &Channel, trouble: &Trouble, stop: &Stop) {
        if !channel.abort(stop.left() / 3) && matches!(trouble, Trouble::Stopped) {
            // Its own producer waits for the answer to all that is in flight; a new one does not.
            let successor = Channel::open(&self.server, &self.server.transactional(&self.transactional_id()));
            let _ = successor.map(|successor| successor.supersede(stop.left()));
        }
    }

    fn transactional_id(&self) -> String {
        format!("tickcast-{}", self.progress.job)
    }

    fn send(&mut self, channel: &Channel, work: &Work<'_>, patience: &mut Patience<'_>) -> Result<(), Trouble> {
        records::each(work, &self.topics, &mut self.scratch, |outgoing| channel.send(outgoing, patience))?;
        if self.delivery == Delivery::AtLeastOnce {
            // Progress must not be known before what it speaks of.
            channel.drain(patience)?;
        }
        let (key, value) = (work.progress.job.as_bytes(), records::progress_value(&work.progress));
        let topic = &self.topics.progress;
        channel.send(Outgoing { topic, key: Some(key), value: &value, headers: None }, patience)?;
        channel.drain(patience)
    }

    fn has_left(&self, batch: &Batch) -> bool {
        self.progress.work(batch, self.topics.dead_letters.is_some(), self.budget).is_some()
    }

    fn complain(&self, why: &str) {
        Retrying::Kafka.note();
        if self.limiter.pass("write").is_some() {
            tracing::warn!(target: "tickcast::kafka", "{why}: trying again with a new producer");
        }
    }
}

impl Sink for KafkaSink {
    fn name(&self) -> &'static str {
        "kafka"
    }

    fn write(&mut self, batch: &Batch, stop: &Stop) -> Result<(), SinkError> {
        let mut patience = Patience::new(stop);
        let mut backoff = Backoff::new();
        loop {
            match self.write_some(batch, &mut patience) {
                Ok(false) => return Ok(()),
                // The next part is something new.
                Ok(true) if stop.begins_nothing() && self.has_left(batch) => return Err(SinkError::Stopped),
                Ok(true) => backoff = Backoff::new(),
                Err(Trouble::Renew(why)) => {
                    self.complain(&why);
                    backoff.wait(&patience)?;
                }
                Err(other) => return Err(other.into()),
            }
        }
    }
}
