//! Memory does not grow with the length of the stream.

use crate::support;
use crate::support::{run_to_end, tickcast};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Duration;

/// Backfills what `write` writes into a pipe of this name, with sinks where `sinks` says so: what waits for them counts. Gives
/// the summary; a run that used nothing has failed.
fn backfill(dir: &Path, name: &str, sinks: bool, write: impl FnOnce(&mut dyn Write) + Send) -> serde_json::Value {
    let pipe = dir.join(name);
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let paths = format!("source.files.paths={}", pipe.display());
    let (out, dead) = (dir.join(format!("{name}.out")), dir.join(format!("{name}.dead")));
    let (out, dead) = (format!("sink.files.dir={}", out.display()), format!("dead_letter.file={}", dead.display()));
    let mut sets = vec!["--set", &paths, "--set", "source.files.symbol=BTC"];
    if sinks {
        sets.extend(["--set", &out, "--set", &dead]);
    }
    let command = tickcast(["backfill", "--json", "--workers", "1"].into_iter().chain(sets));
    let finished = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut out = BufWriter::with_capacity(1 << 16, std::fs::File::create(&pipe).unwrap());
            write(&mut out);
            out.flush().unwrap();
        });
        run_to_end(command, Duration::from_secs(7200))
    });
    let summary: serde_json::Value = serde_json::from_slice(&finished.stdout).unwrap();
    finished.expect_code(i32::from(summary["records"]["used"] == 0));
    println!("{name}: {:.1} MB at most, {:.1} s", peak(&summary) / 1e6, summary["seconds"].as_f64().unwrap());
    summary
}

fn peak(summary: &serde_json::Value) -> f64 {
    summary["peak_memory_bytes"].as_f64().unwrap()
}

/// The peak memory for `count` ticks of one symbol, one each `pause_ms`, each line with `note` in a column that is not read.
fn peak_memory(dir: &Path, count: u64, pause_ms: u64, note: &str) -> f64 {
    // A file of features for each of twenty million ticks would be a test of the disk.
    let summary = backfill(dir, &format!("{count}-ticks.csv"), !note.is_empty(), |out| {
        writeln!(out, "timestamp,price,size,note").unwrap();
        for number in 0..count {
            let price = 10_000 + (number * 7919) % 1000;
            let at = 1_700_000_000_000 + number * pause_ms;
            writeln!(out, "{at},{price}.{:02},0.5,{note}", number % 100).unwrap();
        }
    });
    assert_eq!(summary["records"]["used"].as_u64(), Some(count));
    peak(&summary)
}

/// What a process may hold more of, for the same work, because the system gave it its memory in other pieces. Where something is
/// kept of each record, millions of records show it: a byte of each of ten million ticks is more than this.
const UNEVEN: f64 = 8e6;

/// 2 M ticks, one a second, are 23 days: longer than the model remembers (14 days), whose memory fills until then.
#[test]
#[ignore = "takes minutes: run ./deploy/test"]
fn a_job_of_any_length_needs_the_same_memory() {
    let dir = support::temp_dir();
    let many = if std::env::var_os("TICKCAST_TEST_LONG").is_some() { 50_000_000 } else { 12_000_000 };
    let (short, long) = (peak_memory(dir.path(), 2_000_000, 1000, ""), peak_memory(dir.path(), many, 1000, ""));
    assert!(long < 1e8, "{long} bytes for one symbol");
    assert!(long <= short + UNEVEN, "{short} bytes for 2 M ticks, {long} for {many}");
}

