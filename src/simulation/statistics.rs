//! What the simulated market is documented to have, measured. Figures in `docs/simulated-market.md` come from
//! `cargo test --lib simulation::statistics -- --nocapture`.

use super::*;

const START: Timestamp = Timestamp::from_millis(1_700_006_400_000);
const DAYS: usize = 20;
const SEED: u64 = 20_240_101;
const MINUTES: usize = DAYS * 1440;

/// What the tests look at, of each symbol.
struct Measured {
    /// Log returns of the last price of each minute.
    returns: Vec<f64>,
    trades: usize,
    sizes: Vec<f64>,
}

/// Measured once for all tests.
static MEASURED: std::sync::LazyLock<Vec<Measured>> = std::sync::LazyLock::new(|| {
    let mut closes = vec![vec![0.0; MINUTES]; SYMBOLS];
    let mut trades = [0; SYMBOLS];
    let mut sizes = vec![Vec::new(); SYMBOLS];
    for tick in SimulatedMarket::new(SEED, START) {
        let minute = usize::try_from((tick.at.millis() - START.millis()) / 60_000).unwrap();
        let Some(close) = closes[tick.index].get_mut(minute) else { break };
        *close = tick.price.to_f64();
        trades[tick.index] += 1;
        sizes[tick.index].push(libm::log(tick.size.to_f64()));
    }
    let one = |index: usize| {
        let mut last = LISTINGS[index].price;
        let step = |close: &f64| {
            let close = if *close == 0.0 { last } else { *close };
            let change = libm::log(close / last);
            last = close;
            change
        };
        let returns = closes[index].iter().map(step).collect();
        Measured { returns, trades: trades[index], sizes: sizes[index].clone() }
    };
    (0..SYMBOLS).map(one).collect()
});

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn covariance(a: &[f64], b: &[f64]) -> f64 {
    let (mean_a, mean_b) = (mean(a), mean(b));
    a.iter().zip(b).map(|(x, y)| (x - mean_a) * (y - mean_b)).sum::<f64>() / a.len().min(b.len()) as f64
}

fn autocorrelation(values: &[f64], lag: usize) -> f64 {
    covariance(values, &values[lag..]) / covariance(values, values)
}

fn kurtosis(values: &[f64]) -> f64 {
    let centre = mean(values);
    let moment = |power: i32| values.iter().map(|v| (v - centre).powi(power)).sum::<f64>() / values.len() as f64;
    moment(4) / moment(2).powi(2)
}

/// Calls `check` for each symbol.
fn each(check: impl Fn(&Listing, &Measured)) {
    LISTINGS.iter().zip(MEASURED.iter()).for_each(|(listing, measured)| check(listing, measured));
}

#[test]
fn volatility_clusters() {
    each(|listing, measured| {
        let sizes: Vec<f64> = measured.returns.iter().map(|r| r.abs()).collect();
        let lags = [1, 5, 15, 60, 240].map(|lag| autocorrelation(&sizes, lag));
        println!("{}: autocorrelation of |r| at 1, 5, 15, 60, 240 minutes: {lags:.3?}", listing.symbol);
        assert!(lags[0] > 0.15, "{}: {lags:?}", listing.symbol);
        assert!(lags[3] > 0.05, "an hour later there is some left: {lags:?}");
        assert!(lags[0] > lags[3], "it decays: {lags:?}");
    });
}

#[test]
fn returns_themselves_are_nearly_unpredictable() {
    each(|listing, measured| {
        let lags = [1, 2, 5, 15].map(|lag| autocorrelation(&measured.returns, lag));
        println!("{}: autocorrelation of r at 1, 2, 5, 15 minutes: {lags:.3?}", listing.symbol);
        assert!((-0.12..0.0).contains(&lags[0]), "the bounce shows, but is small: {lags:?}");
        assert!(lags[1..].iter().all(|c| c.abs() < 0.05), "and nothing else: {lags:?}");
    });
}

