//! The model's bars to model inputs: causal statistics over the bars that exist.
//!
//! | file | holds |
//! |---|---|
//! | [`ewma`] | exponentially weighted means |
//! | [`bar`] | one bar in logarithms, and the few recent ones |
//! | [`market`] | the mean return of all symbols, the same on every worker |
//! | [`statistics`] | what is kept of a symbol's bars, and the inputs that each step makes of it |
//!
//! Half-lives count bars that exist, so absent steps do not age the state. Prices are logarithms.

pub mod bar;
pub mod ewma;
pub mod market;
pub mod statistics;

pub use bar::Bar;
pub use ewma::{Ewma, Ewmas};
pub use market::{Market, MarketInputs, MarketSum, SymbolReturn};
pub use statistics::{BarStatistics, clock_inputs};

/// Inputs per step of the LSTM's sequence.
pub const INPUTS: usize = 14;
/// Their names, in order: the bar's and its statistics', then the clock's.
pub const INPUT_NAMES: [&str; INPUTS] = [
    "return",
    "log_range",
    "log_range_10",
    "log_range_90",
    "place_in_bar",
    "log_volume",
    "above_vwap_10",
    "abs_return",
    "present",
    "sin_day",
    "cos_day",
    "hour_end",
    "quarter_end",
    "five_minutes_end",
];
/// Inputs of the scale: three of presence, eight of range, three of volume, one, six of the time of day, two of the week.
pub const SCALE_INPUTS: usize = 23;
/// Inputs of the location: where the price comes from.
pub const LOCATION_INPUTS: usize = 15;
/// Inputs of the flow of orders.
pub const FLOW_INPUTS: usize = 3;
/// Inputs of the market as a whole.
pub const MARKET_INPUTS: usize = 4;

/// What one step gives.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct StepFeatures {
    /// Whether it holds a tick.
    pub present: bool,
    /// Bars that exist so far, this step's included.
    pub bars: u64,
    /// Its bar, or an empty one at the last price.
    pub bar: Bar,
    /// The LSTM's inputs.
    pub inputs: [f32; INPUTS],
    /// `s60`: standard deviation of one step's log return, by EWMA with a half-life of 60 bars.
    pub volatility: f64,
    /// The same with a half-life of 1,440 bars.
    pub slow_volatility: f64,
    /// `vl`: mean true range with a half-life of 1,440 bars, and at least 1e-6.
    pub range_level: f64,
    /// Geometric mean of the mean true ranges with half-lives of 20 and 180 bars.
    pub geometric_range: f64,
    /// The scale's inputs; ranges are logarithms of their ratio to `vl`.
    pub scale: [f64; SCALE_INPUTS],
    /// The location's inputs, in units of volatility.
    pub location: [f64; LOCATION_INPUTS],
    /// Which side took more, from -1 to 1, with half-lives of 1, 3, 10 bars: means of the root of the signed volume over
    /// means of the root of the volume. 0 where sides are not known.
    pub flow: [f64; FLOW_INPUTS],
    /// Whether the step ends in the last minute of an hour, of a quarter, of five minutes.
    pub clock: [f64; 3],
}

impl StepFeatures {
    /// Logarithm of the last price.
    #[must_use]
    pub fn log_price(&self) -> f64 {
        self.bar.close
    }
}

/// Places in [`StepFeatures::scale`].
pub mod scale_input {
    /// Logarithms of the mean presence with half-lives of 10, 60, 1,440 steps.
    pub const PRESENCE: usize = 0;
    /// Logarithms of the mean true range with half-lives of 1, 3, 10, 30, 90, 300, 1,440 bars.
    pub const RANGES: usize = 3;
    /// Logarithm of the last true range.
    pub const LAST_RANGE: usize = 10;
    /// Logarithms of the mean volume with half-lives of 1, 10, 60 bars.
    pub const VOLUMES: usize = 11;
    /// One.
    pub const ONE: usize = 14;
    /// Sine and cosine of the time of day, three harmonics, then of the week.
    pub const CALENDAR: usize = 15;
}
