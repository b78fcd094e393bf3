//! Venues whose ids leave numbers out: only an interruption tells that something may be missing, and what the venue does not have is told
//! by the trades around it.

use super::{Setup, UNNUMBERED, WITHIN, await_all, begin, markets, stop, subscribed, summary};
use crate::exchange::{Act, Call, Exchange, Kind, Pace, Then};
use crate::support::{Signal, eventually};
use std::collections::BTreeSet;
use std::time::Duration;

/// Each trade is there once, in order and with its own digits. Those of Bybit that are not lie in gaps that were told, which hold
/// nothing else; of others none may be missing.
pub fn assert_there_or_told(exchange: &Exchange, setup: &Setup) {
    for market in markets(exchange.kind()) {
        let gaps = setup.gaps(market);
        assert!(gaps.is_empty() || exchange.kind() == Kind::Bybit, "{gaps:?}");
        let mut missing = BTreeSet::new();
        for (first, last, why) in gaps {
            assert_eq!(why, "not_at_the_venue");
            assert!((first..=last).all(|id| missing.insert(id)), "{first} to {last} was told twice");
        }
        println!("{market}: {} of {} are told to be missing", missing.len(), exchange.made());
        setup.assert_complete(exchange, market, 1, &missing);
    }
}

/// Cut again and again while the API is in trouble: each interruption is a hole of its own, and all are filled once it is well.
#[test]
fn what_several_interruptions_have_cost_is_asked_for() {
    super::each(|kind| {
        if UNNUMBERED.contains(&kind) {
            several_interruptions(kind);
        }
    });
}

fn several_interruptions(kind: Kind) {
    let cut = |after| Act::Play(vec![(after, Then::Cut)]);
    let exchange = Exchange::start(kind, &markets(kind), [cut(5), cut(20), cut(20), cut(20)]);
    exchange.calls([
        Call::Cut,
        Call::Status(500, ""),
        Call::Text("{"),
        Call::Well,
        Call::Status(429, "Retry-After: 2\r\n"),
        Call::Slow(Duration::from_millis(500)),
    ]);
    let setup = Setup::of(&exchange);
    let process = begin(&exchange, &setup);
    exchange.make_slowly(u64::MAX, Duration::from_millis(5));
    eventually("it plays on", WITHIN, || (exchange.opened().len() == 5 && exchange.open() == 1).then_some(()));
    std::thread::sleep(Duration::from_secs(15));
    exchange.stop_making();
    std::thread::sleep(Duration::from_millis(50));
    exchange.make(3);
    await_all(&exchange, &setup);
    let said = summary(&stop(process));
    assert_there_or_told(&exchange, &setup);
    assert_eq!((&said["faults"]["cut"], &said["missing"], &said["held"]), (&4.into(), &0.into(), &0.into()), "{said}");
}

/// What was in a message that cannot be read is asked for, as after an interruption.
#[test]
fn a_message_that_cannot_be_read_is_an_interruption() {
    super::each(|kind| {
        if !UNNUMBERED.contains(&kind) {
            return;
        }
        let exchange = Exchange::start(kind, &markets(kind), [Act::Play(vec![(5, Then::Garble(3))])]);
        let setup = Setup::of(&exchange);
        let process = begin(&exchange, &setup);
        exchange.make(12);
        await_all(&exchange, &setup);
        let said = summary(&stop(process));
        for market in markets(kind) {
            setup.assert_complete(&exchange, market, 1, &BTreeSet::new());
            assert!(setup.gaps(market).is_empty());
        }
        assert_eq!(
            (&said["unreadable"], &said["repaired"], exchange.opened().len()),
            (&1.into(), &6.into(), 1),
            "{said}"
        );
    });
}

/// It asks to connect anew: that is an interruption, since no numbers tell what one connection has and another one not.
#[test]
fn who_is_asked_to_connect_anew_does_and_asks_for_what_was_missed() {
    let kind = Kind::Bitstamp;
    let exchange = Exchange::start(kind, &markets(kind), [Act::Play(vec![(50, Then::Announce)])]);
    let setup = Setup::of(&exchange);
    let process = begin(&exchange, &setup);
    exchange.make_slowly(400, Duration::from_millis(5));
    eventually("all are made", WITHIN, || (exchange.made() == 401 && exchange.opened().len() == 2).then_some(()));
    eventually("the second one", WITHIN, || (exchange.open() == 1).then_some(()));
    exchange.make(10);
    await_all(&exchange, &setup);
    let said = summary(&stop(process));
    for market in markets(kind) {
        setup.assert_complete(&exchange, market, 1, &BTreeSet::new());
    }
    assert_eq!((&said["faults"]["renewed"], exchange.asked().is_empty()), (&1.into(), false), "{said}");
}

