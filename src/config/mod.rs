//! The job's configuration: what each table of the file means, its defaults, and the checks that span several keys.
//!
//! Structs hold checked values in the types of [`crate::market`]. Where a value came from is [`layers`]' business.

pub mod check;
mod checkpoint;
mod cluster;
mod collect;
pub mod computation;
pub mod example;
mod file;
mod format;
mod history;
mod http;
pub mod keys;
pub mod kind;
pub mod layers;
mod mongodb_source;
pub mod secrets;
pub mod show;
mod sinks;
mod text;
pub mod venues;

pub use check::Purpose;
pub use checkpoint::{CheckpointConfig, CheckpointPlace};
pub use cluster::ClusterConfig;
pub use collect::{CollectConfig, TradeStream, VenueConfig};
pub use format::Format;
pub use history::{HistoryConfig, HistoryFiles, HistoryKind, HistoryVenue};
pub use http::HttpConfig;
pub use layers::{ConfigError, Settings};
pub use mongodb_source::MongoSourceConfig;
pub use sinks::{
    DeadLetterConfig, Delivery, FileFormat, FilesSinkConfig, KafkaSinkConfig, MongoSinkConfig, SinkConfig,
};

use crate::market::{Slide, Span, Zone};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The whole file. A table that is absent is off.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Who the job is.
    pub job: JobConfig,
    /// Where records come from.
    pub source: SourceConfig,
    /// Event time.
    pub time: TimeConfig,
    /// What learns.
    pub model: ModelConfig,
    /// Where results go.
    pub sink: SinkConfig,
    /// Where records go that cannot be used.
    pub dead_letter: Option<DeadLetterConfig>,
    /// Where a live job keeps its state.
    pub checkpoint: Option<CheckpointConfig>,
    /// Several processes that run the job together.
    pub cluster: ClusterConfig,
    /// What `collect` asks for.
    pub collect: CollectConfig,
    /// What `history` downloads.
    pub history: Option<HistoryConfig>,
    /// What is served of it.
    pub http: Option<HttpConfig>,
}

/// `[job]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JobConfig {
    /// Names the transactional.id, the consumer group, the forecasts' ids.
    pub id: String,
}

/// `[source]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SourceConfig {
    /// How values are read.
    pub format: Format,
    /// Stands in where neither value nor key says one.
    #[serde(deserialize_with = "text::or_none")]
    pub symbol: Option<String>,
    /// Of candles that do not say.
    #[serde(deserialize_with = "text::span_or_none")]
    pub interval: Option<Span>,
    /// Of stamps that do not name one.
    pub timezone: Zone,
    /// The most symbols with a tick in the last `forget_after`; counted partition by partition.
    pub symbols_max: usize,
    /// Event time without a tick after which a symbol's state is given up.
    pub forget_after: Span,
    /// From Kafka.
    pub kafka: Option<KafkaSourceConfig>,
    /// From files.
    pub files: Option<FilesSourceConfig>,
    /// From MongoDB.
    pub mongodb: Option<MongoSourceConfig>,
}

/// `[source.kafka]`
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KafkaSourceConfig {
    /// Bootstrap addresses.
    pub brokers: String,
    /// Topic to read.
    pub topic: String,
    /// Where to begin when there is no progress yet: `earliest`, `latest`, or an RFC 3339 time.
    pub start: String,
    /// Any librdkafka option.
    pub options: BTreeMap<String, String>,
}

/// `[source.files]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FilesSourceConfig {
    /// Files, one partition each.
    pub paths: Vec<PathBuf>,
    /// For files without a symbol column.
    pub symbol: Option<String>,
    /// Of candles that do not say.
    pub interval: Option<Span>,
    /// Which column, by the word in the header or by its place, stands for which field.
    pub columns: Option<ColumnsConfig>,
    /// `source.timezone`.
    #[serde(skip)]
    pub timezone: Zone,
}

/// `source.files.columns`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum ColumnsConfig {
    /// Of files with a header: field to header word.
    Words(BTreeMap<String, String>),
    /// Of files without one: what each column is; nothing, or `_`, where it is passed over.
    Names(Vec<String>),
}

/// `[time]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TimeConfig {
    /// Length of a pane.
    pub slide: Span,
    /// Sliding windows, multiples of slide.
    pub windows: Vec<Span>,
    /// How far behind its partition's latest a tick may be.
    pub allowed_lateness: Span,
    /// A caught-up partition that is quiet this long no longer holds the watermark.
    pub idle_timeout: Span,
    /// The LSTM is trained once per this much event time.
    pub epoch: Span,
    /// What becomes of late ticks.
    pub late: LatePolicy,
    /// A tick further ahead of its broker timestamp is quarantined.
    pub max_ahead: Span,
}

/// `time.late`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LatePolicy {
    /// To the dead letters, and counted.
    #[default]
    DeadLetter,
    /// Counted.
    Drop,
}

