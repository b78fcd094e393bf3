//! What one input record says about a symbol's price.

use super::{Fixed, Ohlcv, PartitionId, Span, Symbol, SymbolId, Timestamp, TradeId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Who took the liquidity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Side {
    /// A buyer did.
    Buy,
    /// A seller did.
    Sell,
}

impl Side {
    /// `buy` or `sell`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Buy => "buy",
            Self::Sell => "sell",
        }
    }

    /// What a size counts in a signed volume: 1 bought, -1 sold, 0 where the side is unknown.
    #[inline]
    #[must_use]
    pub const fn sign(side: Option<Self>) -> i64 {
        match side {
            Some(Self::Buy) => 1,
            Some(Self::Sell) => -1,
            None => 0,
        }
    }
}

/// A price observation, decoded: a tick, or a candle as a ready-made bar.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// Of which symbol, by its number on this worker.
    pub symbol: SymbolId,
    /// Event time; of a candle, its open time + interval - 1 ms.
    pub at: Timestamp,
    /// What was observed.
    pub quote: Quote,
    /// Which trade it is, where its venue's id says. A candle is known by its interval and its open time.
    pub identity: Option<TradeId>,
    /// What the record says besides, kept only for the `data` collection.
    pub reported: Option<Box<Reported>>,
}

/// The price side of an [`Observation`].
#[derive(Clone, Debug, PartialEq)]
pub enum Quote {
    /// One trade or price.
    Tick {
        /// Positive.
        price: Fixed,
        /// Zero where the record has none.
        size: Fixed,
        /// Where the record says.
        side: Option<Side>,
    },
    /// One trade whose size is beyond [`Fixed`], as the bar that it makes.
    Large(Box<Ohlcv>),
    /// A bar.
    Candle {
        /// Its aggregate.
        bar: Box<Ohlcv>,
        /// How long it is.
        interval: Span,
    },
}

impl Quote {
    /// The price, or a candle's close.
    #[must_use]
    pub fn price(&self) -> Fixed {
        match self {
            Self::Tick { price, .. } => *price,
            Self::Candle { bar, .. } | Self::Large(bar) => bar.close,
        }
    }

    /// A tick; `size`, in units of 1e-8, may be beyond [`Fixed`].
    #[inline]
    #[must_use]
    pub fn tick(price: Fixed, size: i128, side: Option<Side>) -> Self {
        match i64::try_from(size) {
            Ok(size) => Self::Tick { price, size: Fixed::from_raw(size), side },
            Err(_) => Self::Large(Box::new(Ohlcv::of_trade(price, size, side))),
        }
    }
}

/// The hourly bar that a market-data payload reports beside its price; nothing is computed from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reported {
    /// First price.
    pub open: Option<f64>,
    /// Highest price.
    pub high: Option<f64>,
    /// Lowest price.
    pub low: Option<f64>,
    /// Last price.
    pub close: Option<f64>,
    /// Traded volume.
    pub volume: Option<f64>,
}

/// A used observation on its way to the `data` collection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredTick {
    /// Of which symbol.
    pub symbol: Symbol,
    /// Event time.
    pub at: Timestamp,
    /// The price, or a candle's close.
    pub price: Fixed,
    /// Where the record has one that is not zero, in units of 1e-8.
    pub size: Option<i128>,
    /// Where the record says.
    pub side: Option<Side>,
    /// The bar that the record reports, or the candle itself.
    pub reported: Option<Reported>,
    /// Kafka topic or file.
    pub topic: Arc<str>,
    /// Partition.
    pub partition: PartitionId,
    /// Offset.
    pub offset: u64,
    /// Which of the trades in the record, from 0.
    pub index: u32,
}
