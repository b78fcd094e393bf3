//! Holes, quiet markets, jumps and prices at the limits: every forecast is checked, not only the last.

use crate::series::{DAY, MINUTE_MS, Run, config};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rand_distr::{Distribution, StandardNormal};
use tickcast::market::{Fixed, Forecast, Ohlcv, Reasons, Status, Timestamp};

/// Steps of the longest window: a symbol has a row while it holds a tick.
const ROW_STEPS: usize = 60;
/// The LSTM's sequence.
const SEQUENCE: usize = 16;
/// The state of a symbol stays below this.
const STATE_BYTES_MAX: usize = 1_000_000;
/// Its size is looked at every so many steps.
const SIZE_EVERY: usize = 480;

/// A forecaster whose every word is checked.
struct Watch {
    name: &'static str,
    run: Run,
    /// Whether each step since the first tick held one.
    present: Vec<bool>,
    last_price: Fixed,
    minute: i64,
    /// Forecasts by status: ok, warming, abstaining.
    counts: [usize; 3],
    state_bytes: usize,
    /// Widths of the intervals in bps, by horizon, of each step with a row; how many of the last outcomes were covered.
    widths: [Vec<f64>; 4],
    covered: [Vec<bool>; 4],
}

impl Watch {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            run: Run::new(&config()),
            present: Vec::new(),
            last_price: Fixed::ZERO,
            minute: 0,
            counts: [0; 3],
            state_bytes: 0,
            widths: Default::default(),
            covered: Default::default(),
        }
    }

    /// The next minute, with a tick or without. Steps without a row are left out when nothing waits for them, as the job does.
    fn minute(&mut self, tick: Option<(Fixed, Fixed)>) {
        self.bar(tick.map(|(price, size)| Ohlcv::of_tick(price, size, None)));
    }

    fn bar(&mut self, bar: Option<Ohlcv>) {
        self.minute += 1;
        let end = Timestamp::from_millis(1_700_000_040_000 + MINUTE_MS * self.minute);
        if bar.is_some() || !self.present.is_empty() {
            self.present.push(bar.is_some());
        }
        self.last_price = bar.map_or(self.last_price, |bar| bar.close);
        if self.present.iter().rev().take(ROW_STEPS).any(|present| *present) {
            self.run.row(end, bar, self.last_price);
            assert_eq!(self.run.all.forecasts.len(), 4, "{}: a forecast for each horizon", self.name);
        } else if self.run.forecaster.awaits_scores() {
            self.run.no_row(end);
            assert!(self.run.all.forecasts.is_empty());
        }
        for forecast in std::mem::take(&mut self.run.all.forecasts) {
            self.check(&forecast);
        }
        self.check_scores();
        if self.present.len().is_multiple_of(SIZE_EVERY) {
            self.check_size();
        }
    }

    /// What the contract says of the last step: no tick in the last 5, such a hole inside of the sequence.
    fn expected(&self) -> (Status, Reasons) {
        if self.present.len() < SEQUENCE {
            return (Status::Warming, Reasons::default());
        }
        let sequence = &self.present[self.present.len() - SEQUENCE..];
        let hole = |from: usize| sequence[from..from + 5].iter().all(|present| !present);
        let reasons = Reasons {
            quiet: hole(SEQUENCE - 5),
            gap: (0..SEQUENCE - 5).any(|from| hole(from) && sequence[from + 5..].contains(&true)),
        };
        (if reasons.any() { Status::Abstain } else { Status::Ok }, reasons)
    }

    fn check(&mut self, f: &Forecast) {
        let at = || format!("{}, minute {}: {f:?}", self.name, self.minute);
        let (interval, skill) = (&f.interval, &f.skill);
        let numbers = f.quantiles.iter().chain([&f.price, &interval.lower, &interval.upper, &skill.e_value]);
        assert!(numbers.copied().all(|number| number.is_finite() && number >= 0.0), "{}", at());
        assert!(f.quantiles.is_sorted() && f.price == f.quantiles[2], "{}", at());
        assert!(interval.lower <= f.price && f.price <= interval.upper, "{}", at());
        assert!((0.0..=1.0).contains(&f.probability_up), "{}", at());
        assert!(skill.mae_ratio.is_none_or(|ratio| ratio.is_finite() && ratio >= 0.0), "{}", at());
        assert!(skill.coverage.is_none_or(|share| (0.0..=1.0).contains(&share)), "{}", at());
        assert!(f.model.loss.is_none_or(f64::is_finite), "{}", at());
        assert_eq!(f.last_price, self.last_price, "{}", at());
        assert_eq!((f.status, f.reasons), self.expected(), "{}", at());
        let naive = f.last_price.to_f64();
        if f.status != Status::Ok {
            assert!(f.price == naive && f.probability_up == 0.5, "{}", at());
        }
        self.counts[match f.status {
            Status::Ok => 0,
            Status::Warming => 1,
            Status::Abstain => 2,
        }] += 1;
        let place = config().horizons.iter().position(|span| *span == f.horizon).unwrap();
        self.widths[place].push((interval.upper - interval.lower) / naive * 1e4);
    }

    /// Void exactly where no tick came in the 5 steps before the target.
    fn check_scores(&mut self) {
        let void = self.present.iter().rev().take(5).all(|present| !present);
        for score in std::mem::take(&mut self.run.all.scores) {
            assert_eq!(score.outcome.is_none(), void, "{}, minute {}: {score:?}", self.name, self.minute);
            let Some(outcome) = score.outcome else { continue };
            let numbers = [outcome.error, outcome.naive_error, outcome.pinball, outcome.naive_pinball];
            let experts = outcome.experts.into_iter().flatten();
            assert!(numbers.into_iter().chain(experts).all(f64::is_finite), "{}: {outcome:?}", self.name);
            let place = config().horizons.iter().position(|span| *span == score.horizon).unwrap();
            self.covered[place].push(outcome.covered);
        }
    }

    fn check_size(&mut self) {
        let mut bytes = Vec::new();
        self.run.forecaster.write_state(&mut bytes).unwrap();
        assert!(bytes.len() < STATE_BYTES_MAX, "{}: {} bytes", self.name, bytes.len());
        self.state_bytes = self.state_bytes.max(bytes.len());
    }

    /// Mean width of the last `count` intervals, by horizon.
    fn width(&self, count: usize) -> [f64; 4] {
        [0, 1, 2, 3].map(|at| mean(self.widths[at].iter().rev().take(count).copied()))
    }

    /// Coverage of the last `count` outcomes, by horizon.
    fn coverage(&self, count: usize) -> [f64; 4] {
        [0, 1, 2, 3].map(|at| mean(self.covered[at].iter().rev().take(count).map(|hit| f64::from(u8::from(*hit)))))
    }

    fn report(&mut self) {
        self.check_size();
        let [ok, warming, abstaining] = self.counts;
        println!(
            "{}: {} steps; {ok} forecasts ok, {warming} warming, {abstaining} abstaining; state at most {} bytes; coverage of the \
             last 500 {:.3?}, width {:.1?} bps",
            self.name,
            self.present.len(),
            self.state_bytes,
            self.coverage(500),
            self.width(500)
        );
    }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (count, sum) = values.fold((0.0, 0.0), |(count, sum), value| (count + 1.0, sum + value));
    sum / count
}

