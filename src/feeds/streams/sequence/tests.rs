use super::*;
use crate::market::Timestamp;
use proptest::prelude::*;

const NOW: Duration = Duration::from_secs(1);

fn trade(id: u64) -> Trade {
    Trade {
        market: 0,
        id,
        at: "1".into(),
        price: "1".into(),
        size: "1".into(),
        side: None,
        parts: None,
        received: Timestamp::default(),
    }
}

struct Run {
    sequence: Sequence,
    out: Vec<Trade>,
}

impl Run {
    fn new(numbering: Numbering, last: Option<u64>) -> Self {
        Self { sequence: Sequence::new(numbering, last), out: Vec::new() }
    }

    fn take(&mut self, id: u64) -> Verdict {
        self.sequence.take(trade(id), NOW, &mut self.out)
    }

    fn ids(&mut self) -> Vec<u64> {
        self.out.drain(..).map(|trade| trade.id).collect()
    }
}

#[test]
fn what_follows_is_published_and_what_came_before_is_a_repeat() {
    let mut run = Run::new(Numbering::Contiguous, None);
    assert_eq!(
        [7, 8, 7, 6, 9].map(|id| run.take(id)),
        [Verdict::Next, Verdict::Next, Verdict::Repeat, Verdict::Repeat, Verdict::Next]
    );
    assert_eq!(run.ids(), [7, 8, 9]);
    let mut resumed = Run::new(Numbering::Contiguous, Some(9));
    assert_eq!([9, 10].map(|id| resumed.take(id)), [Verdict::Repeat, Verdict::Next]);
}

#[test]
fn a_hole_holds_what_lies_behind_it_until_it_is_filled() {
    let mut run = Run::new(Numbering::Contiguous, Some(10));
    assert_eq!([13, 15, 13].map(|id| run.take(id)), [Verdict::Held, Verdict::Held, Verdict::Repeat]);
    assert_eq!(run.sequence.hole(), Some((Hole { first: 11, last: 12 }, NOW)));
    assert_eq!(run.take(12), Verdict::Held);
    assert_eq!(run.take(11), Verdict::Next);
    assert_eq!((run.ids(), run.sequence.held()), (vec![11, 12, 13], 1));
    assert_eq!(run.sequence.hole().unwrap().0, Hole { first: 14, last: 14 });
}

#[test]
fn what_the_venue_does_not_have_is_told_and_passed_over() {
    let mut run = Run::new(Numbering::Contiguous, Some(10));
    assert_eq!([12, 15, 20].map(|id| run.take(id)), [Verdict::Held; 3]);
    assert_eq!(
        run.sequence.covered(13, 14, NOW, &mut run.out),
        [Hole { first: 11, last: 11 }, Hole { first: 13, last: 13 }]
    );
    assert_eq!((run.ids(), run.sequence.last()), (vec![12], Some(13)));
    assert_eq!(run.sequence.give_up(NOW, &mut run.out), Some(Hole { first: 14, last: 14 }));
    assert_eq!(run.ids(), [15]);
    assert_eq!(run.sequence.covered(100, 100, NOW, &mut run.out), [Hole { first: 16, last: 19 }]);
    assert_eq!((run.ids(), run.sequence.give_up(NOW, &mut run.out)), (vec![20], None));
}

const LATER: Duration = Duration::from_millis(1100);

#[test]
fn where_numbers_are_left_out_only_an_interruption_holds() {
    let mut run = Run::new(Numbering::Ascending, None);
    assert_eq!([5, 9, 7, 9].map(|id| run.take(id)), [Verdict::Held, Verdict::Held, Verdict::Held, Verdict::Repeat]);
    run.sequence.settle(NOW, &mut run.out);
    assert!(run.out.is_empty() && run.sequence.hole().is_none(), "they wait a moment for each other");
    run.sequence.settle(LATER, &mut run.out);
    assert_eq!(run.ids(), [5, 7, 9]);
    run.sequence.take(trade(11), LATER, &mut run.out);
    run.sequence.interrupted(&mut run.out);
    assert_eq!(run.ids(), [11], "what came before an interruption is known");
    assert_eq!([20, 25].map(|id| run.take(id)), [Verdict::Held, Verdict::Held]);
    run.sequence.settle(Duration::MAX, &mut run.out);
    assert_eq!(run.sequence.hole().unwrap().0, Hole { first: 12, last: 19 });
    assert_eq!(run.take(12), Verdict::Held);
    assert!(run.sequence.covered(14, 19, NOW, &mut run.out).is_empty());
    assert_eq!((run.ids(), run.sequence.hole().unwrap().0), (vec![12], Hole { first: 13, last: 19 }));
    assert!(run.sequence.covered(19, 19, NOW, &mut run.out).is_empty());
    assert_eq!((run.ids(), run.take(26)), (vec![20, 25], Verdict::Held));
    run.sequence.interrupted(&mut run.out);
    run.take(27);
    assert_eq!(run.sequence.hole().unwrap().0, Hole { first: 27, last: 27 }, "the next number, and asked for still");
    assert!(run.sequence.covered(27, 27, NOW, &mut run.out).is_empty());
    assert_eq!((run.ids(), run.take(28), run.sequence.hole()), (vec![26, 27], Verdict::Held, None));
}

