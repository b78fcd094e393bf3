//! What librdkafka's statistics prove about a consumer's partitions: until when everything that a partition held is here.
//!
//! An end that was told once ([`rdkafka::error::KafkaError::PartitionEOF`]) says nothing of what came later, and a
//! `read_committed` reader is told one where an open transaction begins. A report has more:
//!
//! - `ls_offset` below `hi_offset`: a transaction of an upstream producer is open (or another replica is waited for).
//!   Records that cannot be read yet are there. Control records at the end look otherwise: both offsets lie behind them.
//! - `next_offset` equal to `ls_offset`, and an empty queue: all that can be read was handed over.
//! - Of the fetch requests to a broker one is under way at a time. Where two more were sent since an earlier report, the
//!   first of the two was sent *and answered* since then: what the partition held at that report is here. That holds
//!   through whatever stops this process, its threads, or the machine.

use serde::Deserialize;
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// How often librdkafka reports.
pub(super) const REPORT_EVERY: Duration = Duration::from_millis(250);
/// A broker that answered within this time is there: fetches are answered every 100 ms.
const ANSWERED_WITHIN_US: i64 = 2_000_000;
/// A broker that was away must have answered for so long before we believe it: those who write to it come back, too.
const BELIEVE_AFTER: Duration = Duration::from_secs(3);
/// After so many further requests one has been sent and answered.
const FETCHES_TO_PROVE: u64 = 2;
/// Reports that are kept for a partition whose broker sends no more requests.
const REPORTS_MAX: usize = 64;

/// What is known of the partitions of one topic.
#[derive(Debug)]
pub(super) struct Reach {
    /// Before the client was made: ages in reports count from there.
    created: Instant,
    topic: String,
    partitions: HashMap<i32, Evidence>,
}

/// What is known of one partition.
#[derive(Debug, Default)]
struct Evidence {
    broker: i32,
    /// Of earlier reports, oldest first: how old the client was, and how many requests it had sent to the broker.
    reports: VecDeque<(Duration, u64)>,
    /// The client's age since which a broker that was away answers again.
    doubt: Option<Option<Duration>>,
    /// The client's age at which the partition held nothing that is not here, by the last report.
    proven: Option<Duration>,
    /// Behind the last record that can be read, by the last report that knew it.
    end: Option<u64>,
}

impl Reach {
    /// Before the client is made.
    pub fn new(topic: &str) -> Self {
        Self { created: Instant::now(), topic: topic.to_owned(), partitions: HashMap::new() }
    }

    /// The moment at which a partition held nothing that was not handed over by now; none while that is not known.
    pub fn proven(&self, partition: i32) -> Option<Instant> {
        self.partitions.get(&partition)?.proven.map(|age| self.created + age)
    }

    /// The partition had some trouble: its broker has to be believed anew.
    pub fn doubt(&mut self, partition: i32) {
        self.partitions.entry(partition).or_default().start_to_doubt();
    }

    /// The offset behind the last record that can be read, by the last report.
    pub fn end(&self, partition: i32) -> Option<u64> {
        self.partitions.get(&partition)?.end
    }

    pub fn take_report(&mut self, report: &Report) {
        let Some(topic) = report.topics.get(&self.topic) else { return };
        let age = Duration::from_micros(report.age);
        for partition in topic.partitions.values().filter(|p| p.partition >= 0 && p.desired) {
            // A broker may be listed twice: as itself, and as the coordinator that it is, too.
            let brokers = || report.brokers.values().filter(|broker| broker.nodeid == partition.broker);
            let fetches = brokers().map(|broker| broker.req.fetch).max().unwrap_or(0);
            let answers = brokers().any(BrokerReport::answers);
            self.partitions.entry(partition.partition).or_default().take(age, partition, fetches, answers);
        }
    }
}

impl Evidence {
    fn start_to_doubt(&mut self) {
        self.doubt = Some(None);
        self.proven = None;
        self.reports.clear();
    }

