//! What is told of a forecast: the object that `--json` prints, and that the text is made of. Names are firm.

use super::compared::{Compared, Difference};
use super::parts;
use crate::cli::job::again::{Answer, Question};
use crate::config::Config;
use crate::connectors::outputs::sinks::Published;
use crate::features::{FLOW_INPUTS, LOCATION_INPUTS, MARKET_INPUTS, SCALE_INPUTS};
use crate::market::forecast::LEVEL_NAMES;
use crate::market::json::write_row;
use crate::market::{Fixed, Forecast, Timestamp};
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// JSON as it is.
pub type Raw = Box<RawValue>;
/// By level, as they are spelled.
pub type Quantiles = BTreeMap<&'static str, f64>;

/// Everything that is told of a forecast.
#[derive(Serialize)]
pub struct Explanation {
    pub id: String,
    pub symbol: String,
    pub horizon: String,
    pub issued_at: String,
    pub target_at: String,
    /// Whether it came out as it was published.
    pub same: bool,
    pub difference: Option<Difference>,
    /// The same for people, and what may be the reason.
    pub difference_in_words: Option<String>,
    pub published: Vec<PublishedTold>,
    /// As it was computed again.
    pub forecast: Raw,
    pub naive_price: Raw,
    pub status: StatusTold,
    pub replay: ReplayTold,
    pub input: InputTold,
    pub bars: Vec<BarTold>,
    pub windows: Option<Raw>,
    pub features: Option<FeaturesTold>,
    pub sequence: Vec<SequenceTold>,
    pub model: ModelTold,
    pub experts: Vec<ExpertTold>,
    pub layers: Option<LayersTold>,
    pub interval: IntervalTold,
    pub outcome: OutcomeTold,
    /// For the text.
    #[serde(skip)]
    pub made: Forecast,
}

/// What a sink holds of it.
#[derive(Serialize)]
pub struct PublishedTold {
    pub place: String,
    /// How many records of this id it holds; the last one counts.
    pub records: usize,
    /// By what it was compared: `bytes` or `values`.
    pub compared_by: &'static str,
}

/// What to think of it, and why.
#[derive(Serialize)]
pub struct StatusTold {
    pub status: &'static str,
    pub reasons: Vec<&'static str>,
    pub why: String,
    pub first_tick: Option<String>,
    pub steps_seen: Option<i64>,
    pub steps_needed: usize,
}

/// How it was computed again.
#[derive(Serialize)]
pub struct ReplayTold {
    /// `checkpoint` or `beginning`.
    pub from: &'static str,
    pub checkpoint: Option<String>,
    pub cut: Option<String>,
    pub offsets: BTreeMap<u32, i64>,
    pub passed_over: Vec<String>,
    pub records: u64,
    pub workers: usize,
    pub seconds: f64,
    pub numerics: String,
}

/// What was read: the records of the symbol in the span of the sequence.
#[derive(Serialize)]
pub struct InputTold {
    pub from: String,
    pub to: String,
    /// From when on records and bars are shown; what lies before is in the checkpoint's state.
    pub shown_from: String,
    pub partitions: Vec<PartitionTold>,
    pub last_records: Vec<RecordTold>,
}

/// Of one partition.
#[derive(Serialize)]
pub struct PartitionTold {
    pub source: String,
    pub partition: u32,
    pub first_offset: u64,
    pub last_offset: u64,
    pub records: usize,
    pub ticks: usize,
}

/// One record.
#[derive(Serialize)]
pub struct RecordTold {
    pub source: String,
    pub partition: u32,
    pub offset: u64,
    pub at: String,
    pub price: Raw,
    pub key: Option<String>,
    pub value: Option<String>,
    /// Whether the value is longer than what is shown.
    pub cut_off: bool,
}

/// One bar of the sequence.
#[derive(Serialize)]
pub struct BarTold {
    pub end: String,
    pub present: bool,
    pub open: Option<Raw>,
    pub high: Option<Raw>,
    pub low: Option<Raw>,
    pub close: Option<Raw>,
    pub volume: Option<Raw>,
    pub count: Option<u64>,
    /// `records`, or `checkpoint`: its close is all that the state keeps of it.
    pub from: &'static str,
}

/// What the model knew of the step of the issue: as `features.rs` has it.
#[derive(Serialize)]
pub struct FeaturesTold {
    pub bars: u64,
    pub volatility: f64,
    pub slow_volatility: f64,
    pub range_level: f64,
    pub geometric_range: f64,
    pub scale: [f64; SCALE_INPUTS],
    pub location: [f64; LOCATION_INPUTS],
    pub flow: [f64; FLOW_INPUTS],
    pub market: [f64; MARKET_INPUTS],
}

/// A step as the LSTM sees it.
#[derive(Serialize)]
pub struct SequenceTold {
    pub end: String,
    pub inputs: BTreeMap<&'static str, f32>,
}

