//! `tickcast history`: exchanges' archives, downloaded, verified and listed for `backfill`.

use super::args::{ConfigFile, parse_time};
use super::{Usage, output, signals};
use crate::config::{HistoryConfig, Settings};
use crate::connectors::files::index::{INDEX, Index};
use crate::delivery::Stop;
use crate::history::{self, HistoryError, Request};
use crate::market::Timestamp;
use crate::operators::support::gauges::wall_clock;
use clap::{Args, Subcommand};
use std::collections::BTreeSet;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

/// Arguments of `history`.
#[derive(Clone, Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  tickcast history --set history.symbols=BTCUSDT --from 2024-01-01T00:00:00Z\n  \
                  tickcast history -c tickcast.toml\n  tickcast history report -c tickcast.toml\n  \
                  tickcast backfill --set source.files.paths=history --set time.slide=1m --set sink.files.dir=out\n\n\
                  SIGTERM or Ctrl-C ends it; a new start goes on from there. Exit code 1: some market has no record, or something\n\
                  is missing that another start may get."
)]
pub struct HistoryArgs {
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would show it as help")]
    pub config: ConfigFile,
    /// The first moment, instead of history.from.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub from: Option<Timestamp>,
    /// The moment to end before, instead of history.to.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub to: Option<Timestamp>,
    /// Asks the venue about files that are there, too, and fetches those that it has replaced since.
    #[arg(long)]
    pub recheck: bool,
    /// Prints the list as one JSON object.
    #[arg(long)]
    pub json: bool,
    #[command(subcommand)]
    #[allow(missing_docs, reason = "clap would show it as help")]
    pub what: Option<What>,
}

/// What to do instead.
#[derive(Clone, Debug, Subcommand)]
pub enum What {
    /// Says what the directory holds and what is missing in it, with the reasons; asks nobody.
    Report {
        #[command(flatten)]
        #[allow(missing_docs, reason = "clap would show it as help")]
        config: ConfigFile,
        /// Prints the list as one JSON object.
        #[arg(long)]
        json: bool,
    },
}

impl HistoryArgs {
    /// The configuration file that was named.
    #[must_use]
    pub fn config(&self) -> &ConfigFile {
        match &self.what {
            Some(What::Report { config, .. }) => config,
            None => &self.config,
        }
    }
}

/// How often it is asked whether it is time to go.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Holes that another start may fill.
const PASSING: [&str; 5] = ["not_given", "not_repaired", "checksum", "content", "not_published"];

/// Downloads what is configured, or reports on it.
///
/// # Errors
/// When it cannot be had, the directory cannot be written, or it was stopped.
pub fn run(args: &HistoryArgs, settings: &Settings) -> anyhow::Result<()> {
    let config = settings.config.history.as_ref();
    if let Some(What::Report { json, .. }) = args.what {
        return report(config.unwrap_or(&HistoryConfig::default()), json);
    }
    let missing = || Usage("no history: give history.symbols, as in --set history.symbols=BTCUSDT".to_owned());
    let config = config.ok_or_else(missing)?;
    let request = request(args, settings, config)?;
    let stop = Stop::default();
    signals::stop_on_signals(&stop)?;
    tracing::info!(
        "downloads {} {} of {} from {} to {} into {}",
        config.venue.name(),
        config.kind.name(),
        config.symbols.join(", "),
        request.from,
        request.to,
        config.dir.display()
    );
    let index = within(request, &stop).map_err(|error| match error {
        HistoryError::Config(what) => Usage(what).into(),
        error => anyhow::Error::new(error),
    })?;
    show(&index, args.json)?;
    let empty: Vec<&str> =
        index.series.iter().filter(|series| series.files.is_empty()).map(|series| series.market.as_str()).collect();
    anyhow::ensure!(
        empty.is_empty(),
        "nothing was had of {}: look at the names in history.symbols, and at what was said above",
        empty.join(", ")
    );
    let faults = index.series.iter().flat_map(|series| &series.faults);
    let unknown = faults.filter(|fault| fault.reason == history::NOT_RECHECKED).count();
    anyhow::ensure!(
        unknown == 0,
        "{unknown} files could not be rechecked: what was fetched before stays; start it again"
    );
    let holes = index.series.iter().flat_map(|series| &series.holes);
    let passing = holes.filter(|hole| PASSING.contains(&hole.reason.as_str())).count();
    anyhow::ensure!(passing == 0, "{passing} holes may be filled by another start: see above for their reasons");
    Ok(())
}

/// Downloads; does not wait for a server that says nothing when it is to stop: what is on the disk survives any end.
fn within(request: Request, stop: &Stop) -> Result<Index, HistoryError> {
    let (done, ended) = mpsc::channel();
    let own = stop.clone();
    let work = std::thread::Builder::new().name("history".to_owned());
    // Nobody waits for it any more where it cannot be sent.
    let work = work.spawn(move || drop(done.send(history::run(&request, &own))));
    work.map_err(|error| HistoryError::Failed(format!("no thread to download with: {error}")))?;
    loop {
        match ended.recv_timeout(LOOK_EVERY) {
            Ok(result) => return result,
            Err(RecvTimeoutError::Timeout) if stop.is_over() => return Err(HistoryError::Stopped),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return Err(HistoryError::Failed("it broke down: this is an error in the program".to_owned()));
            }
        }
    }
}

/// Shows what a directory holds, and says where that is not what is configured.
fn report(config: &HistoryConfig, json: bool) -> anyhow::Result<()> {
    let dir = config.dir.display();
    let index = Index::read(&config.dir).map_err(anyhow::Error::msg)?;
    let index = index.ok_or_else(|| {
        let what =
            if config.dir.is_dir() { format!("{dir} has no {INDEX}") } else { format!("there is no directory {dir}") };
        anyhow::anyhow!("{what}: download something with `tickcast history`, or name another place with history.dir")
    })?;
    show(&index, json)?;
    if config.symbols.is_empty() {
        return Ok(());
    }
    let asked = history::holds(config);
    if index.holds != asked {
        tracing::warn!("{dir} holds {}, and {asked} is configured", index.holds);
    }
    let is_missing = |market: &&String| !index.series.iter().any(|series| series.market == **market);
    let missing: Vec<&str> = config.symbols.iter().filter(is_missing).map(String::as_str).collect();
    if !missing.is_empty() {
        tracing::warn!("{dir} has nothing of {}: run `tickcast history` for it", missing.join(", "));
    }
    Ok(())
}

fn request(args: &HistoryArgs, settings: &Settings, config: &HistoryConfig) -> anyhow::Result<Request> {
    let now = wall_clock();
    let from = args.from.or(config.from);
    let from = from.ok_or_else(|| {
        Usage("history.from is missing: say where to begin, as in --from 2024-01-01T00:00:00Z".to_owned())
    })?;
    let to = args.to.or(config.to).map_or(now, |to| to.min(now));
    let collect = &settings.config.collect;
    let named = |market: &String| (collect.name_of(config.venue.name(), market), market.clone());
    let markets: Vec<(String, String)> = config.symbols.iter().map(named).collect();
    let mut seen = BTreeSet::new();
    if let Some((symbol, _)) = markets.iter().find(|(symbol, _)| !seen.insert(symbol)) {
        return Err(Usage(format!(
            "collect.markets makes {symbol} of several of history.symbols: their records cannot be told apart in one history"
        ))
        .into());
    }
    Ok(Request { config: config.clone(), markets, from, to, now, recheck: args.recheck })
}

fn show(index: &Index, json: bool) -> anyhow::Result<()> {
    output::print(&if json { serde_json::to_string(index)? + "\n" } else { history::text(index) })
}
