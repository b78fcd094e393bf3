//! Ticks to partial bars, per worker: the hot path, where ticks stop.
//!
//! ```text
//!   ticks ──Pipeline──> [panes] ── (symbol, pane) parts ──Exchange(symbol)──> windows
//!                          └────── one mark per pane to every worker ───────────┘
//! ```
//!
//! Parts leave when the frontier has passed their pane, so each worker sends at most one part per symbol and pane: one hot
//! symbol scales with its partitions, and the exchange carries panes, not ticks: but for the trades that another partition may
//! have as well, which go along with their sum ([`part`]), in one process as a pointer to their list. The marks tell every worker which panes
//! held a tick of any symbol: rows are issued up to the last of them when the input ends.

pub mod part;

use super::support::repeats::Share;
use crate::market::{Fixed, Ohlcv, Order, Pane, Side, Slide, Span, Symbol, SymbolId, SymbolTable, TradeId};
use part::Part;
use serde::{Deserialize, Serialize};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::operator::Operator;

/// A tick (or candle) that is neither late nor quarantined, on its worker.
#[derive(Clone, Debug)]
pub struct Tick {
    /// Of which symbol, by its number on this worker.
    pub symbol: SymbolId,
    /// Where it stands.
    pub order: Order,
    /// The price.
    pub price: Fixed,
    /// The size.
    pub size: Fixed,
    /// Who took it, where the record says.
    pub side: Option<Side>,
    /// Of what it is a share, should it turn out to be a repeat.
    pub share: Share,
    /// What it is.
    pub kind: TickKind,
}

/// What a tick is.
#[derive(Clone, Debug)]
pub enum TickKind {
    /// A trade or a price; with its id, where the same may come from another partition once more.
    Trade(Option<TradeId>),
    /// A candle, instead of price, size and side.
    Candle {
        /// Its aggregate.
        bar: Box<Ohlcv>,
        /// How long it is.
        interval: Span,
    },
    /// The bar that stands for it, instead of price, size and side: of a trade whose size is beyond [`Fixed`], or of a candle that
    /// is not known again since there are too many in its pane.
    Bar {
        /// Its aggregate.
        bar: Box<Ohlcv>,
        /// As of a trade.
        id: Option<TradeId>,
    },
}

impl TickKind {
    /// Whether it is held by itself until its pane closes.
    const fn is_held(&self) -> bool {
        matches!(self, Self::Trade(Some(_)) | Self::Bar { id: Some(_), .. } | Self::Candle { .. })
    }
}

/// What goes to the worker that owns a symbol; or a mark, without a part.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PanePart {
    /// Which pane.
    pub pane: Pane,
    /// Where to: a symbol's part, or a worker's index.
    pub route: u64,
    /// The part, or none: a mark that the pane holds a tick.
    pub part: Option<(Symbol, Part)>,
}

/// How many ticks a worker's open panes hold one by one: candles, and trades that may come twice.
#[derive(Clone, Debug, Default)]
pub struct Held(Rc<Cell<usize>>);

/// How many of them the workers of a process may hold before their sources stay close to what is finished: some 25 MB.
const HELD_MAX: usize = 1 << 18;

impl Held {
    /// Whether one of so many workers holds its share.
    #[must_use]
    pub fn is_full(&self, workers: usize) -> bool {
        self.0.get() >= HELD_MAX / workers.max(1)
    }
}

