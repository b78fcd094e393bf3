//! What is kept of a symbol's bars, and the inputs that each step makes of it.

use super::bar::{LAGS, RecentBars};
use super::{Bar, Ewma, Ewmas, FLOW_INPUTS, INPUTS, LOCATION_INPUTS, SCALE_INPUTS, StepFeatures, scale_input};
use crate::market::{Ohlcv, Timestamp};
use core::f64::consts::TAU;
use serde::{Deserialize, Serialize};

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 86_400_000;
const WEEK_MS: i64 = 7 * DAY_MS;

/// Half-lives of the mean true range; the scale's inputs come first.
const RANGE_BARS: [f64; 9] = [1.0, 3.0, 10.0, 30.0, 90.0, 300.0, 1440.0, 20.0, 180.0];
const RANGE_10: usize = 2;
const RANGE_90: usize = 4;
const RANGE_1440: usize = 6;
const RANGE_20: usize = 7;
const RANGE_180: usize = 8;
/// Half-lives of the mean volume; the scale's inputs come first.
const VOLUME_BARS: [f64; 4] = [1.0, 10.0, 60.0, 1440.0];
const VOLUME_1440: usize = 3;
/// Half-lives of the volume-weighted mean price.
const VWAP_BARS: [f64; 3] = [5.0, 20.0, 10.0];
const VWAP_10: usize = 2;
/// Half-lives of the squared return.
const RETURN_BARS: [f64; 2] = [60.0, 1440.0];
/// Half-lives of the flow.
const FLOW_BARS: [f64; FLOW_INPUTS] = [1.0, 3.0, 10.0];
/// Half-lives, in steps on the clock, of the mean presence.
const PRESENCE_STEPS: [f64; 3] = [10.0, 60.0, 1440.0];
/// Returns over so many bars are inputs of the location.
const CHANGE_BARS: [usize; 5] = [5, 15, 30, 60, 240];

/// The statistics behind the inputs, of one symbol.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BarStatistics {
    /// Bars so far.
    bars: u64,
    recent: RecentBars,
    /// The last bar that exists.
    last: Bar,
    squared_return: Ewmas,
    range: Ewmas,
    volume: Ewmas,
    /// Volume-weighted typical price: numerator and denominator.
    vwap_price: Ewmas,
    vwap_volume: Ewmas,
    place: Ewma,
    /// Root of the signed volume with its sign, and root of the volume.
    signed_root: Ewmas,
    volume_root: Ewmas,
    presence: Ewmas,
}

impl Default for BarStatistics {
    fn default() -> Self {
        Self {
            bars: 0,
            recent: RecentBars::default(),
            last: Bar::default(),
            squared_return: Ewmas::new(&RETURN_BARS),
            range: Ewmas::new(&RANGE_BARS),
            volume: Ewmas::new(&VOLUME_BARS),
            vwap_price: Ewmas::new(&VWAP_BARS),
            vwap_volume: Ewmas::new(&VWAP_BARS),
            place: Ewma::new(5.0),
            signed_root: Ewmas::new(&FLOW_BARS),
            volume_root: Ewmas::new(&FLOW_BARS),
            presence: Ewmas::new(&PRESENCE_STEPS),
        }
    }
}

impl BarStatistics {
    /// The step that ends at `end`, with its bar, or none where it holds no tick.
    pub fn step(&mut self, end: Timestamp, bar: Option<&Ohlcv>) -> StepFeatures {
        let (bar, present) = match bar {
            Some(bar) => (self.take(bar), true),
            None => (Bar::absent(self.last.close), false),
        };
        self.presence.add(f64::from(u8::from(present)));
        self.features(end, bar, present)
    }

    /// So many steps without a tick, of which nothing is asked.
    pub fn pass(&mut self, steps: i64) {
        self.presence.add_zeros(steps);
    }

    fn take(&mut self, bar: &Ohlcv) -> Bar {
        let bar = Bar::new(bar, self.recent.close());
        self.bars += 1;
        self.recent.push(&bar);
        self.squared_return.add(bar.change * bar.change);
        self.range.add(bar.range);
        self.volume.add(bar.volume);
        // A market without volumes has its plain mean price.
        let weight = bar.volume + 1e-9;
        self.vwap_price.add(bar.typical() * weight);
        self.vwap_volume.add(weight);
        self.place.add(bar.place);
        self.signed_root.add(bar.signed_volume.abs().sqrt().copysign(bar.signed_volume));
        self.volume_root.add(bar.volume.sqrt());
        self.last = bar;
        bar
    }

