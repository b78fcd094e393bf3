//! One symbol's latent state, moved on second by second, and the trades that it gives rise to.

use super::random::Variates;
use crate::market::fixed::SCALE;
use crate::market::{Fixed, Side};

/// What distinguishes one simulated symbol from another.
#[derive(Clone, Copy, Debug)]
pub struct Listing {
    /// Its name, which says that it is simulated.
    pub symbol: &'static str,
    /// First price.
    pub price: f64,
    /// Smallest step of the price, in units of 1e-8.
    pub price_step_raw: i64,
    /// Standard deviation of a day's log return, jumps left out.
    pub daily_volatility: f64,
    /// Share of its variance that it has in common with the market.
    pub common_share: f64,
    /// Half of the distance between bid and ask, relative to the price.
    pub half_spread: f64,
    /// Mean trades per second, self-excitation included.
    pub trades_per_s: f64,
    /// Median size of a trade.
    pub median_size: f64,
    /// Smallest step of the size, in units of 1e-8.
    pub size_step_raw: i64,
}

/// Seconds of a day.
const DAY_S: f64 = 86_400.0;
/// Half-lives of the two factors of log variance, in seconds: bursts, and regimes.
const VOLATILITY_HALF_LIFE_S: [f64; 2] = [20.0 * 60.0, 8.0 * 3600.0];
/// Their standard deviations.
const VOLATILITY_SD: [f64; 2] = [0.7, 0.6];
/// Bound of the log variance: e^3, which is 4.5 times the usual volatility.
const LOG_VARIANCE_MAX: f64 = 3.0;
/// Jumps a day of each symbol alone, and of the whole market.
const JUMPS_PER_DAY: f64 = 3.0;
const MARKET_JUMPS_PER_DAY: f64 = 2.0;
/// Standard deviation of a jump, in daily volatilities.
const JUMP_SD: f64 = 0.15;
/// What a jump adds to the log variance of bursts.
const JUMP_EXCITEMENT: f64 = 0.8;
/// Half-life, in seconds, of the transient part of the price (traders who pay for haste), and its standard deviation in
/// one-minute volatilities. The only thing besides the spread that can be forecast.
const TRANSIENT_HALF_LIFE_S: f64 = 60.0;
const TRANSIENT_SD: f64 = 0.25;
/// How many further trades a trade gives rise to, on average, and how fast: the self-excitation of arrivals.
const OFFSPRING: f64 = 0.4;
const OFFSPRING_DECAY_S: f64 = 20.0;
/// Probability that a trade has the side of the one before.
const SAME_SIDE: f64 = 0.6;
/// Standard deviation of the log of a trade's size.
const SIZE_SD: f64 = 1.2;
/// The log price stays within this of its start (a factor of 55), so that it never leaves the range of [`Fixed`].
const LOG_PRICE_MAX: f64 = 4.0;
/// The most trades of one symbol in one second.
pub const TRADES_PER_S_MAX: usize = 20;

/// What remains after one second of something with this half-life.
fn decay(half_life_s: f64) -> f64 {
    libm::exp2(-1.0 / half_life_s)
}

/// How volatile the market is at this time of day: 1 on average, most in the American afternoon, least in the
/// Asian night (UTC).
pub fn daily_cycle(second_of_day: f64) -> f64 {
    let angle = |hour: f64| 2.0 * std::f64::consts::PI * (second_of_day / 3600.0 - hour) / 24.0;
    let log = 0.45 * libm::cos(angle(15.0)) + 0.15 * libm::cos(2.0 * angle(14.0));
    // Divided by the mean over a day.
    libm::exp(log) / 1.060_55
}

/// One factor of log variance: an Ornstein-Uhlenbeck process in steps of a second.
struct Factor {
    value: f64,
    keep: f64,
    noise: f64,
}

impl Factor {
    fn new(half_life_s: f64, sd: f64) -> Self {
        let keep = decay(half_life_s);
        Self { value: 0.0, keep, noise: sd * (1.0 - keep * keep).sqrt() }
    }

    fn step(&mut self, variates: &mut Variates) {
        self.value = self.value * self.keep + self.noise * variates.normal();
    }
}

/// What all symbols have in common in one second.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// Standardised common innovation.
    pub innovation: f64,
    /// Common jump, in daily volatilities; 0 in nearly every second.
    pub jump: f64,
    /// Factor of volatility and activity from the time of day.
    pub cycle: f64,
    /// Common part of the log variance.
    pub log_variance: f64,
}

/// The state of the market as a whole.
pub struct Market {
    variates: Variates,
    regime: Factor,
}

impl Market {
    pub fn new(seed: u64) -> Self {
        let [_, half_life] = VOLATILITY_HALF_LIFE_S;
        Self { variates: Variates::new(seed, 0), regime: Factor::new(half_life, VOLATILITY_SD[1]) }
    }

    pub fn step(&mut self, second_of_day: f64) -> Weather {
        let variates = &mut self.variates;
        self.regime.step(variates);
        let innovation = variates.student_t4();
        let jumps = variates.chance(MARKET_JUMPS_PER_DAY / DAY_S);
        let jump = if jumps { JUMP_SD * variates.normal() } else { 0.0 };
        Weather { innovation, jump, cycle: daily_cycle(second_of_day), log_variance: self.regime.value }
    }
}

