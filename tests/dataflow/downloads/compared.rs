//! Months and their days: where both are whole and disagree, the days count, and it is told; only where that was asked for.

use super::{WITHIN, command, download, equals_plain, index, run};
use crate::archive::{Alter, Archive, Kind};
use crate::support::{Process, Signal, run_to_end, temp_dir};
use std::time::Duration;

const BOTH: [&str; 2] = ["--set", "history.files=both"];

#[test]
fn a_month_and_its_days_that_disagree_are_told_and_the_days_count() {
    for kind in [Kind::Trades, Kind::Klines] {
        // Days of January begin two days behind the first.
        let row = |day: u64, of_day: u64| kind.first() + day * 1440 + of_day;
        let one = |number: u64| Alter::Without(number..=number);
        // What is altered; whose rows are taken, how many have other values, how many only one of both has.
        type Case = (&'static str, Vec<(&'static str, Alter)>, Option<(&'static str, u64, [u64; 2])>);
        let cases: Vec<Case> = vec![
            ("all is as it should be", vec![], None),
            ("a value of one row", vec![("2024-01", Alter::Digit(row(9, 5)))], Some(("days", 1, [0, 0]))),
            ("another form", vec![("2024-01", Alter::Form), ("2024-02-03", Alter::Form)], None),
            ("a row more in the month", vec![("2024-01-08", one(row(9, 5)))], Some(("month", 0, [1, 0]))),
            ("a row more in the days", vec![("2024-01", one(row(9, 5)))], Some(("days", 0, [0, 1]))),
            (
                "a value, and a row more in the month",
                vec![("2024-01-05", Alter::Digit(row(6, 0))), ("2024-01-08", one(row(9, 5)))],
                Some(("month", 1, [1, 0])),
            ),
            ("a day that is not there", vec![("2024-01-08", Alter::Absent)], None),
            ("a month in the wrong order", vec![("2024-01", Alter::Turned)], None),
        ];
        for (what, alters, expected) in cases {
            let server = Archive::start(kind);
            for (period, alter) in &alters {
                server.alter(period, alter.clone());
            }
            let dir = temp_dir();
            let finished = run(&server, kind, dir.path(), &BOTH).expect_code(0);
            let list = index(dir.path());
            let series = &list.series[0];
            let found: Vec<_> = series
                .differs
                .iter()
                .map(|found| (found.taken.as_str(), found.difference.changed, found.difference.only))
                .collect();
            assert_eq!(found, Vec::from_iter(expected), "{what}");
            let is_month = |month: &str| series.files.iter().any(|file| file.path.ends_with(&format!("{month}.zip")));
            let has_days = expected.is_some_and(|(taken, ..)| taken == "days") || what.ends_with("wrong order");
            assert_eq!((is_month("2024-01"), is_month("2024-02")), (!has_days, true), "{what}");
            equals_plain(kind, dir.path(), |_| false);
            if let Some((taken, ..)) = expected {
                let difference = &series.differs[0].difference;
                assert_eq!((series.differs[0].period.as_str(), difference.last.unwrap().id), ("2024-01", row(9, 5)));
                assert!(finished.stderr.contains(&format!("taken: {taken}")), "{what}: {}", finished.stderr);
                let report = ["history", "report", "--set", &format!("history.dir={}", dir.path().display())];
                let text = run_to_end(command(&report.map(str::to_owned)), WITHIN).expect_code(0).stdout_text();
                assert!(text.contains(&format!("differs: 2024-01, the {taken} counts")), "{what}: {text}");
            }
            // Neither is asked for again.
            server.asked();
            run(&server, kind, dir.path(), &BOTH).expect_code(0);
            assert_eq!(index(dir.path()), list, "{what}");
            let again: Vec<String> = server.asked().into_iter().filter(|path| path.ends_with(".zip")).collect();
            assert!(
                again.iter().all(|path| alters.iter().any(|(period, _)| path.contains(period))),
                "{what}: {again:?}"
            );
        }
    }
}

#[test]
fn nothing_more_is_fetched_where_nobody_wants_both() {
    let (kind, server, dir) = (Kind::AggTrades, Archive::start(Kind::AggTrades), temp_dir());
    server.alter("2024-01", Alter::Digit(kind.first() + 9000));
    run(&server, kind, dir.path(), &[]).expect_code(0);
    assert!(index(dir.path()).series[0].differs.is_empty());
    let days: Vec<String> = server.asked().into_iter().filter(|path| path.contains("/daily/")).collect();
    assert!(days.iter().all(|path| path.contains("-2023-12-3") || path.contains("-2024-03-0")), "{days:?}");
}

#[test]
fn what_was_compared_is_the_same_however_often_it_dies() {
    let (kind, server) = (Kind::Trades, Archive::start(Kind::Trades));
    server.alter("2024-01", Alter::Digit(kind.first() + 9000)).alter("2024-02-11", Alter::Digit(kind.first() + 62_000));
    let (clean, dir) = (temp_dir(), temp_dir());
    run(&server, kind, clean.path(), &BOTH).expect_code(0);
    assert_eq!(index(clean.path()).series[0].differs.len(), 2);
    server.chaos(5);
    for kill in 0..12_u64 {
        let mut process = Process::spawn(command(&download(&server, kind, dir.path(), &BOTH)));
        std::thread::sleep(Duration::from_millis(50 + kill * 67 % 500));
        process.signal(Signal::Kill);
        process.wait(WITHIN);
    }
    run(&server, kind, dir.path(), &BOTH).expect_code(0);
    assert_eq!(index(dir.path()), index(clean.path()));
}
