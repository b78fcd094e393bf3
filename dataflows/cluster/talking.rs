//! The thread that talks to the other processes.

use super::{LAST_WORD_TIME, Peers, Word};
use crate::cluster::Event;
use crate::connectors::weights::WeightsSender;
use crate::delivery::Stop;
use crate::delivery::committer::Acknowledged;
use crate::delivery::stop::STOP_TIME_MAX;
use crate::market::{PartitionId, Symbol, Timestamp};
use crate::operators::support::board::{Board, BoardEntry, BoardNews};
use crate::recovery::cuts::{Cuts, Note};
use crate::recovery::{Cause, Fault};
use crossbeam_channel::{Receiver, select};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How often is looked for what nobody rings for.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Between two messages about partitions: a replay moves them thousands of times a second.
const NEWS_PAUSE: Duration = Duration::from_millis(2);

/// What a job shares with the thread that talks to the other processes.
pub struct Talk {
    /// Where partitions stand.
    pub board: Arc<Board>,
    /// How far the sinks are.
    pub progress: Arc<Acknowledged>,
    /// The job's wish to stop.
    pub stop: Stop,
    /// Which cut is wanted.
    pub cuts: Option<Arc<Cuts>>,
    /// Of a process without a store: what its operators give.
    pub notes: Option<Receiver<Note>>,
    /// Why the job cannot go on, once it cannot.
    pub failure: Arc<dyn Fn() -> Option<Fault> + Send + Sync>,
    /// Told when another process failed.
    pub fail: Arc<dyn Fn(Fault) + Send + Sync>,
    /// Takes the weights that another process has learnt.
    pub weights: Option<WeightsSender>,
    /// Worker threads of each process.
    pub workers: usize,
}

/// The thread that talks to the others.
pub(super) struct Talking {
    peers: Peers,
    talk: Talk,
    behind: bool,
    /// What each process was told of its bytes; in another than the first, nothing.
    taken: Vec<u64>,
    /// What process 0 said of ours.
    heard_taken: u64,
    cut: Option<Timestamp>,
    /// In process 0: who has not heard of it yet.
    unheard: BTreeSet<usize>,
    told_stop: bool,
    told_failure: bool,
    failed_since: Option<Instant>,
    /// When there is to be told of partitions, where there is something.
    news: Option<Instant>,
    told_news: Instant,
    /// In process 0: what others have said of theirs, and the rest has not been told.
    relayed: BTreeMap<usize, Relayed>,
    /// Weights that the writer had no room for: the last of each symbol.
    weights: BTreeMap<Option<Symbol>, Vec<u8>>,
}

/// What another process has said of its partitions: the last of each.
#[derive(Default)]
struct Relayed {
    entries: BTreeMap<PartitionId, BoardEntry>,
    joined: usize,
}

impl Talking {
    /// With so many processes.
    pub fn new(peers: Peers, talk: Talk, count: usize) -> Self {
        Self {
            peers,
            talk,
            behind: false,
            taken: vec![0; count],
            heard_taken: 0,
            cut: None,
            unheard: BTreeSet::new(),
            told_stop: false,
            told_failure: false,
            failed_since: None,
            news: None,
            told_news: Instant::now(),
            relayed: BTreeMap::new(),
            weights: BTreeMap::new(),
        }
    }

    /// Until all links are closed; what has `happened` comes before the `events`.
    pub fn run(&mut self, happened: Vec<(usize, Event)>, events: &Receiver<(usize, Event)>, ring: &Receiver<()>) {
        for (peer, event) in happened {
            self.take(peer, event);
        }
        let notes = self.talk.notes.clone().unwrap_or_else(crossbeam_channel::never);
        let silent = crossbeam_channel::never();
        loop {
            // Between two messages about partitions there is no listening for more, but for everything else.
            let pause = self.news.map_or(LOOK_EVERY, |due| due.saturating_duration_since(Instant::now()));
            let ringing = if self.news.is_some() { &silent } else { ring };
            select! {
                recv(events) -> event => match event {
                    Ok((peer, event)) => self.take(peer, event),
                    // All links are closed.
                    Err(_) => return,
                },
                recv(notes) -> note => if let Ok(note) = note {
                    self.peers.carry(0, &Word::Note(note));
                },
                recv(ringing) -> _ => self.news = Some(self.told_news + NEWS_PAUSE),
                default(pause) => {}
            }
            // All that is there: a replay says more of partitions than one at a time would get through.
            while let Ok((peer, event)) = events.try_recv() {
                self.take(peer, event);
            }
            if self.news.is_some_and(|due| due <= Instant::now()) {
                self.tell_news();
            }
            self.look();
        }
    }

    /// Tells where partitions stand: our own, and in process 0 what others have said of theirs.
    fn tell_news(&mut self) {
        (self.news, self.told_news) = (None, Instant::now());
        let own = self.talk.board.take_news();
        if !own.is_empty() {
            self.peers.say_to_all(&Word::News(own), None);
        }
        for (from, news) in std::mem::take(&mut self.relayed) {
            let entries = news.entries.into_iter().collect();
            self.peers.say_to_all(&Word::News(BoardNews { entries, joined: news.joined }), Some(from));
        }
    }

