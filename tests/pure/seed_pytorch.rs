//! The student project's model gives PyTorch's and Keras' numbers: forward, one step, and 20 epochs of training.
//!
//! `data/seed_pytorch.json` was written by PyTorch 2.15.0 (CPU) and Keras 3.15.1 (on PyTorch) with:
//!
//! ```python
//! import json, math, os; os.environ["KERAS_BACKEND"] = "torch"
//! import keras, torch
//! def digits(values): return [float(f"{v:.9g}") for v in values]
//! def series(n, a, b, scale): return torch.tensor([scale * math.sin(a * i + b) for i in range(n)], dtype=torch.float32)
//! P = [30000 * (1 + .004 * math.sin(.9 * i) + .003 * math.sin(2.3 * i + 1) + .01 * math.sin(.031 * i)) for i in range(400)]
//! def windows(P):
//!     x = [[(p - min(w)) / (max(w) - min(w)) for p in w] for w in (P[i:i + 5] for i in range(len(P) - 5))]
//!     y = [P[i + 5] / P[i] - 1 for i in range(len(P) - 5)]
//!     return torch.tensor(x, dtype=torch.float32).unsqueeze(-1), torch.tensor(y, dtype=torch.float32).unsqueeze(-1)
//! (x, y), (tx, ty) = windows(P[:320]), windows(P[320:])
//! strides = [1, 2, 4, 8, 11, 13, 16, 17, 19, 22, 23, 26, 29, 31, 32, 34, 37, 38, 41, 43]
//! orders = [torch.tensor([k * i % 315 for i in range(315)]) for k in strides]
//! sizes = (400, 40000, 400, 100, 1)                       # kernel, recurrent kernel, bias, head's weight and bias
//! W = [series(n, 1.3 + .1 * at, .7, .1) for at, n in enumerate(sizes)]
//!
//! class Net(torch.nn.Module):
//!     def __init__(s): super().__init__(); s.lstm = torch.nn.LSTM(1, 100, batch_first=True); s.head = torch.nn.Linear(100, 1)
//!     def forward(s, x): return s.head(s.lstm(x)[0][:, -1])
//! net = Net(); L = net.lstm; S = [L.weight_ih_l0, L.weight_hh_l0, L.bias_ih_l0, net.head.weight, net.head.bias]
//! for p, w in zip(S, W): p.data = w.view(p.shape).clone()
//! L.bias_hh_l0.data.zero_(); L.bias_hh_l0.requires_grad_(False)   # Keras has one bias
//! out = dict(outputs=digits(net(x[:32]).flatten().tolist()))
//! opt = torch.optim.Adam(S, lr=1e-3); mse = torch.nn.functional.mse_loss; steps = 0; curves = []
//! for order in orders:
//!     total = 0.
//!     for b in order.split(32):
//!         steps += 1; opt.param_groups[0]["eps"] = 1e-7 / math.sqrt(1 - .999 ** steps)   # Keras adds it before the correction
//!         opt.zero_grad(); loss = mse(net(x[b]), y[b]); loss.backward(); opt.step(); total += loss.item() * len(b)
//!         if steps == 1: out["one_step"] = digits(torch.cat([p.detach().flatten() for p in S])[::41].tolist())
//!     with torch.no_grad(): curves.append((total / 315, mse(net(tx), ty).item()))
//! out["training_loss"], out["test_loss"] = map(digits, zip(*curves))
//!
//! m = keras.Sequential([keras.Input((5, 1)), keras.layers.LSTM(100), keras.layers.Dense(1)])
//! ih, hh, b, w, hb = [w.numpy() for w in W]                # gates are i, f, c, o in both; Keras transposes
//! m.set_weights([ih.reshape(400, 1).T, hh.reshape(400, 100).T, b, w.reshape(100, 1), hb]); m.compile("adam", "mse")
//! curves = []
//! for order in orders:
//!     h = m.fit(x[order].numpy(), y[order].numpy(), batch_size=32, epochs=1, shuffle=False, verbose=0, validation_data=(tx.numpy(), ty.numpy())).history
//!     curves.append((h["loss"][0], h["val_loss"][0]))
//! out["keras_training_loss"], out["keras_test_loss"] = map(digits, zip(*curves))
//! json.dump(out, open("seed_pytorch.json", "w"))
//! ```

use serde::Deserialize;
use tickcast::model::Lstm;
use tickcast::model::seed::training::{Minibatch, Training};
use tickcast::model::seed::windows::Windows;
use tickcast::model::seed::{BATCH, EPOCHS, HIDDEN, ROWS, SHAPE, TRAINING_ROWS};

#[derive(Deserialize)]
struct Golden {
    outputs: Vec<f32>,
    one_step: Vec<f32>,
    training_loss: Vec<f64>,
    test_loss: Vec<f64>,
    keras_training_loss: Vec<f64>,
    keras_test_loss: Vec<f64>,
}

/// Every so many weights are in the golden numbers.
const STRIDE: usize = 41;
/// Strides through the training windows, one for each epoch.
const STRIDES: [usize; EPOCHS] = [1, 2, 4, 8, 11, 13, 16, 17, 19, 22, 23, 26, 29, 31, 32, 34, 37, 38, 41, 43];
/// Tensors that are learnt, in the order of the snippet.
const LEARNT: [&str; 5] = ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "head.weight", "head.bias"];

