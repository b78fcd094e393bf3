//! Client configuration: what we need, then the user's `options`, then what exactness rests on and nobody may change.

use super::reach::REPORT_EVERY;
use crate::config::{KafkaSinkConfig, KafkaSourceConfig};
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::KafkaError;
use std::collections::BTreeMap;
use std::time::Duration;

/// A broker aborts a transaction that is open longer than this.
pub const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(10);
/// Prefetched bytes of one consumer, shared by its partitions.
const PREFETCH_KBYTES: usize = 16 * 1024;
/// Prefetched records of one consumer, shared by its partitions: each costs some 400 bytes besides its own.
const PREFETCH_RECORDS: usize = 40_000;
/// Bytes that a producer holds until the broker acknowledges them.
const UNACKNOWLEDGED_KBYTES: usize = 32 * 1024;

/// A Kafka option that cannot be used. The message names the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct OptionError(pub String);

/// Options that exactness of reading rests on, or that have a key of their own.
const SOURCE_FIXED: &[&str] = &[
    "auto.commit.enable",
    "auto.offset.reset",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.partition.eof",
    "isolation.level",
    "statistics.interval.ms",
];

/// The same of writing.
const SINK_FIXED: &[&str] = &[
    "acks",
    "delivery.timeout.ms",
    "enable.gapless.guarantee",
    "enable.idempotence",
    "isolation.level",
    "max.in.flight",
    "max.in.flight.requests.per.connection",
    "message.send.max.retries",
    "message.timeout.ms",
    "request.required.acks",
    "retries",
    "transaction.timeout.ms",
    "transactional.id",
];

/// Options whose values are secret.
const SECRET: &[&str] = &[
    "sasl.oauthbearer.assertion.private.key.passphrase",
    "sasl.oauthbearer.assertion.private.key.pem",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.config",
    "sasl.password",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.password",
];

/// What librdkafka says of options for which it lacks a library.
const NOT_BUILT_IN: &str = "not available at build time";

/// Where the brokers are, and the user's options, with the table that they stand in.
#[derive(Clone)]
pub(super) struct Server {
    /// Bootstrap addresses.
    pub brokers: String,
    options: BTreeMap<String, String>,
    table: &'static str,
    fixed: &'static [&'static str],
}

impl Server {
    /// Of `[source.kafka]`.
    pub fn of_source(config: &KafkaSourceConfig) -> Result<Self, OptionError> {
        Self::new(&config.brokers, &config.options, "source.kafka", SOURCE_FIXED)
    }

    /// Of `[sink.kafka]`.
    pub fn of_sink(config: &KafkaSinkConfig) -> Result<Self, OptionError> {
        Self::new(&config.brokers, &config.options, "sink.kafka", SINK_FIXED)
    }

    /// For dead letters without a Kafka sink: the source's.
    pub fn of_dead_letters(brokers: &str, options: &BTreeMap<String, String>) -> Result<Self, OptionError> {
        Self::new(brokers, options, "source.kafka", SOURCE_FIXED)
    }

