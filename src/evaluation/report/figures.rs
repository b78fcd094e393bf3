//! What a report says, as numbers: the content of `scores.json`. `docs/report.md` explains each.

use super::series::{Point, Series, volatility_of};
use super::sums::{BPS, Sums, mean, ratio};
use crate::market::Timestamp;
use crate::market::forecast::LEVELS;
use serde::{Serialize, Serializer};

/// A day counts among days with at least so many scores: a share of fewer says little.
pub const DAY_SCORES_MIN: u64 = 20;
/// Names of the terciles of volatility.
pub const TERCILES: [&str; 3] = ["calm", "normal", "wild"];
/// What symbols of the simulated market end with.
pub const SIMULATED: &str = ".SIM";

/// All of it.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// Of this file.
    pub version: u32,
    /// The job whose forecasts are judged.
    pub job: Option<String>,
    /// Forecasts that were used.
    pub forecasts: u64,
    /// Records that were left out, being no later than the one before of the same symbol and horizon: published again by
    /// a restart, or not in order.
    pub repeated: u64,
    /// Scores whose forecast is not there.
    pub scores_without_forecast: u64,
    /// One per symbol and horizon, by symbol, then by length.
    pub series: Vec<SeriesFigures>,
    /// By symbol.
    pub training: Vec<Training>,
    /// Records by outcome, where a summary of the run was given.
    pub records: Option<Vec<(String, u64)>>,
}

/// One symbol and horizon. Ratios are to repeating the last price, but for pinball: below 1 is better.
#[derive(Clone, Debug, Serialize)]
pub struct SeriesFigures {
    /// Of which symbol.
    pub symbol: String,
    /// How far ahead, as in `5m`.
    pub horizon: String,
    /// Whether the symbol is of the simulated market.
    pub simulated: bool,
    /// Seconds between forecasts, the shortest distance.
    pub step_seconds: Option<f64>,
    /// The first issue time.
    #[serde(serialize_with = "stamp")]
    pub from: Option<Timestamp>,
    /// The last issue time.
    #[serde(serialize_with = "stamp")]
    pub to: Option<Timestamp>,
    /// Forecasts, whatever their status.
    pub forecasts: u64,
    /// Of these, with the status `ok`.
    pub ok: u64,
    /// Of these, `warming`.
    pub warming: u64,
    /// Of these, `abstain`.
    pub abstain: u64,
    /// With a score that is not void: what all below is of.
    pub scored: u64,
    /// With a void score: no tick came in the steps before the target.
    pub void: u64,
    /// Without a score: mostly not due yet.
    pub unscored: u64,
    /// Mean absolute error in basis points of the last price.
    pub mae_bps: Option<f64>,
    /// The same of repeating the last price.
    pub naive_mae_bps: Option<f64>,
    /// Of mean absolute errors in units of price.
    pub mae_ratio: Option<f64>,
    /// Root of the mean squared error, in units of price.
    pub rmse_ratio: Option<f64>,
    /// Out of sample, against the last price: `1 - sum of squared errors / sum of squared naive errors`.
    pub r2: Option<f64>,
    /// Scores where the price moved.
    pub moves: u64,
    /// Moves where the forecast was not the last price.
    pub directed: u64,
    /// Share of the latter with the right sign.
    pub direction: Option<f64>,
    /// To EWMA-volatility Gaussian quantiles.
    pub pinball_ratio: Option<f64>,
    /// The share of outcomes that intervals are meant to hold, as last published.
    pub nominal_coverage: f64,
    /// The share that they held.
    pub coverage: Option<f64>,
    /// Mean width of intervals in basis points of the last price.
    pub width_bps: Option<f64>,
    /// As last published: it counts from the job's first score on.
    pub e_value: f64,
    /// Whether the difference to the last price is more than chance; none without a score.
    pub diebold_mariano: Option<DieboldMariano>,
    /// What acting on the forecasts may cost.
    pub break_even: BreakEven,
    /// Coverage day by day.
    pub days: Days,
    /// Observed shares at the published levels.
    pub calibration: Vec<Level>,
    /// By volatility at issue; empty without any.
    pub terciles: Vec<Tercile>,
    /// By the hour (UTC) of issue.
    pub hours: Vec<Part>,
    /// Over time, by issue.
    pub over_time: Vec<Part>,
    /// Width of each part of `over_time`.
    pub over_time_seconds: i64,
    /// The last scored forecasts, for the plots.
    #[serde(skip)]
    pub recent: Vec<Point>,
}

