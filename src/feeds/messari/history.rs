//! What an earlier run published last, read from the end of the topic, so that a restart publishes nothing twice.

use super::market_data::MarketData;
use super::seen::Seen;
use crate::config::KafkaSourceConfig;
use crate::connectors::input::InputError;
use crate::connectors::kafka::end_offsets;
use crate::delivery::Stop;
use crate::feeds::tail;

/// Records that are looked at, over all partitions: some 20 MB.
const RECORDS_MAX: i64 = 20_000;
/// Records of each partition that are looked at in any case.
const RECORDS_MIN: i64 = 100;

/// Notes the last observations that the topic holds. Returns how many records it looked at.
pub(super) fn read(config: &KafkaSourceConfig, seen: &mut Seen, stop: &Stop) -> Result<u64, InputError> {
    let partitions = i64::try_from(end_offsets(config)?.len()).unwrap_or(i64::MAX).max(1);
    let most = (RECORDS_MAX / partitions).max(RECORDS_MIN);
    let looked = tail::read(config, most, stop, |value| {
        // What others have published there is none of ours.
        if let Ok(data) = MarketData::read(value) {
            seen.remember(data);
        }
    })?;
    Ok(looked.records)
}
