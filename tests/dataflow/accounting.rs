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

/// One record at about `now`, of any kind there is; without a broker, as in a file, stamps may jump.
fn record(rng: &mut ChaCha8Rng, now: i64, has_broker: bool) -> Made {
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
        // Far ahead, and around what may be.
        11 | 12 if !has_broker => {
            let at = now + MAX_AHEAD * (1 + below(rng, 3) as i64) + below(rng, 4_000) as i64 - 2_000;
            (tick(at), priced(at))
        }
        // Ahead of the broker's clock, around the limit.
        11 => {
            broker_time = now - MAX_AHEAD + below(rng, 4_000) as i64 - 2_000;
            (tick(now), priced(now))
        }
        12 => (tick(now + 20 * MAX_AHEAD), priced(now + 20 * MAX_AHEAD)),
        // A candle within a pane, of a length that no other has, and one that is longer than a pane.
        13 => {
            let ms = 1_000 + below(rng, 3_000) as i64;
            let at = now + ms - 1;
            let text = format!(
                r#"{{"symbol":"{symbol}","timestamp":{now},"interval":"{ms}ms","open":5,"high":6,"low":4,"close":5,"volume":1}}"#
            );
            (text, Kind::Price { at, begins: now })
        }
        14 if has_broker => {
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
            // None comes twice: what becomes of those is told in `once`.
            let id = below(rng, 1 << 40);
            let trade = |at: i64, price: u64, id: u64| {
                format!(
                    r#"{{"symbol":"{symbol}","side":"buy","price":{price},"qty":1.5,"ord_type":"limit","trade_id":{id},"timestamp":"{}"}}"#,
                    Timestamp::from_millis(at)
                )
            };
            let mut trades = vec![trade(at[0], price, id), trade(at[1], price + 1, id + 1)];
            if and_a_wrong_one {
                trades.push(trade(now, 0, id + 2));
            }
            let text = format!(r#"{{"channel":"trade","type":"update","data":[{}]}}"#, trades.join(","));
            (text, Kind::Trades { at, and_a_wrong_one })
        }
        22 => (tick(946_684_799_999), Kind::Unusable("undecodable", "wrong_field")),
        _ => {
            let value = vec![b'{', 0xff, 0xfe, b'}'];
            let broker_time = has_broker.then(|| Timestamp::from_millis(now));
            let record = MemoryBytes { broker_time, key: None, value };
            return Made { record, kind: Kind::Unusable("undecodable", "not_utf8") };
        }
    };
    let broker_time = has_broker.then(|| Timestamp::from_millis(broker_time));
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

/// One partition, read word by word.
struct Slow<'a> {
    account: &'a mut Account,
    partition: u32,
    latest: Option<i64>,
    /// Whether the latest was as old as its broker said.
    live: bool,
    /// What waits for the next, and when it begins at the latest.
    in_hand: Vec<(u64, &'a Made, i64)>,
}

impl<'a> Slow<'a> {
    /// Whether a record waits: it jumps, and no broker says that it is of now.
    fn read(&mut self, offset: u64, made: &'a Made) {
        let (first, last, at) = match made.kind {
            Kind::Unusable(outcome, reason) => return self.refuse(offset, outcome, reason),
            Kind::Price { at, begins } => (begins, begins, at),
            Kind::Trades { at, .. } => (at[0].min(at[1]), at[0].max(at[1]), at[0].max(at[1])),
        };
        if let Some((.., wild)) = self.in_hand.last() {
            if *wild == last {
                return self.in_hand.push((offset, made, last));
            }
            let reach = self.latest.unwrap_or(first) + MAX_AHEAD;
            let came_back = if self.latest.is_some() { first <= reach } else { *wild > reach };
            for (offset, made, _) in std::mem::take(&mut self.in_hand) {
                self.take(offset, made, came_back.then_some(reach));
            }
        }
        let broker = made.record.broker_time.map(Timestamp::millis);
        let is_now = |at: i64| broker.is_some_and(|broker| (at - broker).abs() <= MAX_AHEAD);
        match self.latest {
            Some(latest) if last <= latest + MAX_AHEAD => {
                if at >= latest {
                    self.live = is_now(at);
                }
            }
            None if broker.is_some() => self.live = is_now(last),
            _ if is_now(last) && self.live => {}
            _ if broker.is_some_and(|broker| last > broker + MAX_AHEAD) => {}
            _ => return self.in_hand.push((offset, made, last)),
        }
        self.take(offset, made, None);
    }

    fn take(&mut self, offset: u64, made: &Made, wild_after: Option<i64>) {
        let is_wild = |begins: i64| wild_after.is_some_and(|reach| begins > reach);
        let broker = made.record.broker_time.map_or(i64::MAX / 2, Timestamp::millis);
        match made.kind {
            Kind::Unusable(..) => unreachable!(),
            Kind::Price { begins, .. } if is_wild(begins) => self.refuse(offset, "quarantined", "jumped"),
            Kind::Price { begins, .. } if begins > broker + MAX_AHEAD => self.refuse(offset, "quarantined", "ahead"),
            Kind::Price { at, .. } if is_late(&mut self.latest, at) => self.refuse(offset, "late", "late"),
            Kind::Price { .. } => self.account.used += 1,
            Kind::Trades { at, and_a_wrong_one } => {
                let fates = [at[0].min(at[1]), at[0].max(at[1])].map(|at| match is_wild(at) {
                    true => Some(("quarantined", "jumped")),
                    false => is_late(&mut self.latest, at).then_some(("late", "late")),
                });
                let Some(first) = fates.iter().flatten().next() else {
                    self.account.used += 1;
                    return if and_a_wrong_one {
                        self.note("partly", "wrong_field");
                    };
                };
                if fates.contains(&None) {
                    self.account.used += 1;
                    self.note("partly", if and_a_wrong_one { "wrong_field" } else { first.1 });
                } else {
                    self.refuse(offset, first.0, first.1);
                }
            }
        }
    }

    fn note(&mut self, outcome: &'static str, reason: &'static str) {
        *self.account.unused.entry((outcome, reason, self.partition)).or_default() += 1;
    }

    fn refuse(&mut self, offset: u64, outcome: &'static str, reason: &'static str) {
        self.note(outcome, reason);
        if outcome != "ignored" {
            self.account.letters.insert((self.partition, offset));
        }
    }
}

/// The contract, read word by word.
fn expected(partitions: &[Vec<Made>]) -> Account {
    let mut account = Account::default();
    for (partition, records) in (0_u32..).zip(partitions) {
        let (latest, live, in_hand) = (None, false, Vec::new());
        let mut slow = Slow { account: &mut account, partition, latest, live, in_hand };
        for (offset, made) in (0_u64..).zip(records) {
            slow.read(offset, made);
        }
        for (offset, made, _) in std::mem::take(&mut slow.in_hand) {
            slow.take(offset, made, None);
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
                        // A hole, now and then.
                        if below(&mut rng, 400) == 0 {
                            now += 3 * MAX_AHEAD;
                        }
                        // Half of them at stamps that lie on the edges of panes as often as not.
                        let at = if below(&mut rng, 2) == 0 { now / 500 * 500 } else { now };
                        record(&mut rng, at, seed % 3 != 0)
                    })
                    .flat_map(|made| {
                        // Two collectors write the same jump: ticks, which nobody knows again.
                        let twice = matches!(made.kind, Kind::Price { at, begins } if at == begins && at % 7 == 0);
                        let again = twice.then(|| Made { record: made.record.clone(), kind: made.kind });
                        std::iter::once(made).chain(again)
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
    assert!(seen.len() >= 14, "{seen:?}");
}
