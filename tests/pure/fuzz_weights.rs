//! Any bytes, read as weights, are weights or an error: no panic, and no more memory than some times their length.
//!
//! `TICKCAST_TEST_FUZZ` is how many (100,000), `TICKCAST_TEST_SEED` which (1). The long run:
//! `TICKCAST_TEST_FUZZ=10000000 cargo test --release --test pure fuzz_weights -- --nocapture`.

use crate::allocations::asked_by;
use crate::fuzz;
use crate::fuzz::Random;
use std::collections::BTreeMap;
use tickcast::market::{ModelInfo, Symbol, Timestamp};
use tickcast::model::weights::{About, Example, HEADER_BYTES_MAX, Weights};
use tickcast::model::{Lstm, LstmShape};

/// Bytes of memory for a byte of input: JSON of many small entries takes the most.
const MEMORY_PER_BYTE: usize = 64;
/// Errors and tables of constant size.
const MEMORY_BASE: usize = 64 << 10;

/// Two layers, two horizons, all that a file can hold, and small.
fn valid() -> Vec<u8> {
    let shape = LstmShape { inputs: 14, hidden: 2, layers: 2, steps: 2, outputs: 14 };
    let time = |minute: i64| Timestamp::from_millis(1_611_239_640_000 + minute * 60_000);
    let symbol = Symbol::new("BTC").unwrap();
    let about = About {
        symbol: Some(symbol.clone()),
        job: "btc".to_owned(),
        step: "1m".parse().unwrap(),
        horizons: vec!["1m".parse().unwrap(), "5m".parse().unwrap()],
        head_gains: vec![1.0, 0.1],
        model: ModelInfo { version: 7, trained_through: Some(time(9)), loss: Some(0.25) },
        trained_from: Some(time(0)),
        random_seed: 42,
        tickcast_version: "0.1.0".to_owned(),
    };
    let example = Example {
        symbol,
        issued_at: time(10),
        last_price: 31_571.74,
        scales: vec![0.001, 0.002],
        inputs: vec![0.5; 28],
        bases: vec![[-1.0, -0.5, 0.0, 0.5, 1.0]; 2],
        quantiles: vec![[-1.1, -0.5, 0.0, 0.5, 1.1]; 2],
    };
    Weights { about, lstm: Lstm::new(shape, 1).unwrap(), example: Some(example) }.to_bytes()
}

/// The header as text, changed as text, put back with its length: what only bytes that look right reach.
fn change_header(random: &mut Random, bytes: &[u8]) -> Vec<u8> {
    let length = u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
    let mut header = bytes[8..8 + length].to_vec();
    for _ in 0..random.below(3) + 1 {
        random.change_token(&mut header);
    }
    let mut changed = (header.len() as u64).to_le_bytes().to_vec();
    changed.extend(header);
    changed.extend(&bytes[8 + length..]);
    changed
}

fn input(random: &mut Random, valid: &[u8]) -> Vec<u8> {
    let mut bytes = valid.to_vec();
    match random.below(8) {
        0 => random.bytes(300),
        1 => {
            let claimed = match random.below(3) {
                0 => random.next(),
                1 => HEADER_BYTES_MAX - 1 + random.below(3) as u64,
                _ => random.below(2 * bytes.len()) as u64,
            };
            bytes[..8].copy_from_slice(&claimed.to_le_bytes());
            bytes
        }
        2 => {
            bytes.truncate(random.below(bytes.len() + 1));
            bytes
        }
        3 | 4 => {
            for _ in 0..random.below(4) + 1 {
                random.change_byte(&mut bytes);
            }
            bytes
        }
        _ => change_header(random, &bytes),
    }
}

#[test]
fn any_bytes_are_weights_or_an_error() {
    let (count, seed) = fuzz::from_environment();
    let (mut random, valid) = (Random::new(seed), valid());
    assert_eq!(Weights::read(&valid).unwrap().to_bytes(), valid);
    let mut outcomes: BTreeMap<&str, u64> = BTreeMap::new();
    let mut worst = 0;
    for number in 0..count {
        let bytes = input(&mut random, &valid);
        let (read, asked) = asked_by(|| Weights::read(&bytes));
        let used = asked.most_bytes;
        assert!(used <= MEMORY_BASE + MEMORY_PER_BYTE * bytes.len(), "input {number}: {used} bytes of memory");
        worst = worst.max(used);
        let outcome = match read {
            Ok(weights) => {
                let written = weights.to_bytes();
                assert_eq!(Weights::read(&written).unwrap().to_bytes(), written, "input {number} reads back");
                "weights"
            }
            Err(error) => {
                use tickcast::model::weights::WeightsError as E;
                assert!(error.to_string().len() < 2000, "input {number}: {error}");
                match error {
                    E::Foreign(_) => "foreign",
                    E::Format { .. } => "format",
                    E::About { .. } => "about",
                    E::Tensor { .. } => "tensor",
                    E::Unfit(_) => "unfit",
                }
            }
        };
        *outcomes.entry(outcome).or_default() += 1;
    }
    println!("{count} inputs of seed {seed}: {outcomes:?}, at most {worst} bytes of memory");
    for outcome in ["weights", "foreign", "about", "tensor"] {
        assert!(
            outcomes.get(outcome).is_some_and(|hits| hits * 1000 > count),
            "{outcome} is hardly reached: {outcomes:?}"
        );
    }
}
