//! Which steps are due, their rows, and which symbols are given up: the order of work that `learn` and `seed` share.

use super::last_seen::LastSeen;
use crate::market::{FeatureRow, Pane, Slide, Span, Step, Symbol, Timestamp};
use crate::operators::windows::PaneRows;
use crate::recovery::cuts::Saving;
use std::collections::BTreeMap;

/// Rows that wait for the end of their step, and the step that is next.
#[derive(Debug)]
pub struct Stepper {
    slide: Slide,
    /// Length of a step.
    length: Span,
    /// Rows at the ends of steps that are not worked off.
    pending: BTreeMap<Step, Vec<FeatureRow>>,
    next: Step,
    /// The last pane that held a tick of any symbol.
    last_pane: Pane,
    /// The ends of the symbols' last bars.
    last_bars: LastSeen<Symbol>,
    /// Whether a forecaster waits for a step, with a row or without. To be told after each step.
    pub awake: bool,
}

impl Stepper {
    /// Before the first row. A step of `length` is a whole number of panes; a symbol without a bar for longer than
    /// `forget_after` is given up.
    #[must_use]
    pub fn new(slide: Slide, length: Span, forget_after: Span) -> Self {
        debug_assert!(length.in_units_of(slide.span()).is_some(), "{length} is no multiple of {}", slide.span());
        let (pending, last_bars) = (BTreeMap::new(), LastSeen::new(forget_after));
        Self { slide, length, pending, next: Step::default(), last_pane: Pane::default(), last_bars, awake: false }
    }

    /// Keeps the rows of a pane that ends a step; of any other, that it was there.
    pub fn stash(&mut self, rows: PaneRows) {
        self.last_pane = self.last_pane.max(rows.pane);
        if let Some(step) = Step::ending_at(self.slide.end_of(rows.pane), self.length) {
            self.pending.insert(step, rows.into_rows().collect());
        }
    }

    /// The step that is worked off next.
    #[must_use]
    pub fn next(&self) -> Step {
        self.next
    }

    /// The end of a step.
    #[must_use]
    pub fn end_of(&self, step: Step) -> Timestamp {
        step.end(self.length)
    }

    /// The pane that the next step ends with.
    #[must_use]
    pub fn next_pane(&self) -> Pane {
        self.slide.pane_ending_at(self.end_of(self.next)).unwrap_or_default()
    }

    /// The last pane that held a tick of any symbol.
    #[must_use]
    pub fn last_pane(&self) -> Pane {
        self.last_pane
    }

    /// The last step that is complete when all panes up to `closed` are.
    #[must_use]
    pub fn last_complete(&self, closed: Pane) -> Step {
        Step::before(self.slide.end_of(closed), self.length)
    }

    /// Goes to the next step up to `last` that has something to do. False when there is none.
    pub fn seek(&mut self, last: Step) -> bool {
        if !self.awake {
            // Nobody waits for a step without rows: on to the next that has some.
            let first = self.pending.first_key_value().map_or(last.following(), |(step, _)| *step);
            self.next = self.next.max(first.min(last.following()));
        }
        self.next <= last
    }

    /// Takes a symbol that is to be given up at `now`. It has no row, and waits for no score.
    pub fn take_forgotten(&mut self, now: Timestamp) -> Option<Symbol> {
        self.last_bars.take_forgotten(now)
    }

    /// Takes the rows of the next step, ordered by symbol. Whoever is to be given up by its end has to be taken before.
    pub fn take_rows(&mut self) -> Vec<FeatureRow> {
        let rows = self.pending.remove(&self.next).unwrap_or_default();
        let at = self.end_of(self.next);
        for row in rows.iter().filter(|row| row.bar.is_some()) {
            self.last_bars.see(&row.symbol, at);
        }
        rows
    }

    /// The next step is worked off.
    pub fn advance(&mut self) {
        self.next = self.next.following();
    }

    /// When a symbol had its last bar; never, where it had none.
    pub fn last_bars(&self) -> impl Iterator<Item = (&Symbol, Timestamp)> {
        self.last_bars.iter()
    }

    /// All steps that end by `cut` are worked off; `last_pane` held a tick, as any of the workers has seen.
    pub fn restore(&mut self, cut: Timestamp, last_pane: Pane) {
        self.next = Step::before(cut, self.length).following();
        self.last_pane = self.last_pane.max(last_pane);
    }

    /// Goes on with a symbol that had its last bar then.
    pub fn see(&mut self, symbol: &Symbol, last_bar: Option<Timestamp>) {
        last_bar.into_iter().for_each(|at| self.last_bars.see(symbol, at));
    }

    /// The cut that is wanted, where all steps that end by then are worked off: the next one ends after it, or (`passed`, none
    /// where nothing comes any more) the inputs have passed it and there is nothing left to do.
    #[must_use]
    pub fn due(&self, saving: &Saving, passed: Option<Option<Pane>>) -> Option<Timestamp> {
        match passed {
            None => saving.open().filter(|cut| self.end_of(self.next) > *cut),
            Some(frontier) => saving.due(frontier, self.slide),
        }
    }

    /// Puts rows at a step.
    #[cfg(test)]
    pub fn insert(&mut self, step: Step, rows: Vec<FeatureRow>) {
        self.pending.insert(step, rows);
    }
}