#[test]
fn each_of_several_interruptions_is_a_hole_of_its_own() {
    let mut run = Run::new(Numbering::Ascending, Some(10));
    assert_eq!([20, 22].map(|id| run.take(id)), [Verdict::Held, Verdict::Held]);
    run.sequence.interrupted(&mut run.out);
    run.sequence.interrupted(&mut run.out);
    run.take(30);
    assert_eq!(run.sequence.hole().unwrap().0, Hole { first: 11, last: 19 });
    run.take(15);
    run.sequence.covered(19, 19, NOW, &mut run.out);
    assert_eq!((run.ids(), run.sequence.hole().unwrap().0), (vec![15, 20, 22], Hole { first: 23, last: 29 }));
    assert_eq!(run.sequence.give_up(NOW, &mut run.out), Some(Hole { first: 23, last: 29 }));
    assert_eq!((run.ids(), run.sequence.hole()), (vec![30], None));
}

#[test]
fn where_numbers_are_left_out_one_that_is_late_is_not_lost() {
    let mut run = Run::new(Numbering::Ascending, None);
    assert_eq!([5, 7, 9, 5_000_000_000].map(|id| run.take(id)), [Verdict::Held; 4]);
    run.sequence.settle(LATER, &mut run.out);
    assert_eq!(run.ids(), [5, 7, 9, 5_000_000_000]);
    let verdicts = [8, 8, 7, 4, 10].map(|id| run.take(id));
    assert_eq!(verdicts, [Verdict::Late, Verdict::Repeat, Verdict::Repeat, Verdict::Repeat, Verdict::Late]);
    assert_eq!(run.ids(), [8, 10], "also where a number was wrong");
    let mut resumed = Run::new(Numbering::Ascending, Some(9));
    assert_eq!([8, 9].map(|id| resumed.take(id)), [Verdict::Repeat; 2]);
}

#[test]
fn a_number_that_is_wrong_does_not_end_a_market() {
    let mut run = Run::new(Numbering::Contiguous, Some(10));
    assert_eq!([11, 5_000_000_000, 12].map(|id| run.take(id)), [Verdict::Next, Verdict::Held, Verdict::Next]);
    assert!(run.sequence.take_stray().is_none(), "too early to say");
    assert_eq!([13, 14].map(|id| run.take(id)), [Verdict::Next; 2]);
    assert_eq!(run.sequence.take_stray().map(|trade| trade.id), Some(5_000_000_000));
    assert_eq!((run.ids(), run.sequence.hole(), run.take(15)), (vec![11, 12, 13, 14], None, Verdict::Next));
    // A hole that trades lie behind stays one.
    assert_eq!([2_000_020, 2_000_021, 2_000_022, 2_000_023].map(|id| run.take(id)), [Verdict::Held; 4]);
    assert!(run.sequence.take_stray().is_none());
    assert_eq!(run.sequence.give_up(NOW, &mut run.out), Some(Hole { first: 16, last: 2_000_019 }));
}

#[test]
fn a_venue_may_number_anew() {
    let mut run = Run::new(Numbering::Contiguous, Some(9_000_000));
    for id in 1..20 {
        assert_eq!(run.take(id), Verdict::Repeat);
    }
    assert_eq!([20, 21].map(|id| run.take(id)), [Verdict::Anew, Verdict::Next]);
    let mut run = Run::new(Numbering::Contiguous, Some(9_000_000));
    let old = (0..100).map(|n| if n % 10 == 9 { 8_999_990 } else { 1 + n }).map(|id| run.take(id));
    assert!(old.into_iter().all(|verdict| verdict == Verdict::Repeat), "some that are old are repeats");
}

