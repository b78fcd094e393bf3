//! Where an earlier run has ended: the last trade of each market in the topic.

use super::record::{self, Names};
use crate::config::KafkaSourceConfig;
use crate::connectors::input::InputError;
use crate::delivery::Stop;
use crate::feeds::tail;
use std::collections::BTreeMap;

/// Records of each partition that are looked at, more and more, until each market was found: quiet ones lie far back.
const LOOKS: [i64; 3] = [5_000, 50_000, 500_000];

/// The last trade of a market.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    pub id: u64,
    /// When it was made, as JSON.
    pub at: Box<str>,
}

/// Looks for the last trade of each of these; what is not found is not in the last records.
pub fn read(config: &KafkaSourceConfig, books: &[Names], stop: &Stop) -> Result<Vec<Option<Known>>, InputError> {
    let places: BTreeMap<(&str, &str, &str), usize> = books
        .iter()
        .enumerate()
        .map(|(place, names)| ((names.symbol.as_str(), names.exchange.as_str(), names.market.as_str()), place))
        .collect();
    let mut known: Vec<Option<Known>> = vec![None; books.len()];
    for most in LOOKS {
        let looked = tail::read(config, most, stop, |value| {
            let Some(written) = record::read(value) else { return };
            let Some(&place) = places.get(&(&*written.symbol, &*written.exchange, &*written.market)) else { return };
            let last = known.get_mut(place);
            let is_newer = |known: &Known| known.id < written.trade_id;
            if let Some(last) = last.filter(|last| last.as_ref().is_none_or(is_newer)) {
                *last = Some(Known { id: written.trade_id, at: written.timestamp.get().into() });
            }
        })?;
        if looked.was_all || stop.requested() || known.iter().all(Option::is_some) {
            break;
        }
    }
    Ok(known)
}