    /// Says what has changed.
    fn look(&mut self) {
        if !self.told_failure
            && let Some(fault) = (self.talk.failure)()
        {
            self.told_failure = true;
            self.failed_since = Some(Instant::now());
            self.peers.say_to_all(&Word::Failed(fault), None);
        }
        if self.failed_since.is_some_and(|since| since.elapsed() > 2 * STOP_TIME_MAX)
            && let Some(fault) = (self.talk.failure)()
        {
            // Somebody does not end.
            self.peers.0.leaving.leave(&fault);
        }
        let ends = self.peers.0.ending.load(Ordering::SeqCst);
        if !ends && self.talk.stop.elapsed().is_some_and(|since| since > 4 * STOP_TIME_MAX) {
            let text = "another process of the job does not end after a stop: its workers were waited for in vain";
            self.peers.0.leaving.leave(&Fault::peer_lost(text));
        }
        if !self.told_stop && self.talk.stop.requested() {
            self.told_stop = true;
            self.peers.say_to_all(&Word::Stop, None);
        }
        if self.peers.is_first() {
            self.look_at_sinks();
        }
    }

    fn look_at_sinks(&mut self) {
        let behind = self.talk.progress.is_behind();
        if behind != self.behind {
            self.behind = behind;
            self.peers.say_to_all(&Word::Behind(behind), None);
        }
        if let Some(cuts) = &self.talk.cuts
            && cuts.announced() != self.cut
        {
            self.cut = cuts.announced();
            // The others first: see `Cuts::want`.
            self.unheard = self.cut.iter().flat_map(|_| 1..self.taken.len()).collect();
            self.peers.say_to_all(&Word::Cut(self.cut), None);
        }
        self.write_weights();
        for (peer, told) in self.taken.iter_mut().enumerate().skip(1) {
            let taken = self.peers.0.taken[peer].load(Ordering::Acquire);
            if taken != *told {
                *told = taken;
                self.peers.say(peer, &Word::Taken(taken));
            }
        }
    }

    /// Hands on weights as far as the writer has room; never waits.
    fn write_weights(&mut self) {
        let Some(writer) = &self.talk.weights else { return self.weights.clear() };
        while writer.has_room()
            && let Some((symbol, bytes)) = self.weights.pop_first()
        {
            if !writer.try_send(symbol, bytes) {
                return;
            }
        }
    }

    fn take(&mut self, peer: usize, event: Event) {
        let word = match event {
            Event::Word(bytes) => Word::read(&bytes),
            Event::Lost(why) => return self.lose(peer, &why),
        };
        match word {
            Ok(word) => self.hear(peer, word),
            Err(fault) => (self.talk.fail)(fault),
        }
    }

    fn hear(&mut self, peer: usize, word: Word) {
        match word {
            Word::News(news) => {
                if self.peers.is_first() {
                    let relayed = self.relayed.entry(peer).or_default();
                    relayed.entries.extend(news.entries.iter().copied());
                    relayed.joined += news.joined;
                    self.news.get_or_insert(self.told_news + NEWS_PAUSE);
                }
                self.talk.board.hear(news);
            }
            Word::Failed(fault) if fault.cause == Cause::PeerLost => self.peers.0.leaving.leave(&fault),
            Word::Failed(Fault { cause, text }) => {
                let text = if self.peers.is_first() { format!("{}: {text}", self.name(peer)) } else { text };
                (self.talk.fail)(Fault { cause, text });
            }
            Word::Stop => self.talk.stop.request(),
            Word::Behind(behind) => self.talk.progress.set_told_behind(behind),
            Word::Taken(taken) => {
                let more = taken.saturating_sub(self.heard_taken);
                self.heard_taken = taken;
                self.talk.progress.take_off_the_way(usize::try_from(more).unwrap_or(usize::MAX));
            }
            Word::Cut(cut) => {
                match (&self.talk.cuts, cut) {
                    (Some(cuts), Some(cut)) => cuts.want(cut),
                    (Some(cuts), None) => cuts.want_none(),
                    (None, _) => {}
                }
                cut.into_iter().for_each(|cut| self.peers.say(0, &Word::CutHeard(cut)));
            }
            Word::CutHeard(cut) => {
                if self.cut == Some(cut) && self.unheard.remove(&peer) && self.unheard.is_empty() {
                    self.talk.cuts.iter().for_each(|cuts| cuts.want(cut));
                }
            }
            Word::Note(note) => {
                if let Some(cuts) = &self.talk.cuts {
                    cuts.send(note);
                }
            }
            Word::Weights(symbol, bytes) => {
                self.weights.insert(symbol, bytes);
                self.write_weights();
            }
            Word::Leave => self.peers.0.leave.store(true, Ordering::SeqCst),
            Word::Report(report) => {
                // Its last weights came before it.
                while !self.weights.is_empty() {
                    self.write_weights();
                    std::thread::sleep(NEWS_PAUSE);
                }
                self.peers.change_ended(|ended| {
                    ended.reports.insert(peer, *report);
                });
            }
            Word::Done => self.peers.change_ended(|ended| ended.done = true),
            Word::Mesh(_) | Word::Meshed | Word::Plan(_) => {
                (self.talk.fail)(Fault::failed(format!("{} begins while the job runs", self.name(peer))));
            }
        }
    }

    fn lose(&mut self, peer: usize, why: &str) {
        let has_reported = self.peers.lock_ended().reports.contains_key(&peer);
        self.peers.change_ended(|ended| {
            ended.lost.insert(peer);
        });
        // Those that fail or have said everything hang up.
        if has_reported || self.peers.0.ending.load(Ordering::SeqCst) || (self.talk.failure)().is_some() {
            return;
        }
        let fault = Fault::peer_lost(format!(
            "{} is lost: {why}: all processes of the job have to be started again",
            self.name(peer)
        ));
        self.peers.say_to_all(&Word::Failed(fault.clone()), Some(peer));
        std::thread::sleep(LAST_WORD_TIME);
        self.peers.0.leaving.leave(&fault);
    }

    fn name(&self, peer: usize) -> String {
        self.peers.0.hosts.name(peer)
    }
}
