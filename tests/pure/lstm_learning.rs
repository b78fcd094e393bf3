//! What learning rests on: gradients are slopes, the same inputs give the same bits, and a series that can be learnt is.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};
use tickcast::model::{
    AdamW, AdamWSettings, Gradients, Lstm, LstmShape, Predictor, WeightAverage, Workspace, clip_norm, dropout_mask,
};

/// A slow and obvious LSTM in f64: the oracle.
fn oracle(shape: &LstmShape, weights: &[f64], inputs: &[f32], batch: usize, mask: &[f32]) -> Vec<f64> {
    let tensors: Vec<&[f64]> = shape.tensors().into_iter().map(|tensor| &weights[tensor.range]).collect();
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let (hidden, dot) = (shape.hidden, |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>());
    let mut outputs = Vec::new();
    for at in 0..batch {
        let step_inputs = |step: usize| &inputs[(step * batch + at) * shape.inputs..][..shape.inputs];
        let mut sequence: Vec<Vec<f64>> =
            (0..shape.steps).map(|step| step_inputs(step).iter().map(|x| f64::from(*x)).collect()).collect();
        for layer in tensors[..4 * shape.layers].chunks_exact(4) {
            let (mut h, mut c) = (vec![0.0; hidden], vec![0.0; hidden]);
            for x in &mut sequence {
                let gate = |row: usize| {
                    let ih = dot(&layer[0][row * x.len()..][..x.len()], x) + layer[2][row];
                    ih + dot(&layer[1][row * hidden..][..hidden], &h) + layer[3][row]
                };
                let gates: Vec<f64> = (0..4 * hidden).map(gate).collect();
                for unit in 0..hidden {
                    let [i, f, g, o] = [0, 1, 2, 3].map(|gate| gates[gate * hidden + unit]);
                    c[unit] = sigmoid(f) * c[unit] + sigmoid(i) * g.tanh();
                    h[unit] = sigmoid(o) * c[unit].tanh();
                }
                x.clone_from(&h);
            }
        }
        let last = &sequence[shape.steps - 1];
        let dropped: Vec<f64> = last.iter().zip(&mask[at * hidden..]).map(|(h, m)| h * f64::from(*m)).collect();
        let [.., weight, bias] = tensors[..] else { unreachable!() };
        outputs.extend((0..shape.outputs).map(|row| dot(&weight[row * hidden..][..hidden], &dropped) + bias[row]));
    }
    outputs
}

fn wave(count: usize, speed: f32) -> Vec<f32> {
    (0..count).map(|at| (at as f32 * speed + 0.3).sin()).collect()
}

/// A network whose head is not zero.
fn network(shape: LstmShape) -> Lstm {
    let mut lstm = Lstm::new(shape, 5).unwrap();
    lstm.set_tensor("head.weight", &wave(shape.outputs * shape.hidden, 0.77)).unwrap();
    lstm.set_tensor("head.bias", &wave(shape.outputs, 1.9)).unwrap();
    lstm
}

#[test]
fn gradients_of_every_weight_agree_with_finite_differences() {
    for (inputs, hidden, layers, steps, outputs, batch) in
        [(3, 4, 1, 5, 2, 3), (2, 5, 2, 4, 3, 2), (1, 17, 1, 3, 1, 17), (17, 3, 3, 2, 5, 33), (2, 3, 1, 1, 1, 1)]
    {
        let shape = LstmShape { inputs, hidden, layers, steps, outputs };
        let lstm = network(shape);
        let sequences = wave(steps * batch * inputs, 0.61);
        let mut mask = vec![0.0; batch * hidden];
        dropout_mask(&mut ChaCha8Rng::seed_from_u64(3), 0.3, &mut mask);
        let d_outputs = wave(batch * outputs, 1.37);
        // Larger and smaller minibatches before must leave no trace.
        let mut workspace = Workspace::new(&shape, batch + 40);
        for before in [batch + 40, 1] {
            lstm.forward(&wave(steps * before * inputs, 0.3), before, None, &mut workspace);
            lstm.backward(&wave(before * outputs, 0.9), &mut workspace, &mut Gradients::new(&shape));
        }
        let mut gradients = Gradients::new(&shape);
        let found = lstm.forward(&sequences, batch, Some(&mask), &mut workspace).to_vec();
        lstm.backward(&d_outputs, &mut workspace, &mut gradients);

        let mut weights: Vec<f64> = lstm.flat().iter().map(|weight| f64::from(*weight)).collect();
        let expected = oracle(&shape, &weights, &sequences, batch, &mask);
        for (found, expected) in found.iter().zip(expected) {
            assert!((f64::from(*found) - expected).abs() < 1e-5, "{shape:?}: {found}, oracle {expected}");
        }
        let largest = gradients.flat().iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
        for tensor in shape.tensors() {
            for at in tensor.range {
                let kept = weights[at];
                let mut loss = |moved: f64| {
                    weights[at] = moved;
                    let outputs = oracle(&shape, &weights, &sequences, batch, &mask);
                    outputs.iter().zip(&d_outputs).map(|(output, d)| output * f64::from(*d)).sum::<f64>()
                };
                let slope = (loss(kept + 1e-4) - loss(kept - 1e-4)) / 2e-4;
                weights[at] = kept;
                let found = f64::from(gradients.flat()[at]);
                let allowed = 1e-4 * slope.abs().max(1e-2 * f64::from(largest));
                assert!((found - slope).abs() <= allowed, "{shape:?} {} {at}: {found}, slope {slope}", tensor.name);
            }
        }
    }
}

