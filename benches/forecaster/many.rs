//! Many symbols through the whole dataflow on two workers, with everything on: four ticks a minute each, made as they are
//! read, to a sink that counts.

use crate::series::{MINUTE_MS, START_MS};
use crate::{cpu_seconds, resident_bytes};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tickcast::config::{Config, Format};
use tickcast::connectors::input::{Flow, Input, InputError, PartitionState, Payload, Record};
use tickcast::dataflows::checkpoints::{Checkpoints, KeptFrom};
use tickcast::dataflows::job::{self, Job};
use tickcast::delivery::{Batch, Sink, SinkError, Stop};
use tickcast::formats::Decoder;
use tickcast::market::{
    Fixed, Generation, Observation, PartitionId, Quote, Side, Span, Symbol, SymbolId, SymbolTable, Timestamp,
};
use tickcast::operators::support::stats::Stats;
use tickcast::recovery::Computation;
use tickcast::recovery::kept;
use tickcast::recovery::saver::Pace;
use tickcast::recovery::store::{Directory, Store};

const WORKERS: usize = 2;
const TICKS_PER_MINUTE: usize = 4;
/// Figures are printed for every so many minutes of event time.
const MINUTES_PER_LINE: i64 = 30;

/// One worker's symbols, in one partition; ticks come in the order of time.
struct Walks {
    partition: u32,
    names: Vec<Symbol>,
    ids: Vec<SymbolId>,
    prices: Vec<f64>,
    /// Ticks so far: the offset.
    next: u64,
    end: u64,
}

impl Walks {
    fn new(worker: usize, symbols: usize, minutes: u64) -> Self {
        let names: Vec<Symbol> =
            (worker..symbols).step_by(WORKERS).map(|k| Symbol::new(&format!("S{k:05}")).unwrap()).collect();
        let prices = vec![1000.0; names.len()];
        let end = minutes * (TICKS_PER_MINUTE * names.len()) as u64;
        Self { partition: worker as u32, names, ids: Vec::new(), prices, next: 0, end }
    }

    fn tick(&mut self) -> Observation {
        let symbols = self.names.len() as u64;
        let (round, place) = (self.next / symbols, self.next % symbols);
        let span = (MINUTE_MS as u64) / TICKS_PER_MINUTE as u64;
        let at = START_MS + (round * span + place * span / symbols) as i64;
        let random = mix(self.next ^ u64::from(self.partition) << 60);
        // Four 16-bit numbers: nearly normal. Volatility swings over two hours.
        let normal = (0..4).map(|k| (random >> (16 * k) & 0xffff) as f64 / 65_536.0 - 0.5).sum::<f64>() * 1.73;
        let swing = libm::exp(0.7 * libm::sin(round as f64 / 76.0 + place as f64));
        let price = &mut self.prices[place as usize];
        *price *= 1.0 + 3.5e-4 * swing * normal + 1e-6 * (1000.0 - *price) / 1000.0;
        let quote = Quote::Tick {
            price: Fixed::from_raw((*price * 1e8) as i64),
            size: Fixed::from_raw(((random >> 20) & 0xfff_ffff) as i64 + 1),
            side: Some(if random & 1 == 0 { Side::Buy } else { Side::Sell }),
        };
        let symbol = self.ids[place as usize];
        Observation { symbol, at: Timestamp::from_millis(at), quote, identity: None, reported: None }
    }
}

