//! `tickcast collect`: what a market-data API says, into the source's topic.

use super::args::ConfigFile;
use super::face::{self, Doorway};
use super::{Usage, output, signals};
use crate::config::Settings;
use crate::connectors::kafka::{self, PublishError};
use crate::delivery::Stop;
use crate::feeds::messari::{CollectError, Collector, Counters, Tally};
use crate::serving::Watch;
use crate::serving::job::JobStatus;
use crate::serving::metrics::{self, Family, Values};
use anyhow::Context;
use clap::Args;
use serde::Serialize;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

/// Arguments of `collect`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  tickcast collect -c tickcast.toml\n  \
                        tickcast collect --once --set source.kafka.brokers=localhost:9092 --set collect.assets=bitcoin,ethereum\n\n\
                        The API's key comes from TICKCAST_COLLECT__KEY or collect.key_file. SIGTERM or Ctrl-C waits up to 10 s\n\
                        for the broker and ends with a summary; a second one ends at once.")]
pub struct CollectArgs {
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would show it as help")]
    pub config: ConfigFile,
    /// Asks for each asset once, then ends; exit code 1 when any of them failed.
    #[arg(long)]
    pub once: bool,
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
    let kafka = settings.config.source.kafka.as_ref();
    let kafka = kafka.context("source.kafka is missing: it names the topic to publish to")?;
    kafka::check_source(kafka).map_err(|error| Usage(error.to_string()))?;
    let doorway = Doorway::open(&face::listening(&settings.config, args.listen))?;
    let stop = Stop::default();
    signals::stop_on_signals(&stop)?;
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

/// What a collector shows of itself.
struct Watched(Arc<Counters>);

impl Watch for Watched {
    fn status(&self) -> Option<JobStatus> {
        None
    }

    fn families(&self) -> Vec<Family> {
        let tally = self.0.tally();
        let of = |outcome: &str, count: u64| (vec![("outcome", outcome.to_owned())], count);
        let polls = vec![
            of("published", tally.published),
            of("unchanged", tally.unchanged),
            of("outdated", tally.outdated),
            of("failed", tally.failed()),
        ];
        let failures = tally.failures.iter().map(|(kind, count)| (vec![("kind", (*kind).to_owned())], *count));
        let gauge = |value: f64| Values::Gauges(vec![(vec![], value)]);
        let mut families = vec![
            Family { name: "tickcast_collect_polls", help: "Calls that have ended", values: Values::Counters(polls) },
            Family {
                name: "tickcast_collect_failures",
                help: "Calls that failed, by kind",
                values: Values::Counters(failures.collect()),
            },
            Family {
                name: "tickcast_collect_unacknowledged",
                help: "Observations that the broker has not acknowledged",
                values: gauge(tally.unacknowledged as f64),
            },
            Family {
                name: "tickcast_collect_trade_age_seconds",
                help: "How old the trade was in the latest answer, by the API's own clocks",
                values: gauge(tally.lag_ms as f64 / 1000.0),
            },
        ];
        families.extend(metrics::of_process());
        families
    }

    fn dead(&self) -> Option<String> {
        None
    }

    fn unready(&self) -> Vec<String> {
        let tally = self.0.tally();
        let answered = tally.published + tally.unchanged;
        let nothing = || format!("nothing was collected yet: {tally}");
        (answered == 0).then(nothing).into_iter().collect()
    }
}

impl Summary {
    fn text(&self, json: bool) -> anyhow::Result<String> {
        if json {
            return Ok(serde_json::to_string(self)? + "\n");
        }
        Ok(format!("{} (in {:.1} s)\n", self.tally, self.seconds))
    }
}
