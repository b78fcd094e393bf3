//! What a job costs that has little to do, and how soon a tick that closes a pane leads to an acknowledged forecast.
//!
//! `deploy/services prepare; cargo bench --bench calm`: starts a Kafka of its own, and `tickcast run` for one and four
//! partitions with one and two workers each, all at once; prints the CPU time of each, in percent of one core, at several
//! rates and with the broker away; then the latency at 1,000 ticks a second. Takes some four minutes. With other work on the
//! machine the latency says nothing; CPU time then is a little too high. `TICKCAST_BENCH_BINARY` names another binary to
//! measure.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "ticks have the time at which they are sent")]

#[path = "../tests/support/mod.rs"]
mod support;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};
use support::{Process, Service, Services, Signal};

/// Ticks a second, and the most that a job may take of a core then, in percent.
const RATES: [(u64, f64); 5] = [(0, 1.0), (1, 2.0), (20, 4.0), (100, 6.0), (1000, 20.0)];
const AWAY_MAX: f64 = 2.0;
/// Partitions and workers.
const SHAPES: [(i32, usize); 4] = [(1, 1), (4, 1), (1, 2), (4, 2)];
const SETTLE: Duration = Duration::from_secs(4);
const MEASURE: Duration = Duration::from_secs(10);
const AWAY: Duration = Duration::from_secs(30);
/// Of the latency: a forecast this often, for so long.
const STEP_MS: i64 = 500;
const LATENCY: Duration = Duration::from_secs(60);
const LATENCY_RATE: u64 = 1000;
/// Median and 99th percentile in milliseconds.
const LATENCY_MAX: [i64; 2] = [40, 90];

fn now_ms() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as i64
}

/// CPU time of a process so far, in seconds.
fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    // The kernel counts in hundredths whatever its own clock does.
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    ticks as f64 / 100.0
}

/// CPU time of each process over `time`, in percent of one core.
fn percents(jobs: &[Process], time: Duration) -> Vec<f64> {
    let (begun, before) = (Instant::now(), jobs.iter().map(|job| cpu_seconds(job.pid())).collect::<Vec<_>>());
    std::thread::sleep(time);
    let after = jobs.iter().map(|job| cpu_seconds(job.pid()));
    let took = begun.elapsed().as_secs_f64();
    after.zip(before).map(|(after, before)| (after - before) / took * 100.0).collect()
}

fn job(services: &Services, dir: &Path, topic: &str, workers: usize, extra: &str) -> Process {
    let kafka = services.kafka();
    let text = format!(
        "[job]\nid = \"{topic}\"\n[source.kafka]\nbrokers = \"{kafka}\"\ntopic = \"{topic}\"\nstart = \"latest\"\n\
         [sink.kafka]\nbrokers = \"{kafka}\"\ntopic = \"{topic}.forecasts\"\n{extra}"
    );
    let config = dir.join(format!("{topic}.toml"));
    std::fs::write(&config, text).unwrap();
    let mut command = support::tickcast(["run", "-c", config.to_str().unwrap(), "--workers", &workers.to_string()]);
    if let Some(binary) = std::env::var_os("TICKCAST_BENCH_BINARY") {
        let mut other = std::process::Command::new(binary);
        other.args(command.get_args());
        command = other;
    }
    Process::spawn(command)
}

/// Sends ticks of one symbol to all partitions of topics in turn, at the rate of the moment.
struct Market {
    rate: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Market {
    fn open(brokers: &str, topics: Vec<(String, i32)>) -> Self {
        let (rate, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("linger.ms", "0")
            .set("log_level", "0")
            .create()
            .unwrap();
        let (rate_of_now, stopped) = (Arc::clone(&rate), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let (mut sent, mut next) = (0_i32, Instant::now());
            while !stopped.load(Ordering::Relaxed) {
                let rate = rate_of_now.load(Ordering::Relaxed);
                let pause = next.saturating_duration_since(Instant::now());
                producer.poll(Duration::ZERO);
                if rate == 0 || !pause.is_zero() {
                    next = if rate == 0 { Instant::now() } else { next };
                    std::thread::sleep(pause.clamp(Duration::from_micros(100), Duration::from_millis(20)));
                    continue;
                }
                next += Duration::from_secs(1) / rate as u32;
                for (topic, partitions) in &topics {
                    let price = 100 + sent % 7;
                    let value = format!("{{\"symbol\":\"A\",\"timestamp\":{},\"price\":{price},\"size\":1}}", now_ms());
                    let record = BaseRecord::<[u8], [u8]>::to(topic).payload(value.as_bytes());
                    producer.send(record.partition(sent % partitions)).map_err(|(error, _)| error).unwrap();
                }
                sent = sent.wrapping_add(1) & 0xffff;
            }
            producer.flush(Duration::from_secs(5)).unwrap();
        });
        Self { rate, stop, thread: Some(thread) }
    }

    fn set_rate(&self, rate: u64) {
        self.rate.store(rate, Ordering::Relaxed);
    }
}

impl Drop for Market {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().map(JoinHandle::join);
    }
}

fn await_forecasts(services: &Services, topic: &str) {
    let consumer: BaseConsumer = ClientConfig::new().set("bootstrap.servers", services.kafka()).create().unwrap();
    support::eventually("the job has started", Duration::from_secs(60), || {
        let metadata = consumer.fetch_metadata(Some(&format!("{topic}.forecasts")), Duration::from_secs(10)).ok()?;
        metadata.topics().first().filter(|found| found.error().is_none()).map(|_| ())
    });
}

