//! Parts of panes to rows of sliding windows, on the worker that owns the symbol.
//!
//! ```text
//!   parts ──Exchange(symbol)──> [windows] ──> rows of one pane after the other
//! ```
//!
//! A pane is taken when the frontier has passed it: then all parts are there. Each symbol with a tick in its longest
//! window has a row at the end of each pane, so a symbol costs per pane also when it is quiet, for as long as that window
//! reaches; when no window of it holds a tick, it is as if it had never been, and its place is free. A long jump of the
//! frontier is worked off in slices, so that what stands behind gets its turn.

use super::panes::PanePart;
use super::panes::part::Part;
use super::support::keeping::Keeping;
use super::support::repeats::Repeat;
use super::support::sliding::SlidingWindow;
use super::support::stats::{Stats, TakenBack};
use crate::market::{FeatureRow, Fixed, Ohlcv, Pane, Slide, Span, Symbol, Timestamp};
use crate::recovery::cuts::Saving;
use crate::recovery::manifest::Keeper;
use crate::recovery::restored::{Unreadable, encode, encode_parts};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::operator::Operator;

/// The most rows issued before what stands behind gets its turn.
const ROWS_PER_ACTIVATION: usize = 8192;

/// The rows of one pane from one worker, ordered by symbol; none where a pane held no tick there, but one elsewhere.
///
/// All their windows lie in one piece of memory: most rows are counted, passed on or dropped as a pane, so that they are
/// taken apart only where one is wanted by itself.
#[derive(Clone, Debug)]
pub struct PaneRows {
    /// Which pane.
    pub pane: Pane,
    /// Its end, exclusive.
    end: Timestamp,
    /// Whose rows, and their last prices; ordered by symbol.
    heads: Vec<(Symbol, Fixed)>,
    /// Row by row, the configured windows.
    windows: Vec<Option<Ohlcv>>,
    /// The model's bars, row by row, at the end of a step; else none at all.
    bars: Vec<Option<Ohlcv>>,
}

impl PaneRows {
    /// How many rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.heads.len()
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// The model's bars, at the end of a step: whose, and which; of symbols with a tick in it.
    pub fn bars(&self) -> impl Iterator<Item = (&Symbol, &Ohlcv)> {
        self.heads.iter().zip(&self.bars).filter_map(|((symbol, _), bar)| bar.as_ref().map(|bar| (symbol, bar)))
    }

    /// The rows one by one.
    pub fn into_rows(self) -> impl Iterator<Item = FeatureRow> {
        let Self { end, heads, windows, bars, .. } = self;
        let shown = windows.len() / heads.len().max(1);
        heads.into_iter().enumerate().map(move |(row, (symbol, last_price))| {
            let windows = windows[row * shown..][..shown].into();
            FeatureRow { symbol, end, windows, bar: bars.get(row).copied().flatten(), last_price }
        })
    }
}

/// Which windows there are.
#[derive(Clone, Debug)]
pub struct WindowsConfig {
    /// Length of a pane.
    pub slide: Slide,
    /// Sliding windows, multiples of slide.
    pub windows: Vec<Span>,
    /// The model's step: its window is kept whether or not it is among `windows`, and is in the rows at the end of steps.
    /// None where no model runs.
    pub step: Option<Span>,
}

/// Slides the windows over the panes. Records that turn out to repeat another partition's are counted so.
///
/// # Errors
/// When the state to go on from was written by something else.
pub fn windows<'scope>(
    parts: StreamVec<'scope, Pane, PanePart>,
    config: WindowsConfig,
    stats: Arc<Stats>,
    keeping: &Keeping,
) -> Result<StreamVec<'scope, Pane, PaneRows>, Unreadable> {
    let exchange = Exchange::new(|part: &PanePart| part.route);
    let scope = parts.scope();
    let mut saving = keeping.saving(Keeper::Windows);
    let mut state = WindowsState::new(config);
    state.restore(keeping, &stats)?;
    Ok(parts.unary_frontier::<CapacityContainerBuilder<Vec<PaneRows>>, _, _, _>(
        exchange,
        "Windows",
        move |capability, info| {
            let activator = scope.activator_for(info.address);
            let mut capability = Some(capability);
            move |(input, frontier), output| {
                input.for_each_stamp(|_, data| {
                    for batch in data {
                        for part in batch.drain(..) {
                            state.stash(part);
                        }
                    }
                });
                let Some(held) = capability.as_mut() else { return };
                let frontier = frontier.frontier().first().copied();
                let done = {
                    let mut session = output.session(&*held);
                    state.advance(frontier, saving.as_mut(), &stats, |rows| {
                        stats.add_rows(rows.len() as u64);
                        session.give(rows);
                    })
                };
                state.take_back(&stats);
                match (done, frontier) {
                    (true, None) => capability = None,
                    (true, Some(time)) => held.downgrade(&time),
                    (false, _) => {
                        held.downgrade(&state.next.max(*held.time()));
                        activator.activate();
                    }
                }
            }
        },
    ))
}

