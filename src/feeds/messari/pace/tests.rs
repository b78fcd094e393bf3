//! The pace, case by case, on a clock of the test's own.

use super::*;
use proptest::prelude::*;

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn slots_are_spread_evenly() {
    let mut pace = Pace::new(4, s(10));
    let mut asked = Vec::new();
    for _ in 0..8 {
        let (asset, due) = pace.next().unwrap();
        asked.push((asset, due));
        pace.after(asset, due + ms(120), Verdict::Answered, 0.0);
    }
    let expected: Vec<_> = (0..8).map(|n: u64| ((n % 4) as usize, ms(2500 * n))).collect();
    assert_eq!(asked, expected);
    assert_eq!(Pace::new(0, s(10)).next(), None);
}

/// Each row: failures before, verdict, jitter, and how long after the call (which ended at 1,003 s) the next one is due.
#[test]
fn each_outcome_has_its_wait() {
    let table = [
        // The next slot of the pace: at 1,010 s.
        (0, Verdict::Answered, 0.99, s(7)),
        (9, Verdict::Answered, 0.99, s(7)),
        // 1 s, and up to 2, 4, 8, … 300 s more.
        (0, Verdict::Failed(None), 0.0, s(1)),
        (0, Verdict::Failed(None), 0.5, s(2)),
        (1, Verdict::Failed(None), 0.5, s(3)),
        (2, Verdict::Failed(None), 0.5, s(5)),
        (7, Verdict::Failed(None), 0.5, s(129)),
        (8, Verdict::Failed(None), 0.5, s(151)),
        (u32::MAX, Verdict::Failed(None), 0.5, s(151)),
        (u32::MAX, Verdict::Failed(None), 0.0, s(1)),
        // 503 with Retry-After.
        (0, Verdict::Failed(Some(s(40))), 0.5, s(40)),
        (0, Verdict::Failed(Some(s(0))), 0.5, s(2)),
        // 429: what is asked for, but not below the pace; without it as any failure.
        (0, Verdict::Limited(Some(s(60))), 0.9, s(60)),
        (0, Verdict::Limited(Some(s(0))), 0.9, s(10)),
        (0, Verdict::Limited(None), 0.0, s(10)),
        (4, Verdict::Limited(None), 0.5, s(17)),
        (0, Verdict::Refused, 0.9, s(300)),
        (7, Verdict::Refused, 0.9, s(300)),
    ];
    for (failures, verdict, jitter, wait) in table {
        let mut pace = Pace::new(1, s(10));
        pace.turns[0].failures = failures;
        pace.after(0, s(1003), verdict, jitter);
        assert_eq!(pace.next(), Some((0, s(1003) + wait)), "{failures} failures, {verdict:?}, jitter {jitter}");
        let expected = if verdict == Verdict::Answered { 0 } else { failures.saturating_add(1) };
        assert_eq!(pace.failures(0), expected);
    }
}

#[test]
fn a_failure_concerns_one_asset_and_a_limit_all() {
    for verdict in [Verdict::Failed(Some(s(60))), Verdict::Refused] {
        let mut pace = Pace::new(3, s(9));
        pace.after(0, s(1), verdict, 0.5);
        assert_eq!(pace.next(), Some((1, s(3))), "{verdict:?}");
        assert_eq!(pace.failures(1), 0);
    }
    let mut pace = Pace::new(3, s(9));
    pace.after(0, s(1), Verdict::Limited(Some(s(60))), 0.5);
    let mut due: Vec<_> = pace.turns.iter().map(|turn| turn.due).collect();
    assert_eq!(due, [s(61), s(64), s(67)], "spread again");
    pace.after(2, s(62), Verdict::Refused, 0.5);
    pace.after(0, s(63), Verdict::Limited(Some(s(10))), 0.5);
    due = pace.turns.iter().map(|turn| turn.due).collect();
    assert_eq!(due, [s(73), s(76), s(362)], "a longer wait stays");
}

#[test]
fn a_slow_pace_still_retries_soon_and_a_quick_one_not_sooner_than_itself() {
    let mut pace = Pace::new(1, s(3600));
    pace.after(0, s(5), Verdict::Failed(None), 0.5);
    assert_eq!(pace.next(), Some((0, s(7))));
    let mut pace = Pace::new(1, ms(200));
    pace.after(0, s(5), Verdict::Failed(None), 0.0);
    assert_eq!(pace.next(), Some((0, s(5) + ms(200))));
}

/// A machine that slept, or a call that took hours: one call per asset, not one per slot that was missed.
#[test]
fn a_clock_that_jumps_ahead_is_not_made_up_for() {
    let mut pace = Pace::new(2, s(10));
    let now = s(86_400);
    let mut asked = Vec::new();
    while let Some((asset, _)) = pace.next().filter(|(_, due)| *due <= now) {
        asked.push(asset);
        pace.after(asset, now, Verdict::Answered, 0.0);
    }
    assert_eq!(asked, [0, 1]);
    assert_eq!(pace.next(), Some((1, s(86_405))));
}

fn verdicts() -> impl Strategy<Value = Verdict> {
    let asked = || proptest::option::of((0_u64..4000).prop_map(s));
    prop_oneof![
        Just(Verdict::Answered),
        asked().prop_map(Verdict::Failed),
        asked().prop_map(Verdict::Limited),
        Just(Verdict::Refused)
    ]
}

proptest! {
    /// Whatever comes of the calls, and however long they take: at most one call of an asset per pace and one more per
    /// failure, the next never at once, and never later than what was asked for or the longest wait.
    #[test]
    fn never_a_busy_loop_and_never_stuck(
        assets in 1_usize..5,
        every_ms in 100_u64..20_000,
        calls in proptest::collection::vec((verdicts(), 0.0_f64..1.0, 0_u64..30_000), 1..200),
    ) {
        let every = ms(every_ms);
        let mut pace = Pace::new(assets, every);
        let mut answered_in = std::collections::BTreeSet::new();
        let mut now = Duration::ZERO;
        for (verdict, jitter, took_ms) in calls {
            let (asset, due) = pace.next().unwrap();
            now = now.max(due);
            let slot = now.saturating_sub(pace.turns[asset].offset).as_nanos() / every.as_nanos();
            now += ms(took_ms);
            pace.after(asset, now, verdict, jitter);
            let due = pace.turns[asset].due;
            prop_assert!(due > now, "the same asset is never due at once");
            let most = BACKOFF_MAX + BACKOFF_BASE + every + RETURN_WITHIN;
            let asked = match verdict {
                Verdict::Failed(asked) | Verdict::Limited(asked) => asked.unwrap_or_default(),
                _ => Duration::ZERO,
            };
            prop_assert!(due <= now + most.max(asked + every + RETURN_WITHIN), "{due:?} after {now:?}");
            if verdict == Verdict::Answered {
                prop_assert!(answered_in.insert((asset, slot)), "one answer per slot");
            } else {
                prop_assert!(due >= now + BACKOFF_BASE.min(every));
            }
        }
    }
}
