//! Rows to scores and forecasts, step by step, on the worker that owns the symbol.
//!
//! ```text
//!   rows ────Pipeline──> [learn] ── scores, forecasts ──> commit, scoreboard
//!   market ──Pipeline──────┘
//! ```
//!
//! When both frontiers have passed the end of a step, for each symbol, in this order: close the bar, score what came due, train at
//! the end of an epoch, issue. A label thus enters when its target time has passed, and a forecast uses weights that were
//! finished before it is issued: looking ahead would need a message from before the frontier.

use super::market::MarketStep;
use super::stats::Stats;
use super::windows::PaneRows;
use crate::features::MarketInputs;
use crate::market::{FeatureRow, Forecast, Score, Slide, Symbol, Timestamp};
use crate::model::forecaster::{Forecaster, ForecasterConfig, StepResults};
use crate::model::learner::LearnerScratch;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::operator::Operator;
use timely::progress::frontier::MutableAntichain;

/// The most symbol-steps worked off before what stands behind gets its turn.
const STEPS_PER_ACTIVATION: usize = 256;

/// What forecasting gives.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Verdict {
    /// What became of a forecast.
    Score(Score),
    /// A forecast.
    Forecast(Forecast),
}

/// Learns and forecasts. Where `market` is empty, the market's inputs are zeros.
#[must_use]
pub fn learn<'scope>(
    rows: StreamVec<'scope, u64, PaneRows>,
    market: StreamVec<'scope, u64, MarketStep>,
    slide: Slide,
    config: ForecasterConfig,
    stats: Arc<Stats>,
) -> StreamVec<'scope, u64, (u64, Verdict)> {
    let scope = rows.scope();
    rows.binary_frontier::<_, CapacityContainerBuilder<Vec<(u64, Verdict)>>, _, _, _, _>(
        market,
        Pipeline,
        Pipeline,
        "Learn",
        move |capability, info| {
            let activator = scope.activator_for(info.address);
            let mut capability = Some(capability);
            let mut state = State::new(slide, config);
            move |(rows, rows_frontier), (market, market_frontier), output| {
                rows.for_each_stamp(|_, data| {
                    for batch in data {
                        batch.drain(..).for_each(|rows| state.stash(rows));
                    }
                });
                market.for_each_stamp(|_, data| {
                    for batch in data {
                        batch.drain(..).for_each(|of| state.stash_market(of));
                    }
                });
                let Some(held) = capability.as_mut() else { return };
                let first = |of: &MutableAntichain<u64>| of.frontier().first().copied();
                let frontiers = Frontiers { rows: first(rows_frontier), market: first(market_frontier) };
                let mut results = StepResults::default();
                let done = {
                    let mut session = output.session(&*held);
                    state.advance(frontiers, &mut results, |pane, results| {
                        stats.add_forecasts(results.forecasts.len() as u64);
                        session.give_iterator(results.scores.drain(..).map(|score| (pane, Verdict::Score(score))));
                        session.give_iterator(results.forecasts.drain(..).map(|f| (pane, Verdict::Forecast(f))));
                    })
                };
                match (done, frontiers.least()) {
                    (true, None) => capability = None,
                    (true, Some(time)) => held.downgrade(&time),
                    (false, _) => {
                        held.downgrade(&state.next_pane().max(*held.time()));
                        activator.activate();
                    }
                }
            }
        },
    )
}

/// How far the inputs are; none where one has ended.
#[derive(Clone, Copy)]
struct Frontiers {
    rows: Option<u64>,
    market: Option<u64>,
}

impl Frontiers {
    fn least(self) -> Option<u64> {
        self.rows.into_iter().chain(self.market).min()
    }

    /// The last pane that both have passed, where the rows end with `last_pane`.
    fn closed(self, last_pane: u64) -> Option<u64> {
        let of_rows = self.rows.map_or(Some(last_pane), |frontier| frontier.checked_sub(1))?;
        let of_market = self.market.map_or(Some(u64::MAX), |frontier| frontier.checked_sub(1))?;
        Some(of_rows.min(of_market))
    }
}

