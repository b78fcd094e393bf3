//! What is served, and which route gives what.

use super::explain::{Explains, Explanations, explain};
use super::guard::Hosts;
use super::job::Watch;
use super::live::Live;
use super::problem::Problem;
use super::query::Query;
use super::{api, assets, figures, metrics, stream, symbols};
use crate::delivery::Reader;
use crate::market::{Span, Symbol};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use sha2::Digest as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tower_http::compression::CompressionLayer;

/// The description of the API, as it is served.
pub const OPENAPI: &str = include_str!("../../schemas/openapi.json");
/// The longest that a request waits for the store.
const STORE_WAIT_MAX: Duration = Duration::from_secs(10);
/// How many ask the store at a time.
const STORE_READERS: usize = 4;

/// Results, and where they are read from; a collector has none.
#[derive(Clone)]
pub struct Results {
    /// The latest, and what is new.
    pub live: Live,
    /// All that is kept.
    pub reader: Arc<dyn Reader>,
    /// Who computes one of them again, where somebody can.
    pub explains: Option<Arc<dyn Explains>>,
}

/// Everything that is served.
#[derive(Clone)]
pub struct App {
    /// What is watched.
    pub watch: Arc<dyn Watch>,
    /// Its results, where there are any.
    pub results: Option<Results>,
    pub(super) streams: Arc<stream::Streams>,
    pub(super) hosts: Arc<Hosts>,
    pub(super) stopping: watch::Receiver<bool>,
    readers: Arc<Semaphore>,
    explanations: Option<Arc<Explanations>>,
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub IpAddr);

impl App {
    pub(super) fn new(
        watch: Arc<dyn Watch>,
        results: Option<Results>,
        streams: stream::Streams,
        hosts: Hosts,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        let (streams, hosts) = (Arc::new(streams), Arc::new(hosts));
        let explains = results.as_ref().and_then(|results| results.explains.clone());
        let explanations = explains.map(|explains| Arc::new(Explanations::new(explains)));
        let readers = Arc::new(Semaphore::new(STORE_READERS));
        Self { watch, results, streams, hosts, stopping, readers, explanations }
    }

    pub(super) const fn explanations(&self) -> Option<&Arc<Explanations>> {
        self.explanations.as_ref()
    }

    /// The routes.
    pub(super) fn router(self) -> Router {
        let everywhere =
            Router::new().route("/metrics", get(scrape)).route("/livez", get(livez)).route("/readyz", get(readyz));
        let all = if self.results.is_some() {
            everywhere
                .route("/", get(|headers: HeaderMap| async move { assets::page(&headers) }))
                .route("/explain", get(|headers: HeaderMap| async move { assets::explanation(&headers) }))
                .route("/assets/{name}", get(assets::asset))
                .route("/api/job", get(job))
                .route("/api/symbols", get(symbols::symbols))
                .route("/api/forecasts", get(api::forecasts))
                .route("/api/scores", get(api::scores))
                .route("/api/bars", get(api::bars))
                .route("/api/figures", get(figures::figures))
                .route("/api/explain", get(explain))
                .route("/api/stream", get(stream::stream))
                .route("/api/openapi.json", get(openapi))
        } else {
            everywhere
        };
        all.fallback(nowhere).with_state(self).layer(CompressionLayer::new().gzip(true))
    }

    pub(super) fn results(&self) -> Result<&Results, Problem> {
        self.results.as_ref().ok_or_else(|| Problem::not_found("there are no results here"))
    }

