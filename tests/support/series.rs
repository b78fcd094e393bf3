//! Series of bars through one symbol's forecaster, without a dataflow around it.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;
use std::rc::Rc;
use tickcast::features::{Market, MarketInputs, MarketSum, SymbolReturn};
use tickcast::market::{FeatureRow, Fixed, Forecast, Ohlcv, Score, Span, Symbol, Timestamp};
use tickcast::model::experts::Parts;
use tickcast::model::forecaster::{Forecaster, StepResults};
use tickcast::model::scratch::LearnerScratch;
use tickcast::model::settings::ForecasterConfig;
use tickcast::model::settings::LearnerConfig;

pub const MINUTE_MS: i64 = 60_000;
/// Minutes of a day.
pub const DAY: usize = 1440;

/// The default recipe on one-minute steps.
pub fn config() -> ForecasterConfig {
    let horizons: Vec<Span> = ["1m", "5m", "15m", "1h"].map(|text| text.parse().unwrap()).to_vec();
    ForecasterConfig {
        job: "test".into(),
        step: "1m".parse().unwrap(),
        epoch: "5m".parse().unwrap(),
        coverage: 0.9,
        parts: Parts::default(),
        pooled: false,
        initial: None,
        learner: LearnerConfig {
            hidden: 32,
            layers: 1,
            steps: 16,
            minibatches: 1,
            epoch_steps: 5,
            horizons: horizons.len(),
            random_seed: 42,
        },
        horizons,
    }
}

/// The end of a step, and its bar.
pub type Bar = (Timestamp, Ohlcv);

/// A symbol's forecaster that is fed bar by bar; steps between them are absent.
pub struct Run {
    pub forecaster: Forecaster,
    pub scratch: LearnerScratch,
    pub all: StepResults,
    symbol: Symbol,
    step: Span,
    last: Option<(Timestamp, Fixed)>,
    /// The market at each step.
    pub market: Rc<MarketSteps>,
}

/// The market's inputs by step number; zeros elsewhere.
pub type MarketSteps = BTreeMap<i64, MarketInputs>;

/// What a set of symbols makes of the market.
pub fn market_of(all: &[(String, Vec<Bar>)]) -> MarketSteps {
    let mut sums: BTreeMap<i64, MarketSum> = BTreeMap::new();
    for (_, bars) in all {
        let mut symbol = SymbolReturn::default();
        for (end, bar) in bars {
            sums.entry(end.millis() / MINUTE_MS).or_default().add(symbol.step(bar));
        }
    }
    let mut market = Market::default();
    sums.iter().map(|(&step, sum)| (step, market.step(step, sum))).collect()
}

impl Run {
    pub fn new(config: &ForecasterConfig) -> Self {
        Self::of(config, "X")
    }

    pub fn of(config: &ForecasterConfig, symbol: &str) -> Self {
        let symbol = Symbol::new(symbol).unwrap();
        Self {
            scratch: LearnerScratch::new(&config.learner),
            step: config.step,
            forecaster: Forecaster::new(Rc::new(config.clone()), symbol.clone()).unwrap(),
            all: StepResults::default(),
            symbol,
            last: None,
            market: Rc::default(),
        }
    }

    /// The steps up to the bar's, and it. Absent steps have a row, too: the price is known.
    pub fn bar(&mut self, (end, bar): Bar) {
        while let Some((last, price)) = self.last.filter(|(last, _)| last.plus(self.step) < end) {
            let at = last.plus(self.step);
            self.row(at, None, price);
            self.last = Some((at, price));
        }
        self.row(end, Some(bar), bar.close);
        self.last = Some((end, bar.close));
    }

    /// One step with a row.
    pub fn row(&mut self, end: Timestamp, bar: Option<Ohlcv>, last_price: Fixed) {
        let row = FeatureRow { symbol: self.symbol.clone(), end, windows: Box::new([]), bar, last_price };
        let market = self.market_at(end);
        self.forecaster.step(end, Some(&row), &market, &mut self.scratch, &mut self.all);
    }
}

impl Run {
    /// One step without a row: nothing is known of it.
    pub fn no_row(&mut self, end: Timestamp) {
        let market = self.market_at(end);
        self.forecaster.step(end, None, &market, &mut self.scratch, &mut self.all);
    }

