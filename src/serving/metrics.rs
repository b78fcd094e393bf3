//! What Prometheus gets: written at each scrape from what the job shows, so that nothing is counted twice and nothing on the
//! way of a tick knows of it.

use super::job::{JobWatch, Watch};
use super::live::Live;
use crate::delivery::Retrying;
use crate::market::{Span, Timestamp};
use crate::operators::support::gauges::{BOUNDS, Durations, memory_bytes, wall_clock};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Of an answer.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Symbols that have figures of their own; those of the others are summed under [`OTHERS`].
pub const SYMBOLS_MAX: usize = 100;
/// What stands for the other symbols; no symbol has a space at its end.
pub const OTHERS: &str = "(others)";
/// Partitions that have figures of their own.
const PARTITIONS_MAX: usize = 1000;

/// Names and values of labels.
pub type Labels = Vec<(&'static str, String)>;

/// What is measured under one name.
#[derive(Clone, Debug)]
pub struct Family {
    /// Without what its kind or unit adds.
    pub name: &'static str,
    /// One line for people.
    pub help: &'static str,
    /// Its values.
    pub values: Values,
}

/// By kind.
#[derive(Clone, Debug)]
pub enum Values {
    /// Only grow; their names end with `_total`.
    Counters(Vec<(Labels, u64)>),
    /// Any number.
    Gauges(Vec<(Labels, f64)>),
    /// Durations in seconds.
    Durations(Durations),
}

fn counter(name: &'static str, help: &'static str, value: u64) -> Family {
    Family { name, help, values: Values::Counters(vec![(vec![], value)]) }
}

fn gauge(name: &'static str, help: &'static str, value: Option<f64>) -> Family {
    Family { name, help, values: Values::Gauges(value.map(|value| (vec![], value)).into_iter().collect()) }
}

fn durations(name: &'static str, help: &'static str, durations: Durations) -> Family {
    Family { name, help, values: Values::Durations(durations) }
}

fn seconds(at: Option<Timestamp>) -> Option<f64> {
    at.map(|at| at.millis() as f64 / 1000.0)
}

/// What a job gives.
pub(super) fn of_job(watch: &JobWatch) -> Vec<Family> {
    let stats = watch.stats();
    let records = stats.records();
    let outcome = |name: &str, count: u64| (vec![("outcome", name.to_owned())], count);
    let by_outcome = vec![
        outcome("used", records.used),
        outcome("late", records.late),
        outcome("quarantined", records.quarantined),
        outcome("undecodable", records.undecodable),
        outcome("ignored", records.ignored),
    ];
    let by_reason = stats.unused().into_iter().fold(BTreeMap::<_, u64>::new(), |mut all, (of, count)| {
        *all.entry((of.outcome, of.reason)).or_default() += count;
        all
    });
    let by_reason = by_reason.into_iter().map(|((outcome, reason), count)| {
        (vec![("outcome", outcome.to_owned()), ("reason", reason.to_owned())], count)
    });
    let running = stats.gauges.running();
    let watermark = running.as_ref().and_then(|running| running.board.watermark());
    let lag = watermark.map(|at| wall_clock().millis().saturating_sub(at.millis()) as f64 / 1000.0);
    let partitions = stats.gauges.partitions();
    let of_partitions = partitions.iter().take(PARTITIONS_MAX).filter_map(|(partition, gauge, _)| {
        let labels = vec![("source", gauge.source.to_string()), ("partition", partition.number().to_string())];
        Some((labels, gauge.lag()? as f64))
    });
    let checkpoint = stats.gauges.checkpoint();
    let pending = running.as_ref().map(|running| running.acknowledged.pending() as f64);
    let info = watch.info();
    let ready = watch.unready().is_empty();
    let mut families = vec![
        Family { name: "tickcast_records", help: "Records read, by outcome", values: Values::Counters(by_outcome) },
        Family {
            name: "tickcast_unused_records",
            help: "Records that were not used, by reason",
            values: Values::Counters(by_reason.collect()),
        },
        counter("tickcast_rows", "Feature rows", stats.rows()),
        counter("tickcast_forecasts", "Forecasts", stats.forecasts()),
        gauge("tickcast_watermark_lag_seconds", "This machine's clock less the watermark", lag),
        gauge("tickcast_watermark_timestamp_seconds", "Event time up to which everything was read", seconds(watermark)),
        gauge(
            "tickcast_published_timestamp_seconds",
            "Event time up to which every sink has everything",
            Some(stats.published_through()).filter(|ms| *ms > 0).map(|ms| ms as f64 / 1000.0),
        ),
        Family {
            name: "tickcast_consumer_lag_records",
            help: "Records that are there and not read",
            values: Values::Gauges(of_partitions.collect()),
        },
        durations(
            "tickcast_end_to_end_latency_seconds",
            "From the broker's stamp on the record that closed a step to its forecasts being acknowledged",
            stats.gauges.latency.durations(),
        ),
        durations(
            "tickcast_epoch_train_seconds",
            "A worker's step at the end of an epoch: mostly training",
            stats.gauges.training.durations(),
        ),
        durations(
            "tickcast_step_seconds",
            "A worker's step: scores, forecasts, training",
            stats.gauges.steps.durations(),
        ),
        durations("tickcast_commit_seconds", "A batch being written by all sinks", stats.gauges.commits.durations()),
        counter(
            "tickcast_commits",
            "Batches that every sink has",
            running.as_ref().map_or(0, |running| running.acknowledged.commits()),
        ),
        Family {
            name: "tickcast_sink_pending",
            help: "Records handed to the sinks and not acknowledged",
            values: Values::Gauges(
                pending.map(|pending| (vec![("sink", "all".to_owned())], pending)).into_iter().collect(),
            ),
        },
        Family {
            name: "tickcast_sink_retries",
            help: "Writes that a sink had to try again",
            values: Values::Counters(
                Retrying::counts().map(|(sink, count)| (vec![("sink", sink.to_owned())], count)).into(),
            ),
        },
        counter("tickcast_checkpoints", "Checkpoints written", checkpoint.written),
        counter("tickcast_checkpoint_failures", "Checkpoints that could not be written", checkpoint.failed),
        gauge(
            "tickcast_checkpoint_seconds",
            "How long the last checkpoint took to write",
            checkpoint.written_at.map(|_| checkpoint.took.as_secs_f64()),
        ),
        gauge(
            "tickcast_checkpoint_bytes",
            "Size of the last checkpoint",
            checkpoint.written_at.map(|_| checkpoint.bytes as f64),
        ),
        gauge(
            "tickcast_checkpoint_last_success_timestamp_seconds",
            "When the last checkpoint was written",
            seconds(checkpoint.written_at),
        ),
        gauge("tickcast_ready", "1 where /readyz says so", Some(f64::from(u8::from(ready)))),
        gauge("tickcast_workers", "Worker threads of this process", running.as_ref().map(|r| r.workers as f64)),
        gauge("tickcast_processes", "Processes that run the job", running.as_ref().map(|r| r.processes as f64)),
        Family {
            name: "tickcast_build_info",
            help: "Always 1",
            values: Values::Gauges(vec![(
                vec![("version", info.version.to_owned()), ("job_id", info.job.clone())],
                1.0,
            )]),
        },
    ];
    families.extend(of_process());
    families
}

/// What every process gives.
pub fn of_process() -> Vec<Family> {
    vec![gauge("tickcast_memory_bytes", "Resident memory", memory_bytes().map(|bytes| bytes as f64))]
}

/// The figures of forecasts, for Prometheus.
#[derive(Default)]
struct Sums {
    count: u64,
    ratio: (f64, f64),
    coverage: (f64, f64),
}

/// What the latest forecasts say of themselves.
pub(super) fn of_forecasts(live: &Live) -> Vec<Family> {
    let mut by_symbol: BTreeMap<(String, Span), Sums> = BTreeMap::new();
    let (mut losses, mut ages) = (Vec::new(), Vec::new());
    live.look(|latest| {
        for (number, (symbol, horizons)) in latest.iter().enumerate() {
            let name = if number < SYMBOLS_MAX { symbol.as_str() } else { OTHERS };
            for (horizon, forecast) in horizons {
                let sums = by_symbol.entry((name.to_owned(), *horizon)).or_default();
                let weight = forecast.skill.count as f64;
                sums.count += forecast.skill.count;
                if let Some(ratio) = forecast.skill.mae_ratio {
                    sums.ratio = (sums.ratio.0 + weight * ratio, sums.ratio.1 + weight);
                }
                if let Some(coverage) = forecast.skill.coverage {
                    sums.coverage = (sums.coverage.0 + weight * coverage, sums.coverage.1 + weight);
                }
            }
            if let Some(forecast) = horizons.values().next() {
                losses.extend(forecast.model.loss);
                let trained = forecast.model.trained_through;
                ages.extend(trained.map(|at| (forecast.issued_at.millis() - at.millis()) as f64 / 1000.0));
            }
        }
    });
    let mean = |all: &[f64]| (!all.is_empty()).then(|| all.iter().sum::<f64>() / all.len() as f64);
    let oldest = ages.iter().copied().fold(None, |oldest: Option<f64>, age| Some(oldest.map_or(age, |o| o.max(age))));
    let labelled = |pick: fn(&Sums) -> Option<f64>| {
        let each = by_symbol.iter().filter_map(|((symbol, horizon), sums)| {
            Some((vec![("symbol", symbol.clone()), ("horizon", horizon.to_string())], pick(sums)?))
        });
        Values::Gauges(each.collect())
    };
    vec![
        Family {
            name: "tickcast_forecast_mae_ratio",
            help: "Mean absolute error over that of repeating the last price, of the last 1,440 scores",
            values: labelled(|sums| (sums.ratio.1 > 0.0).then(|| sums.ratio.0 / sums.ratio.1)),
        },
        Family {
            name: "tickcast_forecast_coverage",
            help: "Share of prices inside the interval, of the last 1,440 scores",
            values: labelled(|sums| (sums.coverage.1 > 0.0).then(|| sums.coverage.0 / sums.coverage.1)),
        },
        Family {
            name: "tickcast_forecast_scores",
            help: "Scores behind these",
            values: labelled(|sums| Some(sums.count as f64)),
        },
        gauge("tickcast_train_loss", "Mean training loss of the last epoch, mean of the symbols", mean(&losses)),
        gauge(
            "tickcast_model_age_seconds",
            "Event time from the last label that was learnt from to the last forecast, of the symbol where it is longest",
            oldest,
        ),
        gauge("tickcast_symbols", "Symbols with forecasts", Some(live.look(BTreeMap::len) as f64)),
    ]
}

/// What is encoded at a scrape.
struct Watched {
    watch: Arc<dyn Watch>,
    live: Option<Live>,
}

impl std::fmt::Debug for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watched").finish_non_exhaustive()
    }
}

