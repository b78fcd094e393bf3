//! Rows to scores and forecasts by the student project's model, on the worker that owns the symbol.
//!
//! ```text
//!   rows ──Pipeline──> [seed] ── scores, forecasts ──> commit, scoreboard
//!                         └──> standings (read when the dataflow is over)
//! ```
//!
//! As in [`super::learn`], a step is worked off when the frontier has passed its end, symbol by symbol: take the row, score,
//! train where an epoch ends, forecast. Where the rows end, each symbol's model is trained once more on its last 400 rows: for
//! the standings alone, nothing is published of it.

use super::learn::{Verdict, Verdicts};
use super::support::keeping::Keeping;
use super::support::stats::Stats;
use super::support::steps::Stepper;
use super::windows::PaneRows;
use crate::market::{Pane, Slide, Span, Symbol, Timestamp};
use crate::model::forecaster::StepResults;
use crate::model::seed::forecaster::{SeedConfig, SeedForecaster, SeedScratch, SeedStanding, SeedState};
use crate::model::seed::report::SeedReport;
use crate::model::shape::ModelError;
use crate::recovery::cuts::Saving;
use crate::recovery::manifest::Keeper;
use crate::recovery::restored::{Unreadable, encode, encode_parts};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::operator::Operator;

/// The most symbol-steps worked off before what stands behind gets its turn.
const WORK_PER_ACTIVATION: usize = 256;
/// A training takes as long as some thousand steps: what stands behind gets its turn after each step that has any.
const TRAINING_WORK: usize = WORK_PER_ACTIVATION;

/// How far one worker's symbols are; one entry for each of them.
pub type Standings = Rc<RefCell<BTreeMap<Symbol, SeedStanding>>>;

/// Learns and forecasts; `standings` says how far each symbol is.
///
/// # Errors
/// When the model's initial weights cannot be made, a fault in this program, or the state to go on from was written by something
/// else.
pub fn seed<'scope>(
    rows: StreamVec<'scope, Pane, PaneRows>,
    slide: Slide,
    config: SeedConfig,
    forget_after: Span,
    stats: Arc<Stats>,
    standings: Standings,
    keeping: &Keeping,
) -> Result<Verdicts<'scope>, SeedError> {
    let scope = rows.scope();
    let mut state = SeedLearning::new(slide, config, forget_after, standings)?;
    state.restore(keeping, &stats)?;
    Ok(rows.unary_frontier::<CapacityContainerBuilder<Vec<(Pane, Verdict)>>, _, _, _>(
        Pipeline,
        "Seed",
        move |capability, info| {
            let activator = scope.activator_for(info.address);
            let mut capability = Some(capability);
            move |(input, frontier), output| {
                input.for_each_stamp(|_, data| {
                    for batch in data {
                        batch.drain(..).for_each(|rows| state.steps.stash(rows));
                    }
                });
                let Some(held) = capability.as_mut() else { return };
                let frontier = frontier.frontier().first().copied();
                let mut results = StepResults::default();
                let done = {
                    let mut session = output.session(&*held);
                    state.advance(frontier, &mut results, |pane, results| {
                        stats.add_forecasts(results.forecasts.len() as u64);
                        session.give_iterator(results.scores.drain(..).map(|score| (pane, Verdict::Score(score))));
                        session.give_iterator(results.forecasts.drain(..).map(|f| (pane, Verdict::Forecast(f))));
                    })
                };
                match (done, frontier) {
                    (true, None) => capability = None,
                    (true, Some(time)) => held.downgrade(&time.max(*held.time())),
                    (false, _) => {
                        held.downgrade(&state.steps.next_pane().max(*held.time()));
                        activator.activate();
                    }
                }
            }
        },
    ))
}

/// Why the operator cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// Initial weights.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The state to go on from.
    #[error(transparent)]
    State(#[from] Unreadable),
}

struct SeedLearning {
    config: Rc<SeedConfig>,
    /// By symbol, so that results leave in its order.
    forecasters: BTreeMap<Symbol, SeedForecaster>,
    steps: Stepper,
    scratch: SeedScratch,
    standings: Standings,
    /// Symbols whose last model is not trained yet, when the rows have ended.
    unfinished: Option<Vec<Symbol>>,
    /// Forecasts so far.
    issued: u64,
    /// Its part in checkpoints, where there are any.
    saving: Option<Saving>,
}

/// One symbol, for a checkpoint: its forecaster, when it had its last bar, and how far it was told to be.
type Kept = (SeedState, Option<Timestamp>, Option<(usize, Option<String>, Option<SeedReport>)>);

impl SeedLearning {
    fn new(slide: Slide, config: SeedConfig, forget_after: Span, standings: Standings) -> Result<Self, ModelError> {
        Ok(Self {
            steps: Stepper::new(slide, config.step, forget_after),
            scratch: SeedScratch::new(config.random_seed)?,
            config: Rc::new(config),
            forecasters: BTreeMap::new(),
            standings,
            unfinished: None,
            issued: 0,
            saving: None,
        })
    }

