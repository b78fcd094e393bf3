//! What is missing of an exchange's trades: filled, told, and known again after a kill.

use super::{KINDS, Setup, UNNUMBERED, WITHIN, await_all, begin, each, markets, stop, subscribed, summary, unnumbered};
use crate::exchange::{Act, Call, Exchange, Kind, Then};
use crate::support::{Signal, eventually, read_committed, run_to_end, tickcast};
use std::collections::BTreeSet;
use std::time::Duration;

/// Holes of 1, 999 and 20,000 ids; an API that is slow, limited, cut, confused; trades that it does not have either.
#[test]
fn what_is_missing_is_asked_for_and_what_stays_missing_is_told() {
    each(|kind| {
        if UNNUMBERED.contains(&kind) {
            return;
        }
        // Kraken's pages come once a second, those of OKX are small.
        let large = if matches!(kind, Kind::Kraken | Kind::Okx) { 5000 } else { 20_000 };
        let then = [(5, Then::Skip(1)), (10, Then::Skip(999)), (15, Then::Skip(large))];
        let exchange = Exchange::start(kind, &markets(kind)[..1], [Act::Play(then.to_vec())]);
        let lost: BTreeSet<u64> = [7, 500, 501, 502, 1900].into();
        exchange.forget(lost.iter().copied());
        exchange.calls([
            Call::Cut,
            Call::Status(500, ""),
            Call::Text("{"),
            Call::Well,
            Call::Status(429, "Retry-After: 2\r\n"),
            Call::Slow(Duration::from_millis(500)),
        ]);
        let setup = Setup::of(&exchange);
        let market = markets(kind)[0];
        let mut process = setup.start();
        subscribed(&exchange, &mut process);
        exchange.make(1030 + large as u64);
        eventually("all is published", WITHIN, || (setup.last(market) == exchange.made()).then_some(()));
        let said = summary(&stop(process));
        // What the stream told of is there although the API does not have it: 7.
        let missing: BTreeSet<u64> = [500, 501, 502, 1900].into();
        setup.assert_complete(&exchange, market, 1, &missing);
        let told: BTreeSet<u64> = setup
            .gaps(market)
            .into_iter()
            .flat_map(|(first, last, why)| {
                assert_eq!(why, "not_at_the_venue");
                first..=last
            })
            .collect();
        assert_eq!(told, missing);
        assert_eq!(said["missing"], missing.len(), "{said}");
        let asked = exchange.asked();
        let pause = asked.windows(2).map(|two| two[1] - two[0]).max().unwrap();
        assert!(pause >= Duration::from_secs(10), "a limit is kept: {pause:?}");
    });
}

/// A hundred thousand ids, and an API that is away for ten minutes: everything waits, and is there in the end, while another market
/// goes on. Where `TICKCAST_TEST_LONG` is not set: ten thousand, and two seconds.
#[test]
fn a_large_hole_waits_for_an_api_that_is_away() {
    let is_long = std::env::var_os("TICKCAST_TEST_LONG").is_some();
    let (ids, away) = if is_long { (100_000, 600) } else { (10_000, 2) };
    let exchange = Exchange::start(Kind::Binance, &["BTCUSDT"], [Act::Play(vec![(5, Then::Skip(ids))])]);
    let other = Exchange::start(Kind::Coinbase, &["BTC-USD"], []);
    exchange.api_is_away(Duration::from_secs(3600));
    let setup = Setup::new(&[exchange.setting(&[]), other.setting(&[])], "repair_wait = \"20m\"");
    let mut process = setup.start();
    subscribed(&exchange, &mut process);
    subscribed(&other, &mut process);
    exchange.make(ids as u64 + 30);
    other.make(1000);
    eventually("the other one goes on", WITHIN, || (setup.last("BTC-USD") == 1000).then_some(()));
    assert_eq!(setup.last("BTCUSDT"), 5);
    exchange.api_is_away(Duration::from_secs(away));
    let within = WITHIN + Duration::from_secs(2 * away);
    eventually("all is there", within, || (setup.last("BTCUSDT") == exchange.made()).then_some(()));
    let said: serde_json::Value = serde_json::from_slice(&stop(process).stdout).unwrap();
    let said = &said["venues"]["binance"];
    setup.assert_complete(&exchange, "BTCUSDT", 1, &BTreeSet::new());
    assert!(setup.gaps("BTCUSDT").is_empty());
    assert_eq!((&said["repaired"], &said["missing"]), (&ids.into(), &0.into()), "{said}");
    println!("asked {} times", exchange.asked().len());
}

