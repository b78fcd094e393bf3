//! What `history` says where nobody looks at a terminal, and where there is nothing to show.

use super::{WITHIN, command, download, index, run};
use crate::archive::{Act, Alter, Archive, Kind};
use crate::exchange::authority::Authority;
use crate::support::{Finished, Process, Signal, eventually, run_to_end, temp_dir};
use std::path::Path;
use std::time::{Duration, Instant};
use tickcast::connectors::files::index::Series;

fn report(dir: &Path, more: &[&str]) -> Finished {
    let set = format!("history.dir={}", dir.display());
    let arguments = ["history", "report", "--set", &set].into_iter().chain(more.iter().copied());
    run_to_end(command(&arguments.map(str::to_owned).collect::<Vec<_>>()), WITHIN)
}

#[test]
fn it_ends_when_it_is_told_though_the_server_says_nothing() {
    let (kind, server, dir) = (Kind::Klines, Archive::start(Kind::Klines), temp_dir());
    // Every answer breaks off into silence.
    server.act(std::iter::repeat_n(Act::Slow(Duration::from_secs(60)), 20));
    let mut process = Process::spawn(command(&download(&server, kind, dir.path(), &[])));
    eventually("it asks", WITHIN, || (!server.asked().is_empty()).then_some(()));
    let begun = Instant::now();
    process.signal(Signal::Term);
    let said = process.wait(WITHIN).expect_code(1).stderr;
    assert!(begun.elapsed() < Duration::from_secs(20), "it waits for its server");
    assert!(said.contains("stopping; a second signal ends at once"), "{said}");
    assert!(said.contains("stopped: what was fetched is kept, and a new start goes on from there"), "{said}");
    // Lines of a log, not of a terminal.
    assert!(!said.contains(['\r', '\x1b']) && said.lines().count() < 10, "{said:?}");
    assert!(!dir.path().join("history.json").exists());
}

