//! Aggregate trades of Binance beside its single ones: each kind has its numbers, and neither takes the other's for its own.

use super::{Setup, WITHIN, stop, subscribed};
use crate::exchange::words::parts;
use crate::exchange::{Exchange, Kind, Pace};
use crate::support::{eventually, read_committed, run_to_end, tickcast};
use serde_json::Value;

const MARKET: &str = "BTCUSDT";

/// All records: whether an aggregate, and the number.
fn records(setup: &Setup) -> Vec<(bool, u64)> {
    let id = |value: &[u8]| {
        let record: Value = serde_json::from_slice(value).unwrap();
        assert_eq!(record["trade_id"].is_null(), !record["agg_trade_id"].is_null());
        match record["agg_trade_id"].as_u64() {
            Some(id) => {
                let (first, last) = parts(id);
                assert_eq!((&record["first_trade_id"], &record["last_trade_id"]), (&first.into(), &last.into()));
                (true, id)
            }
            None => (false, record["trade_id"].as_u64().unwrap()),
        }
    };
    read_committed(&setup.broker.bootstrap(), "ticks").iter().map(|message| id(&message.value)).collect()
}

/// Collects from one of them until its last trade is there; gives what was said.
fn collect(setup: &Setup, exchange: &Exchange, more: u64) -> String {
    setup.configure(&[exchange.setting(&[])], "");
    let mut process = setup.start();
    subscribed(exchange, &mut process);
    exchange.make(more);
    eventually("all is there", WITHIN, || {
        let last = records(setup).last().copied();
        (last == Some((exchange.kind() == Kind::BinanceAggregates, exchange.made()))).then_some(())
    });
    let said = stop(process).stderr;
    eventually("it is gone", WITHIN, || (exchange.open() == 0).then_some(()));
    said
}

/// The stream is changed from one start to the next: behind an aggregate the single trades go on with the one that follows its last
/// part; behind single trades nothing tells where the aggregates go on, and that is said.
#[test]
fn a_topic_may_have_the_other_kind() {
    // An aggregate is made with the last of its parts.
    let [single, aggregate] = [(Kind::Binance, 10), (Kind::BinanceAggregates, 30)].map(|(kind, every_ms)| {
        Exchange::start_at(kind, &[MARKET], [], Pace { begin_ms: 1_700_000_000_000, every_ms })
    });
    let setup = Setup::of(&aggregate);
    collect(&setup, &aggregate, 10);
    // Ten aggregates are of thirty trades.
    single.make(35);
    let said = collect(&setup, &single, 1);
    assert!(said.contains("binance BTCUSDT: the topic has aggregate trades of it so far; goes on behind its trade 30"));
    aggregate.make(2);
    let said = collect(&setup, &aggregate, 1);
    assert!(said.contains("the topic has single trades of it so far, the last one made at 1700000000360"), "{said}");
    // As the venue has it: whatever is part of an aggregate was a trade.
    single.make(5);
    collect(&setup, &single, 1);
    let expected = (1..=10).map(|id| (true, id)).chain((31..=36).map(|id| (false, id)));
    let expected = expected.chain([(true, 13)]).chain((40..=42).map(|id| (false, id)));
    assert_eq!(records(&setup), expected.collect::<Vec<_>>());
    assert!(aggregate.asked().is_empty(), "of aggregates nothing is missing");
}

/// Both streams of one market tell of the same trades.
#[test]
fn one_market_by_both_streams_is_refused() {
    let venues = r#"collect.venues=[{ venue = "binance", symbols = ["BTCUSDT"] }, { venue = "binance", stream = "aggTrade", symbols = ["BTCUSDT"] }]"#;
    let said = run_to_end(tickcast(["collect", "--check", "--set", venues]), WITHIN).expect_code(2).stderr;
    assert!(said.contains("binance:BTCUSDT is there twice"), "{said}");
    let venues = r#"collect.venues=[{ venue = "kraken", stream = "aggTrade", symbols = ["BTC/USD"] }]"#;
    let said = run_to_end(tickcast(["collect", "--check", "--set", venues]), WITHIN).expect_code(2).stderr;
    assert!(said.contains("stream = \"aggTrade\": of kraken there are single trades alone"), "{said}");
}