struct State {
    slide: Slide,
    config: Rc<ForecasterConfig>,
    /// By symbol, so that results leave in its order.
    forecasters: BTreeMap<Symbol, Forecaster>,
    /// Rows at the ends of steps that are not worked off, by step number.
    pending: BTreeMap<i64, Vec<FeatureRow>>,
    /// The market's inputs at steps that are not worked off.
    market: BTreeMap<i64, MarketInputs>,
    /// The next step to work off.
    next: i64,
    /// The last pane that held a tick of any symbol.
    last_pane: u64,
    /// Whether a forecaster waits for a step without a row.
    awake: bool,
    scratch: LearnerScratch,
}

impl State {
    fn new(slide: Slide, config: ForecasterConfig) -> Self {
        let scratch = LearnerScratch::new(&config.learner);
        Self {
            slide,
            config: Rc::new(config),
            forecasters: BTreeMap::new(),
            pending: BTreeMap::new(),
            market: BTreeMap::new(),
            next: 0,
            last_pane: 0,
            awake: false,
            scratch,
        }
    }

    fn stash(&mut self, rows: PaneRows) {
        self.last_pane = self.last_pane.max(rows.pane);
        let end = self.slide.end_of(rows.pane).millis();
        if end % self.config.step.millis() == 0 {
            self.pending.insert(end / self.config.step.millis(), rows.into_rows().collect());
        }
    }

    fn stash_market(&mut self, of: MarketStep) {
        // This worker may have nothing to do at the step, or be past it.
        if of.step >= self.next {
            self.market.insert(of.step, of.inputs);
        }
    }

    /// End of step number `step`.
    fn end_of(&self, step: i64) -> Timestamp {
        Timestamp::from_millis(step * self.config.step.millis())
    }

    /// The pane that the next step ends with.
    fn next_pane(&self) -> u64 {
        self.slide.pane_ending_at(self.end_of(self.next)).unwrap_or(0)
    }

    /// Works off the steps that end before the frontiers, or with the last pane that held a tick where the rows have ended.
    /// False when there is more to do.
    fn advance(
        &mut self,
        frontiers: Frontiers,
        results: &mut StepResults,
        mut emit: impl FnMut(u64, &mut StepResults),
    ) -> bool {
        // The end of the last closed pane: steps up to it are complete.
        let Some(closed) = frontiers.closed(self.last_pane) else { return true };
        let last = self.slide.end_of(closed).millis().div_euclid(self.config.step.millis());
        let mut worked = 0;
        while self.next <= last {
            if worked >= STEPS_PER_ACTIVATION {
                return false;
            }
            if !self.awake {
                // Nobody waits for a step without rows: on to the next that has some.
                let first = self.pending.first_key_value().map_or(last + 1, |(&step, _)| step.min(last + 1));
                self.next = self.next.max(first);
                if self.next > last {
                    break;
                }
            }
            worked += self.step(results).max(1);
            let pane = self.slide.pane_ending_at(self.end_of(self.next)).unwrap_or(0);
            emit(pane, results);
            self.next += 1;
        }
        // Of steps that were passed over.
        self.market = self.market.split_off(&self.next);
        true
    }

    /// One step of every symbol that has a row or waits for a score. Gives how many.
    fn step(&mut self, results: &mut StepResults) -> usize {
        let at = self.end_of(self.next);
        let rows = self.pending.remove(&self.next).unwrap_or_default();
        let market = self.market.remove(&self.next).unwrap_or_default();
        for row in &rows {
            if !self.forecasters.contains_key(&row.symbol) {
                let forecaster = Forecaster::new(Rc::clone(&self.config), row.symbol.clone());
                // Sizes were checked when the graph was built.
                self.forecasters.extend(forecaster.ok().map(|f| (row.symbol.clone(), f)));
            }
        }
        // Both are ordered by symbol: one walk.
        let mut rows = rows.iter().peekable();
        let mut worked = 0;
        self.awake = false;
        for (symbol, forecaster) in &mut self.forecasters {
            let row = rows.next_if(|row| row.symbol == *symbol);
            if row.is_some() || forecaster.awaits_scores() {
                forecaster.step(at, row, &market, &mut self.scratch, results);
                worked += 1;
            }
            self.awake |= forecaster.awaits_scores();
        }
        worked
    }
}
