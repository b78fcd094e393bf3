//! What our clients do with librdkafka's events: logs at a bearable rate, the last trouble (for messages), failed
//! deliveries, and what its statistics say of a consumer's partitions.

use super::reach::{Reach, Report};
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{DeliveryResult, ProducerContext};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// At most one line per kind of trouble in this time: librdkafka says hundreds a second while a broker is away.
pub(super) const QUIET: Duration = Duration::from_secs(10);
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
    /// Of a consumer: what is known of the partitions that it reads.
    reach: Option<Mutex<Reach>>,
    limiter: Limiter,
    last_trouble: Mutex<Option<String>>,
    failure: Mutex<Option<RDKafkaErrorCode>>,
    delivered: AtomicU64,
}

impl Context {
    /// A consumer's, that watches the partitions of `topic`. To be made before the client.
    pub fn watching(topic: &str) -> Self {
        Self { reach: Some(Mutex::new(Reach::new(topic))), ..Self::default() }
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

    /// [`Reach::proven`].
    pub fn proven(&self, partition: i32) -> Option<Instant> {
        locked(self.reach.as_ref()?).proven(partition)
    }

    /// [`Reach::end`].
    pub fn end(&self, partition: i32) -> Option<u64> {
        locked(self.reach.as_ref()?).end(partition)
    }

    /// [`Reach::doubt`].
    pub fn doubt(&self, partition: i32) {
        if let Some(reach) = &self.reach {
            locked(reach).doubt(partition);
        }
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
        let Some(reach) = &self.reach else { return };
        match serde_json::from_slice::<Report>(statistics) {
            Ok(report) => locked(reach).take_report(&report),
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
}
