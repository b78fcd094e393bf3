//! Forecasts of a live job, from Kafka to Kafka: over a resume with another number of workers and one with several processes, from
//! its checkpoints and from the beginning, while it runs and after; and when what they were made of is gone.

use super::{SETTINGS, START, Tick, check, explain, json, market};
use crate::support::{self, Process, Record, Signal, end_offsets, eventually, produce, read_committed, tickcast};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tickcast::connectors::kafka::EmbeddedBroker;

const WITHIN: Duration = Duration::from_secs(60);
const MINUTE: i64 = 60_000;
const TOPICS: [(&str, u32); 4] = [("ticks", 3), ("out", 2), ("out.scores", 2), ("out.progress", 1)];

struct Live {
    broker: EmbeddedBroker,
    dir: tempfile::TempDir,
    config: PathBuf,
    ticks: Vec<Tick>,
}

/// What explaining must leave as it is: ends of topics, progress, checkpoints.
#[derive(Debug, PartialEq)]
struct Standing {
    ends: Vec<BTreeMap<i32, i64>>,
    progress: Value,
    checkpoints: Vec<(PathBuf, u64, SystemTime)>,
}

impl Live {
    fn new(minutes: i64) -> Self {
        let broker = EmbeddedBroker::start(&TOPICS).unwrap();
        let (dir, brokers) = (support::temp_dir(), broker.bootstrap());
        let config = dir.path().join("tickcast.toml");
        let text = format!(
            "[source.kafka]\nbrokers = \"{brokers}\"\ntopic = \"ticks\"\n[sink.kafka]\nbrokers = \"{brokers}\"\ntopic = \"out\"\n\
             [checkpoint]\nurl = \"file://{}\"\ninterval = \"30s\"\nkeep = 3\n{SETTINGS}",
            dir.path().join("state").display()
        );
        std::fs::write(&config, text).unwrap();
        Self { broker, dir, config, ticks: market(minutes) }
    }

    fn start(&self, how: &[&str]) -> Process {
        let mut command = tickcast([how[0], "-c", self.config.to_str().unwrap()]);
        command.args(&how[1..]);
        Process::spawn(command)
    }

    /// Writes the ticks of some minutes, each symbol to its partition.
    fn feed(&self, from: i64, to: i64, wanted: impl Fn(&Tick) -> bool) {
        self.feed_span(START + from * MINUTE..START + to * MINUTE, wanted);
    }

    /// The same bit by bit, so that checkpoints come about.
    fn trickle(&self, from: i64, to: i64) {
        for at in (START + from * MINUTE..START + to * MINUTE).step_by(5_000) {
            self.feed_span(at..at + 5_000, |_| true);
            std::thread::sleep(Duration::from_millis(60));
        }
    }

    fn feed_span(&self, span: std::ops::Range<i64>, wanted: impl Fn(&Tick) -> bool) {
        let ticks = self.ticks.iter().filter(|tick| span.contains(&tick.at) && wanted(tick));
        let record = |tick: &Tick| Record {
            partition: ["BTC/USD", "ETH", "SOL"].iter().position(|of| *of == tick.symbol).map(|place| place as i32),
            key: Some(tick.symbol.to_owned()),
            value: tick.line.clone().into_bytes(),
        };
        produce(&self.broker.bootstrap(), "ticks", ticks.map(record));
    }

    fn progress(&self) -> Value {
        let last = read_committed(&self.broker.bootstrap(), "out.progress").pop();
        last.map_or(Value::Null, |record| serde_json::from_slice(&record.value).unwrap())
    }

    /// Waits until the job has published what it can of the first minutes.
    fn await_published(&self, job: &mut Process, minutes: i64) {
        let wanted = START + minutes * MINUTE - 15_000;
        eventually(&format!("what minute {minutes} gives"), WITHIN, || {
            assert!(job.is_running(), "{}", job.stderr());
            std::thread::sleep(Duration::from_millis(100));
            (self.progress()["through"].as_i64() >= Some(wanted)).then_some(())
        });
    }

