//! `tickcast collect`: what a market-data API or the exchanges' streams say, into the source's topic.

mod streams;
mod watched;

use super::args::ConfigFile;
use super::face::{self, Doorway};
use super::{Usage, output, signals};
use crate::config::Settings;
use crate::connectors::kafka::{self, PublishError};
use crate::delivery::Stop;
use crate::feeds::messari::{CollectError, Collector, Counters, Tally};
use anyhow::Context;
use clap::Args;
use serde::Serialize;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;
use watched::Watched;

/// Arguments of `collect`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  tickcast collect -c tickcast.toml\n  \
                        tickcast collect --once --set source.kafka.brokers=localhost:9092 --set collect.assets=bitcoin,ethereum\n  \
                        tickcast collect --set source.kafka.brokers=localhost:9092 --set collect.venues=binance:BTCUSDT,kraken:BTC/USD\n  \
                        tickcast collect --check --set collect.venues=coinbase:BTC-USD\n\n\
                        The API's key comes from TICKCAST_COLLECT__KEY or collect.key_file. SIGTERM or Ctrl-C waits up to 10 s\n\
                        for the broker and ends with a summary; a second one ends at once.")]
pub struct CollectArgs {
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would show it as help")]
    pub config: ConfigFile,
    /// Asks for each asset once, then ends; exit code 1 when any of them failed.
    #[arg(long)]
    pub once: bool,
    /// Connects to each of collect.venues, subscribes, waits up to 30 s for a trade of each market, and says what it saw; publishes
    /// nothing. Exit code 1 when a venue does not tell of a market.
    #[arg(long, conflicts_with = "once")]
    pub check: bool,
    /// Runs the job in this process, too, on a broker inside: what tickcast live -c FILE does.
    #[arg(long, conflicts_with_all = ["once", "check"])]
    pub to_job: bool,
    /// Serves metrics and probes there, as http.listen does.
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// Prints the summary as one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// The summary.
#[derive(Serialize)]
struct Summary {
    #[serde(flatten)]
    tally: Tally,
    seconds: f64,
}

/// Collects until it is stopped, or once.
///
/// # Errors
/// When the topic cannot be written, when the broker has not acknowledged everything at the end, and with `--once` when
/// an asset failed.
pub fn run(args: &CollectArgs, settings: &Settings) -> anyhow::Result<()> {
    let begun = Instant::now();
    let config = &settings.config.collect;
    if args.check {
        return streams::check(args, config);
    }
    let kafka = settings.config.source.kafka.as_ref();
    let kafka = kafka.context("source.kafka is missing: it names the topic to publish to")?;
    kafka::check_source(kafka).map_err(|error| Usage(error.to_string()))?;
    let doorway = Doorway::open(&face::listening(&settings.config, args.listen))?;
    let stop = Stop::default();
    signals::stop_on_signals(&stop)?;
    if !config.venues.is_empty() {
        if args.once {
            return Err(
                Usage("--once asks an API; streams of collect.venues have no end: leave it out".to_owned()).into()
            );
        }
        return streams::run(args, config, kafka, doorway, &stop);
    }
    let counters = Arc::new(Counters::default());
    let server = doorway.map(|doorway| doorway.serve(Arc::new(Watched(Arc::clone(&counters))), None)).transpose()?;
    if let Some(server) = &server {
        tracing::info!("http://{}/metrics has metrics, /livez and /readyz are probes", server.address());
    }
    let collected = Collector::open(config, kafka, &counters, &stop).and_then(|mut collector| {
        let assets = config.assets.join(", ");
        tracing::info!("asks {} for {assets} every {}, publishes to {}", config.url, config.every, kafka.topic);
        if args.once { collector.run_once() } else { collector.run() }
    });
    if let Some(server) = server {
        server.finish();
    }
    let tally = match collected {
        Ok(tally) => tally,
        // Before the broker answered, or while its client's queue was full.
        Err(CollectError::Publish(PublishError::Stopped)) => counters.tally(),
        Err(CollectError::Client(error)) => return Err(Usage(error.to_string()).into()),
        Err(error) => return Err(error.into()),
    };
    let (waiting, failed, polls) = (tally.unacknowledged, tally.failed(), tally.polls);
    output::print(&Summary { tally, seconds: begun.elapsed().as_secs_f64() }.text(args.json)?)?;
    anyhow::ensure!(
        waiting == 0,
        "the broker has not acknowledged {waiting} observations: they may or may not be in {}",
        kafka.topic
    );
    let assets = config.assets.len() as u64;
    let complete = failed == 0 && polls == assets;
    anyhow::ensure!(
        !args.once || complete || stop.requested(),
        "{} of {assets} assets failed or were not asked for: see above",
        assets - polls + failed
    );
    Ok(())
}

impl Summary {
    fn text(&self, json: bool) -> anyhow::Result<String> {
        if json {
            return Ok(serde_json::to_string(self)? + "\n");
        }
        Ok(format!("{} (in {:.1} s)\n", self.tally, self.seconds))
    }
}
