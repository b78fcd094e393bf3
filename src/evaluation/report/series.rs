//! One symbol and horizon: forecasts wait for their scores, and what both say goes into sums.

use super::bins::TimeBins;
use super::hac::Hac;
use super::sums::{BPS, Sums};
use super::{Issued, Outcome, Settled};
use crate::market::forecast::LEVELS;
use crate::market::{Span, Status, Timestamp};
use std::collections::{BTreeMap, VecDeque};

/// Points of the zoomed stretch: what can be told apart in a plot as wide as a phone.
pub const RECENT: usize = 48;
/// Half-life, in forecasts, of the volatility that sorts scores into terciles.
const VOLATILITY_HALF_LIFE: f64 = 60.0;
/// Width of a bin of the logarithm of volatility: terciles are exact to 2 per cent of volatility.
const VOLATILITY_BIN: f64 = 0.02;
const DAY_MS: i64 = 86_400_000;
const HOUR_MS: i64 = 3_600_000;
/// The shortest lag of the Diebold-Mariano variance, in steps: losses cluster as volatility does.
const LAG_MIN: i64 = 30;

/// A forecast and what came.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// For when.
    pub target_at: Timestamp,
    /// The naive forecast.
    pub last_price: f64,
    /// The forecast.
    pub price: f64,
    /// Lower end of the interval.
    pub lower: f64,
    /// Upper end of the interval.
    pub upper: f64,
    /// What came.
    pub actual: f64,
}

/// A forecast that waits for its score.
#[derive(Clone, Copy, Debug)]
struct Pending {
    issued_at: Timestamp,
    target_at: Timestamp,
    last_price: f64,
    price: f64,
    lower: f64,
    upper: f64,
    quantiles: [f64; 5],
    /// Of one step, as a share of price; none before the second forecast.
    volatility: Option<f64>,
}

/// How forecasts were labelled, and what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Counts {
    pub forecasts: u64,
    pub ok: u64,
    pub warming: u64,
    pub abstain: u64,
    pub void: u64,
    pub unscored: u64,
    pub moves: u64,
    pub directed: u64,
    pub directed_right: u64,
    pub trades: u64,
}

/// Plain sums, in units of price where nothing else is said.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Totals {
    pub error: f64,
    pub naive_error: f64,
    pub squares: f64,
    pub naive_squares: f64,
    pub pinball: f64,
    pub naive_pinball: f64,
    pub width_bps: f64,
    pub gain_bps: f64,
}

/// Everything about one symbol and horizon.
#[derive(Clone, Debug)]
pub(super) struct Series {
    pub horizon: Span,
    pending: VecDeque<Pending>,
    last: Option<(Timestamp, f64)>,
    variance: (f64, f64),
    pub step_ms: Option<i64>,
    pub first_at: Option<Timestamp>,
    pub last_at: Timestamp,
    pub nominal: f64,
    pub e_value: f64,
    pub counts: Counts,
    pub totals: Totals,
    pub all: Sums,
    pub below: [u64; 5],
    pub by_volatility: BTreeMap<i32, Sums>,
    pub by_hour: [Sums; 24],
    pub by_day: BTreeMap<i64, (u64, u64)>,
    pub over_time: TimeBins<Sums>,
    pub difference: Hac,
    pub recent: VecDeque<Point>,
}

impl Series {
    pub fn new(horizon: Span) -> Self {
        Self {
            horizon,
            pending: VecDeque::new(),
            last: None,
            variance: (0.0, 0.0),
            step_ms: None,
            first_at: None,
            last_at: Timestamp::default(),
            nominal: 0.0,
            e_value: 1.0,
            counts: Counts::default(),
            totals: Totals::default(),
            all: Sums::default(),
            below: [0; 5],
            by_volatility: BTreeMap::new(),
            by_hour: [Sums::default(); 24],
            by_day: BTreeMap::new(),
            over_time: TimeBins::default(),
            difference: Hac::default(),
            recent: VecDeque::new(),
        }
    }

    /// The lag of the Diebold-Mariano variance. Errors of forecasts that overlap hang together up to the horizon less a
    /// step; Bartlett's weights fall with the lag, so it reaches four times as far.
    pub fn lag(&self) -> usize {
        let steps = self.step_ms.map_or(1, |step| self.horizon.millis() / step.max(1));
        usize::try_from((4 * steps - 1).max(LAG_MIN)).unwrap_or(0)
    }