#[test]
fn where_there_is_nothing_to_show_it_says_what_to_do() {
    let dir = temp_dir();
    let said = |path: &Path, code| report(path, &[]).expect_code(code).stderr;
    let nowhere = dir.path().join("nowhere");
    let text = said(&nowhere, 1);
    assert!(text.contains("there is no directory") && text.contains("`tickcast history`"), "{text}");
    assert!(!nowhere.exists(), "a report makes nothing");
    let text = said(dir.path(), 1);
    assert!(text.contains("has no history.json") && text.contains("history.dir"), "{text}");
    let list = dir.path().join("history.json");
    std::fs::write(&list, "{").unwrap();
    assert!(said(dir.path(), 1).contains("remove it, and run `tickcast history` again"));
    std::fs::write(&list, r#"{"version":99,"holds":"x","series":[]}"#).unwrap();
    assert!(said(dir.path(), 1).contains("is of version 99, this program reads version 1"));
    std::fs::write(&list, r#"{"version":1,"holds":"binance spot trades","series":[]}"#).unwrap();
    let finished = report(dir.path(), &["--set", "history.symbols=BTCUSDT"]).expect_code(0);
    let said = finished.stderr;
    assert!(said.contains("holds binance spot trades, and binance spot klines 1m is configured"), "{said}");
    assert!(said.contains("has nothing of BTCUSDT: run `tickcast history` for it"), "{said}");
}

#[test]
fn it_is_said_that_trades_of_futures_are_not_repaired() {
    let (kind, server, dir) = (Kind::Trades, Archive::start(Kind::Trades), temp_dir());
    server.alter("2023-12-31", Alter::Without(2000..=2004));
    let futures = ["--set", "history.market=futures/um", "--to", "2024-01-01T00:00:00Z"];
    let said = run(&server, kind, dir.path(), &futures).expect_code(0).stderr;
    assert!(said.contains("wants a key for trades of futures") && said.contains("history.kind=aggTrades"), "{said}");
    assert!(server.asked().iter().all(|path| !path.contains("/api/")));
    let hole = index(dir.path()).series.remove(0).holes.remove(0);
    assert_eq!((hole.missing, hole.reason.as_str()), (5, "in_the_archive"));
    assert!(hole.why.contains("wants a key for trades of futures"), "{}", hole.why);
}

#[test]
fn a_mirror_may_have_a_root_of_its_own() {
    let (kind, server, dir) = (Kind::Klines, Archive::start(Kind::Klines), temp_dir());
    let authority = Authority::new("ours");
    let port = authority.serve(server.address).port();
    let (root, out) = (dir.path().join("root.pem"), dir.path().join("history"));
    std::fs::write(&root, authority.pem()).unwrap();
    let asked = |root: &Path| {
        let of = download(&server, kind, &out, &["--set", &format!("history.ca_file={}", root.display())]);
        let plain = format!("http://{}", server.address);
        let of: Vec<String> =
            of.iter().map(|part| part.replace(&plain, &format!("https://localhost:{port}"))).collect();
        let mut command = command(&of);
        command.env("NO_PROXY", "localhost");
        run_to_end(command, WITHIN)
    };
    let said = asked(&dir.path().join("none.pem")).expect_code(2).stderr;
    assert!(said.contains("history.ca_file = ") && said.contains("none.pem: cannot be read: No such file"), "{said}");
    assert!(!out.exists(), "nothing is made before all is known to be good");
    asked(&root).expect_code(0);
    assert!(!index(&out).series[0].files.is_empty() && !server.asked().is_empty());
}

#[test]
fn an_api_that_is_away_takes_nothing_away_and_is_told() {
    let (kind, server, dir) = (Kind::Klines, Archive::start(Kind::Klines), temp_dir());
    server.alter("2024-03-01", Alter::Absent);
    run(&server, kind, dir.path(), &["--to", "2024-03-01T12:00:00Z"]).expect_code(0);
    let before = index(dir.path()).series.remove(0);
    let newest = before.files.last().unwrap().clone();
    assert!(newest.path.contains("from-") && newest.rows == 720 && before.holes.is_empty(), "{before:?}");
    // What it has said before is all of it: nothing is missing.
    server.api_is_away(true);
    run(&server, kind, dir.path(), &["--to", "2024-03-01T12:00:00Z"]).expect_code(0);
    assert_eq!(index(dir.path()).series[0], before);
    // More is asked for.
    let said = run(&server, kind, dir.path(), &[]).expect_code(1).stderr;
    assert!(said.contains("1 holes may be filled by another start"), "{said}");
    let after = index(dir.path()).series.remove(0);
    let named = |series: &Series| -> Vec<(String, String)> {
        series.files.iter().map(|file| (file.path.clone(), file.sha256.clone())).collect()
    };
    assert_eq!(named(&after), named(&before));
    assert!(dir.path().join(&newest.path).is_file());
    let times = ["2024-03-01T11:59:00.000Z", "2024-03-02T00:00:00.000Z"].map(str::to_owned);
    let hole = &after.holes[0];
    assert_eq!((hole.times().0.to_string(), hole.times().1.to_string()), times.into());
    assert_eq!((after.holes.len(), hole.reason.as_str()), (1, "not_repaired"));
    server.api_is_away(false);
    run(&server, kind, dir.path(), &[]).expect_code(0);
    let whole = index(dir.path()).series.remove(0);
    assert!(whole.holes.is_empty() && whole.files.last().unwrap().rows == 1440, "{whole:?}");
}

#[test]
fn a_file_that_is_refused_at_a_recheck_stays() {
    let (kind, server, dir) = (Kind::Klines, Archive::start(Kind::Klines), temp_dir());
    run(&server, kind, dir.path(), &[]).expect_code(0);
    let before = index(dir.path()).series.remove(0);
    server.act([Act::Status(403, "")]);
    let said = run(&server, kind, dir.path(), &["--recheck"]).expect_code(1).stderr;
    assert!(said.contains("1 files could not be rechecked"), "{said}");
    let after = index(dir.path()).series.remove(0);
    assert_eq!(after.files, before.files);
    assert_eq!(after.faults[0].reason, "not_rechecked");
}
