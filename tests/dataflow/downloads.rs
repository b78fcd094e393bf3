//! Archives: a directory is what the venue has, whatever its server does and however often the download dies; what is wrong with
//! files has its outcome; and a backfill over the directory is one over the rows.

use crate::archive::{Act, Alter, Archive, BEGIN, END, Kind};
use crate::support::{Finished, Process, Signal, run_to_end, temp_dir, tickcast};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;
use tickcast::connectors::files::index::Index;
use tickcast::market::Timestamp;

mod compared;
mod told;
mod words;

const WITHIN: Duration = Duration::from_secs(240);

fn time(ms: i64) -> String {
    Timestamp::from_millis(ms).to_string()
}

/// Arguments that download all of a server's market into a directory.
fn download(server: &Archive, kind: Kind, dir: &Path, more: &[&str]) -> Vec<String> {
    let mut arguments = vec!["history".to_owned(), "--json".to_owned()];
    let mut set = |text: String| arguments.extend(["--set".to_owned(), text]);
    set("history.symbols=BTCUSDT".to_owned());
    set(format!("history.kind={}", kind.name()));
    set(format!("history.dir={}", dir.display()));
    set(format!("history.url=http://{}/data", server.address));
    set(format!("history.api_url=http://{}", server.address));
    set(format!("history.from={}", time(BEGIN)));
    set(format!("history.to={}", time(END)));
    arguments.extend(more.iter().map(|text| (*text).to_owned()));
    arguments
}

fn command(arguments: &[String]) -> std::process::Command {
    let mut command = tickcast(arguments);
    command.env("NO_PROXY", "127.0.0.1");
    command
}

fn run(server: &Archive, kind: Kind, dir: &Path, more: &[&str]) -> Finished {
    run_to_end(command(&download(server, kind, dir, more)), WITHIN)
}

fn index(dir: &Path) -> Index {
    Index::read(dir).unwrap().unwrap()
}

/// Each row of the rows `skip` says nothing of, as a file.
fn plain(kind: Kind, path: &Path, skip: impl Fn(u64) -> bool) {
    let numbers = (kind.first()..kind.end()).filter(|number| !skip(*number));
    let lines: Vec<String> = numbers.map(|number| kind.row(number) + "\n").collect();
    std::fs::write(path, lines.concat()).unwrap();
}

/// What a backfill gives: its rows, and how many records it used.
fn backfill(path: &Path, symbol: &[&str]) -> (Vec<u8>, u64) {
    let out = temp_dir();
    let mut arguments = vec!["backfill".to_owned(), "--json".to_owned()];
    let paths = format!("source.files.paths={}", path.display());
    let dir = format!("sink.files.dir={}", out.path().display());
    for set in [&paths, &dir, "time.slide=1h", "time.windows=1h", "model.step=1h", "model.preset=none"]
        .into_iter()
        .chain(symbol.iter().copied())
    {
        arguments.extend(["--set".to_owned(), set.to_owned()]);
    }
    arguments.extend([
        "--set".to_owned(),
        "time.epoch=1h".to_owned(),
        "--set".to_owned(),
        "model.horizons=1h".to_owned(),
    ]);
    let finished = run_to_end(command(&arguments), WITHIN).expect_code(0);
    let summary: Value = serde_json::from_slice(&finished.stdout).unwrap();
    let rows = std::fs::read(out.path().join("features.jsonl")).unwrap();
    (rows, summary["records"]["used"].as_u64().unwrap())
}

/// The rows of a directory are those of one plain file.
#[track_caller]
fn equals_plain(kind: Kind, dir: &Path, skip: impl Fn(u64) -> bool) {
    let place = temp_dir();
    let path = place.path().join("all.csv");
    plain(kind, &path, skip);
    let (expected, used) = backfill(&path, &["source.files.symbol=BTCUSDT"]);
    let (found, count) = backfill(dir, &[]);
    assert_eq!(count, used, "records used");
    assert!(found == expected, "the rows differ");
}

/// Whatever has a file's name is that file, whole.
#[track_caller]
fn nothing_is_half_written(server: &Archive, dir: &Path) {
    let Ok(files) = std::fs::read_dir(dir.join("BTCUSDT")) else { return };
    for entry in files.flatten() {
        let name = entry.file_name().into_string().unwrap();
        let Some(plain) = name.strip_suffix(".zip") else { continue };
        let period: Vec<&str> = plain.split('-').skip(2).collect();
        assert!(std::fs::read(entry.path()).unwrap() == server.file(&period.join("-")), "{name} is not whole");
    }
}

