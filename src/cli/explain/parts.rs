//! The parts of what is told, from what was computed.

use super::compared::Compared;
use super::told::*;
use crate::cli::job::again::{Answer, Heard, Replayed};
use crate::config::Config;
use crate::connectors::outputs::sinks::Published;
use crate::features::INPUT_NAMES;
use crate::market::fixed::write_decimal;
use crate::market::forecast::EXPERT_NAMES;
use crate::market::{FeatureRow, Forecast, Ohlcv, Reasons, Status, StoredTick, Timestamp};
use crate::model::lineage::{Layers, Lineage};
use crate::model::numerics;
use crate::recovery::compare::Content;
use std::collections::{BTreeMap, BTreeSet};

/// The most bytes of a record's value that are shown.
const VALUE_BYTES_MAX: usize = 4096;

impl PublishedTold {
    pub(super) fn of(published: &Published) -> Option<Self> {
        let last = published.forecasts.last()?;
        let compared_by = if matches!(last, Content::Json(_)) { "bytes" } else { "values" };
        Some(Self { place: published.place.clone(), records: published.forecasts.len(), compared_by })
    }
}

impl StatusTold {
    pub(super) fn of(forecast: &Forecast, lineage: Option<&Lineage>, config: &Config) -> Self {
        let Reasons { quiet, gap } = forecast.reasons;
        let reasons =
            [(quiet, "quiet"), (gap, "gap")].into_iter().filter_map(|(is, name)| is.then_some(name)).collect();
        let needed = lineage.map_or(config.model.steps, |lineage| lineage.steps_needed);
        let seen = lineage.map(|lineage| lineage.steps_seen);
        let why = match (forecast.status, quiet, gap) {
            (Status::Ok, ..) => match lineage.map(|lineage| lineage.layers.gate.is_open) {
                Some(false) => "the model stands behind it; its median is the last price, since medians have not proven better so far".to_owned(),
                _ => "the model stands behind it".to_owned(),
            },
            (Status::Warming, ..) => match seen {
                Some(seen) => format!("{seen} of the {needed} steps that a sequence needs had come: the price is the last one"),
                None => "too few rows had come: the price is the last one".to_owned(),
            },
            (Status::Abstain, true, true) => "no tick in the last 5 steps, and five steps without one inside of the sequence: the price is the last one".to_owned(),
            (Status::Abstain, true, false) => "no tick in the last 5 steps: the price is the last one".to_owned(),
            (Status::Abstain, ..) => "five steps without a tick inside of the sequence: the price is the last one".to_owned(),
        };
        let first_tick = stamp(lineage.and_then(|lineage| lineage.first_tick));
        Self { status: forecast.status.as_str(), reasons, why, first_tick, steps_seen: seen, steps_needed: needed }
    }
}

impl ReplayTold {
    pub(super) fn of(replayed: &Replayed, workers: usize) -> Self {
        Self {
            from: if replayed.checkpoint.is_some() { "checkpoint" } else { "beginning" },
            checkpoint: replayed.checkpoint.clone(),
            cut: stamp(replayed.cut),
            offsets: replayed.starts.iter().map(|(partition, offset)| (partition.0, *offset)).collect(),
            passed_over: replayed.passed_over.clone(),
            records: replayed.records,
            workers,
            seconds: replayed.seconds,
            numerics: numerics(),
        }
    }
}

impl InputTold {
    pub(super) fn of(answer: &Answer, from: Timestamp, to: Timestamp) -> Self {
        let shown_from = answer.replayed.cut.map_or(from, |cut| cut.max(from));
        let mut by_partition: BTreeMap<_, Vec<&StoredTick>> = BTreeMap::new();
        for tick in answer.heard.ticks.iter().filter(|tick| tick.at >= shown_from) {
            by_partition.entry(tick.partition).or_default().push(tick);
        }
        let partitions = by_partition.into_iter().filter_map(|(partition, ticks)| {
            let offsets: BTreeSet<u64> = ticks.iter().map(|tick| tick.offset).collect();
            Some(PartitionTold {
                source: ticks.first()?.topic.to_string(),
                partition: partition.number(),
                first_offset: *offsets.first()?,
                last_offset: *offsets.last()?,
                records: offsets.len(),
                ticks: ticks.len(),
            })
        });
        Self {
            from: from.to_string(),
            to: to.to_string(),
            shown_from: shown_from.to_string(),
            partitions: partitions.collect(),
            last_records: records(&answer.heard, answer),
        }
    }
}

/// The last records, in the order of their ticks.
fn records(heard: &Heard, answer: &Answer) -> Vec<RecordTold> {
    let mut told = BTreeSet::new();
    let each =
        heard.ticks.iter().filter(|tick| answer.shown.get(&tick.partition).is_some_and(|of| of.contains(&tick.offset)));
    let each = each.filter(|tick| told.insert((tick.partition, tick.offset)));
    let record = |tick: &StoredTick| {
        let found = answer.records.iter().find(|raw| (raw.partition, raw.offset) == (tick.partition, tick.offset));
        let shown = |bytes: &[u8]| text(&bytes[..bytes.len().min(VALUE_BYTES_MAX)]);
        RecordTold {
            source: tick.topic.to_string(),
            partition: tick.partition.number(),
            offset: tick.offset,
            at: tick.at.to_string(),
            price: fixed(tick.price),
            key: found.and_then(|raw| raw.key.as_deref()).map(shown),
            value: found.map(|raw| shown(&raw.value)),
            cut_off: found.is_some_and(|raw| raw.value.len() > VALUE_BYTES_MAX),
        }
    };
    each.map(record).collect()
}

