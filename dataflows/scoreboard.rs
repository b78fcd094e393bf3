//! The scoreboard of a run: forecasts against what came, per symbol and horizon, kept by differential dataflow.
//!
//! ```text
//!   scores ──[tally: one difference per symbol, horizon and hour]──> count_total ──> board of this worker
//! ```
//!
//! A symbol that has had no score for as long as it takes to be given up (`source.forget_after`) leaves the board, by the opposite
//! difference. Scores enter as differences: sums are the *difference type* of the collection, so differential adds them up, and a
//! correction of a score would be a negative one. Sums are integers of 1e-15, so any order of adding gives the same bits.

use crate::market::forecast::{EXPERT_NAMES, EXPERTS};
use crate::market::{Pane, Score, Slide, Span, Symbol, Timestamp};
use crate::operators::learn::Verdict;
use crate::operators::support::keeping::Keeping;
use crate::operators::support::last_seen::LastSeen;
use crate::recovery::cuts::Saving;
use crate::recovery::manifest::Keeper;
use crate::recovery::restored::{Unreadable, encode_parts};
use differential_dataflow::AsCollection;
use differential_dataflow::difference::{IsZero, Monoid, Semigroup};
use differential_dataflow::operators::CountTotal;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::operator::Operator;

/// How forecasts of one symbol and horizon fared over the whole run.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct ScoreSummary {
    /// Scores that are not void.
    pub count: u64,
    /// Mean absolute error over that of repeating the last price.
    pub mae_ratio: Option<f64>,
    /// Share of outcomes inside of the interval.
    pub coverage: Option<f64>,
    /// Mean pinball loss over that of EWMA-volatility Gaussian quantiles.
    pub pinball_ratio: Option<f64>,
    /// The same of each expert's own quantiles, of those that took part.
    pub experts: BTreeMap<&'static str, f64>,
}

/// Sums over scores that are not void; errors in units of 1e-15 of the price's unit, so that prices of
/// 1e-5 have digits enough.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ScoreSums {
    count: i64,
    covered: i64,
    error: i128,
    naive_error: i128,
    pinball: i128,
    naive_pinball: i128,
    /// Pinball of the experts, by [`EXPERT_NAMES`], and in how many scores each took part.
    experts: [(i128, i64); EXPERTS],
}

impl ScoreSums {
    fn of(score: &Score) -> Option<Self> {
        let units = |value: f64| (value * 1e15) as i128;
        score.outcome.as_ref().map(|o| Self {
            count: 1,
            covered: i64::from(o.covered),
            error: units(o.error.abs()),
            naive_error: units(o.naive_error.abs()),
            pinball: units(o.pinball),
            naive_pinball: units(o.naive_pinball),
            experts: o.experts.map(|pinball| pinball.map_or((0, 0), |pinball| (units(pinball), 1))),
        })
    }

    /// The ratios.
    #[must_use]
    pub fn summary(&self) -> ScoreSummary {
        let ratio = |a: i128, b: i128| (b > 0).then(|| a as f64 / b as f64);
        ScoreSummary {
            count: self.count.unsigned_abs(),
            mae_ratio: ratio(self.error, self.naive_error),
            coverage: ratio(i128::from(self.covered), i128::from(self.count)),
            pinball_ratio: ratio(self.pinball, self.naive_pinball),
            experts: EXPERT_NAMES
                .into_iter()
                .zip(self.experts)
                .filter(|(_, (_, count))| *count > 0)
                .filter_map(|(name, (pinball, _))| Some((name, ratio(pinball, self.naive_pinball)?)))
                .collect(),
        }
    }
}

impl std::ops::Neg for ScoreSums {
    type Output = Self;

    fn neg(self) -> Self {
        Self {
            count: -self.count,
            covered: -self.covered,
            error: -self.error,
            naive_error: -self.naive_error,
            pinball: -self.pinball,
            naive_pinball: -self.naive_pinball,
            experts: self.experts.map(|(sum, count)| (-sum, -count)),
        }
    }
}

impl IsZero for ScoreSums {
    fn is_zero(&self) -> bool {
        *self == Self::default()
    }
}

