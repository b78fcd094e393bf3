//! What our clients do with librdkafka's events: logs at a bearable rate, the last trouble (for messages), failed
//! deliveries, and whether the brokers of a consumer's partitions answer.

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{DeliveryResult, ProducerContext};
use serde::Deserialize;
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// At most one line per kind of trouble in this time: librdkafka says hundreds a second while a broker is away.
pub(super) const QUIET: Duration = Duration::from_secs(10);
/// A broker that answered within this time is there: fetches are answered every 100 ms.
const ANSWERED_WITHIN_US: i64 = 2_000_000;
/// So many reports in a row (one a second) must say that the broker is there before we believe it again.
const REPORTS_TO_BELIEVE: u32 = 3;
/// The kind of trouble that only says that there is another.
const ALL_DOWN: &str = "AllBrokersDown";

/// Lets one message per kind through every [`QUIET`], and counts the others.
#[derive(Debug, Default)]
pub(super) struct Limiter(Mutex<HashMap<String, (Instant, u64)>>);

impl Limiter {
    /// How many were held back since the last one, when this one may pass.
    pub fn pass(&self, kind: &str) -> Option<u64> {
        let mut kinds = locked(&self.0);
        let now = Instant::now();
        match kinds.get_mut(kind) {
            Some((last, held)) if now.duration_since(*last) < QUIET => {
                *held += 1;
                None
            }
            Some(entry) => Some(std::mem::replace(entry, (now, 0)).1),
            None => {
                kinds.insert(kind.to_owned(), (now, 0));
                Some(0)
            }
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The context of all our clients.
#[derive(Debug, Default)]
pub(super) struct Context {
    /// Topic whose partitions' brokers are watched; empty for none.
    watched: String,
    limiter: Limiter,
    last_trouble: Mutex<Option<String>>,
    failure: Mutex<Option<RDKafkaErrorCode>>,
    delivered: AtomicU64,
    reach: Mutex<Reach>,
}

/// Which partitions' brokers answer.
#[derive(Debug, Default)]
struct Reach {
    /// Reports in a row that said so, by partition, of those that once did not.
    doubted: HashMap<i32, u32>,
}

impl Context {
    /// A consumer's, that watches whether the brokers of `topic` answer.
    pub fn watching(topic: &str) -> Self {
        Self { watched: topic.to_owned(), ..Self::default() }
    }

    /// The last thing that librdkafka complained about.
    pub fn last_trouble(&self) -> Option<String> {
        locked(&self.last_trouble).clone()
    }

    /// Takes the first delivery that failed.
    pub fn take_failure(&self) -> Option<RDKafkaErrorCode> {
        locked(&self.failure).take()
    }

    /// Deliveries that succeeded.
    pub fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }

    /// Whether the partition's broker answers, as far as we know.
    pub fn answers(&self, partition: i32) -> bool {
        locked(&self.reach).doubted.get(&partition).is_none_or(|reports| *reports >= REPORTS_TO_BELIEVE)
    }

    fn report_trouble(&self, kind: &str, text: &str) {
        // "1/1 brokers are down" says less than why the last of them is.
        let mut last = locked(&self.last_trouble);
        if last.is_none() || kind != ALL_DOWN {
            *last = Some(text.to_owned());
        }
        drop(last);
        if let Some(held) = self.limiter.pass(kind) {
            let more = if held > 0 { format!(" ({held} more like this)") } else { String::new() };
            tracing::warn!(target: "tickcast::kafka", "Kafka client: {text}{more}");
        }
    }

    fn take_report(&self, report: &Report) {
        let Some(topic) = report.topics.get(&self.watched) else { return };
        let there: BTreeSet<i32> = report.brokers.values().filter(|b| b.answers()).map(|b| b.nodeid).collect();
        let mut reach = locked(&self.reach);
        for partition in topic.partitions.values().filter(|p| p.partition >= 0 && p.desired) {
            let answers = there.contains(&partition.broker);
            match reach.doubted.get_mut(&partition.partition) {
                Some(reports) => *reports = if answers { reports.saturating_add(1) } else { 0 },
                None if answers => {}
                None => {
                    reach.doubted.insert(partition.partition, 0);
                }
            }
        }
    }
}

/// The part of librdkafka's statistics that tells whether brokers answer.
#[derive(Debug, Deserialize)]
struct Report {
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
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, kind: &str, text: &str) {
        match level {
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error
            | RDKafkaLogLevel::Warning => self.report_trouble(kind, text),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
                tracing::debug!(target: "tickcast::kafka", "Kafka client: {kind} {text}");
            }
        }
    }

    fn stats_raw(&self, statistics: &[u8]) {
        if self.watched.is_empty() {
            return;
        }
        match serde_json::from_slice::<Report>(statistics) {
            Ok(report) => self.take_report(&report),
            Err(error) => self.report_trouble("STATS", &format!("its statistics cannot be read: {error}")),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        match error.rdkafka_error_code() {
            // Not an error: the reader looks at it.
            Some(RDKafkaErrorCode::PartitionEOF) => {}
            Some(RDKafkaErrorCode::AllBrokersDown) => self.report_trouble(ALL_DOWN, reason),
            Some(code) => self.report_trouble(&format!("{code:?}"), reason),
            None => self.report_trouble("ERROR", reason),
        }
    }
}

impl ConsumerContext for Context {}

impl ProducerContext for Context {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, _: ()) {
        match result {
            Ok(_) => {
                self.delivered.fetch_add(1, Ordering::Relaxed);
            }
            Err((error, _)) => {
                let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
                locked(&self.failure).get_or_insert(code);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_message_of_a_kind_passes() {
        let limiter = Limiter::default();
        assert_eq!(limiter.pass("FAIL"), Some(0));
        assert_eq!(limiter.pass("FAIL"), None);
        assert_eq!(limiter.pass("ERROR"), Some(0));
        locked(&limiter.0).get_mut("FAIL").unwrap().0 -= QUIET;
        assert_eq!(limiter.pass("FAIL"), Some(1));
    }

    fn report(state: &str, rxidle: i64) -> Vec<u8> {
        format!(
            r#"{{"name":"x","brokers":{{"h:1/1":{{"nodeid":1,"state":"{state}","rxidle":{rxidle},"tx":1}}}},
            "topics":{{"t":{{"partitions":{{"0":{{"partition":0,"broker":1,"desired":true}},
            "-1":{{"partition":-1,"broker":-1,"desired":false}}}}}}}}}}"#
        )
        .into_bytes()
    }

    #[test]
    fn a_broker_that_was_away_must_answer_for_a_while() {
        let context = Context::watching("t");
        context.stats_raw(&report("UP", 50_000));
        assert!(context.answers(0));
        context.stats_raw(&report("UP", 3_000_000)); // it hangs
        assert!(!context.answers(0));
        for _ in 0..2 {
            context.stats_raw(&report("UP", 50_000));
            assert!(!context.answers(0));
        }
        context.stats_raw(&report("DOWN", 50_000));
        for _ in 0..3 {
            assert!(!context.answers(0));
            context.stats_raw(&report("UP", 50_000));
        }
        assert!(context.answers(0));
    }
}