/// A random walk with 10 bps a minute.
struct Walk {
    rng: ChaCha8Rng,
    log_price: f64,
}

const ONE: Fixed = Fixed::from_raw(100_000_000);

impl Walk {
    fn new(seed: u64) -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(seed), log_price: 9.0 }
    }

    fn next(&mut self) -> Fixed {
        let change: f64 = StandardNormal.sample(&mut self.rng);
        self.log_price += 1e-3 * change;
        self.price()
    }

    fn price(&self) -> Fixed {
        Fixed::from_raw((self.log_price.exp() * 1e8).round() as i64)
    }

    /// One minute of an ordinary market.
    fn tick(&mut self) -> Option<(Fixed, Fixed)> {
        Some((self.next(), ONE))
    }

    fn chance(&mut self, share: f64) -> bool {
        (self.rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64 <= share
    }
}

#[test]
fn an_outage_of_284_minutes() {
    let (mut watch, mut walk) = (Watch::new("outage"), Walk::new(1));
    (0..2000).for_each(|_| watch.minute(walk.tick()));
    // 15 steps warm up.
    assert_eq!(watch.counts, [4 * 1985, 4 * 15, 0]);
    (0..284).for_each(|_| {
        walk.next();
        watch.minute(None);
    });
    // Rows go on for 59 steps; the first 4 of them are not yet quiet.
    assert_eq!(watch.counts, [4 * 1989, 4 * 15, 4 * 55]);
    (0..1500).for_each(|_| watch.minute(walk.tick()));
    // 5 absent steps are in the sequences that end with the first 11 steps after it.
    assert_eq!(watch.counts, [4 * (1989 + 1489), 4 * 15, 4 * 66]);
    watch.report();
    assert!(watch.coverage(1000)[0] > 0.87, "{:?}", watch.coverage(1000));
}

#[test]
fn half_of_all_minutes_absent() {
    let (mut watch, mut walk) = (Watch::new("half absent"), Walk::new(2));
    for _ in 0..4 * DAY {
        let (tick, present) = (walk.tick(), walk.chance(0.5));
        watch.minute(tick.filter(|_| present));
    }
    watch.report();
    assert!(watch.counts[0] > 0 && watch.counts[2] > 0);
    assert!((watch.coverage(2 * DAY)[0] - 0.9).abs() < 0.04, "{:?}", watch.coverage(2 * DAY));
}