/// An API that stays away: what waits goes on after a while, and the hole is told, before it.
#[test]
fn a_hole_that_is_not_filled_in_time_is_told() {
    let exchange = Exchange::start(Kind::Coinbase, &["BTC-USD"], [Act::Play(vec![(5, Then::Skip(10))])]);
    exchange.calls(std::iter::repeat_n(Call::Status(500, ""), 1000));
    let setup = Setup::new(&[exchange.setting(&[])], "repair_wait = \"3s\"");
    let mut process = setup.start();
    subscribed(&exchange, &mut process);
    exchange.make(30);
    eventually("it goes on", WITHIN, || (setup.last("BTC-USD") == 30).then_some(()));
    let said = summary(&stop(process));
    setup.assert_complete(&exchange, "BTC-USD", 1, &(6..=15).collect());
    assert_eq!(setup.gaps("BTC-USD"), [(6, 15, "not_in_time".to_owned())]);
    assert_eq!((&said["gaps"], &said["missing"], &said["held"]), (&1.into(), &10.into(), &0.into()), "{said}");
}

/// Killed again and again under load: a new start goes on behind what the topic has.
#[test]
fn kills_lose_and_double_nothing() {
    let kills = if std::env::var_os("TICKCAST_TEST_LONG").is_some() { 30 } else { 6 };
    each(|kind| {
        let exchange = Exchange::start(kind, &markets(kind), []);
        let setup = Setup::of(&exchange);
        let mut process = begin(&exchange, &setup);
        exchange.make_slowly(u64::MAX, Duration::from_millis(2));
        for kill in 0..kills {
            let at = exchange.made() + 150 + 37 * kill;
            eventually("some trades", WITHIN, || (exchange.made() >= at).then_some(()));
            process.signal(Signal::Kill);
            drop(process);
            // Not the dead one's connection is to be taken for the new one's.
            eventually("it is gone", WITHIN, || (exchange.open() == 0).then_some(()));
            process = setup.start();
            eventually("it goes on", WITHIN, || (exchange.open() == 1).then_some(()));
        }
        exchange.stop_making();
        std::thread::sleep(Duration::from_millis(50));
        exchange.make(3);
        await_all(&exchange, &setup);
        let finished = stop(process);
        println!(
            "{kind:?}: {kills} kills, {}",
            finished.stderr.lines().filter(|line| line.contains("missing")).count()
        );
        unnumbered::assert_there_or_told(&exchange, &setup);
    });
}

/// One name for markets of several venues: they are one symbol to the job, and a trade of each counts.
#[test]
fn several_venues_make_one_symbol() {
    let exchanges = KINDS.map(|kind| Exchange::start(kind, &markets(kind), []));
    let settings = exchanges.each_ref().map(|exchange| exchange.setting(&[]));
    let names = r#"markets = { BTC = ["BTCUSDT", "coinbase:BTC-USD", "BTC/USD", "kraken:ETH/USD"], CB = ["coinbase_advanced:BTC-USD"] }"#;
    let setup = Setup::new(&settings, names);
    let mut process = setup.start();
    exchanges.iter().for_each(|exchange| subscribed(exchange, &mut process));
    exchanges.iter().for_each(|exchange| exchange.make(100));
    exchanges.iter().for_each(|exchange| await_all(exchange, &setup));
    stop(process);
    let out = setup.dir.path().join("out");
    let arguments = [
        "backfill".to_owned(),
        "--json".to_owned(),
        "--set".to_owned(),
        format!("source.kafka.brokers={}", setup.broker.bootstrap()),
        "--set".to_owned(),
        "source.kafka.topic=ticks".to_owned(),
        "--set".to_owned(),
        format!("sink.files.dir={}", out.display()),
        "--set".to_owned(),
        "time.allowed_lateness=1h".to_owned(),
    ];
    let done = run_to_end(tickcast(&arguments), WITHIN).expect_code(0);
    let said: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    // Four markets of 100 trades under one name, the others under their own: nothing is taken for a repeat.
    let all = 200 * KINDS.len();
    assert_eq!((&said["records"]["used"], &said["records"]["ignored"]), (&all.into(), &0.into()), "{said}");
    let symbols: BTreeSet<String> =
        read_committed(&setup.broker.bootstrap(), "ticks").into_iter().filter_map(|message| message.key).collect();
    assert_eq!(
        symbols,
        [
            "BNBUSDT", "BTC", "BTC-USDT", "CB", "ETH-USD", "ETH-USDC", "ETH-USDT", "ETHUSDT", "LTCUSDT", "SOLUSDT",
            "XRPUSDT", "btcusd", "ethusd"
        ]
        .map(str::to_owned)
        .into()
    );
}