    /// Asks the store, aside from what else is served.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&dyn Reader) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let reader = Arc::clone(&self.results()?.reader);
        let slow = || Problem::unavailable("the store did not answer in time: ask again, or for less");
        let turn = tokio::time::timeout(STORE_WAIT_MAX, Arc::clone(&self.readers).acquire_owned()).await;
        let turn = turn.map_err(|_| slow())?.map_err(|_| slow())?;
        let asked = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            ask(reader.as_ref())
        });
        let answer = tokio::time::timeout(STORE_WAIT_MAX, asked).await.map_err(|_| slow())?;
        answer.map_err(|_| Problem::failed("a question to the store failed"))?
    }

    /// The symbol that is asked for, which has to be known, and its horizons: the one that is asked for, or all.
    pub(super) fn symbol_and_horizons(&self, query: &Query) -> Result<(Symbol, Vec<Span>), Problem> {
        let symbol = self.symbol(query)?;
        let horizons = self.results()?.live.horizons(&symbol);
        match query.span("horizon")? {
            Some(horizon) if horizons.contains(&horizon) => Ok((symbol, vec![horizon])),
            Some(horizon) => {
                let known: Vec<String> = horizons.iter().map(Span::to_string).collect();
                Err(Problem::not_found(format!("{symbol} has no horizon {horizon}: it has {}", known.join(", "))))
            }
            None => Ok((symbol, horizons)),
        }
    }

    /// The symbol that is asked for, which has to be known.
    pub(super) fn symbol(&self, query: &Query) -> Result<Symbol, Problem> {
        let symbol = query.symbol("symbol")?;
        let symbol = symbol.ok_or_else(|| Problem::bad_request("symbol is missing: /api/symbols lists them"))?;
        if self.results()?.live.look(|latest| latest.contains_key(&symbol)) {
            Ok(symbol)
        } else {
            Err(Problem::not_found(format!("there is no forecast of {:?}: /api/symbols lists all", symbol.as_str())))
        }
    }
}

/// An answer of JSON, with a tag that tells whether it has changed.
pub(super) fn json(headers: &HeaderMap, body: String) -> Response {
    tagged(headers, "application/json", body.into_bytes())
}

/// An answer with a tag of its content; nothing where the asker has it.
pub(super) fn tagged(headers: &HeaderMap, kind: &'static str, body: Vec<u8>) -> Response {
    let digest = sha2::Sha256::digest(&body);
    let tag = digest[..12].iter().fold(String::from("W/\""), |tag, byte| format!("{tag}{byte:02x}")) + "\"";
    let known = headers.get(header::IF_NONE_MATCH).and_then(|known| known.to_str().ok()).unwrap_or_default();
    let has_it = known.split(',').any(|one| one.trim() == tag || one.trim() == "*");
    let mut response = if has_it { StatusCode::NOT_MODIFIED.into_response() } else { Response::new(Body::from(body)) };
    if !has_it {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

async fn nowhere(uri: Uri) -> Problem {
    Problem::not_found(format!("there is nothing at {:?}: /api/openapi.json says what there is", uri.path()))
}

async fn openapi(headers: HeaderMap, uri: Uri) -> Result<Response, Problem> {
    Query::parse(uri.query(), &[])?;
    Ok(json(&headers, OPENAPI.to_owned()))
}

async fn job(State(app): State<App>, uri: Uri) -> Result<Response, Problem> {
    Query::parse(uri.query(), &[])?;
    let status = app.watch.status().ok_or_else(|| Problem::not_found("there is no job here"))?;
    let body = serde_json::to_string(&status).map_err(|error| Problem::unavailable(error.to_string()))?;
    // It changes with every look.
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

async fn scrape(State(app): State<App>) -> Response {
    let text = metrics::scrape(&app.watch, app.results.as_ref().map(|results| &results.live));
    ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response()
}

const PLAIN: [(header::HeaderName, &str); 1] = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];

async fn livez(State(app): State<App>) -> Response {
    match app.watch.dead() {
        None => (PLAIN, "ok\n".to_owned()).into_response(),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, PLAIN, why + "\n").into_response(),
    }
}

async fn readyz(State(app): State<App>) -> Response {
    let mut reasons = app.watch.unready();
    if *app.stopping.borrow() {
        reasons.insert(0, "stopping".to_owned());
    }
    if reasons.is_empty() {
        (PLAIN, "ok\n".to_owned()).into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, PLAIN, reasons.join("\n") + "\n").into_response()
    }
}
