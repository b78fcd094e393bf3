//! Server-sent events: what is published, as it is published.
//!
//! | event | data |
//! |---|---|
//! | `forecast`, `score` | as in the topics |
//! | `bar` | as in `/api/bars` |
//! | `through` | `{"through"}`: everything up to there was sent; its id is where to go on after |
//! | `job` | as in `/api/job`, every few seconds |
//! | `ping` | `{"at"}`, so that a page knows when it is stale |
//! | `reset` | what was missed is not here any more, or all of before was replaced: read it from the other routes |
//! | `dropped` | this reader was too slow: the stream ends |

use super::app::{App, Peer};
use super::job::Watch;
use super::live::{Follower, News, Published};
use super::problem::Problem;
use super::query::Query;
use crate::market::json::{write_forecast, write_score, write_window};
use crate::market::{Span, Symbol};
use crate::operators::support::gauges::wall_clock;
use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::Response;
use futures_util::stream;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::time::{Interval, MissedTickBehavior, interval};

/// How often a stream says that it lives, and how its job is.
const PING_EVERY: Duration = Duration::from_secs(2);
/// How long a browser waits before it comes back, in milliseconds.
const RETRY_MS: u32 = 2000;

/// What was read before is to be read anew.
const RESET: &str = "event: reset\ndata: {}\n\n";

/// The open streams, and how many there may be.
#[derive(Debug)]
pub struct Streams {
    all_max: usize,
    each_max: usize,
    open: Mutex<BTreeMap<IpAddr, usize>>,
    /// Tells what this process has sent from what an earlier one has.
    epoch: i64,
    /// How the job was last seen to be: asked once for all streams.
    status: Mutex<Option<(Instant, Arc<str>)>>,
}

impl Streams {
    /// At most `all_max`, and `each_max` of one address.
    #[must_use]
    pub fn new(all_max: usize, each_max: usize) -> Self {
        Self { all_max, each_max, open: Mutex::default(), epoch: wall_clock().millis(), status: Mutex::default() }
    }

    fn open(self: &Arc<Self>, address: IpAddr) -> Result<Place, Problem> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, own) = (open.values().sum::<usize>(), open.get(&address).copied().unwrap_or(0));
        if all >= self.all_max || own >= self.each_max {
            let limit = if own >= self.each_max { self.each_max } else { self.all_max };
            let detail = format!("{limit} streams are open already: close one, or raise the limit in [http]");
            return Err(Problem { status: StatusCode::TOO_MANY_REQUESTS, detail });
        }
        *open.entry(address).or_default() += 1;
        Ok(Place { streams: Arc::clone(self), address })
    }

    /// How the job is, as JSON, not older than half of [`PING_EVERY`]; none where there is no job.
    fn status(&self, watch: &dyn Watch) -> Option<Arc<str>> {
        let mut known = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, text)) = &*known
            && at.elapsed() < PING_EVERY / 2
        {
            return Some(Arc::clone(text));
        }
        let text: Arc<str> = serde_json::to_string(&watch.status()?).ok()?.into();
        *known = Some((Instant::now(), Arc::clone(&text)));
        Some(text)
    }

    /// How many are open.
    #[must_use]
    pub fn count(&self) -> usize {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).values().sum()
    }
}

