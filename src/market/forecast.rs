//! Forecasts and their scores, as they travel through the dataflow. [`super::json`] writes them.

use super::{Fixed, Span, Symbol, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The published quantile levels.
pub const LEVELS: [f64; 5] = [0.05, 0.25, 0.5, 0.75, 0.95];
/// The published quantile levels as they are spelled.
pub const LEVEL_NAMES: [&str; 5] = ["0.05", "0.25", "0.5", "0.75", "0.95"];

/// The experts whose quantiles are mixed, as they are spelled: see the model's `experts`.
pub const EXPERT_NAMES: [&str; EXPERTS] = [
    "gaussian",
    "empirical",
    "range_scale",
    "location",
    "window_range",
    "geometric_range",
    "slow",
    "quantile_regression",
    "random_features",
    "lstm",
];
/// How many experts there are.
pub const EXPERTS: usize = 10;

/// What to think of a forecast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// The model stands behind it.
    Ok,
    /// Fewer steps than the sequence is long since the symbol's first tick: price = naive.
    Warming,
    /// The model declines, for [`Reasons`]: price = naive.
    Abstain,
}

impl Status {
    /// As it is spelled in messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warming => "warming",
            Self::Abstain => "abstain",
        }
    }
}

/// Why a forecast abstains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reasons {
    /// No tick in the last 5 steps.
    pub quiet: bool,
    /// Five steps without a tick inside the input sequence.
    pub gap: bool,
}

impl Reasons {
    /// Whether there is any.
    #[must_use]
    pub const fn any(self) -> bool {
        self.quiet || self.gap
    }
}

/// The central interval of the forecast price.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The share of outcomes it is meant to hold.
    pub coverage: f64,
    /// Lower end, in units of price.
    pub lower: f64,
    /// Upper end, in units of price.
    pub upper: f64,
}

/// How forecasts of this symbol and horizon fared so far: the last 1,440 scores, not void, due by the issue time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Skill {
    /// How many scores.
    pub count: u64,
    /// Mean absolute error over that of repeating the last price; below 1 beats doing nothing.
    pub mae_ratio: Option<f64>,
    /// Share of outcomes inside of the interval.
    pub coverage: Option<f64>,
    /// Anytime-valid evidence against "no better than the last price", from the job's first score on.
    pub e_value: f64,
}

/// Whether the forecasts' errors have changed: what a detector of change ([ADWIN]) says of them.
///
/// [ADWIN]: https://doi.org/10.1137/1.9781611972771.42
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drift {
    /// Changes found so far.
    pub changes: u64,
    /// When the last one was found.
    pub changed_at: Option<Timestamp>,
    /// Errors that look alike since then: the detector's window.
    pub window: u64,
}

/// Which model made a forecast.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// Number of trainings behind the weights.
    pub version: u64,
    /// No label later than this was learnt from; none before the first training.
    pub trained_through: Option<Timestamp>,
    /// Mean training loss of the last epoch.
    pub loss: Option<f64>,
}

/// One forecast of one symbol for one horizon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// The job's id.
    pub job: Arc<str>,
    /// Of which symbol.
    pub symbol: Symbol,
    /// How far ahead.
    pub horizon: Span,
    /// End of the step that it was made at.
    pub issued_at: Timestamp,
    /// `issued_at + horizon`.
    pub target_at: Timestamp,
    /// The last price before `issued_at`, which is the naive forecast too.
    pub last_price: Fixed,
    /// The forecast: the median.
    pub price: f64,
    /// The interval.
    pub interval: Interval,
    /// Prices at [`LEVELS`], ascending.
    pub quantiles: [f64; 5],
    /// Probability that the price at `target_at` is above `last_price`.
    pub probability_up: f64,
    /// What to think of it.
    pub status: Status,
    /// Why it abstains.
    pub reasons: Reasons,
    /// How such forecasts fared so far.
    pub skill: Skill,
    /// Whether their errors have changed.
    pub drift: Drift,
    /// Which model made it.
    pub model: ModelInfo,
}

/// `job/symbol/horizon/target in epoch ms`: deterministic, so that a replay upserts.
#[must_use]
pub fn forecast_id(job: &str, symbol: &Symbol, horizon: Span, target_at: Timestamp) -> String {
    format!("{job}/{symbol}/{horizon}/{}", target_at.millis())
}

