//! The thread that writes checkpoints: it announces cuts, gathers what operators give, and makes a checkpoint current once
//! everything before its cut is published.
//!
//! Nobody waits for it. What is not complete is given up, and the next cut tried further ahead.

use super::computation::Computation;
use super::cuts::{Cuts, Note, Piece};
use super::kept;
use super::manifest::{Keeper, MANIFEST_VERSION, Manifest, Section, sha256};
use super::packed::pack;
use super::point;
use super::progress::Offsets;
use super::store::{Store, put_once};
use crate::market::symbol::PARTS;
use crate::market::{Generation, Span, Timestamp};
use crossbeam_channel::{Receiver, RecvTimeoutError};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often the thread looks whether a cut is due, or published.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A cut is announced so far ahead of what partitions have reached, at first.
const AHEAD_MIN: Span = Span::from_millis(1_000);
/// And at most: a backfill goes through months in a second.
const AHEAD_MAX: Span = Span::from_millis(400 * 86_400_000);
/// What does not stand on the road to the sinks, the scoreboard, may give its part a little later than they have everything. Parts
/// of other processes may take as long as it takes until the next cut.
const STRAGGLERS: Duration = Duration::from_secs(1);
/// How long a cut may be away before a nearer one is looked for.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a store that does not answer is left alone.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// Without a checkpoint for so long, though time goes on, it is warned.
const OVERDUE: Duration = Duration::from_secs(600);
/// At most one warning of a kind in this time.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// What checkpoints are of.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The job.
    pub job: String,
    /// Its instance.
    pub generation: Generation,
    /// What it computes.
    pub computation: Computation,
    /// [`super::Progress::partitions`].
    pub partitions: u32,
    /// [`super::Progress::history`].
    pub history: Generation,
    /// [`Manifest::layout`].
    pub layout: String,
    /// [`Manifest::sinks`].
    pub sinks: Vec<String>,
    /// Who gives a part of each: an operator and its worker.
    pub keepers: BTreeSet<(Keeper, usize)>,
}

/// How often, and how many.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Of event time between two cuts, which lie at its multiples.
    pub interval: Span,
    /// Of wall time between two announcements, at least.
    pub pause: Duration,
    /// How many checkpoints are kept.
    pub keep: usize,
    /// How long parts may take when all is published.
    pub stragglers: Duration,
}

impl Pace {
    /// A cut at each multiple of `interval`, where event time does not run faster than that.
    #[must_use]
    pub fn new(interval: Span, keep: usize) -> Self {
        // A little earlier than the next is due.
        Self { interval, pause: interval.to_std().mul_f64(0.8), keep, stragglers: STRAGGLERS }
    }

    /// The same where parts come from other processes.
    #[must_use]
    pub fn of_several(self) -> Self {
        Self { stragglers: self.pause.max(STRAGGLERS), ..self }
    }
}

/// What the thread has to know of the job while it runs.
pub trait Watched: Send {
    /// The greatest event time of any partition; none before the first.
    fn latest(&self) -> Option<Timestamp>;
    /// The greatest watermark of any partition: what is closed beyond it was closed by the end of the input.
    fn watermark(&self) -> Option<Timestamp>;
    /// Everything of all panes that end by then is in every sink.
    fn published(&self) -> Timestamp;
    /// A checkpoint is current: reading from before these offsets will not be needed any more.
    fn kept_from(&self, oldest: &Manifest);
    /// Results that are published through there have to be on the disk.
    fn sync(&self) -> Result<(), String>;

    /// There is a checkpoint of `cut`; for people.
    fn wrote(&self, _cut: Timestamp, _bytes: u64, _took: Duration) {}

    /// There is none where one was wanted; for people.
    fn could_not_write(&self) {}
}

/// The running thread.
#[derive(Debug)]
pub struct Saver {
    stop: crossbeam_channel::Sender<()>,
    thread: JoinHandle<()>,
}

impl Saver {
    /// Starts it.
    ///
    /// # Errors
    /// When the system refuses another thread.
    pub fn spawn(
        store: Arc<dyn Store>,
        subject: Subject,
        pace: Pace,
        cuts: Arc<Cuts>,
        notes: Receiver<Note>,
        watched: Box<dyn Watched>,
    ) -> std::io::Result<Self> {
        let (stop, stopped) = crossbeam_channel::bounded(1);
        let mut work = Work::new(store, subject, pace, cuts, watched);
        let look_every = LOOK_EVERY.min(pace.pause / 4 + Duration::from_millis(1));
        let thread = std::thread::Builder::new().name("checkpoints".to_owned()).spawn(move || {
            loop {
                match notes.recv_timeout(look_every) {
                    Ok(note) => work.take(note),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                }
                // All that is there first: what operators gave before everything was published counts.
                while let Ok(note) = notes.try_recv() {
                    work.take(note);
                }
                work.look();
                if stopped.try_recv().is_ok() {
                    break;
                }
            }
        })?;
        Ok(Self { stop, thread })
    }