#[test]
fn a_directory_is_what_a_clean_download_gives_however_often_it_dies() {
    std::thread::scope(|scope| {
        for kind in [Kind::Klines, Kind::Trades, Kind::AggTrades] {
            scope.spawn(move || {
                let server = Archive::start(kind);
                server
                    .alter("2024-01-07", Alter::Absent)
                    .alter("2024-01", Alter::Without(kind.first() + 20_000..=kind.first() + 20_100));
                let clean = temp_dir();
                run(&server, kind, clean.path(), &[]).expect_code(0);
                let dir = temp_dir();
                server.chaos(3);
                for kill in 0..20_u64 {
                    let mut process = Process::spawn(command(&download(&server, kind, dir.path(), &[])));
                    std::thread::sleep(Duration::from_millis(30 + kill * 53 % 400));
                    process.signal(Signal::Kill);
                    process.wait(WITHIN);
                    nothing_is_half_written(&server, dir.path());
                }
                run(&server, kind, dir.path(), &[]).expect_code(0);
                assert_eq!(index(dir.path()), index(clean.path()));
                for file in &index(clean.path()).series[0].files {
                    let [one, other] = [&clean, &dir].map(|dir| std::fs::read(dir.path().join(&file.path)).unwrap());
                    assert!(one == other, "{}", file.path);
                }
                equals_plain(kind, dir.path(), |_| false);
            });
        }
    });
}

#[test]
fn what_is_wrong_with_files_has_its_outcome() {
    // What is altered; whether the API is asked; which rows are nowhere; the holes' reasons; the faults'.
    let first = Kind::Trades.first();
    let row = |day: u64, of_day: u64| first + day * 1440 + of_day;
    // Days of January begin two days behind the first.
    let lost = row(10, 100)..=row(10, 130);
    type Case = (&'static str, Vec<(&'static str, Alter)>, &'static [&'static str], &'static [&'static str], bool);
    let cases: Vec<Case> = vec![
        (
            "a month that lacks rows which its days have",
            vec![("2024-01", Alter::Without(row(9, 1)..=row(9, 50)))],
            &[],
            &[],
            false,
        ),
        ("a month that ends too early", vec![("2024-01", Alter::Until(row(9, 0)))], &[], &[], false),
        ("a checksum of another file", vec![("2024-01", Alter::WrongChecksum)], &[], &["checksum"], false),
        ("a month that is no zip", vec![("2024-01", Alter::Sorry)], &[], &["content"], false),
        ("a broken month", vec![("2024-02", Alter::Broken)], &[], &["content"], false),
        ("a month with a row of another", vec![("2024-01", Alter::Outside)], &[], &["content"], false),
        ("rows that come twice", vec![("2024-01", Alter::Twice(row(3, 0)..=row(8, 0)))], &[], &[], false),
        (
            "no checksum, and a header",
            vec![("2024-01", Alter::NoChecksum), ("2024-02", Alter::Header)],
            &[],
            &[],
            false,
        ),
        ("a month that is not there", vec![("2024-01", Alter::Absent)], &[], &[], false),
        (
            "a month and a day of it that are not there",
            vec![("2024-01", Alter::Absent), ("2024-01-09", Alter::Absent)],
            &[],
            &[],
            true,
        ),
        ("and a broken day", vec![("2024-01", Alter::Absent), ("2024-01-09", Alter::Broken)], &[], &["content"], true),
        (
            "and a day with a wrong checksum",
            vec![("2024-01", Alter::Absent), ("2024-01-09", Alter::WrongChecksum)],
            &[],
            &["checksum"],
            true,
        ),
        (
            "days that lack the same",
            vec![
                ("2024-01", Alter::Without(row(9, 1)..=row(9, 5))),
                ("2024-01-08", Alter::Without(row(9, 1)..=row(9, 5))),
            ],
            &[],
            &[],
            true,
        ),
        ("a day with rows twice", vec![("2023-12-31", Alter::Twice(row(1, 3)..=row(1, 500)))], &[], &[], false),
        ("a day in the wrong order", vec![("2023-12-31", Alter::Turned)], &[], &[], false),
        ("the last day, which is not there yet", vec![("2024-03-01", Alter::Absent)], &[], &[], true),
        (
            "rows that nobody has",
            vec![("2024-01", Alter::Without(lost.clone())), ("2024-01-09", Alter::Without(lost.clone()))],
            &["not_at_the_venue"],
            &[],
            true,
        ),
    ];
    let cases: Vec<(usize, Case)> = cases.into_iter().enumerate().collect();
    std::thread::scope(|scope| {
        for some in cases.chunks(cases.len().div_ceil(3)) {
            let lost = lost.clone();
            scope.spawn(move || {
                for (_, (what, alters, holes, faults, asks)) in some {
                    let server = Archive::start(Kind::Trades);
                    for (period, alter) in alters {
                        server.alter(period, alter.clone());
                    }
                    let is_lost = !holes.is_empty();
                    if is_lost {
                        server.lose(lost.clone());
                    }
                    let dir = temp_dir();
                    let finished = run(&server, Kind::Trades, dir.path(), &[]);
                    assert_eq!(finished.code(), Some(0), "{what}: {}", finished.stderr);
                    let series = index(dir.path()).series.remove(0);
                    let reasons: Vec<&str> = series.holes.iter().map(|hole| hole.reason.as_str()).collect();
                    assert_eq!(reasons, *holes, "{what}");
                    let reasons: Vec<&str> = series.faults.iter().map(|fault| fault.reason.as_str()).collect();
                    assert_eq!(reasons, *faults, "{what}");
                    // What is newer than the archive is asked for each time.
                    let newer = format!("fromId={}&", Kind::Trades.end());
                    let asked = server.asked().iter().any(|path| path.starts_with("/api/") && !path.contains(&newer));
                    assert_eq!(asked, *asks, "{what}: whether the API is asked");
                    equals_plain(Kind::Trades, dir.path(), |number| is_lost && lost.contains(&number));
                    // What is there is not asked for again.
                    run(&server, Kind::Trades, dir.path(), &[]).expect_code(0);
                    let again = server.asked();
                    let asked_again = again.iter().filter(|path| path.ends_with(".zip")).count();
                    assert!(asked_again <= alters.len() * 2, "{what}: {again:?}");
                }
            });
        }
    });
}

