//! Values that an empty text leaves unset.

use crate::market::Span;
use serde::{Deserialize, Deserializer};

/// A text, or none where it is empty.
pub(super) fn or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.filter(|text| !text.is_empty()))
}

/// A duration, or none where the text is empty.
pub(super) fn span_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Span>, D::Error> {
    or_none(deserializer)?.map(|text| text.parse().map_err(serde::de::Error::custom)).transpose()
}
