//! Collecting from exchanges: each trade once, in the order of its ids and with the venue's own digits, whatever its stream, its HTTP
//! API and our own deaths do; and a venue that is never hurried.

use crate::exchange::words::unwire;
use crate::exchange::{Act, Exchange, Kind, Then, trade};
use crate::support::{Finished, Process, Signal, eventually, read_committed, run_to_end, temp_dir, tickcast};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeSet;
use std::time::Duration;
use tempfile::TempDir;
use tickcast::connectors::kafka::EmbeddedBroker;

mod aggregates;
mod ends;
mod load;
mod missing;
mod outbound;
mod unnumbered;

const WITHIN: Duration = Duration::from_secs(120);
/// Venues whose ids do not tell what is missing.
const UNNUMBERED: [Kind; 2] = [Kind::Bitstamp, Kind::Bybit];
const KINDS: [Kind; 8] = [
    Kind::Binance,
    Kind::BinanceAggregates,
    Kind::Bitstamp,
    Kind::Bybit,
    Kind::Coinbase,
    Kind::CoinbaseAdvanced,
    Kind::Kraken,
    Kind::Okx,
];

/// For each venue, at the same time: most of it is waiting.
fn each(run: impl Fn(Kind) + Sync) {
    let run = &run;
    std::thread::scope(|scope| KINDS.map(|kind| drop(scope.spawn(move || run(kind)))));
}

/// Two markets as a venue spells them.
fn markets(kind: Kind) -> [&'static str; 2] {
    match kind {
        Kind::Binance => ["BTCUSDT", "ETHUSDT"],
        Kind::BinanceAggregates => ["BNBUSDT", "LTCUSDT"],
        Kind::Bitstamp => ["btcusd", "ethusd"],
        Kind::Bybit => ["SOLUSDT", "XRPUSDT"],
        Kind::Coinbase => ["BTC-USD", "ETH-USD"],
        // The second has the book of another.
        Kind::CoinbaseAdvanced => ["BTC-USD", "ETH-USDC"],
        Kind::Kraken => ["BTC/USD", "ETH/USD"],
        Kind::Okx => ["BTC-USDT", "ETH-USDT"],
    }
}

struct Setup {
    broker: EmbeddedBroker,
    dir: TempDir,
}

impl Setup {
    fn new(settings: &[String], more: &str) -> Self {
        let broker = EmbeddedBroker::start(&[("ticks", 3), ("ticks.gaps", 1)]).unwrap();
        let setup = Self { broker, dir: temp_dir() };
        setup.configure(settings, more);
        setup
    }

    fn configure(&self, settings: &[String], more: &str) {
        let text = format!(
            "[source.kafka]\nbrokers = \"{}\"\ntopic = \"ticks\"\n[collect]\nvenues = [{}]\n{more}\n",
            self.broker.bootstrap(),
            settings.join(", ")
        );
        std::fs::write(self.dir.path().join("c.toml"), text).unwrap();
    }

    fn of(exchange: &Exchange) -> Self {
        Self::new(&[exchange.setting(&[])], "")
    }

    fn start(&self) -> Process {
        let config = self.dir.path().join("c.toml");
        let mut command = tickcast(["collect", "--json", "-c", config.to_str().unwrap()]);
        command.env("NO_PROXY", "127.0.0.1");
        Process::spawn(command)
    }

    /// Ids and prices of a market, in the order of the topic.
    fn published(&self, market: &str) -> Vec<(u64, String, String)> {
        #[derive(Deserialize)]
        struct Record<'a> {
            #[serde(alias = "agg_trade_id")]
            trade_id: u64,
            market: String,
            exchange: String,
            #[serde(borrow)]
            price: &'a RawValue,
            #[serde(borrow)]
            size: &'a RawValue,
        }
        let mut found = Vec::new();
        for message in read_committed(&self.broker.bootstrap(), "ticks") {
            let record: Record<'_> = serde_json::from_slice(&message.value).unwrap();
            if record.market == market {
                let id = unwire(&record.exchange, record.trade_id);
                found.push((id, record.price.get().to_owned(), record.size.get().to_owned()));
            }
        }
        found
    }

    fn last(&self, market: &str) -> u64 {
        self.published(market).last().map_or(0, |(id, ..)| *id)
    }

    /// The ids that were told to be missing.
    fn gaps(&self, market: &str) -> Vec<(u64, u64, String)> {
        let mut found = Vec::new();
        for message in read_committed(&self.broker.bootstrap(), "ticks.gaps") {
            let gap: serde_json::Value = serde_json::from_slice(&message.value).unwrap();
            if gap["market"] == market {
                let exchange = gap["exchange"].as_str().unwrap();
                let id = |name: &str| {
                    let of_aggregates = name.replace("trade_id", "agg_trade_id");
                    gap[name].as_u64().or(gap[of_aggregates].as_u64()).map(|id| unwire(exchange, id))
                };
                let first = id("first_trade_id").unwrap_or_else(|| id("after_trade_id").unwrap() + 1);
                let last = id("last_trade_id").unwrap_or_else(|| id("before_trade_id").unwrap() - 1);
                found.push((first, last, gap["reason"].as_str().unwrap().to_owned()));
            }
        }
        found
    }

    /// Each trade from `first` to the last one that was made, but for those, once and in order.
    fn assert_complete(&self, exchange: &Exchange, market: &str, first: u64, but: &BTreeSet<u64>) {
        let published = self.published(market);
        let expected = (first..=exchange.made()).filter(|id| !but.contains(id));
        let expected: Vec<_> = expected.map(|id| (id, trade(market, id).0, trade(market, id).1)).collect();
        let at = published.iter().zip(&expected).position(|(found, expected)| found != expected);
        if let Some(at) = at {
            panic!("{market} at {at}: published {:?}, expected {:?}", published[at], expected[at]);
        }
        assert_eq!(published.len(), expected.len(), "{market}");
    }
}

