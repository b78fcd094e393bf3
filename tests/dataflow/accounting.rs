//! Nothing is lost in silence: whatever comes in, in whatever order, every record is counted once, by outcome, reason and
//! partition, and the counts are those of a slow reading of the contract, on any number of workers.

use crate::harness::{Workers, run};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tickcast::config::{Config, DeadLetterConfig, Preset};
use tickcast::connectors::input::Input;
use tickcast::connectors::memory::{MemoryBytes, MemoryInput, MemoryRecord};
use tickcast::market::Timestamp;

const BASE: i64 = 1_700_000_000_000;
const SLIDE: i64 = 5_000;
const LATENESS: i64 = 2_000;
const MAX_AHEAD: i64 = 3_600_000;
/// A record's event time moves on by up to this much.
const STEP_MAX: u64 = 900;
const RECORDS_MAX: u64 = 3_000;
const STREAMS: u64 = 12;

/// What a record is, for the oracle.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// A price at this event time; what is held against the broker's stamp begins there.
    Price { at: i64, begins: i64 },
    /// Two trades in one message, at these event times; and whether a third cannot be read.
    Trades { at: [i64; 2], and_a_wrong_one: bool },
    /// Cannot be used, whenever it comes.
    Unusable(&'static str, &'static str),
}

struct Made {
    record: MemoryBytes,
    kind: Kind,
}

fn below(rng: &mut ChaCha8Rng, end: u64) -> u64 {
    rng.next_u64() % end
}

