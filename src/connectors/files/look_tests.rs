use super::*;
use crate::market::Symbol;
use proptest::prelude::*;

const START: i64 = 1_672_531_200;

/// A look at rows of symbol and open in seconds.
fn look_at(rows: &[(&str, i64)]) -> Look {
    let decoder = Decoder::csv(b"symbol,ts,open,high,low,close,volume", None, None).unwrap();
    let (mut look, mut decoder) = (Look::default(), Look::decoder(&decoder));
    for (symbol, at) in rows {
        look.take(&mut decoder, format!("{symbol},{},1,1,1,1,1", START + at).as_bytes());
    }
    look
}

fn opens(opens: &[i64]) -> Look {
    look_at(&opens.iter().map(|at| ("A", *at)).collect::<Vec<_>>())
}

fn span(seconds: i64) -> Span {
    Span::from_millis(seconds * 1000)
}

fn by_spacing(seconds: i64) -> Result<Option<Interval>, String> {
    Ok(Some(Interval { span: span(seconds), origin: Origin::Spacing(true) }))
}

#[test]
fn the_least_spacing_is_the_interval() {
    assert_eq!(opens(&[0, 300, 600]).interval(None), by_spacing(300));
    assert_eq!(opens(&[0, 900, 1200, 1200, 1800]).interval(None), by_spacing(300));
    assert_eq!(opens(&[600, 0, 300]).interval(None), by_spacing(300), "in any order");
    assert_eq!(look_at(&[("A", 0), ("B", 60), ("A", 300), ("B", 360)]).interval(None), by_spacing(300), "per symbol");
    let odd = opens(&[0, 120, 300]).interval(None).unwrap().unwrap();
    assert_eq!(odd, Interval { span: span(120), origin: Origin::Spacing(false) });
    assert_eq!(opens(&[]).interval(None), Ok(None));
}

#[test]
fn what_says_nothing_is_an_error_that_names_the_key() {
    let same = opens(&[0, 0, 0]).interval(None).unwrap_err();
    assert!(
        same.contains("all its 3 candles open at 2023-01-01T00:00:00.000Z") && same.contains("source.interval"),
        "{same}"
    );
    for single in [opens(&[0]), look_at(&[("A", 0), ("B", 0)])] {
        let told = single.interval(None).unwrap_err();
        assert!(told.contains("set source.interval, as in 1m"), "{told}");
        assert_eq!(single.interval(Some(span(60))), Ok(None));
    }
}

#[test]
fn a_given_interval_has_to_fit() {
    let given = |opens_at: &[i64], seconds: i64| opens(opens_at).interval(Some(span(seconds)));
    for fits in [&[0, 60, 120, 180][..], &[0, 60, 300, 360], &[0, 300], &[0, 300, 600], &[0]] {
        assert_eq!(given(fits, 60), Ok(None), "{fits:?}");
    }
    let longer = given(&[0, 60], 300).unwrap_err();
    assert!(longer.contains("open 1m apart, but source.interval is 5m: set it to 1m, or leave it out"), "{longer}");
    let shorter = given(&[0, 300, 600, 900], 60).unwrap_err();
    assert!(shorter.contains("multiples of 5m, but source.interval is 1m: set it to 5m"), "{shorter}");
    assert!(given(&[0, 300, 660, 1080], 300).is_err(), "five minutes, and seconds between");
}

#[test]
fn candles_that_say_how_long_they_are_are_not_asked() {
    let header = b"ts,open,high,low,close,volume,interval";
    let decoder = Decoder::csv(header, Symbol::new("A").ok(), None).unwrap();
    let (mut look, mut decoder) = (Look::default(), Look::decoder(&decoder));
    for at in [0, 60, 120] {
        look.take(&mut decoder, format!("{},1,1,1,1,1,5m", START + at).as_bytes());
    }
    assert_eq!((look.interval(None), look.interval(Some(span(3600)))), (Ok(None), Ok(None)));
    assert!(look.is_decided());
}

#[test]
fn a_file_runs_backwards_where_no_step_leads_on() {
    let down = |count: i64| (0..count).rev().map(|n| n * 60).collect::<Vec<_>>();
    let is = |rows: &[i64], whole: bool| opens(rows).backwards(whole).is_some();
    assert!(is(&down(11), false) && is(&down(4), true));
    assert!(!is(&down(10), false) && !is(&down(3), true), "too few steps to say so");
    assert!(!is(&[down(11), vec![1200]].concat(), true), "one leads on");
    assert!(is(&[600, 600, 540, 540, 480, 480, 420], true), "equal stamps say nothing");
    let two: Vec<(&str, i64)> = down(8).into_iter().flat_map(|at| [("A", at), ("B", at)]).collect();
    assert!(look_at(&two).backwards(false).is_some(), "of two symbols together");
    let joined: Vec<(&str, i64)> =
        down(8).into_iter().map(|at| ("A", at)).chain(down(8).into_iter().map(|at| ("B", at))).collect();
    assert!(look_at(&joined).backwards(false).is_some(), "one symbol behind the other");
    let (before, after) = opens(&down(11)).backwards(false).unwrap();
    assert!(before > after);
}

proptest! {
    /// Candles of one length, many of them missing, in any order: the length is the least distance of two, found by comparing all.
    #[test]
    fn lengths_of_gappy_files_are_those_of_a_slow_reading(
        length in prop::sample::select(vec![1_i64, 60, 300, 3600, 86_400]),
        present in prop::collection::btree_set((0_usize..3, 0_i64..200), 1..120),
        seed in any::<u64>(),
    ) {
        let mut rows: Vec<(&str, i64)> = present.into_iter().map(|(symbol, n)| (["A", "B", "C"][symbol], n * length)).collect();
        let mut state = seed;
        for at in (1..rows.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            rows.swap(at, (state >> 33) as usize % (at + 1));
        }
        let slowly = rows.iter().flat_map(|a| rows.iter().filter(|b| a.0 == b.0 && a.1 < b.1).map(|b| b.1 - a.1)).min();
        let found = look_at(&rows).interval(None);
        prop_assert_eq!(found.as_ref().ok().map(|found| found.unwrap().span), slowly.map(span));
        // What was found is no contradiction, and twice as much is one.
        if let Some(least) = slowly {
            prop_assert!(look_at(&rows).interval(Some(span(2 * least))).is_err());
        }
    }
}