/// Prints the table; true where all is within the limits.
fn cpu(services: &Services, dir: &Path) -> bool {
    let topics: Vec<(String, i32)> =
        SHAPES.iter().map(|(partitions, workers)| (format!("calm-{partitions}-{workers}"), *partitions)).collect();
    for (topic, partitions) in &topics {
        support::create_topic(services.kafka(), topic, *partitions);
    }
    let jobs: Vec<Process> =
        topics.iter().zip(SHAPES).map(|((topic, _), (_, workers))| job(services, dir, topic, workers, "")).collect();
    std::thread::sleep(SETTLE * 2);
    let market = Market::open(services.kafka(), topics);
    let mut rows: Vec<(String, Vec<f64>, f64)> = Vec::new();
    for (rate, limit) in RATES {
        market.set_rate(rate);
        std::thread::sleep(SETTLE);
        rows.push((format!("{rate} ticks/s"), percents(&jobs, MEASURE), limit));
    }
    market.set_rate(20);
    std::thread::sleep(SETTLE);
    drop(market);
    services.stop(Service::Kafka);
    std::thread::sleep(Duration::from_secs(1));
    rows.push(("broker away".to_owned(), percents(&jobs, AWAY), AWAY_MAX));
    let mut header = format!("{:<14}", "% of a core");
    for (partitions, workers) in SHAPES {
        let _ = write!(header, "{:>12}", format!("{partitions}p {workers}w"));
    }
    println!("{header}{:>12}", "at most");
    let mut within = true;
    for (name, percents, limit) in rows {
        let cells: String = percents.iter().map(|percent| format!("{percent:>12.2}")).collect();
        println!("{name:<14}{cells}{limit:>12.2}");
        within &= percents.iter().all(|percent| *percent <= limit);
    }
    for mut job in jobs {
        assert!(job.is_running(), "{}", job.stderr());
        job.signal(Signal::Kill);
    }
    services.start(Service::Kafka);
    within
}

/// Prints the latency; true where it is within the limits.
fn latency(services: &Services, dir: &Path, partitions: i32, workers: usize) -> bool {
    let topic = format!("latency-{partitions}-{workers}");
    support::create_topic(services.kafka(), &topic, partitions);
    let time = format!(
        "[time]\nslide = \"{STEP_MS}ms\"\nwindows = [\"5s\", \"10s\"]\nallowed_lateness = \"0ms\"\nepoch = \"60s\"\n\
         [model]\nstep = \"{STEP_MS}ms\"\nhorizons = [\"{STEP_MS}ms\"]\n"
    );
    let mut job = job(services, dir, &topic, workers, &time);
    let market = Market::open(services.kafka(), vec![(topic.clone(), partitions)]);
    market.set_rate(LATENCY_RATE);
    await_forecasts(services, &topic);
    std::thread::sleep(SETTLE);
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", services.kafka())
        .set("group.id", "unused")
        .set("enable.auto.commit", "false")
        .set("fetch.wait.max.ms", "20")
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    let forecasts = format!("{topic}.forecasts");
    let count = support::end_offsets(services.kafka(), &forecasts).len();
    for partition in 0..count as i32 {
        list.add_partition_offset(&forecasts, partition, Offset::End).unwrap();
    }
    consumer.assign(&list).unwrap();
    let mut seen: BTreeMap<i64, i64> = BTreeMap::new();
    let begun = Instant::now();
    while begun.elapsed() < LATENCY {
        let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) else { continue };
        let now = now_ms();
        let forecast: serde_json::Value = serde_json::from_slice(message.payload().unwrap()).unwrap();
        let issued = forecast["issued_at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_millisecond();
        // The tick that closes the pane is sent when it ends, a few milliseconds later where its partition has its turn.
        seen.entry(issued).or_insert(now - issued);
    }
    drop(market);
    assert!(job.is_running(), "{}", job.stderr());
    job.signal(Signal::Kill);
    let mut all: Vec<i64> = seen.into_values().collect();
    all.sort_unstable();
    assert!(all.len() > 20, "{} forecasts", all.len());
    let at = |share: f64| all[((all.len() - 1) as f64 * share) as usize];
    let found = [at(0.5), at(0.99)];
    println!(
        "{LATENCY_RATE} ticks/s, {partitions} partitions, {workers} workers: a forecast can be read {} ms (p50), {} ms (p90), \
         {} ms (p99) after the tick that closes its pane was sent; {} of them; at most {} and {}",
        found[0],
        at(0.9),
        found[1],
        all.len(),
        LATENCY_MAX[0],
        LATENCY_MAX[1]
    );
    found.iter().zip(LATENCY_MAX).all(|(found, limit)| *found <= limit)
}

fn main() {
    let services = Services::own();
    let dir = support::temp_dir();
    let only = std::env::args().nth(1).filter(|argument| !argument.starts_with('-'));
    let wants = |part: &str| only.as_deref().is_none_or(|only| only == part);
    let mut within = true;
    if wants("cpu") {
        within &= cpu(&services, dir.path());
    }
    if wants("latency") {
        within &= latency(&services, dir.path(), 4, 1);
        within &= latency(&services, dir.path(), 1, 2);
    }
    println!("{}", if within { "all within the limits" } else { "NOT all within the limits" });
}