/// `TICKCAST_TEST_CSV_GB` sets the size (default 0.2; 10 takes a while). The tenth of it over the same days needs as much.
#[test]
#[ignore = "takes minutes: run ./deploy/test"]
fn a_csv_of_any_size_needs_the_same_memory() {
    const DAY_MS: u64 = 86_400_000;
    let gigabytes: f64 = std::env::var("TICKCAST_TEST_CSV_GB").map_or(0.2, |text| text.parse().unwrap());
    // As many lines as CSV files with a dozen columns more would have.
    let note = "x".repeat(220);
    let lines = (gigabytes * 1e9 / 248.0) as u64;
    let dir = support::temp_dir();
    let peak = |lines: u64| peak_memory(dir.path(), lines, 2 * DAY_MS / lines, &note);
    let (short, long) = (peak(lines / 10), peak(lines));
    assert!(long < 1e8, "{long} bytes for one symbol");
    assert!(long <= 1.1 * short, "{short} bytes for a tenth of {gigabytes} GB, {long} for all of it");
}

/// Neither a line of hundreds of megabytes nor a file that is only one line is ever held: 16 MiB of it are.
#[test]
fn a_line_of_any_length_needs_the_same_memory() {
    let dir = support::temp_dir();
    let mut peaks = Vec::new();
    for megabytes in [40, 400] {
        let long = |out: &mut dyn Write| (0..megabytes).for_each(|_| out.write_all(&[b'x'; 1_000_000]).unwrap());
        let csv = backfill(dir.path(), &format!("{megabytes}-MB-line.csv"), true, |out| {
            writeln!(out, "timestamp,price\n1700000000000,1").unwrap();
            long(out);
            writeln!(out, "\n1700000000001,2").unwrap();
        });
        assert_eq!((&csv["records"]["used"], &csv["records"]["undecodable"]), (&2.into(), &1.into()));
        let json = backfill(dir.path(), &format!("{megabytes}-MB-without-end.jsonl"), true, |out| long(out));
        assert_eq!((&json["records"]["used"], &json["records"]["undecodable"]), (&0.into(), &1.into()));
        peaks.push(peak(&csv).max(peak(&json)));
    }
    assert!(peaks[1] < 1.5e8, "{} bytes", peaks[1]);
    assert!(peaks[1] <= 1.1 * peaks[0], "{} bytes for 40 MB, {} for 400 MB", peaks[0], peaks[1]);
}

/// Ids without any order, in two files of which one runs far ahead of the other: what is remembered of trades, and what is held of
/// them in case the other file has the same, does not grow with their length.
#[test]
fn trades_that_may_come_twice_need_the_same_memory() {
    let dir = support::temp_dir();
    let peak = |count: u64| {
        let paths = [20, 200].map(|pause_ms| {
            let path = dir.path().join(format!("{count}-each-{pause_ms}-ms.csv"));
            let mut out = BufWriter::new(std::fs::File::create(&path).unwrap());
            writeln!(out, "timestamp,price,size,trade_id").unwrap();
            for number in 0..count {
                let (at, id) =
                    (1_700_000_000_000 + number * pause_ms, (number * 200 + pause_ms).wrapping_mul(0x9e37_79b9));
                writeln!(out, "{at},{}.5,1,{id:x}-4c36", 10_000 + number * 7919 % 1000).unwrap();
            }
            path.display().to_string()
        });
        let paths = format!("source.files.paths={}", paths.join(","));
        let hours = ["time.slide=1h", "time.windows=1h", "model.step=1h", "time.epoch=1h", "model.horizons=1h"];
        let sets = [&paths, "source.files.symbol=BTC", "model.preset=none"].into_iter().chain(hours);
        let sets = sets.flat_map(|set| ["--set", set]);
        let command = tickcast(["backfill", "--json", "--workers", "1"].into_iter().chain(sets));
        let finished = run_to_end(command, Duration::from_secs(600)).expect_code(0);
        let summary: serde_json::Value = serde_json::from_slice(&finished.stdout).unwrap();
        assert_eq!(summary["records"]["used"].as_u64(), Some(2 * count));
        println!("{count} trades in each: {:.1} MB at most", peak(&summary) / 1e6);
        peak(&summary)
    };
    let (short, long) = (peak(600_000), peak(2_000_000));
    assert!(long < 1.2e8 && long <= 1.25 * short, "{short} bytes for 600,000 trades in each, {long} for 2 M");
}
