//! What the student project's model is worth, symbol by symbol, and which one is better in plain words.

use crate::model::seed::forecaster::SeedStanding;
use crate::model::seed::report::{Better, Errors, SeedReport, recipe};
use crate::model::seed::{PARAMETERS, ROWS};
use crate::report::grouped;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Loss curves are printed for so many symbols, to keep the summary readable; `--json` has all.
const CURVES_MAX: usize = 3;
/// Epochs a line.
const EPOCHS_PER_LINE: usize = 10;

/// The newest model of each symbol: its errors on the test windows beside those of the last price, a sentence, its loss.
#[must_use]
pub fn table(standings: &BTreeMap<String, SeedStanding>) -> String {
    let parameters = grouped(PARAMETERS as u64);
    let mut out = format!("\nThe student project's model, {parameters} parameters: {}.\n", recipe());
    let width = standings.keys().map(|symbol| symbol.chars().count()).max().unwrap_or(0).max("symbol".len());
    let trained = || standings.iter().filter_map(|(symbol, standing)| Some((symbol, standing.report.as_ref()?)));
    if trained().next().is_some() {
        let _ = writeln!(
            out,
            "Errors on the test windows, which it was not trained on:\n\n\
             {:width$}  {:>24}  {:>10}  {:<10}  {:>9}  {:>9}  {:>8}  {:>9}",
            "symbol", "trained through", "train/test", "forecast", "MSE", "MAE", "MAE bps", "MAE price"
        );
    }
    for (symbol, standing) in standings {
        let Some(report) = &standing.report else { continue };
        let through = standing.trained_through.as_deref().unwrap_or_default();
        let windows = format!("{}/{}", report.training_windows, report.test_windows);
        for (place, (name, errors)) in [("model", &report.model), ("last price", &report.naive)].into_iter().enumerate()
        {
            let [symbol, through, windows] = if place == 0 { [symbol, through, &windows] } else { [""; 3] };
            let Errors { mse, mae, mae_price, mae_bps } = errors;
            let _ = writeln!(
                out,
                "{symbol:width$}  {through:>24}  {windows:>10}  {name:<10}  {mse:>9.3e}  {mae:>9.3e}  {mae_bps:>8.2}  {:>9}",
                significant(*mae_price)
            );
        }
    }
    out.push('\n');
    for (symbol, standing) in standings {
        let _ = match &standing.report {
            Some(report) => writeln!(out, "{symbol}: {}", verdict(report)),
            None => writeln!(out, "{symbol}: {} of {ROWS} rows: too few to train on.", standing.rows),
        };
    }
    for (symbol, report) in trained().take(CURVES_MAX) {
        let _ = writeln!(out, "\n{symbol}, loss (MSE) by epoch, of the training windows and of the test windows:");
        let curves = report.training_loss.chunks(EPOCHS_PER_LINE).zip(report.test_loss.chunks(EPOCHS_PER_LINE));
        for (at, (training, test)) in curves.enumerate() {
            let first = at * EPOCHS_PER_LINE + 1;
            let line = |losses: &[f64]| losses.iter().map(|loss| format!(" {loss:>8.2e}")).collect::<String>();
            let _ = writeln!(out, "  from {first:>2}  training{}", line(training));
            let _ = writeln!(out, "               test{}", line(test));
        }
    }
    if trained().nth(CURVES_MAX).is_some() {
        out.push_str("\nThe loss of the other symbols is in the summary that --json prints.\n");
    }
    out
}

/// Which one is better, in plain words.
fn verdict(report: &SeedReport) -> String {
    let (model, naive) = (report.model.mae_bps, report.naive.mae_bps);
    let ratio = report.mae_ratio.map_or_else(String::new, |ratio| format!(", {ratio:.2} times the last price's"));
    let errs = format!("its error is {model:.2} bps{ratio} ({naive:.2} bps)");
    match report.better {
        Better::Naive => format!("repeating the last price is better than the model: {errs}."),
        Better::Seed => format!("the model is better than repeating the last price: {errs}."),
        Better::Neither => format!("neither is better: {errs}."),
    }
}

/// Four digits or more.
fn significant(value: f64) -> String {
    let decimals = (1_u32..=8).find(|&decimals| value.abs() * f64::from(10_u32.pow(decimals)) >= 1000.0).unwrap_or(8);
    format!("{value:.*}", decimals as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standings() -> BTreeMap<String, SeedStanding> {
        let errors = |mae_bps, mae_price| Errors { mse: 2.1e-6, mae: mae_bps / 1e4, mae_price, mae_bps };
        let report = SeedReport {
            training_windows: 315,
            test_windows: 75,
            parameters: PARAMETERS,
            model: errors(11.6, 36.8),
            naive: errors(5.0, 16.0),
            mae_ratio: Some(2.3),
            better: Better::Naive,
            training_loss: vec![1e-3; 20],
            test_loss: vec![2e-3; 20],
        };
        let through = Some("2021-01-21T14:34:00.000Z".to_owned());
        let trained = SeedStanding { rows: 400, trained_through: through, report: Some(report) };
        let young = SeedStanding { rows: 123, ..SeedStanding::default() };
        BTreeMap::from([("BTC".to_owned(), trained), ("ETH".to_owned(), young)])
    }

    #[test]
    fn says_in_plain_words_which_one_is_better() {
        let text = table(&standings());
        let said = "BTC: repeating the last price is better than the model: \
                    its error is 11.60 bps, 2.30 times the last price's (5.00 bps).";
        assert!(text.contains(said), "{text}");
        assert!(text.contains("315/75") && text.contains("40,901 parameters") && text.contains("36.80"), "{text}");
        assert!(text.contains("ETH: 123 of 400 rows: too few to train on."), "{text}");
        assert_eq!(text.matches("2.00e-3").count(), 20, "{text}");
        assert!(text.lines().all(|line| line.len() <= 120), "{text}");
    }

    #[test]
    fn figures_have_four_digits() {
        let written = [31_571.74, 36.8, 0.012_345_678, 0.0].map(significant);
        assert_eq!(written, ["31571.7", "36.80", "0.01235", "0.00000000"]);
    }

    #[test]
    fn json_holds_rows_report_and_curves() {
        let json = serde_json::to_value(standings()).unwrap();
        assert_eq!(json["ETH"], serde_json::json!({ "rows": 123 }));
        assert_eq!((json["BTC"]["parameters"].as_u64(), json["BTC"]["better"].as_str()), (Some(40_901), Some("naive")));
        assert_eq!(json["BTC"]["model"]["mae_price"], 36.8);
        assert_eq!(json["BTC"]["test_loss"].as_array().map(Vec::len), Some(20));
    }
}
