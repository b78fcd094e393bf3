//! Where a published forecast and its score lie: the sinks of the configuration, and the stores that the page reads.

use crate::config::Config;
use crate::connectors::outputs::sinks::{self, Published};
use crate::connectors::sqlite::SqliteReader;
use crate::delivery::reader::{Kind, Range};
use crate::delivery::{Reader, Stop};
use crate::market::Span;
use crate::market::forecast::ForecastId;
use crate::recovery::compare::Content;

/// Whether the configuration names a place.
pub fn is_anywhere(config: &Config) -> bool {
    has_sink(config) || config.http.as_ref().is_some_and(|http| http.store.is_some())
}

/// Whether results go anywhere but to the page.
pub fn has_sink(config: &Config) -> bool {
    let sink = &config.sink;
    sink.kafka.is_some() || sink.files.is_some() || sink.mongodb.is_some()
}

/// Looks everywhere; changes nothing.
pub fn everywhere(
    config: &Config,
    text: &str,
    id: &ForecastId,
    reader: Option<&dyn Reader>,
    stop: &Stop,
) -> anyhow::Result<Vec<Published>> {
    let mut places = sinks::find(config, text, id.issued_at(), stop)?;
    let store = config.http.as_ref().and_then(|http| http.store.as_deref());
    match (reader, store) {
        (Some(reader), _) => places.push(look(reader, id)?),
        (None, Some(path)) if path.exists() => places.push(look(&SqliteReader::open(path, None)?, id)?),
        (None, Some(path)) if places.is_empty() => {
            let place = format!("{} (there is no such file)", path.display());
            places.push(Published { place, forecasts: Vec::new(), scores: Vec::new() });
        }
        (None, _) => {}
    }
    Ok(places)
}

fn look(reader: &dyn Reader, id: &ForecastId) -> anyhow::Result<Published> {
    // Both are kept by the target.
    let only = Range { from: Some(id.target_at), to: Some(id.target_at.plus(Span::from_millis(1))), limit: 1 };
    let read = |kind| -> anyhow::Result<Vec<Content>> {
        let lines = reader.read(kind, &id.symbol, id.horizon, only)?;
        Ok(lines.into_iter().map(|line| Content::Json(line.json.into_bytes())).collect())
    };
    let place = reader.name().to_owned();
    Ok(Published { place, forecasts: read(Kind::Forecasts)?, scores: read(Kind::Scores)? })
}