    /// Takes in a forecast, unless it is not later than the one before: then false. `floor`: no score will come any more of
    /// an earlier target; `None`: none at all.
    pub fn forecast(&mut self, f: &Issued, floor: Option<Timestamp>) -> bool {
        let before = self.last;
        if before.is_some_and(|(at, _)| f.issued_at <= at) {
            return false;
        }
        self.counts.forecasts += 1;
        match f.status {
            Status::Ok => self.counts.ok += 1,
            Status::Warming => self.counts.warming += 1,
            Status::Abstain => self.counts.abstain += 1,
        }
        self.first_at.get_or_insert(f.issued_at);
        (self.last_at, self.nominal, self.e_value) = (f.issued_at, f.coverage, f.e_value);
        if let Some((at, price)) = before {
            let gap = f.issued_at.millis() - at.millis();
            self.step_ms = Some(self.step_ms.map_or(gap, |step| step.min(gap)));
            self.move_on(libm::log(f.last_price / price));
        }
        self.last = Some((f.issued_at, f.last_price));
        // Of those, no score will come any more, though scores of other series do.
        while self.pending.front().is_some_and(|first| floor.is_none_or(|floor| first.target_at < floor)) {
            self.pending.pop_front();
            self.counts.unscored += 1;
        }
        if floor.is_none_or(|floor| f.target_at < floor) {
            self.counts.unscored += 1;
            return true;
        }
        self.pending.push_back(Pending {
            issued_at: f.issued_at,
            target_at: f.target_at,
            last_price: f.last_price,
            price: f.price,
            lower: f.lower,
            upper: f.upper,
            quantiles: f.quantiles,
            volatility: before.map(|_| (self.variance.0 / self.variance.1).sqrt()),
        });
        true
    }

    /// The bias-corrected exponential mean of squared returns.
    fn move_on(&mut self, log_return: f64) {
        let keep = libm::exp2(-1.0 / VOLATILITY_HALF_LIFE);
        let square = if log_return.is_finite() { log_return * log_return } else { 0.0 };
        self.variance = (keep * self.variance.0 + (1.0 - keep) * square, keep * self.variance.1 + (1.0 - keep));
    }

    /// Takes in a score. False where no forecast waits for it.
    pub fn score(&mut self, score: &Settled) -> bool {
        while let Some(first) = self.pending.front().copied() {
            if first.target_at > score.target_at {
                return false;
            }
            self.pending.pop_front();
            if first.target_at == score.target_at {
                match &score.outcome {
                    Some(outcome) => self.settle(&first, outcome),
                    None => self.counts.void += 1,
                }
                return true;
            }
            self.counts.unscored += 1;
        }
        false
    }

    /// No more scores: what waits stays without one.
    pub fn finish(&mut self) {
        self.counts.unscored += self.pending.len() as u64;
        self.pending.clear();
    }

    fn settle(&mut self, f: &Pending, o: &Outcome) {
        let per_price = BPS / f.last_price;
        let (error, naive_error) = (o.error.abs(), o.naive_error.abs());
        let one = Sums {
            count: 1,
            covered: u64::from(o.covered),
            error: error * per_price,
            naive_error: naive_error * per_price,
            pinball: o.pinball * per_price,
            naive_pinball: o.naive_pinball * per_price,
        };
        let t = &mut self.totals;
        t.error += error;
        t.naive_error += naive_error;
        t.squares += error * error;
        t.naive_squares += naive_error * naive_error;
        t.pinball += o.pinball;
        t.naive_pinball += o.naive_pinball;
        t.width_bps += (f.upper - f.lower) * per_price;
        self.signs(f, o, per_price);
        for (below, quantile) in self.below.iter_mut().zip(f.quantiles) {
            *below += u64::from(o.actual_price <= quantile);
        }
        let lag = self.lag();
        self.difference.add(one.naive_error - one.error, lag);
        self.sort_in(f, o, &one);
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        let Pending { target_at, last_price, price, lower, upper, .. } = *f;
        self.recent.push_back(Point { target_at, last_price, price, lower, upper, actual: o.actual_price });
    }

    fn signs(&mut self, f: &Pending, o: &Outcome, per_price: f64) {
        let (said, came) = (f.price - f.last_price, o.actual_price - f.last_price);
        let counts = &mut self.counts;
        counts.moves += u64::from(came != 0.0);
        if said == 0.0 {
            return;
        }
        counts.trades += 1;
        self.totals.gain_bps += said.signum() * came * per_price;
        if came != 0.0 {
            counts.directed += 1;
            counts.directed_right += u64::from((said > 0.0) == (came > 0.0));
        }
    }

    fn sort_in(&mut self, f: &Pending, o: &Outcome, one: &Sums) {
        use super::bins::Merge as _;
        self.all.merge(one);
        let ms = f.issued_at.millis();
        self.by_hour[(ms.rem_euclid(DAY_MS) / HOUR_MS) as usize].merge(one);
        let day = self.by_day.entry(ms.div_euclid(DAY_MS)).or_default();
        *day = (day.0 + 1, day.1 + u64::from(o.covered));
        self.over_time.at(f.issued_at).merge(one);
        if let Some(volatility) = f.volatility {
            self.by_volatility.entry(volatility_bin(volatility)).or_default().merge(one);
        }
    }
}

/// The bin of a volatility; the lowest holds 0.
pub(super) fn volatility_bin(volatility: f64) -> i32 {
    (libm::log(volatility.max(1e-9)) / VOLATILITY_BIN).floor() as i32
}

/// The upper end of a bin.
pub(super) fn volatility_of(bin: i32) -> f64 {
    libm::exp(f64::from(bin + 1) * VOLATILITY_BIN)
}

const _: () = assert!(LEVELS.len() == 5);
