//! Records as they lie in the source, read once more for who wants to see them.

use super::{Question, plan};
use crate::cli::job::prepare::{Source, bounded_source, topic_decoder};
use crate::config::{Config, KafkaSourceConfig};
use crate::connectors::input::{Flow, PartitionState, Payload};
use crate::delivery::Stop;
use crate::market::{PartitionId, SymbolTable};
use crate::recovery::Offsets;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How long a source may say nothing.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// Between two looks at a source that has nothing at the moment.
const PAUSE: Duration = Duration::from_millis(5);
/// Records read at once.
const AT_ONCE: usize = 4096;

/// A record as it lies in the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawRecord {
    /// Where.
    pub partition: PartitionId,
    /// Its offset.
    pub offset: u64,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value.
    pub value: Vec<u8>,
}

/// Which offsets of which partitions.
pub type Places = BTreeMap<PartitionId, BTreeSet<u64>>;

/// Reads the records that lie there.
///
/// # Errors
/// When the source cannot be read again.
pub(super) fn read(
    config: &Config,
    question: &Question,
    wanted: &Places,
    stop: &Stop,
) -> anyhow::Result<Vec<RawRecord>> {
    let (mut history, mut rest) = (Places::new(), Places::new());
    for (partition, offsets) in wanted {
        let places = if partition.is_history() { &mut history } else { &mut rest };
        places.insert(PartitionId(partition.number()), offsets.clone());
    }
    let mut found = Vec::new();
    if !history.is_empty() {
        found = pick(bounded_source(config, &plan(question), stop)?, config, &history, stop)?;
        found.iter_mut().for_each(|record| record.partition = PartitionId::of_history(record.partition.0));
    }
    if !rest.is_empty() {
        let source = match &config.source.kafka {
            Some(topic) => of_topic(topic, config, &rest)?,
            None => bounded_source(config, &plan(question), stop)?,
        };
        found.extend(pick(source, config, &rest, stop)?);
    }
    Ok(found)
}

/// No more of a topic than is needed.
fn of_topic(topic: &KafkaSourceConfig, config: &Config, wanted: &Places) -> anyhow::Result<Source> {
    let bound = |of: fn(&BTreeSet<u64>) -> Option<i64>| -> Offsets {
        wanted.iter().filter_map(|(partition, offsets)| Some((*partition, of(offsets)?))).collect()
    };
    let starts = bound(|offsets| i64::try_from(*offsets.first()?).ok());
    let ends = bound(|offsets| Some(i64::try_from(*offsets.last()?).ok()? + 1));
    let (config, decoder) = (topic.clone(), topic_decoder(&config.source)?);
    Ok(Source::Kafka { config, decoder, starts, ends: Some(ends), topic_id: None, history: None })
}

fn pick(source: Source, config: &Config, wanted: &Places, stop: &Stop) -> anyhow::Result<Vec<RawRecord>> {
    let mut found: Vec<RawRecord> = Vec::new();
    let mut input = source.into_factory(config, stop)(0, 1)?;
    let (mut symbols, mut heard) = (SymbolTable::default(), Instant::now());
    let mut open = input.partitions();
    open.retain(|partition| wanted.contains_key(partition));
    while !open.is_empty() {
        anyhow::ensure!(!stop.requested(), "stopped while records were read");
        input.serve_events()?;
        let mut is_quiet = true;
        for partition in open.clone() {
            let offsets = &wanted[&partition];
            let mut is_over = false;
            let state = input.read(partition, AT_ONCE, &mut symbols, &mut |record, _| {
                is_quiet = false;
                is_over |= offsets.last().is_none_or(|last| record.offset >= *last);
                if let (true, Payload::Bytes(value)) = (offsets.contains(&record.offset), record.value) {
                    let key = record.key.map(<[u8]>::to_vec);
                    found.push(RawRecord { partition, offset: record.offset, key, value: value.to_vec() });
                }
                if is_over { Flow::Pause } else { Flow::Continue }
            })?;
            if is_over || state == PartitionState::Ended {
                open.retain(|of| *of != partition);
            }
        }
        if !is_quiet {
            heard = Instant::now();
        } else if !open.is_empty() {
            anyhow::ensure!(heard.elapsed() < SILENCE_MAX, "the source gives no records");
            std::thread::sleep(PAUSE);
        }
    }
    Ok(found)
}
