//! `collect` from the streams of exchanges.

use super::{CollectArgs, Usage, output};
use crate::cli::face::Doorway;
use crate::cli::signals;
use crate::config::{CollectConfig, KafkaSourceConfig};
use crate::connectors::kafka::PublishError;
use crate::delivery::Stop;
use crate::feeds::streams::{self as feeds, Check, Checked, Counters, Hub, HubError, Plan, Tally};
use crate::serving::Watch;
use crate::serving::job::JobStatus;
use crate::serving::metrics::{self, Family, Values};
use serde::Serialize;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The summary.
#[derive(Serialize)]
struct Summary {
    #[serde(flatten)]
    tally: Tally,
    seconds: f64,
}

/// Collects until it is stopped.
pub(super) fn run(
    args: &CollectArgs,
    config: &CollectConfig,
    kafka: &KafkaSourceConfig,
    doorway: Option<Doorway>,
    stop: &Stop,
) -> anyhow::Result<()> {
    let begun = Instant::now();
    let plan = Plan::new(config).map_err(|error| Usage(error.to_string()))?;
    let counters = Arc::new(Counters::new(&plan));
    let server = doorway.map(|doorway| doorway.serve(Arc::new(Watched(Arc::clone(&counters))), None)).transpose()?;
    if let Some(server) = &server {
        tracing::info!("http://{}/metrics has metrics, /livez and /readyz are probes", server.address());
    }
    let collected = Hub::open(config, plan, kafka, &[], &counters, stop).and_then(|mut hub| {
        let venues: Vec<&str> = config.venues.iter().map(|venue| venue.venue.as_str()).collect();
        tracing::info!("collects trades of {}, publishes to {}", venues.join(", "), kafka.topic);
        hub.run()
    });
    // Whatever ended it ends its connections.
    stop.request();
    if let Some(server) = server {
        server.finish();
    }
    let tally = match collected {
        Ok(tally) => tally,
        Err(HubError::Publish(PublishError::Stopped)) => counters.tally(),
        Err(HubError::Config(error)) => return Err(Usage(error).into()),
        Err(error) => return Err(error.into()),
    };
    let waiting = tally.unacknowledged;
    let summary = Summary { tally, seconds: begun.elapsed().as_secs_f64() };
    output::print(&if args.json {
        serde_json::to_string(&summary)? + "\n"
    } else {
        format!("{} (in {:.1} s)\n", summary.tally, summary.seconds)
    })?;
    anyhow::ensure!(
        waiting == 0,
        "the broker has not acknowledged {waiting} trades: they may or may not be in {}; a new start goes on behind the last one that is",
        kafka.topic
    );
    Ok(())
}

/// How long to wait for a trade of each market.
const CHECK_WITHIN: Duration = Duration::from_secs(30);

/// Looks at what venues say, and publishes nothing.
pub(super) fn check(args: &CollectArgs, config: &CollectConfig) -> anyhow::Result<()> {
    if config.venues.is_empty() {
        return Err(Usage("--check looks at collect.venues, and there are none: name some".to_owned()).into());
    }
    let stop = Stop::default();
    signals::stop_on_signals(&stop)?;
    let plan = Plan::new(config).map_err(|error| Usage(error.to_string()))?;
    tracing::info!("looks at {} for up to {} s", plan.names().join(", "), CHECK_WITHIN.as_secs());
    let seen = feeds::check(&plan, CHECK_WITHIN, &stop)?;
    let text = if args.json { serde_json::to_string(&seen)? + "\n" } else { table(&seen) };
    output::print(&text)?;
    anyhow::ensure!(seen.is_well(), "not every market is told of: see above");
    Ok(())
}

fn table(seen: &Check) -> String {
    let mut text = String::new();
    for Checked { venue, market, acknowledged, refused, price, delay_ms } in &seen.markets {
        let said = match (price, refused) {
            (Some(price), _) => {
                let delay = delay_ms.map_or_else(String::new, |delay| format!(", {delay} ms after it was made"));
                let apart = delay_ms.and_then(feeds::apart).map_or_else(String::new, |words| format!("; {words}"));
                format!("a trade at {price} came{delay}{apart}")
            }
            (None, Some(why)) => format!("refused: {why}"),
            (None, None) if *acknowledged => "acknowledged; no trade came meanwhile".to_owned(),
            (None, None) => "nothing was said of it".to_owned(),
        };
        text += &format!("{venue} {market}: {said}\n");
    }
    for (venue, faults) in &seen.faults {
        for (kind, count) in faults {
            text += &format!("{venue}: a connection failed {count} times: {kind}\n");
        }
    }
    text
}

/// What collecting shows of itself.
struct Watched(Arc<Counters>);

impl Watch for Watched {
    fn status(&self) -> Option<JobStatus> {
        None
    }

    fn families(&self) -> Vec<Family> {
        let Tally { venues, unacknowledged } = self.0.tally();
        let of = |name: &str| vec![("venue", name.to_owned())];
        let mut trades = Vec::new();
        let mut faults = Vec::new();
        let (mut held, mut connected) = (Vec::new(), Vec::new());
        for (name, venue) in &venues {
            let outcomes = [
                ("published", venue.published),
                ("repeated", venue.repeats),
                ("repaired", venue.repaired),
                ("missing", venue.missing),
            ];
            for (outcome, count) in outcomes {
                trades.push((vec![("venue", (*name).to_owned()), ("outcome", outcome.to_owned())], count));
            }
            for (kind, count) in &venue.faults {
                faults.push((vec![("venue", (*name).to_owned()), ("kind", (*kind).to_owned())], *count));
            }
            held.push((of(name), venue.held as f64));
            connected.push((of(name), venue.connected as f64));
        }
        let delay = |(venue, market, delay): (&str, &str, i64)| {
            (vec![("venue", venue.to_owned()), ("market", market.to_owned())], delay as f64 / 1000.0)
        };
        let delays = self.0.delays().map(delay).collect();
        let family = |name, help, values| Family { name, help, values };
        let mut families = vec![
            family(
                "tickcast_collect_trades",
                "Trades of exchanges by outcome; repaired ones are among the published",
                Values::Counters(trades),
            ),
            family(
                "tickcast_collect_faults",
                "Connections that ended or were not made, by kind",
                Values::Counters(faults),
            ),
            family("tickcast_collect_held", "Trades that wait for those before them", Values::Gauges(held)),
            family(
                "tickcast_collect_connections",
                "Connections with all markets answered for",
                Values::Gauges(connected),
            ),
            family(
                "tickcast_collect_trade_delay_seconds",
                "How old a market's last trade was when it came, by our clock and the venue's",
                Values::Gauges(delays),
            ),
            family(
                "tickcast_collect_acknowledged_seconds",
                "From when a trade came until the broker had it",
                Values::Durations(self.0.acknowledgements()),
            ),
            family(
                "tickcast_collect_unacknowledged",
                "Observations that the broker has not acknowledged",
                Values::Gauges(vec![(vec![], unacknowledged as f64)]),
            ),
        ];
        families.extend(metrics::of_process());
        families
    }

    fn dead(&self) -> Option<String> {
        None
    }

    fn unready(&self) -> Vec<String> {
        let tally = self.0.tally();
        let quiet = tally.venues.iter().filter(|(_, venue)| venue.connected == 0);
        quiet.map(|(name, _)| format!("{name}: no connection is answered for")).collect()
    }
}