/// The weights, and what they had learnt from.
#[derive(Serialize)]
pub struct ModelTold {
    pub version: u64,
    pub trained_from: Option<String>,
    pub trained_through: Option<String>,
    pub loss: Option<f64>,
    /// Examples that the last training drew from, and the ends of the first and the last one's steps.
    pub examples: Option<ExamplesTold>,
}

/// What the last training drew from.
#[derive(Serialize)]
pub struct ExamplesTold {
    pub count: usize,
    pub first: String,
    pub last: String,
}

/// What one expert said.
#[derive(Serialize)]
pub struct ExpertTold {
    pub name: &'static str,
    /// What it has of the mixture: the mean over the quantiles.
    pub weight: f64,
    pub weights: Quantiles,
    /// As log returns.
    pub returns: Quantiles,
    pub prices: Quantiles,
}

/// What the layers said.
#[derive(Serialize)]
pub struct LayersTold {
    /// Layer 1.
    pub scale: f64,
    /// Layer 2, in units of the scale.
    pub shape: Quantiles,
    /// Layer 3, in units of the scale.
    pub regression: Quantiles,
    /// Layer 4 took part.
    pub lstm_spoke: bool,
    /// Layer 5, log returns.
    pub mixture: Quantiles,
    /// Layer 6.
    pub gate: GateTold,
    /// Outer quantiles of a new symbol are drawn out by this.
    pub widening: f64,
    /// As they were published, log returns.
    pub quantiles: Quantiles,
}

/// Whether medians are published.
#[derive(Serialize)]
pub struct GateTold {
    pub open: bool,
    pub median: f64,
    pub gain: f64,
    pub needed: f64,
}

/// The interval, and the control behind it.
#[derive(Serialize)]
pub struct IntervalTold {
    pub coverage: f64,
    /// Of the last scores, so many.
    pub coverage_so_far: Option<f64>,
    pub scores: u64,
    /// In which third of all volatilities so far that of the issue lies.
    pub tercile: Option<&'static str>,
    /// How far the control has moved the ends out, in units of the scale.
    pub lower_offset: Option<f64>,
    pub upper_offset: Option<f64>,
    pub lower: f64,
    pub upper: f64,
}

/// What became of it.
#[derive(Serialize)]
pub struct OutcomeTold {
    pub known: bool,
    /// `replay`: computed again; `sink`: as published, where the source does not reach so far.
    pub from: Option<&'static str>,
    /// Whether a sink holds it.
    pub published: bool,
    pub score: Option<Raw>,
}

pub(super) fn raw(json: impl Into<String>) -> Raw {
    // What is written here is JSON.
    RawValue::from_string(json.into()).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

pub(super) fn fixed(value: Fixed) -> Raw {
    raw(value.to_string())
}

pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(super) fn stamp(at: Option<Timestamp>) -> Option<String> {
    at.map(|at| at.to_string())
}

pub(super) fn quantiles(values: [f64; 5]) -> Quantiles {
    LEVEL_NAMES.into_iter().zip(values).collect()
}

impl Explanation {
    /// From what was found and computed.
    pub fn new(
        config: &Config,
        question: &Question,
        answer: &Answer,
        forecast: &Forecast,
        published: &[Published],
        compared: &Compared,
    ) -> Self {
        let lineage = answer.lineage.as_ref();
        let row = answer.heard.rows.last().filter(|row| row.end == forecast.issued_at);
        let windows = row.map(|row| {
            let mut json = Vec::new();
            write_row(row, &config.time.windows, &mut json);
            raw(text(&json))
        });
        let (from, to) = question.trace.ticks;
        Self {
            id: forecast.id(),
            symbol: forecast.symbol.to_string(),
            horizon: forecast.horizon.to_string(),
            issued_at: forecast.issued_at.to_string(),
            target_at: forecast.target_at.to_string(),
            same: compared.difference.is_none(),
            difference: compared.difference.clone(),
            difference_in_words: None,
            published: published.iter().filter_map(PublishedTold::of).collect(),
            forecast: raw(text(&compared.forecast)),
            naive_price: fixed(forecast.last_price),
            status: StatusTold::of(forecast, lineage, config),
            replay: ReplayTold::of(&answer.replayed, question.workers),
            input: InputTold::of(answer, from, to),
            bars: parts::bars(answer, lineage),
            windows,
            features: lineage.map(FeaturesTold::of),
            sequence: lineage.map_or_else(Vec::new, parts::sequence),
            model: ModelTold::of(forecast, lineage),
            experts: lineage.map_or_else(Vec::new, |of| parts::experts(&of.layers, forecast.last_price.to_f64())),
            layers: lineage.map(LayersTold::of),
            interval: IntervalTold::of(forecast, lineage),
            outcome: OutcomeTold::of(published, compared),
            made: forecast.clone(),
        }
    }

    /// As one JSON object.
    pub fn json(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string(self)? + "\n")
    }
}