    /// Ends it. What is being written is finished; what is complete and published becomes current.
    pub fn finish(self) {
        let _ = self.stop.send(());
        let _ = self.thread.join();
    }
}

/// A cut that is announced.
struct Gathering {
    cut: Timestamp,
    pieces: BTreeMap<(Keeper, usize), Piece>,
    begun: Instant,
    /// When everything before the cut was seen to be published.
    published: Option<Instant>,
}

struct Work {
    store: Arc<dyn Store>,
    subject: Subject,
    pace: Pace,
    cuts: Arc<Cuts>,
    watched: Box<dyn Watched>,
    gathering: Option<Gathering>,
    /// The last cut that was announced.
    last: Option<Timestamp>,
    announced: Option<Instant>,
    ahead: Span,
    rest_until: Option<Instant>,
    warned: Option<Instant>,
    /// When there was a checkpoint last, or the job began.
    done: Instant,
}

impl Work {
    fn new(store: Arc<dyn Store>, subject: Subject, pace: Pace, cuts: Arc<Cuts>, watched: Box<dyn Watched>) -> Self {
        Self {
            store,
            subject,
            pace,
            cuts,
            watched,
            gathering: None,
            last: None,
            announced: None,
            ahead: AHEAD_MIN,
            rest_until: None,
            warned: None,
            done: Instant::now(),
        }
    }

    fn take(&mut self, note: Note) {
        match (note, &mut self.gathering) {
            (Note::Given(piece), Some(gathering)) if piece.cut == gathering.cut => {
                gathering.pieces.insert((piece.keeper, piece.worker), piece);
            }
            (Note::Missed(cut), Some(gathering)) if cut == gathering.cut => {
                self.gathering = None;
                // Nobody else need give anything.
                self.cuts.want_none();
                self.ahead = Span::from_millis(self.ahead.millis().saturating_mul(2)).min(AHEAD_MAX);
            }
            // Of a cut that was given up.
            _ => {}
        }
    }

    fn look(&mut self) {
        if self.done.elapsed() >= OVERDUE.max(10 * self.pace.pause) && self.watched.latest() > self.last {
            self.warn("there was no checkpoint for a while");
        }
        match &self.gathering {
            None if self.is_due() => self.announce(),
            None => {}
            Some(gathering) if self.watched.published() >= gathering.cut => self.finish_cut(),
            Some(gathering) if gathering.begun.elapsed() >= PATIENCE.max(2 * self.pace.pause) => self.bring_nearer(),
            Some(_) => {}
        }
    }

    /// A job that had much to catch up with was given a cut far ahead: now that it goes at the market's pace, a nearer one.
    fn bring_nearer(&mut self) {
        let Some(nearer) = self.watched.latest().map(|latest| self.next_cut(latest.plus(AHEAD_MIN))) else { return };
        if self.gathering.as_ref().is_some_and(|gathering| nearer < gathering.cut) {
            self.ahead = AHEAD_MIN;
            self.begin(nearer);
        }
    }

    /// The first multiple of the interval after `beyond`.
    fn next_cut(&self, beyond: Timestamp) -> Timestamp {
        let interval = self.pace.interval.millis();
        Timestamp::from_millis((beyond.millis().div_euclid(interval) + 1).saturating_mul(interval))
    }

    /// Not more often than once per interval, of wall time; nor of event time, since cuts lie at its multiples.
    fn is_due(&self) -> bool {
        let rested = self.rest_until.is_none_or(|until| Instant::now() >= until);
        rested && self.announced.is_none_or(|at| at.elapsed() >= self.pace.pause)
    }

    fn announce(&mut self) {
        let Some(latest) = self.watched.latest() else { return };
        self.begin(self.next_cut(latest.plus(self.ahead).max(self.last.unwrap_or(latest))));
    }

    fn begin(&mut self, cut: Timestamp) {
        self.last = Some(cut);
        self.announced = Some(Instant::now());
        self.gathering = Some(Gathering { cut, pieces: BTreeMap::new(), begun: Instant::now(), published: None });
        self.cuts.announce(cut);
    }