fn stop(mut process: Process) -> Finished {
    process.signal(Signal::Term);
    let finished = process.wait(WITHIN).expect_code(0);
    println!("{}", String::from_utf8_lossy(&finished.stdout).trim());
    finished
}

fn summary(finished: &Finished) -> serde_json::Value {
    let tally: serde_json::Value = serde_json::from_slice(&finished.stdout).unwrap();
    tally["venues"].as_object().unwrap().values().next().unwrap().clone()
}

/// Starts, waits until it is subscribed, and makes the first trade, so that all others follow on one that is known.
fn begin(exchange: &Exchange, setup: &Setup) -> Process {
    let mut process = setup.start();
    subscribed(exchange, &mut process);
    exchange.make(1);
    eventually("the first trade", WITHIN, || {
        markets(exchange.kind()).iter().all(|market| setup.last(market) == 1).then_some(())
    });
    process
}

fn subscribed(exchange: &Exchange, process: &mut Process) {
    eventually("it is subscribed", WITHIN, || {
        assert!(process.is_running(), "{}", process.stderr());
        (exchange.open() == 1).then_some(())
    });
}

fn await_all(exchange: &Exchange, setup: &Setup) {
    eventually("all is published", WITHIN, || {
        markets(exchange.kind()).iter().all(|market| setup.last(market) == exchange.made()).then_some(())
    });
}

#[test]
fn each_trade_once_in_order_with_its_own_digits() {
    for kind in KINDS {
        let exchange = Exchange::start(kind, &markets(kind), []);
        let setup = Setup::of(&exchange);
        let process = begin(&exchange, &setup);
        exchange.make(3000);
        await_all(&exchange, &setup);
        let said = summary(&stop(process));
        for market in markets(kind) {
            setup.assert_complete(&exchange, market, 1, &BTreeSet::new());
        }
        assert_eq!((&said["published"], &said["repeats"], &said["missing"]), (&6002.into(), &0.into(), &0.into()));
        assert!(exchange.asked().is_empty(), "nothing was missing");
    }
}