#[test]
fn holes_are_told_and_filled_by_a_later_start() {
    let kind = Kind::Klines;
    let server = Archive::start(kind);
    let gap = kind.first() + 3000..=kind.first() + 4000;
    server.alter("2024-01", Alter::Without(gap.clone()));
    for day in ["2024-01-01", "2024-01-02"] {
        server.alter(day, Alter::Without(gap.clone()));
    }
    let dir = temp_dir();
    let told = |reason: &str| {
        let holes = index(dir.path()).series.remove(0).holes;
        let ids: Vec<_> = holes.iter().map(|hole| (hole.after.id + 1, hole.before.id - 1, hole.missing)).collect();
        assert_eq!(ids, [(*gap.start(), *gap.end(), 1001)]);
        assert_eq!(holes[0].reason, reason);
        assert_eq!(
            holes[0].times(),
            (Timestamp::from_millis(kind.at(gap.start() - 1)), Timestamp::from_millis(kind.at(gap.end() + 1)))
        );
    };
    // Without the API it is the archive's.
    run(&server, kind, dir.path(), &["--set", "history.repair=false"]).expect_code(0);
    told("in_the_archive");
    server.api_is_away(true);
    let finished = run(&server, kind, dir.path(), &[]).expect_code(1);
    assert!(finished.stderr.contains("may be filled by another start"), "{}", finished.stderr);
    told("not_repaired");
    // What it says is no use.
    server.api_is_away(false);
    server.api_is_wrong(true);
    let finished = run(&server, kind, dir.path(), &[]).expect_code(1);
    assert!(finished.stderr.contains("may be filled by another start"), "{}", finished.stderr);
    told("not_repaired");
    server.api_is_wrong(false);
    server.api_is_away(true);
    run(&server, kind, dir.path(), &[]).expect_code(1);
    let mut report = vec!["history".to_owned(), "report".to_owned(), "--set".to_owned()];
    report.extend([format!("history.dir={}", dir.path().display())]);
    let text = run_to_end(command(&report), WITHIN).expect_code(0).stdout_text();
    assert!(text.contains("hole: 1001 rows") && text.contains("not_repaired: http://"), "{text}");
    server.api_is_away(false);
    run(&server, kind, dir.path(), &[]).expect_code(0);
    assert_eq!(index(dir.path()).series[0].holes, []);
    equals_plain(kind, dir.path(), |_| false);
}

