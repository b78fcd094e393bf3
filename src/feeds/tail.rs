//! The end of the topic: what an earlier run published last, so that a restart publishes nothing twice.

use crate::config::{Format, KafkaSourceConfig};
use crate::connectors::input::{Flow, Input, InputError, PartitionState, Payload, Record};
use crate::connectors::kafka::{KafkaInput, Reading, end_offsets, resolve_start};
use crate::delivery::Stop;
use crate::formats::Decoder;
use crate::market::SymbolTable;
use std::time::{Duration, Instant};

/// How long to read.
const WAIT: Duration = Duration::from_secs(30);
/// Records between two looks at the clock.
const BITE: usize = 1000;
/// How long to wait where nothing has come yet.
const PAUSE: Duration = Duration::from_millis(5);

/// What was looked at.
pub struct Looked {
    /// Records.
    pub records: u64,
    /// Whether that was all that the topic has.
    pub was_all: bool,
}

/// Looks at the values of the last `most` records of each partition.
pub fn read(
    config: &KafkaSourceConfig,
    most: i64,
    stop: &Stop,
    mut look: impl FnMut(&[u8]),
) -> Result<Looked, InputError> {
    let ends = end_offsets(config)?;
    let firsts = resolve_start(config, "earliest")?;
    let first = |partition: &_| firsts.get(partition).copied().unwrap_or(0);
    let was_all = ends.iter().all(|(partition, end)| end - most <= first(partition));
    let starts =
        ends.iter().map(|(partition, end)| (*partition, (end - most).max(first(partition)).min(*end))).collect();
    let decoder = Decoder::json(Format::Auto, None, None);
    let mut input = KafkaInput::open(config, "collect", &decoder, &Reading::new(starts, Some(ends)), 0, 1)?;
    let (mut symbols, mut records) = (SymbolTable::default(), 0);
    let mut visit = |record: Record<'_>, _: &mut SymbolTable| {
        records += 1;
        if let Payload::Bytes(value) = record.value {
            look(value);
        }
        Flow::Continue
    };
    let deadline = Instant::now() + WAIT;
    loop {
        input.serve_events()?;
        let mut ended = true;
        for partition in input.partitions() {
            ended &= input.read(partition, BITE, &mut symbols, &mut visit)? == PartitionState::Ended;
        }
        if ended || stop.requested() {
            return Ok(Looked { records, was_all });
        }
        if Instant::now() >= deadline {
            return Err(InputError::Failed(format!("its end was not read within {} s", WAIT.as_secs())));
        }
        std::thread::sleep(PAUSE);
    }
}
