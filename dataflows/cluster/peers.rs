//! The other processes, as a job's own threads have to do with them.

use super::talking::{Talk, Talking};
use super::{Cluster, Report, Word};
use crate::cluster::{Hosts, Leaving, Link};
use crate::market::Symbol;
use crate::recovery::Fault;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long processes wait for each other at the end.
const END_TIME: Duration = Duration::from_secs(10);

/// The other processes, while the job runs.
#[derive(Clone)]
pub struct Peers(pub(super) Arc<Inner>);

pub(super) struct Inner {
    index: usize,
    pub hosts: Hosts,
    links: Mutex<BTreeMap<usize, Link>>,
    pub leaving: Leaving,
    workers: usize,
    /// Whether everything that is closed is published.
    pub leave: AtomicBool,
    /// Bytes of each process's sources that were handed over.
    pub taken: Vec<AtomicU64>,
    ended: Mutex<Ended>,
    change: Condvar,
    pub ending: AtomicBool,
}

/// What is known of the others' ends.
#[derive(Default)]
pub(super) struct Ended {
    pub reports: BTreeMap<usize, Report>,
    pub lost: BTreeSet<usize>,
    pub done: bool,
}

impl Peers {
    /// Starts the thread that talks to the others. What is to be said of the board is kept from now on.
    ///
    /// # Errors
    /// When the system refuses another thread.
    pub fn start(cluster: Cluster, talk: Talk) -> std::io::Result<Self> {
        let Cluster { index, hosts, links, happened, events, leaving, .. } = cluster;
        let taken = (0..hosts.count()).map(|_| AtomicU64::new(0)).collect();
        let peers = Self(Arc::new(Inner {
            index,
            hosts,
            links: Mutex::new(links),
            leaving,
            workers: talk.workers,
            leave: AtomicBool::new(false),
            taken,
            ended: Mutex::default(),
            change: Condvar::new(),
            ending: AtomicBool::new(false),
        }));
        let ring = talk.board.share();
        talk.cuts.iter().for_each(|cuts| cuts.share());
        let count = peers.0.hosts.count();
        let mut talking = Talking::new(peers.clone(), talk, count);
        std::thread::Builder::new().name("cluster".to_owned()).spawn(move || talking.run(happened, &events, &ring))?;
        Ok(peers)
    }

    /// Whether this is the process that knows all others and has the sinks.
    #[must_use]
    pub fn is_first(&self) -> bool {
        self.0.index == 0
    }

    /// Whether everything that is closed is published, as process 0 says.
    #[must_use]
    pub fn may_leave(&self) -> bool {
        self.0.leave.load(Ordering::SeqCst)
    }

    /// In process 0: lets the others' workers end.
    pub fn let_leave(&self) {
        if !self.0.leave.swap(true, Ordering::SeqCst) {
            self.say_to_all(&Word::Leave, None);
        }
    }

    /// In process 0: bytes of a worker's source were handed over.
    pub fn note_taken(&self, worker: usize, bytes: usize) {
        if let Some(taken) = self.0.taken.get(worker / self.0.workers) {
            taken.fetch_add(bytes as u64, Ordering::AcqRel);
        }
    }

    /// Hands weights to the process that writes them.
    pub fn carry_weights(&self, symbol: Option<Symbol>, bytes: Vec<u8>) {
        // One after the other: the job hands out none while they wait.
        while self.0.links.lock().unwrap_or_else(PoisonError::into_inner).get(&0).is_some_and(Link::is_carrying) {
            std::thread::sleep(Duration::from_millis(10));
        }
        self.carry(0, &Word::Weights(symbol, bytes));
    }

    /// In another process than the first, once its workers have ended: says what they counted, and waits until all have.
    pub fn report(&self, report: Option<Report>) {
        self.0.ending.store(true, Ordering::SeqCst);
        if let Some(report) = report {
            self.carry(0, &Word::Report(Box::new(report)));
        }
        self.wait(END_TIME, |ended| ended.done || ended.lost.contains(&0));
        self.hang_up();
    }

    /// In process 0, once its workers have ended: what the others counted, where all `ended_well`.
    ///
    /// # Errors
    /// Who has not reported.
    pub fn gather(&self, ended_well: bool) -> Result<Vec<Report>, Fault> {
        self.0.ending.store(true, Ordering::SeqCst);
        let others: BTreeSet<usize> = (1..self.0.hosts.count()).collect();
        if ended_well {
            let has_ended = |ended: &Ended, peer: &usize| ended.reports.contains_key(peer) || ended.lost.contains(peer);
            self.wait(END_TIME, |ended| others.iter().all(|peer| has_ended(ended, peer)));
        }
        self.say_to_all(&Word::Done, None);
        // Who has heard it hangs up.
        self.wait(END_TIME / 5, |ended| others.is_subset(&ended.lost));
        self.hang_up();
        let reports = std::mem::take(&mut self.lock_ended().reports);
        match others.iter().find(|peer| ended_well && !reports.contains_key(peer)) {
            Some(peer) => Err(Fault::peer_lost(format!("{} ended without a word", self.0.hosts.name(*peer)))),
            None => Ok(reports.into_values().collect()),
        }
    }

    fn hang_up(&self) {
        self.0.links.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn wait(&self, time: Duration, is_over: impl Fn(&Ended) -> bool) {
        let end = Instant::now() + time;
        let mut ended = self.lock_ended();
        while !is_over(&ended) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            ended = self.0.change.wait_timeout(ended, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    pub(super) fn lock_ended(&self) -> MutexGuard<'_, Ended> {
        self.0.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn change_ended(&self, change: impl FnOnce(&mut Ended)) {
        change(&mut self.lock_ended());
        self.0.change.notify_all();
    }

    pub(super) fn say(&self, peer: usize, word: &Word) {
        if let Some(link) = self.0.links.lock().unwrap_or_else(PoisonError::into_inner).get(&peer) {
            link.say(word.to_bytes());
        }
    }

    pub(super) fn carry(&self, peer: usize, word: &Word) {
        if let Some(link) = self.0.links.lock().unwrap_or_else(PoisonError::into_inner).get(&peer) {
            link.carry(word.to_bytes());
        }
    }

    /// To whom there is a link, but to one.
    pub(super) fn say_to_all(&self, word: &Word, but: Option<usize>) {
        let bytes = word.to_bytes();
        let links = self.0.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.iter().filter(|(peer, _)| Some(**peer) != but).for_each(|(_, link)| link.say(bytes.clone()));
    }
}
