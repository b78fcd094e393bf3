//! The LSTM, its gradients, the clipping and the optimisers give PyTorch's numbers.
//!
//! `data/lstm_pytorch.json` was written by PyTorch 2.15.0 (CPU) with:
//!
//! ```python
//! import json, math, torch
//! def digits(values): return [float(f"{v:.9g}") for v in values.tolist()]
//! def series(n, a, b, scale): return torch.tensor([scale * math.sin(a * i + b) for i in range(n)], dtype=torch.float32)
//! class Net(torch.nn.Module):
//!     def __init__(s, F, H, L, O): super().__init__(); s.lstm = torch.nn.LSTM(F, H, L); s.head = torch.nn.Linear(H, O)
//!     def forward(s, x, mask): return s.head(s.lstm(x)[0][-1] * mask)
//! def case(F, H, L, T, O, B):
//!     x = series(T * B * F, .9, .2, 1.5).view(T, B, F); y = series(B * O, 1.1, .5, 1.).view(B, O)
//!     mask = torch.tensor([0. if i % 3 == 1 else 2. for i in range(B * H)]).view(B, H)
//!     out = dict(inputs=F, hidden=H, layers=L, steps=T, outputs=O, batch=B)
//!     for name, decay, clip in (("adamw", .5, .25), ("adam", 0., None)):
//!         net = Net(F, H, L, O); P = list(net.parameters()); n = sum(p.numel() for p in P)
//!         torch.nn.utils.vector_to_parameters(series(n, 1.3, .7, .4), P)
//!         opt = torch.optim.AdamW(P, lr=1.6e-3, weight_decay=decay) if decay else torch.optim.Adam(P, lr=1e-2)
//!         for step in range(3):
//!             opt.zero_grad(); o = net(x, mask); torch.nn.functional.mse_loss(o, y).backward()
//!             if step == 0:
//!                 out["output_values"] = digits(o.flatten())
//!                 out["gradients"] = digits(torch.cat([p.grad.flatten() for p in P]))
//!             if clip:
//!                 norm = torch.nn.utils.clip_grad_norm_(P, clip).item()
//!                 if step == 0: out["norm"] = norm
//!             opt.step()
//!         out[name] = digits(torch.nn.utils.parameters_to_vector(P))
//!     out["names"] = [k.removeprefix("lstm.") for k, _ in net.named_parameters()]
//!     return out
//! json.dump([case(3, 5, 1, 4, 2, 3), case(3, 5, 2, 4, 2, 3), case(6, 18, 1, 3, 7, 18)], open("lstm_pytorch.json", "w"))
//! ```

use serde::Deserialize;
use tickcast::model::{AdamW, AdamWSettings, Gradients, Lstm, LstmShape, Predictor, Workspace, clip_norm};

#[derive(Deserialize)]
struct Case {
    #[serde(flatten)]
    shape: LstmShape,
    batch: usize,
    names: Vec<String>,
    output_values: Vec<f32>,
    gradients: Vec<f32>,
    norm: f64,
    adamw: Vec<f32>,
    adam: Vec<f32>,
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("../data/lstm_pytorch.json")).unwrap()
}

fn series(count: usize, a: f64, b: f64, scale: f64) -> Vec<f32> {
    (0..count).map(|at| (scale * (a * at as f64 + b).sin()) as f32).collect()
}

/// The same network, minibatch and loss as in the snippet.
struct Run {
    lstm: Lstm,
    inputs: Vec<f32>,
    targets: Vec<f32>,
    mask: Vec<f32>,
    batch: usize,
    workspace: Workspace,
    gradients: Gradients,
}

impl Run {
    fn new(case: &Case) -> Self {
        let (shape, batch) = (case.shape, case.batch);
        let mut lstm = Lstm::new(shape, 0).unwrap();
        lstm.flat_mut().copy_from_slice(&series(shape.parameters(), 1.3, 0.7, 0.4));
        Self {
            lstm,
            inputs: series(shape.steps * batch * shape.inputs, 0.9, 0.2, 1.5),
            targets: series(batch * shape.outputs, 1.1, 0.5, 1.0),
            mask: (0..batch * shape.hidden).map(|at| if at % 3 == 1 { 0.0 } else { 2.0 }).collect(),
            batch,
            workspace: Workspace::new(&shape, batch),
            gradients: Gradients::new(&shape),
        }
    }

