//! `tickcast live`: exchanges' streams, a broker and the job in one process: the real market, with nothing to install.
//!
//! ```text
//!   venues ──> feed (thread) ──> embedded broker ──> job (thread) ──> embedded broker, store, files
//!                                                                        │
//!                                           screen (this thread) <───────┘
//! ```

mod feed;

use super::args::{ConfigFile, parse_workers};
use super::collect::CollectArgs;
use super::embedded::{self, LIVE, open_browser, spawn};
use super::job::check_outputs;
use super::screen::Screen;
use super::screen::table::View;
use super::{Usage, output, signals, summary};
use crate::config::layers::Origin;
use crate::config::{ConfigError, FilesSourceConfig, Settings};
use crate::dataflows::job::{self, JobError, Summary};
use crate::delivery::Stop;
use crate::feeds::streams::{Counters, Plan, Tally, Warm, Warmth};
use crate::market::Span;
use crate::serving::Live;
use anyhow::anyhow;
use clap::Args;
use feed::{Feed, State};
use serde::Serialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

/// How often to look at how far everybody is.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Who has seen no trade for so long has failed, as has who was never connected.
const QUIET: Duration = Duration::from_secs(300);
/// The most partitions: symbols wait for each other within one.
const PARTITIONS_MAX: usize = 16;
/// The most candles, over all symbols.
const CANDLES_MAX: usize = 1_000_000;
/// What would be written or read elsewhere by other commands.
const ELSEWHERE: [&str; 8] = [
    "source.kafka",
    "source.files",
    "source.mongodb",
    "sink.kafka",
    "sink.mongodb",
    "sink.files",
    "dead_letter",
    "checkpoint",
];

/// Arguments of `live`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  tickcast live --venue binance --symbols BTCUSDT,ETHUSDT\n  \
                        tickcast live --venue kraken --symbols BTC/USD --warm 12h --open\n  \
                        tickcast live -c tickcast.toml\n\n\
                        Venues are binance, bitstamp, bybit, coinbase, coinbase_advanced, kraken and okx; symbols are spelled as the venue\n\
                        spells them. Several venues, and one symbol made of several markets: see collect.venues, collect.markets.\n\
                        Everything is kept in memory, but for --out. tickcast collect --check looks whether a venue can be reached from here.")]
