//! What the processes of a cluster say to each other while their job begins, runs and ends.
//!
//! ```text
//!   others ──> process 0      where their partitions stand, parts of checkpoints, that they failed, what they counted
//!   process 0 ──> others      the plan, where all partitions stand, which cut is wanted, that sinks are behind, that all may end
//! ```
//!
//! Nothing that decides a result goes this way: what a resume has to know of idle partitions travels with the records, inside of
//! timely's order (`operators/commit`). What goes here may come late.

mod peers;
mod talking;

use crate::cluster::{Event, Hosts, Leaving, Link};
use crate::delivery::Sink;
use crate::market::{PartitionId, Release, Symbol, Timestamp};
use crate::operators::support::board::BoardNews;
use crate::operators::support::stats::StatsReport;
use crate::recovery::cuts::Note;
use crate::recovery::restored::RestoredShare;
use crate::recovery::{Fault, Offsets};
use crossbeam_channel::Receiver;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::TcpStream;
use std::time::Duration;

pub use peers::Peers;
pub use talking::Talk;

/// How long the last word to the others may take before a process is left.
const LAST_WORD_TIME: Duration = Duration::from_millis(200);

/// What one process says to another.
#[derive(Debug, Serialize, Deserialize)]
pub enum Word {
    /// Everybody is there, and may connect to each other, for the start with this number.
    Mesh(u64),
    /// That is done.
    Meshed,
    /// What the other is to do.
    Plan(Box<Part>),
    /// Where partitions stand.
    News(BoardNews),
    /// The job cannot go on.
    Failed(Fault),
    /// Somebody asked for a stop.
    Stop,
    /// Whether the sinks are behind.
    Behind(bool),
    /// So many bytes that came straight from the other's sources were handed to the sinks, since the beginning.
    Taken(u64),
    /// Which cut is wanted.
    Cut(Option<Timestamp>),
    /// It is known here.
    CutHeard(Timestamp),
    /// A part of a checkpoint, or that one is missed.
    Note(Note),
    /// Weights to be written.
    Weights(Option<Symbol>, Vec<u8>),
    /// Everything that is closed is published: workers may end.
    Leave,
    /// What a process has to say at its end.
    Report(Box<Report>),
    /// All have reported.
    Done,
}

impl Word {
    /// As it goes over a link.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        // Plain data into memory: nothing of it can fail.
        postcard::to_allocvec(self).unwrap_or_default()
    }

    /// From a link.
    ///
    /// # Errors
    /// When it is none of this version.
    pub fn read(bytes: &[u8]) -> Result<Self, Fault> {
        let word = postcard::take_from_bytes(bytes).ok().and_then(|(word, rest)| rest.is_empty().then_some(word));
        word.ok_or_else(|| Fault::failed("another process said something that this one does not understand"))
    }
}

/// What a process other than the first has to know of a start.
#[derive(Debug, Serialize, Deserialize)]
pub struct Part {
    /// The topic that is read.
    pub topic: String,
    /// Its id, where the broker tells one.
    pub topic_id: Option<String>,
    /// The first offset of each partition.
    pub starts: Offsets,
    /// Idle releases to be replayed.
    pub releases: Vec<Release>,
    /// How many partitions the symbols that the job may have are divided over.
    pub symbol_shares: Option<usize>,
    /// What sinks want.
    pub wanted: Wanted,
    /// Whether checkpoints are kept.
    pub keeps: bool,
    /// Whether weights are written.
    pub writes_weights: bool,
    /// What its workers go on from.
    pub restored: Option<RestoredShare>,
}

/// What sinks want besides forecasts and scores: all workers build the same dataflow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// Feature rows.
    pub rows: bool,
    /// Feature rows at the ends of whole windows.
    pub bars: bool,
    /// Used ticks.
    pub ticks: bool,
    /// Records that were not used.
    pub dead_letters: bool,
}

impl Wanted {
    /// Of these sinks, and whether dead letters go somewhere.
    #[must_use]
    pub fn by(sinks: &[Box<dyn Sink>], dead_letters: bool) -> Self {
        let wants = |pick: fn(&dyn Sink) -> bool| sinks.iter().any(|sink| pick(sink.as_ref()));
        Self {
            rows: wants(|sink| sink.wants().rows),
            bars: wants(|sink| sink.wants().bars),
            ticks: wants(|sink| sink.wants().ticks),
            dead_letters,
        }
    }
}

/// What a process has counted.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    /// Records, rows, forecasts.
    pub stats: StatsReport,
    /// Sums of scores.
    pub scores: super::scoreboard::Total,
    /// What the student project's models are worth, as JSON.
    pub standings: String,
    /// The best word on a network that all symbols share.
    pub weights: Option<Vec<u8>>,
    /// Peak resident memory.
    pub peak_memory_bytes: u64,
}

/// A process's place in a cluster whose sockets are there.
pub struct Cluster {
    /// Which one it is.
    pub index: usize,
    /// Where all are.
    pub hosts: Hosts,
    /// For timely: one for each other process, none for this one.
    pub sockets: Vec<Option<TcpStream>>,
    /// To each other process, in process 0; in another, to process 0.
    pub links: BTreeMap<usize, Link>,
    /// What has happened on them, and nobody has looked at.
    pub happened: Vec<(usize, Event)>,
    /// What happens on them from now on.
    pub events: Receiver<(usize, Event)>,
    /// How this process is left where another is lost.
    pub leaving: Leaving,
    /// What process 0 said of the sinks; none in process 0.
    pub wanted: Option<Wanted>,
    /// Whether process 0 keeps checkpoints, and writes weights.
    pub keeps: bool,
    /// The same of weights.
    pub writes_weights: bool,
}

/// The partitions that a process's workers read, out of so many workers.
#[must_use]
pub fn reads(partition: PartitionId, of: &std::ops::Range<usize>, workers: usize) -> bool {
    of.contains(&(partition.0 as usize % workers))
}

/// Tells the other processes why this one cannot begin.
pub fn tell_failure(links: &BTreeMap<usize, Link>, fault: &Fault) {
    let bytes = Word::Failed(fault.clone()).to_bytes();
    links.values().for_each(|link| link.say(bytes.clone()));
    std::thread::sleep(LAST_WORD_TIME);
}
