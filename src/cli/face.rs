//! What a command serves over HTTP, from its configuration.

use super::explain::served::explains;
use crate::config::{Config, HttpConfig};
use crate::connectors::mongodb::MongoReader;
use crate::connectors::published::whole_forecast;
use crate::connectors::sqlite::{self, Limits as StoreLimits, Place, SqliteReader, SqliteStore};
use crate::delivery::reader::{Kind, Layered, Line, Range, ReadError};
use crate::delivery::{Reader, Sink, Stop};
use crate::market::{Span, Symbol, Timestamp};
use crate::serving::app::Results;
use crate::serving::server::Listening;
use crate::serving::{JobInfo, JobWatch, Limits, Live, Server, Watch};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

/// A store in memory gets so much less than a file.
const MEMORY_SHARE: u64 = 20;

/// Of so many series the latest forecasts are fetched from a database at a start.
const PRIMED_MAX: usize = 1000;

/// A socket that listens, for a command that is about to begin.
pub struct Doorway {
    http: HttpConfig,
    listening: Listening,
}

impl Doorway {
    /// Listens where the configuration says; none where it does not.
    ///
    /// # Errors
    /// Where that address is taken.
    pub fn open(config: &Config) -> anyhow::Result<Option<Self>> {
        let Some(http) = &config.http else { return Ok(None) };
        Self::listen(http).map(Some)
    }

    /// Listens there.
    ///
    /// # Errors
    /// Where that address is taken.
    pub fn listen(http: &HttpConfig) -> anyhow::Result<Self> {
        // The configuration was checked.
        let address: SocketAddr = http.listen.parse()?;
        Ok(Self { http: http.clone(), listening: Listening::open(address)? })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.listening.address()
    }

    /// Serves what is watched, and results where there are any.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn serve(self, watched: Arc<dyn Watch>, results: Option<Results>) -> anyhow::Result<Server> {
        start(&self.http, self.listening, watched, results)
    }

    /// Serves metrics and probes of a process that publishes nothing itself.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn serve_probes(self, config: &Config) -> anyhow::Result<(Server, Arc<JobWatch>)> {
        let watch = Arc::new(JobWatch::of_helper(info(config, None, "none: process 0 has it", false)));
        let watched: Arc<dyn Watch> = Arc::clone(&watch) as Arc<dyn Watch>;
        let server = self.serve(watched, None)?;
        tracing::info!("http://{}/metrics has metrics, /readyz and /livez probes of this process", server.address());
        Ok((server, watch))
    }

    /// Serves a job of this process. Its results are kept in the embedded store; without one of its own, what was before is read
    /// from the database, where the job writes into one.
    ///
    /// # Errors
    /// When the store cannot be opened, or a thread cannot be started.
    pub fn serve_job(self, config: &Config, label: Option<&str>, bounded: bool, stop: &Stop) -> anyhow::Result<Face> {
        let Self { http, listening } = self;
        let limits = StoreLimits { retention: http.retention, bytes_max: http.store_bytes_max };
        let (place, limits) = match &http.store {
            Some(path) => (Place::File(path.clone()), limits),
            None => (Place::Memory, StoreLimits { bytes_max: limits.bytes_max / MEMORY_SHARE, ..limits }),
        };
        let name = place.to_string();
        let (live, stored) = (Live::default(), Stored::new(place, bounded, &config.job.id, limits, name.clone()));
        if stored.is_there() {
            // What an earlier run has kept shows at once.
            prime(&live, stored.reader()?)?;
        }
        let stored = Arc::new(stored);
        let reader: Arc<dyn Reader> = match (&http.store, &config.sink.mongodb) {
            (None, Some(sink)) => {
                // The database holds what was before this run.
                let far = MongoReader::open(config, sink, stop)?;
                prime_some(&live, &far);
                Arc::new(Layered::new(Arc::clone(&stored), far))
            }
            _ => Arc::clone(&stored) as Arc<dyn Reader>,
        };
        // What a bounded run writes has its place when it is complete.
        let explains = if bounded { None } else { explains(config, &reader) };
        let watch = Arc::new(JobWatch::new(info(config, label, &name, explains.is_some())));
        let results = Results { live: live.clone(), reader, explains };
        let watched: Arc<dyn Watch> = Arc::clone(&watch) as Arc<dyn Watch>;
        let server = start(&http, listening, watched, Some(results))?;
        Ok(Face { server, live, watch, stored, windows: config.time.windows.clone() })
    }
}

/// The configuration, with what `--listen` says.
pub fn listening(config: &Config, listen: Option<SocketAddr>) -> Config {
    let mut config = config.clone();
    if let Some(listen) = listen {
        config.http.get_or_insert_default().listen = listen.to_string();
    }
    config
}

/// A server, and what it asks.
fn start(
    http: &HttpConfig,
    listening: Listening,
    watched: Arc<dyn Watch>,
    results: Option<Results>,
) -> anyhow::Result<Server> {
    let limits = Limits {
        connections_max: http.connections_max,
        streams_max: http.streams_max,
        streams_per_client: http.streams_per_client,
    };
    let names = http.hosts.clone().unwrap_or_default();
    Ok(Server::start(listening, &names, limits, watched, results)?)
}

