//! What an earlier run published last, read from the end of the topic, so that a restart publishes nothing twice.

use super::market_data::MarketData;
use super::seen::Seen;
use crate::config::{Format, KafkaSourceConfig};
use crate::connectors::input::{Flow, Input, InputError, PartitionState, Payload, Record};
use crate::connectors::kafka::{KafkaInput, Reading, end_offsets, resolve_start};
use crate::delivery::Stop;
use crate::formats::Decoder;
use crate::market::SymbolTable;
use std::time::{Duration, Instant};

/// Records that are looked at, over all partitions: some 20 MB.
const RECORDS_MAX: i64 = 20_000;
/// Records of each partition that are looked at in any case.
const RECORDS_MIN: i64 = 100;
/// How long to read.
const WAIT: Duration = Duration::from_secs(10);
/// Records between two looks at the clock.
const BITE: usize = 1000;
/// How long to wait where nothing has come yet.
const PAUSE: Duration = Duration::from_millis(5);

/// Notes the last observations that the topic holds. Returns how many records it looked at.
pub(super) fn read(config: &KafkaSourceConfig, seen: &mut Seen, stop: &Stop) -> Result<u64, InputError> {
    let ends = end_offsets(config)?;
    let firsts = resolve_start(config, "earliest")?;
    let partitions = i64::try_from(ends.len()).unwrap_or(i64::MAX).max(1);
    let most = (RECORDS_MAX / partitions).max(RECORDS_MIN);
    let start = |(partition, end): (&_, &i64)| {
        (*partition, (end - most).max(firsts.get(partition).copied().unwrap_or(0)).min(*end))
    };
    let starts = ends.iter().map(start).collect();
    let decoder = Decoder::json(Format::Messari, None, None);
    let mut input = KafkaInput::open(config, "collect", &decoder, &Reading::new(starts, Some(ends)), 0, 1)?;
    let (mut symbols, mut records) = (SymbolTable::default(), 0);
    let mut visit = |record: Record<'_>, _: &mut SymbolTable| {
        records += 1;
        // What others have published there is none of ours.
        if let Payload::Bytes(value) = record.value
            && let Ok(data) = MarketData::read(value)
        {
            seen.remember(data);
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
            return Ok(records);
        }
        if Instant::now() >= deadline {
            return Err(InputError::Failed(format!("its end was not read within {} s", WAIT.as_secs())));
        }
        std::thread::sleep(PAUSE);
    }
}
