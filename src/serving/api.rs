//! Results as JSON: forecasts, scores and bars, as they were delivered.

use super::app::{App, json};
use super::problem::Problem;
use super::query::Query;
use crate::delivery::Reader;
use crate::delivery::reader::{Kind, Range};
use crate::market::{Span, Symbol, Timestamp};
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;

/// Records in an answer, where the request does not say.
const LIMIT: usize = 500;
/// The most records in an answer.
const LIMIT_MAX: usize = 5000;

/// `/api/forecasts`: of a symbol, by issue time.
pub(super) async fn forecasts(State(app): State<App>, headers: HeaderMap, uri: Uri) -> Result<Response, Problem> {
    let query = Query::parse(uri.query(), &["symbol", "horizon", "from", "to", "limit", "cursor"])?;
    let (symbol, horizons) = app.symbol_and_horizons(&query)?;
    let page = Page::of(&query)?;
    let asked = Asked { kind: Kind::Forecasts, name: "forecasts", symbol, spans: horizons, by_issue: true };
    Ok(json(&headers, app.ask(move |reader| asked.answer(reader, page)).await?))
}

/// `/api/scores`: of a symbol, by target time.
pub(super) async fn scores(State(app): State<App>, headers: HeaderMap, uri: Uri) -> Result<Response, Problem> {
    let query = Query::parse(uri.query(), &["symbol", "horizon", "from", "to", "limit", "cursor"])?;
    let (symbol, horizons) = app.symbol_and_horizons(&query)?;
    let page = Page::of(&query)?;
    let asked = Asked { kind: Kind::Scores, name: "scores", symbol, spans: horizons, by_issue: false };
    Ok(json(&headers, app.ask(move |reader| asked.answer(reader, page)).await?))
}

/// `/api/bars`: windows of a symbol at their whole multiples, by end.
pub(super) async fn bars(State(app): State<App>, headers: HeaderMap, uri: Uri) -> Result<Response, Problem> {
    let query = Query::parse(uri.query(), &["symbol", "window", "from", "to", "limit", "cursor"])?;
    let symbol = app.symbol(&query)?;
    let window = query.span("window")?;
    let page = Page::of(&query)?;
    let answer = app.ask(move |reader| {
        let series = reader.spans(Kind::Bars, &symbol).map_err(|error| Problem::unavailable(error.0))?;
        let spans = match window {
            Some(window) if series.contains(&window) => vec![window],
            Some(window) => {
                let known: Vec<String> = series.iter().map(Span::to_string).collect();
                let has = if known.is_empty() { "none yet".to_owned() } else { known.join(", ") };
                return Err(Problem::not_found(format!("{symbol} has no bars of {window}: it has {has}")));
            }
            None => series.into_iter().take(1).collect(),
        };
        Asked { kind: Kind::Bars, name: "bars", symbol, spans, by_issue: false }.answer(reader, page)
    });
    Ok(json(&headers, answer.await?))
}

/// Which part of a series is wanted.
#[derive(Clone, Copy, Debug)]
struct Page {
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    limit: usize,
    /// The last record of the page before: its time and its horizon or window.
    after: Option<(Timestamp, Span)>,
}

impl Page {
    fn of(query: &Query) -> Result<Self, Problem> {
        let (from, to) = (query.time("from")?, query.time("to")?);
        if let (Some(from), Some(to)) = (from, to)
            && from >= to
        {
            return Err(Problem::bad_request(format!("from = {from} is not before to = {to}: nothing lies between")));
        }
        let after = query.text("cursor").map(|text| {
            let parts = text.split_once('.').and_then(|(at, span)| Some((at.parse().ok()?, span.parse().ok()?)));
            let wrong = || Problem::bad_request(format!("cursor = {text:?} is none that an answer gave"));
            parts.map(|(at, span)| (Timestamp::from_millis(at), Span::from_millis(span))).ok_or_else(wrong)
        });
        Ok(Self { from, to, limit: query.limit(LIMIT, LIMIT_MAX)?, after: after.transpose()? })
    }
}

/// The records that are asked for.
struct Asked {
    kind: Kind,
    name: &'static str,
    symbol: Symbol,
    /// Horizons or windows, ascending.
    spans: Vec<Span>,
    /// Whether times are those of the issue, a horizon before what they are kept by.
    by_issue: bool,
}

