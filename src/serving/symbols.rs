//! The table of all symbols: for ten thousand as for three, a page at a time, sorted and searched here.

use super::app::{App, json};
use super::problem::Problem;
use super::query::Query;
use crate::market::{Forecast, Skill, Span, Symbol, Timestamp};
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use serde::Serialize;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Rows in an answer, where the request does not say.
const LIMIT: usize = 100;
/// The most.
const LIMIT_MAX: usize = 10_000;
/// What rows are sorted by.
const SORTS: [&str; 7] = ["symbol", "last_price", "mae_ratio", "coverage", "e_value", "width", "issued_at"];

/// A symbol's latest forecast of one horizon.
#[derive(Debug, Serialize)]
struct Row {
    symbol: String,
    horizon: Span,
    issued_at: String,
    target_at: String,
    last_price: f64,
    price: f64,
    lower: f64,
    upper: f64,
    probability_up: f64,
    status: &'static str,
    count: u64,
    mae_ratio: Option<f64>,
    coverage: Option<f64>,
    e_value: f64,
    drift_changes: u64,
    model_version: u64,
}

impl Row {
    fn of(f: &Forecast) -> Self {
        let Skill { count, mae_ratio, coverage, e_value } = f.skill;
        Self {
            symbol: f.symbol.to_string(),
            horizon: f.horizon,
            issued_at: f.issued_at.to_string(),
            target_at: f.target_at.to_string(),
            last_price: f.last_price.to_f64(),
            price: f.price,
            lower: f.interval.lower,
            upper: f.interval.upper,
            probability_up: f.probability_up,
            status: f.status.as_str(),
            count,
            mae_ratio,
            coverage,
            e_value,
            drift_changes: f.drift.changes,
            model_version: f.model.version,
        }
    }
}

#[derive(Serialize)]
struct Answer {
    /// Symbols with forecasts.
    total: usize,
    /// Symbols that fit the search.
    found: usize,
    /// Horizons that there are, ascending.
    horizons: Vec<Span>,
    /// The horizon that these are of.
    horizon: Option<Span>,
    symbols: Vec<Row>,
    /// Where the next page begins, where there is one.
    next: Option<usize>,
}

/// `/api/symbols`
pub(super) async fn symbols(State(app): State<App>, headers: HeaderMap, uri: Uri) -> Result<Response, Problem> {
    let query = Query::parse(uri.query(), &["horizon", "search", "sort", "order", "limit", "cursor"])?;
    let wanted = Wanted {
        horizon: query.span("horizon")?,
        search: query.text("search").unwrap_or_default().to_lowercase(),
        sort: query.choice("sort", &SORTS)?,
        descends: query.choice("order", &["asc", "desc"])? == "desc",
        limit: query.limit(LIMIT, LIMIT_MAX)?,
        skipped: match query.text("cursor") {
            None => 0,
            Some(text) => {
                let wrong = || Problem::bad_request(format!("cursor = {text:?} is none that an answer gave"));
                text.parse().map_err(|_| wrong())?
            }
        },
    };
    let answer = app.results()?.live.look(|latest| wanted.answer(latest))?;
    let body = serde_json::to_string(&answer).map_err(|error| Problem::unavailable(error.to_string()))?;
    Ok(json(&headers, body))
}

struct Wanted {
    horizon: Option<Span>,
    /// In lower case.
    search: String,
    sort: &'static str,
    descends: bool,
    limit: usize,
    skipped: usize,
}

