//! Archives of exchanges: downloaded, verified, put together, and listed for `backfill`.
//!
//! ```text
//! files: fetch ──> checksum ──> content ──> journal        one file at a time, several beside each other
//! market: choose months or days ──> gaps ──> the API ──> mended files ──> list
//! ```
//!
//! A file gets its name when it is known to be good, so whatever has a name is whole. Of a month that is over its own file is asked
//! for; where that is faulty, lacks numbers or has some twice, its days' are, and count where they are no worse; on wish they are
//! of every month, and count where they are another's rows, too. What is missing then is asked for at the venue's API. What cannot be had is a hole in the list, with its reason.
//!
//! The room lies above `feeds`, whose manners with servers it shares, and above `connectors`, which read what is in a file: as a
//! job would.

mod address;
mod ask;
#[cfg(test)]
mod bent;
mod binance;
mod choose;
mod compare;
mod content;
mod fetch;
mod files;
mod journal;
mod market;
mod mend;
mod period;
mod pool;
mod repair;
mod report;
mod told;

pub use files::NOT_RECHECKED;
pub use report::text;

use crate::config::{HistoryConfig, HistoryKind, HistoryVenue};
use crate::connectors::files::index::{INDEX, Index, Series, VERSION};
use crate::delivery::Stop;
use crate::feeds::outbound::Outbound;
use crate::feeds::streams::Fault;
use crate::feeds::streams::venues::venue;
use crate::market::{Span, Timestamp};
use address::Template;
use content::Rows;
use fetch::Client;
use files::Archive;
use journal::Journal;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use told::Telling;

/// Who writes into a directory.
const LOCK: &str = "history.lock";

/// Of files that are sorted by when somebody heard of their rows.
const SLACK_MS: i64 = 3_600_000;

/// What is to be had.
#[derive(Clone, Debug)]
pub struct Request {
    /// As configured.
    pub config: HistoryConfig,
    /// Symbols, and the markets that they are.
    pub markets: Vec<(String, String)>,
    /// The first moment.
    pub from: Timestamp,
    /// The moment to end before, not later than `now`.
    pub to: Timestamp,
    /// What time it is.
    pub now: Timestamp,
    /// Whether files that are there are compared with the venue's, too.
    pub recheck: bool,
}

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// What was asked for cannot be had of this venue.
    #[error("{0}")]
    Config(String),
    /// Something went wrong.
    #[error("{0}")]
    Failed(String),
    /// Somebody asked to stop.
    #[error("stopped: what was fetched is kept, and a new start goes on from there")]
    Stopped,
}

impl From<Fault> for HistoryError {
    fn from(fault: Fault) -> Self {
        if fault.kind == "stopped" { Self::Stopped } else { Self::Failed(fault.what) }
    }
}

/// What all records of a request are, in a few words.
#[must_use]
pub fn holds(config: &HistoryConfig) -> String {
    let HistoryConfig { venue, market, kind, interval, .. } = config;
    let place = match venue {
        HistoryVenue::Binance | HistoryVenue::Tardis => format!("{} {market}", venue.name()),
        _ => venue.name().to_owned(),
    };
    match kind {
        HistoryKind::Klines => format!("{place} {} {interval}", kind.name()),
        _ => format!("{place} {}", kind.name()),
    }
}

/// Has all files here, and writes the list.
///
/// # Errors
/// When what is asked for cannot be had, the directory cannot be written, or is another's; and when it was stopped.
pub fn run(request: &Request, stop: &Stop) -> Result<Index, HistoryError> {
    check(request)?;
    let Request { config, .. } = request;
    let dir = config.dir.as_path();
    let holds = holds(config);
    let failed = HistoryError::Failed;
    if let Some(before) = Index::read(dir).map_err(failed)?
        && before.holds != holds
    {
        return Err(HistoryError::Config(format!(
            "{} holds {}, and {holds} is asked for: name another directory with history.dir",
            dir.display(),
            before.holds
        )));
    }
    let outbound = Outbound::new("history.ca_file", config.ca_file.as_deref());
    let outbound = outbound.map_err(|error| HistoryError::Config(error.to_string()))?;
    let wrong = |error: std::io::Error| HistoryError::Failed(format!("cannot write into {}: {error}", dir.display()));
    std::fs::create_dir_all(dir).map_err(wrong)?;
    let lock = File::create(dir.join(LOCK)).map_err(wrong)?;
    lock.try_lock().map_err(|error| {
        HistoryError::Failed(format!("{}: another `tickcast history` writes into it ({error})", dir.display()))
    })?;
    let journal = Journal::open(dir).map_err(wrong)?;
    let client = Client::new(config.timeout.to_std(), &outbound, stop);
    let series = match address::Template::new(config) {
        Some(template) => archived(request, &client, &template, &journal, stop)?,
        None => {
            let venue = venue(config.venue.name());
            let venue = venue.ok_or_else(|| failed(format!("{} is no venue", config.venue.name())))?;
            let telling = Telling { request, client: &client, venue: venue.as_ref(), journal: &journal, stop };
            let told = request.markets.iter().map(|(symbol, market)| telling.series(symbol, market));
            told.collect::<Result<_, _>>()?
        }
    };
    let index = Index { version: VERSION, holds, series };
    write(dir, &index).map_err(wrong)?;
    sweep(dir, &index);
    Ok(index)
}