    fn new(
        brokers: &str,
        options: &BTreeMap<String, String>,
        table: &'static str,
        fixed: &'static [&'static str],
    ) -> Result<Self, OptionError> {
        let server = Self { brokers: brokers.trim().to_owned(), options: options.clone(), table, fixed };
        if server.brokers.is_empty() {
            return Err(OptionError(format!("`{table}.brokers` is empty: give at least one host:port")));
        }
        for key in server.options.keys() {
            server.check_key(key)?;
        }
        server.native_check(&server.common())?;
        Ok(server)
    }

    fn check_key(&self, key: &str) -> Result<(), OptionError> {
        let table = self.table;
        if matches!(key, "bootstrap.servers" | "metadata.broker.list") {
            return Err(OptionError(format!("`{table}.options.{key}`: use `{table}.brokers` instead")));
        }
        // Of the sink everywhere: `collect` and `replay` write by the source's options, and a reader has no use for them.
        if self.fixed.contains(&key) || SINK_FIXED.contains(&key) {
            let message = format!("`{table}.options.{key}` is set by tickcast, and exactness rests on it: remove it");
            return Err(OptionError(message));
        }
        Ok(())
    }

    /// What all clients share, with the user's options.
    fn common(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("client.id", "tickcast")
            .set("socket.keepalive.enable", "true")
            // A small request would wait for the acknowledgement of the segment before it, which the other side delays by 40 ms.
            .set("socket.nagle.disable", "true")
            .set("reconnect.backoff.ms", "100")
            .set("reconnect.backoff.max.ms", "2000");
        for (key, value) in &self.options {
            config.set(key, value);
        }
        config.set("bootstrap.servers", &self.brokers).set_log_level(RDKafkaLogLevel::Warning);
        config
    }

    /// Lets librdkafka look at the options, without making a client.
    fn native_check(&self, config: &ClientConfig) -> Result<(), OptionError> {
        config.create_native_config().map(drop).map_err(|error| self.explain(&error))
    }

    /// What is wrong with a configuration, without any secret.
    pub fn explain(&self, error: &KafkaError) -> OptionError {
        let table = self.table;
        let text = match error {
            KafkaError::ClientConfig(_, _, key, _) if SECRET.contains(&key.as_str()) => {
                format!("`{table}.options.{key}`: librdkafka refuses its value")
            }
            KafkaError::ClientConfig(_, reason, key, _) if self.options.contains_key(key) => {
                format!("`{table}.options.{key}`: {reason}")
            }
            KafkaError::ClientConfig(_, reason, key, _) => format!("Kafka option `{key}`: {reason}"),
            KafkaError::ClientCreation(reason) => format!("`{table}.options`: {reason}"),
            other => format!("`{table}`: {other}"),
        };
        let hint = if text.contains(NOT_BUILT_IN) {
            ": build tickcast with TLS and SASL, `cargo install --path . --features kafka-tls`"
        } else {
            ""
        };
        OptionError(self.redact(text + hint))
    }

    /// Takes secret values out of a text, should one ever stand in it.
    pub fn redact(&self, text: String) -> String {
        let secrets = self.options.iter().filter(|(key, value)| SECRET.contains(&key.as_str()) && !value.is_empty());
        secrets.fold(text, |text, (_, value)| text.replace(value.as_str(), "***"))
    }

    /// A client that asks for metadata and offsets only. It joins no group.
    pub fn inquirer(&self) -> ClientConfig {
        let mut config = self.common();
        config.remove("group.id").set("isolation.level", "read_committed").set("enable.auto.commit", "false");
        config
    }

    /// A client that sees how far a partition reaches, open transactions included.
    pub fn uncommitted_inquirer(&self) -> ClientConfig {
        let mut config = self.inquirer();
        config.set("isolation.level", "read_uncommitted");
        config
    }

    /// A consumer of `partitions` explicitly assigned partitions.
    pub fn consumer(&self, group: &str, partitions: usize) -> ClientConfig {
        let share = partitions.max(1);
        let mut config = self.common();
        let defaults = [
            // Never used to share partitions or commit offsets; librdkafka wants one to assign.
            ("group.id", group.to_owned()),
            ("queued.max.messages.kbytes", (PREFETCH_KBYTES / share).max(256).to_string()),
            ("queued.min.messages", (PREFETCH_RECORDS / share).max(1000).to_string()),
            ("fetch.message.max.bytes", (512 * 1024).to_string()),
            // A partition that becomes readable waits for the answer of the ones that are quiet.
            ("fetch.wait.max.ms", "100".to_owned()),
            // How long a partition whose queue was full is left alone: the default of a second starves a fast reader.
            ("fetch.queue.backoff.ms", "5".to_owned()),
            ("fetch.error.backoff.ms", "100".to_owned()),
        ];
        for (key, value) in defaults {
            if !self.options.contains_key(key) {
                config.set(key, value);
            }
        }
        config
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("enable.partition.eof", "true")
            .set("isolation.level", "read_committed")
            .set("statistics.interval.ms", REPORT_EVERY.as_millis().to_string());
        config
    }

    /// A producer that neither loses nor doubles what it sends, as long as it lives.
    pub fn producer(&self) -> ClientConfig {
        let mut config = self.common();
        let defaults = [
            ("compression.type", "zstd"),
            // With 1 ms, batches of many keys are so small that 20,000 records a second of idle machines queue up without end.
            ("linger.ms", "5"),
            // The partition that Java's producer would choose.
            ("partitioner", "murmur2_random"),
            ("allow.auto.create.topics", "false"),
        ];
        for (key, value) in defaults {
            if !self.options.contains_key(key) {
                config.set(key, value);
            }
        }
        if !self.options.contains_key("queue.buffering.max.kbytes") {
            config.set("queue.buffering.max.kbytes", UNACKNOWLEDGED_KBYTES.to_string());
        }
        // Until acknowledged: the caller decides when to give up.
        config.set("enable.idempotence", "true").set("acks", "all").set("message.timeout.ms", "0");
        config
    }

    /// The job's one transactional producer.
    pub fn transactional(&self, id: &str) -> ClientConfig {
        let mut config = self.producer();
        let timeout = TRANSACTION_TIMEOUT.as_millis().to_string();
        // What a transaction holds comes at once, and is waited for.
        if !self.options.contains_key("linger.ms") {
            config.set("linger.ms", "1");
        }
        config.set("transactional.id", id).set("transaction.timeout.ms", &timeout).set("message.timeout.ms", timeout);
        config
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let keys: Vec<&String> = self.options.keys().collect();
        f.debug_struct("Server").field("brokers", &self.brokers).field("options", &keys).finish_non_exhaustive()
    }
}

