//! A seeded walk: minute bars with volatility in clusters, heavy tails, volumes, takers' sides, and some minutes without.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use tickcast::market::{Fixed, Ohlcv, Timestamp};

pub const MINUTE_MS: i64 = 60_000;
/// A Monday at midnight.
pub const START_MS: i64 = 1_767_571_200_000;
/// Half-lives in minutes and spreads of the log variance's two factors.
const FACTORS: [(f64, f64); 2] = [(20.0, 0.7), (480.0, 0.6)];
const MINUTE_VOLATILITY: f64 = 7e-4;
const ABSENT: f64 = 0.003;
/// Moves within a bar.
const MOVES: usize = 8;

/// The end of a minute, and its bar where it has one.
pub type Minute = (Timestamp, Option<Ohlcv>);

/// So many minutes of one symbol.
pub fn minutes(seed: u64, count: usize) -> Vec<Minute> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut uniform = move || ((rng.next_u64() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    let mut normal = move || {
        let radius = (-2.0 * libm::log(uniform())).sqrt();
        (radius * libm::cos(core::f64::consts::TAU * uniform()), uniform())
    };
    let (mut factors, mut log_price) = ([0.0; 2], 10.0);
    let fixed = |x: f64| Fixed::from_raw((x * 1e8).round() as i64);
    let mut minute = |number: i64| {
        for (value, (half_life, spread)) in factors.iter_mut().zip(FACTORS) {
            let keep = libm::exp2(-1.0 / half_life);
            *value = keep * *value + spread * (1.0 - keep * keep).sqrt() * normal().0;
        }
        let relative = libm::exp((factors[0] + factors[1]) / 2.0);
        let end = Timestamp::from_millis(START_MS + (number + 1) * MINUTE_MS);
        let (activity, chance) = normal();
        if number > 0 && chance < ABSENT {
            return (end, None);
        }
        let before = log_price;
        let (mut high, mut low, mut open) = (f64::MIN, f64::MAX, None);
        for _ in 0..MOVES {
            let (shock, tail) = normal();
            let jump = if tail < 0.01 { 4.0 } else { 1.0 };
            log_price += jump * MINUTE_VOLATILITY / (MOVES as f64).sqrt() * relative * shock;
            open.get_or_insert(log_price);
            (high, low) = (high.max(log_price), low.min(log_price));
        }
        // It comes back to where it began, so that prices stay what they are called.
        log_price -= 1e-6 * (log_price - 10.0);
        let price = |log: f64| fixed(libm::exp(log));
        let volume = fixed(20.0 * relative * libm::exp(0.5 * activity));
        let mut bar = Ohlcv::of_tick(price(open.unwrap_or(before)), volume, None);
        (bar.high, bar.low, bar.close) = (price(high), price(low), price(log_price.clamp(low, high)));
        let taken = libm::tanh((log_price - before) / (MINUTE_VOLATILITY * relative) + activity);
        (bar.signed_volume, bar.sides_unknown) = ((bar.volume as f64 * taken) as i128, false);
        (end, Some(bar))
    };
    (0..count as i64).map(&mut minute).collect()
}