/// Combines ticks to one part per symbol and pane.
#[must_use]
pub fn panes<'scope>(
    ticks: StreamVec<'scope, Pane, Tick>,
    slide: Slide,
    symbols: Rc<RefCell<SymbolTable>>,
    workers: usize,
    held: Held,
) -> StreamVec<'scope, Pane, PanePart> {
    ticks.unary_frontier::<CapacityContainerBuilder<Vec<PanePart>>, _, _, _>(Pipeline, "Panes", move |capability, _| {
        let mut capability = Some(capability);
        let mut open = OpenPanes::new(slide, held);
        move |(input, frontier), output| {
            input.for_each_stamp(|_, data| {
                for batch in data {
                    for tick in batch.drain(..) {
                        open.add(tick);
                    }
                }
            });
            let frontier = frontier.frontier().first().copied();
            let Some(held) = capability.as_mut() else { return };
            {
                let mut table = symbols.borrow_mut();
                let mut session = output.session(&*held);
                while let Some((pane, mut slots)) = open.pop_before(frontier) {
                    for worker in 0..workers as u64 {
                        session.give(PanePart { pane, route: worker, part: None });
                    }
                    for (symbol, part) in slots.parts.drain(..) {
                        slots.index[symbol.0 as usize] = EMPTY;
                        let (name, route) = (table.name(symbol).clone(), u64::from(table.part(symbol)));
                        session.give(PanePart { pane, route, part: Some((name, part)) });
                    }
                    open.give_back(slots);
                }
                table.close_before(frontier.unwrap_or(Pane::LAST));
            }
            open.note();
            match frontier {
                Some(time) => held.downgrade(&time),
                None => capability = None,
            }
        }
    })
}

const EMPTY: u32 = u32::MAX;

/// One pane's parts; `index` finds a symbol's.
#[derive(Debug, Default)]
struct Slots {
    index: Vec<u32>,
    parts: Vec<(SymbolId, Part)>,
    /// Ticks that are held one by one.
    held: usize,
}

impl Slots {
    #[inline]
    fn add(&mut self, tick: Tick) {
        let at = tick.symbol.0 as usize;
        if at >= self.index.len() {
            self.index.resize(at + 1, EMPTY);
        }
        self.held += usize::from(tick.kind.is_held());
        match self.index[at] {
            EMPTY => {
                self.index[at] = self.parts.len() as u32;
                self.parts.push((tick.symbol, Part::of(tick)));
            }
            slot => self.parts[slot as usize].1.add(tick),
        }
    }
}

/// The panes that are not closed yet. The one that the last tick fell into is kept at hand: ticks mostly come in order.
#[derive(Debug)]
struct OpenPanes {
    slide_ms: i64,
    slide: Slide,
    hot: Option<(Pane, i64, Slots)>,
    others: BTreeMap<Pane, Slots>,
    spare: Vec<Slots>,
    held: Held,
}

impl OpenPanes {
    fn new(slide: Slide, held: Held) -> Self {
        Self { slide_ms: slide.span().millis(), slide, hot: None, others: BTreeMap::new(), spare: Vec::new(), held }
    }

    #[inline]
    fn add(&mut self, tick: Tick) {
        let at = tick.order.at.millis();
        match &mut self.hot {
            Some((_, start, slots)) if at >= *start && at < *start + self.slide_ms => slots.add(tick),
            _ => self.add_elsewhere(tick),
        }
    }

    #[cold]
    fn add_elsewhere(&mut self, tick: Tick) {
        let pane = self.slide.pane_of(tick.order.at);
        if let Some((old, _, slots)) = self.hot.take() {
            self.others.insert(old, slots);
        }
        let mut slots = self.others.remove(&pane).or_else(|| self.spare.pop()).unwrap_or_default();
        slots.add(tick);
        self.hot = Some((pane, self.slide.end_of(pane).millis() - self.slide_ms, slots));
    }

    /// How many ticks are held one by one is known to others from now on.
    fn note(&self) {
        let of_others: usize = self.others.values().map(|slots| slots.held).sum();
        self.held.0.set(of_others + self.hot.as_ref().map_or(0, |(.., slots)| slots.held));
    }

    /// A pane's slots, to be used again.
    fn give_back(&mut self, slots: Slots) {
        self.spare.push(Slots { held: 0, ..slots });
    }

    /// The first pane before `frontier` (none: the input has ended), in ascending order.
    fn pop_before(&mut self, frontier: Option<Pane>) -> Option<(Pane, Slots)> {
        let first = self.others.first_key_value().map(|(&pane, _)| pane);
        let hot = self.hot.as_ref().map(|(pane, ..)| *pane);
        let least = match (first, hot) {
            (Some(first), Some(hot)) => first.min(hot),
            (first, hot) => first.or(hot)?,
        };
        if frontier.is_some_and(|frontier| least >= frontier) {
            return None;
        }
        if hot == Some(least) {
            return self.hot.take().map(|(pane, _, slots)| (pane, slots));
        }
        self.others.pop_first()
    }
}