/// One trade within a second.
#[derive(Clone, Copy, Debug)]
pub struct Trade {
    /// Milliseconds into the second.
    pub ms: i64,
    pub price: Fixed,
    pub size: Fixed,
    pub side: Side,
}

/// The state of one symbol.
pub struct Process {
    listing: Listing,
    variates: Variates,
    /// Log of the efficient price over the first price: a martingale but for its bound.
    log_price: f64,
    bursts: Factor,
    transient: Factor,
    /// Trades per second that earlier trades still give rise to.
    excitation: f64,
    excitation_keep: f64,
    last_side: Side,
}

impl Process {
    pub fn new(listing: Listing, seed: u64, stream: u64) -> Self {
        let minute_volatility = listing.daily_volatility / 1440.0_f64.sqrt();
        Self {
            listing,
            variates: Variates::new(seed, stream),
            log_price: 0.0,
            bursts: Factor::new(VOLATILITY_HALF_LIFE_S[0], VOLATILITY_SD[0]),
            transient: Factor::new(TRANSIENT_HALF_LIFE_S, TRANSIENT_SD * minute_volatility),
            excitation: 0.0,
            excitation_keep: libm::exp(-1.0 / OFFSPRING_DECAY_S),
            last_side: Side::Buy,
        }
    }

    /// Moves on by one second and appends its trades, in order of time, with increasing stamps.
    pub fn step(&mut self, weather: &Weather, trades: &mut Vec<Trade>) {
        let activity = self.move_price(weather);
        self.trade(weather.cycle * activity, trades);
    }

    /// Returns how lively the symbol is, 1 on average.
    fn move_price(&mut self, weather: &Weather) -> f64 {
        let Listing { daily_volatility, common_share, .. } = self.listing;
        let variates = &mut self.variates;
        self.bursts.step(variates);
        self.transient.step(variates);
        let log_variance = (self.bursts.value + weather.log_variance).clamp(-LOG_VARIANCE_MAX, LOG_VARIANCE_MAX);
        // The mean of a log-normal is above its median: taken out, so that `daily_volatility` is what it says.
        let excess = (VOLATILITY_SD[0] * VOLATILITY_SD[0] + VOLATILITY_SD[1] * VOLATILITY_SD[1]) / 2.0;
        let relative = libm::exp((log_variance - excess) / 2.0);
        let second_volatility = daily_volatility / DAY_S.sqrt() * weather.cycle * relative;
        let own = variates.student_t4();
        let innovation = common_share.sqrt() * weather.innovation + (1.0 - common_share).sqrt() * own;
        let mut jump = weather.jump;
        if variates.chance(JUMPS_PER_DAY / DAY_S) {
            jump += JUMP_SD * variates.normal();
        }
        if jump != 0.0 {
            self.bursts.value += JUMP_EXCITEMENT;
        }
        let moved = self.log_price + second_volatility * innovation + daily_volatility * jump;
        self.log_price = moved.clamp(-LOG_PRICE_MAX, LOG_PRICE_MAX);
        relative
    }

    /// Arrivals within this second: Poisson at a rate that the time of day, volatility and earlier trades raise.
    fn trade(&mut self, activity: f64, trades: &mut Vec<Trade>) {
        let rate = self.listing.trades_per_s * (1.0 - OFFSPRING) * activity + self.excitation;
        self.excitation *= self.excitation_keep;
        let mut at_s = 0.0;
        let mut last_ms = -1;
        for _ in 0..TRADES_PER_S_MAX {
            at_s += self.variates.exponential() / rate;
            // Stamps of one symbol increase strictly, and stay in their second.
            let ms = ((at_s * 1000.0) as i64).max(last_ms + 1);
            if at_s >= 1.0 || ms > 999 {
                break;
            }
            last_ms = ms;
            self.excitation += OFFSPRING * (1.0 - self.excitation_keep);
            trades.push(self.one_trade(ms));
        }
    }

    fn one_trade(&mut self, ms: i64) -> Trade {
        let variates = &mut self.variates;
        if !variates.chance(SAME_SIDE) {
            self.last_side = match self.last_side {
                Side::Buy => Side::Sell,
                Side::Sell => Side::Buy,
            };
        }
        let towards = match self.last_side {
            Side::Buy => self.listing.half_spread,
            Side::Sell => -self.listing.half_spread,
        };
        let price = self.listing.price * libm::exp(self.log_price + self.transient.value + towards);
        let size = self.listing.median_size * libm::exp(SIZE_SD * variates.normal());
        Trade {
            ms,
            price: on_grid(price, self.listing.price_step_raw),
            size: on_grid(size, self.listing.size_step_raw),
            side: self.last_side,
        }
    }
}

/// The nearest positive multiple of `step_raw`.
fn on_grid(value: f64, step_raw: i64) -> Fixed {
    let steps = libm::round(value * SCALE as f64 / step_raw as f64) as i64;
    Fixed::from_raw(steps.max(1) * step_raw)
}
