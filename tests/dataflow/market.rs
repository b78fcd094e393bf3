//! The market's inputs arrive: what the job forecasts is what each symbol's forecaster says that is given the market by hand.

use crate::harness::{Published, Workers, run_files};
use crate::series;
use crate::series::{Bar, MarketSteps, Run, bars_of_returns, market_of};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use tickcast::config::Config;
use tickcast::market::Forecast;

const MINUTES: usize = 600;

/// One symbol that trades in every minute, and one that follows it a minute later and trades in two of three; in one minute
/// of a hundred neither does.
fn two_symbols() -> Vec<(String, Vec<Bar>)> {
    let change = |minute: usize| 0.001 * (minute as f64 * 1.7).sin() * (minute as f64 * 0.31).cos();
    let first: Vec<f64> = (0..MINUTES).map(|minute| change(minute + 1)).collect();
    let second: Vec<f64> = (0..MINUTES).map(change).collect();
    let bars = |returns: &[f64], traded: fn(usize) -> bool| {
        let bars = bars_of_returns(returns).into_iter().enumerate();
        bars.filter(|(minute, _)| minute % 100 != 50 && traded(*minute)).map(|(_, bar)| bar).collect()
    };
    // Both end with the same minute, so that neither has rows behind its last bar.
    vec![
        ("AAA".to_owned(), bars(&first, |_| true)),
        ("BBB".to_owned(), bars(&second, |minute| minute % 3 != 1 || minute + 1 == MINUTES)),
    ]
}

/// The bars as one tick each, in the middle of its minute.
fn write_ticks(dir: &Path, all: &[(String, Vec<Bar>)]) -> PathBuf {
    let tick = |(symbol, (end, bar)): (&String, &Bar)| {
        let price = bar.close.raw();
        let at = end.millis() - series::MINUTE_MS / 2;
        (at, format!("{at},{symbol},{}.{:08},1\n", price / 100_000_000, price % 100_000_000))
    };
    let mut ticks: Vec<(i64, String)> =
        all.iter().flat_map(|(symbol, bars)| bars.iter().map(move |bar| tick((symbol, bar)))).collect();
    ticks.sort();
    let path = dir.join("ticks.csv");
    let lines: String = ticks.into_iter().map(|(_, line)| line).collect();
    std::fs::write(&path, format!("timestamp,symbol,price,size\n{lines}")).unwrap();
    path
}

fn published(ticks: &Path, market: bool, count: usize) -> Published {
    let mut config = Config::default();
    config.time.slide = "1m".parse().unwrap();
    config.model.experts.market = market;
    run_files(&config, Workers { count, serialised: false }, &[ticks.to_path_buf()], None)
}

fn by_hand((symbol, bars): &(String, Vec<Bar>), market: &Rc<MarketSteps>) -> Vec<Forecast> {
    let mut config = series::config();
    config.job = Config::default().job.id.as_str().into();
    config.parts.market = !market.is_empty();
    let mut run = Run::of(&config, symbol);
    run.market = Rc::clone(market);
    bars.iter().for_each(|bar| run.bar(*bar));
    run.all.forecasts
}

#[test]
fn forecasts_have_the_market_of_their_step() {
    let dir = tempfile::tempdir().unwrap();
    let all = two_symbols();
    let ticks = write_ticks(dir.path(), &all);
    let with = published(&ticks, true, 2);
    let without = published(&ticks, false, 2);
    assert_eq!(with.batch.forecasts.len(), without.batch.forecasts.len());
    let market = [(with, market_of(&all)), (without, MarketSteps::new())];
    let of_symbols = market.map(|(published, market)| {
        let market = Rc::new(market);
        all.iter().for_each(|symbol| {
            let of_symbol = |f: &&Forecast| f.symbol.as_str() == symbol.0;
            let forecasts: Vec<Forecast> = published.batch.forecasts.iter().filter(of_symbol).cloned().collect();
            let expected = by_hand(symbol, &market);
            assert_eq!(forecasts.len(), expected.len(), "{}", symbol.0);
            let differs = forecasts.iter().zip(&expected).find(|(a, b)| a != b);
            assert!(differs.is_none(), "{differs:?}");
        });
        published.batch.forecasts
    });
    let differing = of_symbols[0].iter().zip(&of_symbols[1]).filter(|(a, b)| a.quantiles != b.quantiles).count();
    assert!(differing > of_symbols[0].len() / 2, "{differing} forecasts know the market");
}
