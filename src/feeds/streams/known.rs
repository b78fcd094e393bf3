//! Where an earlier run has ended: the last trade of each market in the topic.

use super::record::{self, Ids, Names};
use crate::config::KafkaSourceConfig;
use crate::connectors::input::InputError;
use crate::delivery::Stop;
use crate::feeds::tail;
use crate::market::Timestamp;
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

/// The last record of a market, whatever its id is of.
#[derive(Debug)]
struct Last {
    ids: Ids,
    known: Known,
    /// The last trade that it tells of, where it says.
    trade: Option<u64>,
}

impl Last {
    /// Whether this one comes after: by its id, or where that is of another numbering, by when it was made.
    fn is_before(&self, ids: Ids, known: &Known) -> bool {
        let at = |known: &Known| Timestamp::parse(known.at.trim_matches('"').as_bytes()).ok();
        if ids == self.ids { known.id > self.known.id } else { at(known) >= at(&self.known) }
    }

    /// Behind what a market with ids of these goes on. The topic may have the other kind last: an aggregate says which trade is the
    /// last that it tells of; no trade says of which aggregate it is.
    fn behind(self, names: &Names) -> Option<Known> {
        let Self { ids, known, trade } = self;
        match (names.ids, ids, trade) {
            (Ids::Trades, Ids::Aggregates, Some(id)) => {
                tracing::info!("{names}: the topic has aggregate trades of it so far; goes on behind its trade {id}");
                Some(Known { id, at: known.at })
            }
            (wanted, ids, _) if wanted == ids => Some(known),
            _ => {
                let (so_far, now) = match names.ids {
                    Ids::Trades => ("aggregate", "single"),
                    Ids::Aggregates => ("single", "aggregate"),
                };
                tracing::warn!(
                    "{names}: the topic has {so_far} trades of it so far, the last one made at {}: what was traded since then is not known, as \
                     {now} trades are numbered otherwise",
                    known.at
                );
                None
            }
        }
    }
}

/// Looks for the last trade of each of these; what is not found is not in the last records.
pub fn read(config: &KafkaSourceConfig, books: &[Names], stop: &Stop) -> Result<Vec<Option<Known>>, InputError> {
    let places: BTreeMap<(&str, &str, &str), usize> = books
        .iter()
        .enumerate()
        .map(|(place, names)| ((names.symbol.as_str(), names.exchange.as_str(), names.market.as_str()), place))
        .collect();
    let mut found: Vec<Option<Last>> = books.iter().map(|_| None).collect();
    for most in LOOKS {
        let looked = tail::read(config, most, stop, |value| {
            let Some(written) = record::read(value) else { return };
            let Some(&place) = places.get(&(&*written.symbol, &*written.exchange, &*written.market)) else { return };
            let (Some(last), Some((ids, id))) = (found.get_mut(place), written.id()) else { return };
            let known = Known { id, at: written.timestamp.get().into() };
            if last.as_ref().is_none_or(|last| last.is_before(ids, &known)) {
                *last = Some(Last { ids, known, trade: written.last_trade() });
            }
        })?;
        if looked.was_all || stop.requested() || found.iter().all(Option::is_some) {
            break;
        }
    }
    Ok(found.into_iter().zip(books).map(|(last, names)| last?.behind(names)).collect())
}
