//! Rows to the market's inputs: what all symbols did in a step, the same on every worker.
//!
//! ```text
//!   rows ──Pipeline──> [returns] ── sums ══(a copy to every worker)══> [market] ── inputs by step ──> learn
//! ```
//!
//! Each worker adds up the returns of its own symbols and sends the sum of a step to all workers. When the frontier has
//! passed the step's pane, all sums are there; they are integers, so each worker gets the same total, and makes the same
//! inputs of it. A step without a bar of any symbol has no inputs.

use super::support::keeping::Keeping;
use super::support::last_seen::LastSeen;
use super::windows::PaneRows;
use crate::features::{Market, MarketInputs, MarketSum, SymbolReturn};
use crate::market::{Pane, Slide, Span, Step, Symbol, Timestamp};
use crate::recovery::cuts::Saving;
use crate::recovery::manifest::Keeper;
use crate::recovery::restored::{Unreadable, encode, encode_parts};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::generic::operator::Operator;

/// The market's inputs to forecasts that are issued at a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MarketStep {
    /// The step.
    pub step: Step,
    /// The inputs.
    pub inputs: MarketInputs,
}

/// One worker's part of the market in one step, on its way to one worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Share {
    /// Where to: a worker's index.
    to: u64,
    /// The pane that the step ends with.
    pane: Pane,
    sum: MarketSum,
}

/// What the market did in each step, on every worker.
///
/// # Errors
/// When the state to go on from was written by something else.
pub fn market<'scope>(
    rows: StreamVec<'scope, Pane, PaneRows>,
    slide: Slide,
    step: Span,
    forget_after: Span,
    keeping: &Keeping,
) -> Result<StreamVec<'scope, Pane, MarketStep>, Unreadable> {
    let shares = returns(rows, slide, forget_after, keeping)?;
    let by_worker = Exchange::new(|share: &Share| share.to);
    // The same on every worker: the first one's is kept, and read by all.
    let mut saving = keeping.saving(Keeper::Market).filter(|_| keeping.worker == 0);
    let mut market: Market = keeping.shared(Keeper::Market)?.unwrap_or_default();
    Ok(shares.unary_frontier::<CapacityContainerBuilder<Vec<MarketStep>>, _, _, _>(
        by_worker,
        "Market",
        move |capability, _| {
            let mut capability = Some(capability);
            let mut pending: BTreeMap<Pane, MarketSum> = BTreeMap::new();
            move |(input, frontier), output| {
                input.for_each_stamp(|_, data| {
                    for batch in data {
                        for share in batch.drain(..) {
                            pending.entry(share.pane).or_default().merge(&share.sum);
                        }
                    }
                });
                let Some(held) = capability.as_mut() else { return };
                let frontier = frontier.frontier().first().copied();
                let mut save = |market: &Market, next: Option<Pane>| {
                    let Some(saving) = &mut saving else { return };
                    if let Some(cut) = saving.due(next, slide) {
                        saving.give(cut, None, vec![(None, encode(market))]);
                    }
                };
                {
                    let mut session = output.session(&*held);
                    while let Some(entry) = pending.first_entry()
                        && frontier.is_none_or(|frontier| *entry.key() < frontier)
                    {
                        let (pane, sum) = entry.remove_entry();
                        save(&market, Some(pane));
                        let step = Step::before(slide.end_of(pane), step);
                        session.give(MarketStep { step, inputs: market.step(step.number(), &sum) });
                    }
                }
                save(&market, frontier);
                match frontier {
                    Some(time) => held.downgrade(&time),
                    None => capability = None,
                }
            }
        },
    ))
}

/// The sums of this worker's symbols, once for every worker. A symbol without a bar for longer than `forget_after` is given up.
fn returns<'scope>(
    rows: StreamVec<'scope, Pane, PaneRows>,
    slide: Slide,
    forget_after: Span,
    keeping: &Keeping,
) -> Result<StreamVec<'scope, Pane, Share>, Unreadable> {
    let (workers, mut saving) = (keeping.workers as u64, keeping.saving(Keeper::Returns));
    let mut state = Returns { slide, symbols: BTreeMap::new(), last_bars: LastSeen::new(forget_after) };
    for (symbol, last, of) in keeping.symbols::<(Symbol, Timestamp, SymbolReturn)>(Keeper::Returns)? {
        state.last_bars.see(&symbol, last);
        state.symbols.insert(symbol, of);
    }
    Ok(rows.unary_frontier::<CapacityContainerBuilder<Vec<Share>>, _, _, _>(
        Pipeline,
        "Returns",
        move |capability, _| {
            let mut capability = Some(capability);
            move |(input, frontier), output| {
                let Some(held) = capability.as_mut() else { return };
                let frontier = frontier.frontier().first().copied();
                {
                    // At the capability that was held before: what comes is of panes from there on.
                    let mut session = output.session(&*held);
                    input.for_each_stamp(|_, data| {
                        for batch in data {
                            for rows in batch.drain(..) {
                                state.save(saving.as_mut(), Some(rows.pane));
                                let pane = rows.pane;
                                if let Some(sum) = state.add(&rows) {
                                    session.give_iterator((0..workers).map(|to| Share { to, pane, sum }));
                                }
                            }
                        }
                    });
                }
                state.save(saving.as_mut(), frontier);
                match frontier {
                    Some(time) => held.downgrade(&time),
                    None => capability = None,
                }
            }
        },
    ))
}

/// What a worker's symbols did.
struct Returns {
    slide: Slide,
    symbols: BTreeMap<Symbol, SymbolReturn>,
    last_bars: LastSeen<Symbol>,
}

impl Returns {
    /// Adds up the returns of a pane that ends a step; none of any other.
    fn add(&mut self, rows: &PaneRows) -> Option<MarketSum> {
        let mut sum = None;
        let end = self.slide.end_of(rows.pane);
        while let Some(symbol) = self.last_bars.take_forgotten(end) {
            self.symbols.remove(&symbol);
        }
        for (symbol, bar) in rows.bars() {
            self.last_bars.see(symbol, end);
            if !self.symbols.contains_key(symbol) {
                self.symbols.insert(symbol.clone(), SymbolReturn::default());
            }
            let scaled_return = self.symbols.get_mut(symbol).map(|symbol| symbol.step(bar));
            scaled_return.into_iter().for_each(|of| sum.get_or_insert_with(MarketSum::default).add(of));
        }
        sum
    }

    /// Gives the state where a cut is wanted and `next` is the first pane that is not in it.
    fn save(&self, saving: Option<&mut Saving>, next: Option<Pane>) {
        let Some(saving) = saving else { return };
        let Some(cut) = saving.due(next, self.slide) else { return };
        let last: HashMap<&Symbol, Timestamp> = self.last_bars.iter().collect();
        let state = |(symbol, of)| Some((symbol, (symbol, *last.get(symbol)?, of)));
        saving.give(cut, None, encode_parts(self.symbols.iter().filter_map(state)));
    }
}
