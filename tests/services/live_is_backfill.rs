//! A live job publishes byte for byte what a backfill over the same records gives: to Kafka as its own console consumer sees
//! it, and to the database field by field.

use crate::live;
use crate::live::{Setup, assert_same, nine_symbols_as_ticks, stamp};
use crate::support;
use crate::support::{Services, Signal, console_consumer, documents, read_committed};
use mongodb::bson::{Bson, Document};
use std::path::Path;
use std::time::Duration;

const WITHIN: Duration = Duration::from_secs(900);

/// Replays `file`, runs the job until it has caught up, and compares.
fn compare(setup: &Setup<'_>, file: &Path, symbol: Option<&str>) -> Compared {
    setup.replay(file, symbol);
    let backfilled = setup.backfill(file, symbol);
    let mut job = setup.start();
    setup.await_through(backfilled.last_but_one(), WITHIN);
    job.signal(Signal::Term);
    let finished = job.wait(Duration::from_secs(10)).expect_code(0);
    let summary: serde_json::Value = serde_json::from_slice(&finished.stdout).unwrap();
    assert_eq!(summary["records"]["late"], 0);

    let through = setup.through();
    let (forecasts, scores) = backfilled.up_to(through);
    let console = console_consumer(setup.services, &setup.forecasts, Duration::from_secs(10));
    assert_same(&console, &forecasts, "forecasts");
    assert_same(&read_committed(setup.services.kafka(), &format!("{}.scores", setup.forecasts)), &scores, "scores");
    if let Some(database) = &setup.database {
        assert_documents(&documents(setup.services.mongodb(), database, "predictions"), &forecasts);
        assert_documents(&documents(setup.services.mongodb(), database, "scores"), &scores);
    }
    Compared { published: forecasts.len(), of: backfilled.forecasts.len() }
}

/// How many forecasts were compared, of how many that the backfill gave.
struct Compared {
    published: usize,
    of: usize,
}

/// That the documents are these objects, field by field; they are sorted by `_id`.
fn assert_documents(found: &[Document], lines: &[&String]) {
    let mut expected: Vec<serde_json::Value> = lines.iter().map(|line| support::exact_json(line)).collect();
    expected.sort_by(|a, b| a["id"].as_str().cmp(&b["id"].as_str()));
    assert_eq!(found.len(), expected.len(), "documents");
    for (document, value) in found.iter().zip(&expected) {
        for (field, expected) in value.as_object().unwrap() {
            let name = if field == "id" { "_id" } else { field };
            assert_field(document.get(name).unwrap_or(&Bson::Undefined), expected, &format!("{} {name}", value["id"]));
        }
    }
}

fn assert_field(found: &Bson, expected: &serde_json::Value, what: &str) {
    match (found, expected) {
        (Bson::DateTime(at), serde_json::Value::String(text)) => {
            assert_eq!(at.timestamp_millis(), live::epoch_ms(text), "{what}");
        }
        (Bson::Document(document), serde_json::Value::Object(fields)) => {
            for (name, expected) in fields {
                assert_field(document.get(name).unwrap_or(&Bson::Undefined), expected, &format!("{what}.{name}"));
            }
        }
        (Bson::Array(items), serde_json::Value::Array(values)) => {
            assert_eq!(items.len(), values.len(), "{what}");
            for (found, expected) in items.iter().zip(values) {
                assert_field(found, expected, what);
            }
        }
        (Bson::String(text), value) => assert_eq!(Some(text.as_str()), value.as_str(), "{what}"),
        (Bson::Boolean(on), value) => assert_eq!(Some(*on), value.as_bool(), "{what}"),
        (Bson::Null, value) => assert!(value.is_null(), "{what}"),
        (Bson::Int64(number), value) => assert_eq!(Some(*number), value.as_i64(), "{what}"),
        (Bson::Double(number), value) => assert_eq!(Some(number.to_bits()), value.as_f64().map(f64::to_bits), "{what}"),
        (found, value) => panic!("{what}: {found} for {value}"),
    }
}

#[test]
#[ignore = "needs services: run ./deploy/test"]
fn the_million_trades() {
    let Some(file) = support::data("trades/trades_xbtusd_bitmex_20180101_20180105_1M.csv.zst") else { return };
    let services = Services::shared();
    let setup = Setup::new(&services, true, "");
    let compared = compare(&setup, &file, Some("XBTUSD"));
    println!("{} forecasts of {}", compared.published, compared.of);
    assert!(compared.published > 20_000);
}

/// `TICKCAST_TEST_DAYS` sets the number of days (default 0.5: a database takes some 1,500 upserts a second);
/// `TICKCAST_TEST_DATABASE=0` leaves the database out, for all of the month.
#[test]
#[ignore = "needs services: run ./deploy/test"]
fn nine_symbols_from_a_topic_of_four_partitions() {
    let services = Services::shared();
    let days = std::env::var("TICKCAST_TEST_DAYS").map_or(0.5, |days| days.parse().unwrap());
    let database = std::env::var("TICKCAST_TEST_DATABASE").map_or(true, |on| on != "0");
    let setup = Setup::new(&services, database, "");
    let Some(file) = nine_symbols_as_ticks(setup.dir.path(), days) else { return };
    let compared = compare(&setup, &file, None);
    println!("{} forecasts of {}", compared.published, compared.of);
    // The last tick lies in the last pane of a step, which only the end of an input closes: a stop does not.
    assert_eq!(compared.of - compared.published, 9 * 4);
}

/// SIGINT, as SIGTERM above: what is closed is out, and nothing else.
#[test]
#[ignore = "needs services: run ./deploy/test"]
fn a_stop_in_the_middle_publishes_what_is_closed_and_no_more() {
    let services = Services::shared();
    let setup = Setup::new(&services, false, "");
    let Some((whole, parts)) = live::trades(setup.dir.path(), &[60_000, 90_000]) else { return };
    setup.replay(&parts[0], Some("XBTUSD"));
    let mut job = setup.start();
    setup.await_through(1, WITHIN);
    let asked = std::time::Instant::now();
    job.signal(Signal::Int);
    job.wait(Duration::from_secs(10)).expect_code(0);
    assert!(asked.elapsed() < Duration::from_secs(5), "a stop took {:?}", asked.elapsed());
    let through = setup.through();
    let backfilled = setup.backfill(&whole, Some("XBTUSD"));
    let (forecasts, _) = backfilled.up_to(through);
    assert_same(&read_committed(services.kafka(), &setup.forecasts), &forecasts, "after the stop");

    // The next start goes on from there.
    setup.replay(&parts[1], Some("XBTUSD"));
    let mut job = setup.start();
    setup.await_through(backfilled.last_but_one(), WITHIN);
    job.signal(Signal::Term);
    job.wait(Duration::from_secs(10)).expect_code(0);
    let (forecasts, _) = backfilled.up_to(setup.through());
    assert_same(&read_committed(services.kafka(), &setup.forecasts), &forecasts, "after the second stop");
    assert!(stamp(forecasts.last().unwrap(), "issued_at") > stamp(forecasts[0], "issued_at"));
}