/// `[model.experts]`: which parts of the model are on.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExpertsConfig {
    /// EWMA volatility, Gaussian quantiles.
    pub gaussian: bool,
    /// EWMA volatility, empirical quantiles.
    pub empirical: bool,
    /// Layers 1 and 2.
    pub range_scale: bool,
    /// Layers 1 and 2 around a location.
    pub location: bool,
    /// Range of the whole window.
    pub window_range: bool,
    /// Geometric mean of two ranges.
    pub geometric_range: bool,
    /// Slow volatility.
    pub slow: bool,
    /// Layer 3.
    pub quantile_regression: bool,
    /// Layer 3 with random features.
    pub random_features: bool,
    /// Layer 4.
    pub lstm: bool,
    /// Layer 6.
    pub median_gate: bool,
    /// Layer 7.
    pub interval_control: bool,
    /// Which side took more.
    pub flow: bool,
    /// The mean return of all symbols.
    pub market: bool,
}

/// `[model]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelConfig {
    /// Which model.
    pub preset: Preset,
    /// One model per symbol.
    pub scope: Scope,
    /// Hidden units of the LSTM.
    pub hidden: usize,
    /// Layers of the LSTM.
    pub layers: usize,
    /// Sequence length in steps.
    pub steps: usize,
    /// Distance between sequence steps, a multiple of slide.
    pub step: Span,
    /// Minibatches per epoch.
    pub minibatches: usize,
    /// How far ahead to forecast.
    pub horizons: Vec<Span>,
    /// Share of outcomes that the interval is meant to hold.
    pub coverage: f64,
    /// Seeds initial weights, batches and dropout.
    pub random_seed: u64,
    /// Whether layers 1 and 2 start from what other series have taught.
    pub prior: bool,
    /// Directory of the LSTM's weights.
    pub weights: Option<PathBuf>,
    /// Which parts are on.
    pub experts: ExpertsConfig,
}

/// `model.preset`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// Seven layers, the LSTM among them.
    #[default]
    Default,
    /// The student project's LSTM.
    Seed,
    /// Windows and features only.
    None,
}

/// `model.scope`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// An LSTM per symbol.
    #[default]
    Symbol,
    /// One LSTM for all symbols; everything else per symbol.
    Pooled,
}

impl Default for JobConfig {
    fn default() -> Self {
        Self { id: "btc".to_owned() }
    }
}

impl Default for SourceConfig {
    fn default() -> Self {
        Self {
            format: Format::default(),
            symbol: None,
            interval: None,
            timezone: Zone::default(),
            symbols_max: 10_000,
            forget_after: ms(14 * 24 * HOUR),
            kafka: None,
            files: None,
            mongodb: None,
        }
    }
}

impl SourceConfig {
    /// What the tables below leave unsaid is what is said here.
    pub fn settle(&mut self) {
        if let Some(files) = &mut self.files {
            files.symbol = files.symbol.take().or_else(|| self.symbol.clone());
            files.interval = files.interval.or(self.interval);
            files.timezone = self.timezone.clone();
        }
        if let Some(mongodb) = &mut self.mongodb {
            mongodb.symbol = mongodb.symbol.take().or_else(|| self.symbol.clone());
            mongodb.timezone = self.timezone.clone();
        }
    }
}

impl Default for KafkaSourceConfig {
    fn default() -> Self {
        Self {
            brokers: "localhost:9092".to_owned(),
            topic: "btc.ticks".to_owned(),
            start: "earliest".to_owned(),
            options: BTreeMap::new(),
        }
    }
}

const fn ms(ms: i64) -> Span {
    Span::from_millis(ms)
}
const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

impl Default for TimeConfig {
    fn default() -> Self {
        Self {
            slide: ms(5 * SECOND),
            windows: vec![ms(MINUTE), ms(5 * MINUTE), ms(HOUR)],
            allowed_lateness: ms(2 * SECOND),
            idle_timeout: ms(30 * SECOND),
            epoch: ms(5 * MINUTE),
            late: LatePolicy::default(),
            max_ahead: ms(HOUR),
        }
    }
}

impl TimeConfig {
    /// The slide as timely's clock.
    #[must_use]
    pub fn slide(&self) -> Slide {
        Slide::new(self.slide)
    }
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self {
            preset: Preset::default(),
            scope: Scope::default(),
            hidden: 32,
            layers: 1,
            steps: 16,
            step: ms(MINUTE),
            minibatches: 1,
            horizons: vec![ms(MINUTE), ms(5 * MINUTE), ms(15 * MINUTE), ms(HOUR)],
            coverage: 0.9,
            random_seed: 42,
            prior: true,
            weights: None,
            experts: ExpertsConfig::default(),
        }
    }
}

impl Default for ExpertsConfig {
    fn default() -> Self {
        Self {
            gaussian: true,
            empirical: true,
            range_scale: true,
            location: true,
            window_range: true,
            geometric_range: true,
            slow: true,
            quantile_regression: true,
            random_features: true,
            lstm: true,
            median_gate: true,
            interval_control: true,
            flow: true,
            market: true,
        }
    }
}

impl std::fmt::Debug for KafkaSourceConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { brokers, topic, start, options } = self;
        let mut shown = f.debug_struct("KafkaSourceConfig");
        shown.field("brokers", brokers).field("topic", topic).field("start", start);
        shown.field("options", &secrets::MaskedOptions(options)).finish()
    }
}