pub(super) fn info(config: &Config, label: Option<&str>, store: &str, explains: bool) -> JobInfo {
    JobInfo {
        job: config.job.id.clone(),
        version: env!("CARGO_PKG_VERSION"),
        label: label.map(str::to_owned),
        step: config.model.step,
        horizons: config.model.horizons.clone(),
        windows: config.time.windows.clone(),
        coverage: config.model.coverage,
        store: store.to_owned(),
        explains,
    }
}

/// Shows what was published before.
pub(super) fn prime(live: &Live, reader: &dyn Reader) -> anyhow::Result<()> {
    let last = Range { from: None, to: None, limit: 1 };
    let mut latest = Vec::new();
    for (symbol, horizon) in reader.series(Kind::Forecasts)? {
        let lines = reader.read(Kind::Forecasts, &symbol, horizon, last)?;
        latest.extend(lines.iter().filter_map(|line| whole_forecast(&line.json)));
    }
    live.show(latest);
    Ok(())
}

/// The same of a database that may be away, and of not too many series: what the job publishes next shows anyway.
fn prime_some(live: &Live, far: &MongoReader) {
    let primed = far
        .series(Kind::Forecasts)
        .map_err(anyhow::Error::from)
        .and_then(|series| if series.len() <= PRIMED_MAX { prime(live, far) } else { Ok(()) });
    if let Err(error) = primed {
        tracing::warn!("what was published before does not show yet: {error}");
    }
}

/// What is served of a job of this process.
pub struct Face {
    server: Server,
    live: Live,
    watch: Arc<JobWatch>,
    stored: Arc<Stored>,
    windows: Vec<Span>,
}

/// A job's store, which is made when the job takes over: a start that fails has made none.
struct Stored {
    place: Place,
    /// Whether it takes its place when the run is complete.
    is_whole: bool,
    job: String,
    limits: StoreLimits,
    name: String,
    opened: OnceLock<(SqliteStore, SqliteReader)>,
}

impl Stored {
    fn new(place: Place, is_whole: bool, job: &str, limits: StoreLimits, name: String) -> Self {
        Self { place, is_whole, job: job.to_owned(), limits, name, opened: OnceLock::new() }
    }

    /// Whether opening it makes nothing.
    fn is_there(&self) -> bool {
        matches!(&self.place, Place::File(path) if !self.is_whole && path.exists())
    }

    /// Opens it; it is made where it is not there.
    fn open(&self) -> anyhow::Result<&(SqliteStore, SqliteReader)> {
        if let Some(opened) = self.opened.get() {
            return Ok(opened);
        }
        let store = match &self.place {
            Place::File(path) if self.is_whole => SqliteStore::part(path, &self.job, self.limits)?,
            place => SqliteStore::open(place.clone(), &self.job, self.limits)?,
        };
        let reader = store.reader()?;
        Ok(self.opened.get_or_init(|| (store, reader)))
    }

    fn reader(&self) -> anyhow::Result<&SqliteReader> {
        Ok(&self.open()?.1)
    }
}

/// Empty until it is opened.
impl Reader for Stored {
    fn name(&self) -> &str {
        &self.name
    }

    fn read(&self, kind: Kind, symbol: &Symbol, span: Span, range: Range) -> Result<Vec<Line>, ReadError> {
        self.opened.get().map_or_else(|| Ok(vec![]), |(_, reader)| reader.read(kind, symbol, span, range))
    }

    fn series(&self, kind: Kind) -> Result<Vec<(Symbol, Span)>, ReadError> {
        self.opened.get().map_or_else(|| Ok(vec![]), |(_, reader)| reader.series(kind))
    }

    fn spans(&self, kind: Kind, symbol: &Symbol) -> Result<Vec<Span>, ReadError> {
        self.opened.get().map_or_else(|| Ok(vec![]), |(_, reader)| reader.spans(kind, symbol))
    }
}

impl Face {
    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The latest forecasts.
    pub const fn live(&self) -> &Live {
        &self.live
    }

    /// What a job shows of itself.
    pub const fn watch(&self) -> &Arc<JobWatch> {
        &self.watch
    }

    /// The first of the job's sinks: what others are told is in the store by then. The store is made where it is not there, and
    /// emptied where the job `begins_anew`; that of a bounded run takes the place of the one that was there at the end. With it, up
    /// to where the store is complete.
    ///
    /// # Errors
    /// When the store cannot be made, read or emptied.
    pub fn store_sink(&self, begins_anew: bool) -> anyhow::Result<(Box<dyn Sink>, Option<Timestamp>)> {
        let (store, reader) = self.stored.open()?;
        if let (Place::File(path), true) = (&self.stored.place, self.stored.is_whole) {
            return Ok((Box::new(store.whole_sink(&self.windows, path)?), None));
        }
        if begins_anew {
            store.clear()?;
        }
        Ok((Box::new(store.sink(&self.windows)?), reader.through()?))
    }

    /// The last of the job's sinks: what shows is in every other by then.
    pub fn live_sink(&self) -> Box<dyn Sink> {
        Box::new(self.live.clone())
    }

    /// Ends it.
    pub fn finish(self) {
        self.server.finish();
    }
}

/// Whether the embedded store can be used; changes nothing.
///
/// # Errors
/// Why it cannot.
pub fn check_store(config: &Config) -> anyhow::Result<()> {
    let store = config.http.as_ref().and_then(|http| http.store.as_deref());
    Ok(store.map_or(Ok(()), |path| sqlite::check(path, &config.job.id))?)
}