/// One open stream's place, given back when it ends.
struct Place {
    streams: Arc<Streams>,
    address: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.streams.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

/// What a stream is to tell.
struct Filter {
    symbol: Option<Symbol>,
    horizon: Option<Span>,
    window: Option<Span>,
    windows: Vec<Span>,
}

impl Filter {
    /// The events of a batch, in the order of their times; empty where there is nothing to tell but how far it is.
    fn events(&self, batch: &Published, epoch: i64, out: &mut String) {
        let fits = |symbol: &Symbol| self.symbol.as_ref().is_none_or(|wanted| wanted == symbol);
        let ahead = |horizon: Span| self.horizon.is_none_or(|wanted| wanted == horizon);
        let mut json = Vec::new();
        let mut put = |name: &str, json: &mut Vec<u8>| {
            // What we write is UTF-8.
            let _ = write!(out, "event: {name}\ndata: {}\n\n", std::str::from_utf8(json).unwrap_or_default());
            json.clear();
        };
        for row in batch.rows.iter().filter(|row| fits(&row.symbol)) {
            for (window, bar) in self.windows.iter().zip(&row.windows) {
                let wanted = self.window.is_none_or(|wanted| wanted == *window) && row.end.is_multiple_of(*window);
                if let Some(bar) = bar.as_ref().filter(|_| wanted) {
                    write_window(&row.symbol, *window, row.end, bar, &mut json);
                    put("bar", &mut json);
                }
            }
        }
        for score in batch.scores.iter().filter(|score| fits(&score.symbol) && ahead(score.horizon)) {
            write_score(score, &mut json);
            put("score", &mut json);
        }
        for forecast in batch.forecasts.iter().filter(|forecast| fits(&forecast.symbol) && ahead(forecast.horizon)) {
            write_forecast(forecast, &mut json);
            put("forecast", &mut json);
        }
        let _ = write!(
            out,
            "event: through\nid: {epoch}-{}\ndata: {{\"through\":\"{}\"}}\n\n",
            batch.number, batch.through
        );
    }
}

/// `/api/stream`
pub(super) async fn stream(
    State(app): State<App>,
    Extension(Peer(address)): Extension<Peer>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let query = Query::parse(uri.query(), &["symbol", "horizon", "window"])?;
    let windows = app.watch.status().map(|status| status.info.windows).unwrap_or_default();
    let filter = Filter {
        symbol: query.symbol("symbol")?,
        horizon: query.span("horizon")?,
        window: query.span("window")?,
        windows,
    };
    let place = app.streams.open(address)?;
    let epoch = app.streams.epoch;
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let after = last.and_then(|id| {
        let (of, number) = id.split_once('-')?;
        (of == epoch.to_string()).then(|| number.parse().ok())?
    });
    let (news, is_here) = app.results()?.live.follow(after);
    let mut first = format!("retry: {RETRY_MS}\n\n");
    if !is_here || last.is_some() && after.is_none() {
        first.push_str(RESET);
    }
    let mut pings = interval(PING_EVERY);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let told = Telling { first: Some(first), news, filter, epoch, pings, app, ended: false, _place: place };
    let events = stream::unfold(told, |mut told| async move {
        let text = told.next().await?;
        Some((Ok::<_, std::convert::Infallible>(Bytes::from(text)), told))
    });
    let mut response = Response::new(Body::from_stream(events));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// A stream that is being told.
struct Telling {
    first: Option<String>,
    news: Follower,
    filter: Filter,
    epoch: i64,
    pings: Interval,
    app: App,
    ended: bool,
    _place: Place,
}

impl Telling {
    /// The next events; none at the end. It is asked when what it gave before was sent, so that nothing piles up here.
    async fn next(&mut self) -> Option<String> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        if self.ended {
            return None;
        }
        let mut out = String::new();
        tokio::select! {
            biased;
            // Also where the server is gone.
            _ = self.app.stopping.wait_for(|stopping| *stopping) => return None,
            news = self.news.next() => match news? {
                News::Batch(batch) => self.filter.events(&batch, self.epoch, &mut out),
                News::Replaced => out.push_str(RESET),
                News::Missed(missed) => {
                    self.ended = true;
                    let _ = write!(out, "event: dropped\ndata: {{\"missed\":{missed}}}\n\n");
                }
            },
            _ = self.pings.tick() => {
                let _ = write!(out, "event: ping\ndata: {{\"at\":{}}}\n\n", wall_clock().millis());
                if let Some(status) = self.app.streams.status(self.app.watch.as_ref()) {
                    let _ = write!(out, "event: job\ndata: {status}\n\n");
                }
            }
        }
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::test_records::{forecast, score};
    use crate::market::Timestamp;

    #[test]
    fn places_are_limited_and_given_back() {
        let streams = Arc::new(Streams::new(3, 2));
        let (one, other): (IpAddr, IpAddr) = ([127, 0, 0, 1].into(), [127, 0, 0, 2].into());
        let first = streams.open(one).unwrap();
        let _second = streams.open(one).unwrap();
        assert!(streams.open(one).err().unwrap().detail.starts_with("2 streams are open"));
        let _third = streams.open(other).unwrap();
        assert!(streams.open(other).err().unwrap().detail.starts_with("3 streams are open"));
        drop(first);
        assert_eq!(streams.count(), 2);
        assert!(streams.open(other).is_ok());
    }

    #[test]
    fn events_are_those_that_were_asked_for() {
        let batch = Published {
            number: 7,
            through: Timestamp::from_millis(60_000),
            forecasts: vec![forecast("BTC", 60_000), forecast("ETH", 60_000)],
            scores: vec![score("BTC", 60_000, true), score("ETH", 60_000, false)],
            rows: vec![],
        };
        let filter = Filter { symbol: Some(Symbol::new("ETH").unwrap()), horizon: None, window: None, windows: vec![] };
        let mut out = String::new();
        filter.events(&batch, 5, &mut out);
        let names: Vec<&str> = out.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
        assert_eq!(names, ["score", "forecast", "through"]);
        assert!(out.contains("\nid: 5-7\n") && !out.contains("BTC"));
    }
}