/// The mixer of `SplitMix64`.
fn mix(number: u64) -> u64 {
    let z = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Input for Walks {
    fn partitions(&self) -> Vec<PartitionId> {
        vec![PartitionId(self.partition)]
    }

    fn topic(&self, _partition: PartitionId) -> Arc<str> {
        "walks".into()
    }

    fn decoder(&self, _partition: PartitionId) -> Result<Decoder, InputError> {
        Ok(Decoder::json(Format::Auto, None, None))
    }

    fn read(
        &mut self,
        _partition: PartitionId,
        limit: usize,
        symbols: &mut SymbolTable,
        visit: &mut dyn FnMut(Record<'_>, &mut SymbolTable) -> Flow,
    ) -> Result<PartitionState, InputError> {
        if self.ids.is_empty() {
            self.ids = self.names.iter().map(|name| symbols.intern(name.as_str()).unwrap()).collect();
            self.ids.iter().for_each(|id| symbols.hold(*id));
        }
        for _ in 0..limit {
            if self.next == self.end {
                return Ok(PartitionState::Ended);
            }
            let (offset, value) = (self.next, Payload::Observed(self.tick()));
            self.next += 1;
            if visit(Record { offset, broker_time: None, key: None, value }, symbols) == Flow::Pause {
                break;
            }
        }
        Ok(PartitionState::Behind)
    }
}

/// When some minute was published, and what it had taken by then.
#[derive(Clone, Copy)]
struct Mark {
    minute: i64,
    at: Instant,
    cpu: f64,
    resident: u64,
    forecasts: u64,
    scores: u64,
}

struct Counter {
    marks: Arc<Mutex<Vec<Mark>>>,
    forecasts: u64,
    scores: u64,
    deadline: Instant,
    stop: Stop,
}

impl Sink for Counter {
    fn name(&self) -> &'static str {
        "counter"
    }

    fn write(&mut self, batch: &Batch, _stop: &Stop) -> Result<(), SinkError> {
        self.forecasts += batch.forecasts.len() as u64;
        self.scores += batch.scores.len() as u64;
        let minute = (batch.through.millis() - START_MS) / MINUTE_MS;
        let mut marks = self.marks.lock().unwrap();
        if marks.last().is_none_or(|last| minute > last.minute) && minute > 0 {
            let (cpu, resident) = (cpu_seconds(), resident_bytes());
            let (forecasts, scores) = (self.forecasts, self.scores);
            marks.push(Mark { minute, at: Instant::now(), cpu, resident, forecasts, scores });
        }
        if Instant::now() > self.deadline {
            self.stop.request();
        }
        Ok(())
    }
}

/// Runs it, with a checkpoint in each `every`; gives wall seconds per minute of event time.
pub fn run(symbols: usize, minutes: u64, seconds: u64, every: Option<Duration>) -> f64 {
    let (marks, stop) = (Arc::new(Mutex::new(Vec::new())), Stop::default());
    let deadline = Instant::now() + Duration::from_secs(seconds);
    let sink = Counter { marks: Arc::clone(&marks), forecasts: 0, scores: 0, deadline, stop: stop.clone() };
    println!("{symbols} symbols, {TICKS_PER_MINUTE} ticks a minute each, {WORKERS} workers, everything on");
    let dir = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(Directory::new(dir.path()));
    let checkpoints = every.map(|pause| Checkpoints {
        store: Arc::clone(&store),
        pace: Pace { interval: Span::from_millis(MINUTE_MS), pause, keep: 3, stragglers: Duration::from_secs(1) },
        generation: Generation(1),
        computation: Computation::default(),
        sources: (0..WORKERS as u32).map(PartitionId).collect(),
        partitions: WORKERS as u32,
        history: Generation::default(),
        sinks: Vec::new(),
        kept_from: KeptFrom::default(),
        files: Vec::new(),
    });
    let summary = job::run(Job {
        config: Config::default(),
        workers: WORKERS,
        cluster: None,
        serialised: false,
        input: Arc::new(move |worker, _| Ok(Box::new(Walks::new(worker, symbols, minutes)) as Box<dyn Input>)),
        sinks: vec![Box::new(sink)],
        bounded: true,
        range: (None, None),
        releases: Vec::new(),
        history: None,
        symbol_shares: None,
        checkpoints,
        restored: None,
        initial: None,
        trace: None,
        stop,
        stats: Arc::new(Stats::default()),
    })
    .unwrap();
    let marks = marks.lock().unwrap();
    println!("event minutes    wall s/minute   CPU s/minute   µs CPU/symbol-step   resident MB   forecasts    scores");
    let mut from: Option<&Mark> = None;
    for mark in marks.iter() {
        let Some(before) = from else {
            from = Some(mark);
            continue;
        };
        if mark.minute / MINUTES_PER_LINE == before.minute / MINUTES_PER_LINE {
            continue;
        }
        let count = (mark.minute - before.minute) as f64;
        let (wall, cpu) = ((mark.at - before.at).as_secs_f64() / count, (mark.cpu - before.cpu) / count);
        println!(
            "{:5} to {:5}   {wall:12.3}   {cpu:12.3}   {:18.1}   {:11.0}   {:9}   {:7}",
            before.minute,
            mark.minute,
            cpu / symbols as f64 * 1e6,
            mark.resident as f64 / 1e6,
            mark.forecasts,
            mark.scores,
        );
        from = Some(mark);
    }
    let slowest = marks.windows(2).map(|m| (m[1].at - m[0].at).as_secs_f64() / (m[1].minute - m[0].minute) as f64);
    println!(
        "the slowest minute {:.2} s of wall time; peak of resident memory {:.0} MB; {:.0} s in all",
        slowest.fold(0.0, f64::max),
        summary.peak_memory_bytes as f64 / 1e6,
        summary.seconds,
    );
    for (name, found) in kept::found(store.as_ref(), "btc").unwrap() {
        println!("checkpoint {name}: {:.0} MB", found.unwrap().bytes() as f64 / 1e6);
    }
    let (first, last) = (marks.first().unwrap(), marks.last().unwrap());
    (last.at - first.at).as_secs_f64() / (last.minute - first.minute) as f64
}