/// A collector that was away for some hours has all; for more than a day, what is older is told, before what comes after.
#[test]
fn what_lies_beyond_a_day_is_told_by_the_trades_around_it() {
    let (kind, market) = (Kind::Bitstamp, "btcusd");
    for (away, gap) in [(300, None), (2000, Some((2, 565)))] {
        let pace = Pace { begin_ms: 1_700_000_000_000, every_ms: 60_000 };
        let exchange = Exchange::start_at(kind, &[market], [], pace);
        let setup = Setup::of(&exchange);
        let mut process = setup.start();
        subscribed(&exchange, &mut process);
        exchange.make(1);
        eventually("the first trade", WITHIN, || (setup.last(market) == 1).then_some(()));
        stop(process);
        eventually("it is gone", WITHIN, || (exchange.open() == 0).then_some(()));
        exchange.make(away);
        let mut process = setup.start();
        subscribed(&exchange, &mut process);
        exchange.make(5);
        eventually("all is published", WITHIN, || (setup.last(market) == exchange.made()).then_some(()));
        process.signal(Signal::Term);
        let said = summary(&process.wait(WITHIN).expect_code(0));
        let missing: BTreeSet<u64> = gap.into_iter().flat_map(|(first, last)| first..=last).collect();
        setup.assert_complete(&exchange, market, 1, &missing);
        let told: Vec<_> = gap.into_iter().map(|(first, last)| (first, last, "not_at_the_venue".to_owned())).collect();
        assert_eq!(setup.gaps(market), told);
        assert_eq!(
            (&said["gaps"], &said["missing"], exchange.asked().len()),
            (&told.len().into(), &0.into(), 2),
            "{said}"
        );
    }
}

/// Sixty trades are all that Bybit gives out: those of before are told, and none of the sixty is.
#[test]
fn what_bybit_does_not_give_out_is_told() {
    let market = "SOLUSDT";
    for (away, gap) in [(50, None), (100, Some((2, 46)))] {
        let exchange = Exchange::start(Kind::Bybit, &[market], []);
        let setup = Setup::of(&exchange);
        let mut process = setup.start();
        subscribed(&exchange, &mut process);
        exchange.make(1);
        eventually("the first trade", WITHIN, || (setup.last(market) == 1).then_some(()));
        process.signal(Signal::Kill);
        drop(process);
        eventually("it is gone", WITHIN, || (exchange.open() == 0).then_some(()));
        exchange.make(away);
        let mut process = setup.start();
        subscribed(&exchange, &mut process);
        exchange.make(5);
        eventually("all is published", WITHIN, || (setup.last(market) == exchange.made()).then_some(()));
        stop(process);
        let missing: BTreeSet<u64> = gap.into_iter().flat_map(|(first, last)| first..=last).collect();
        setup.assert_complete(&exchange, market, 1, &missing);
        let told: Vec<_> = gap.into_iter().map(|(first, last)| (first, last, "not_at_the_venue".to_owned())).collect();
        assert_eq!(setup.gaps(market), told);
    }
}

/// An API that stays away: what waits goes on after a while, and what is not known is told.
#[test]
fn what_is_not_told_in_time_is_a_gap_between_two_trades() {
    for kind in UNNUMBERED {
        let market = markets(kind)[0];
        let exchange = Exchange::start(kind, &[market], [Act::Play(vec![(5, Then::Cut)])]);
        exchange.calls(std::iter::repeat_n(Call::Status(500, ""), 1000));
        let setup = Setup::new(&[exchange.setting(&[])], "repair_wait = \"3s\"");
        let mut process = setup.start();
        subscribed(&exchange, &mut process);
        exchange.make(6);
        eventually("it is cut", WITHIN, || (exchange.opened().len() == 2 && exchange.open() == 1).then_some(()));
        exchange.make(4);
        eventually("it goes on", WITHIN, || (setup.last(market) == 10).then_some(()));
        let said = summary(&stop(process));
        setup.assert_complete(&exchange, market, 1, &[6].into());
        assert_eq!(setup.gaps(market), [(6, 6, "not_in_time".to_owned())], "{kind:?}");
        assert_eq!((&said["gaps"], &said["held"]), (&1.into(), &0.into()), "{said}");
    }
}
