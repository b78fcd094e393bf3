//! Time of a training step (forward, mean squared error, backward, Adam; 32 sequences) and of a forecast from one
//! sequence, on one thread. With `TICKCAST_TORCH_PYTHON` naming a python that imports torch, the same in PyTorch, in the
//! same run, and the ratios. Rates are compared to the peak of fused multiply-adds, measured beside each shape.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, missing_docs)]

use multiversion::multiversion;
use multiversion::target::match_target;
use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use tickcast::model::{AdamW, AdamWSettings, Gradients, Lstm, LstmShape, Predictor, Workspace};

const BATCH: usize = 32;
/// Steps, inputs, hidden units.
const SHAPES: [(usize, usize, usize); 5] = [(5, 6, 32), (60, 6, 32), (5, 16, 100), (60, 16, 100), (16, 14, 32)];

fn main() {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: Vec<&str> = load.split(' ').take(3).collect();
    println!("batch {BATCH}, one output, mean squared error, Adam; one thread; µs; load average {}", load.join(" "));
    println!("GFLOP/s and their share of the peak at p50 and at min; `done`: the share that is really computed");
    let torch = torch();
    let peak = peak_gflops();
    for (steps, inputs, hidden) in SHAPES {
        let shape = LstmShape { inputs, hidden, layers: 1, steps, outputs: 1 };
        let train = training(shape);
        let predict = prediction(shape);
        let name = format!("{steps},{inputs},{hidden}");
        let (mflop, done) = (flops(&shape) / 1e6, flops_done(&shape) / flops(&shape));
        let (median, best) = (mflop / train.median * 1e3, mflop / train.least * 1e3);
        println!(
            "T,F,H = {name:9} train p50 {:8.1} min {:8.1} CPU {:8.1}   predict p50 {:6.2} min {:6.2}",
            train.median, train.least, train.cpu, predict.median, predict.least,
        );
        println!(
            "      {mflop:5.1} MFLOP    {median:5.1} GFLOP/s, {:.0} % of {peak:.0}; at min {best:5.1}, {:.0} %; done {:.0} % of them",
            100.0 * median / peak,
            100.0 * best / peak,
            100.0 * done,
        );
        let Some([median, least, cpu, predict_median, predict_least]) = torch.get(&name) else { continue };
        println!(
            "      torch {:9} train p50 {median:8.1} min {least:8.1} CPU {cpu:8.1}   predict p50 {predict_median:6.2} min {predict_least:6.2}",
            ""
        );
        println!(
            "      torch/ours      train p50 {:8.1} min {:8.1} CPU {:8.1}   predict p50 {:6.1} min {:6.1}",
            median / train.median,
            least / train.least,
            cpu / train.cpu,
            predict_median / predict.median,
            predict_least / predict.least
        );
    }
    println!("peak at the start {peak:.0} GFLOP/s, at the end {:.0}", peak_gflops());
}

/// Floating-point operations of a training step's matrix products; the backward pass counts as two forward passes. That is
/// the usual count: what need not be computed (the gradient by the inputs, products with the first, zero hidden state)
/// counts too, so the rate may exceed the processor's peak.
fn flops(shape: &LstmShape) -> f64 {
    let LstmShape { inputs, hidden, steps, .. } = *shape;
    (3 * (2 * BATCH * steps * 4 * hidden * (inputs + hidden) + 2 * BATCH * hidden)) as f64
}

/// The same without what need not be computed: the products, forward and for the weights' gradient, and those that take the
/// gradient from a step to the one before.
fn flops_done(shape: &LstmShape) -> f64 {
    let LstmShape { inputs, hidden, steps, .. } = *shape;
    let by_gate = 2 * (steps * inputs + (steps - 1) * hidden) + (steps - 1) * hidden;
    (2 * BATCH * 4 * hidden * by_gate + 3 * 2 * BATCH * hidden) as f64
}

/// The most that this core does now: sums that stay in registers, as many side by side as hide the latency of a fused
/// multiply-add, in vectors as wide as the kernels'. The best of many short rounds, so that other processes do not count.
fn peak_gflops() -> f64 {
    const TURNS: u64 = 100_000;
    let round = |_| {
        let start = Instant::now();
        let (sum, flops) = multiply_add(std::hint::black_box(TURNS), std::hint::black_box(0.999));
        std::hint::black_box(sum);
        flops as f64 / start.elapsed().as_nanos() as f64
    };
    (0..3000).map(round).fold(0.0, f64::max)
}