#[test]
fn a_file_that_is_replaced_later_is_noticed() {
    let kind = Kind::AggTrades;
    let server = Archive::start(kind);
    let dir = temp_dir();
    run(&server, kind, dir.path(), &[]).expect_code(0);
    let before = index(dir.path());
    server.alter("2024-02", Alter::Header);
    run(&server, kind, dir.path(), &[]).expect_code(0);
    assert_eq!(index(dir.path()), before, "nobody asked");
    let path = "/data/spot/monthly/aggTrades/BTCUSDT/BTCUSDT-aggTrades-2024-02.zip";
    let recheck = |code, said: &str| {
        server.asked();
        let finished = run(&server, kind, dir.path(), &["--recheck"]).expect_code(code);
        assert!(finished.stderr.contains(said), "{said}: {}", finished.stderr);
        let mut fetched: Vec<String> = server.asked().into_iter().filter(|path| path.ends_with(".zip")).collect();
        fetched.dedup();
        (fetched, index(dir.path()))
    };
    let (fetched, after) =
        recheck(0, "2024-02.zip: the venue has replaced it since it was fetched: its rows are the same");
    assert_eq!(fetched, [path]);
    assert_ne!(after, before);
    server.alter("2024-02", Alter::Digit(kind.first() + 50_000));
    let (fetched, before) = recheck(0, "has replaced it since it was fetched: 1 rows, id 50001 of 2024-02-02T");
    assert_eq!(fetched, [path]);
    // What is no good does not take its place, nor does it go when nothing can be asked.
    server.alter("2024-02", Alter::Broken);
    let (_, mut after) = recheck(0, "the file that was fetched before stays");
    assert_eq!(after.series[0].faults.remove(0).reason, "content");
    assert_eq!(after, before);
    server.alter("2024-02", Alter::Digit(kind.first() + 50_000)).act([Act::Status(400, "")]);
    let (_, mut after) = recheck(1, "1 files could not be rechecked");
    assert_eq!(after.series[0].faults.remove(0).reason, "not_rechecked");
    assert_eq!(after, before);
    server.alter("2024-02", Alter::Header);
    recheck(0, "");
    // A file that somebody changed here is an error, not another history.
    let path = dir.path().join(&before.series[0].files[0].path);
    std::fs::write(&path, b"x").unwrap();
    let mut arguments = vec!["backfill".to_owned(), "--set".to_owned()];
    arguments.extend([format!("source.files.paths={}", dir.path().display())]);
    let finished = run_to_end(command(&arguments), WITHIN).expect_code(1);
    assert!(finished.stderr.contains("run `tickcast history` again"), "{}", finished.stderr);
    run(&server, kind, dir.path(), &[]).expect_code(0);
    equals_plain(kind, dir.path(), |_| false);
}

#[test]
fn a_rest_that_is_not_the_one_that_was_asked_for_is_not_taken() {
    let (kind, dir) = (Kind::Klines, temp_dir());
    let server = Archive::start(kind);
    let broken = [Act::Cut(5000), Act::WrongRange];
    // The checksum comes as it is; then the file breaks off twice, and what goes on does so elsewhere.
    server.act([Act::Whole]).act(broken.clone()).act(broken);
    run(&server, kind, dir.path(), &["--set", "history.repair=false", "--to", "2023-12-31T00:00:00Z"]).expect_code(0);
    let series = index(dir.path()).series.remove(0);
    assert_eq!((series.faults.len(), series.files.len()), (0, 1), "{series:?}");
    assert_eq!(server.asked().iter().filter(|path| path.ends_with(".zip")).count(), 5, "all acts were played");
}

#[test]
fn a_server_that_is_not_well_is_named_and_costs_no_haste() {
    let kind = Kind::Klines;
    let server = Archive::start(kind);
    let dir = temp_dir();
    let short = ["--set", "history.timeout=1s", "--to", "2023-12-31T00:00:00Z"];
    for (acts, said) in [
        (vec![Act::Status(451, "")], "HTTP 451: the venue does not serve this country"),
        (vec![Act::Status(403, "")], "HTTP 403"),
    ] {
        server.act(acts);
        let finished = run(&server, kind, dir.path(), &short).expect_code(1);
        assert!(finished.stderr.contains(said), "{said}: {}", finished.stderr);
        assert!(!dir.path().join("history.json").exists(), "there is no list");
    }
    // Half of it, then silence: the rest is asked for. Then it wants to be left alone.
    server.asked();
    server.act([
        Act::Status(429, "Retry-After: 1\r\n"),
        Act::Slow(Duration::from_millis(2500)),
        Act::Slow(Duration::from_millis(2500)),
    ]);
    let begun = std::time::Instant::now();
    run(&server, kind, dir.path(), &short).expect_code(0);
    assert!(begun.elapsed() >= Duration::from_secs(1), "it waits as it is told");
    assert!(server.asked().len() <= 8);
    // Nobody there at all.
    let gone = temp_dir();
    let mut arguments = download(&server, kind, gone.path(), &short);
    let away = ["--set", "history.url=http://127.0.0.1:9/", "--set", "history.repair=false"].map(str::to_owned);
    arguments.extend(away);
    let finished = run_to_end(command(&arguments), WITHIN).expect_code(1);
    assert!(
        finished.stderr.contains("127.0.0.1:9") && finished.stderr.contains("nothing was had"),
        "{}",
        finished.stderr
    );
    // A market that is not there; another kind in the same place.
    let finished = run(&server, Kind::Trades, dir.path(), &short).expect_code(2);
    assert!(finished.stderr.contains("holds binance spot klines 1m"), "{}", finished.stderr);
}
