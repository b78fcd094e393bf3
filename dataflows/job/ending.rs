//! What is left when the workers have ended: weights that they share, and the summary.

use super::super::scoreboard::ScoreSummary;
use super::super::summary::{Summary, peak_memory_bytes};
use super::Shared;
use crate::config::Preset;
use crate::connectors::weights::{WeightsFileError, WeightsWriter};
use crate::model::weights::Weights;
use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::Instant;

/// Writes what workers have left: weights that all symbols share.
pub(super) fn finish_weights(writer: WeightsWriter, shared: &Shared) -> Result<(), WeightsFileError> {
    let weights = shared.shared_weights.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(weights) = weights {
        writer.sender().send(None, weights.to_bytes());
    }
    writer.finish()
}

/// Which worker's word on shared weights counts, the same for any number of workers: the one that has learnt most, then the one
/// of the first symbol that has an example.
pub(super) fn better(one: Weights, other: Weights) -> Weights {
    let rank = |weights: &Weights| {
        let symbol = weights.example.as_ref().map(|example| example.symbol.clone());
        (std::cmp::Reverse(weights.about.model.version), symbol.is_none(), symbol)
    };
    if rank(&other) < rank(&one) { other } else { one }
}

/// What the run did.
pub(super) fn summary(shared: &Shared, started: Instant) -> Summary {
    let mut scores: BTreeMap<String, BTreeMap<String, ScoreSummary>> = BTreeMap::new();
    let board = shared.scores.lock().unwrap_or_else(PoisonError::into_inner).board(shared.config.source.forget_after);
    for ((symbol, horizon), sums) in &board {
        scores.entry(symbol.to_string()).or_default().insert(horizon.to_string(), sums.summary());
    }
    let standings = std::mem::take(&mut *shared.standings.lock().unwrap_or_else(PoisonError::into_inner));
    let standings = standings.into_iter().map(|(symbol, standing)| (symbol.to_string(), standing)).collect();
    Summary {
        seed: (shared.config.model.preset == Preset::Seed).then_some(standings),
        records: shared.stats.records(),
        unused: shared.stats.unused(),
        refusals: shared.stats.refusals(),
        rows: shared.stats.rows(),
        forecasts: shared.stats.forecasts(),
        scores,
        interrupted: false,
        seconds: started.elapsed().as_secs_f64(),
        peak_memory_bytes: peak_memory_bytes(),
    }
}