/// All windows of one symbol.
struct SymbolWindows {
    symbol: Symbol,
    /// The configured ones in their order, then the model's bar where it is not among them.
    windows: Vec<SlidingWindow>,
    /// What the pane at hand brought.
    fresh: Option<Part>,
}

impl SymbolWindows {
    fn is_empty(&self) -> bool {
        self.windows.iter().all(SlidingWindow::is_empty)
    }
}

struct WindowsState {
    config: WindowsConfig,
    /// Place of the longest window, whose ticks make a row.
    longest: usize,
    /// Place of the model's bar.
    bar: Option<usize>,
    /// Windows that rows show.
    shown: usize,
    sizes: Vec<u64>,
    symbols: Vec<SymbolWindows>,
    /// Places in `symbols` that are free.
    free: Vec<usize>,
    by_name: HashMap<Symbol, usize>,
    /// Places in `symbols`, ordered by symbol.
    order: Vec<usize>,
    pending: BTreeMap<Pane, Vec<(Symbol, Part)>>,
    /// Records found to repeat what others have said, not counted so far.
    repeats: Vec<Repeat>,
    /// The first pane that has not been worked off.
    next: Pane,
    /// Whether any window may hold a tick.
    awake: bool,
    /// Rows so far.
    rows: u64,
    /// Records that were counted as used and turned out to be repeats.
    taken_back: TakenBack,
}

/// What a worker's windows have counted, for a checkpoint.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Counted {
    rows: u64,
    /// Sources count it by their partitions.
    pub taken_back: TakenBack,
}

impl WindowsState {
    fn new(config: WindowsConfig) -> Self {
        let mut spans = config.windows.clone();
        let bar = config.step.map(|step| {
            spans.iter().position(|w| *w == step).unwrap_or_else(|| {
                spans.push(step);
                spans.len() - 1
            })
        });
        let shown = config.windows.len();
        let longest = (0..shown).max_by_key(|&i| spans[i]).unwrap_or(0);
        let sizes = spans.iter().map(|span| config.slide.panes_in(*span)).collect();
        Self {
            config,
            longest,
            bar,
            shown,
            sizes,
            symbols: Vec::new(),
            free: Vec::new(),
            by_name: HashMap::new(),
            order: Vec::new(),
            pending: BTreeMap::new(),
            repeats: Vec::new(),
            next: Pane::default(),
            awake: false,
            rows: 0,
            taken_back: TakenBack::new(),
        }
    }

    /// Goes on from a checkpoint's state, where there is one.
    fn restore(&mut self, keeping: &Keeping, stats: &Stats) -> Result<(), Unreadable> {
        let Some(cut) = keeping.restored_cut() else { return Ok(()) };
        self.next = self.config.slide.pane_of(cut);
        for (symbol, windows) in keeping.symbols::<(Symbol, Vec<SlidingWindow>)>(Keeper::Windows)? {
            let at = self.add(symbol);
            self.symbols[at].windows = windows;
        }
        self.awake = !self.order.is_empty();
        for Counted { rows, taken_back } in keeping.of_all::<Counted>(Keeper::Windows)? {
            self.rows += rows;
            for (of, count) in taken_back {
                *self.taken_back.entry(of).or_default() += count;
            }
        }
        stats.add_rows(self.rows);
        Ok(())
    }

    fn take_back(&mut self, stats: &Stats) {
        stats.take_back(&mut self.repeats, &mut self.taken_back);
    }

    /// Gives the state where a cut is wanted and everything before it was worked off: `next` is the first pane that was not.
    fn save(&mut self, saving: Option<&mut Saving>, stats: &Stats) {
        let Some(saving) = saving else { return };
        let Some(cut) = saving.due(Some(self.next), self.config.slide) else { return };
        self.take_back(stats);
        let symbols = self.order.iter().map(|&at| &self.symbols[at]);
        let mut states = encode_parts(symbols.map(|of| (&of.symbol, (&of.symbol, &of.windows))));
        states.push((None, encode(&Counted { rows: self.rows, taken_back: self.taken_back.clone() })));
        saving.give(cut, None, states);
    }