    /// The forecasts that are published, by id.
    fn published(&self) -> BTreeMap<String, String> {
        let records = read_committed(&self.broker.bootstrap(), "out");
        let lines = records.into_iter().map(|record| String::from_utf8(record.value).unwrap());
        lines.map(|line| (json(&line)["id"].as_str().unwrap().to_owned(), line)).collect()
    }

    fn checkpoints(&self) -> Vec<(PathBuf, u64, SystemTime)> {
        let mut found = Vec::new();
        let mut open = vec![self.dir.path().join("state")];
        while let Some(dir) = open.pop() {
            for entry in std::fs::read_dir(&dir).into_iter().flatten().map(Result::unwrap) {
                let about = entry.metadata().unwrap();
                if about.is_dir() {
                    open.push(entry.path());
                } else {
                    found.push((entry.path(), about.len(), about.modified().unwrap()));
                }
            }
        }
        found.sort();
        found
    }

    /// The cuts that are kept, as minutes since the start.
    fn cuts(&self) -> Vec<f64> {
        let manifests = self.checkpoints().into_iter().filter(|(path, ..)| path.ends_with("manifest"));
        let mut cuts: Vec<f64> = manifests
            .map(|(path, ..)| {
                let text = std::fs::read_to_string(path).unwrap();
                let manifest: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
                (manifest["cut"].as_i64().unwrap() - START) as f64 / MINUTE as f64
            })
            .collect();
        cuts.sort_by(f64::total_cmp);
        cuts
    }

    fn standing(&self) -> Standing {
        let ends = TOPICS.iter().map(|(topic, _)| end_offsets(&self.broker.bootstrap(), topic)).collect();
        Standing { ends, progress: self.progress(), checkpoints: self.checkpoints() }
    }

    /// That no consumer group has committed anything.
    fn assert_no_offsets(&self) {
        for group in ["tickcast-btc", "tickcast-verify", "tickcast-explain"] {
            let mut config = ClientConfig::new();
            config.set("bootstrap.servers", self.broker.bootstrap()).set("group.id", group);
            let consumer: BaseConsumer = config.create().unwrap();
            let mut asked = TopicPartitionList::new();
            for partition in 0..3 {
                asked.add_partition("ticks", partition);
            }
            let found = consumer.committed_offsets(asked, WITHIN).unwrap();
            assert!(found.elements().iter().all(|of| of.offset() == Offset::Invalid), "{group}: {found:?}");
        }
    }
}

/// The ids issued in some minutes, about so many of them.
fn issued(forecasts: &BTreeMap<String, String>, from: f64, to: f64, count: usize) -> Vec<&String> {
    let minute = |line: &str| {
        let at: jiff::Timestamp = json(line)["issued_at"].as_str().unwrap().parse().unwrap();
        (at.as_millisecond() - START) as f64 / MINUTE as f64
    };
    let found = forecasts.iter().filter(|(_, line)| (from..to).contains(&minute(line))).map(|(id, _)| id);
    let found: Vec<&String> = found.collect();
    assert!(!found.is_empty(), "nothing is issued from minute {from} to {to}");
    let every = found.len().div_ceil(count);
    found.into_iter().step_by(every).collect()
}

fn told_of(config: &Path, id: &str, more: &[&str]) -> Value {
    let arguments: Vec<&str> = ["--json"].into_iter().chain(more.iter().copied()).collect();
    json(&explain(config, id, &arguments).expect_code(0).stdout_text())
}

