//! What is left when the workers have ended: weights that they share, and the summary.

use super::super::cluster::Report;
use super::super::scoreboard::ScoreSummary;
use super::super::summary::{Summary, peak_memory_bytes};
use super::{Shared, lock};
use crate::config::Preset;
use crate::connectors::weights::{WeightsFileError, WeightsWriter};
use crate::market::Symbol;
use crate::model::seed::forecaster::SeedStanding;
use crate::model::weights::Weights;
use crate::recovery::Fault;
use std::collections::BTreeMap;
use std::time::Instant;

/// Writes what workers have left: weights that all symbols share.
pub(super) fn finish_weights(writer: WeightsWriter, shared: &Shared) -> Result<(), WeightsFileError> {
    let weights = lock(&shared.shared_weights).take();
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

/// Of a cluster: hands what this process has counted to the first, which adds up what the others have. Their peak memory.
pub(super) fn gather(shared: &Shared, ended_well: bool) -> Result<u64, Fault> {
    let Some(peers) = &shared.peers else { return Ok(0) };
    let report = || Report {
        stats: shared.stats.report(),
        scores: std::mem::take(&mut *lock(&shared.scores)),
        standings: serde_json::to_string(&names(&lock(&shared.standings))).unwrap_or_default(),
        weights: lock(&shared.shared_weights).as_ref().map(Weights::to_bytes),
        peak_memory_bytes: peak_memory_bytes(),
    };
    if !peers.is_first() {
        peers.report(ended_well.then(report));
        return Ok(0);
    }
    let mut peak = 0;
    for report in peers.gather(ended_well)? {
        let Report { stats, scores, standings, weights, peak_memory_bytes } = report;
        shared.stats.add_report(stats);
        lock(&shared.scores).add(scores);
        let standings: BTreeMap<String, SeedStanding> = serde_json::from_str(&standings)
            .map_err(|error| Fault::failed(format!("the standings of another process cannot be read: {error}")))?;
        let standings = standings.into_iter().filter_map(|(symbol, of)| Some((Symbol::new(&symbol).ok()?, of)));
        lock(&shared.standings).extend(standings);
        if let Some(weights) = weights.and_then(|weights| Weights::read(&weights).ok()) {
            let mut best = lock(&shared.shared_weights);
            *best = Some(best.take().map_or_else(|| weights.clone(), |known| better(known, weights.clone())));
        }
        peak += peak_memory_bytes;
    }
    Ok(peak)
}

fn names(standings: &BTreeMap<Symbol, SeedStanding>) -> BTreeMap<String, SeedStanding> {
    standings.iter().map(|(symbol, standing)| (symbol.to_string(), standing.clone())).collect()
}

/// What the run did.
pub(super) fn summary(shared: &Shared, started: Instant, others: u64) -> Summary {
    let mut scores: BTreeMap<String, BTreeMap<String, ScoreSummary>> = BTreeMap::new();
    let board = lock(&shared.scores).board(shared.config.source.forget_after);
    for ((symbol, horizon), sums) in &board {
        scores.entry(symbol.to_string()).or_default().insert(horizon.to_string(), sums.summary());
    }
    let standings = names(&lock(&shared.standings));
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
        peak_memory_bytes: peak_memory_bytes() + others,
    }
}