impl Semigroup for ScoreSums {
    fn plus_equals(&mut self, more: &Self) {
        self.count += more.count;
        self.covered += more.covered;
        self.error = self.error.saturating_add(more.error);
        self.naive_error = self.naive_error.saturating_add(more.naive_error);
        self.pinball = self.pinball.saturating_add(more.pinball);
        self.naive_pinball = self.naive_pinball.saturating_add(more.naive_pinball);
        for ((sum, count), more) in self.experts.iter_mut().zip(more.experts) {
            *sum = sum.saturating_add(more.0);
            *count += more.1;
        }
    }
}

impl Monoid for ScoreSums {
    fn zero() -> Self {
        Self::default()
    }
}

/// Of which symbol, and how far ahead.
type Key = (Symbol, Span);

/// Sums per symbol and horizon.
pub type Scoreboard = BTreeMap<Key, ScoreSums>;

/// The boards of all workers together.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Total {
    sums: Scoreboard,
    last: BTreeMap<Key, Timestamp>,
}

impl Total {
    /// Adds those of other workers.
    pub fn add(&mut self, other: Self) {
        for (key, sums) in other.sums {
            self.sums.entry(key).or_default().plus_equals(&sums);
        }
        self.last.extend(other.last);
    }

    /// What is on the board when the last score of all is there: which worker had a symbol makes no difference.
    #[must_use]
    pub fn board(&self, forget_after: Span) -> Scoreboard {
        let horizon = self.last.values().max().map(|last| last.minus(forget_after));
        let stays = |key: &Key| self.last.get(key).copied() >= horizon;
        self.sums.iter().filter(|(key, _)| stays(key)).map(|(key, sums)| (key.clone(), *sums)).collect()
    }
}

/// Panes between two updates of the board.
const PANES_PER_TALLY: u64 = 720;

/// One worker's part of the scoreboard.
#[derive(Clone)]
pub struct Boards {
    /// As differential has it.
    counted: Rc<RefCell<Scoreboard>>,
    /// Not yet handed to differential.
    tallied: Rc<RefCell<Scoreboard>>,
    /// When each had its last score.
    last: Rc<RefCell<LastSeen<Key>>>,
}

impl Boards {
    /// An empty one, that forgets who has no score for longer than `forget_after`.
    #[must_use]
    pub fn new(forget_after: Span) -> Self {
        let last = Rc::new(RefCell::new(LastSeen::new(forget_after)));
        Self { counted: Rc::default(), tallied: Rc::default(), last }
    }

    /// Adds this worker's sums to `total`.
    pub fn add_to(&self, total: &mut Total) {
        for board in [&self.counted, &self.tallied] {
            for (key, sums) in board.borrow().iter() {
                total.sums.entry(key.clone()).or_default().plus_equals(sums);
            }
        }
        total.last.extend(self.last.borrow().iter().map(|(key, last)| (key.clone(), last)));
    }
}

/// Keeps this worker's part of the scoreboard up to date in `boards`.
///
/// # Errors
/// When the state to go on from was written by something else.
pub fn scoreboard(
    verdicts: StreamVec<'_, Pane, (Pane, Verdict)>,
    boards: &Boards,
    slide: Slide,
    keeping: &Keeping,
) -> Result<(), Unreadable> {
    let board = Rc::clone(&boards.counted);
    for (symbol, horizon, sums, last) in keeping.symbols::<(Symbol, Span, ScoreSums, Timestamp)>(Keeper::Scores)? {
        let key = (symbol, horizon);
        boards.last.borrow_mut().see(&key, last);
        // Differential is told of them with the next that come.
        boards.tallied.borrow_mut().insert(key, sums);
    }
    let saving = keeping.saving(Keeper::Scores);
    tally(verdicts, boards.clone(), slide, saving).as_collection().count_total_core::<isize>().inspect(
        move |((key, sums), _, diff)| {
            let mut board = board.borrow_mut();
            if *diff > 0 {
                board.insert(key.clone(), *sums);
            } else if board.get(key) == Some(sums) {
                board.remove(key);
            }
        },
    );
    Ok(())
}

type Difference = (Key, Pane, ScoreSums);