proptest! {
    /// Whatever is repeated, swapped, lost and repaired: each id once, ascending, and what is missing is told exactly.
    #[test]
    fn each_once_ascending_and_the_missing_told(
        steps in proptest::collection::vec((0_u64..4, 0_u64..60), 1..200),
        lost in proptest::collection::btree_set(1_u64..60, 0..10),
    ) {
        let mut run = Run::new(Numbering::Contiguous, Some(0));
        let (mut told, mut came) = (std::collections::BTreeSet::new(), std::collections::BTreeSet::new());
        for (what, id) in steps {
            let holes = match what {
                0 => run.sequence.covered(id, id, NOW, &mut run.out),
                1 => run.sequence.give_up(NOW, &mut run.out).into_iter().collect(),
                _ if lost.contains(&id) => vec![],
                _ => {
                    if run.take(id) != Verdict::Repeat {
                        came.insert(id);
                    }
                    vec![]
                }
            };
            told.extend(holes.into_iter().flat_map(|hole| hole.first..=hole.last));
        }
        while let Some(hole) = run.sequence.give_up(NOW, &mut run.out) {
            told.extend(hole.first..=hole.last);
        }
        let ids = run.ids();
        prop_assert!(ids.windows(2).all(|two| two[0] < two[1]));
        prop_assert_eq!(&ids.iter().copied().collect::<std::collections::BTreeSet<_>>(), &came);
        let last = ids.last().copied().unwrap_or(0).max(told.last().copied().unwrap_or(0));
        let all: std::collections::BTreeSet<u64> = (1..=last).collect();
        prop_assert_eq!(came.union(&told).copied().collect::<std::collections::BTreeSet<_>>(), all);
        prop_assert!(came.is_disjoint(&told));
    }

    /// The same where numbers are left out: each once; what an interruption has cost is asked for, or stays in a hole that is given up.
    #[test]
    fn without_numbers_each_once_and_what_was_missed_lies_in_holes(
        steps in proptest::collection::vec(0_u64..12, 1..200),
    ) {
        let mut run = Run::new(Numbering::Ascending, Some(0));
        let (mut made, mut now) = (0_u64, Duration::ZERO);
        let (mut came, mut told) = (std::collections::BTreeSet::new(), Vec::new());
        for what in steps {
            now += Duration::from_millis(20);
            match what {
                // Cut: what is made then is missed.
                0 => {
                    run.sequence.interrupted(&mut run.out);
                    made += 3;
                }
                // The venue tells of a part, or all, of what is missing.
                1 | 2 => if let Some((hole, _)) = run.sequence.hole() {
                    let through = if what == 1 { hole.last } else { hole.first + hole.ids() / 2 }.min(hole.last);
                    for id in (hole.first..=through).filter(|id| *id <= made) {
                        run.sequence.take(trade(id), now, &mut run.out);
                        came.insert(id);
                    }
                    run.sequence.covered(through, hole.last, now, &mut run.out);
                },
                3 => if let Some(hole) = run.sequence.give_up(now, &mut run.out) {
                    told.push(hole);
                },
                4 => run.sequence.settle(now, &mut run.out),
                _ => {
                    made += 1;
                    run.sequence.take(trade(made), now, &mut run.out);
                    came.insert(made);
                }
            }
        }
        while let Some(hole) = run.sequence.give_up(now, &mut run.out) {
            told.push(hole);
        }
        run.sequence.settle(Duration::MAX, &mut run.out);
        let ids = run.ids();
        prop_assert!(ids.windows(2).all(|two| two[0] < two[1]), "{ids:?}");
        prop_assert_eq!(&ids.iter().copied().collect::<std::collections::BTreeSet<_>>(), &came);
        let is_told = |id: &u64| told.iter().any(|hole| (hole.first..=hole.last).contains(id));
        for id in 1..=ids.last().copied().unwrap_or(0) {
            prop_assert!(came.contains(&id) || is_told(&id), "{id} of {ids:?}, told {told:?}");
        }
    }
}