impl Wanted {
    fn answer(&self, latest: &BTreeMap<Symbol, BTreeMap<Span, Forecast>>) -> Result<Answer, Problem> {
        let mut horizons: Vec<Span> = latest.values().flat_map(BTreeMap::keys).copied().collect();
        horizons.sort_unstable();
        horizons.dedup();
        let horizon = match self.horizon {
            Some(horizon) if !horizons.is_empty() && !horizons.contains(&horizon) => {
                let known: Vec<String> = horizons.iter().map(Span::to_string).collect();
                return Err(Problem::not_found(format!(
                    "there is no horizon {horizon}: there are {}",
                    known.join(", ")
                )));
            }
            Some(horizon) => Some(horizon),
            None => horizons.first().copied(),
        };
        let fits = |symbol: &Symbol| self.search.is_empty() || symbol.as_str().to_lowercase().contains(&self.search);
        let of = |horizons: &'_ BTreeMap<Span, Forecast>| horizon.and_then(|horizon| horizons.get(&horizon).cloned());
        let mut found: Vec<Forecast> =
            latest.iter().filter(|(symbol, _)| fits(symbol)).filter_map(|(_, horizons)| of(horizons)).collect();
        if self.sort != "symbol" {
            // What has no figure comes last, whichever way; what is equal stays in the order of symbols.
            found.sort_by(|one, other| match (self.key(one), self.key(other)) {
                (Some(one), Some(other)) if self.descends => other.total_cmp(&one),
                (Some(one), Some(other)) => one.total_cmp(&other),
                (None, None) => Ordering::Equal,
                (one, _) => {
                    if one.is_none() {
                        Ordering::Greater
                    } else {
                        Ordering::Less
                    }
                }
            });
        } else if self.descends {
            found.reverse();
        }
        let end = self.skipped.saturating_add(self.limit);
        Ok(Answer {
            total: latest.len(),
            found: found.len(),
            horizons,
            horizon,
            symbols: found.iter().skip(self.skipped).take(self.limit).map(Row::of).collect(),
            next: (end < found.len()).then_some(end),
        })
    }

    fn key(&self, f: &Forecast) -> Option<f64> {
        let millis = |at: Timestamp| at.millis() as f64;
        match self.sort {
            "last_price" => Some(f.last_price.to_f64()),
            "mae_ratio" => f.skill.mae_ratio,
            "coverage" => f.skill.coverage,
            "e_value" => Some(f.skill.e_value),
            "width" => {
                Some((f.interval.upper - f.interval.lower) / f.last_price.to_f64()).filter(|width| width.is_finite())
            }
            _ => Some(millis(f.issued_at)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::test_records::forecast;

    #[test]
    fn rows_are_searched_sorted_and_paged() {
        let latest: BTreeMap<_, _> = (0..25)
            .map(|number| {
                let mut f = forecast(&format!("S{number:02}"), 1);
                f.skill.mae_ratio = (number != 7).then(|| f64::from((number * 7) % 25));
                (f.symbol.clone(), BTreeMap::from([(f.horizon, f)]))
            })
            .collect();
        let ask = |search: &str, sort, descends, skipped| {
            let wanted = Wanted { horizon: None, search: search.to_owned(), sort, descends, limit: 10, skipped };
            let answer = wanted.answer(&latest).unwrap();
            (answer.found, answer.next, answer.symbols.into_iter().map(|row| row.symbol).collect::<Vec<_>>())
        };
        let (found, next, first) = ask("", "symbol", false, 0);
        assert_eq!((found, next, first[0].as_str()), (25, Some(10), "S00"));
        assert_eq!(ask("", "symbol", true, 20).2, ["S04", "S03", "S02", "S01", "S00"]);
        assert_eq!(ask("s1", "symbol", false, 0).0, 10);
        for descends in [false, true] {
            let (_, next, last) = ask("", "mae_ratio", descends, 20);
            assert_eq!((next, last.last().map(String::as_str)), (None, Some("S07")), "what has none is last");
        }
        assert_eq!(ask("", "mae_ratio", false, 0).2[0], "S00");
        let wanted = Wanted {
            horizon: Some(Span::from_millis(7)),
            search: String::new(),
            sort: "symbol",
            descends: false,
            limit: 1,
            skipped: 0,
        };
        assert!(wanted.answer(&latest).err().unwrap().detail.contains("there are 1m"));
    }
}
