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
//!
//! Where all symbols share a network, a step has two halves: all symbols close it, then the network learns from all of them
//! ([`super::pool`]), then they issue.

use super::market::MarketStep;
use super::pool::{Pooled, Share, Totals, pool};
use super::support::gauges::Gauges;
use super::support::keeping::Keeping;
use super::support::stats::Stats;
use super::support::steps::Stepper;
use super::support::trace::Trace;
use super::support::weights::WeightsOut;
use super::windows::PaneRows;
use crate::features::MarketInputs;
use crate::market::{FeatureRow, Forecast, Pane, Score, Slide, Span, Step, Symbol, Timestamp};
use crate::model::forecaster::{Forecaster, StepResults};
use crate::model::pool::Pool;
use crate::model::scratch::LearnerScratch;
use crate::model::settings::ForecasterConfig;
use crate::recovery::restored::Unreadable;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

mod hand_out;
mod keep;
mod trace;
pub use hand_out::Learnt;
use keep::LearnSaving;

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

/// Verdicts, each with the pane that its step ends with.
pub type Verdicts<'scope> = StreamVec<'scope, Pane, (Pane, Verdict)>;

/// Learns and forecasts. Where `market` is empty, the market's inputs are zeros. A symbol without a bar for longer than
/// `forget_after` is given up; if it comes back, it begins anew. `out` is where weights are handed out to now
/// and then, and at the end by [`Learnt`]. `trace` asks what a forecast is made of.
///
/// # Errors
/// When the state to go on from was written by something else.
#[expect(clippy::too_many_arguments, reason = "each is another thing, and there is one caller")]
pub fn learn<'scope>(
    rows: StreamVec<'scope, Pane, PaneRows>,
    market: StreamVec<'scope, Pane, MarketStep>,
    slide: Slide,
    config: ForecasterConfig,
    forget_after: Span,
    stats: Arc<Stats>,
    out: Option<WeightsOut>,
    trace: Option<Arc<Trace>>,
    keeping: &Keeping,
) -> Result<(Verdicts<'scope>, Learnt), Unreadable> {
    let scope = rows.scope();
    let mut builder = OperatorBuilder::new("Learn".to_owned(), scope);
    let address = builder.operator_info().address;
    let (activator, waker) = (scope.activator_for(Rc::clone(&address)), scope.activator_for(address));
    let mut rows = builder.new_input(rows, Pipeline);
    let mut market = builder.new_input(market, Pipeline);
    let (verdicts, verdict_stream) = builder.new_output::<Vec<(Pane, Verdict)>>();
    let mut verdicts = OutputBuilder::<_, CapacityContainerBuilder<Vec<(Pane, Verdict)>>>::from(verdicts);
    let (shares, share_stream) = builder.new_output::<Vec<Share>>();
    let mut shares = OutputBuilder::<_, CapacityContainerBuilder<Vec<Share>>>::from(shares);
    // Sizes were checked with the configuration.
    let network = if config.pooled { Pool::new(&config).ok() } else { None };
    let totals = network.is_some().then(|| Rc::new(RefCell::new(Totals::default())));
    let pooled = network.zip(totals.clone()).map(|(pool, totals)| Pooled::new(pool, totals, slide, scope.peers()));
    let is_pooled = pooled.is_some();
    let saving = LearnSaving::new(keeping, is_pooled);
    let mut state = LearnState { out, saving, trace, ..LearnState::new(slide, config, forget_after, pooled) };
    state.restore(keeping, &stats)?;
    let state = Rc::new(RefCell::new(state));
    let learnt = Learnt::new(Rc::clone(&state));
    builder.build(move |mut capabilities| {
        let mut for_shares = capabilities.pop().filter(|_| is_pooled);
        let mut for_verdicts = capabilities.pop();
        move |frontiers| {
            let state = &mut *state.borrow_mut();
            rows.for_each_stamp(|_, data| {
                for batch in data {
                    batch.drain(..).for_each(|rows| state.steps.stash(rows));
                }
            });
            market.for_each_stamp(|_, data| {
                for batch in data {
                    batch.drain(..).for_each(|of| state.stash_market(of));
                }
            });
            let Some(held) = &for_verdicts else { return };
            let first = |input: usize| frontiers[input].frontier().first().copied();
            let frontiers = Frontiers { rows: first(0), market: first(1) };
            let mut results = StepResults::default();
            let pause = {
                let mut output = verdicts.activate();
                let mut session = output.session(held);
                state.advance(frontiers, &mut results, &stats.gauges, |pane, results| {
                    stats.add_forecasts(results.forecasts.len() as u64);
                    session.give_iterator(results.scores.drain(..).map(|score| (pane, Verdict::Score(score))));
                    session.give_iterator(results.forecasts.drain(..).map(|f| (pane, Verdict::Forecast(f))));
                })
            };
            state.hand_out();
            if let Some(held) = &for_shares {
                shares.activate().session(held).give_iterator(state.shares.drain(..));
            }
            let next = state.steps.next_pane();
            downgrade(&mut for_verdicts, if pause == Pause::Done { frontiers.least() } else { Some(next) });
            // Of a step that is closed there is nothing more to share: what it waits for is the others.
            let shared = next.plus(u64::from(state.closed.is_some()));
            downgrade(&mut for_shares, if pause == Pause::Done { frontiers.least() } else { Some(shared) });
            if pause == Pause::Busy {
                activator.activate();
            }
        }
    });
    if let Some(totals) = totals {
        pool(share_stream, totals, waker);
    }
    Ok((verdict_stream, learnt))
}

