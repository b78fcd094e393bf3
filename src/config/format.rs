//! `source.format`

use serde::Deserialize;

/// `source.format`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Detected per message.
    #[default]
    Auto,
    /// `{"symbol","timestamp","price",…}`
    Tick,
    /// Messari's market data.
    Messari,
    /// Trades of exchanges' public streams.
    Trade,
    /// Bars.
    Candle,
}
