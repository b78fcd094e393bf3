//! Exchanges' trades through a real broker: it goes away, the collector is killed, and a job reads what there is.

use crate::exchange::{Act, Exchange, Kind, Then, trade};
use crate::support::{
    Process, Service, Services, Signal, eventually, read_committed, run_to_end, temp_dir, tickcast, unique,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const WITHIN: Duration = Duration::from_secs(180);
const MARKETS: [(Kind, &str); 3] = [(Kind::Binance, "BTCUSDT"), (Kind::Coinbase, "BTC-USD"), (Kind::Kraken, "BTC/USD")];

/// Ids and prices of each market, in the order of the topic.
fn published(brokers: &str, topic: &str) -> BTreeMap<String, Vec<(u64, String)>> {
    #[derive(Deserialize)]
    struct Record<'a> {
        trade_id: u64,
        market: String,
        #[serde(borrow)]
        price: &'a RawValue,
    }
    let mut found = BTreeMap::<String, Vec<(u64, String)>>::new();
    for message in read_committed(brokers, topic) {
        let record: Record<'_> = serde_json::from_slice(&message.value).unwrap();
        found.entry(record.market).or_default().push((record.trade_id, record.price.get().to_owned()));
    }
    found
}

/// Three venues, of which one loses trades; the broker stops for 20 s; the collector is killed five times, once meanwhile. Each trade is
/// there once, in order; a job that reads the topic uses all of them, under one name.
#[test]
#[ignore = "needs services: run ./deploy/test"]
fn a_broker_that_goes_and_kills_lose_and_double_nothing() {
    let services = Services::own();
    let (topic, dir) = (unique("streams"), temp_dir());
    let exchanges = MARKETS.map(|(kind, market)| {
        let skips = (1..40).map(|n| (n * 100, Then::Skip(5))).collect();
        Exchange::start(kind, &[market], (kind == Kind::Coinbase).then_some(Act::Play(skips)))
    });
    let venues = exchanges.each_ref().map(|exchange| exchange.setting(&[])).join(", ");
    let text = format!(
        "[source.kafka]\nbrokers = \"{}\"\ntopic = \"{topic}\"\n[collect]\nvenues = [{venues}]\nmarkets = {{ BTC = [\"BTCUSDT\", \"BTC-USD\", \
         \"BTC/USD\"] }}\n[time]\nallowed_lateness = \"1h\"\n[sink.files]\ndir = \"{}\"\n",
        services.kafka(),
        dir.path().join("out").display()
    );
    let config = dir.path().join("c.toml");
    std::fs::write(&config, text).unwrap();
    let config = config.to_str().unwrap();
    let start = || {
        let mut command = tickcast(["collect", "--json", "-c", config]);
        command.env("NO_PROXY", "127.0.0.1");
        Process::spawn(command)
    };
    let subscribed = || exchanges.iter().all(|exchange| exchange.open() == 1).then_some(());
    let mut process = start();
    eventually("it is subscribed", WITHIN, subscribed);
    exchanges.iter().for_each(|exchange| exchange.make(1));
    eventually("the first trades", WITHIN, || (published(services.kafka(), &topic).len() == 3).then_some(()));
    exchanges.iter().for_each(|exchange| exchange.make_slowly(u64::MAX, Duration::from_millis(5)));
    for kill in 0..5 {
        let at = Instant::now() + Duration::from_millis(1200 + 300 * kill);
        eventually("some time", WITHIN, || (Instant::now() >= at).then_some(()));
        if kill == 2 {
            services.stop(Service::Kafka);
        }
        if kill == 4 {
            // Not killed: it lives through it.
            continue;
        }
        process.signal(Signal::Kill);
        drop(process);
        if kill == 2 {
            let back = Instant::now() + Duration::from_secs(3);
            eventually("3 seconds", WITHIN, || (Instant::now() >= back).then_some(()));
            services.start(Service::Kafka);
        }
        process = start();
        eventually("it goes on", WITHIN, subscribed);
    }
    services.stop(Service::Kafka);
    let back = Instant::now() + Duration::from_secs(20);
    eventually("20 seconds", WITHIN, || (Instant::now() >= back).then_some(()));
    assert!(process.is_running(), "{}", process.stderr());
    services.start(Service::Kafka);
    exchanges.iter().for_each(Exchange::stop_making);
    eventually("no more is made", WITHIN, || {
        let before = exchanges.each_ref().map(Exchange::made);
        std::thread::sleep(Duration::from_millis(50));
        (before == exchanges.each_ref().map(Exchange::made)).then_some(())
    });
    exchanges.iter().for_each(|exchange| exchange.make(3));
    let made = exchanges.each_ref().map(Exchange::made);
    eventually("all is published", WITHIN, || {
        let found = published(services.kafka(), &topic);
        MARKETS
            .iter()
            .zip(made)
            .all(|((_, market), made)| found[*market].last().is_some_and(|(id, _)| *id >= made))
            .then_some(())
    });
    process.signal(Signal::Term);
    let finished = process.wait(WITHIN).expect_code(0);
    println!("{}", String::from_utf8_lossy(&finished.stdout));
    let found = published(services.kafka(), &topic);
    for ((_, market), made) in MARKETS.iter().zip(made) {
        let all = &found[*market];
        for (at, (id, price)) in all.iter().enumerate() {
            assert_eq!((*id, price), (at as u64 + 1, &trade(market, *id).0), "{market}");
        }
        assert_eq!(all.len() as u64, made, "{market}");
    }
    assert!(read_committed(services.kafka(), &format!("{topic}.gaps")).is_empty());
    let done = run_to_end(tickcast(["backfill", "-c", config, "--json"]), WITHIN).expect_code(0);
    let said: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(
        (&said["records"]["used"], &said["records"]["ignored"]),
        (&made.iter().sum::<u64>().into(), &0.into()),
        "{said}"
    );
}