    fn stash(&mut self, part: PanePart) {
        debug_assert!(part.pane >= self.next, "a part came after its pane was closed");
        self.pending.entry(part.pane).or_default().extend(part.part);
    }

    /// Works off the panes before `frontier`, or up to the last one that held a tick where the input has ended. False when
    /// there is more to do.
    fn advance(
        &mut self,
        frontier: Option<Pane>,
        mut saving: Option<&mut Saving>,
        stats: &Stats,
        mut emit: impl FnMut(PaneRows),
    ) -> bool {
        let end = match (frontier, self.pending.last_key_value()) {
            (Some(frontier), _) => frontier,
            (None, Some((&last, _))) => last.following(),
            (None, None) => return true,
        };
        let mut rows = 0;
        while self.next < end {
            if rows >= ROWS_PER_ACTIVATION {
                return false;
            }
            if !self.awake {
                // Nothing to slide: on to the next pane that holds a tick.
                let first = self.pending.first_key_value().map_or(end, |(&pane, _)| pane.min(end));
                self.next = self.next.max(first);
                if self.next >= end {
                    break;
                }
            }
            self.save(saving.as_deref_mut(), stats);
            let pane = self.next;
            self.next = pane.following();
            let held_a_tick = self.open(pane);
            let pane_rows = self.slide(pane);
            self.rows += pane_rows.len() as u64;
            rows += pane_rows.len().max(1);
            if held_a_tick || !pane_rows.is_empty() {
                emit(pane_rows);
            }
        }
        self.save(saving, stats);
        true
    }

    /// Merges the parts of a pane. False when no worker had a tick in it.
    fn open(&mut self, pane: Pane) -> bool {
        let Some(parts) = self.pending.remove(&pane) else { return false };
        for (symbol, part) in parts {
            let at = match self.by_name.get(&symbol) {
                Some(&at) => at,
                None => self.add(symbol),
            };
            match &mut self.symbols[at].fresh {
                Some(fresh) => fresh.merge(part),
                none => *none = Some(part),
            }
            self.awake = true;
        }
        true
    }

    fn add(&mut self, symbol: Symbol) -> usize {
        let at = self.free.pop().unwrap_or(self.symbols.len());
        let place = self.order.partition_point(|&i| self.symbols[i].symbol < symbol);
        self.order.insert(place, at);
        self.by_name.insert(symbol.clone(), at);
        let windows = self.sizes.iter().map(|&size| SlidingWindow::new(size)).collect();
        let state = SymbolWindows { symbol, windows, fresh: None };
        match self.symbols.get_mut(at) {
            Some(free) => *free = state,
            None => self.symbols.push(state),
        }
        at
    }

    fn slide(&mut self, pane: Pane) -> PaneRows {
        let end = self.config.slide.end_of(pane);
        let step_ends = self.config.step.is_some_and(|step| end.millis() % step.millis() == 0);
        let most = self.order.len();
        let mut rows = PaneRows {
            pane,
            end,
            heads: Vec::with_capacity(most),
            windows: Vec::with_capacity(most * self.shown),
            bars: Vec::with_capacity(if step_ends { most } else { 0 }),
        };
        let mut emptied = false;
        for &at in &self.order {
            let state = &mut self.symbols[at];
            for window in &mut state.windows {
                window.evict(pane);
            }
            if let Some(fresh) = state.fresh.take().and_then(|part| part.finish(&mut self.repeats)) {
                for window in &mut state.windows {
                    window.push(pane, &fresh.bar);
                }
            }
            emptied |= state.is_empty();
            let Some(longest) = state.windows[self.longest].value() else { continue };
            rows.heads.push((state.symbol.clone(), longest.close));
            for (i, window) in state.windows[..self.shown].iter().enumerate() {
                rows.windows.push(if i == self.longest { Some(longest) } else { window.value() });
            }
            if step_ends {
                rows.bars.push(self.bar.and_then(|i| state.windows[i].value()));
            }
        }
        if emptied {
            self.remove_empty();
        }
        self.awake = !self.order.is_empty();
        rows
    }

    #[cold]
    fn remove_empty(&mut self) {
        let Self { symbols, order, by_name, free, .. } = self;
        order.retain(|&at| {
            let state = &mut symbols[at];
            let stays = !state.is_empty();
            if !stays {
                by_name.remove(&state.symbol);
                state.windows.clear();
                free.push(at);
            }
            stays
        });
    }
}

#[cfg(test)]
mod tests;
