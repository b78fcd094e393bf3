//! Forecasts and scores from the collections that the job writes them to. Nothing is written here.
//!
//! One symbol and horizon at a time, in the order of `(symbol, target_at)`, which the job's index gives.

use super::Collections;
use super::connect::{Connected, connect};
use super::session::Session;
use super::uri::Uri;
use crate::config::MongoSinkConfig;
use crate::connectors::input::InputError;
use crate::connectors::published::{self, Stream, json};
use crate::delivery::{SinkError, Stop};
use crate::evaluation::report::{Issued, Judge, Outcome, Settled};
use crate::market::forecast::LEVEL_NAMES;
use crate::market::{Span, Symbol, Timestamp};
use mongodb::Cursor;
use mongodb::bson::{Bson, Document, doc};
use std::time::Duration;

/// How long the database may take to answer one question.
const ANSWER_WAIT: Duration = Duration::from_secs(60);
/// Documents of one answer.
const BATCH: u32 = 2000;

/// Hands all stored forecasts and scores to `judge`.
///
/// # Errors
/// When nobody answers, the server refuses, a document is none of tickcast's, or the judge refuses. No message holds the
/// password.
pub fn judge_all(config: &MongoSinkConfig, judge: &mut Judge) -> Result<(), InputError> {
    let said = |error: SinkError| InputError::Failed(error.to_string());
    let names = Collections::of(config).map_err(said)?;
    let stop = Stop::default();
    let connected = connect(Uri::of_sink(config).map_err(said)?, &config.database, &stop).map_err(said)?;
    let store = Store { connected, stop };
    let symbols = store.distinct(&names.forecasts, "symbol", doc! {})?;
    for symbol in symbols.into_iter().filter(|symbol| judge.wants_symbol(symbol)).collect::<Vec<_>>() {
        let horizons = store.distinct(&names.forecasts, "horizon", doc! { "symbol": &symbol })?;
        // What is no duration is read, and then refused by name.
        let wanted = |text: &String| text.parse().map_or(true, |horizon| judge.wants_horizon(horizon));
        for horizon in horizons.into_iter().filter(wanted).collect::<Vec<_>>() {
            let filter = doc! { "symbol": &symbol, "horizon": &horizon };
            let forecasts = store.records(&names.forecasts, &filter, forecast)?;
            let scores = store.records(&names.scores, &filter, score)?;
            published::judge_all(judge, vec![forecasts], vec![scores])?;
        }
    }
    store.session().close();
    Ok(())
}

struct Store {
    connected: Connected,
    stop: Stop,
}

impl Store {
    fn session(&self) -> &Session {
        &self.connected.session
    }

    fn run<T>(&self, call: impl Future<Output = Result<T, mongodb::error::Error>>) -> Result<T, InputError> {
        let answer = self.session().run(call, ANSWER_WAIT, &self.stop);
        answer.map_err(|trouble| InputError::Failed(self.connected.explain(&trouble).to_string()))
    }

    /// The texts that a field has, in order.
    fn distinct(&self, collection: &str, field: &str, filter: Document) -> Result<Vec<String>, InputError> {
        let collection = self.session().database.collection::<Document>(collection);
        let values = self.run(async { collection.distinct(field, filter).await })?;
        let mut texts: Vec<String> = values.iter().filter_map(|value| value.as_str().map(str::to_owned)).collect();
        texts.sort_unstable();
        Ok(texts)
    }

    fn records<T: 'static>(
        &self,
        name: &str,
        filter: &Document,
        read: fn(&Document) -> Result<T, String>,
    ) -> Result<Stream<'_, T>, InputError> {
        let collection = self.session().database.collection::<Document>(name);
        let find = async { collection.find(filter.clone()).sort(doc! { "target_at": 1 }).batch_size(BATCH).await };
        let cursor = self.run(find)?;
        Ok(Box::new(Records { store: self, cursor, name: name.to_owned(), read }))
    }
}

struct Records<'a, T> {
    store: &'a Store,
    cursor: Cursor<Document>,
    name: String,
    read: fn(&Document) -> Result<T, String>,
}

