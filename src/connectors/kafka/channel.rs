//! A producer whose calls all end within a second or two, and whose errors are sorted by what mends them.

use super::connect::{CALL_WAIT, no_answer};
use super::context::{Context, Limiter};
use super::options::Server;
use super::patience::{Patience, Trouble};
use super::records::Outgoing;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::time::{Duration, Instant};

/// How long one look for acknowledgements waits.
const TICK: Duration = Duration::from_millis(1);

/// A producer.
pub(super) struct Channel {
    producer: BaseProducer<Context>,
    server: Server,
    limiter: Limiter,
}

impl Channel {
    /// Makes the client; says nothing yet about the broker.
    pub fn open(server: &Server, config: &ClientConfig) -> Result<Self, Trouble> {
        let producer =
            config.create_with_context(Context::default()).map_err(|error| Trouble::Fatal(server.explain(&error).0))?;
        Ok(Self { producer, server: server.clone(), limiter: Limiter::default() })
    }

    /// Fences earlier producers of the same `transactional.id` and aborts what they left open. Waits for `wait`, or for
    /// ever.
    pub fn init_transactions(&self, wait: Option<Duration>, patience: &mut Patience<'_>) -> Result<(), Trouble> {
        let begin = Instant::now();
        loop {
            let error = match self.producer.init_transactions(CALL_WAIT) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            self.producer.poll(TICK);
            if !waiting_helps(&error) {
                return Err(self.sort(&error, "init_transactions"));
            }
            if wait.is_some_and(|wait| begin.elapsed() > wait) {
                return Err(Trouble::Fatal(no_answer(&self.server, self.context(), &error)));
            }
            self.complain("its transaction coordinator does not answer yet", &error);
            patience.check()?;
        }
    }

    pub fn begin(&self) -> Result<(), Trouble> {
        self.producer.begin_transaction().map_err(|error| self.sort(&error, "begin_transaction"))
    }

    /// Hands a record to the client; waits while its queue is full.
    pub fn send(&self, outgoing: Outgoing<'_>, patience: &mut Patience<'_>) -> Result<(), Trouble> {
        let Outgoing { topic, key, value, headers } = outgoing;
        let mut record = BaseRecord::to(topic).payload(value);
        record.key = key;
        record.headers = headers;
        loop {
            match self.producer.send(record) {
                Ok(()) => return self.check_failure(),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    self.producer.poll(TICK);
                    self.check_failure()?;
                    self.complain("has not acknowledged what was sent", &RDKafkaErrorCode::QueueFull);
                    patience.check_open()?;
                }
                Err((error, _)) => {
                    return Err(self.sort(&error, &format!("a record of {} bytes for {topic}", value.len())));
                }
            }
        }
    }

    /// Serves acknowledgements without waiting.
    pub fn serve(&self) -> Result<(), Trouble> {
        self.producer.poll(Duration::ZERO);
        self.check_failure()
    }

    /// Waits until everything is acknowledged. To be called before [`Channel::commit`], which is slow otherwise.
    pub fn drain(&self, patience: &mut Patience<'_>) -> Result<(), Trouble> {
        let begin = Instant::now();
        while self.producer.in_flight_count() > 0 {
            self.producer.poll(TICK);
            self.check_failure()?;
            if begin.elapsed() > super::context::QUIET {
                self.complain("has not acknowledged what was sent", &"still waiting");
            }
            patience.check_open()?;
        }
        self.check_failure()
    }

    /// Commits. A commit whose answer was lost is asked for again, never aborted.
    pub fn commit(&self, patience: &mut Patience<'_>) -> Result<(), Trouble> {
        loop {
            let error = match self.producer.commit_transaction(CALL_WAIT) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            self.producer.poll(TICK);
            if !waiting_helps(&error) {
                return Err(self.sort(&error, "commit_transaction"));
            }
            self.complain("does not answer to a commit", &error);
            patience.check()?;
        }
    }

    /// Takes back what was sent. False where that was not possible within `wait`: what is in flight has to be answered first.
    pub fn abort(&self, wait: Duration) -> bool {
        let aborted = self.producer.abort_transaction(wait);
        aborted.inspect_err(|error| tracing::debug!(target: "tickcast::kafka", "abort_transaction: {error}")).is_ok()
    }

    /// Has the broker abort what an earlier producer of the same `transactional.id` has open, if it does so within `wait`.
    pub fn supersede(&self, wait: Duration) {
        if let Err(error) = self.producer.init_transactions(wait) {
            tracing::debug!(target: "tickcast::kafka", "init_transactions: {error}");
        }
    }

    /// Records acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        self.context().delivered()
    }

    fn context(&self) -> &Context {
        self.producer.client().context()
    }

    fn complain(&self, what: &str, error: &dyn std::fmt::Display) {
        if self.limiter.pass(what).is_some() {
            let (brokers, waiting) = (&self.server.brokers, self.producer.in_flight_count());
            tracing::warn!(target: "tickcast::kafka", "Kafka at {brokers} {what} ({error}; {waiting} records wait): trying on");
        }
    }

    fn check_failure(&self) -> Result<(), Trouble> {
        match self.context().take_failure() {
            Some(code) => Err(self.sort_code(code, &format!("a record was not taken: {code}"))),
            None => Ok(()),
        }
    }

    fn sort(&self, error: &KafkaError, what: &str) -> Trouble {
        // The reason of a failed transaction is that of the record that failed in it.
        let code = self.context().take_failure().or_else(|| error.rdkafka_error_code());
        self.sort_code(code.unwrap_or(RDKafkaErrorCode::Fail), &format!("{what}: {error}"))
    }

    fn sort_code(&self, code: RDKafkaErrorCode, what: &str) -> Trouble {
        use RDKafkaErrorCode as Code;
        let brokers = &self.server.brokers;
        let what = self.server.redact(what.to_owned());
        let advice = match code {
            Code::MessageSizeTooLarge => {
                "raise `message.max.bytes` of the broker or `max.message.bytes` of the topic to 1 MB at least"
            }
            Code::TopicAuthorizationFailed => "grant Write and Describe on the output topics",
            Code::TransactionalIdAuthorizationFailed => {
                "grant Write and Describe on the transactional id `tickcast-<job.id>`"
            }
            Code::ClusterAuthorizationFailed => "grant IdempotentWrite on the cluster",
            Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition => {
                "an output topic does not exist any more: create it, and start again"
            }
            Code::InvalidRecord => "the broker refuses the record: is the topic compacted, or are its records checked?",
            Code::UnsupportedVersion | Code::UnsupportedFeature => "the broker is too old: 0.11 or newer is needed",
            _ => return Trouble::Renew(format!("Kafka at {brokers}: {what}")),
        };
        Trouble::Fatal(format!("Kafka at {brokers}: {what}: {advice}"))
    }
}

/// Whether the same call may be made again.
fn waiting_helps(error: &KafkaError) -> bool {
    match error {
        KafkaError::Transaction(error) => error.is_retriable() && !error.is_fatal() && !error.txn_requires_abort(),
        KafkaError::Flush(_) => true,
        _ => false,
    }
}
