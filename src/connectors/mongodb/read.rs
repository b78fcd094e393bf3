//! What a job has written, read back for whoever shows it, beside the job that goes on writing.
//!
//! One symbol and horizon at a time, by the job's index on symbol and target. Bars are read from feature rows, where those are
//! kept.

use super::connect::{Connected, Uri, connect};
use super::{Collections, whole};
use crate::config::{Config, MongoSinkConfig};
use crate::delivery::reader::{Kind, Line, Range, ReadError, Reader};
use crate::delivery::{SinkError, Stop};
use crate::market::json::{write_forecast, write_score};
use crate::market::{Span, Symbol, Timestamp};
use mongodb::bson::{DateTime, Document, doc};
use mongodb::error::Error;
use std::time::Duration;

/// How long the database may take to answer one question.
const ANSWER_WAIT: Duration = Duration::from_secs(5);
/// Rows that are looked through for one bar, at most: a window's bars are those at its whole multiples.
const ROWS_PER_BAR_MAX: usize = 10_000;

/// Reads the results of one job.
pub struct MongoReader {
    name: String,
    connected: Connected,
    names: Collections,
    job: String,
    horizons: Vec<Span>,
    windows: Vec<Span>,
    slide: Span,
    stop: Stop,
}

impl MongoReader {
    /// Of the job of a configuration that has `[sink.mongodb]`; whether anybody answers shows when it is read.
    ///
    /// # Errors
    /// When the connection string is none. No message holds the password.
    pub fn open(config: &Config, sink: &MongoSinkConfig, stop: &Stop) -> Result<Self, SinkError> {
        let names = Collections::of(sink)?;
        let connected = connect(Uri::of_sink(sink)?, &sink.database, stop)?;
        Ok(Self {
            name: format!("MongoDB at {}, database {}", connected.session.host, sink.database),
            connected,
            names,
            job: config.job.id.clone(),
            horizons: sorted(&config.model.horizons),
            windows: sorted(&config.time.windows),
            slide: config.time.slide,
            stop: stop.clone(),
        })
    }

    fn run<T>(&self, call: impl Future<Output = Result<T, Error>>) -> Result<T, ReadError> {
        let answer = self.connected.session.run(call, ANSWER_WAIT, &self.stop);
        answer.map_err(|trouble| ReadError(self.connected.explain(&trouble).to_string()))
    }

    /// The collection of a kind, and the field of its time; none where it is not kept.
    fn collection(&self, kind: Kind) -> Option<(&str, &'static str)> {
        match kind {
            Kind::Forecasts => Some((&self.names.forecasts, "target_at")),
            Kind::Scores => Some((&self.names.scores, "target_at")),
            Kind::Bars => Some((self.names.features.as_deref()?, "end")),
        }
    }

    fn line(&self, kind: Kind, symbol: &Symbol, span: Span, found: &Document) -> Result<Option<Line>, String> {
        let mut json = Vec::new();
        let at = match kind {
            Kind::Forecasts => {
                let forecast = whole::forecast(found)?;
                write_forecast(&forecast, &mut json);
                forecast.target_at
            }
            Kind::Scores => {
                let score = whole::score(found)?;
                write_score(&score, &mut json);
                score.target_at
            }
            Kind::Bars => {
                let end = super::published::stamp(found, "end")?;
                let bar = if end.is_multiple_of(span) { whole::bar(found, symbol, span, end)? } else { None };
                let Some(bar) = bar else { return Ok(None) };
                return Ok(Some(Line { at: end, json: bar }));
            }
        };
        // What we write is UTF-8.
        Ok(Some(Line { at, json: String::from_utf8(json).unwrap_or_default() }))
    }
}

fn sorted(spans: &[Span]) -> Vec<Span> {
    let mut spans = spans.to_vec();
    spans.sort_unstable();
    spans.dedup();
    spans
}

impl Reader for MongoReader {
    fn name(&self) -> &str {
        &self.name
    }

    fn read(&self, kind: Kind, symbol: &Symbol, span: Span, range: Range) -> Result<Vec<Line>, ReadError> {
        let Some((name, at)) = self.collection(kind).filter(|_| range.limit > 0) else { return Ok(vec![]) };
        let mut filter = doc! { "symbol": symbol.as_str(), "job": self.job.as_str() };
        if kind == Kind::Bars {
            filter.insert(format!("windows.{span}"), doc! { "$ne": null });
        } else {
            filter.insert("horizon", span.to_string());
        }
        let date = |at: Timestamp| DateTime::from_millis(at.millis());
        let bounds = [("$gte", range.from), ("$lt", range.to)];
        let within: Document =
            bounds.into_iter().filter_map(|(name, at)| Some((name.to_owned(), date(at?).into()))).collect();
        if !within.is_empty() {
            filter.insert(at, within);
        }
        let order = if range.from.is_some() { 1 } else { -1 };
        // Of rows there is one each slide.
        let rows_per_bar = usize::try_from(span.millis() / self.slide.millis().max(1)).unwrap_or(1).max(1);
        let looked_at = if kind == Kind::Bars { range.limit.saturating_mul(rows_per_bar) } else { range.limit };
        let looked_at = looked_at.min(range.limit.saturating_mul(ROWS_PER_BAR_MAX));
        let collection = self.connected.session.database.collection::<Document>(name);
        let mut lines: Vec<Result<Line, ReadError>> = Vec::new();
        self.run(async {
            let mut find = collection.find(filter).sort(doc! { at: order });
            if kind == Kind::Bars {
                find = find.projection(doc! { "end": 1, format!("windows.{span}"): 1 });
            }
            let mut cursor = find.limit(i64::try_from(looked_at).unwrap_or(i64::MAX)).await?;
            while lines.len() < range.limit && cursor.advance().await? {
                let document = cursor.deserialize_current()?;
                let line = self.line(kind, symbol, span, &document).map_err(|why| {
                    let id = document.get_str("_id").unwrap_or("without a text as _id");
                    ReadError(format!("document {id} of {name}: this is not what tickcast writes: {why}"))
                });
                lines.extend(line.transpose());
            }
            Ok(())
        })?;
        let mut lines = lines.into_iter().collect::<Result<Vec<Line>, ReadError>>()?;
        if range.from.is_none() {
            lines.reverse();
        }
        Ok(lines)
    }

    /// By the index: the symbols that are there, with the configured horizons or windows.
    fn series(&self, kind: Kind) -> Result<Vec<(Symbol, Span)>, ReadError> {
        let Some((name, _)) = self.collection(kind) else { return Ok(vec![]) };
        let collection = self.connected.session.database.collection::<Document>(name);
        let values = self.run(async { collection.distinct("symbol", doc! {}).await })?;
        let mut symbols: Vec<Symbol> = values.iter().filter_map(|value| Symbol::new(value.as_str()?).ok()).collect();
        symbols.sort();
        let spans = if kind == Kind::Bars { &self.windows } else { &self.horizons };
        Ok(symbols.iter().flat_map(|symbol| spans.iter().map(|span| (symbol.clone(), *span))).collect())
    }

    fn spans(&self, kind: Kind, symbol: &Symbol) -> Result<Vec<Span>, ReadError> {
        let Some((name, _)) = self.collection(kind) else { return Ok(vec![]) };
        let collection = self.connected.session.database.collection::<Document>(name);
        let found = self.run(async { collection.find_one(doc! { "symbol": symbol.as_str() }).await })?;
        let spans = if kind == Kind::Bars { &self.windows } else { &self.horizons };
        Ok(found.map_or_else(Vec::new, |_| spans.clone()))
    }
}
