//! Where results go: `[sink.*]` and `[dead_letter]`.

use super::secrets;
use crate::market::Span;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// `[sink]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SinkConfig {
    /// To Kafka.
    pub kafka: Option<KafkaSinkConfig>,
    /// To MongoDB.
    pub mongodb: Option<MongoSinkConfig>,
    /// To files.
    pub files: Option<FilesSinkConfig>,
}

/// `[sink.kafka]`
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KafkaSinkConfig {
    /// Bootstrap addresses.
    pub brokers: String,
    /// Topic of forecasts; scores go to `<topic>.scores`, progress to `<topic>.progress`.
    pub topic: String,
    /// Guarantee.
    pub delivery: Delivery,
    /// Whether missing output topics are created.
    pub create_topics: bool,
    /// Any librdkafka option.
    pub options: BTreeMap<String, String>,
}

impl Default for KafkaSinkConfig {
    fn default() -> Self {
        Self {
            brokers: "localhost:9092".to_owned(),
            topic: "btc.forecasts".to_owned(),
            delivery: Delivery::default(),
            create_topics: true,
            options: BTreeMap::new(),
        }
    }
}

impl std::fmt::Debug for KafkaSinkConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { brokers, topic, delivery, create_topics, options } = self;
        let mut shown = f.debug_struct("KafkaSinkConfig");
        shown.field("brokers", brokers).field("topic", topic).field("delivery", delivery);
        shown.field("create_topics", create_topics).field("options", &secrets::MaskedOptions(options)).finish()
    }
}

/// `sink.kafka.delivery`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// Transactions.
    #[default]
    ExactlyOnce,
    /// An idempotent producer without transactions: a restart may publish again what it had published.
    AtLeastOnce,
}

/// `[sink.mongodb]`
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MongoSinkConfig {
    /// Connection string. Holds the password, hence never shown.
    pub uri: String,
    /// File that holds the connection string instead.
    pub uri_file: Option<PathBuf>,
    /// Database.
    pub database: String,
    /// Collection of forecasts.
    pub forecasts: String,
    /// Collection of scores.
    pub scores: String,
    /// Collection of used ticks, written only when named.
    pub ticks: Option<String>,
    /// Collection of feature rows, written only when named.
    pub features: Option<String>,
    /// Forecasts and scores are removed this long after their target.
    pub ttl: Option<Span>,
}

impl Default for MongoSinkConfig {
    fn default() -> Self {
        Self {
            uri: "mongodb://localhost:27017".to_owned(),
            uri_file: None,
            database: "bitcoin".to_owned(),
            forecasts: "predictions".to_owned(),
            scores: "scores".to_owned(),
            ticks: None,
            features: None,
            ttl: None,
        }
    }
}

impl std::fmt::Debug for MongoSinkConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MongoSinkConfig").field("uri", &"***").field("database", &self.database).finish_non_exhaustive()
    }
}

/// `[sink.files]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FilesSinkConfig {
    /// Directory.
    pub dir: PathBuf,
    /// Format.
    pub format: FileFormat,
}

impl Default for FilesSinkConfig {
    fn default() -> Self {
        Self { dir: PathBuf::from("out"), format: FileFormat::default() }
    }
}

/// `sink.files.format`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileFormat {
    /// JSON, one object a line.
    #[default]
    Jsonl,
}

/// `[dead_letter]`: a topic or a file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeadLetterConfig {
    /// Kafka topic.
    pub topic: Option<String>,
    /// File of JSON lines.
    pub file: Option<PathBuf>,
}
