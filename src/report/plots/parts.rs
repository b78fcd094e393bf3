//! Forecasts by part: by quantile level, by hour of the day, by volatility.

use super::axis::{around, digits};
use crate::evaluation::report::figures::{SeriesFigures, TERCILES};
use crate::report::numbers::percent;
use crate::report::style::{FORECAST, MUTED, NAIVE};
use crate::report::svg::{Frame, Mark, PlotError, bar, dots, draw, line, note, rule};
use plotters::style::text_anchor::HPos;

pub(super) fn calibration(of: &str, s: &SeriesFigures) -> Result<String, PlotError> {
    let frame = Frame {
        title: format!("{of}: calibration of the quantiles"),
        legend: &[("outcomes at or below", FORECAST, Mark::Dot), ("as it should be", MUTED, Mark::Line)],
        x: (-0.04, 1.04),
        y: (-0.07, 1.07),
        x_label: "level of the quantile",
        x_format: &|value| format!("{:.0} %", value * 100.0),
        y_format: &|value| format!("{:.0} %", value * 100.0),
        x_labels: 6,
    };
    draw(&frame, |chart| {
        rule(chart, vec![(0.0, 0.0), (1.0, 1.0)], MUTED)?;
        let seen: Vec<(f64, f64)> = s.calibration.iter().filter_map(|l| Some((l.nominal, l.observed?))).collect();
        line(chart, seen.clone(), FORECAST)?;
        dots(chart, &seen, 9, FORECAST)?;
        for (nominal, observed) in seen {
            let text = format!("{:.0} %: {}", nominal * 100.0, percent(Some(observed), 1));
            let (by, anchor) = if nominal > 0.5 { ((-20, -12), HPos::Right) } else { ((22, 14), HPos::Left) };
            note(chart, (nominal, observed), by, &text, anchor)?;
        }
        Ok(())
    })
}

pub(super) fn hours(of: &str, s: &SeriesFigures) -> Result<String, PlotError> {
    let all = s.hours.iter().flat_map(|part| [part.mae_bps, part.naive_mae_bps]).flatten();
    let y = (0.0, around(all, 0.06).1);
    let places = digits(y);
    let frame = Frame {
        title: format!("{of}: mean absolute error by hour, bps"),
        legend: &[("forecast", FORECAST, Mark::Area), ("last price", NAIVE, Mark::Line)],
        x: (-0.6, 23.6),
        y,
        x_label: "hour of issue (UTC)",
        x_format: &|value| format!("{value:.0}"),
        y_format: &|value| format!("{value:.places$}"),
        x_labels: 13,
    };
    draw(&frame, |chart| {
        for (hour, part) in s.hours.iter().enumerate() {
            let x = hour as f64;
            if let (Some(mae), Some(naive)) = (part.mae_bps, part.naive_mae_bps) {
                bar(chart, (x - 0.38, x + 0.38), 0.0, mae, FORECAST)?;
                line(chart, vec![(x - 0.46, naive), (x + 0.46, naive)], NAIVE)?;
            }
        }
        Ok(())
    })
}

pub(super) fn terciles(of: &str, s: &SeriesFigures) -> Result<String, PlotError> {
    let all = s.terciles.iter().flat_map(|t| [t.part.mae_bps, t.part.naive_mae_bps]).flatten();
    let y = (0.0, around(all, 0.25).1);
    let places = digits(y);
    let frame = Frame {
        title: format!("{of}: mean absolute error by volatility, bps"),
        legend: &[("forecast", FORECAST, Mark::Area), ("last price", NAIVE, Mark::Area)],
        x: (-0.5, 2.5),
        y,
        x_label: "volatility when the forecast was made, and coverage",
        x_format: &|value| {
            let place = value.round();
            let name = TERCILES.get(place.max(0.0) as usize);
            name.filter(|_| (value - place).abs() < 0.01 && place >= 0.0).map_or_else(String::new, |n| (*n).to_owned())
        },
        y_format: &|value| format!("{value:.places$}"),
        x_labels: 4,
    };
    draw(&frame, |chart| {
        for tercile in &s.terciles {
            let x = TERCILES.iter().position(|name| *name == tercile.name).unwrap_or(0) as f64;
            let (mae, naive) = (tercile.part.mae_bps.unwrap_or(0.0), tercile.part.naive_mae_bps.unwrap_or(0.0));
            bar(chart, (x - 0.3, x - 0.02), 0.0, mae, FORECAST)?;
            bar(chart, (x + 0.02, x + 0.3), 0.0, naive, NAIVE)?;
            note(chart, (x, mae.max(naive)), (0, -22), &percent(tercile.part.coverage, 1), HPos::Center)?;
        }
        Ok(())
    })
}