#[test]
fn a_sequence_has_the_same_bits_wherever_in_a_minibatch_it_stands() {
    let shape = LstmShape { inputs: 14, hidden: 32, layers: 2, steps: 16, outputs: 28 };
    let lstm = network(shape);
    let batch = 37;
    let sequences = wave(shape.steps * batch * shape.inputs, 0.61);
    let mut workspace = Workspace::new(&shape, batch);
    let together = lstm.forward(&sequences, batch, None, &mut workspace).to_vec();
    for at in 0..batch {
        let steps = sequences.chunks_exact(batch * shape.inputs);
        let alone: Vec<f32> = steps.flat_map(|step| step[at * shape.inputs..][..shape.inputs].to_vec()).collect();
        let outputs = lstm.forward(&alone, 1, None, &mut workspace);
        let expected = &together[at * shape.outputs..][..shape.outputs];
        assert!(outputs.iter().zip(expected).all(|(a, b)| a.to_bits() == b.to_bits()), "sequence {at}");
    }
}

/// All that learns: written and read, it goes on as if nothing had happened.
#[derive(Serialize, Deserialize)]
struct Learner {
    lstm: Lstm,
    optimiser: AdamW,
    average: WeightAverage,
}

impl Learner {
    fn new(shape: LstmShape, learning_rate: f64) -> Self {
        let lstm = Lstm::new(shape, 11).unwrap();
        let settings = AdamWSettings { learning_rate, ..AdamWSettings::default() };
        let optimiser = AdamW::new(settings, shape.parameters());
        Self { average: WeightAverage::new(lstm.flat()), lstm, optimiser }
    }

    /// Steps on sequences of a sine of period 20: the next value is the target. Returns the last step's mean squared
    /// error.
    fn learn(&mut self, steps: std::ops::Range<usize>, dropout: f32) -> f64 {
        let shape = *self.lstm.shape();
        let (batch, mut last) = (32, f64::NAN);
        let (mut workspace, mut gradients) = (Workspace::new(&shape, batch), Gradients::new(&shape));
        let mut mask = vec![0.0; batch * shape.hidden];
        for number in steps {
            let value = |sequence: usize, step: usize| sine(number * 13 + sequence * 7 + step);
            let inputs: Vec<f32> =
                (0..shape.steps).flat_map(|step| (0..batch).map(move |sequence| value(sequence, step))).collect();
            dropout_mask(&mut ChaCha8Rng::seed_from_u64(number as u64), dropout, &mut mask);
            let outputs = self.lstm.forward(&inputs, batch, Some(&mask), &mut workspace);
            let errors = outputs.iter().enumerate().map(|(at, output)| output - value(at, shape.steps));
            let errors: Vec<f32> = errors.collect();
            last = errors.iter().map(|error| f64::from(error * error)).sum::<f64>() / batch as f64;
            let d_outputs: Vec<f32> = errors.iter().map(|error| 2.0 * error / batch as f32).collect();
            self.lstm.backward(&d_outputs, &mut workspace, &mut gradients);
            clip_norm(gradients.flat_mut(), 1.0);
            self.optimiser.step(self.lstm.flat_mut(), gradients.flat());
            self.average.lerp(self.lstm.flat(), 0.1);
        }
        last
    }

    fn bits(&self) -> Vec<u32> {
        self.lstm.flat().iter().chain(self.average.flat()).map(|weight| weight.to_bits()).collect()
    }
}

fn sine(at: usize) -> f32 {
    (at as f32 * std::f32::consts::TAU / 20.0).sin()
}

const SINE: LstmShape = LstmShape { inputs: 1, hidden: 16, layers: 1, steps: 8, outputs: 1 };

#[test]
fn two_runs_and_a_run_that_was_written_and_read_have_the_same_bits() {
    let (mut one, mut other) = (Learner::new(SINE, 1e-2), Learner::new(SINE, 1e-2));
    one.learn(0..40, 0.2);
    other.learn(0..17, 0.2);
    let mut read: Learner = serde_json::from_str(&serde_json::to_string(&other).unwrap()).unwrap();
    other.learn(17..40, 0.2);
    read.learn(17..40, 0.2);
    assert_eq!(one.bits(), other.bits());
    assert_eq!(one.bits(), read.bits());
}

#[test]
fn a_sine_is_learnt() {
    let mut learner = Learner::new(SINE, 1e-2);
    let before = learner.learn(0..1, 0.0);
    let after = learner.learn(1..400, 0.0);
    assert!(before > 0.3, "{before}");
    assert!(after < 1e-3, "{after}");
    let sequence: Vec<f32> = (100..108).map(sine).collect();
    let next = Predictor::new(&learner.lstm).predict(&sequence)[0];
    assert!((next - sine(108)).abs() < 0.1, "{next}, true {}", sine(108));
}
