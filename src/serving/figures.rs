//! What a report would say of the newest scores of one symbol and horizon: calibration, coverage over time, what each expert is
//! worth.

use super::app::{App, json};
use super::problem::Problem;
use super::query::Query;
use crate::connectors::published::{self, Stream};
use crate::delivery::Reader;
use crate::delivery::reader::{Kind, Line, Range};
use crate::evaluation::report::{Filter, Issued, Judge, Settled};
use crate::market::forecast::{EXPERT_NAMES, EXPERTS};
use crate::market::{Span, Symbol, Timestamp};
use crate::report::verdict;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Scores that are judged, where the request does not say: as many as a forecast's `skill` covers.
const LIMIT: usize = 1440;
/// The most.
const LIMIT_MAX: usize = 5000;

/// `/api/figures`
pub(super) async fn figures(State(app): State<App>, headers: HeaderMap, uri: Uri) -> Result<Response, Problem> {
    let query = Query::parse(uri.query(), &["symbol", "horizon", "to", "limit"])?;
    let (symbol, horizons) = app.symbol_and_horizons(&query)?;
    let [horizon] = horizons[..] else {
        return Err(Problem::bad_request("horizon is missing: figures are of one"));
    };
    let (to, limit) = (query.time("to")?, query.limit(LIMIT, LIMIT_MAX)?);
    let weights = app.watch.weights(&symbol, horizon);
    let answer = app.ask(move |reader| judge(reader, &symbol, horizon, to, limit, weights)).await?;
    Ok(json(&headers, answer.to_string()))
}

fn judge(
    reader: &dyn Reader,
    symbol: &Symbol,
    horizon: Span,
    to: Option<Timestamp>,
    limit: usize,
    weights: Option<[f64; EXPERTS]>,
) -> Result<Value, Problem> {
    let failed = |why: String| Problem::unavailable(format!("{} cannot be judged: {why}", reader.name()));
    let read = |kind, range| reader.read(kind, symbol, horizon, range).map_err(|error| Problem::unavailable(error.0));
    let scores = read(Kind::Scores, Range { from: None, to, limit })?;
    let from = scores.first().map(|line| line.at);
    let to = scores.last().map(|line| line.at.plus(Span::from_millis(1)));
    let forecasts = if from.is_some() { read(Kind::Forecasts, Range { from, to, limit: limit + 1 })? } else { vec![] };
    let experts = experts(&scores, weights);
    let issued: Vec<Issued> =
        forecasts.iter().filter_map(|Line { json, .. }| published::forecast(json.as_bytes()).ok()).collect();
    let settled: Vec<Settled> =
        scores.iter().filter_map(|Line { json, .. }| published::score(json.as_bytes()).ok()).collect();
    let points = points(&issued, &settled);
    let mut judge = Judge::new(Filter::default());
    let issued: Stream<'_, Issued> = Box::new(issued.into_iter().map(Ok));
    let settled: Stream<'_, Settled> = Box::new(settled.into_iter().map(Ok));
    published::judge_all(&mut judge, vec![issued], vec![settled]).map_err(|error| failed(error.to_string()))?;
    let figures = judge.finish();
    let series = figures.series.first().map(serde_json::to_value).transpose().map_err(|e| failed(e.to_string()))?;
    let words = figures.series.first().map(|series| {
        let (verdict, headline, sentences) = verdict(series);
        json!({"verdict": verdict, "headline": headline, "sentences": sentences})
    });
    let training = figures.training.first().map(serde_json::to_value).transpose().map_err(|e| failed(e.to_string()))?;
    Ok(json!({
        "symbol": symbol.as_str(), "horizon": horizon.to_string(),
        "words": words, "figures": series, "training": training, "experts": experts, "points": points,
    }))
}

/// Each score that is not void, beside its forecast: what a page draws over time.
#[derive(Default, Serialize)]
struct Points {
    /// Target times in epoch ms, ascending.
    target_at: Vec<i64>,
    /// Forecast less actual price.
    error: Vec<f64>,
    /// Naive less actual price.
    naive_error: Vec<f64>,
    actual_price: Vec<f64>,
    /// Whether the actual price lay in the interval.
    covered: Vec<bool>,
    /// The third by what volatility was expected at issue, by the interval's width: 0 is calm, 2 is wild.
    tercile: Vec<u8>,
}

fn points(issued: &[Issued], settled: &[Settled]) -> Points {
    let widths: BTreeMap<Timestamp, f64> = issued
        .iter()
        .map(|f| (f.target_at, (f.upper - f.lower) / f.last_price))
        .filter(|(_, width)| width.is_finite())
        .collect();
    let scored: Vec<_> =
        settled.iter().filter_map(|s| Some((s.target_at, s.outcome?, *widths.get(&s.target_at)?))).collect();
    let mut sorted: Vec<f64> = scored.iter().map(|(_, _, width)| *width).collect();
    sorted.sort_by(f64::total_cmp);
    let bound = |third: usize| sorted.get(sorted.len() * third / 3).copied().unwrap_or(f64::INFINITY);
    let (calm, normal) = (bound(1), bound(2));
    let mut points = Points::default();
    for (at, outcome, width) in scored {
        points.target_at.push(at.millis());
        points.error.push(outcome.error);
        points.naive_error.push(outcome.naive_error);
        points.actual_price.push(outcome.actual_price);
        points.covered.push(outcome.covered);
        points.tercile.push(u8::from(width >= calm) + u8::from(width >= normal));
    }
    points
}

#[derive(Deserialize)]
struct Parts {
    naive_pinball: Option<f64>,
    experts: Option<BTreeMap<String, f64>>,
}

/// What each expert is worth by itself (its pinball loss over that of the naive quantiles, of the scores that it took part in), and
/// what it has of the mixture now.
fn experts(scores: &[Line], weights: Option<[f64; EXPERTS]>) -> Vec<Value> {
    let mut sums: BTreeMap<&str, (u64, f64, f64)> = BTreeMap::new();
    for Line { json, .. } in scores {
        let Ok(Parts { naive_pinball: Some(naive), experts: Some(experts) }) = serde_json::from_str(json) else {
            continue;
        };
        for (name, pinball) in experts {
            if let Some(name) = EXPERT_NAMES.into_iter().find(|known| *known == name) {
                let sum = sums.entry(name).or_default();
                *sum = (sum.0 + 1, sum.1 + pinball, sum.2 + naive);
            }
        }
    }
    let known = EXPERT_NAMES.iter().enumerate().filter_map(|(place, name)| Some((place, name, sums.get(name)?)));
    known
        .map(|(place, name, (count, pinball, naive))| {
            let ratio = (*naive > 0.0).then(|| pinball / naive);
            json!({"name": name, "count": count, "pinball_ratio": ratio, "weight": weights.map(|all| all[place])})
        })
        .collect()
}
