//! `tickcast demo`: the whole system in one process.
//!
//! ```text
//!   feed (thread) ──> embedded broker ──> job (thread) ──> embedded broker, store, files
//!                                                               │
//!                                  screen (this thread) <───────┘
//! ```

mod feed;

use super::args::{Speed, parse_workers};
use super::embedded::{self, DEMO, open_browser, spawn};
use super::job::check_outputs;
use super::screen::Screen;
use super::screen::table::View;
use super::{output, signals, summary};
use crate::config::{Config, FilesSourceConfig, Settings};
use crate::connectors::kafka::Publisher;
use crate::dataflows::job::{self, Job, JobError, Summary};
use crate::delivery::Stop;
use crate::market::Timestamp;
use crate::operators::support::stats::Stats;
use crate::replay::{FileSource, Merge, Pace, ReplayError, TopicPublisher, wall_clock};
use crate::serving::Live;
use crate::simulation::{self, LABEL, SimulatedMarket};
use anyhow::anyhow;
use clap::Args;
use feed::{Feed, Market, Plan};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

/// The simulated market's seed: every demo shows the same market.
const SEED: u64 = 20_240_101;
/// How often the demo looks at how far everybody is.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// When everything is published into the topic and the job has not moved for this long, the demo ends all the same; more
/// than a partition takes to count as idle.
const STALLED_AFTER: Duration = Duration::from_secs(60);

/// Arguments of `demo`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Examples:\n  tickcast demo\n  tickcast demo --exit --json\n  tickcast demo --data ticks.csv --out out --exit\n\n\
                        The market is simulated unless --data names recorded files: two days as fast as they go, then live. At its own pace it\n\
                        follows the clock; a quicker one begins some hours ago."
)]
pub struct DemoArgs {
    /// Times the live pace once the first two days are through, or max: as fast as it goes.
    #[arg(long, value_name = "X|max", default_value = "1")]
    pub speed: Speed,
    /// Where the page, the API and metrics are; without it 127.0.0.1:8080, or a port that is free.
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// Opens the page in a browser.
    #[arg(long)]
    pub open: bool,
    /// Ends after the first two days (with --data: at the end of the files) and prints the scores.
    #[arg(long)]
    pub exit: bool,
    /// Writes features, forecasts and scores into this directory too.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Replays these recorded files instead of a simulated market.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub data: Vec<PathBuf>,
    /// Worker threads, 1 to 64. Results are the same with any number.
    #[arg(long, value_name = "N", value_parser = parse_workers, default_value = "1")]
    pub workers: usize,
    /// Prints the summary as one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Runs the demo.
///
/// # Errors
/// When a file cannot be read or written, or the job fails.
pub fn run(args: &DemoArgs, settings: &Settings) -> anyhow::Result<()> {
    let started = Instant::now();
    let stop = Stop::default();
    signals::stop_on_signals(&stop)?;
    let simulated = args.data.is_empty();
    let like = settings.config.source.files.clone().unwrap_or_default();
    let now = wall_clock();
    let market = market(args, now, &settings.config, &like)?;
    let doorway = embedded::doorway(args.listen, &settings.config)?;
    output::tell(&format!("tickcast demo: http://{} shows it in a browser", doorway.address()));
    let partitions = if simulated { simulation::SYMBOLS as u32 } else { 1 };
    // Lives on this thread, and until the end.
    // Of recorded files nobody knows how many.
    let symbols = if simulated { simulation::SYMBOLS } else { 64 };
    let premises = embedded::premises(DEMO, partitions, symbols)?;
    let config = embedded::config(DEMO, settings.config.clone(), &premises, &like, args.out.as_deref());
    check_outputs(&config, &args.data, true)?;
    let face = doorway.serve_job(&config, simulated.then_some(LABEL), false, &stop)?;
    let (job, reading) = embedded::job(DEMO, &config, &like, args.workers, partitions, &face, &stop)?;
    let stats = Arc::clone(&job.stats);

    let publisher = Publisher::open(embedded::kafka_source(&config)?, None, &stop)?;
    let publisher = TopicPublisher::new(publisher, stop.clone());
    let feed = Feed::new();
    let (ready, is_ready) = mpsc::channel();
    let history_end = simulated.then(|| start(args, now).plus(feed::HISTORY));
    let plan = Plan { pace: pace(args.speed), exit: args.exit, history_end };
    let feeding = {
        let (feed, stop) = (feed.clone(), stop.clone());
        spawn("feed", move || feed::publish(market, publisher, plan, &reading, &stop, &feed, &ready))?
    };
    // A partition that is still empty would not hold the watermark back. An error here is the feed's own, told below.
    let outcome = match is_ready.recv() {
        Err(_) => Ok(None),
        Ok(()) => {
            if args.open {
                open_browser(&face);
            }
            let showing = Showing { simulated, started, stop: &stop, feed: &feed, stats: &stats, live: face.live() };
            showing.run(job, &config).map(Some)
        }
    };
    stop.request();
    let fed: Result<(), ReplayError> = feeding.join().map_err(|_| anyhow!("the feed panicked"))?;
    face.finish();
    let summary = outcome?;
    fed?;
    if let Some(summary) = summary {
        print(&summary, simulated, args.json)?;
    }
    let left_out = feed.state().left_out;
    anyhow::ensure!(left_out == 0, "{left_out} rows of the files could not be used");
    Ok(())
}

/// When the simulated market begins: so that its history ends now where it then follows the clock, else at a midnight, so that a quicker
/// one has some hours until it reaches the clock, and one that ends has two whole days.
fn start(args: &DemoArgs, now: Timestamp) -> Timestamp {
    let follows_clock = matches!(args.speed, Speed::Times(factor) if factor <= 1.0) && !args.exit;
    if follows_clock { now.minus(feed::HISTORY) } else { simulation::start_before(now, feed::HISTORY) }
}

/// What is replayed.
fn market(args: &DemoArgs, now: Timestamp, config: &Config, like: &FilesSourceConfig) -> anyhow::Result<Market> {
    if args.data.is_empty() {
        return Ok(Market::Simulated(Box::new(SimulatedMarket::new(SEED, start(args, now)))));
    }
    let open = |path: &PathBuf| FileSource::open(path, config.source.format, like, Some(0));
    Ok(Market::Recorded(Merge::new(args.data.iter().map(open).collect::<Result<_, _>>()?)))
}

fn pace(speed: Speed) -> Pace {
    match speed {
        Speed::Times(factor) => Pace::Recorded(factor),
        Speed::Max => Pace::Max,
    }
}

fn print(summary: &Summary, simulated: bool, json: bool) -> anyhow::Result<()> {
    if simulated && !json {
        output::print(&format!("{LABEL}: these figures say nothing about real prices.\n\n"))?;
    }
    summary::print(summary, json)
}

/// Runs the job on a thread, and shows how far it is until it ends.
struct Showing<'a> {
    simulated: bool,
    started: Instant,
    stop: &'a Stop,
    feed: &'a Feed,
    stats: &'a Stats,
    live: &'a Live,
}