fn golden() -> Golden {
    serde_json::from_str(include_str!("../data/seed_pytorch.json")).unwrap()
}

/// Training and test windows of the snippet's prices.
fn windows() -> (Windows, Windows) {
    let price = |row: usize| {
        let i = row as f64;
        30_000.0 * (1.0 + 0.004 * (0.9 * i).sin() + 0.003 * (2.3 * i + 1.0).sin() + 0.01 * (0.031 * i).sin())
    };
    let prices: Vec<f64> = (0..ROWS).map(price).collect();
    let (training, test) = prices.split_at(TRAINING_ROWS);
    (Windows::of(training), Windows::of(test))
}

/// The snippet's initial weights.
fn initial() -> Lstm {
    let mut lstm = Lstm::new(SHAPE, 0).unwrap();
    lstm.flat_mut().fill(0.0);
    for (at, name) in LEARNT.into_iter().enumerate() {
        let tensor = SHAPE.tensors().into_iter().find(|tensor| tensor.name == name).unwrap();
        let a = 1.3 + 0.1 * at as f64;
        let values: Vec<f32> = (0..tensor.range.len()).map(|i| (0.1 * (a * i as f64 + 0.7).sin()) as f32).collect();
        lstm.set_tensor(name, &values).unwrap();
    }
    lstm
}

fn order(stride: usize, count: usize) -> Vec<usize> {
    (0..count).map(|i| stride * i % count).collect()
}

#[test]
fn forecasts_are_pytorch_s() {
    let outputs = Minibatch::default().outputs(&initial(), &windows().0);
    let expected = golden().outputs;
    let worst = outputs.iter().zip(&expected).fold(0.0_f32, |worst, (a, b)| worst.max((a - b).abs()));
    println!("forward: at most {worst:.1e} off");
    assert_eq!(expected.len(), 32);
    assert!(outputs.iter().all(|output| output.is_finite()));
    assert!(worst <= 1e-4 * 0.02, "1e-4 of outputs of 0.02 and more: {worst}");
}

#[test]
fn one_step_of_training_ends_at_pytorch_s_weights() {
    let mut training = Training::new(initial());
    training.epoch(&windows().0, &order(1, 315)[..BATCH], None, &mut Minibatch::default());
    let learnt: Vec<f32> = LEARNT
        .into_iter()
        .flat_map(|name| training.lstm().tensors().find(|(tensor, _)| tensor.name == name).unwrap().1.to_vec())
        .collect();
    let before = initial();
    let moved = before.flat().iter().zip(training.lstm().flat()).fold(0.0_f32, |most, (a, b)| most.max((a - b).abs()));
    let found: Vec<f32> = learnt.into_iter().step_by(STRIDE).collect();
    let expected = golden().one_step;
    assert_eq!(found.len(), expected.len());
    assert!(found.iter().all(|weight| weight.is_finite()));
    let worst = found.iter().zip(&expected).fold(0.0_f32, |worst, (a, b)| worst.max((a - b).abs()));
    println!("one step: weights moved by up to {moved:.1e}, at most {worst:.1e} off");
    // A step moves weights by up to 1e-3: what is off must be small beside that, too.
    assert!(moved > 9e-4 && worst <= 1e-6, "{worst}");
}

#[test]
fn the_loss_curves_of_20_epochs_are_pytorch_s_and_keras() {
    let (windows, test) = windows();
    let (mut training, mut minibatch) = (Training::new(initial()), Minibatch::default());
    let (mut training_loss, mut test_loss) = (Vec::new(), Vec::new());
    for stride in STRIDES {
        training_loss.push(training.epoch(&windows, &order(stride, windows.len()), None, &mut minibatch));
        let outputs = minibatch.outputs(training.lstm(), &test);
        let squares = outputs.iter().zip(test.targets()).map(|(o, y)| f64::from(o - y) * f64::from(o - y));
        test_loss.push(squares.sum::<f64>() / test.len() as f64);
    }
    let Golden { training_loss: of_training, test_loss: of_test, keras_training_loss, keras_test_loss, .. } = golden();
    for (name, found, expected) in [
        ("PyTorch, training", &training_loss, of_training),
        ("PyTorch, test", &test_loss, of_test),
        ("Keras, training", &training_loss, keras_training_loss),
        ("Keras, test", &test_loss, keras_test_loss),
    ] {
        assert_eq!(found.len(), expected.len());
        assert!(found.iter().all(|loss| loss.is_finite()));
        let off = found.iter().zip(&expected).map(|(found, expected)| (found / expected - 1.0).abs());
        let worst = off.fold(0.0_f64, f64::max);
        println!("{name}: from {:.2e} to {:.2e}, at most {worst:.1e} off", expected[0], expected[EPOCHS - 1]);
        assert!(worst <= 1e-2, "{name}: {worst}");
    }
    assert_eq!(training.lstm().flat().len() - 4 * HIDDEN, 40_901);
}