/// The loss is the absolute error in basis points of the last price; above 0 the forecast is better.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct DieboldMariano {
    /// Mean difference over its standard error.
    pub t: Option<f64>,
    /// Mean difference in basis points.
    pub mean_bps: f64,
    /// Lag of the variance, in scores.
    pub lag: usize,
}

/// Entering at the last price in the forecast's direction, leaving at the target.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct BreakEven {
    /// Scored forecasts that differ from the last price.
    pub trades: u64,
    /// Mean return of one in basis points: what entering and leaving may cost together.
    pub bps: Option<f64>,
}

/// Coverage of days (UTC) with at least [`DAY_SCORES_MIN`] scores.
#[derive(Clone, Debug, Serialize)]
pub struct Days {
    /// How many.
    pub count: u64,
    /// Coverage of the day in the middle.
    pub median: Option<f64>,
    /// The lowest of a day.
    pub worst: Option<f64>,
    /// That day.
    pub worst_day: Option<String>,
}

/// A quantile level and the share of outcomes at or below that quantile.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Level {
    /// The level, as in 0.95.
    pub nominal: f64,
    /// The share; none without a score.
    pub observed: Option<f64>,
}

/// A third of the scores, by volatility.
#[derive(Clone, Debug, Serialize)]
pub struct Tercile {
    /// One of [`TERCILES`].
    pub name: &'static str,
    /// The highest volatility in it: standard deviation of one step's return, in basis points.
    pub volatility_bps_max: f64,
    /// Its figures.
    #[serde(flatten)]
    pub part: Part,
}

/// A part of the scores.
#[derive(Clone, Debug, Serialize)]
pub struct Part {
    /// What part: an hour, or a start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// Where it begins.
    #[serde(skip)]
    pub start_ms: i64,
    /// Scores in it.
    pub count: u64,
    /// Mean absolute error in basis points of the last price.
    pub mae_bps: Option<f64>,
    /// The same of repeating the last price.
    pub naive_mae_bps: Option<f64>,
    /// Of both in basis points.
    pub mae_ratio: Option<f64>,
    /// Share of outcomes inside of the interval.
    pub coverage: Option<f64>,
    /// To EWMA-volatility Gaussian quantiles.
    pub pinball_ratio: Option<f64>,
}

/// Training of a symbol's model.
#[derive(Clone, Debug, Serialize)]
pub struct Training {
    /// Of which symbol.
    pub symbol: String,
    /// Trainings behind the last forecast's weights.
    pub versions: u64,
    /// Width of each part of `loss`.
    pub seconds: i64,
    /// Start, and mean loss of the epochs that ended there.
    pub loss: Vec<(String, f64)>,
    /// The same with starts in ms.
    #[serde(skip)]
    pub points: Vec<(i64, f64)>,
}

fn stamp<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => serializer.collect_str(at),
        None => serializer.serialize_none(),
    }
}

fn part(start_ms: i64, at: Option<String>, sums: &Sums) -> Part {
    Part {
        at,
        start_ms,
        count: sums.count,
        mae_bps: sums.mae_bps(),
        naive_mae_bps: sums.naive_mae_bps(),
        mae_ratio: sums.mae_ratio(),
        coverage: sums.coverage(),
        pinball_ratio: sums.pinball_ratio(),
    }
}