pub struct LiveArgs {
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would show it as help")]
    pub config: ConfigFile,
    /// Whose trades; without it those of collect.venues.
    #[arg(long, value_name = "NAME", requires = "symbols")]
    pub venue: Option<String>,
    /// Its markets, as it spells them.
    #[arg(long, value_name = "LIST", value_delimiter = ',', requires = "venue")]
    pub symbols: Vec<String>,
    /// Begins with so much of the past, as the venue's own candles of a minute; 0s begins with the next trade.
    #[arg(long, value_name = "DURATION", default_value_t = WARM)]
    pub warm: Span,
    /// Where the page, the API and metrics are; without it 127.0.0.1:8080, or a port that is free.
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// Opens the page in a browser.
    #[arg(long)]
    pub open: bool,
    /// Writes features, forecasts and scores into this directory, too; they appear at the end.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Worker threads, 1 to 64. Results are the same with any number.
    #[arg(long, value_name = "N", value_parser = parse_workers, default_value = "1")]
    pub workers: usize,
    /// Prints the summary as one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// How much of the past it begins with unless it is told.
const WARM: Span = Span::from_millis(86_400_000);

impl LiveArgs {
    /// Those of `collect --to-job`.
    #[must_use]
    pub fn of_collect(args: &CollectArgs) -> Self {
        Self {
            config: args.config.clone(),
            venue: None,
            symbols: vec![],
            warm: WARM,
            listen: args.listen,
            open: false,
            out: None,
            workers: 1,
            json: args.json,
        }
    }
}

/// What is told at the end beside the job's own summary.
#[derive(Serialize)]
struct More {
    collected: Tally,
    warm: Vec<Warmth>,
}

/// The settings with what the arguments say: candles of a minute ask for panes that hold one.
///
/// # Errors
/// All problems at once.
pub fn settings(args: &LiveArgs, file: Option<&Path>, sets: &[String]) -> Result<Settings, ConfigError> {
    let mut sets = sets.to_vec();
    if let Some(venue) = &args.venue {
        let markets: Vec<String> = args.symbols.iter().map(|symbol| format!("{venue}:{symbol}")).collect();
        sets.push(format!("collect.venues={}", markets.join(",")));
    }
    let settings = Settings::from_process(file, &sets)?;
    let is_default = settings.setting("time.slide").is_none_or(|setting| setting.origin == Origin::Default);
    if args.warm.millis() == 0 || !is_default {
        return Ok(settings);
    }
    sets.push("time.slide=1m".to_owned());
    Settings::from_process(file, &sets)
}

/// Runs until it is stopped.
///
/// # Errors
/// When no venue is named, or the job fails.
pub fn run(args: &LiveArgs, settings: &Settings) -> anyhow::Result<()> {
    let started = Instant::now();
    let plan = plan(args, settings)?;
    let stop = Stop::default();
    signals::stop_on_signals(&stop)?;
    let doorway = embedded::doorway(args.listen, &settings.config)?;
    output::tell(&format!("tickcast live: http://{} shows it in a browser", doorway.address()));
    let partitions = plan.symbols().len().clamp(1, PARTITIONS_MAX) as u32;
    // Lives on this thread, and until the end.
    let like = FilesSourceConfig::default();
    let premises = embedded::premises(LIVE, partitions, plan.symbols().len())?;
    let config = embedded::config(LIVE, settings.config.clone(), &premises, &like, args.out.as_deref());
    check_outputs(&config, &[], true)?;
    let elsewhere: Vec<&str> = ELSEWHERE.into_iter().filter(|name| settings.table(name).is_some()).collect();
    if !elsewhere.is_empty() {
        tracing::warn!(
            "everything is kept in this process: {} are not used; see collect and run",
            elsewhere.join(", ")
        );
    }
    let face = doorway.serve_job(&config, None, false, &stop)?;
    let (job, reading) = embedded::job(LIVE, &config, &like, args.workers, partitions, &face, &stop)?;

    let counters = Arc::new(Counters::new(&plan));
    let feed = Feed {
        collect: config.collect.clone(),
        kafka: embedded::kafka_source(&config)?.clone(),
        warm: args.warm,
        reading,
        counters: Arc::clone(&counters),
        watch: Arc::clone(face.watch()),
        state: State::default(),
        stop: stop.clone(),
    };
    let state = feed.state.clone();
    let (ready, is_ready) = mpsc::channel();
    let feeding = {
        let stop = stop.clone();
        spawn("feed", move || {
            let fed = feed.run(plan, &ready);
            // Whatever ended it ends all.
            stop.request();
            fed
        })?
    };
    let mut showing =
        Showing { screen: Screen::open(), started, state: &state, counters: &counters, live: face.live() };
    // A partition that is still empty would not hold the watermark back. An error here is the feed's own, told below.
    let outcome = match showing.wait(&is_ready) {
        None => Ok(None),
        Some(()) => {
            if args.open {
                open_browser(&face);
            }
            showing.run(job).map(Some)
        }
    };
    stop.request();
    let fed = feeding.join().map_err(|_| anyhow!("the feed panicked"))?;
    face.finish();
    let summary = outcome?;
    fed?;
    let more = More { collected: counters.tally(), warm: state.told() };
    let Some(summary) = summary else {
        // Stopped before there was anything.
        let text = if args.json { serde_json::to_string(&more)? } else { more.collected.to_string() };
        return output::print(&(text + "\n"));
    };
    summary::print_with(&summary, &more, &format!("\n{}\n", more.collected), args.json)?;
    let tally = &more.collected;
    let is_refused =
        tally.venues.values().all(|venue| venue.opened == 0 && venue.faults.values().any(|count| *count > 0));
    let is_failed = tally.published() == 0 && (is_refused || started.elapsed() > QUIET);
    anyhow::ensure!(!is_failed, "no trade came: see above; tickcast collect --check looks at a venue");
    Ok(())
}

/// What is to be collected, if it can be.
fn plan(args: &LiveArgs, settings: &Settings) -> anyhow::Result<Plan> {
    let collect = &settings.config.collect;
    if collect.venues.is_empty() {
        let text = "name a market, as in --venue binance --symbols BTCUSDT, or set collect.venues";
        return Err(Usage(text.to_owned()).into());
    }
    if args.warm.millis() > 0 && settings.config.time.slide < Span::from_millis(60_000) {
        let slide = settings.config.time.slide;
        let text =
            format!("--warm brings candles of a minute, and time.slide = {slide} is below: make it 1m, or --warm 0s");
        return Err(Usage(text).into());
    }
    let plan = Plan::new(collect).map_err(|error| Usage(error.to_string()))?;
    let candles = Warm::minutes(&plan, args.warm);
    if candles > CANDLES_MAX {
        let text = format!("--warm {} asks for {candles} candles, at most {CANDLES_MAX} are allowed", args.warm);
        return Err(Usage(text).into());
    }
    Ok(plan)
}

/// Shows how far the job is until it ends.
struct Showing<'a> {
    screen: Screen,
    started: Instant,
    state: &'a State,
    counters: &'a Counters,
    live: &'a Live,
}

impl Showing<'_> {
    /// Until there is something to read; none when there will not be.
    fn wait(&mut self, ready: &mpsc::Receiver<()>) -> Option<()> {
        loop {
            match ready.recv_timeout(LOOK_EVERY) {
                Ok(()) => return Some(()),
                Err(mpsc::RecvTimeoutError::Disconnected) => return None,
                Err(mpsc::RecvTimeoutError::Timeout) => self.show(Screen::show),
            }
        }
    }

    fn run(mut self, job: job::Job) -> anyhow::Result<Summary> {
        let running = spawn("job", move || job::run(job))?;
        while !running.is_finished() {
            self.show(Screen::show);
            std::thread::sleep(LOOK_EVERY);
        }
        self.show(Screen::close);
        let summary: Result<Summary, JobError> = running.join().map_err(|_| anyhow!("the job panicked"))?;
        Ok(summary?)
    }

    fn show(&mut self, draw: impl FnOnce(&mut Screen, &View<'_>)) {
        let totals = self.live.totals();
        let latest = self.live.latest();
        let view = View {
            name: LIVE.job,
            label: "REAL MARKET",
            phase: self.state.phase(),
            records: self.state.candles() + self.counters.tally().published(),
            through: (totals.forecasts > 0).then_some(totals.through),
            forecasts: totals.forecasts,
            elapsed: self.started.elapsed(),
            latest: &latest,
        };
        draw(&mut self.screen, &view);
    }
}