/// What a forecast's id says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForecastId {
    /// Of which symbol.
    pub symbol: Symbol,
    /// How far ahead.
    pub horizon: Span,
    /// Its target time.
    pub target_at: Timestamp,
}

impl ForecastId {
    /// Reads an id of `job`; a symbol may hold slashes.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(job: &str, id: &str) -> Result<Self, String> {
        const SHAPE: &str = "an id is JOB/SYMBOL/HORIZON/TARGET, as in btc/BTC/1m/1611239700000";
        let mut parts = id.rsplitn(3, '/');
        let (Some(target), Some(horizon), Some(rest)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(SHAPE.to_owned());
        };
        if !rest.contains('/') {
            return Err(SHAPE.to_owned());
        }
        let symbol = rest.strip_prefix(job).and_then(|rest| rest.strip_prefix('/'));
        let symbol = symbol.ok_or_else(|| format!("it is of another job: job.id is {job}"))?;
        let symbol = Symbol::new(symbol).map_err(|why| format!("its symbol {why}; {SHAPE}"))?;
        let horizon: Span = horizon.parse().map_err(|_| format!("{horizon:?} is no horizon; {SHAPE}"))?;
        let target = target.parse().map_err(|_| format!("{target:?} is no target time in epoch ms; {SHAPE}"))?;
        let target_at = Timestamp::from_millis(target);
        let written = forecast_id(job, &symbol, horizon, target_at);
        if written == id { Ok(Self { symbol, horizon, target_at }) } else { Err(format!("it is written {written}")) }
    }

    /// When it was issued.
    #[must_use]
    pub const fn issued_at(&self) -> Timestamp {
        self.target_at.minus(self.horizon)
    }
}

impl Forecast {
    /// The forecast's id.
    #[must_use]
    pub fn id(&self) -> String {
        forecast_id(&self.job, &self.symbol, self.horizon, self.target_at)
    }
}

/// What became of a forecast when its target time had passed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The job's id.
    pub job: Arc<str>,
    /// Of which symbol.
    pub symbol: Symbol,
    /// How far ahead the forecast looked.
    pub horizon: Span,
    /// Its target time.
    pub target_at: Timestamp,
    /// `None` is `void`: no tick came in the 5 steps before the target.
    pub outcome: Option<ScoreOutcome>,
}

impl Score {
    /// The forecast's id.
    #[must_use]
    pub fn id(&self) -> String {
        forecast_id(&self.job, &self.symbol, self.horizon, self.target_at)
    }
}

/// The figures of a [`Score`] that is not void.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScoreOutcome {
    /// The last price at the target time.
    pub actual_price: Fixed,
    /// Forecast price less the actual one.
    pub error: f64,
    /// Naive price less the actual one.
    pub naive_error: f64,
    /// Whether the actual price lay in the interval, ends included.
    pub covered: bool,
    /// Mean pinball loss over the five quantiles, in units of price.
    pub pinball: f64,
    /// The same of EWMA-volatility Gaussian quantiles (half-life 60 steps) around the last price.
    pub naive_pinball: f64,
    /// `pinball` of each expert's own quantiles, by [`EXPERT_NAMES`]; none where it took no part.
    pub experts: [Option<f64>; EXPERTS],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_says_what_it_is_of() {
        let read = |id: &str| ForecastId::parse("btc", id);
        let id = read("btc/BTC/USD/1m/1611239700000").unwrap();
        assert_eq!((id.symbol.as_str(), id.issued_at().millis()), ("BTC/USD", 1_611_239_640_000));
        for (id, why) in [
            ("btc", "an id is"),
            ("btc/1m/1611239700000", "an id is"),
            ("eth/BTC/1m/1611239700000", "another job"),
            ("btc/BTC/1x/1611239700000", "no horizon"),
            ("btc/BTC/1m/now", "no target time"),
            ("btc/BTC/60s/1611239700000", "it is written btc/BTC/1m/1611239700000"),
            ("btc//1m/1611239700000", "its symbol"),
        ] {
            let error = read(id).unwrap_err();
            assert!(error.contains(why), "{id}: {error}");
        }
    }
}