    /// Goes on from a checkpoint's state, where there is one.
    fn restore(&mut self, keeping: &Keeping, stats: &Stats) -> Result<(), Unreadable> {
        self.saving = keeping.saving(Keeper::Forecasters);
        let Some(cut) = keeping.restored_cut() else { return Ok(()) };
        for (last_pane, forecasts) in keeping.each::<(Pane, u64)>(Keeper::Forecasters)? {
            self.steps.restore(cut, last_pane);
            // The sum of all workers', kept by the first from now on.
            self.issued += if keeping.worker == 0 { forecasts } else { 0 };
        }
        stats.add_forecasts(self.issued);
        for (state, last_bar, standing) in keeping.symbols::<Kept>(Keeper::Forecasters)? {
            let symbol = state.symbol.clone();
            self.steps.see(&symbol, last_bar);
            if let Some((rows, trained_through, report)) = standing {
                let standing = SeedStanding { rows, trained_through, report };
                self.standings.borrow_mut().insert(symbol.clone(), standing);
            }
            self.forecasters.insert(symbol, SeedForecaster::from_state(Rc::clone(&self.config), state));
        }
        self.steps.awake = self.forecasters.values().any(SeedForecaster::awaits_scores);
        Ok(())
    }

    /// Gives the state where a cut is wanted, and all steps that end by then are worked off: the next one ends after it, or
    /// the rows have passed it.
    fn save(&mut self, passed: Option<Option<Pane>>) {
        let Some(cut) = self.saving.as_ref().and_then(|saving| self.steps.due(saving, passed)) else { return };
        let last_bars: HashMap<&Symbol, Timestamp> = self.steps.last_bars().collect();
        let standings = self.standings.borrow();
        let kept = |(symbol, forecaster): (&Symbol, &SeedForecaster)| -> Kept {
            let standing = standings.get(symbol).cloned();
            let standing = standing.map(|of| (of.rows, of.trained_through, of.report));
            (forecaster.state(), last_bars.get(symbol).copied(), standing)
        };
        let kept: Vec<Kept> = self.forecasters.iter().map(kept).collect();
        let mut states = encode_parts(kept.iter().map(|kept| (&kept.0.symbol, kept)));
        states.push((None, encode(&(self.steps.last_pane(), self.issued))));
        if let Some(saving) = &mut self.saving {
            saving.give(cut, None, states);
        }
    }

    /// Works off the steps that end before the frontier, or with the last pane that held a tick where the rows have ended. False
    /// when there is more to do.
    fn advance(
        &mut self,
        frontier: Option<Pane>,
        results: &mut StepResults,
        mut emit: impl FnMut(Pane, &mut StepResults),
    ) -> bool {
        let Some(closed) = frontier.map_or(Some(self.steps.last_pane()), Pane::previous) else {
            return true;
        };
        let last = self.steps.last_complete(closed);
        let mut worked = 0;
        while self.steps.seek(last) {
            if worked >= WORK_PER_ACTIVATION {
                return false;
            }
            self.save(None);
            worked += self.step(results).max(1);
            self.issued += results.forecasts.len() as u64;
            emit(self.steps.next_pane(), results);
            self.steps.advance();
        }
        self.forget(self.steps.end_of(last));
        self.save(Some(frontier));
        frontier.is_some() || self.finish()
    }

    /// Gives up symbols whose last bar is too long ago at `now`.
    fn forget(&mut self, now: Timestamp) {
        while let Some(symbol) = self.steps.take_forgotten(now) {
            self.forecasters.remove(&symbol);
            self.standings.borrow_mut().remove(&symbol);
        }
    }

    /// One step of every symbol that has a row or waits for a score. Gives how much work that was.
    fn step(&mut self, results: &mut StepResults) -> usize {
        let at = self.steps.end_of(self.steps.next());
        self.forget(at);
        let rows = self.steps.take_rows();
        for row in &rows {
            if !self.forecasters.contains_key(&row.symbol) {
                let forecaster = SeedForecaster::new(Rc::clone(&self.config), row.symbol.clone());
                self.forecasters.insert(row.symbol.clone(), forecaster);
            }
        }
        // Both are ordered by symbol: one walk.
        let mut rows = rows.iter().peekable();
        let mut worked = 0;
        self.steps.awake = false;
        for (symbol, forecaster) in &mut self.forecasters {
            let row = rows.next_if(|row| row.symbol == *symbol);
            if row.is_some() || forecaster.awaits_scores() {
                let before = forecaster.rows();
                let report = forecaster.step(at, row, &mut self.scratch, results);
                worked += if report.is_some() { TRAINING_WORK } else { 1 };
                if report.is_some() || forecaster.rows() != before {
                    record_standing(&self.standings, symbol, forecaster.rows(), report.map(|report| (at, report)));
                }
            }
            self.steps.awake |= forecaster.awaits_scores();
        }
        worked
    }

    /// Trains the last model of one symbol, when the rows have ended. False when there are more.
    fn finish(&mut self) -> bool {
        let left = self.unfinished.get_or_insert_with(|| self.forecasters.keys().rev().cloned().collect());
        let Some(symbol) = left.pop() else { return true };
        let Some(forecaster) = self.forecasters.get_mut(&symbol) else { return left.is_empty() };
        let at = self.steps.end_of(self.steps.next().previous());
        if let Some(report) = forecaster.train(at, &mut self.scratch) {
            record_standing(&self.standings, &symbol, forecaster.rows(), Some((at, report)));
        }
        left.is_empty()
    }
}

fn record_standing(standings: &Standings, symbol: &Symbol, rows: usize, training: Option<(Timestamp, SeedReport)>) {
    let mut standings = standings.borrow_mut();
    let standing = standings.entry(symbol.clone()).or_default();
    standing.rows = rows;
    if let Some((at, report)) = training {
        standing.trained_through = Some(at.to_string());
        standing.report = Some(report);
    }
}
