//! What APIs tell: behind an archive up to a topic, and of venues that have none.

use super::{WITHIN, backfill, command, index, time};
use crate::archive::{Archive, Kind};
use crate::exchange::{Exchange, Kind as Venue, Pace, is_sell, trade};
use crate::support::{Process, Signal, eventually, run_to_end, temp_dir};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;
use tickcast::connectors::kafka::EmbeddedBroker;

/// The archive to yesterday, the API to now, and a collector's topic from a little before: one market, without a seam. Of aggregate
/// trades as of single ones.
#[test]
fn a_history_and_the_topic_behind_it_are_one_market() {
    std::thread::scope(|scope| {
        scope.spawn(|| one_market(Kind::Trades, Venue::Binance));
        scope.spawn(|| one_market(Kind::AggTrades, Venue::BinanceAggregates));
    });
}

fn one_market(kind: Kind, venue: Venue) {
    const SYMBOL: &str = "BTCUSDT";
    const DAY: u64 = 86_400_000;
    let dir = temp_dir();
    let today = jiff::Timestamp::now().as_millisecond() as u64 / DAY * DAY;
    let pace = Pace { begin_ms: today - 2 * DAY, every_ms: 5000 };
    let exchange = Exchange::start_at(venue, &[SYMBOL], [], pace);
    exchange.make_by_clock();
    let archive = Archive::start(kind);
    for day in [today - 2 * DAY, today - DAY] {
        let ids = pace.id_at(day).max(1)..pace.id_at(day + DAY);
        let row = |id: u64| {
            let ((price, size), flag) = (trade(SYMBOL, id), if is_sell(id) { "True" } else { "False" });
            let more = if kind == Kind::Trades { "1.5".to_owned() } else { format!("{},{}", id * 3 - 2, id * 3) };
            format!("{id},{price},{size},{more},{},{flag},True\n", pace.at_ms(id))
        };
        archive.serve(&time(day as i64)[..10], &ids.map(row).collect::<String>());
    }
    let broker = EmbeddedBroker::start(&[("ticks", 1), ("ticks.gaps", 1)]).unwrap();
    let config = dir.path().join("c.toml");
    let (history, live, whole) = (dir.path().join("history"), dir.path().join("live"), dir.path().join("whole"));
    let text = format!(
        "[job]\nid = \"one\"\n[source.kafka]\nbrokers = \"{}\"\ntopic = \"ticks\"\n[sink.files]\ndir = \"{}\"\n[collect]\nvenues = [{}]\n\
         [history]\ndir = \"{}\"\nkind = \"{}\"\nsymbols = [\"{SYMBOL}\"]\nfrom = \"{}\"\nurl = \"http://{}\"\napi_url = \"{}\"\n",
        broker.bootstrap(),
        live.display(),
        exchange.setting(&[]),
        history.display(),
        kind.name(),
        time((today - 2 * DAY) as i64),
        archive.address,
        exchange.api_url(),
    );
    std::fs::write(&config, text).unwrap();
    let start = |arguments: &[&str]| {
        let all = arguments.iter().copied().chain(["-c", config.to_str().unwrap()]);
        command(&all.map(str::to_owned).collect::<Vec<_>>())
    };
    let mut collect = Process::spawn(start(&["collect"]));
    eventually("it is subscribed", WITHIN, || (exchange.open() == 1).then_some(()));
    let subscribed = exchange.made();
    eventually("some trades", WITHIN, || (exchange.made() > subscribed + 2).then_some(()));
    run_to_end(start(&["history"]), WITHIN).expect_code(0);
    let series = index(&history).series.remove(0);
    assert_eq!((series.files.len(), series.holes.len()), (3, 0), "{series:?}");
    let last = series.files[2].last.unwrap().id;
    assert!(last > subscribed, "both have some");
    let mut job = Process::spawn(start(&["backfill", "--then-live", "--json"]));
    let read = |dir: &Path, name: &str| std::fs::read_to_string(dir.join(name)).unwrap_or_default();
    let through =
        |text: &str| -> Option<u64> { serde_json::from_str::<Value>(text.lines().last()?).ok()?["end"].as_u64() };
    eventually("a minute behind the history", WITHIN, || {
        (through(&read(&live, "features.jsonl"))? > pace.at_ms(last) + 60_000).then_some(())
    });
    job.signal(Signal::Term);
    let summary: Value = serde_json::from_slice(&job.wait(WITHIN).expect_code(0).stdout).unwrap();
    collect.signal(Signal::Term);
    collect.wait(WITHIN).expect_code(0);
    exchange.stop_making();
    assert_eq!(summary["records"]["late"], 0, "{summary}");
    let all: String = (1..=exchange.made())
        .map(|id| {
            let ((price, size), side) = (trade(SYMBOL, id), if is_sell(id) { "sell" } else { "buy" });
            let at = pace.at_ms(id);
            format!(
                "{{\"symbol\":\"{SYMBOL}\",\"timestamp\":{at},\"price\":{price},\"size\":{size},\"side\":\"{side}\"}}\n"
            )
        })
        .collect();
    std::fs::write(dir.path().join("all.jsonl"), all).unwrap();
    let sets = [
        format!("source.files.paths={}", dir.path().join("all.jsonl").display()),
        format!("sink.files.dir={}", whole.display()),
        "job.id=one".to_owned(),
    ];
    let mut arguments = vec!["backfill".to_owned()];
    sets.into_iter().for_each(|set| arguments.extend(["--set".to_owned(), set]));
    run_to_end(command(&arguments), WITHIN).expect_code(0);
    for name in ["features.jsonl", "forecasts.jsonl", "scores.jsonl"] {
        let (one, other) = (read(&live, name), read(&whole, name));
        let differs = one.lines().zip(other.lines()).find(|(one, other)| one != other);
        assert!(differs.is_none() && one.lines().count() > 1000, "{name}: {differs:#?}");
    }
}