    /// Forward and backward; returns the outputs.
    fn pass(&mut self) -> Vec<f32> {
        let outputs = self.lstm.forward(&self.inputs, self.batch, Some(&self.mask), &mut self.workspace).to_vec();
        let count = outputs.len() as f32;
        let d_outputs: Vec<f32> = outputs.iter().zip(&self.targets).map(|(o, y)| 2.0 * (o - y) / count).collect();
        self.lstm.backward(&d_outputs, &mut self.workspace, &mut self.gradients);
        outputs
    }
}

/// 1e-4 relative; numbers near zero are held to 1e-4 of a thousandth of the largest.
fn assert_near(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let floor = 1e-3 * expected.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        let allowed = 1e-4 * expected.abs().max(floor);
        assert!((found - expected).abs() <= allowed, "{what} {at}: {found}, PyTorch {expected}");
    }
}

#[test]
fn tensors_have_pytorch_names_in_pytorch_order() {
    for case in cases() {
        let names: Vec<String> = case.shape.tensors().into_iter().map(|tensor| tensor.name).collect();
        assert_eq!(names, case.names);
    }
}

#[test]
fn outputs_are_pytorch_s() {
    for case in cases() {
        assert_near(&Run::new(&case).pass(), &case.output_values, "output");
    }
}

#[test]
fn gradients_of_every_weight_are_pytorch_s() {
    for case in cases() {
        let mut run = Run::new(&case);
        run.pass();
        for tensor in case.shape.tensors() {
            let at = tensor.range.clone();
            assert_near(&run.gradients.flat()[at.clone()], &case.gradients[at], &tensor.name);
        }
    }
}

#[test]
fn three_steps_of_clipped_adamw_end_at_pytorch_s_weights() {
    for case in cases() {
        let mut run = Run::new(&case);
        let settings = AdamWSettings { learning_rate: 1.6e-3, weight_decay: 0.5, ..AdamWSettings::default() };
        let mut optimiser = AdamW::new(settings, case.shape.parameters());
        for step in 0..3 {
            run.pass();
            let norm = clip_norm(run.gradients.flat_mut(), 0.25);
            if step == 0 {
                assert!((norm - case.norm).abs() < 1e-5 * case.norm, "norm {norm}, PyTorch {}", case.norm);
                assert!(norm > 0.25, "the case must clip");
            }
            optimiser.step(run.lstm.flat_mut(), run.gradients.flat());
        }
        assert_near(run.lstm.flat(), &case.adamw, "weight");
    }
}

#[test]
fn three_steps_of_adam_end_at_pytorch_s_weights() {
    for case in cases() {
        let mut run = Run::new(&case);
        let settings = AdamWSettings { learning_rate: 1e-2, weight_decay: 0.0, ..AdamWSettings::default() };
        let mut optimiser = AdamW::new(settings, case.shape.parameters());
        for _ in 0..3 {
            run.pass();
            optimiser.step(run.lstm.flat_mut(), run.gradients.flat());
        }
        assert_near(run.lstm.flat(), &case.adam, "weight");
    }
}

#[test]
fn the_predictor_s_outputs_have_the_bits_of_the_forward_pass() {
    for case in cases() {
        let mut run = Run::new(&case);
        let (shape, batch) = (case.shape, case.batch);
        let outputs = run.lstm.forward(&run.inputs, batch, None, &mut run.workspace).to_vec();
        let mut predictor = Predictor::new(&run.lstm);
        for (at, expected) in outputs.chunks_exact(shape.outputs).enumerate() {
            let steps = run.inputs.chunks_exact(batch * shape.inputs);
            let sequence: Vec<f32> =
                steps.flat_map(|step| step[at * shape.inputs..][..shape.inputs].to_vec()).collect();
            let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(predictor.predict(&sequence)), bits(expected), "sequence {at}");
        }
    }
}