impl Showing<'_> {
    fn run(&self, job: Job, config: &Config) -> anyhow::Result<Summary> {
        let running = spawn("job", move || job::run(job))?;
        let mut screen = Screen::open();
        let mut stall = (0, Instant::now());
        while !running.is_finished() {
            self.show(|view| screen.show(view));
            if let Some(latest) = self.feed.state().complete
                && self.is_through(latest, config, &mut stall)
            {
                self.stop.request();
            }
            std::thread::sleep(LOOK_EVERY);
        }
        self.show(|view| screen.close(view));
        let summary: Result<Summary, JobError> = running.join().map_err(|_| anyhow!("the job panicked"))?;
        Ok(summary?)
    }

    /// Whether the job has published all that it can of an input whose partitions reach at least up to `latest`.
    fn is_through(&self, latest: Timestamp, config: &Config, stall: &mut (i64, Instant)) -> bool {
        let slide = config.time.slide.millis();
        // Watermark, and the end of the last pane that it closes.
        let watermark = latest.minus(config.time.allowed_lateness).millis();
        let closed = watermark.div_euclid(slide) * slide;
        let through = self.stats.published_through();
        if through != stall.0 {
            *stall = (through, Instant::now());
        }
        let stalled = stall.1.elapsed() > STALLED_AFTER;
        if stalled && through < closed {
            tracing::warn!("the job has not moved for {} s: ending as it is", STALLED_AFTER.as_secs());
        }
        through >= closed || stalled
    }

    fn show(&self, draw: impl FnOnce(&View<'_>)) {
        let state = self.feed.state();
        let totals = self.live.totals();
        let latest = self.live.latest();
        draw(&View {
            name: DEMO.job,
            label: if self.simulated { LABEL } else { "RECORDED DATA" },
            phase: state.phase,
            records: state.replayed.records,
            through: (totals.forecasts > 0).then_some(totals.through),
            forecasts: totals.forecasts,
            elapsed: self.started.elapsed(),
            latest: &latest,
        });
    }
}
