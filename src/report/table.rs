//! The figures as a table for a terminal.

use super::numbers::{NONE, decimals, e_value, grouped, percent, printable};
use crate::evaluation::report::figures::{Figures, SeriesFigures};
use std::fmt::Write as _;

/// A column's name, and what it says of a series.
type Column = (&'static str, fn(&SeriesFigures) -> String);

/// All columns but symbol and horizon.
pub(super) const COLUMNS: [Column; 13] = [
    ("scores", |s| grouped(s.scored)),
    ("MAE bps", |s| decimals(s.mae_bps, 2)),
    ("MAE ratio", |s| decimals(s.mae_ratio, 4)),
    ("RMSE ratio", |s| decimals(s.rmse_ratio, 4)),
    ("R²", |s| decimals(s.r2, 4)),
    ("direction", |s| match s.direction {
        Some(share) => format!("{} of {}", percent(Some(share), 1), grouped(s.directed)),
        None => NONE.to_owned(),
    }),
    ("pinball", |s| decimals(s.pinball_ratio, 4)),
    ("coverage", |s| percent(s.coverage, 1)),
    ("worst day", |s| percent(s.days.worst, 1)),
    ("width bps", |s| decimals(s.width_bps, 1)),
    ("e-value", |s| e_value(s.e_value)),
    ("DM t", |s| s.diebold_mariano.map_or_else(|| NONE.to_owned(), |test| decimals(test.t, 2))),
    ("break-even bps", |s| decimals(s.break_even.bps, 2)),
];

/// The table, and below it what was left out.
#[must_use]
pub fn table(figures: &Figures) -> String {
    let mut rows: Vec<Vec<String>> =
        vec![["symbol", "horizon"].into_iter().chain(COLUMNS.map(|c| c.0)).map(str::to_owned).collect()];
    for s in &figures.series {
        let symbol = printable(&s.symbol);
        rows.push([symbol, s.horizon.clone()].into_iter().chain(COLUMNS.map(|c| (c.1)(s))).collect());
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    let mut out = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
            if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        let _ = writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    out.push_str("\nRatios are to repeating the last price; pinball is to Gaussian quantiles of the recent volatility: below 1 is better.\n");
    for line in left_out(figures) {
        let _ = writeln!(out, "{line}");
    }
    out
}

/// What the figures are not of, a sentence each.
pub(super) fn left_out(figures: &Figures) -> Vec<String> {
    let sum = |of: fn(&SeriesFigures) -> u64| figures.series.iter().map(of).sum::<u64>();
    let (void, unscored) = (sum(|s| s.void), sum(|s| s.unscored));
    let all = [
        (void, "scores are void: no tick came in the 5 steps before the target"),
        (unscored, "forecasts have no score: not due yet, or their scores were not given"),
        (figures.scores_without_forecast, "scores belong to no forecast that was given, or came twice"),
        (figures.repeated, "forecasts are no later than the one before, published again or not in order: left out"),
    ];
    let said = all.into_iter().filter(|(count, _)| *count > 0);
    said.map(|(count, what)| format!("{} {what}.", grouped(count))).collect()
}