    fn take(&mut self, age: Duration, report: &PartitionReport, fetches: u64, answers: bool) {
        self.end = report.end().or(self.end);
        if !answers {
            self.start_to_doubt();
            return;
        }
        if let Some(since) = &mut self.doubt
            && age.saturating_sub(*since.get_or_insert(age)) >= BELIEVE_AFTER
        {
            self.doubt = None;
        }
        if self.broker != report.broker {
            self.broker = report.broker;
            self.reports.clear();
        }
        self.reports.push_back((age, fetches));
        let proves = |&(_, earlier): &(Duration, u64)| earlier + FETCHES_TO_PROVE <= fetches;
        while self.reports.get(1).is_some_and(proves) || self.reports.len() > REPORTS_MAX {
            self.reports.pop_front();
        }
        let answered = self.reports.front().filter(|report| proves(report)).map(|(age, _)| *age);
        self.proven = answered.filter(|_| self.doubt.is_none() && report.holds_nothing());
    }
}

/// The part of a report that is used.
#[derive(Debug, Deserialize)]
pub(super) struct Report {
    /// Microseconds since the client was made.
    #[serde(default)]
    age: u64,
    #[serde(default)]
    brokers: HashMap<String, BrokerReport>,
    #[serde(default)]
    topics: HashMap<String, TopicReport>,
}

#[derive(Debug, Deserialize)]
struct BrokerReport {
    nodeid: i32,
    state: String,
    /// Microseconds since it last sent anything; -1 for never.
    #[serde(default)]
    rxidle: i64,
    #[serde(default)]
    req: Requests,
}

/// Requests sent, by kind.
#[derive(Debug, Default, Deserialize)]
struct Requests {
    #[serde(default, rename = "Fetch")]
    fetch: u64,
}

impl BrokerReport {
    fn answers(&self) -> bool {
        self.state == "UP" && (0..ANSWERED_WITHIN_US).contains(&self.rxidle)
    }
}

#[derive(Debug, Deserialize)]
struct TopicReport {
    #[serde(default)]
    partitions: HashMap<String, PartitionReport>,
}

#[derive(Debug, Deserialize)]
struct PartitionReport {
    partition: i32,
    /// The broker that it is fetched from; -1 for none.
    broker: i32,
    /// Whether this consumer reads it.
    #[serde(default)]
    desired: bool,
    #[serde(default)]
    fetch_state: String,
    /// What waits in its queue.
    #[serde(default)]
    fetchq_cnt: u64,
    /// What is to be fetched next.
    #[serde(default)]
    next_offset: i64,
    /// The end of what can be read.
    #[serde(default)]
    ls_offset: i64,
    /// The end of what is there.
    #[serde(default)]
    hi_offset: i64,
}

impl PartitionReport {
    /// The end of what can be read, where it is known.
    fn end(&self) -> Option<u64> {
        u64::try_from(self.ls_offset).ok().filter(|_| self.hi_offset >= 0)
    }

