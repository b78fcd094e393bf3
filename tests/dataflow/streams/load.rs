//! Hundreds of markets at once: a measurement, not a test of a time.

use super::Setup;
use crate::exchange::{Exchange, Kind};
use crate::face::client::get;
use crate::support::{Signal, eventually};
use std::time::{Duration, Instant};

/// Markets of each of three venues, and the pace of the trades of each.
const MARKETS: usize = 167;
const EVERY: Duration = Duration::from_millis(25);

fn names(kind: Kind) -> Vec<&'static str> {
    let name = |number: usize| match kind {
        Kind::Binance | Kind::BinanceAggregates | Kind::Bybit => format!("C{number}USDT"),
        Kind::Bitstamp => format!("c{number}usd"),
        Kind::Coinbase | Kind::CoinbaseAdvanced => format!("C{number}-USD"),
        Kind::Kraken => format!("C{number}/USD"),
        Kind::Okx => format!("C{number}-USDT"),
    };
    (0..MARKETS).map(|number| &*name(number).leak()).collect()
}

/// Seconds of CPU, and bytes of memory.
fn spent(pid: u32) -> (f64, u64) {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: f64 = fields[11..13].iter().map(|text| text.parse::<f64>().unwrap()).sum();
    let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).unwrap();
    (ticks / 100.0, statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096)
}

/// How many trades were acknowledged within each time: of a scrape.
fn acknowledged(address: &str) -> Vec<(String, u64)> {
    let metrics = get(address, "/metrics").body;
    let of = |line: &str| {
        let (le, count) =
            line.strip_prefix("tickcast_collect_acknowledged_seconds_bucket{le=\"")?.split_once("\"} ")?;
        Some((le.to_owned(), count.parse().unwrap()))
    };
    metrics.lines().filter_map(of).collect()
}

/// Prints the CPU of `collect`, its memory, and how long trades take to the broker (`TICKCAST_TEST_LOAD_KAFKA`, else an embedded one), for
/// `TICKCAST_TEST_LOAD` seconds.
#[test]
#[ignore = "a measurement: TICKCAST_TEST_LOAD=60"]
fn five_hundred_markets_at_twenty_thousand_trades_a_second() {
    let Some(seconds) = std::env::var("TICKCAST_TEST_LOAD").ok().and_then(|text| text.parse::<u64>().ok()) else {
        return;
    };
    let exchanges = [Kind::Binance, Kind::Coinbase, Kind::Kraken].map(|kind| Exchange::start(kind, &names(kind), []));
    let settings: Vec<String> = exchanges.iter().map(|exchange| exchange.setting(&[])).collect();
    let setup = Setup::new(&settings, "[http]\nlisten = \"127.0.0.1:0\"");
    // The embedded broker answers later than a real one does.
    if let Ok(brokers) = std::env::var("TICKCAST_TEST_LOAD_KAFKA") {
        let path = setup.dir.path().join("c.toml");
        let text = std::fs::read_to_string(&path).unwrap().replace(&setup.broker.bootstrap(), &brokers);
        let text = text.replace("\"ticks\"", &format!("\"load-{}\"", std::process::id()));
        let options = std::env::var("TICKCAST_TEST_LOAD_OPTIONS").unwrap_or_default();
        let text = text.replace("[collect]", &format!("options = {{ {options} }}\n[collect]"));
        std::fs::write(&path, text).unwrap();
    }
    let mut process = setup.start();
    eventually("all are subscribed", Duration::from_secs(60), || {
        exchanges.iter().all(|exchange| exchange.open() > 0).then_some(())
    });
    std::thread::sleep(Duration::from_secs(2));
    exchanges.iter().for_each(|exchange| exchange.make_slowly(u64::MAX, EVERY));
    std::thread::sleep(Duration::from_secs(5));
    let (begun, made) = (Instant::now(), || exchanges.iter().map(Exchange::made).sum::<u64>() * MARKETS as u64);
    let (first, before) = (made(), spent(process.pid()));
    let said = process.stderr();
    let address = said.split("http://").nth(1).unwrap().split('/').next().unwrap();
    let mut counted = acknowledged(address);
    for _ in 0..seconds / 10 {
        std::thread::sleep(Duration::from_secs(10));
        let now = acknowledged(address);
        let new: Vec<(String, u64)> = now.iter().zip(&counted).map(|((le, n), (_, m))| (le.clone(), n - m)).collect();
        let all = new.last().unwrap().1;
        let within = |share: f64| new.iter().find(|(_, n)| *n as f64 >= share * all as f64).unwrap().0.clone();
        let (half, most, memory) = (within(0.5), within(0.99), spent(process.pid()).1 as f64 / 1e6);
        println!("{memory:.1} MB; of {all} acknowledged half within {half} s, 99 of 100 within {most} s");
        counted = now;
    }
    let (took, after) = (begun.elapsed().as_secs_f64(), spent(process.pid()));
    println!("{:.0} trades a second, {:.2} cores", (made() - first) as f64 / took, (after.0 - before.0) / took);
    exchanges.iter().for_each(Exchange::stop_making);
    process.signal(Signal::Term);
    let finished = process.wait(Duration::from_secs(60)).expect_code(0);
    println!("{}", String::from_utf8_lossy(&finished.stdout));
}
