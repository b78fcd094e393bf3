//! Rows to the market's inputs: what all symbols did in a step, the same on every worker.
//!
//! ```text
//!   rows ──Pipeline──> [returns] ── sums ══(a copy to every worker)══> [market] ── inputs by step ──> learn
//! ```
//!
//! Each worker adds up the returns of its own symbols and sends the sum of a step to all workers. When the frontier has
//! passed the step's pane, all sums are there; they are integers, so each worker gets the same total, and makes the same
//! inputs of it. A step without a bar of any symbol has no inputs.

use super::support::last_seen::LastSeen;
use super::windows::PaneRows;
use crate::features::{Market, MarketInputs, MarketSum, SymbolReturn};
use crate::market::{Pane, Slide, Span, Step, Symbol};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::operator::Operator;
use timely::dataflow::operators::vec::Map;

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
#[must_use]
pub fn market(
    rows: StreamVec<'_, Pane, PaneRows>,
    slide: Slide,
    step: Span,
    forget_after: Span,
    workers: usize,
) -> StreamVec<'_, Pane, MarketStep> {
    let shares = returns(rows, slide, forget_after, workers);
    let by_worker = Exchange::new(|share: &Share| share.to);
    shares.unary_frontier::<CapacityContainerBuilder<Vec<MarketStep>>, _, _, _>(
        by_worker,
        "Market",
        move |capability, _| {
            let mut capability = Some(capability);
            let mut market = Market::default();
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
                {
                    let mut session = output.session(&*held);
                    while let Some(entry) = pending.first_entry()
                        && frontier.is_none_or(|frontier| *entry.key() < frontier)
                    {
                        let (pane, sum) = entry.remove_entry();
                        let step = Step::before(slide.end_of(pane), step);
                        session.give(MarketStep { step, inputs: market.step(step.number(), &sum) });
                    }
                }
                match frontier {
                    Some(time) => held.downgrade(&time),
                    None => capability = None,
                }
            }
        },
    )
}

/// The sums of this worker's symbols, once for every worker. A symbol without a bar for longer than `forget_after` is given up.
fn returns(
    rows: StreamVec<'_, Pane, PaneRows>,
    slide: Slide,
    forget_after: Span,
    workers: usize,
) -> StreamVec<'_, Pane, Share> {
    let mut symbols: HashMap<Symbol, SymbolReturn> = HashMap::new();
    let mut last_bars = LastSeen::new(forget_after);
    rows.flat_map(move |rows| {
        let mut sum = None;
        let end = slide.end_of(rows.pane);
        while let Some(symbol) = last_bars.take_forgotten(end) {
            symbols.remove(&symbol);
        }
        for (symbol, bar) in rows.bars() {
            last_bars.see(symbol, end);
            if !symbols.contains_key(symbol) {
                symbols.insert(symbol.clone(), SymbolReturn::default());
            }
            let scaled_return = symbols.get_mut(symbol).map(|symbol| symbol.step(bar));
            scaled_return.into_iter().for_each(|of| sum.get_or_insert_with(MarketSum::default).add(of));
        }
        let copies = if sum.is_some() { workers as u64 } else { 0 };
        let (pane, sum) = (rows.pane, sum.unwrap_or_default());
        (0..copies).map(move |to| Share { to, pane, sum })
    })
}
