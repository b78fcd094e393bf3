//! What is published, as Kafka records: keys, values, headers.

use super::work::Work;
use crate::market::json::{write_forecast, write_score};
use crate::market::{DeadLetter, Forecast, Score, Symbol, Timestamp};
use crate::recovery::Progress;
use rdkafka::message::{Header, OwnedHeaders};

/// `ce_type` of a forecast.
const FORECAST_TYPE: &str = "tickcast.forecast.v1";
/// `ce_type` of a score.
const SCORE_TYPE: &str = "tickcast.score.v1";

/// Names of the output topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Topics {
    pub forecasts: String,
    pub scores: String,
    pub progress: String,
    pub dead_letters: Option<String>,
}

impl Topics {
    pub fn new(forecasts: &str, dead_letters: Option<&str>) -> Self {
        Self {
            forecasts: forecasts.to_owned(),
            scores: format!("{forecasts}.scores"),
            progress: format!("{forecasts}.progress"),
            dead_letters: dead_letters.map(str::to_owned),
        }
    }
}

/// One record on its way out.
pub(super) struct Outgoing<'a> {
    pub topic: &'a str,
    pub key: Option<&'a [u8]>,
    pub value: &'a [u8],
    pub headers: Option<OwnedHeaders>,
}

/// Hands all of `work` but its progress record to `send`, one by one. `value` is scratch space.
pub(super) fn each<E>(
    work: &Work<'_>,
    topics: &Topics,
    value: &mut Vec<u8>,
    mut send: impl FnMut(Outgoing<'_>) -> Result<(), E>,
) -> Result<(), E> {
    for score in &work.scores {
        value.clear();
        write_score(score, value);
        let (topic, key) = (topics.scores.as_str(), Some(score.symbol.as_str().as_bytes()));
        send(Outgoing { topic, key, value, headers: Some(score_headers(score)) })?;
    }
    for forecast in &work.forecasts {
        value.clear();
        write_forecast(forecast, value);
        let (topic, key) = (topics.forecasts.as_str(), Some(forecast.symbol.as_str().as_bytes()));
        send(Outgoing { topic, key, value, headers: Some(forecast_headers(forecast)) })?;
    }
    if let Some(topic) = &topics.dead_letters {
        for letter in &work.dead_letters {
            send(dead_letter(topic, letter))?;
        }
    }
    Ok(())
}

/// A dead letter: the original key and bytes, and what is wrong with them.
pub(super) fn dead_letter<'a>(topic: &'a str, letter: &'a DeadLetter) -> Outgoing<'a> {
    Outgoing { topic, key: letter.key.as_deref(), value: &letter.value, headers: Some(dead_letter_headers(letter)) }
}

/// The progress record's value.
pub(super) fn progress_value(progress: &Progress) -> Vec<u8> {
    // Plain data with integers as keys: its serialisation cannot fail.
    serde_json::to_vec(progress).unwrap_or_default()
}

fn forecast_headers(forecast: &Forecast) -> OwnedHeaders {
    event_headers(&forecast.id(), FORECAST_TYPE, &forecast.job, forecast.issued_at, &forecast.symbol)
}

fn score_headers(score: &Score) -> OwnedHeaders {
    event_headers(&score.id(), SCORE_TYPE, &score.job, score.target_at, &score.symbol)
}

/// CloudEvents in binary mode: attributes in headers, the value is the data.
fn event_headers(id: &str, kind: &str, job: &str, at: Timestamp, symbol: &Symbol) -> OwnedHeaders {
    let (source, at) = (format!("/tickcast/{job}"), at.to_string());
    let pairs = [
        ("content-type", "application/json"),
        ("ce_specversion", "1.0"),
        ("ce_id", id),
        ("ce_type", kind),
        ("ce_source", &source),
        ("ce_time", &at),
        ("ce_subject", symbol.as_str()),
    ];
    headers(&pairs)
}

fn dead_letter_headers(letter: &DeadLetter) -> OwnedHeaders {
    let (partition, offset) = (letter.partition.number().to_string(), letter.offset.to_string());
    let mut pairs = vec![
        ("error", letter.error.as_str()),
        ("source.topic", &letter.topic),
        ("source.partition", &partition),
        ("source.offset", &offset),
    ];
    if let Some(sha256) = &letter.sha256 {
        pairs.extend([("truncated", "true"), ("sha256", sha256)]);
    }
    headers(&pairs)
}

fn headers(pairs: &[(&str, &str)]) -> OwnedHeaders {
    pairs.iter().fold(OwnedHeaders::new_with_capacity(pairs.len()), |headers, (key, value)| {
        headers.insert(Header { key, value: Some(*value) })
    })
}