/// The bars of the sequence: of steps after the cut from the rows, of earlier ones what the state keeps.
pub(super) fn bars(answer: &Answer, lineage: Option<&Lineage>) -> Vec<BarTold> {
    let rows = answer.heard.rows.iter().filter(|row| answer.replayed.cut.is_none_or(|cut| row.end > cut));
    let rows: BTreeMap<Timestamp, &FeatureRow> = rows.map(|row| (row.end, row)).collect();
    let Some(lineage) = lineage else {
        return rows.into_values().map(|row| BarTold::of(row.end, row.bar.as_ref())).collect();
    };
    let each = lineage.sequence.iter().map(|step| {
        if answer.replayed.cut.is_none_or(|cut| step.end > cut) {
            return BarTold::of(step.end, rows.get(&step.end).and_then(|row| row.bar.as_ref()));
        }
        let close = step.close.filter(|_| step.present).map(|close| raw(close.to_string()));
        BarTold { present: step.present, close, from: "checkpoint", ..BarTold::of(step.end, None) }
    });
    each.collect()
}

impl BarTold {
    fn of(end: Timestamp, bar: Option<&Ohlcv>) -> Self {
        let volume = bar.map(|bar| {
            let mut json = Vec::new();
            write_decimal(bar.volume, &mut json);
            raw(text(&json))
        });
        Self {
            end: end.to_string(),
            present: bar.is_some(),
            open: bar.map(|bar| fixed(bar.open)),
            high: bar.map(|bar| fixed(bar.high)),
            low: bar.map(|bar| fixed(bar.low)),
            close: bar.map(|bar| fixed(bar.close)),
            volume,
            count: bar.and_then(Ohlcv::known_count),
            from: "records",
        }
    }
}

impl FeaturesTold {
    pub(super) fn of(lineage: &Lineage) -> Self {
        let features = &lineage.features;
        Self {
            bars: features.bars,
            volatility: features.volatility,
            slow_volatility: features.slow_volatility,
            range_level: features.range_level,
            geometric_range: features.geometric_range,
            scale: features.scale,
            location: features.location,
            flow: features.flow,
            market: lineage.market,
        }
    }
}

pub(super) fn sequence(lineage: &Lineage) -> Vec<SequenceTold> {
    let inputs = |inputs| INPUT_NAMES.into_iter().zip(inputs).collect();
    lineage
        .sequence
        .iter()
        .map(|step| SequenceTold { end: step.end.to_string(), inputs: inputs(step.inputs) })
        .collect()
}

impl ModelTold {
    pub(super) fn of(forecast: &Forecast, lineage: Option<&Lineage>) -> Self {
        let examples = lineage.and_then(|lineage| lineage.examples);
        Self {
            version: forecast.model.version,
            trained_from: stamp(lineage.and_then(|lineage| lineage.trained_from)),
            trained_through: stamp(forecast.model.trained_through),
            loss: forecast.model.loss,
            examples: examples.map(|of| ExamplesTold {
                count: of.count,
                first: of.first.to_string(),
                last: of.last.to_string(),
            }),
        }
    }
}

pub(super) fn experts(layers: &Layers, last_price: f64) -> Vec<ExpertTold> {
    let each = EXPERT_NAMES.into_iter().zip(layers.experts).zip(layers.weights);
    let expert = |((name, returns), weights): ((_, Option<[f64; 5]>), [f64; 5])| {
        let returns = returns?;
        Some(ExpertTold {
            name,
            weight: weights.iter().sum::<f64>() / weights.len() as f64,
            weights: quantiles(weights),
            returns: quantiles(returns),
            prices: quantiles(returns.map(|log_return| last_price * libm::exp(log_return))),
        })
    };
    each.filter_map(expert).collect()
}

impl LayersTold {
    pub(super) fn of(lineage: &Lineage) -> Self {
        let layers = &lineage.layers;
        Self {
            scale: layers.scale,
            shape: quantiles(layers.shape),
            regression: quantiles(layers.regression),
            lstm_spoke: lineage.lstm_spoke,
            mixture: quantiles(layers.mixed),
            gate: GateTold {
                open: layers.gate.is_open,
                median: layers.median,
                gain: layers.gate.gain,
                needed: layers.gate.needed,
            },
            widening: layers.widening,
            quantiles: quantiles(layers.quantiles),
        }
    }
}

impl IntervalTold {
    pub(super) fn of(forecast: &Forecast, lineage: Option<&Lineage>) -> Self {
        let state = lineage.map(|lineage| lineage.layers.intervals);
        let offsets = state.map(|state| state.own_offsets.unwrap_or(state.offsets));
        Self {
            coverage: forecast.interval.coverage,
            coverage_so_far: forecast.skill.coverage,
            scores: forecast.skill.count,
            tercile: state.map(|state| state.tercile),
            lower_offset: offsets.map(|[lower, _]| lower),
            upper_offset: offsets.map(|[_, upper]| upper),
            lower: forecast.interval.lower,
            upper: forecast.interval.upper,
        }
    }
}

impl OutcomeTold {
    pub(super) fn of(published: &[Published], compared: &Compared) -> Self {
        let found = published.iter().find_map(|of| of.scores.last());
        let (from, score) = match (&compared.score, found) {
            (Some(score), _) => (Some("replay"), Some(raw(text(score)))),
            (None, Some(Content::Json(score))) => (Some("sink"), Some(raw(text(score)))),
            _ => (None, None),
        };
        Self { known: score.is_some(), from, published: found.is_some(), score }
    }
}
