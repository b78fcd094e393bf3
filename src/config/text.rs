//! Values that an empty text leaves unset.

use crate::market::{Span, Timestamp};
use serde::{Deserialize, Deserializer};

/// A text, or none where it is empty.
pub(super) fn or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.filter(|text| !text.is_empty()))
}

/// A duration, or none where the text is empty.
pub(super) fn span_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Span>, D::Error> {
    or_none(deserializer)?.map(|text| text.parse().map_err(serde::de::Error::custom)).transpose()
}

/// A text that was checked to be a time.
pub(super) fn time_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| Timestamp::parse(text.as_bytes()).map_err(serde::de::Error::custom)).transpose()
}
