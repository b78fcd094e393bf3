//! A used observation as the `data` collection holds it.

use crate::market::fixed::raw_to_f64;
use crate::market::{Observation, Ohlcv, PartitionId, Quote, Reported, StoredTick, SymbolTable};
use std::sync::Arc;

/// The document of an observation that stands at this topic, partition, offset, and place in its record.
pub(super) fn stored(
    observation: &Observation,
    (topic, partition, offset, index): (&Arc<str>, PartitionId, u64, u32),
    symbols: &SymbolTable,
) -> StoredTick {
    let (size, side, reported) = match &observation.quote {
        Quote::Tick { size, side, .. } => {
            let size = Some(i128::from(size.raw())).filter(|size| *size != 0);
            (size, *side, observation.reported.as_deref().copied())
        }
        Quote::Large(bar) => (Some(bar.volume), bar.taker(), observation.reported.as_deref().copied()),
        Quote::Candle { bar, .. } => (None, None, Some(reported(bar))),
    };
    StoredTick {
        symbol: symbols.name(observation.symbol).clone(),
        at: observation.at,
        price: observation.quote.price(),
        size,
        side,
        reported,
        topic: Arc::clone(topic),
        partition,
        offset,
        index,
    }
}

/// A candle, as what its record reports.
fn reported(bar: &Ohlcv) -> Reported {
    let [open, high, low, close] = [bar.open, bar.high, bar.low, bar.close].map(|price| Some(price.to_f64()));
    Reported { open, high, low, close, volume: Some(raw_to_f64(bar.volume)) }
}