/// The figures of a series that is finished.
pub(super) fn of(symbol: &str, s: &Series) -> SeriesFigures {
    let (c, t, count) = (&s.counts, &s.totals, s.all.count);
    let squares = ratio(t.squares, t.naive_squares);
    let test = s.difference.test(s.lag());
    let hour = |(hour, sums): (usize, &Sums)| part(0, Some(format!("{hour:02}")), sums);
    SeriesFigures {
        symbol: symbol.to_owned(),
        horizon: s.horizon.to_string(),
        simulated: symbol.ends_with(SIMULATED),
        step_seconds: s.step_ms.map(|ms| ms as f64 / 1000.0),
        from: s.first_at,
        to: s.first_at.map(|_| s.last_at),
        forecasts: c.forecasts,
        ok: c.ok,
        warming: c.warming,
        abstain: c.abstain,
        scored: count,
        void: c.void,
        unscored: c.unscored,
        mae_bps: s.all.mae_bps(),
        naive_mae_bps: s.all.naive_mae_bps(),
        mae_ratio: ratio(t.error, t.naive_error),
        rmse_ratio: squares.map(f64::sqrt),
        r2: squares.map(|squares| 1.0 - squares),
        moves: c.moves,
        directed: c.directed,
        direction: mean(c.directed_right as f64, c.directed),
        pinball_ratio: ratio(t.pinball, t.naive_pinball),
        nominal_coverage: s.nominal,
        coverage: s.all.coverage(),
        width_bps: mean(t.width_bps, count),
        e_value: s.e_value,
        diebold_mariano: test.map(|test| DieboldMariano { t: test.t, mean_bps: test.mean, lag: test.lag }),
        break_even: BreakEven { trades: c.trades, bps: mean(t.gain_bps, c.trades) },
        days: days(s),
        calibration: LEVELS
            .iter()
            .zip(s.below)
            .map(|(&nominal, below)| Level { nominal, observed: mean(below as f64, count) })
            .collect(),
        terciles: terciles(s),
        hours: s.by_hour.iter().enumerate().map(hour).collect(),
        over_time: s.over_time.iter().map(|(at, sums)| part(at.millis(), Some(at.to_string()), sums)).collect(),
        over_time_seconds: s.over_time.width_ms() / 1000,
        recent: s.recent.iter().copied().collect(),
    }
}

fn days(s: &Series) -> Days {
    let share = |(covered, count): (u64, u64)| covered as f64 / count as f64;
    let full = s.by_day.iter().filter(|(_, (count, _))| *count >= DAY_SCORES_MIN);
    let mut shares: Vec<(f64, i64)> = full.map(|(day, (count, covered))| (share((*covered, *count)), *day)).collect();
    // The first of equals.
    shares.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let middle = shares.len() / 2;
    let median = match shares.len() {
        0 => None,
        n if n % 2 == 1 => Some(shares[middle].0),
        _ => Some(f64::midpoint(shares[middle - 1].0, shares[middle].0)),
    };
    let date = |day: i64| Timestamp::from_millis(day * 86_400_000).to_string().chars().take(10).collect();
    let worst = shares.first();
    Days {
        count: shares.len() as u64,
        median,
        worst: worst.map(|(share, _)| *share),
        worst_day: worst.map(|(_, day)| date(*day)),
    }
}

/// Whole bins, so that each tercile ends with the bin in which its third ends. One that is empty is absent.
fn terciles(s: &Series) -> Vec<Tercile> {
    use super::bins::Merge as _;
    let total: u64 = s.by_volatility.values().map(|sums| sums.count).sum();
    let mut found: Vec<Tercile> = Vec::new();
    let (mut seen, mut sums, mut third) = (0, Sums::default(), 0);
    for (bin, more) in &s.by_volatility {
        sums.merge(more);
        seen += more.count;
        if seen * 3 >= total * (third + 1) {
            let volatility_bps_max = volatility_of(*bin) * BPS;
            found.push(Tercile { name: TERCILES[third as usize], volatility_bps_max, part: part(0, None, &sums) });
            // A bin that holds more than a third ends more than one of them.
            third = (seen * 3 / total).max(third + 1);
            sums = Sums::default();
        }
    }
    found
}