/// Moves a capability on to `time`, or drops it where there is none.
fn downgrade(held: &mut Option<Capability<Pane>>, time: Option<Pane>) {
    match (held.as_mut(), time) {
        (Some(capability), Some(time)) => capability.downgrade(&time.max(*capability.time())),
        _ => *held = None,
    }
}

/// Why [`LearnState::advance`] came back.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pause {
    /// There is nothing left to do.
    Done,
    /// There is more, but others get their turn.
    Busy,
    /// Other workers' parts of a shared gradient are missing.
    Waiting,
}

/// How far the inputs are; none where one has ended.
#[derive(Clone, Copy)]
struct Frontiers {
    rows: Option<Pane>,
    market: Option<Pane>,
}

impl Frontiers {
    fn least(self) -> Option<Pane> {
        self.rows.into_iter().chain(self.market).min()
    }

    /// The last pane that both have passed, where the rows end with `last_pane`.
    fn closed(self, last_pane: Pane) -> Option<Pane> {
        let of_rows = self.rows.map_or(Some(last_pane), Pane::previous)?;
        let of_market = self.market.map_or(Some(Pane::LAST), Pane::previous)?;
        Some(of_rows.min(of_market))
    }
}

struct LearnState {
    config: Rc<ForecasterConfig>,
    /// By symbol, so that results leave in its order.
    forecasters: BTreeMap<Symbol, Forecaster>,
    steps: Stepper,
    /// The market's inputs at steps that are not worked off.
    market: BTreeMap<Step, MarketInputs>,
    scratch: LearnerScratch,
    /// The network, where all symbols share one.
    pooled: Option<Pooled>,
    /// Rows of the step at hand, when it is closed and its forecasts are not issued.
    closed: Option<Vec<FeatureRow>>,
    /// On their way to all workers.
    shares: Vec<Share>,
    /// Where weights go, where they are wanted.
    out: Option<WeightsOut>,
    /// Whether it was said that initial weights know the future.
    has_warned: bool,
    /// Forecasts so far.
    issued: u64,
    /// Its part in checkpoints, where there are any.
    saving: Option<LearnSaving>,
    /// When the experts' weights were shown last.
    shown: Option<Instant>,
    /// Asks what a forecast is made of.
    trace: Option<Arc<Trace>>,
}

impl LearnState {
    fn new(slide: Slide, config: ForecasterConfig, forget_after: Span, pooled: Option<Pooled>) -> Self {
        let scratch = LearnerScratch::new(&config.learner);
        Self {
            steps: Stepper::new(slide, config.step, forget_after),
            config: Rc::new(config),
            forecasters: BTreeMap::new(),
            market: BTreeMap::new(),
            scratch,
            pooled,
            closed: None,
            shares: Vec::new(),
            out: None,
            has_warned: false,
            issued: 0,
            saving: None,
            shown: None,
            trace: None,
        }
    }

    fn stash_market(&mut self, of: MarketStep) {
        // This worker may have nothing to do at the step, or be past it.
        if of.step >= self.steps.next() {
            self.market.insert(of.step, of.inputs);
        }
    }

    /// Works off the steps that end before the frontiers, or with the last pane that held a tick where the rows have ended.
    fn advance(
        &mut self,
        frontiers: Frontiers,
        results: &mut StepResults,
        gauges: &Gauges,
        mut emit: impl FnMut(Pane, &mut StepResults),
    ) -> Pause {
        let Some(closed) = frontiers.closed(self.steps.last_pane()) else { return Pause::Done };
        let last = self.steps.last_complete(closed);
        let mut worked = 0;
        // A step that is half done is not passed over.
        while self.closed.is_some() || self.steps.seek(last) {
            if worked >= STEPS_PER_ACTIVATION {
                return Pause::Busy;
            }
            if let Some(pause) = self.save(None) {
                return pause;
            }
            let begun = Instant::now();
            let done = if self.pooled.is_some() { self.step_pooled(results) } else { Some(self.step(results)) };
            self.issued += results.forecasts.len() as u64;
            emit(self.steps.next_pane(), results);
            let Some(done) = done else { return Pause::Waiting };
            self.time(begun.elapsed(), gauges);
            worked += done.max(1);
            self.answer();
            self.steps.advance();
        }
        self.forget(self.steps.end_of(last));
        if worked > 0 {
            self.show(gauges);
        }
        // Of steps that were passed over.
        self.market = self.market.split_off(&self.steps.next());
        let next_pane = self.steps.next_pane();
        if let Some(pooled) = &mut self.pooled {
            pooled.catch_up(next_pane, &mut self.scratch);
        }
        self.save(Some(frontiers)).unwrap_or(Pause::Done)
    }

