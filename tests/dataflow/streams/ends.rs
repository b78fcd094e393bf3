//! Connections that their venue ends when they are a day old: announced or not, by a word or without one, before another one has taken over
//! or after.

use super::{Setup, await_all, begin, markets, stop, summary};
use crate::exchange::{Act, Exchange, Kind, Then};
use crate::streams::WITHIN;
use crate::support::eventually;
use std::collections::BTreeSet;
use std::time::Duration;

/// Those that announce it, or end a connection by its age.
const KINDS: [Kind; 3] = [Kind::Binance, Kind::BinanceAggregates, Kind::Okx];

/// Before a venue ends a connection another one is open; the overlap is published once.
#[test]
fn an_announced_end_is_overlapped() {
    for kind in KINDS {
        let exchange = Exchange::start(kind, &markets(kind), [Act::Play(vec![(50, Then::Announce)])]);
        let setup = Setup::of(&exchange);
        let process = begin(&exchange, &setup);
        exchange.make_slowly(400, Duration::from_millis(5));
        eventually("it has taken over", WITHIN, || process.stderr().contains("has taken over").then_some(()));
        eventually("all are made", WITHIN, || (exchange.made() == 401 && exchange.open() == 1).then_some(()));
        exchange.make(10);
        await_all(&exchange, &setup);
        let said = summary(&stop(process));
        for market in markets(kind) {
            setup.assert_complete(&exchange, market, 1, &BTreeSet::new());
        }
        assert_eq!((&said["faults"]["renewed"], exchange.opened().len()), (&1.into(), 2), "{said}");
        assert!(exchange.asked().is_empty() && said["repeats"].as_u64().unwrap() > 0, "{said}");
    }
}

/// A day and its end, again and again: a venue that closes at once after its notice, while the other connection is still being made, or
/// refused; one that closes without a notice; one that cuts; one that gives time. What was missed is asked for, and each trade is there
/// once.
#[test]
fn a_connection_that_is_a_day_old_is_ended() {
    let at_once = vec![(50, Then::Announce), (51, Then::Close(1001))];
    let acts = [
        Act::Play(at_once.clone()),
        Act::Play(vec![(50, Then::Close(1000))]),
        Act::Play(vec![(50, Then::Cut)]),
        Act::Play(at_once),
        Act::Status(503, ""),
        Act::Garbage,
        Act::Play(vec![(50, Then::Announce), (250, Then::Close(1001))]),
    ];
    std::thread::scope(|scope| {
        for kind in KINDS {
            let acts = acts.clone();
            scope.spawn(move || is_ended(kind, acts.into()));
        }
    });
}

fn is_ended(kind: Kind, acts: Vec<Act>) {
    let connections = acts.len() + 1;
    let exchange = Exchange::start(kind, &markets(kind), acts);
    let setup = Setup::of(&exchange);
    let process = begin(&exchange, &setup);
    exchange.make_slowly(u64::MAX, Duration::from_millis(5));
    eventually("all ends were played, and one plays on", WITHIN, || {
        (exchange.opened().len() == connections && exchange.open() == 1).then_some(())
    });
    exchange.stop_making();
    exchange.make(20);
    await_all(&exchange, &setup);
    let said = summary(&stop(process));
    for market in markets(kind) {
        setup.assert_complete(&exchange, market, 1, &BTreeSet::new());
        assert!(setup.gaps(market).is_empty());
    }
    let faults = &said["faults"];
    let counts = ["renewed", "closed", "cut", "server_error", "protocol"].map(|kind| faults[kind].as_u64().unwrap());
    assert_eq!((counts, &said["missing"]), ([3, 1, 1, 1, 1], &0.into()), "{said}");
    assert!(said["repaired"].as_u64().unwrap() > 0, "{said}");
}