impl Collector for Watched {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let mut families = self.watch.families();
        families.extend(self.live.as_ref().map(of_forecasts).into_iter().flatten());
        for Family { name, help, values } in families {
            match values {
                Values::Counters(all) if !all.is_empty() => {
                    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
                    for (labels, value) in all {
                        family.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&value, None)?;
                    }
                }
                Values::Gauges(all) if !all.is_empty() => {
                    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
                    for (labels, value) in all {
                        family.encode_family(&labels)?.encode_gauge(&value)?;
                    }
                }
                Values::Counters(_) | Values::Gauges(_) => {}
                Values::Durations(Durations { cumulative, count, seconds }) => {
                    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
                    let mut before = 0;
                    let mut bins: Vec<(f64, u64)> = Vec::with_capacity(BOUNDS.len() + 1);
                    for (bound, up_to) in BOUNDS.iter().zip(cumulative) {
                        bins.push((*bound, up_to - before));
                        before = up_to;
                    }
                    bins.push((f64::INFINITY, count - before));
                    family.encode_histogram::<NoLabelSet>(seconds, count, &bins, None)?;
                }
            }
        }
        Ok(())
    }
}

/// A scrape's answer.
#[must_use]
pub fn scrape(watch: &Arc<dyn Watch>, live: Option<&Live>) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Watched { watch: Arc::clone(watch), live: live.cloned() }));
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = text::encode(&mut out, &registry);
    out
}
