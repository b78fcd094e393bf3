//! The ground floor: symbols, stamps, fixed-point prices, bars, forecasts and scores.
//!
//! Everything above speaks in these types; nothing here knows Kafka, timely or a model. Prices and sizes
//! are integers of 1e-8, so that sums are exact, associative and the same on any number of workers.

pub mod encode;
pub mod fixed;
pub mod forecast;
pub mod identity;
pub mod json;
pub mod ohlcv;
pub mod pane;
pub mod record;
pub mod symbol;
pub mod tick;
pub mod time;
pub mod zone;

pub use fixed::{Fixed, FixedError};
pub use forecast::{Drift, Forecast, Interval, ModelInfo, Reasons, Score, ScoreOutcome, Skill, Status};
pub use identity::{IdSpace, TradeId};
pub use ohlcv::{FeatureRow, Ohlcv, OhlcvError, Partial, Prices};
pub use pane::{Pane, Slide};
pub use record::{DeadLetter, Generation, Order, PartitionId, Release, Sequence};
pub use symbol::{Symbol, SymbolId, SymbolTable};
pub use tick::{Observation, Quote, Reported, Side, StoredTick};
pub use time::{Span, Step, Timestamp};
pub use zone::Zone;