/// What a venue's archive has, and its API of what that lacks.
fn archived(
    request: &Request,
    client: &Client,
    template: &Template,
    journal: &Journal,
    stop: &Stop,
) -> Result<Vec<Series>, HistoryError> {
    let Request { config, recheck, .. } = request;
    let is_binance = config.venue == HistoryVenue::Binance;
    let slack = Span::from_millis(if is_binance { 0 } else { SLACK_MS });
    let rows = Rows { kind: config.kind, interval: config.interval, contiguous: is_binance, slack };
    let (dir, recheck) = (config.dir.as_path(), *recheck);
    let archive = Archive { client, template, dir, rows, has_checksums: is_binance, journal, recheck, stop };
    let mut markets = market::fetch(request, &archive)?;
    let api = if is_binance && config.repair {
        binance::Api::new(&config.market, config.api_url.as_deref(), rows)
    } else {
        None
    };
    if is_binance && config.repair && api.is_none() {
        tracing::warn!(
            "Binance's API wants a key for trades of futures, and is not asked: this history ends where the archive does, \
             and keeps its holes; history.kind=aggTrades has both from the API"
        );
    }
    markets.iter_mut().map(|market| repair::whole(market, request, &archive, api.as_ref(), stop)).collect()
}

fn check(request: &Request) -> Result<(), HistoryError> {
    let HistoryConfig { venue, market, kind, interval, .. } = &request.config;
    let wrong = |what: String| Err(HistoryError::Config(what));
    if request.markets.is_empty() {
        return wrong(
            "history.symbols names no market: give one or more, as in --set history.symbols=BTCUSDT".to_owned(),
        );
    }
    if request.from >= request.to {
        return wrong(format!("history.from = {} is not before {}: nothing lies between", request.from, request.to));
    }
    match (venue, kind) {
        (HistoryVenue::Binance, _) if !matches!(market.as_str(), "spot" | "futures/um" | "futures/cm") => {
            wrong(format!("history.market = {market:?}: of binance there are spot, futures/um and futures/cm"))
        }
        (HistoryVenue::Binance, HistoryKind::Klines) if 86_400_000 % interval.millis() != 0 => {
            wrong(format!("history.interval = {interval}: it has to divide a day"))
        }
        (HistoryVenue::Tardis, HistoryKind::Klines | HistoryKind::AggTrades) => {
            wrong(format!("history.kind = {}: of tardis there are trades", kind.name()))
        }
        (HistoryVenue::Coinbase | HistoryVenue::Kraken | HistoryVenue::Okx, HistoryKind::AggTrades) => {
            wrong(format!("history.kind = aggTrades: {} has trades and klines", venue.name()))
        }
        (HistoryVenue::Coinbase | HistoryVenue::Kraken | HistoryVenue::Okx, HistoryKind::Klines)
            if interval.millis() != 60_000 =>
        {
            wrong(format!("history.interval = {interval}: of {} there are candles of 1m", venue.name()))
        }
        (HistoryVenue::Tardis, _) if market == "spot" => {
            wrong("history.market: name the exchange as tardis does, as in bitmex or binance".to_owned())
        }
        _ => Ok(()),
    }
}

/// Replaces the list as a whole.
fn write(dir: &Path, index: &Index) -> std::io::Result<()> {
    let part = fetch::part_of(&dir.join(INDEX));
    let mut file = File::create(&part)?;
    // A structure as JSON cannot fail.
    let mut text = serde_json::to_vec_pretty(index).unwrap_or_default();
    text.push(b'\n');
    file.write_all(&text)?;
    file.sync_all()?;
    std::fs::rename(&part, dir.join(INDEX))?;
    // The new name outlives a power cut, too.
    File::open(dir)?.sync_all()
}

/// Files that were put together here and are not listed any more go.
fn sweep(dir: &Path, index: &Index) {
    for series in &index.series {
        let market = address::path(&series.market, "", "");
        let Some(folder) = Path::new(&market).parent() else { continue };
        let Ok(found) = std::fs::read_dir(dir.join(folder)) else { continue };
        for name in found.flatten().filter_map(|entry| entry.file_name().into_string().ok()) {
            let is_ours = [repair::MENDED, repair::FROM_API].iter().any(|ending| name.ends_with(ending));
            let path = folder.join(&name);
            if is_ours && !series.files.iter().any(|file| Path::new(&file.path) == path) {
                // One that stays is in nobody's way.
                let _ = std::fs::remove_file(dir.join(path));
            }
        }
    }
}