#[rustversion::attr(since(1.89), multiversion(targets("x86_64+avx512f+avx512vl+avx2+fma", "x86_64+avx2+fma")))]
#[rustversion::attr(before(1.89), multiversion(targets("x86_64+avx2+fma")))]
fn multiply_add(turns: u64, factor: f32) -> (f32, u64) {
    match_target! {
        "x86_64+avx512f+avx512vl+avx2+fma" => sums::<true, 16>(turns, factor),
        "x86_64+avx2+fma" => sums::<true, 8>(turns, factor),
        _ => sums::<false, 4>(turns, factor),
    }
}

/// `sum = sum * factor + factor` for twelve vectors; gives their sum, and how many operations that took.
#[inline(always)]
fn sums<const FMA: bool, const WIDTH: usize>(turns: u64, factor: f32) -> (f32, u64) {
    macro_rules! each {
        ($sums:ident, $($at:literal)*) => {$(
            for sum in &mut $sums[$at] {
                *sum = if FMA { sum.mul_add(factor, factor) } else { *sum * factor + factor };
            }
        )*};
    }
    let mut sums = [[0.0_f32; WIDTH]; 12];
    for _ in 0..turns {
        each!(sums, 0 1 2 3 4 5 6 7 8 9 10 11);
    }
    (sums.iter().flatten().sum(), turns * 12 * WIDTH as u64 * 2)
}

fn training(shape: LstmShape) -> Times {
    let mut lstm = Lstm::new(shape, 1).unwrap();
    let mut workspace = Workspace::new(&shape, BATCH);
    let mut gradients = Gradients::new(&shape);
    let settings = AdamWSettings { weight_decay: 0.0, ..AdamWSettings::default() };
    let mut adam = AdamW::new(settings, shape.parameters());
    let inputs = numbers(shape.steps * BATCH * shape.inputs);
    let targets = numbers(BATCH);
    let mut d_outputs = vec![0.0; BATCH];
    measure(|| {
        let outputs = lstm.forward(&inputs, BATCH, None, &mut workspace);
        for ((d_output, output), target) in d_outputs.iter_mut().zip(outputs).zip(&targets) {
            *d_output = 2.0 * (output - target) / BATCH as f32;
        }
        lstm.backward(&d_outputs, &mut workspace, &mut gradients);
        adam.step(lstm.flat_mut(), gradients.flat());
    })
}

fn prediction(shape: LstmShape) -> Times {
    let mut predictor = Predictor::new(&Lstm::new(shape, 1).unwrap());
    let sequence = numbers(shape.steps * shape.inputs);
    measure(|| {
        std::hint::black_box(predictor.predict(std::hint::black_box(&sequence)));
    })
}

/// Some numbers of about unit size, always the same.
fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|at| ((at * 7919 + 13) % 1009) as f32 / 291.0 - 1.73).collect()
}

/// Microseconds per call: wall clock of single calls, and this thread's time on a processor, averaged over all calls.
struct Times {
    median: f64,
    least: f64,
    cpu: f64,
}

/// Times each call on its own, so that the least and the median stand when other processes interrupt some of them.
fn measure(mut call: impl FnMut()) -> Times {
    for _ in 0..50 {
        call();
    }
    let (start, cpu) = (Instant::now(), cpu_nanoseconds());
    let mut times = Vec::new();
    while times.len() < 300 || (start.elapsed() < Duration::from_millis(1500) && times.len() < 100_000) {
        let start = Instant::now();
        call();
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    let cpu = (cpu_nanoseconds() - cpu) / 1e3 / times.len() as f64;
    times.sort_unstable_by(f64::total_cmp);
    Times { median: times[times.len() / 2], least: times[0], cpu }
}

/// This thread's time on a processor; not known outside of Linux.
fn cpu_nanoseconds() -> f64 {
    let Ok(text) = std::fs::read_to_string("/proc/thread-self/schedstat") else { return f64::NAN };
    text.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(f64::NAN)
}

/// PyTorch's times by shape: training p50, least and CPU, forecast p50 and least.
fn torch() -> BTreeMap<String, [f64; 5]> {
    let Some(python) = std::env::var_os("TICKCAST_TORCH_PYTHON") else {
        println!("(TICKCAST_TORCH_PYTHON is not set: PyTorch is left out)");
        return BTreeMap::new();
    };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/lstm_torch.py");
    let output = Command::new(python).arg(script).output().expect("TICKCAST_TORCH_PYTHON must name a python");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut times = BTreeMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["torch", version] => println!("torch {version}"),
            [name, a, b, c, d, e] => {
                times.insert(name.to_owned(), [a, b, c, d, e].map(|word| word.parse().unwrap()));
            }
            _ => panic!("the torch script wrote `{line}`"),
        }
    }
    times
}