/// Adds up scores for some panes before differential sees them: it does much for each time that it meets.
fn tally(
    verdicts: StreamVec<'_, Pane, (Pane, Verdict)>,
    boards: Boards,
    slide: Slide,
    mut saving: Option<Saving>,
) -> StreamVec<'_, Pane, Difference> {
    verdicts.unary_frontier::<CapacityContainerBuilder<Vec<Difference>>, _, _, _>(
        Pipeline,
        "Tally",
        move |capability, _| {
            let mut capability = Some(capability);
            // As differential was told.
            let mut told = Scoreboard::new();
            let mut gone: Vec<(Key, ScoreSums)> = Vec::new();
            move |(input, frontier), output| {
                let mut sums = boards.tallied.borrow_mut();
                let mut last = boards.last.borrow_mut();
                // Verdicts come in the order of panes: all before `next` are added up.
                let mut save = |told: &Scoreboard, tallied: &Scoreboard, last: &LastSeen<Key>, next: Option<Pane>| {
                    let Some(saving) = &mut saving else { return };
                    if let Some(cut) = saving.due(next, slide) {
                        saving.give(cut, None, sums_of(told, tallied, last));
                    }
                };
                input.for_each_stamp(|_, data| {
                    for (pane, verdict) in data.flat_map(std::mem::take) {
                        save(&told, &sums, &last, Some(pane));
                        if let Verdict::Score(score) = verdict
                            && let Some(more) = ScoreSums::of(&score)
                        {
                            while let Some(key) = last.take_forgotten(score.target_at) {
                                sums.remove(&key);
                                boards.counted.borrow_mut().remove(&key);
                                gone.extend(told.remove(&key).map(|sums| (key, -sums)));
                            }
                            last.see(&(score.symbol.clone(), score.horizon), score.target_at);
                            sums.entry((score.symbol, score.horizon)).or_default().plus_equals(&more);
                        }
                    }
                });
                let Some(held) = capability.as_mut() else { return };
                let frontier = frontier.frontier().first().copied();
                save(&told, &sums, &last, frontier);
                let time = *held.time();
                if frontier.is_none_or(|frontier| frontier >= time.plus(PANES_PER_TALLY)) {
                    let new = std::mem::take(&mut *sums);
                    for (key, sums) in &new {
                        told.entry(key.clone()).or_default().plus_equals(sums);
                    }
                    let entries = gone.drain(..).chain(new);
                    output.session(&*held).give_iterator(entries.map(|(key, sums)| (key, time, sums)));
                    match frontier {
                        Some(frontier) => held.downgrade(&frontier),
                        None => capability = None,
                    }
                }
            }
        },
    )
}

/// All sums, whether or not differential was told, for a checkpoint.
fn sums_of(told: &Scoreboard, tallied: &Scoreboard, last: &LastSeen<Key>) -> Vec<(Option<u32>, Vec<u8>)> {
    let state = |((symbol, horizon), at): (&Key, Timestamp)| {
        let key = (symbol.clone(), *horizon);
        let mut sums = told.get(&key).copied().unwrap_or_default();
        tallied.get(&key).into_iter().for_each(|more| sums.plus_equals(more));
        (key.0, key.1, sums, at)
    };
    let states: Vec<(Symbol, Span, ScoreSums, Timestamp)> = last.iter().map(state).collect();
    encode_parts(states.iter().map(|state| (&state.0, state)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::{Fixed, ScoreOutcome, Timestamp};

    #[test]
    fn an_expert_without_any_loss_took_part_all_the_same() {
        let mut experts = [None; EXPERTS];
        (experts[0], experts[1]) = (Some(0.0), Some(2e-9));
        let outcome = ScoreOutcome {
            actual_price: Fixed::from_raw(1000),
            error: 1e-9,
            naive_error: 2e-9,
            covered: true,
            pinball: 1e-9,
            naive_pinball: 4e-9,
            experts,
        };
        let score = Score {
            job: "test".into(),
            symbol: Symbol::new("TINY").unwrap(),
            horizon: Span::from_millis(60_000),
            target_at: Timestamp::from_millis(0),
            outcome: Some(outcome),
        };
        let mut sums = ScoreSums::of(&score).unwrap();
        sums.plus_equals(&sums.clone());
        let summary = sums.summary();
        assert_eq!((summary.count, summary.mae_ratio, summary.pinball_ratio), (2, Some(0.5), Some(0.25)));
        assert_eq!(summary.experts, BTreeMap::from([(EXPERT_NAMES[0], 0.0), (EXPERT_NAMES[1], 0.5)]));
    }
}