impl Asked {
    /// The page, as JSON: records ascending by time, then horizon; the cursor of the next page, where there may be one.
    fn answer(self, reader: &dyn Reader, page: Page) -> Result<String, Problem> {
        let Self { kind, name, symbol, spans, by_issue } = self;
        let ascends = page.from.is_some() || page.after.is_some();
        let mut found: Vec<(Timestamp, Span, String)> = Vec::new();
        for span in spans {
            let shift = if by_issue { span } else { Span::default() };
            let after = page.after.map(|(at, last)| if span > last { at } else { at.plus(Span::from_millis(1)) });
            let from = page.from.max(after).map(|from| from.plus(shift));
            // One more tells whether there is another page.
            let range = Range { from, to: page.to.map(|to| to.plus(shift)), limit: page.limit + 1 };
            let lines = reader.read(kind, &symbol, span, range).map_err(|error| Problem::unavailable(error.0))?;
            found.extend(lines.into_iter().map(|line| (line.at.minus(shift), span, line.json)));
        }
        found.sort_by_key(|(at, span, _)| (*at, *span));
        let mut next = None;
        if found.len() > page.limit {
            if ascends {
                found.truncate(page.limit);
                next = found.last().map(|(at, span, _)| format!("{}.{}", at.millis(), span.millis()));
            } else {
                found.drain(..found.len() - page.limit);
            }
        }
        let bytes: usize = found.iter().map(|(_, _, json)| json.len() + 1).sum();
        let mut out = String::with_capacity(bytes + 128);
        out.push_str("{\"symbol\":");
        out.push_str(&serde_json::Value::from(symbol.as_str()).to_string());
        out.push_str(&format!(",\"{name}\":["));
        for (at, (_, _, json)) in found.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            out.push_str(json);
        }
        out.push_str("],\"next\":");
        out.push_str(&serde_json::Value::from(next).to_string());
        out.push('}');
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::reader::{Line, ReadError};

    /// 2001 began.
    const BASE: i64 = 978_307_200_000;

    /// Two horizons; a record each minute, kept by its target.
    struct Minutes;

    impl Reader for Minutes {
        fn name(&self) -> &str {
            "minutes"
        }

        fn read(&self, _: Kind, _: &Symbol, span: Span, range: Range) -> Result<Vec<Line>, ReadError> {
            let shift = span.millis() / 60_000;
            let fits = |at: &i64| {
                let at = Timestamp::from_millis(BASE + *at * 60_000);
                range.from.is_none_or(|from| at >= from) && range.to.is_none_or(|to| at < to)
            };
            let all: Vec<i64> = (1..=10).map(|issue| issue + shift).filter(fits).collect();
            let skipped = if range.from.is_some() { 0 } else { all.len().saturating_sub(range.limit) };
            let some = all.into_iter().skip(skipped).take(range.limit);
            Ok(some
                .map(|at| Line {
                    at: Timestamp::from_millis(BASE + at * 60_000),
                    json: format!("\"{}/{span}\"", at - shift),
                })
                .collect())
        }

        fn series(&self, _: Kind) -> Result<Vec<(Symbol, Span)>, ReadError> {
            Ok(vec![])
        }
    }

    fn ask(page: &str) -> (Vec<String>, Option<String>) {
        let query = Query::parse(Some(page), &["from", "to", "limit", "cursor"]).unwrap();
        let spans = [60_000, 300_000].map(Span::from_millis).to_vec();
        let symbol = Symbol::new("BTC").unwrap();
        let asked = Asked { kind: Kind::Forecasts, name: "forecasts", symbol, spans, by_issue: true };
        let answer = asked.answer(&Minutes, Page::of(&query).unwrap()).unwrap();
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        let texts = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        (
            answer["forecasts"].as_array().unwrap().iter().map(texts).collect(),
            answer["next"].as_str().map(str::to_owned),
        )
    }

    #[test]
    fn pages_follow_each_other_without_a_gap_or_a_repeat() {
        assert_eq!(ask("limit=3").0, ["9/5m", "10/1m", "10/5m"], "the last ones");
        assert_eq!(ask("limit=3&to=2001-01-01T00:02:00Z").0, ["1/1m", "1/5m"]);
        let (mut all, mut cursor) = (vec![], None);
        loop {
            let page = cursor.as_ref().map_or_else(String::new, |cursor| format!("&cursor={cursor}"));
            let (some, next) = ask(&format!("from=2001-01-01T00:02:00Z&limit=3{page}"));
            assert!(some.len() <= 3);
            all.extend(some);
            cursor = next;
            if cursor.is_none() {
                break;
            }
        }
        let expected: Vec<String> = (2..=10).flat_map(|at| [format!("{at}/1m"), format!("{at}/5m")]).collect();
        assert_eq!(all, expected);
    }
}