    /// Notes how long the next step took.
    fn time(&self, took: Duration, gauges: &Gauges) {
        gauges.steps.add(took);
        let end = self.steps.end_of(self.steps.next());
        if end.millis() % self.config.epoch.millis() == 0 {
            gauges.training.add(took);
        }
    }

    /// One step of every symbol that has a row or waits for a score. Gives how many.
    fn step(&mut self, results: &mut StepResults) -> usize {
        let (at, rows, market) = self.begin();
        // Both are ordered by symbol: one walk.
        let mut rows = rows.iter().peekable();
        let mut worked = 0;
        self.steps.awake = false;
        for (symbol, forecaster) in &mut self.forecasters {
            let row = rows.next_if(|row| row.symbol == *symbol);
            if row.is_some() || forecaster.awaits_scores() {
                forecaster.step(at, row, &market, &mut self.scratch, results);
                worked += 1;
            }
            self.steps.awake |= forecaster.awaits_scores();
        }
        worked
    }

    /// The end of the next step, its rows, whose symbols have forecasters now, and the market's inputs.
    fn begin(&mut self) -> (Timestamp, Vec<FeatureRow>, MarketInputs) {
        let at = self.steps.end_of(self.steps.next());
        self.forget(at);
        let mut rows = self.steps.take_rows();
        self.trace.iter().for_each(|trace| trace.keep(&mut rows));
        for row in &rows {
            if !self.forecasters.contains_key(&row.symbol) {
                self.has_warned = self.has_warned || hand_out::warn_of_the_future(&self.config, row);
                let forecaster = Forecaster::new(Rc::clone(&self.config), row.symbol.clone());
                // Sizes were checked when the graph was built.
                self.forecasters.extend(forecaster.ok().map(|f| (row.symbol.clone(), f)));
            }
        }
        (at, rows, self.market.remove(&self.steps.next()).unwrap_or_default())
    }

    /// Gives up symbols whose last bar is too long ago at `now`.
    fn forget(&mut self, now: Timestamp) {
        while let Some(symbol) = self.steps.take_forgotten(now) {
            self.forecasters.remove(&symbol);
        }
    }

    /// The same where all symbols share a network; none while parts of its gradient are missing.
    fn step_pooled(&mut self, results: &mut StepResults) -> Option<usize> {
        if self.closed.is_none() {
            // Other workers may have gone through epochs that this one had nothing to do in.
            self.join(self.steps.next().previous())?;
            self.close(results);
        }
        self.join(self.steps.next())?;
        Some(self.issue(results))
    }

    /// Learns the epochs that end up to `step`.
    fn join(&mut self, step: Step) -> Option<()> {
        let epoch = self.config.epoch.millis();
        let end = Timestamp::from_millis(self.steps.end_of(step).millis().div_euclid(epoch) * epoch);
        let joined = self.pooled.as_mut().is_none_or(|pooled| pooled.join(end, &mut self.scratch));
        joined.then_some(())
    }

    fn close(&mut self, results: &mut StepResults) {
        let (at, rows, market) = self.begin();
        let mut of_symbols = rows.iter().peekable();
        for (symbol, forecaster) in &mut self.forecasters {
            let row = of_symbols.next_if(|row| row.symbol == *symbol);
            if row.is_some() || forecaster.awaits_scores() {
                let pool = self.pooled.as_mut().map(|pooled| &mut pooled.pool);
                forecaster.close(at, row, &market, &mut self.scratch, pool, results);
            }
        }
        let pane = self.steps.next_pane();
        if let Some(pooled) = &mut self.pooled {
            self.shares.extend(pooled.shares(pane));
        }
        self.closed = Some(rows);
    }

    fn issue(&mut self, results: &mut StepResults) -> usize {
        let at = self.steps.end_of(self.steps.next());
        let rows = self.closed.take().unwrap_or_default();
        for row in &rows {
            if let Some(forecaster) = self.forecasters.get_mut(&row.symbol) {
                let pool = self.pooled.as_mut().map(|pooled| &mut pooled.pool);
                forecaster.issue(at, &mut self.scratch, pool, results);
            }
        }
        self.steps.awake = self.forecasters.values().any(Forecaster::awaits_scores);
        rows.len()
    }
}

#[cfg(test)]
mod tests;
