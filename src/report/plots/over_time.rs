//! How errors, coverage and quantiles went over time.

use super::axis::{Clock, around, digits};
use crate::evaluation::report::figures::{Part, SeriesFigures};
use crate::market::Span;
use crate::report::style::{FORECAST, MUTED, NAIVE};
use crate::report::svg::{Chart, Frame, Mark, PlotError, draw, line, rule, under};
use plotters::style::RGBColor;

fn span_of(parts: &[Part]) -> (i64, i64) {
    (parts.first().map_or(0, |part| part.start_ms), parts.last().map_or(1, |part| part.start_ms))
}

/// A frame over the parts of time.
fn over_time(
    s: &SeriesFigures,
    title: String,
    legend: &[(&str, RGBColor, Mark)],
    y: (f64, f64),
    y_format: &dyn Fn(f64) -> String,
    content: impl FnOnce(&mut Chart<'_>, &dyn Fn(&Part) -> f64, (f64, f64)) -> Result<(), String>,
) -> Result<String, PlotError> {
    let (first, last) = span_of(&s.over_time);
    let clock = Clock::of(first, last);
    let range = clock.range(first, last);
    let frame = Frame {
        title,
        legend,
        x: range,
        y,
        x_label: &clock.label("time of issue", first),
        x_format: &|value| clock.format(value),
        y_format,
        x_labels: 6,
    };
    draw(&frame, |chart| content(chart, &|part| clock.at(part.start_ms), range))
}

/// The length of a part of time: `3h`.
fn part_length(s: &SeriesFigures) -> String {
    Span::from_millis(s.over_time_seconds * 1000).to_string()
}

fn points(s: &SeriesFigures, x: &dyn Fn(&Part) -> f64, y: fn(&Part) -> Option<f64>) -> Vec<(f64, f64)> {
    s.over_time.iter().filter_map(|part| Some((x(part), y(part)?))).collect()
}

pub(super) fn errors(of: &str, s: &SeriesFigures) -> Result<String, PlotError> {
    let all = s.over_time.iter().flat_map(|part| [part.mae_bps, part.naive_mae_bps]).flatten();
    let y = (0.0, around(all, 0.06).1);
    let places = digits(y);
    let legend = [("forecast", FORECAST, Mark::Line), ("last price", NAIVE, Mark::Line)];
    let title = format!("{of}: mean absolute error per {}, bps", part_length(s));
    over_time(s, title, &legend, y, &|v| format!("{v:.places$}"), |chart, x, _| {
        under(chart, points(s, x, |part| part.naive_mae_bps), NAIVE)?;
        line(chart, points(s, x, |part| part.mae_bps), FORECAST)
    })
}

pub(super) fn advantage(of: &str, s: &SeriesFigures) -> Result<String, PlotError> {
    let mut sum = 0.0;
    let mut sums = Vec::with_capacity(s.over_time.len());
    for part in &s.over_time {
        sum += (part.naive_mae_bps.unwrap_or(0.0) - part.mae_bps.unwrap_or(0.0)) * part.count as f64;
        sums.push(sum);
    }
    let y =
        if sums.iter().all(|sum| *sum == 0.0) { (-1.0, 1.0) } else { around(sums.iter().copied().chain([0.0]), 0.06) };
    let places = digits(y);
    let legend = [("forecast", FORECAST, Mark::Line), ("last price", NAIVE, Mark::Line)];
    let title = format!("{of}: error saved so far, bps");
    over_time(s, title, &legend, y, &|v| format!("{v:.places$}"), |chart, x, range| {
        rule(chart, vec![(range.0, 0.0), (range.1, 0.0)], NAIVE)?;
        line(chart, s.over_time.iter().zip(&sums).map(|(part, sum)| (x(part), *sum)).collect(), FORECAST)
    })
}

pub(super) fn coverage(of: &str, s: &SeriesFigures) -> Result<String, PlotError> {
    let all = s.over_time.iter().filter_map(|part| part.coverage).chain([s.nominal_coverage]);
    let (low, high) = around(all, 0.08);
    let y = (low.max(0.0), high.min(1.005));
    let legend = [("inside of the interval", FORECAST, Mark::Line), ("meant to be", MUTED, Mark::Line)];
    let title = format!("{of}: coverage per {}", part_length(s));
    let places = digits((y.0 * 100.0, y.1 * 100.0));
    over_time(s, title, &legend, y, &|v| format!("{:.places$} %", v * 100.0), |chart, x, range| {
        rule(chart, vec![(range.0, s.nominal_coverage), (range.1, s.nominal_coverage)], MUTED)?;
        line(chart, points(s, x, |part| part.coverage), FORECAST)
    })
}

pub(super) fn pinball(of: &str, s: &SeriesFigures) -> Result<String, PlotError> {
    let y = around(s.over_time.iter().filter_map(|part| part.pinball_ratio).chain([1.0]), 0.08);
    let places = digits(y);
    let legend = [("forecast", FORECAST, Mark::Line), ("recent volatility", NAIVE, Mark::Line)];
    let title = format!("{of}: pinball ratio per {}", part_length(s));
    over_time(s, title, &legend, y, &|v| format!("{v:.places$}"), |chart, x, range| {
        rule(chart, vec![(range.0, 1.0), (range.1, 1.0)], NAIVE)?;
        line(chart, points(s, x, |part| part.pinball_ratio), FORECAST)
    })
}