/// Venues without archives: candles and trades of their APIs, day by day, also over deaths.
#[test]
fn what_apis_tell_is_a_history_too() {
    let run_kind = |kind: Venue, what: &str| {
        const DAY: u64 = 86_400_000;
        let (venue, market) = match kind {
            Venue::Coinbase => ("coinbase", "BTC-USD"),
            Venue::Kraken => ("kraken", "BTC/USD"),
            _ => ("okx", "BTC-USDT"),
        };
        let today = jiff::Timestamp::now().as_millisecond() as u64 / DAY * DAY;
        let (begin, every_ms) = (today - 3 * DAY, if what == "klines" { 20_000 } else { 60_000 });
        let pace = Pace { begin_ms: begin, every_ms };
        let exchange = Exchange::start_at(kind, &[market], [], pace);
        exchange.make((today - begin) / every_ms + 100);
        let (from, to) = (begin + 5 * 3_600_000, today - 3_600_000);
        let dir = temp_dir();
        let sets = [
            format!("history.dir={}", dir.path().display()),
            format!("history.venue={venue}"),
            format!("history.kind={what}"),
            format!("history.symbols={market}"),
            format!("history.api_url={}", exchange.api_url()),
            format!("history.from={}", time(from as i64)),
            format!("history.to={}", time(to as i64)),
        ];
        let mut arguments = vec!["history".to_owned(), "--json".to_owned()];
        sets.into_iter().for_each(|set| arguments.extend(["--set".to_owned(), set]));
        for kill in 0..3 {
            let mut process = Process::spawn(command(&arguments));
            std::thread::sleep(Duration::from_millis(700 * (kill + 1)));
            process.signal(Signal::Kill);
            process.wait(WITHIN);
        }
        // Kraken's API has the candles of the last twelve hours alone.
        let is_kraken = kind == Venue::Kraken && what == "klines";
        let said = run_to_end(command(&arguments), WITHIN).expect_code(i32::from(is_kraken)).stderr;
        let series = index(dir.path()).series.remove(0);
        let rows: u64 = series.files.iter().map(|file| file.rows).sum();
        if is_kraken {
            assert_eq!(series.holes[0].why, "kraken's API has the last 719 minutes");
            assert!(said.contains("nothing was had of BTC/USD"), "{said}");
            return;
        }
        assert_eq!(series.holes, [], "{venue} {what}");
        let expected = match what {
            "klines" => (to - from) / 60_000,
            _ => pace.id_at(to) - pace.id_at(from),
        };
        assert_eq!((rows, series.files.len()), (expected, 3), "{venue} {what}");
        let (_, used) = backfill(dir.path(), &[]);
        assert_eq!(used, rows);
        let asked = exchange.asked().len();
        run_to_end(command(&arguments), WITHIN).expect_code(0);
        assert!(exchange.asked().len() - asked <= 40, "days that are over are not asked for again");
    };
    let run_kind = &run_kind;
    std::thread::scope(|scope| {
        for kind in [Venue::Coinbase, Venue::Kraken, Venue::Okx] {
            for what in ["klines", "trades"] {
                scope.spawn(move || run_kind(kind, what));
            }
        }
    });
}

/// Days of tardis: sorted by when it heard of a trade, empty where it heard of none.
#[test]
fn free_days_are_read_and_days_without_a_row_are_holes() {
    let server = Archive::start(Kind::Trades);
    let header = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n";
    let row = |at: &str, id: u32| {
        let us = at.parse::<jiff::Timestamp>().unwrap().as_microsecond();
        format!("bitmex,XBTUSD,{us},{},a{id},buy,40000.5,{id}\n", us + 5000)
    };
    let rows = [("2024-03-04T23:59:59.9Z", 1), ("2024-03-05T00:00:01Z", 2), ("2024-03-05T23:59:59Z", 3)];
    let text: String = rows.iter().map(|(at, id)| row(at, *id)).collect();
    server.serve("2024-03-05", &(header.to_owned() + &text));
    server.serve("2024-03-06", header);
    let dir = temp_dir();
    let sets = [
        format!("history.dir={}", dir.path().display()),
        "history.venue=tardis".to_owned(),
        "history.market=bitmex".to_owned(),
        "history.kind=trades".to_owned(),
        "history.symbols=XBTUSD".to_owned(),
        format!("history.url=http://{}/{{exchange}}/XBTUSD-trades-{{date}}.zip", server.address),
    ];
    let mut arguments = vec!["history".to_owned(), "--json".to_owned()];
    sets.into_iter().for_each(|set| arguments.extend(["--set".to_owned(), set]));
    arguments.extend(["--to", "2024-03-08T00:00:00Z", "--from"].map(str::to_owned));
    let run = |from: &str| {
        let all: Vec<String> = arguments.iter().cloned().chain([from.to_owned()]).collect();
        run_to_end(command(&all), WITHIN)
    };
    let said = run("2024-03-06T00:00:00Z").expect_code(1).stderr;
    assert!(said.contains("nothing was had of XBTUSD") && server.asked().len() == 2, "{said}");
    let reasons = || index(dir.path()).series[0].holes.iter().map(|hole| hole.reason.clone()).collect::<Vec<_>>();
    assert_eq!(reasons(), ["empty", "not_published"]);
    let said = run("2024-03-05T00:00:00Z").expect_code(1).stderr;
    assert!(said.contains("1 holes may be filled"), "{said}");
    assert_eq!((reasons().len(), index(dir.path()).series[0].files.len()), (2, 1));
    let (_, used) = backfill(dir.path(), &[]);
    assert_eq!(used, 3);
}