/// One record at about `now`, of any kind there is.
fn record(rng: &mut ChaCha8Rng, now: i64) -> Made {
    let symbol = ["BTC", "ETH", "XRP"][below(rng, 3) as usize];
    let price = 100 + below(rng, 50);
    let mut broker_time = now;
    let tick = |at: i64| format!("{{\"symbol\":\"{symbol}\",\"timestamp\":{at},\"price\":{price},\"size\":1}}");
    let priced = |at: i64| Kind::Price { at, begins: at };
    let (text, kind) = match below(rng, 28) {
        // Out of order by less and by more than the lateness.
        0..=8 => (tick(now), priced(now)),
        9 => {
            let at = now - below(rng, 6 * LATENESS as u64 / 500) as i64 * 500;
            (tick(at), priced(at))
        }
        10 => {
            let at = now - below(rng, 3 * MAX_AHEAD as u64) as i64;
            (tick(at), priced(at))
        }
        // Ahead of the broker's clock, around the limit.
        11 => {
            broker_time = now - MAX_AHEAD + below(rng, 4_000) as i64 - 2_000;
            (tick(now), priced(now))
        }
        12 => (tick(now + 20 * MAX_AHEAD), priced(now + 20 * MAX_AHEAD)),
        // A candle within a pane, and one that is longer.
        13 => {
            let at = now + 999;
            let text = format!(
                r#"{{"symbol":"{symbol}","timestamp":{now},"interval":"1s","open":5,"high":6,"low":4,"close":5,"volume":1}}"#
            );
            (text, Kind::Price { at, begins: now })
        }
        14 => {
            let text = format!(
                r#"{{"symbol":"{symbol}","timestamp":{now},"interval":"1m","open":5,"high":6,"low":4,"close":5,"volume":1}}"#
            );
            (text, Kind::Unusable("undecodable", "spans_panes"))
        }
        15 => {
            let stamp = Timestamp::from_millis(now);
            let text = format!(
                r#"+{{"status":{{"timestamp":"{stamp}"}},"data":{{"symbol":"{symbol}","market_data":{{"price_usd":{price}}}}}}}"#
            );
            (text, priced(now))
        }
        16 => (
            r#"{"status":{"timestamp":"2023-11-14T22:13:20Z","error_code":429,"error_message":"slow down"}}"#
                .to_owned(),
            Kind::Unusable("ignored", "error_body"),
        ),
        17 => (String::new(), Kind::Unusable("undecodable", "empty")),
        18 => (tick(now)[..20].to_owned(), Kind::Unusable("undecodable", "not_json")),
        19 => (format!(r#"{{"symbol":"{symbol}","timestamp":{now}}}"#), Kind::Unusable("undecodable", "missing_field")),
        20 => (format!(r#"{{"symbol":"{symbol}","price":{price}}}"#), Kind::Unusable("undecodable", "missing_field")),
        21 => (
            format!(r#"{{"symbol":"{symbol}","timestamp":{now},"price":-{price}}}"#),
            Kind::Unusable("undecodable", "wrong_field"),
        ),
        23 => {
            let text = format!(r#"{{"e":"bookTicker","u":1,"s":"{symbol}","b":"1","B":"1","a":"2","A":"2"}}"#);
            (text, Kind::Unusable("ignored", "bookTicker"))
        }
        24 => (r#"{"channel":"heartbeat"}"#.to_owned(), Kind::Unusable("ignored", "heartbeat")),
        25 | 26 => {
            let at = [now - below(rng, 8 * LATENESS as u64) as i64, now - below(rng, 8 * LATENESS as u64) as i64];
            let and_a_wrong_one = below(rng, 3) == 0;
            let trade = |at: i64, price: u64| {
                format!(
                    r#"{{"symbol":"{symbol}","side":"buy","price":{price},"qty":1.5,"ord_type":"limit","trade_id":1,"timestamp":"{}"}}"#,
                    Timestamp::from_millis(at)
                )
            };
            let mut trades = vec![trade(at[0], price), trade(at[1], price + 1)];
            if and_a_wrong_one {
                trades.push(trade(now, 0));
            }
            let text = format!(r#"{{"channel":"trade","type":"update","data":[{}]}}"#, trades.join(","));
            (text, Kind::Trades { at, and_a_wrong_one })
        }
        22 => (tick(946_684_799_999), Kind::Unusable("undecodable", "wrong_field")),
        _ => {
            let value = vec![b'{', 0xff, 0xfe, b'}'];
            let broker_time = Some(Timestamp::from_millis(now));
            let record = MemoryBytes { broker_time, key: None, value };
            return Made { record, kind: Kind::Unusable("undecodable", "not_utf8") };
        }
    };
    let broker_time = Some(Timestamp::from_millis(broker_time));
    Made { record: MemoryBytes { broker_time, key: None, value: text.into_bytes() }, kind }
}

/// Records by outcome and reason and partition; and those that belong into the dead letters.
#[derive(Default)]
struct Account {
    used: u64,
    unused: BTreeMap<(&'static str, &'static str, u32), u64>,
    letters: BTreeSet<(u32, u64)>,
}

/// Whether the pane of an event time had ended at or before the watermark; from then on it counts for the watermark.
fn is_late(latest: &mut Option<i64>, at: i64) -> bool {
    let pane_end = (at.div_euclid(SLIDE) + 1) * SLIDE;
    let late = latest.is_some_and(|latest| pane_end <= latest - LATENESS);
    *latest = (*latest).max(Some(at));
    late
}

/// The contract, read word by word.
fn expected(partitions: &[Vec<Made>]) -> Account {
    let mut account = Account::default();
    for (partition, records) in (0_u32..).zip(partitions) {
        let mut latest: Option<i64> = None;
        for (offset, made) in (0_u64..).zip(records) {
            let broker = made.record.broker_time.unwrap().millis();
            let (outcome, reason) = match made.kind {
                Kind::Unusable(outcome, reason) => (outcome, reason),
                Kind::Price { begins, .. } if begins > broker + MAX_AHEAD => ("quarantined", "ahead"),
                Kind::Price { at, .. } => {
                    if !is_late(&mut latest, at) {
                        account.used += 1;
                        continue;
                    }
                    ("late", "late")
                }
                Kind::Trades { at, and_a_wrong_one } => {
                    let late = [at[0].min(at[1]), at[0].max(at[1])].map(|at| is_late(&mut latest, at));
                    if late.contains(&false) {
                        account.used += 1;
                        if and_a_wrong_one || late.contains(&true) {
                            let reason = if and_a_wrong_one { "wrong_field" } else { "late" };
                            *account.unused.entry(("partly", reason, partition)).or_default() += 1;
                        }
                        continue;
                    }
                    ("late", "late")
                }
            };
            *account.unused.entry((outcome, reason, partition)).or_default() += 1;
            if outcome != "ignored" {
                account.letters.insert((partition, offset));
            }
        }
    }
    account
}

#[test]
fn every_record_is_counted_once_on_any_number_of_workers() {
    let mut config = Config { dead_letter: Some(DeadLetterConfig::default()), ..Config::default() };
    config.model.preset = Preset::None;
    assert_eq!(
        [config.time.slide.millis(), config.time.allowed_lateness.millis(), config.time.max_ahead.millis()],
        [SLIDE, LATENESS, MAX_AHEAD]
    );
    let mut seen: BTreeSet<(&str, &str)> = BTreeSet::new();
    for seed in 0..STREAMS {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let partitions: Vec<Vec<Made>> = (0..=seed % 4)
            .map(|_| {
                let mut now = BASE + below(&mut rng, 60_000) as i64;
                (0..below(&mut rng, RECORDS_MAX))
                    .map(|_| {
                        now += below(&mut rng, STEP_MAX) as i64;
                        // Half of them at stamps that lie on the edges of panes as often as not.
                        let at = if below(&mut rng, 2) == 0 { now / 500 * 500 } else { now };
                        record(&mut rng, at)
                    })
                    .collect()
            })
            .collect();
        let expected = expected(&partitions);
        seen.extend(expected.unused.keys().map(|(outcome, reason, _)| (*outcome, *reason)));
        let total: u64 = partitions.iter().map(|records| records.len() as u64).sum();
        let records: Vec<Vec<MemoryRecord>> = partitions
            .iter()
            .map(|made| made.iter().map(|m| MemoryRecord::Bytes(Box::new(m.record.clone()))).collect())
            .collect();
        let records = Arc::new(records);
        let mut rows = None;
        for count in 1..=4 {
            let records = Arc::clone(&records);
            let workers = Workers { count, serialised: count == 3 };
            let published = run(
                &config,
                workers,
                Arc::new(move |worker, workers| {
                    Ok(Box::new(MemoryInput::new(Arc::clone(&records), worker, workers)) as Box<dyn Input>)
                }),
            );
            let summary = &published.summary;
            let at = format!("seed {seed}, {count} workers");
            assert_eq!(summary.records.total(), total, "{at}");
            let unused =
                summary.unused.iter().map(|(what, n)| ((what.outcome, what.reason, what.partition), *n)).collect();
            let letters = published.batch.dead_letters.iter().map(|l| (l.partition.0, l.offset)).collect();
            let account = Account { used: summary.records.used, unused, letters };
            assert_eq!((account.used, &account.unused), (expected.used, &expected.unused), "{at}");
            assert!(account.letters == expected.letters, "{at}");
            assert_eq!(published.batch.dead_letters.len(), account.letters.len(), "{at}: each once");
            let whole = account.unused.iter().filter(|((outcome, ..), _)| *outcome != "partly");
            assert_eq!(whole.map(|(_, n)| n).sum::<u64>() + account.used, total, "{at}");
            for letter in &published.batch.dead_letters {
                let made = &partitions[letter.partition.0 as usize][letter.offset as usize];
                assert!(letter.value == made.record.value, "{at}: the original bytes");
            }
            let bytes = published.rows(&config);
            assert!(!bytes.is_empty(), "{at}");
            assert!(*rows.get_or_insert_with(|| bytes.clone()) == bytes, "{at}: the same rows");
        }
        println!("seed {seed}: {total} records in {} partitions, {} used", partitions.len(), expected.used);
    }
    println!("{seen:?}");
    assert!(seen.len() >= 13, "{seen:?}");
}