    /// Whether the partition held nothing, read or not, that was not handed over and taken.
    fn holds_nothing(&self) -> bool {
        self.fetch_state == "active"
            && self.fetchq_cnt == 0
            && self.hi_offset >= 0
            && self.ls_offset >= self.hi_offset
            && self.next_offset >= self.ls_offset
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One broker, one partition.
    #[derive(Clone, Copy)]
    struct Told {
        age_ms: u64,
        fetches: u64,
        next: i64,
        stable: i64,
        high: i64,
        queued: u64,
        rxidle: i64,
    }

    const AT_END: Told = Told { age_ms: 0, fetches: 0, next: 7, stable: 7, high: 7, queued: 0, rxidle: 50_000 };

    fn report(told: Told) -> Report {
        let Told { age_ms, fetches, next, stable, high, queued, rxidle } = told;
        let text = format!(
            r#"{{"name":"x","age":{},"brokers":{{"h:1/1":{{"nodeid":1,"state":"UP","rxidle":{rxidle},"tx":1,
            "req":{{"Fetch":{fetches},"Metadata":3}}}},"GroupCoordinator":{{"nodeid":1,"state":"INIT","rxidle":-1,"req":{{}}}}}},
            "topics":{{"t":{{"partitions":{{"0":{{"partition":0,"broker":1,"desired":true,"fetch_state":"active",
            "fetchq_cnt":{queued},"next_offset":{next},"ls_offset":{stable},"hi_offset":{high}}},
            "-1":{{"partition":-1,"broker":-1,"desired":false}}}}}}}}}}"#,
            age_ms * 1000
        );
        serde_json::from_str(&text).unwrap()
    }

    /// Milliseconds since the client was made.
    fn proven(reach: &Reach) -> Option<u128> {
        reach.proven(0).map(|at| (at - reach.created).as_millis())
    }

    fn tell(reach: &mut Reach, told: Told) -> Option<u128> {
        reach.take_report(&report(told));
        proven(reach)
    }

    #[test]
    fn an_end_is_proven_by_a_request_that_was_sent_and_answered() {
        let mut reach = Reach::new("t");
        assert_eq!(proven(&reach), None);
        assert_eq!(tell(&mut reach, Told { age_ms: 250, fetches: 2, ..AT_END }), None);
        assert_eq!(tell(&mut reach, Told { age_ms: 500, fetches: 4, ..AT_END }), Some(250));
        assert_eq!(
            tell(&mut reach, Told { age_ms: 750, fetches: 5, ..AT_END }),
            Some(250),
            "one may have been sent before"
        );
        assert_eq!(tell(&mut reach, Told { age_ms: 1000, fetches: 6, ..AT_END }), Some(500));
        // The process was stopped: what it says at once is still of before.
        assert_eq!(tell(&mut reach, Told { age_ms: 61_000, fetches: 7, ..AT_END }), Some(750));
        assert_eq!(tell(&mut reach, Told { age_ms: 61_250, fetches: 8, ..AT_END }), Some(1000));
        assert_eq!(tell(&mut reach, Told { age_ms: 61_500, fetches: 9, ..AT_END }), Some(61_000));
    }

    #[test]
    fn what_cannot_be_read_yet_holds_an_end_back_and_control_records_do_not() {
        let mut reach = Reach::new("t");
        tell(&mut reach, Told { age_ms: 250, fetches: 2, ..AT_END });
        let open = Told { age_ms: 500, fetches: 4, high: 9, ..AT_END };
        assert_eq!(tell(&mut reach, open), None, "a transaction is open");
        let ended = Told { age_ms: 750, fetches: 6, stable: 10, high: 10, ..AT_END };
        assert_eq!(tell(&mut reach, ended), None, "its records are on their way");
        let queued = Told { age_ms: 1000, fetches: 8, next: 10, queued: 1, ..ended };
        assert_eq!(tell(&mut reach, queued), None, "nobody has taken them");
        let taken = Told { age_ms: 1250, fetches: 10, queued: 0, ..queued };
        assert_eq!(tell(&mut reach, taken), Some(1000), "the last of them is a control record, which nobody sees");
    }

    #[test]
    fn a_broker_that_was_away_must_answer_for_a_while() {
        let mut reach = Reach::new("t");
        tell(&mut reach, Told { age_ms: 250, fetches: 2, ..AT_END });
        assert!(tell(&mut reach, Told { age_ms: 500, fetches: 4, ..AT_END }).is_some());
        let mut fetches = 4;
        let mut round = |reach: &mut Reach, from: u64| {
            // It hangs, or there was trouble.
            for age_ms in (from..from + 3000).step_by(250) {
                fetches += 2;
                assert_eq!(tell(reach, Told { age_ms, fetches, ..AT_END }), None, "at {age_ms}");
            }
            fetches += 2;
            assert!(tell(reach, Told { age_ms: from + 3000, fetches, ..AT_END }).is_some());
        };
        assert_eq!(tell(&mut reach, Told { age_ms: 750, fetches: 4, rxidle: 3_000_000, ..AT_END }), None);
        round(&mut reach, 1000);
        reach.doubt(0);
        assert_eq!(proven(&reach), None);
        round(&mut reach, 5000);
    }
}