    /// `s60` now.
    #[must_use]
    pub fn volatility(&self) -> f64 {
        (self.squared_return.value(0) + 1e-12).sqrt()
    }

    fn range_level(&self) -> f64 {
        self.range.value(RANGE_1440) + 1e-6
    }

    fn volume_level(&self) -> f64 {
        self.volume.value(VOLUME_1440) + 1e-12
    }

    /// Distance of the last close to the volume-weighted mean price.
    fn above_vwap(&self, place: usize) -> f64 {
        let volume = self.vwap_volume.value(place);
        if volume > 0.0 { self.last.close - self.vwap_price.value(place) / volume } else { 0.0 }
    }

    fn features(&self, end: Timestamp, bar: Bar, present: bool) -> StepFeatures {
        StepFeatures {
            present,
            bars: self.bars,
            bar,
            inputs: self.sequence_inputs(end, &bar, present),
            volatility: self.volatility(),
            slow_volatility: (self.squared_return.value(1) + 1e-12).sqrt(),
            range_level: self.range_level(),
            geometric_range: (self.range.value(RANGE_20) * self.range.value(RANGE_180)).sqrt(),
            scale: self.scale_inputs(end),
            location: self.location_inputs(),
            flow: self.flow_inputs(),
            clock: clock(end),
        }
    }

    fn scale_inputs(&self, end: Timestamp) -> [f64; SCALE_INPUTS] {
        let (range_level, volume_level) = (self.range_level(), self.volume_level());
        let mut inputs = [0.0; SCALE_INPUTS];
        for at in 0..3 {
            inputs[scale_input::PRESENCE + at] = libm::log(self.presence.value(at) + 0.02);
            inputs[scale_input::VOLUMES + at] = libm::log(self.volume.value(at) / volume_level + 0.05);
        }
        for at in 0..7 {
            inputs[scale_input::RANGES + at] = libm::log(self.range.value(at) / range_level + 0.02);
        }
        inputs[scale_input::LAST_RANGE] = libm::log(self.last.range / range_level + 0.05);
        inputs[scale_input::ONE] = 1.0;
        let (day, week) = (turn(end, DAY_MS), turn(end, WEEK_MS));
        for (at, angle) in [day, 2.0 * day, 3.0 * day, week].into_iter().enumerate() {
            (inputs[scale_input::CALENDAR + 2 * at], inputs[scale_input::CALENDAR + 2 * at + 1]) = libm::sincos(angle);
        }
        inputs
    }

    fn location_inputs(&self) -> [f64; LOCATION_INPUTS] {
        let s60 = self.volatility();
        let clip = |value: f64| value.clamp(-4.0, 4.0);
        let mut inputs = [0.0; LOCATION_INPUTS];
        for (input, change) in inputs.iter_mut().zip(self.recent.returns()) {
            *input = clip(change / s60);
        }
        for (input, bars) in inputs[LAGS..].iter_mut().zip(CHANGE_BARS) {
            *input = clip(self.recent.change_over(bars) / (s60 * (bars as f64).sqrt()));
        }
        inputs[10] = self.last.place;
        for (at, bars) in VWAP_BARS.iter().take(2).enumerate() {
            inputs[11 + at] = clip(self.above_vwap(at) / (s60 * bars.sqrt()));
        }
        inputs[13] = self.place.value().clamp(-1.0, 1.0);
        inputs[14] = self.recent.place_in_range();
        inputs
    }

    fn flow_inputs(&self) -> [f64; FLOW_INPUTS] {
        std::array::from_fn(|at| {
            let volume = self.volume_root.value(at);
            if volume > 0.0 { self.signed_root.value(at) / volume } else { 0.0 }
        })
    }

    fn sequence_inputs(&self, end: Timestamp, bar: &Bar, present: bool) -> [f32; INPUTS] {
        let s60 = self.volatility();
        let (range_level, volume_level) = (self.range_level(), self.volume_level());
        let mut inputs = [0.0; INPUTS];
        let values: [f64; BAR_INPUTS] = [
            (bar.change / s60).clamp(-4.0, 4.0),
            libm::log(bar.range / range_level + 0.05),
            libm::log(self.range.value(RANGE_10) / range_level + 0.02),
            libm::log(self.range.value(RANGE_90) / range_level + 0.02),
            bar.place,
            0.5 * libm::log(bar.volume / volume_level + 0.02),
            (self.above_vwap(VWAP_10) / (3.0 * s60)).clamp(-4.0, 4.0),
            (bar.change.abs() / s60).min(4.0) - 0.7,
            f64::from(u8::from(present)) - 0.5,
        ];
        // A jump of many orders of magnitude must not reach the weights.
        for (input, value) in inputs.iter_mut().zip(values) {
            *input = value.clamp(-8.0, 8.0) as f32;
        }
        inputs[BAR_INPUTS..].copy_from_slice(&clock_inputs(end));
        inputs
    }
}