#[test]
fn a_day_without_volume() {
    let (mut watch, mut walk) = (Watch::new("no volume"), Walk::new(3));
    for minute in 0..3 * DAY {
        let size = if minute / DAY == 1 { Fixed::ZERO } else { ONE };
        watch.minute(Some((walk.next(), size)));
    }
    watch.report();
    assert!((watch.coverage(DAY)[0] - 0.9).abs() < 0.04, "{:?}", watch.coverage(DAY));
}

#[test]
fn a_price_that_stands_still_and_then_moves() {
    for (name, moving_first) in [("still from the start", false), ("moves, stands still, moves", true)] {
        let (mut watch, mut walk) = (Watch::new(name), Walk::new(4));
        if moving_first {
            (0..DAY).for_each(|_| watch.minute(walk.tick()));
        }
        (0..DAY).for_each(|_| watch.minute(Some((walk.price(), ONE))));
        let still = watch.width(10);
        (0..60).for_each(|_| watch.minute(walk.tick()));
        let moving = watch.width(10);
        (0..DAY).for_each(|_| watch.minute(walk.tick()));
        println!("{name}: width {still:.4?} bps while still, {moving:.1?} an hour later");
        watch.report();
        assert!(still[0] < 1.0 && moving[0] > 5.0, "{name}: {still:?}, {moving:?}");
        let coverage = watch.coverage(DAY / 2);
        assert!((coverage[0] - 0.9).abs() < 0.05, "{name}: {coverage:?}");
    }
}

#[test]
fn a_jump_of_half_the_price_widens_intervals_for_a_while() {
    for (name, factor) in [("jump up", 1.5_f64), ("jump down", 0.5)] {
        let (mut watch, mut walk) = (Watch::new(name), Walk::new(5));
        (0..2 * DAY).for_each(|_| watch.minute(walk.tick()));
        let before = watch.width(DAY / 2);
        walk.log_price += factor.ln();
        watch.minute(walk.tick());
        let at_once = watch.width(1);
        (0..4).for_each(|_| watch.minute(walk.tick()));
        let next = watch.width(5);
        let mut widths = Vec::new();
        for _ in 0..3 {
            (0..DAY / 3).for_each(|_| watch.minute(walk.tick()));
            widths.push(watch.width(60));
        }
        let mut widest = [0.0_f64; 4];
        for _ in 0..48 {
            (0..60).for_each(|_| watch.minute(walk.tick()));
            widest.iter_mut().zip(watch.width(60)).for_each(|(widest, width)| *widest = widest.max(width));
        }
        println!(
            "{name}: width {before:.1?} bps before, {at_once:.1?} at the jump, {next:.1?} in 5 minutes, {widths:.1?} after 8, 16, \
             24 hours, {widest:.1?} in the widest hour of the two days after"
        );
        watch.report();
        for at in 0..4 {
            assert!(at_once[at] > before[at] && next[at] > before[at], "{name}: horizon {at}");
            assert!(widths[2][at] < 2.0 * before[at], "{name}: horizon {at}");
            // It must not come back, either.
            assert!(widest[at] < 2.5 * before[at], "{name}: horizon {at}");
        }
        let coverage = watch.coverage(DAY);
        assert!((coverage[0] - 0.9).abs() < 0.03, "{name}: {coverage:?} on the third day");
    }
}

#[test]
fn ten_ticks_a_day() {
    let (mut watch, mut walk) = (Watch::new("ten ticks a day"), Walk::new(6));
    for minute in 0..40 * DAY {
        let tick = walk.tick();
        watch.minute(tick.filter(|_| minute % 144 == 7 * (minute / 144 % 20)));
    }
    watch.report();
    assert_eq!((watch.counts[0], watch.counts[1]), (0, 4 * 15), "nothing of it is worth more than the last price");
}

#[test]
fn prices_at_the_limits() {
    let highest = Fixed::from_raw(i64::MAX);
    let lowest = Fixed::from_raw(1);
    let price = |minute: usize, walk: &mut Walk| match minute / (DAY / 2) {
        0 => Fixed::from_raw(1 + i64::from(walk.chance(0.5))),
        1 => Fixed::from_raw(i64::MAX - (walk.rng.next_u64() >> 8) as i64),
        2 => {
            if walk.chance(0.5) {
                highest
            } else {
                lowest
            }
        }
        3 => {
            if minute % 100 < 50 {
                highest
            } else {
                lowest
            }
        }
        _ => walk.next(),
    };
    for (name, size) in
        [("limits, no size", Fixed::ZERO), ("limits, least size", lowest), ("limits, largest size", highest)]
    {
        let (mut watch, mut walk) = (Watch::new(name), Walk::new(7));
        for minute in 0..4 * DAY {
            let price = price(minute, &mut walk);
            let mut bar = Ohlcv::of_tick(price, size, None);
            if minute % 7 == 3 {
                (bar.high, bar.low) = (highest, lowest);
            }
            watch.bar((minute % 11 != 5).then_some(bar));
        }
        watch.report();
        assert!(watch.coverage(500)[0] > 0.8, "{:?}", watch.coverage(500));
    }
}