    fn finish_cut(&mut self) {
        let Some(mut gathering) = self.gathering.take() else { return };
        let is_whole = self.subject.keepers.iter().all(|keeper| gathering.pieces.contains_key(keeper));
        let is_beyond = self.watched.watermark() >= Some(gathering.cut);
        let waited = gathering.published.get_or_insert_with(Instant::now).elapsed();
        if !(is_whole && is_beyond) && waited < self.pace.stragglers {
            self.gathering = Some(gathering);
            return;
        }
        if !is_beyond {
            // More of an open pane may come where the input goes on.
            return;
        }
        let missing = self.subject.keepers.iter().find(|keeper| !gathering.pieces.contains_key(keeper));
        if let Some((keeper, worker)) = missing {
            tracing::debug!("checkpoint of {}: {keeper:?} of worker {worker} gave nothing", gathering.cut);
            return;
        }
        self.ahead = Span::from_millis(self.ahead.millis() / 2).max(AHEAD_MIN);
        let (cut, begun, writing) = (gathering.cut, gathering.begun, Instant::now());
        match self.write(gathering) {
            Ok(bytes) => {
                tracing::debug!(
                    "checkpoint of {cut}: {bytes} bytes, {:.1} s after it was announced",
                    begun.elapsed().as_secs_f64()
                );
                self.watched.wrote(cut, bytes, writing.elapsed());
                self.rest_until = None;
                self.done = Instant::now();
            }
            Err(why) => {
                let name = Manifest::name(&self.subject.job, cut, self.subject.generation);
                self.watched.could_not_write();
                kept::take_back(self.store.as_ref(), &name);
                self.rest_until = Some(Instant::now() + RETRY_AFTER);
                self.warn(&format!("no checkpoint of {cut}: {why}"));
            }
        }
    }

    /// A job goes on without checkpoints: a start computes more again.
    fn warn(&mut self, why: &str) {
        if self.warned.is_none_or(|warned| warned.elapsed() >= WARN_EVERY) {
            self.warned = Some(Instant::now());
            tracing::warn!("{why}; the job goes on, and a start would compute from the checkpoint before");
        }
    }

    fn write(&self, gathering: Gathering) -> Result<u64, String> {
        self.watched.sync()?;
        let Subject { job, generation, computation, partitions, history, layout, sinks, .. } = &self.subject;
        let name = Manifest::name(job, gathering.cut, *generation);
        let mut objects: BTreeMap<usize, Vec<u8>> = BTreeMap::new();
        let (mut sections, mut offsets) = (Vec::new(), Offsets::new());
        for ((keeper, worker), piece) in gathering.pieces {
            if let (Keeper::Source(partition), Some(offset)) = (keeper, piece.offset) {
                offsets.insert(partition, i64::try_from(offset).unwrap_or(i64::MAX));
            }
            let object = objects.entry(worker).or_default();
            for (part, state) in piece.states {
                let packed = pack(&state).map_err(|error| format!("cannot compress a state: {error}"))?;
                let (from, bytes, sha256) = (object.len() as u64, packed.len() as u64, sha256(&packed));
                let (object_name, state) = (format!("{name}/state-{worker}"), state.len() as u64);
                sections.push(Section { keeper, part, object: object_name, from, bytes, state, sha256 });
                object.extend_from_slice(&packed);
            }
        }
        let manifest = Manifest {
            version: MANIFEST_VERSION,
            job: job.clone(),
            generation: *generation,
            computation: computation.clone(),
            cut: gathering.cut,
            offsets,
            partitions: *partitions,
            parts: PARTS,
            layout: layout.clone(),
            sinks: sinks.clone(),
            sections,
        };
        for (worker, bytes) in &objects {
            put_once(self.store.as_ref(), &format!("{name}/state-{worker}"), bytes)?;
            point::reach("checkpoint.half");
        }
        point::reach("checkpoint.state");
        put_once(self.store.as_ref(), &format!("{name}/manifest"), &manifest.to_bytes())?;
        point::reach("checkpoint.current");
        let oldest = kept::clean(self.store.as_ref(), job, &name, *history..=*generation, self.pace.keep);
        let oldest = oldest.map_err(|error| error.to_string())?;
        self.watched.kept_from(&oldest.unwrap_or_else(|| manifest.clone()));
        Ok(manifest.bytes())
    }
}

#[cfg(test)]
mod tests;
