//! `[source.mongodb]`: history from a collection.

use super::text;
use crate::market::{Timestamp, Zone};
use serde::Deserialize;
use std::path::PathBuf;

/// `[source.mongodb]`
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MongoSourceConfig {
    /// Connection string. Holds the password, hence never shown.
    pub uri: String,
    /// File that holds the connection string instead.
    pub uri_file: Option<PathBuf>,
    /// Database.
    pub database: String,
    /// Collection of ticks.
    pub collection: String,
    /// For documents without a symbol.
    pub symbol: Option<String>,
    /// `source.timezone`.
    #[serde(skip)]
    pub timezone: Zone,
    /// Event time to begin with.
    #[serde(deserialize_with = "text::time_or_none")]
    pub from: Option<Timestamp>,
    /// Event time to end before.
    #[serde(deserialize_with = "text::time_or_none")]
    pub to: Option<Timestamp>,
}

impl MongoSourceConfig {
    /// The part of `range`, `[from, to)`, that is to be read.
    #[must_use]
    pub fn within(&self, range: (Option<Timestamp>, Option<Timestamp>)) -> (Option<Timestamp>, Option<Timestamp>) {
        // None is below every time, and so loses against a later beginning; of ends, the earlier one counts.
        (self.from.max(range.0), self.to.into_iter().chain(range.1).min())
    }
}

impl Default for MongoSourceConfig {
    fn default() -> Self {
        Self {
            uri: "mongodb://localhost:27017".to_owned(),
            uri_file: None,
            database: "bitcoin".to_owned(),
            collection: "data".to_owned(),
            symbol: None,
            timezone: Zone::default(),
            from: None,
            to: None,
        }
    }
}

impl std::fmt::Debug for MongoSourceConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { uri: _, uri_file: _, database, collection, symbol, timezone: _, from, to } = self;
        let mut shown = f.debug_struct("MongoSourceConfig");
        shown.field("uri", &"***").field("database", database).field("collection", collection);
        shown.field("symbol", symbol).field("from", from).field("to", to).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrower_range_counts() {
        let at = |ms| Some(Timestamp::from_millis(ms));
        let config = MongoSourceConfig { from: at(5), to: at(9), ..MongoSourceConfig::default() };
        assert_eq!(config.within((None, None)), (at(5), at(9)));
        assert_eq!(config.within((at(3), at(8))), (at(5), at(8)));
        assert_eq!(config.within((at(7), at(10))), (at(7), at(9)));
        assert_eq!(MongoSourceConfig::default().within((at(7), None)), (at(7), None));
    }
}
