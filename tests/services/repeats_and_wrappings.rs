//! What real topics hold, through a real broker: records told twice, by two collectors and after reconnects, and records in the
//! wrappings of other tools. The forecasts are those of a backfill over the plain market.

use crate::live::{Setup, assert_same};
use crate::support::{self, Record, Services, Signal, produce, read_committed};
use std::collections::BTreeSet;
use std::io::Read as _;
use std::time::Duration;

const WITHIN: Duration = Duration::from_secs(120);
/// Forecasts every five seconds, since the markets are short.
const SHORT: &str =
    "[time]\nallowed_lateness = \"0s\"\nepoch = \"1m\"\n[model]\nstep = \"5s\"\nhorizons = [\"5s\", \"30s\"]\n";
const MINUTES: &str = "[time]\nslide = \"1m\"\n";

fn case(name: &str) -> Option<Vec<Vec<u8>>> {
    let path = support::data(&format!("../cases/{name}"))?;
    let bytes = std::fs::read(path).unwrap();
    let mut text = Vec::new();
    if name.ends_with(".gz") {
        flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_end(&mut text).unwrap();
    } else {
        text = bytes;
    }
    Some(text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect())
}

/// Runs a live job over `told`, and compares it with a backfill over `once`. Gives the job's records.
fn compare(services: &Services, once: &str, told: Vec<(i32, Vec<u8>)>, extra: &str) -> serde_json::Value {
    let setup = Setup::new(services, false, extra);
    let plain = case(once).unwrap();
    let file = setup.dir.path().join("once.jsonl");
    std::fs::write(&file, plain.join(&b'\n')).unwrap();
    let backfilled = setup.backfill(&file, None);
    let record = |(partition, value)| Record { partition: Some(partition), key: None, value };
    produce(services.kafka(), &setup.ticks, told.into_iter().map(record));
    let mut job = setup.start();
    setup.await_through(backfilled.last_but_one(), WITHIN);
    job.signal(Signal::Term);
    let ended = job.wait(Duration::from_secs(20)).expect_code(0);
    let (forecasts, scores) = backfilled.up_to(setup.through());
    assert!(forecasts.len() > 20, "{once}: {}", forecasts.len());
    assert_same(&read_committed(services.kafka(), &setup.forecasts), &forecasts, once);
    assert_same(&read_committed(services.kafka(), &format!("{}.scores", setup.forecasts)), &scores, once);
    let summary: serde_json::Value = serde_json::from_slice(&ended.stdout).unwrap();
    summary["records"].clone()
}

/// The first time in one partition, again in another.
#[test]
#[ignore = "needs services: run ./deploy/test"]
fn what_is_told_twice_counts_once() {
    let services = Services::shared();
    for (once, twice, extra) in [
        ("binance_once.jsonl.gz", "binance_two_collectors.jsonl.gz", SHORT),
        ("coinbase_once.jsonl.gz", "coinbase_reconnects.jsonl.gz", SHORT),
        ("klines_once.jsonl.gz", "klines_twice.jsonl.gz", MINUTES),
    ] {
        let (Some(plain), Some(told)) = (case(once), case(twice)) else { return };
        let mut seen = BTreeSet::new();
        let told: Vec<_> = told.into_iter().map(|line| (i32::from(!seen.insert(line.clone())), line)).collect();
        let count = told.len();
        let records = compare(&services, once, told, extra);
        println!("{twice}: {count} records of {}: {records}", plain.len());
        // What lies in a pane that is still open is told apart when it closes.
        let (used, ignored) =
            (records["used"].as_u64().unwrap() as usize, records["ignored"].as_u64().unwrap() as usize);
        assert!(used + ignored == count && (plain.len()..plain.len() + 100).contains(&used), "{twice}: {records}");
    }
}

#[test]
#[ignore = "needs services: run ./deploy/test"]
fn wrappings_are_opened() {
    let services = Services::shared();
    for wrapped in ["envelope_connect", "envelope_debezium", "bom_each_value", "registry_frame"] {
        let Some(told) = case(&format!("{wrapped}.jsonl")) else { return };
        let count = told.len();
        let told = told.into_iter().map(|line| (0, line)).collect();
        let records = compare(&services, "plain.jsonl", told, SHORT);
        assert_eq!(records["used"], count, "{wrapped}: {records}");
    }
}