#[test]
fn tails_are_heavy() {
    each(|listing, measured| {
        let (kurtosis, sd) = (kurtosis(&measured.returns), covariance(&measured.returns, &measured.returns).sqrt());
        let beyond = measured.returns.iter().filter(|r| r.abs() > 5.0 * sd).count() as f64 / MINUTES as f64;
        println!("{}: kurtosis of one-minute returns {kurtosis:.1}, beyond 5 sd {:.3} %", listing.symbol, beyond * 1e2);
        assert!((6.0..200.0).contains(&kurtosis), "{}: a normal has 3, this {kurtosis}", listing.symbol);
        assert!(beyond > 2e-4, "a normal has 6e-7, this {beyond}");
        let daily = sd * 1440.0_f64.sqrt();
        println!("{}: daily volatility {:.2} %", listing.symbol, daily * 1e2);
        assert!((0.7..1.7).contains(&(daily / listing.daily_volatility)), "{daily}");
    });
}

#[test]
fn days_have_their_cycle() {
    let at = |minute: usize, from: usize, to: usize| (from * 60..to * 60).contains(&(minute % 1440));
    each(|listing, measured| {
        let over = |from, to| {
            let hours = measured.returns.iter().enumerate().filter(|(minute, _)| at(*minute, from, to));
            mean(&hours.map(|(_, r)| r.abs()).collect::<Vec<_>>())
        };
        let ratio = over(13, 17) / over(1, 5);
        println!("{}: mean |r| of 13 to 17 h over that of 1 to 5 h UTC: {ratio:.2}", listing.symbol);
        assert!((1.5..4.0).contains(&ratio), "{ratio}");
    });
    let mean_cycle = (0..86_400).map(|s| process::daily_cycle(f64::from(s))).sum::<f64>() / 86_400.0;
    assert!((mean_cycle - 1.0).abs() < 1e-3, "{mean_cycle}");
}

#[test]
fn jumps_happen() {
    each(|listing, measured| {
        // Far beyond what the liveliest minute would do without.
        let bound = 6.0 * listing.daily_volatility / 1440.0_f64.sqrt();
        let jumps = measured.returns.iter().filter(|r| r.abs() > bound).count() as f64 / DAYS as f64;
        println!("{}: moves beyond 6 one-minute volatilities: {jumps:.1} a day", listing.symbol);
        assert!((0.5..12.0).contains(&jumps), "{jumps}");
    });
}

#[test]
fn symbols_move_together() {
    let returns: Vec<&[f64]> = MEASURED.iter().map(|m| &m.returns[..]).collect();
    for (a, b) in [(0, 1), (0, 2), (1, 2)] {
        let scale = (covariance(returns[a], returns[a]) * covariance(returns[b], returns[b])).sqrt();
        let correlation = covariance(returns[a], returns[b]) / scale;
        println!("{} and {}: correlation {correlation:.2}", LISTINGS[a].symbol, LISTINGS[b].symbol);
        assert!((0.3..0.85).contains(&correlation), "{correlation}");
    }
}

#[test]
fn trades_come_in_bursts_and_all_sizes() {
    each(|listing, measured| {
        let every = (DAYS * 86_400) as f64 / measured.trades as f64;
        let sd = covariance(&measured.sizes, &measured.sizes).sqrt();
        println!("{}: a trade every {every:.1} s, sd of log size {sd:.2}", listing.symbol);
        assert!((3.0..12.0).contains(&every), "{every}");
        assert!((1.1..1.3).contains(&sd), "{sd}");
    });
    let mut per_minute = vec![0.0; MINUTES];
    for tick in SimulatedMarket::new(SEED, START).take(200_000).filter(|t| t.index == 0) {
        per_minute[((tick.at.millis() - START.millis()) / 60_000) as usize] += 1.0;
    }
    per_minute.truncate(2 * 1440);
    let dispersion = covariance(&per_minute, &per_minute) / mean(&per_minute);
    println!("dispersion of the trades per minute: {dispersion:.1}");
    assert!(dispersion > 2.0, "Poisson would be 1: {dispersion}");
}