    fn market_at(&self, end: Timestamp) -> MarketInputs {
        self.market.get(&(end.millis() / self.step.millis())).copied().unwrap_or_default()
    }
}

/// All forecasts and scores of a series.
pub fn run(config: &ForecasterConfig, bars: &[Bar]) -> (Vec<Forecast>, Vec<Score>) {
    run_in(config, bars, MarketSteps::new())
}

/// The same in a market.
pub fn run_in(config: &ForecasterConfig, bars: &[Bar], market: MarketSteps) -> (Vec<Forecast>, Vec<Score>) {
    let mut run = Run::new(config);
    run.market = Rc::new(market);
    bars.iter().for_each(|bar| run.bar(*bar));
    (run.all.forecasts, run.all.scores)
}

/// Minute bars of one tick each, from a series of log returns.
pub fn bars_of_returns(returns: &[f64]) -> Vec<Bar> {
    let mut log_price = 10_000_f64.ln();
    let bar = |(minute, change): (i64, &f64)| {
        log_price += change;
        let price = Fixed::from_raw((log_price.exp() * 1e8).round() as i64);
        let end = Timestamp::from_millis(1_700_000_040_000 + MINUTE_MS * (minute + 1));
        (end, Ohlcv::of_tick(price, Fixed::from_raw(100_000_000), None))
    };
    (0..).zip(returns).map(bar).collect()
}

/// Where the market data lies, or a loud note that it is missing.
pub fn data() -> Option<PathBuf> {
    let path = std::env::var_os("TICKCAST_DATA").map_or_else(|| PathBuf::from("../shared/data"), PathBuf::from);
    let found = path.is_dir().then_some(path.clone());
    if found.is_none() {
        eprintln!("MISSING: no market data at {}: set TICKCAST_DATA", path.display());
        assert!(std::env::var_os("TICKCAST_REQUIRE_DATA").is_none(), "market data is required here");
    }
    found
}

/// Sets of minute bars.
pub const SETS: [(&str, &str); 4] = [
    ("dev", "bars/btcusdt_1m_binance_20210610_20210710.csv.gz"),
    ("crash", "bars/btcusdt_1m_binance_20210402_20210520.csv.gz"),
    ("multi9", "multi/multi9_1m_binance_20210610_20210710.csv.gz"),
    ("multi7", "multi/multi7_1m_bitfinex_201910_sparse.csv.gz"),
];

/// Bars of a set by symbol, in the order of their first appearance.
pub fn load(set: &str) -> Option<Vec<(String, Vec<Bar>)>> {
    read(SETS.iter().find(|(name, _)| *name == set).unwrap().1, MINUTE_MS)
}

/// Bars of `length_ms` from a file of the market data, by symbol.
pub fn read(file: &str, length_ms: i64) -> Option<Vec<(String, Vec<Bar>)>> {
    let mut text = String::new();
    let bytes = std::fs::File::open(data()?.join(file)).unwrap();
    flate2::read::GzDecoder::new(bytes).read_to_string(&mut text).unwrap();
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    let column = |name: &str| names.iter().position(|n| *n == name);
    let at = ["timestamp", "open", "high", "low", "close", "volume"].map(|name| column(name).unwrap());
    let symbol = column("symbol");
    let mut all: Vec<(String, Vec<Bar>)> = Vec::new();
    for line in lines {
        let fields: Vec<&str> = line.split(',').collect();
        let name = symbol.map_or("BTCUSDT", |at| fields[at]);
        let [open, high, low, close, volume] =
            [1, 2, 3, 4, 5].map(|n: usize| Fixed::parse(fields[at[n]].as_bytes()).unwrap());
        let mut bar = Ohlcv::of_tick(open, volume, None);
        (bar.high, bar.low, bar.close) = (high, low, close);
        let open_s: i64 = fields[at[0]].parse().unwrap();
        let end = Timestamp::from_millis(open_s * 1000 + length_ms);
        if all.iter().all(|(known, _)| known != name) {
            all.push((name.to_owned(), Vec::new()));
        }
        all.iter_mut().find(|(known, _)| known == name).unwrap().1.push((end, bar));
    }
    for (_, bars) in &mut all {
        bars.sort_by_key(|(end, _)| *end);
        bars.dedup_by_key(|(end, _)| *end);
    }
    Some(all)
}
