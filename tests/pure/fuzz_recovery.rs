//! Any bytes, read as a checkpoint's manifest, as a forecaster's state or as what another process says, are that or an error: no
//! panic, and no memory that they do not stand for.
//!
//! `TICKCAST_TEST_FUZZ` is how many (100,000), `TICKCAST_TEST_SEED` which (1). The long run:
//! `TICKCAST_TEST_FUZZ=10000000 cargo test --release --test pure fuzz_recovery -- --nocapture`. Greetings of processes are beside them,
//! in `cargo test --release --lib cluster::hello`.

use crate::allocations::asked_by;
use crate::fuzz::{self, Random};
use std::collections::BTreeMap;
use std::rc::Rc;
use tickcast::config::Config;
use tickcast::dataflows::cluster::{Part, Wanted, Word};
use tickcast::dataflows::model::forecaster_config;
use tickcast::market::{Generation, PartitionId, Release, Symbol, Timestamp};
use tickcast::model::forecaster::Forecaster;
use tickcast::recovery::manifest::{Keeper, MANIFEST_VERSION, Manifest, Section, sha256};
use tickcast::recovery::{Computation, Fault};

/// Bytes of memory for a byte of input: JSON of many small entries takes the most.
const MEMORY_PER_BYTE: usize = 64;
/// Errors, and what a reader makes room for before it has read anything.
const MEMORY_BASE: usize = 256 << 10;

fn manifest() -> Manifest {
    let section = |keeper, part, from| Section {
        keeper,
        part,
        object: "btc/00001700000000000-3/state-0".to_owned(),
        from,
        bytes: 17,
        state: 5,
        sha256: sha256(b"state"),
    };
    Manifest {
        version: MANIFEST_VERSION,
        job: "btc".to_owned(),
        generation: Generation(3),
        computation: Computation::new([("time.slide", "5s".to_owned()), ("model.random_seed", "42".to_owned())]),
        cut: Timestamp::from_millis(1_700_000_000_000),
        offsets: [(PartitionId(0), 12), (PartitionId(3), 5)].into(),
        partitions: 4,
        parts: 64,
        layout: "1.1".to_owned(),
        sinks: vec!["topic btc.forecasts".to_owned()],
        sections: vec![section(Keeper::Source(PartitionId(0)), None, 0), section(Keeper::Forecasters, Some(7), 17)],
    }
}

/// Changed bytes of `valid`, or none of them.
fn change(random: &mut Random, valid: &[u8], as_text: bool) -> Vec<u8> {
    let mut bytes = valid.to_vec();
    match random.below(8) {
        0 => return random.bytes(300),
        1 => bytes.truncate(random.below(bytes.len() + 1)),
        _ => {
            for _ in 0..random.below(4) + 1 {
                if as_text && random.below(3) > 0 {
                    random.change_token(&mut bytes);
                } else {
                    random.change_byte(&mut bytes);
                }
            }
        }
    }
    bytes
}

fn check<T, E>(number: u64, bytes: &[u8], read: impl FnOnce(&[u8]) -> Result<T, E>) -> Result<T, E> {
    let (read, asked) = asked_by(|| read(bytes));
    let used = asked.most_bytes;
    assert!(used <= MEMORY_BASE + MEMORY_PER_BYTE * bytes.len(), "input {number}: {used} bytes of memory");
    read
}

#[test]
fn any_bytes_are_a_manifest_or_an_error() {
    let (count, seed) = fuzz::from_environment();
    let (mut random, valid) = (Random::new(seed), manifest().to_bytes());
    assert_eq!(Manifest::parse("m", &valid).unwrap(), manifest());
    let json_end = valid.iter().position(|byte| *byte == b'\n').unwrap();
    let mut outcomes: BTreeMap<&str, u64> = BTreeMap::new();
    for number in 0..count {
        let bytes = if random.below(2) == 0 {
            change(&mut random, &valid, true)
        } else {
            // With a digest that fits: what a program with a fault would write.
            let mut json = change(&mut random, &valid[..json_end], true);
            json.retain(|byte| *byte != b'\n');
            let digest = sha256(&json);
            json.push(b'\n');
            json.extend(digest.bytes());
            json.push(b'\n');
            json
        };
        let outcome = match check(number, &bytes, |bytes| Manifest::parse("m", bytes)) {
            Ok(read) => {
                assert_eq!(Manifest::parse("m", &read.to_bytes()).unwrap(), read, "input {number} reads back");
                "manifest"
            }
            Err(damage) => {
                assert!(damage.to_string().len() < 500, "input {number}: {damage}");
                "damage"
            }
        };
        *outcomes.entry(outcome).or_default() += 1;
    }
    println!("{count} inputs of seed {seed}: {outcomes:?}");
    assert!(outcomes["manifest"] > count / 100 && outcomes["damage"] > count / 100, "{outcomes:?}");
}

#[test]
fn any_bytes_are_a_word_of_another_process_or_an_error() {
    let (count, seed) = fuzz::from_environment();
    let mut random = Random::new(seed);
    let release = Release { partition: PartitionId(2), offset: 9, before: Timestamp::from_millis(60_000) };
    let part = Part {
        topic: "btc.ticks".to_owned(),
        topic_id: Some("QWERTY".to_owned()),
        starts: [(PartitionId(0), 5)].into(),
        releases: vec![release; 3],
        symbol_shares: Some(4),
        wanted: Wanted { rows: true, bars: false, ticks: false, dead_letters: true },
        keeps: true,
        writes_weights: false,
        restored: None,
    };
    let words = [
        Word::Mesh(77),
        Word::Plan(Box::new(part)),
        Word::Failed(Fault::failed("no")),
        Word::Cut(Some(Timestamp::from_millis(5))),
        Word::Weights(Some(Symbol::new("BTC").unwrap()), vec![7; 40]),
    ]
    .map(|word| word.to_bytes());
    for word in &words {
        assert_eq!(Word::read(word).unwrap().to_bytes(), *word);
    }
    let mut read = 0;
    for number in 0..count {
        let valid = &words[random.below(words.len())];
        let bytes = change(&mut random, valid, false);
        read += u64::from(check(number, &bytes, Word::read).is_ok());
    }
    println!("{count} inputs of seed {seed}: {read} words");
    assert!(read > count / 100 && read < count);
}

#[test]
fn any_bytes_are_a_forecaster_or_an_error() {
    let (count, seed) = fuzz::from_environment();
    // Each is some hundred kilobytes long.
    let (count, mut random) = (count / 100, Random::new(seed));
    let config = Rc::new(forecaster_config(&Config::default(), None));
    let symbol = Symbol::new("BTC").unwrap();
    let mut valid = Vec::new();
    Forecaster::new(Rc::clone(&config), symbol).unwrap().write_state(&mut valid).unwrap();
    let mut read = 0;
    for number in 0..count {
        let bytes = change(&mut random, &valid, false);
        read += u64::from(check(number, &bytes, |bytes| Forecaster::read_state(Rc::clone(&config), bytes)).is_ok());
    }
    println!("{count} inputs of seed {seed} and {} bytes: {read} forecasters", valid.len());
}