/// What a stream does to its messages, and how it ends: everything is published all the same, without a repeat.
#[test]
fn whatever_a_stream_does_each_trade_is_there_once() {
    let then = [
        (5, Then::Text(r#"{"channel":"status","type":"unknown_kind"}"#)),
        (6, Then::Text("no json at all")),
        (10, Then::Packed(20)),
        (20, Then::Again(7)),
        (30, Then::Backwards(9)),
        (60, Then::Skip(3)),
        (70, Then::Skip(1500)),
        (80, Then::CutMidFrame),
    ];
    let ends = [
        vec![(20, Then::Cut)],
        vec![(20, Then::Close(1000))],
        vec![(20, Then::Close(1012))],
        vec![(20, Then::Big(5_000_000))],
        vec![(20, Then::NotUtf8)],
    ];
    each(|kind| {
        let mut then = then.to_vec();
        // What is left out where no number tells of it is not known.
        then.retain(|(_, then)| !matches!(then, Then::Skip(_)) || !UNNUMBERED.contains(&kind));
        ends_of(kind, &then, &ends);
    });
}

fn ends_of(kind: Kind, then: &[(usize, Then)], ends: &[Vec<(usize, Then)>]) {
    let acts = std::iter::once(Act::Play(then.to_vec())).chain(ends.iter().cloned().map(Act::Play));
    let exchange = Exchange::start(kind, &markets(kind), acts);
    let setup = Setup::of(&exchange);
    let process = begin(&exchange, &setup);
    exchange.make_slowly(u64::MAX, Duration::from_millis(3));
    eventually("all ends were played, and one plays on", WITHIN, || {
        (exchange.opened().len() == 7 && exchange.open() == 1).then_some(())
    });
    exchange.stop_making();
    // What it knows that it has missed.
    exchange.make(50);
    await_all(&exchange, &setup);
    let finished = stop(process);
    let said = summary(&finished);
    unnumbered::assert_there_or_told(&exchange, &setup);
    let faults = &said["faults"];
    assert_eq!(
        (&faults["cut"], &faults["closed"], &faults["too_large"], &faults["not_utf8"]),
        (&2.into(), &2.into(), &1.into(), &1.into()),
        "{said}"
    );
    assert_eq!((&said["unreadable"], &said["missing"]), (&1.into(), &0.into()), "{said}");
    let least = match kind {
        Kind::Bybit => 1,
        Kind::Bitstamp => 2 * 60,
        _ => 2 * 1503,
    };
    assert!(said["repaired"].as_u64().unwrap() >= least, "{said}");
}

/// Handshakes that fail, each by name, and never hurried.
#[test]
fn a_venue_that_refuses_is_left_alone() {
    let acts = [Act::Garbage, Act::Status(500, ""), Act::Status(429, "Retry-After: 1\r\n"), Act::Status(503, "")];
    let acts = acts.into_iter().chain([Act::Play(vec![(5, Then::Close(1008))])]);
    let exchange = Exchange::start(Kind::Kraken, &markets(Kind::Kraken), acts);
    let setup = Setup::of(&exchange);
    let process = begin(&exchange, &setup);
    exchange.make(10);
    eventually("it has come back", WITHIN, || (exchange.opened().len() == 6 && exchange.open() == 1).then_some(()));
    exchange.make(5);
    await_all(&exchange, &setup);
    let said = summary(&stop(process));
    let opened = exchange.opened();
    // Half of .5, 1, 2 and 4 s at least; the venue's in trouble 1 s more, too many connections, or messages, 10 s.
    for (at, least) in [250, 1500, 11_000, 3000, 10_000].into_iter().enumerate() {
        let waited = opened[at + 1] - opened[at];
        assert!(waited >= Duration::from_millis(least), "attempt {at}: {waited:?}");
    }
    let faults = &said["faults"];
    let counts = ["protocol", "server_error", "rate_limited", "closed"].map(|kind| faults[kind].as_u64().unwrap());
    assert_eq!(counts, [1, 2, 1, 1], "{said}");
    for status in [403, 451, 418] {
        let exchange = Exchange::start(Kind::Binance, &markets(Kind::Binance), [Act::Status(status, "")]);
        let setup = Setup::of(&exchange);
        let process = setup.start();
        eventually("it says so", WITHIN, || process.stderr().contains(&format!("HTTP {status}")).then_some(()));
        let said = summary(&stop(process));
        let kind = if status == 418 { "banned" } else { "blocked" };
        assert_eq!((&said["faults"][kind], exchange.opened().len()), (&1.into(), 1), "{said}");
    }
}

/// Nobody answers, TLS with somebody who has none, a subscription that is confirmed and then nothing more, none that is.
#[test]
fn silence_is_noticed() {
    let acts = [Act::Silent, Act::NoAnswer, Act::Play(vec![(3, Then::HalfOpen)])];
    let exchange = Exchange::start(Kind::Kraken, &markets(Kind::Kraken), acts);
    let setup = Setup::of(&exchange);
    let process = setup.start();
    exchange.make_slowly(300, Duration::from_millis(100));
    eventually("four connections", WITHIN, || (exchange.opened().len() == 4 && exchange.made() == 300).then_some(()));
    eventually("it plays", WITHIN, || (exchange.open() == 2).then_some(()));
    exchange.make(5);
    await_all(&exchange, &setup);
    let said = summary(&stop(process));
    let first = setup.published("BTC/USD")[0].0;
    setup.assert_complete(&exchange, "BTC/USD", first, &BTreeSet::new());
    assert_eq!(said["faults"]["silent"], 3, "{said}");

    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let settings = [
        format!(r#"{{ venue = "binance", symbols = ["BTCUSDT"], stream_url = "ws://{unused}" }}"#),
        exchange.setting(&[]).replace("ws://", "wss://"),
    ];
    let setup = Setup::new(&settings, "");
    let process = setup.start();
    eventually("both are named", WITHIN, || {
        let said = process.stderr();
        (said.contains("Connection refused") && said.contains("127.0.0.1: ")).then_some(())
    });
    let finished = stop(process);
    let tally: serde_json::Value = serde_json::from_slice(&finished.stdout).unwrap();
    let count = |venue: &str, kind: &str| tally["venues"][venue]["faults"][kind].as_u64().unwrap();
    assert!(count("binance", "no_connection") >= 1 && count("kraken", "tls") >= 1, "{tally}");
}

/// A market that there is not is named, and the others go on.
#[test]
fn a_market_that_is_refused_or_not_answered_for_is_named() {
    for (kind, unknown, why) in [
        (Kind::Kraken, "XBT/EUR", "Currency pair not supported XBT/EUR"),
        (Kind::Coinbase, "NO-USD", "Failed to subscribe: NO-USD is not a valid product"),
        (Kind::Okx, "NO-USDT", "Wrong URL or channel:trades-all,instId:NO-USDT doesn't exist."),
        (Kind::Binance, "NOUSDT", "it was not acknowledged"),
        (Kind::BinanceAggregates, "NOUSDT", "it was not acknowledged"),
        (Kind::Bybit, "NOUSDT", "error:handler not found,topic:publicTrade.NOUSDT"),
        (Kind::Bitstamp, "nousd", "Bad subscription string."),
        (Kind::CoinbaseAdvanced, "NO-USD", "it was not acknowledged"),
    ] {
        let exchange = Exchange::start(kind, &markets(kind), []);
        let setup = Setup::new(&[exchange.setting(&[unknown])], "");
        let process = begin(&exchange, &setup);
        let words = format!("no trades of {unknown}: {why}");
        let said = |process: &Process| process.stderr().contains(&words).then_some(());
        eventually(&format!("{words}: {}", process.stderr()), WITHIN, || said(&process));
        exchange.make(20);
        await_all(&exchange, &setup);
        let said = summary(&stop(process));
        assert_eq!((&said["refused"], exchange.opened().len()), (&1.into(), 1), "{said}");
    }
}

/// What a user runs first: what each market says, and nothing is published.
#[test]
fn a_check_tells_of_each_market() {
    let exchanges = KINDS.map(|kind| Exchange::start(kind, &markets(kind), []));
    exchanges.iter().for_each(|exchange| exchange.make_slowly(u64::MAX, Duration::from_millis(20)));
    let more = [&[][..], &[], &[], &[], &["NO-USD"], &[], &["XBT/EUR"], &[]];
    let settings: Vec<String> = exchanges.iter().zip(more).map(|(exchange, more)| exchange.setting(more)).collect();
    let setup = Setup::new(&settings, "");
    let check = |arguments: &[&str]| {
        let mut command = tickcast(["collect", "--check", "-c", setup.dir.path().join("c.toml").to_str().unwrap()]);
        command.args(arguments);
        run_to_end(command, WITHIN)
    };
    let said = String::from_utf8(check(&[]).expect_code(1).stdout).unwrap();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 2 * KINDS.len() + 2, "{said}");
    let of_old = "this machine's clock is wrong, or the venue's";
    assert!(lines[0].starts_with("binance BTCUSDT: a trade at 1") && lines[0].contains(" ms after it was made"));
    assert!(lines[0].ends_with(of_old), "{}", lines[0]);
    assert_eq!(lines[10], "coinbase NO-USD: refused: Failed to subscribe: NO-USD is not a valid product");
    assert_eq!(lines[15], "kraken XBT/EUR: refused: Currency pair not supported XBT/EUR");
    let venues = format!("collect.venues=[{}]", exchanges[0].setting(&[]));
    let json = check(&["--json", "--set", &venues]).expect_code(0);
    let seen: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&seen["markets"][1]["market"], &seen["markets"][1]["acknowledged"]), (&"ETHUSDT".into(), &true.into()));
    assert!(setup.published("BTCUSDT").is_empty());
    check(&["--set", "collect.venues=[]"]).expect_code(2);
    // A look needs no topic.
    run_to_end(tickcast(["collect", "--check", "--set", &venues]), WITHIN).expect_code(0);
    run_to_end(tickcast(["collect", "--set", &venues]), WITHIN).expect_code(2);
}

/// Messages that are lost in a market that is quiet then: their numbers jump, and a new connection begins with what was in them.
#[test]
fn lost_messages_of_a_quiet_market_are_noticed_by_their_numbers() {
    let kind = Kind::CoinbaseAdvanced;
    let exchange = Exchange::start(kind, &markets(kind), [Act::Play(vec![(11, Then::Lose(3))])]);
    let setup = Setup::of(&exchange);
    let process = begin(&exchange, &setup);
    exchange.make(13);
    await_all(&exchange, &setup);
    let said = summary(&stop(process));
    for market in markets(kind) {
        setup.assert_complete(&exchange, market, 1, &BTreeSet::new());
    }
    assert_eq!((exchange.made(), &said["faults"]["lost"], exchange.opened().len()), (14, &1.into(), 2), "{said}");
}
