//! What a job has written, read back for whoever shows it, beside the job that goes on writing.
//!
//! One symbol and horizon at a time, by the job's index on symbol and target. Bars are read from feature rows, where those are
//! kept.

use super::connect::{Connected, connect};
use super::uri::Uri;
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
/// Bars that are asked for at once.
const BARS_AT_ONCE: usize = 1000;

/// Reads the results of one job.
pub struct MongoReader {
    name: String,
    connected: Connected,
    names: Collections,
    job: String,
    horizons: Vec<Span>,
    windows: Vec<Span>,
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

    /// The lines of the documents that a filter finds, by the time `at`.
    fn find(
        &self,
        of: &Asked<'_>,
        filter: Document,
        at: &str,
        ascending: bool,
        limit: usize,
    ) -> Result<Vec<Line>, ReadError> {
        let Asked { name, kind, symbol, span } = *of;
        let collection = self.connected.session.database.collection::<Document>(name);
        let mut lines: Vec<Result<Line, ReadError>> = Vec::new();
        self.run(async {
            let find = collection.find(filter).sort(doc! { at: if ascending { 1 } else { -1 } });
            let mut cursor = find.limit(i64::try_from(limit).unwrap_or(i64::MAX)).await?;
            while cursor.advance().await? {
                let document = cursor.deserialize_current()?;
                let line = line(kind, symbol, span, &document).map_err(|why| {
                    let id = document.get_str("_id").unwrap_or("without a text as _id");
                    ReadError(format!("document {id} of {name}: this is not what tickcast writes: {why}"))
                });
                lines.extend(line.transpose());
            }
            Ok(())
        })?;
        lines.into_iter().collect()
    }

    /// Bars, those at the range's end that it begins with first. Rows are many for each bar, so it is the bars' ends that are asked
    /// for, some at a time, from the next row on that there is.
    fn bars(
        &self,
        name: &str,
        filter: &Document,
        symbol: &Symbol,
        window: Span,
        range: Range,
    ) -> Result<Vec<Line>, ReadError> {
        let of = Asked { name, kind: Kind::Bars, symbol, span: window };
        let (ascending, length) = (range.from.is_some(), window.millis().max(1));
        // Both ends included.
        let mut low = range.from.map_or(i64::MIN, Timestamp::millis);
        let mut high = range.to.map_or(i64::MAX, |to| to.millis().saturating_sub(1));
        let mut lines: Vec<Line> = Vec::new();
        while lines.len() < range.limit && low <= high {
            let mut within = Document::new();
            // Not every server knows dates so far away.
            if low > i64::MIN {
                within.insert("$gte", DateTime::from_millis(low));
            }
            if high < i64::MAX {
                within.insert("$lte", DateTime::from_millis(high));
            }
            let mut next = filter.clone();
            if !within.is_empty() {
                next.insert("end", within);
            }
            let Some(row) = self.next_row(name, next, ascending)? else { break };
            let row = row.millis();
            // Whole multiples from there on.
            let first =
                if ascending { row + (length - row.rem_euclid(length)) % length } else { row - row.rem_euclid(length) };
            let step = if ascending { length } else { -length };
            let count = i64::try_from((range.limit - lines.len()).min(BARS_AT_ONCE)).unwrap_or(1);
            let ends: Vec<i64> =
                (0..count).map(|place| first + place * step).filter(|end| (low..=high).contains(end)).collect();
            if !ends.is_empty() {
                let ends: Vec<DateTime> = ends.iter().map(|end| DateTime::from_millis(*end)).collect();
                let mut these = filter.clone();
                these.insert("end", doc! { "$in": ends });
                lines.extend(self.find(&of, these, "end", ascending, BARS_AT_ONCE)?);
            }
            let passed = first + (count - 1) * step;
            if ascending {
                low = passed.saturating_add(1);
            } else {
                high = passed.saturating_sub(1);
            }
        }
        Ok(lines)
    }

    /// The end of the first or last row that a filter finds.
    fn next_row(&self, name: &str, filter: Document, first: bool) -> Result<Option<Timestamp>, ReadError> {
        let collection = self.connected.session.database.collection::<Document>(name);
        let order = if first { 1 } else { -1 };
        let found = self.run(async {
            collection.find_one(filter).sort(doc! { "end": order }).projection(doc! { "end": 1 }).await
        })?;
        found.map(|row| super::published::stamp(&row, "end")).transpose().map_err(ReadError)
    }
}

/// What is asked for.
struct Asked<'a> {
    name: &'a str,
    kind: Kind,
    symbol: &'a Symbol,
    span: Span,
}

fn date(at: Timestamp) -> DateTime {
    DateTime::from_millis(at.millis())
}

/// A document as a line; none where it is no bar.
fn line(kind: Kind, symbol: &Symbol, span: Span, found: &Document) -> Result<Option<Line>, String> {
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
        let mut lines = if kind == Kind::Bars {
            filter.insert(format!("windows.{span}"), doc! { "$ne": null });
            self.bars(name, &filter, symbol, span, range)?
        } else {
            filter.insert("horizon", span.to_string());
            let bounds = [("$gte", range.from), ("$lt", range.to)];
            let within = bounds.into_iter().filter_map(|(name, at)| Some((name.to_owned(), date(at?).into())));
            let within: Document = within.collect();
            if !within.is_empty() {
                filter.insert(at, within);
            }
            let of = Asked { name, kind, symbol, span };
            self.find(&of, filter, at, range.from.is_some(), range.limit)?
        };
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