#[test]
fn a_live_jobs_forecasts_come_out_over_resumes_and_what_is_gone_is_told() {
    let live = Live::new(70);
    let mut job = live.start(&["run", "--workers", "1"]);
    for from in (0..20).step_by(5) {
        live.feed(from, from + 5, |_| true);
        live.await_published(&mut job, from + 5);
    }
    // One symbol comes after the others have gone on without it: its partition was idle, and its ticks are late.
    live.feed(20, 25, |tick| tick.symbol != "ETH");
    live.await_published(&mut job, 25);
    live.feed(20, 25, |tick| tick.symbol == "ETH");
    live.feed(25, 30, |_| true);
    live.await_published(&mut job, 30);
    let releases = live.progress()["releases"].clone();
    assert!(!releases.as_array().unwrap().is_empty(), "a release: {}", live.progress());
    job.signal(Signal::Kill);
    drop(job.wait(WITHIN));

    // With more workers, then with several processes.
    let mut job = live.start(&["run", "--workers", "3"]);
    for from in (30..45).step_by(5) {
        live.feed(from, from + 5, |_| true);
        live.await_published(&mut job, from + 5);
    }
    assert!(job.stderr().contains("goes on from the checkpoint of "), "{}", job.stderr());
    job.signal(Signal::Kill);
    drop(job.wait(WITHIN));
    let mut job = live.start(&["cluster", "--processes", "2", "--workers", "1"]);
    for from in [45, 50] {
        live.feed(from, from + 5, |_| true);
        live.await_published(&mut job, from + 5);
    }
    live.trickle(55, 60);
    live.await_published(&mut job, 60);

    // While it runs: it is not disturbed, and nothing is changed.
    let forecasts = live.published();
    let before = eventually("the job rests", WITHIN, || {
        let standing = live.standing();
        std::thread::sleep(Duration::from_secs(2));
        (standing == live.standing()).then_some(standing)
    });
    // Those of before are computed from the beginning, those of after from a checkpoint.
    let oldest = live.cuts()[0];
    assert!(oldest > 1.0, "{:?}", live.cuts());
    let after = (oldest + 0.05, 45.0_f64.max(oldest + 1.0));
    let spans = [(0.0, oldest.min(20.0)), (20.0, oldest.min(30.0)), (30.0, oldest), after, (55.0, 60.0)];
    // Which checkpoints are kept is a matter of pace: from some spans on nothing is before the oldest.
    let spans = spans.into_iter().filter(|(from, to)| from < to);
    let asked = spans.flat_map(|(from, to)| {
        let expected = if from >= oldest { "checkpoint" } else { "beginning" };
        issued(&forecasts, from, to, 3).into_iter().map(move |id| (id, expected))
    });
    let asked: Vec<(&String, &str)> = asked.collect();
    // This broker leaves questions unanswered that a real one answers at once: side by side.
    let told: Vec<Value> = std::thread::scope(|scope| {
        let ask = |(turn, (id, _)): (usize, &(&String, _))| {
            let (config, id, workers) = (live.config.clone(), (*id).clone(), ["1", "2"][turn % 2]);
            scope.spawn(move || told_of(&config, &id, &["--workers", workers]))
        };
        let asking: Vec<_> = asked.iter().enumerate().map(ask).collect();
        asking.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    let mut versions = Vec::new();
    for ((id, from), told) in asked.iter().zip(&told) {
        check(told, &forecasts[*id]);
        assert_eq!(told["replay"]["from"], *from, "{id}: {}", told["replay"]);
        versions.push(told["model"]["version"].as_u64().unwrap());
    }
    assert!(versions.contains(&0) && versions.iter().any(|version| *version > 0), "{versions:?}");
    // The same whatever it is computed from.
    let last = issued(&forecasts, oldest + 0.05, 60.0, 1)[0];
    let whole = told_of(&live.config, last, &["--from-start"]);
    check(&whole, &forecasts[last]);
    assert!(
        whole["replay"]["from"] == "beginning"
            && whole["bars"].as_array().unwrap().iter().all(|bar| bar["from"] == "records")
    );
    let short = told_of(&live.config, last, &[]);
    assert!(
        ["features", "experts", "layers", "model", "sequence"].iter().all(|part| whole[part] == short[part]),
        "{last}"
    );
    assert_eq!(live.standing(), before);
    live.assert_no_offsets();
    assert!(job.is_running(), "{}", job.stderr());

    // It goes on, and the broker forgets what it has read.
    let mut random = ChaCha8Rng::seed_from_u64(1);
    for _ in 0..10 {
        let pads = (0..30).map(|number| {
            // Nothing that could be compressed: the broker counts what it holds.
            let pad: String = (0..100_000).map(|_| char::from(b'0' + (random.next_u32() % 64) as u8)).collect();
            let value = serde_json::json!({ "event": "heartbeat", "pad": pad }).to_string().into_bytes();
            Record { partition: Some(number % 3), key: None, value }
        });
        produce(&live.broker.bootstrap(), "ticks", pads);
        // The job has to have read them before they are gone.
        std::thread::sleep(Duration::from_millis(500));
    }
    let newest = (60..69).find_map(|minute| {
        live.trickle(minute, minute + 1);
        live.await_published(&mut job, minute + 1);
        live.cuts().last().copied().filter(|cut| *cut > 60.0 && *cut + 0.5 < minute as f64)
    });
    let newest = newest.unwrap_or_else(|| panic!("a checkpoint: {:?}", live.cuts()));
    let forecasts = live.published();
    let last = issued(&forecasts, newest + 0.05, 69.0, 1)[0];
    check(&told_of(&live.config, last, &[]), &forecasts[last]);
    let old = issued(&forecasts, 10.0, 12.0, 1)[0];
    let told = explain(&live.config, old, &[]).expect_code(5);
    for part in [
        "inputs_gone: ",
        "the forecast is not after it",
        "from the beginning offset 0 of ticks/0 is no longer there",
        "checkpoint.keep",
    ] {
        assert!(told.stderr.contains(part), "{part}: {}", told.stderr);
    }
    assert!(told.stdout.is_empty());
    // Something else would be computed: that is no difference.
    let told = explain(&live.config, last, &["--set", "model.random_seed=7"]).expect_code(5);
    assert!(
        told.stderr.contains("other_computation: ") && told.stderr.contains("model.random_seed = 42"),
        "{}",
        told.stderr
    );
    job.signal(Signal::Term);
    job.wait(WITHIN).expect_code(0);
    check(&told_of(&live.config, last, &[]), &forecasts[last]);
}

/// A job that began with files and went on with a topic: both are read again, each record once.
#[test]
fn forecasts_of_a_history_and_of_what_followed_come_out() {
    let live = Live::new(24);
    let history = live.dir.path().join("history.jsonl");
    let past = live.ticks.iter().filter(|tick| tick.at < START + 12 * MINUTE);
    std::fs::write(&history, past.fold(String::new(), |text, tick| text + &tick.line + "\n")).unwrap();
    let text = std::fs::read_to_string(&live.config).unwrap();
    let files = format!("[source.files]\npaths = [\"{}\"]\n", history.display());
    std::fs::write(&live.config, text + &files).unwrap();
    // The topic has some of it, too.
    live.feed(10, 16, |_| true);
    let mut job = live.start(&["backfill", "--then-live", "--workers", "2"]);
    live.await_published(&mut job, 16);
    live.trickle(16, 24);
    live.await_published(&mut job, 24);
    let forecasts = live.published();
    let told: Vec<(String, Value)> = std::thread::scope(|scope| {
        let asked = [(5.0, 12.0), (12.0, 16.0), (16.0, 24.0)].into_iter();
        let asking = asked.flat_map(|(from, to)| issued(&forecasts, from, to, 2)).map(|id| {
            let (config, id) = (live.config.clone(), id.clone());
            scope.spawn(move || (id.clone(), told_of(&config, &id, &["--from-start"])))
        });
        let asking: Vec<_> = asking.collect();
        asking.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    for (id, told) in &told {
        check(told, &forecasts[id]);
        assert_eq!(told["replay"]["from"], "beginning", "{id}");
    }
    let reads = |source: &str| {
        told.iter()
            .filter(|(_, told)| told["input"]["partitions"][0]["source"].as_str().unwrap().ends_with(source))
            .count()
    };
    assert!(reads("history.jsonl") > 0 && reads("ticks") > 0, "{told:?}");
    job.signal(Signal::Term);
    job.wait(WITHIN).expect_code(0);
    // Without the history it cannot be computed from the beginning.
    std::fs::write(&live.config, std::fs::read_to_string(&live.config).unwrap().replace(&files, "")).unwrap();
    let id = issued(&forecasts, 5.0, 6.0, 1)[0];
    let told = explain(&live.config, id, &[]).expect_code(5);
    assert!(told.stderr.contains("it begins with a history that is not as it was"), "{}", told.stderr);
}