/// Checks the brokers and options of `[source.kafka]`, without a broker.
///
/// # Errors
/// When an option is unknown, wrong, or not the user's to set. The message names it.
pub fn check_source(config: &KafkaSourceConfig) -> Result<(), OptionError> {
    let server = Server::of_source(config)?;
    server.native_check(&server.consumer("tickcast", 1))
}

/// Checks the brokers and options of `[sink.kafka]`, without a broker.
///
/// # Errors
/// As [`check_source`].
pub fn check_sink(config: &KafkaSinkConfig) -> Result<(), OptionError> {
    let server = Server::of_sink(config)?;
    server.native_check(&server.transactional("tickcast"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(key: &str, value: &str) -> KafkaSourceConfig {
        let options = [(key.to_owned(), value.to_owned())].into();
        KafkaSourceConfig { options, ..KafkaSourceConfig::default() }
    }

    fn sink(key: &str, value: &str) -> KafkaSinkConfig {
        let options = [(key.to_owned(), value.to_owned())].into();
        KafkaSinkConfig { options, ..KafkaSinkConfig::default() }
    }

    #[test]
    fn what_exactness_rests_on_is_not_the_users_to_set() {
        for key in SOURCE_FIXED {
            let error = check_source(&source(key, "1")).unwrap_err().0;
            assert!(error.starts_with(&format!("`source.kafka.options.{key}` is set by tickcast")), "{error}");
        }
        for key in SINK_FIXED {
            let error = check_sink(&sink(key, "1")).unwrap_err().0;
            assert!(error.starts_with(&format!("`sink.kafka.options.{key}` is set by tickcast")), "{error}");
        }
        let error = check_source(&source("bootstrap.servers", "a:1")).unwrap_err().0;
        assert!(error.contains("use `source.kafka.brokers`"), "{error}");
    }

    #[test]
    fn unknown_and_wrong_options_are_named() {
        let error = check_source(&source("fetch.wait.max.msec", "1")).unwrap_err().0;
        assert!(error.contains("source.kafka.options.fetch.wait.max.msec"), "{error}");
        let error = check_sink(&sink("linger.ms", "soon")).unwrap_err().0;
        assert!(error.contains("sink.kafka.options.linger.ms"), "{error}");
    }

    #[test]
    fn tls_is_there_or_the_message_says_how_to_get_it() {
        for (key, value) in [("security.protocol", "sasl_ssl"), ("ssl.ca.location", "/nowhere/ca.pem")] {
            let checked = check_source(&source(key, value));
            assert_eq!(checked.is_ok(), cfg!(feature = "kafka-tls"), "{key}");
            if let Err(OptionError(error)) = checked {
                assert!(error.contains(key) && error.contains("--features kafka-tls"), "{error}");
            }
        }
    }

    #[test]
    fn what_users_need_is_theirs_to_set() {
        for (key, value) in [("client.id", "me"), ("group.id", "team-x"), ("fetch.wait.max.ms", "20")] {
            check_source(&source(key, value)).unwrap();
        }
        let server = Server::of_source(&source("fetch.wait.max.ms", "20")).unwrap();
        assert_eq!(server.consumer("g", 4).get("fetch.wait.max.ms"), Some("20"));
        assert_eq!(server.consumer("g", 4).get("queued.max.messages.kbytes"), Some("4096"));
        let server = Server::of_source(&source("group.id", "team-x")).unwrap();
        assert_eq!(server.consumer("g", 4).get("group.id"), Some("team-x"));
        assert_eq!(server.inquirer().get("group.id"), None);
    }

    #[test]
    fn secrets_stay_out_of_messages() {
        let server = Server::of_sink(&sink("sasl.password", "hunter2")).unwrap();
        assert!(!format!("{server:?}").contains("hunter2"));
        let error = KafkaError::ClientCreation("cannot use hunter2 as password".to_owned());
        assert_eq!(server.explain(&error).0, "`sink.kafka.options`: cannot use *** as password");
    }

    #[test]
    fn brokers_must_be_given() {
        let config = KafkaSourceConfig { brokers: " ".to_owned(), ..KafkaSourceConfig::default() };
        assert!(check_source(&config).unwrap_err().0.contains("`source.kafka.brokers` is empty"));
    }
}