impl<T> Iterator for Records<'_, T> {
    type Item = Result<T, InputError>;

    fn next(&mut self) -> Option<Self::Item> {
        let cursor = &mut self.cursor;
        let call = async { if cursor.advance().await? { cursor.deserialize_current().map(Some) } else { Ok(None) } };
        match self.store.run(call) {
            Err(error) => Some(Err(error)),
            Ok(None) => None,
            Ok(Some(document)) => Some((self.read)(&document).map_err(|why| {
                let id = document.get_str("_id").unwrap_or("without a text as _id");
                InputError::Failed(format!("document {id} of {}: this is not what tickcast writes: {why}", self.name))
            })),
        }
    }
}

pub(super) fn text<'a>(document: &'a Document, name: &str) -> Result<&'a str, String> {
    document.get_str(name).map_err(|error| format!("`{name}`: {error}"))
}

pub(super) fn stamp(document: &Document, name: &str) -> Result<Timestamp, String> {
    let date = document.get_datetime(name).map_err(|error| format!("`{name}`: {error}"))?;
    Ok(Timestamp::from_millis(date.timestamp_millis()))
}

pub(super) fn table<'a>(document: &'a Document, name: &str) -> Result<&'a Document, String> {
    document.get_document(name).map_err(|error| format!("`{name}`: {error}"))
}

pub(super) fn number(document: &Document, name: &str) -> Result<f64, String> {
    match document.get(name) {
        Some(Bson::Double(value)) if value.is_finite() => Ok(*value),
        Some(Bson::Int32(value)) => Ok(f64::from(*value)),
        Some(Bson::Int64(value)) => Ok(*value as f64),
        other => Err(format!("`{name}` is no number: {other:?}")),
    }
}

pub(super) fn symbol_and_horizon(document: &Document) -> Result<(Symbol, Span), String> {
    let symbol = Symbol::new(text(document, "symbol")?).map_err(|error| format!("`symbol` {error}"))?;
    let horizon = text(document, "horizon")?.parse().map_err(|error| format!("`horizon` {error}"))?;
    Ok((symbol, horizon))
}

pub(super) fn quantiles(d: &Document) -> Result<[f64; 5], String> {
    let levels = table(d, "quantiles")?;
    let mut quantiles = [0.0; 5];
    for (quantile, name) in quantiles.iter_mut().zip(LEVEL_NAMES) {
        *quantile = number(levels, name)?;
    }
    Ok(quantiles)
}

fn forecast(d: &Document) -> Result<Issued, String> {
    let (symbol, horizon) = symbol_and_horizon(d)?;
    let (interval, model) = (table(d, "interval")?, table(d, "model")?);
    let version = model.get_i64("version").ok().and_then(|version| u64::try_from(version).ok());
    Ok(Issued {
        job: json::job_of(text(d, "_id")?),
        symbol,
        horizon,
        issued_at: stamp(d, "issued_at")?,
        target_at: stamp(d, "target_at")?,
        last_price: number(d, "last_price")?,
        price: number(d, "price")?,
        lower: number(interval, "lower")?,
        upper: number(interval, "upper")?,
        coverage: number(interval, "coverage")?,
        quantiles: quantiles(d)?,
        status: json::status_of(text(d, "status")?)?,
        e_value: number(table(d, "skill")?, "e_value")?,
        version: version.ok_or("`model.version` is no count")?,
        loss: if model.is_null("loss") { None } else { Some(number(model, "loss")?) },
    })
}

fn score(d: &Document) -> Result<Settled, String> {
    let (symbol, horizon) = symbol_and_horizon(d)?;
    let outcome = match text(d, "status")? {
        "void" => None,
        "scored" => Some(Outcome {
            actual_price: number(d, "actual_price")?,
            error: number(d, "error")?,
            naive_error: number(d, "naive_error")?,
            covered: d.get_bool("covered").map_err(|error| format!("`covered`: {error}"))?,
            pinball: number(d, "pinball")?,
            naive_pinball: number(d, "naive_pinball")?,
        }),
        other => return Err(format!("`status` is {other:?}: neither scored nor void")),
    };
    let target_at = stamp(d, "target_at")?;
    Ok(Settled { job: json::job_of(text(d, "_id")?), symbol, horizon, target_at, outcome })
}
