//! The real market in one process: what it forecasts is what a backfill over the same records forecasts, also where trades go on behind
//! the venue's candles.

use crate::exchange::candles::{MINUTE_MS, candle};
use crate::exchange::{Call, Exchange, Kind, Pace, is_sell, trade};
use crate::face::client::get;
use crate::support::{Process, Signal, eventually, run_to_end, temp_dir, tickcast};
use serde_json::Value;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;
use tickcast::connectors::kafka::EmbeddedBroker;

const WITHIN: Duration = Duration::from_secs(300);
const FILES: [&str; 3] = ["features.jsonl", "forecasts.jsonl", "scores.jsonl"];

/// A venue's market that trades each tenth of a second since hours, and its name as a symbol.
fn exchange(kind: Kind) -> (Exchange, Pace, &'static str) {
    let now = jiff::Timestamp::now().as_millisecond() as u64;
    // So that a venue that tells of sixty has those behind its candles.
    let every_ms = if kind == Kind::Bybit { 2000 } else { 100 };
    let pace = Pace { begin_ms: now - 3 * 3_600_000, every_ms };
    let market = match kind {
        Kind::Binance | Kind::BinanceAggregates | Kind::Bybit => "BTCUSDT",
        Kind::Bitstamp => "btcusd",
        Kind::Coinbase | Kind::CoinbaseAdvanced => "BTC-USD",
        Kind::Kraken => "BTC/USD",
        Kind::Okx => "BTC-USDT",
    };
    let exchange = Exchange::start_at(kind, &[market], [], pace);
    exchange.make_by_clock();
    (exchange, pace, market)
}

struct Live {
    process: Process,
    address: String,
}

fn start(dir: &Path, exchange: &Exchange, warm: &str) -> Live {
    let config = dir.join("live.toml");
    std::fs::write(&config, format!("[collect]\nvenues = [{}]\n", exchange.setting(&[]))).unwrap();
    let (config, out) = (config.display().to_string(), dir.join("live").display().to_string());
    let arguments = ["live", "-c", &config, "--warm", warm, "--out", &out, "--json", "--listen", "127.0.0.1:0"];
    let mut command = tickcast(arguments);
    command.env("NO_PROXY", "127.0.0.1");
    let process = Process::spawn(command);
    let address = eventually("its address", WITHIN, || {
        let said = process.stderr();
        let line = said.lines().find(|line| line.starts_with("tickcast live: http://"))?.to_owned();
        Some(line.strip_prefix("tickcast live: http://")?.split(' ').next()?.to_owned())
    });
    Live { process, address }
}

impl Live {
    fn job(&self) -> Value {
        get(&self.address, "/api/job").json()
    }

    /// Where its prices come from.
    fn words(&self) -> String {
        eventually("where its prices come from", WITHIN, || Some(self.job()["market"].as_str()?.to_owned()))
    }

    /// Until it has published a minute of trades; gives where its prices come from.
    fn wait_for_trades(&self) -> String {
        let words =
            eventually("where its prices come from", WITHIN, || Some(self.job()["market"].as_str()?.to_owned()));
        let candles = words.split_once("What was before ").unwrap().1.split_once(" UTC").unwrap().0;
        let candles: jiff::Timestamp = format!("{}:00Z", candles.replace(' ', "T")).parse().unwrap();
        let end = candles.as_millisecond() as u64 + MINUTE_MS;
        eventually("a minute of trades", WITHIN, || {
            let through: jiff::Timestamp = self.job()["published_through"].as_str()?.parse().unwrap();
            (through.as_millisecond() as u64 >= end).then_some(())
        });
        words
    }

    fn stop(mut self) -> Value {
        self.process.signal(Signal::Term);
        serde_json::from_slice(&self.process.wait(WITHIN).expect_code(0).stdout).unwrap()
    }
}

