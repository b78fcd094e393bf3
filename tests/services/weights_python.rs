//! An export read by numpy alone gives the same forecasts, as a user's script would do it.

use crate::support;
use crate::support::{Finished, Services, tickcast};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const WITHIN: Duration = Duration::from_secs(300);

fn load(python: &str, file: &Path) -> Finished {
    let mut command = Command::new(python);
    command.arg(support::project().join("examples/load_weights.py")).arg(file);
    support::run_to_end(command, WITHIN)
}

#[test]
#[ignore = "needs services: run ./deploy/test"]
fn numpy_makes_the_same_forecasts_from_an_export() {
    let services = Services::shared();
    let Some(bars) = support::data("bars/btcusdt_1m_binance_20210610_20210710.csv.gz") else { return };
    let dir = support::temp_dir();
    for layers in ["1", "2"] {
        let (weights, out) =
            (dir.path().join(format!("weights{layers}")), dir.path().join(format!("{layers}.safetensors")));
        let sets = [
            format!("source.files.paths={}", bars.display()),
            "source.files.symbol=BTC".to_owned(),
            "source.files.interval=1m".to_owned(),
            "time.slide=1m".to_owned(),
            format!("model.weights={}", weights.display()),
            format!("model.layers={layers}"),
        ];
        let with = |arguments: &[&str]| {
            let mut command = tickcast(arguments);
            sets.iter().for_each(|set| {
                command.args(["--set", set]);
            });
            support::run_to_end(command, WITHIN).expect_code(0)
        };
        with(&["backfill", "--to", "2021-06-13T00:00:00Z"]);
        with(&["model", "export", "--out", out.to_str().unwrap()]);
        let said = load(services.python(), &out).expect_code(0).stdout_text();
        println!("{said}");
        assert!(said.contains("numpy: largest difference"), "{said}");

        // Other weights are noticed: the last number is one of `head.*` or `weight_*`, whatever their order.
        let mut bytes = std::fs::read(&out).unwrap();
        let header = u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize + 8;
        let numbers = bytes.len() - 512;
        assert!(numbers > header);
        bytes[numbers..].chunks_exact_mut(4).for_each(|number| number.copy_from_slice(&0.5_f32.to_le_bytes()));
        std::fs::write(&out, bytes).unwrap();
        load(services.python(), &out).expect_code(1);
    }
}