/// Inputs of the sequence that the bar makes; those of the clock follow.
const BAR_INPUTS: usize = INPUTS - 5;

/// Inputs of the sequence that follow from the end of the step alone: sine and cosine of the time of day, and
/// [`StepFeatures::clock`].
#[must_use]
pub fn clock_inputs(end: Timestamp) -> [f32; 5] {
    let (sine, cosine) = libm::sincosf(turn(end, DAY_MS) as f32);
    let [hour, quarter, five] = clock(end).map(|flag| flag as f32);
    [sine, cosine, hour, quarter, five]
}

/// Whether `end` lies in the last minute of an hour, of a quarter, of five minutes.
fn clock(end: Timestamp) -> [f64; 3] {
    [60, 15, 5].map(|every| ends_in_last_minute_of(end, every))
}

/// 1 where `end` lies in the last of every `minutes` minutes since 1970, else 0.
fn ends_in_last_minute_of(end: Timestamp, minutes: i64) -> f64 {
    f64::from(u8::from(end.millis().div_euclid(MINUTE_MS).rem_euclid(minutes) == minutes - 1))
}

/// The angle of `end` within `period`.
fn turn(end: Timestamp, period_ms: i64) -> f64 {
    TAU * (end.millis().rem_euclid(period_ms) as f64 / period_ms as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::Fixed;

    fn bar(open: f64, high: f64, low: f64, close: f64, volume: f64) -> Ohlcv {
        let fixed = |x: f64| Fixed::from_raw((x * 1e8) as i64);
        let mut bar = Ohlcv::of_tick(fixed(open), fixed(volume), None);
        (bar.high, bar.low, bar.close) = (fixed(high), fixed(low), fixed(close));
        bar
    }

    #[test]
    fn inputs_follow_their_formulas() {
        let mut statistics = BarStatistics::default();
        statistics.step(Timestamp::from_millis(60_000), Some(&bar(100.0, 101.0, 99.0, 100.0, 5.0)));
        let step = statistics.step(Timestamp::from_millis(59 * 60_000), Some(&bar(100.0, 103.0, 100.0, 102.0, 10.0)));
        let change = (102.0_f64 / 100.0).ln();
        let a = 0.5_f64.powf(1.0 / 60.0);
        let s60 = ((1.0 - a) * change * change / (1.0 - a * a) + 1e-12).sqrt();
        assert!((step.volatility - s60).abs() < 1e-12);
        assert!((f64::from(step.inputs[0]) - change / s60).abs() < 1e-6);
        assert!((f64::from(step.inputs[8]) - 0.5).abs() < 1e-9);
        assert_eq!(&step.inputs[11..], &[1.0, 1.0, 0.0 + 1.0]);
        assert!((step.log_price() - 102.0_f64.ln()).abs() < 1e-12);
    }

    #[test]
    fn absent_steps_leave_the_statistics_alone() {
        let mut statistics = BarStatistics::default();
        let first = statistics.step(Timestamp::from_millis(60_000), Some(&bar(100.0, 101.0, 99.0, 100.5, 5.0)));
        for minute in 2..500 {
            let absent = statistics.step(Timestamp::from_millis(minute * 60_000), None);
            assert_eq!(absent.volatility.to_bits(), first.volatility.to_bits());
            assert_eq!(absent.log_price().to_bits(), first.log_price().to_bits());
            assert!(absent.inputs.iter().all(|x| x.is_finite()));
            assert_eq!(absent.inputs[8], -0.5);
        }
    }

    #[test]
    fn extremes_stay_finite() {
        let mut statistics = BarStatistics::default();
        for (minute, price) in [1e-8, 9e10, 1e-8, 1.0, 1.0, 1.0].into_iter().enumerate() {
            let step = statistics
                .step(Timestamp::from_millis(minute as i64 * 60_000), Some(&bar(price, price, price, price, 0.0)));
            assert!(step.inputs.iter().all(|x| x.is_finite()) && step.volatility.is_finite());
        }
    }
}