/// A venue's candles up to a moment, and its trades from there: what a job that begins so has to see.
fn records(exchange: &Exchange, pace: Pace, market: &str, from: u64, to: u64) -> String {
    let mut lines = String::new();
    for open in (from..to).step_by(MINUTE_MS as usize) {
        let c = candle(pace, exchange.made(), market, open).unwrap();
        let more = match exchange.kind() {
            Kind::Binance | Kind::BinanceAggregates => format!(
                r#","quote_volume":{},"count":{},"taker_buy_volume":{}"#,
                c.quote_volume, c.count, c.taker_buy_volume
            ),
            Kind::Bitstamp | Kind::Coinbase | Kind::CoinbaseAdvanced => String::new(),
            Kind::Kraken => format!(r#","vwap":{},"count":{}"#, c.close, c.count),
            Kind::Bybit | Kind::Okx => format!(r#","quote_volume":{}"#, c.quote_volume),
        };
        writeln!(
            lines,
            r#"{{"symbol":"{market}","timestamp":{open},"interval":"1m","open":{},"high":{},"low":{},"close":{},"volume":{}{more}}}"#,
            c.open, c.high, c.low, c.close, c.volume
        )
        .unwrap();
    }
    for id in pace.id_at(to)..=exchange.made() {
        let ((price, size), at) = (trade(market, id), pace.at_ms(id));
        let side = if is_sell(id) { "sell" } else { "buy" };
        writeln!(
            lines,
            r#"{{"symbol":"{market}","timestamp":{at},"price":{price},"size":{size},"side":"{side}","trade_id":{id}}}"#
        )
        .unwrap();
    }
    lines
}

/// What was written live is what a backfill over these records writes, as far as it goes; gives the last `issued_at` of it.
fn assert_as_backfill(dir: &Path, records: &str) -> String {
    let (input, out) = (dir.join("records.jsonl"), dir.join("backfill"));
    std::fs::write(&input, records).unwrap();
    let sets = [
        format!("source.files.paths={}", input.display()),
        format!("sink.files.dir={}", out.display()),
        "job.id=live".to_owned(),
        "time.slide=1m".to_owned(),
    ];
    let mut arguments = vec!["backfill"];
    sets.iter().for_each(|set| arguments.extend(["--set", set]));
    run_to_end(tickcast(arguments), WITHIN).expect_code(0);
    let mut last = String::new();
    for name in FILES {
        let read = |of: &str| std::fs::read_to_string(dir.join(of).join(name)).unwrap();
        let (live, all) = (read("live"), read("backfill"));
        let differs = live.lines().zip(all.lines()).find(|(live, all)| live != all);
        assert!(differs.is_none(), "{name}: {differs:#?}");
        assert!(live.lines().count() > 0 && live.lines().count() <= all.lines().count(), "{name}");
        if name == "forecasts.jsonl" {
            let line: Value = serde_json::from_str(live.lines().last().unwrap()).unwrap();
            line["issued_at"].as_str().unwrap().clone_into(&mut last);
        }
    }
    last
}

#[test]
fn trades_go_on_behind_a_venues_candles_as_in_a_backfill() {
    let run = |kind: Kind| {
        let ((exchange, pace, market), dir) = (exchange(kind), temp_dir());
        let live = start(dir.path(), &exchange, "2h");
        let words = live.wait_for_trades();
        assert!(words.contains("2.0 hours of the venue's own candles") && words.contains(market), "{words}");
        let summary = live.stop();
        exchange.stop_making();
        let warm = &summary["warm"][0];
        let moment = |name: &str| -> u64 {
            warm[name].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_millisecond() as u64
        };
        assert_eq!(
            (&warm["why"], moment("to") - moment("from")),
            (&Value::Null, warm["candles"].as_u64().unwrap() * MINUTE_MS)
        );
        assert!(warm["candles"].as_u64().unwrap() >= 120, "{warm}");
        let last = assert_as_backfill(dir.path(), &records(&exchange, pace, market, moment("from"), moment("to")));
        assert!(last.parse::<jiff::Timestamp>().unwrap().as_millisecond() as u64 > moment("to"), "{kind:?}: {last}");
        for outcome in ["late", "quarantined", "undecodable", "ignored"] {
            assert_eq!(summary["records"][outcome], 0, "{kind:?}: {summary}");
        }
    };
    std::thread::scope(|scope| {
        for kind in [
            Kind::Binance,
            Kind::BinanceAggregates,
            Kind::Bitstamp,
            Kind::Bybit,
            Kind::Coinbase,
            Kind::CoinbaseAdvanced,
            Kind::Kraken,
            Kind::Okx,
        ] {
            scope.spawn(move || run(kind));
        }
    });
}

/// Candles that cannot be had are told, and no reason to stop.
#[test]
fn without_candles_it_begins_with_the_next_trade() {
    let ((exchange, ..), dir) = (exchange(Kind::Kraken), temp_dir());
    exchange.calls([Call::Status(404, "")]);
    let live = start(dir.path(), &exchange, "1h");
    let words = live.words();
    assert!(words.contains("BTC/USD begins with its next trade: kraken gave no candles (HTTP 404"), "{words}");
    eventually("a trade", WITHIN, || (live.job()["records"]["used"].as_u64()? > 0).then_some(()));
    let summary = live.stop();
    assert!(summary["warm"][0]["why"].as_str().unwrap().contains("404") && summary["warm"][0]["candles"] == 0);
    assert!(summary["collected"]["venues"]["kraken"]["published"].as_u64().unwrap() > 0, "{summary}");
}

/// Who stops it while a venue does not answer does not wait for that.
#[test]
fn it_stops_while_it_asks_for_candles() {
    let ((exchange, ..), dir) = (exchange(Kind::Okx), temp_dir());
    exchange.calls(std::iter::repeat_n(Call::Slow(Duration::from_secs(3600)), 100));
    let mut live = start(dir.path(), &exchange, "1h");
    eventually("it asks", WITHIN, || (!exchange.asked().is_empty()).then_some(()));
    live.process.signal(Signal::Term);
    live.process.wait(Duration::from_secs(8)).expect_code(0);
    assert_eq!(exchange.asked().len(), 1);
}

/// Nobody there at all is a failure, however soon one stops.
#[test]
fn a_venue_that_is_not_there_is_a_failure() {
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let venues = format!(
        "collect.venues=[{{ venue = \"okx\", symbols = [\"BTC-USDT\"], stream_url = \"ws://{unused}\", api_url = \"http://{unused}\" }}]"
    );
    let mut process = Process::spawn(tickcast(["live", "--listen", "127.0.0.1:0", "--workers", "2", "--set", &venues]));
    eventually("it is told", WITHIN, || process.stderr().contains("; opened again in ").then_some(()));
    process.signal(Signal::Term);
    let said = process.wait(WITHIN).expect_code(1).stderr;
    assert!(said.contains("its candles cannot be had") && said.contains("no trade came: see above"), "{said}");
}

/// In one process, and by a broker between a collector and a job: the same forecasts.
#[test]
fn a_collector_a_broker_and_a_job_forecast_the_same() {
    const MINUTES: u64 = 60;
    let (dir, market) = (temp_dir(), "ETH-USD");
    let begin_ms = jiff::Timestamp::now().as_millisecond() as u64 / MINUTE_MS * MINUTE_MS - 2 * MINUTES * MINUTE_MS;
    let exchange = Exchange::start_at(Kind::Coinbase, &[market], [], Pace { begin_ms, every_ms: 250 });
    let broker = EmbeddedBroker::start(&[("ticks", 1), ("ticks.gaps", 1)]).unwrap();
    let out = dir.path().join("run");
    let config = dir.path().join("c.toml");
    let text = format!(
        "[job]\nid = \"live\"\n[source.kafka]\nbrokers = \"{}\"\ntopic = \"ticks\"\n[sink.files]\ndir = \"{}\"\n[collect]\nvenues = [{}]\n",
        broker.bootstrap(),
        out.display(),
        exchange.setting(&[])
    );
    std::fs::write(&config, text).unwrap();
    let command = |name: &str| {
        let mut command = tickcast([name, "-c", config.to_str().unwrap()]);
        command.env("NO_PROXY", "127.0.0.1");
        Process::spawn(command)
    };
    let others = [command("collect"), command("run")];
    let live = start(dir.path(), &exchange, "0s");
    eventually("both are subscribed", WITHIN, || (exchange.open() == 2).then_some(()));
    exchange.make(MINUTES * 240);
    let lines = |of: &str, name: &str| std::fs::read_to_string(dir.path().join(of).join(name)).unwrap_or_default();
    let last = jiff::Timestamp::from_millisecond((begin_ms + (MINUTES - 1) * MINUTE_MS) as i64).unwrap();
    let issued = format!("\"issued_at\":\"{}\"", last.strftime("%Y-%m-%dT%H:%M:%S.000Z"));
    eventually("the job's forecasts", WITHIN, || lines("run", FILES[1]).contains(&issued).then_some(()));
    eventually("its own", WITHIN, || {
        let through: jiff::Timestamp = live.job()["published_through"].as_str()?.parse().unwrap();
        (through >= last).then_some(())
    });
    for mut process in others {
        process.signal(Signal::Term);
        process.wait(WITHIN).expect_code(0);
    }
    live.stop();
    for name in FILES {
        let (one, other) = (lines("live", name), lines("run", name));
        let differs = one.lines().zip(other.lines()).find(|(one, other)| one != other);
        assert!(differs.is_none() && one.lines().count() as u64 >= 2 * MINUTES, "{name}: {differs:#?}");
    }
}

#[test]
fn what_it_cannot_do_is_told_first() {
    let binance = ["--venue", "binance", "--symbols", "BTCUSDT"];
    for (arguments, says) in [
        (&[][..], "name a market, as in --venue binance --symbols BTCUSDT, or set collect.venues"),
        (&["--venue", "binance"], "--symbols"),
        (&["--venue", "binanc", "--symbols", "BTCUSDT"], "`binanc` is no venue, did you mean binance?"),
        (&[&binance[..], &["--set", "time.slide=5s"]].concat(), "time.slide = 5s is below: make it 1m, or --warm 0s"),
        (&[&binance[..], &["--warm", "999d"]].concat(), "at most 1000000 are allowed"),
    ] {
        let all: Vec<&str> = std::iter::once("live").chain(arguments.iter().copied()).collect();
        let said = run_to_end(tickcast(all), WITHIN).expect_code(2);
        assert!(said.stderr.contains(says), "{}", said.stderr);
    }
    let said = run_to_end(tickcast(["collect", "--to-job"]), WITHIN).expect_code(2);
    assert!(said.stderr.contains("or set collect.venues"), "{}", said.stderr);
}
