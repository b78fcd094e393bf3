//! Memory does not grow with the length of the stream.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

mod support;

use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Duration;
use support::{run_to_end, tickcast};

/// Backfills `count` ticks of one symbol, one a second, that come through a pipe. Gives the peak memory.
///
/// So 2 M ticks are 23 days: longer than the model remembers (14 days), whose memory fills until then.
fn peak_memory(dir: &Path, count: u64) -> u64 {
    let pipe = dir.join(format!("ticks-{count}.csv"));
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let writing = {
        let pipe = pipe.clone();
        std::thread::spawn(move || {
            let mut out = BufWriter::with_capacity(1 << 16, std::fs::File::create(pipe).unwrap());
            writeln!(out, "timestamp,price,size").unwrap();
            for number in 0..count {
                let price = 10_000 + (number * 7919) % 1000;
                writeln!(out, "{},{price}.{:02},0.5", 1_700_000_000_000 + number * 1000, number % 100).unwrap();
            }
            out.flush().unwrap();
        })
    };
    let paths = format!("source.files.paths={}", pipe.display());
    let sets = ["--set", &paths, "--set", "source.files.symbol=BTC"];
    let command = tickcast(["backfill", "--json", "--workers", "1"].into_iter().chain(sets));
    let finished = run_to_end(command, Duration::from_secs(900)).expect_code(0);
    writing.join().unwrap();
    let summary: serde_json::Value = serde_json::from_slice(&finished.stdout).unwrap();
    assert_eq!(summary["records"]["used"].as_u64(), Some(count));
    let (peak, seconds) = (summary["peak_memory_bytes"].as_u64().unwrap(), summary["seconds"].as_f64().unwrap());
    println!("{count} ticks: {:.1} MB at most, {seconds:.1} s", peak as f64 / 1e6);
    peak
}

#[test]
#[ignore = "takes minutes: run ./deploy/test"]
fn two_and_twenty_million_ticks_need_the_same_memory() {
    let dir = support::temp_dir();
    let (short, long) = (peak_memory(dir.path(), 2_000_000), peak_memory(dir.path(), 20_000_000));
    assert!(long < 100_000_000, "{long} bytes for one symbol");
    assert!(long as f64 <= 1.1 * short as f64, "{short} bytes for 2 M ticks, {long} for 20 M");
}
