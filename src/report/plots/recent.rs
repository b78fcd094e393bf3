//! The last forecasts, one by one: a stretch short enough to tell forecast and last price apart.

use super::axis::{Clock, around, digits};
use crate::evaluation::report::figures::SeriesFigures;
use crate::evaluation::report::series::Point;
use crate::market::Timestamp;
use crate::report::style::{ACTUAL, BAD, BAND, FORECAST, GOOD, MUTED, NAIVE};
use crate::report::svg::{Frame, Mark, PlotError, band, bar, dots, draw, line, rule, under};

pub(super) fn recent_prices(of: &str, s: &SeriesFigures) -> Result<String, PlotError> {
    let (first, last) = (s.recent[0].target_at.millis(), s.recent[s.recent.len() - 1].target_at.millis());
    let clock = Clock::of(first, last);
    let x = |at: Timestamp| clock.at(at.millis());
    let y = around(s.recent.iter().flat_map(|p| [p.lower, p.upper, p.actual, p.last_price, p.price]), 0.04);
    let places = digits(y);
    let frame = Frame {
        title: format!("{of}: prices"),
        legend: &[
            ("actual", ACTUAL, Mark::Dot),
            ("forecast", FORECAST, Mark::Line),
            ("last price", NAIVE, Mark::Line),
            ("interval", BAND, Mark::Area),
        ],
        x: clock.range(first, last),
        y,
        x_label: &clock.label("target time", first),
        x_format: &|value| clock.format(value),
        y_format: &|value| format!("{value:.places$}"),
        x_labels: 6,
    };
    draw(&frame, |chart| {
        let each = |value: fn(&Point) -> f64| -> Vec<(f64, f64)> {
            s.recent.iter().map(|p| (x(p.target_at), value(p))).collect()
        };
        band(chart, &each(|p| p.lower), &each(|p| p.upper), BAND)?;
        under(chart, each(|p| p.last_price), NAIVE)?;
        line(chart, each(|p| p.price), FORECAST)?;
        dots(chart, &each(|p| p.actual), 5, ACTUAL)
    })
}

pub(super) fn recent_moves(of: &str, s: &SeriesFigures) -> Result<String, PlotError> {
    let (first, last) = (s.recent[0].target_at.millis(), s.recent[s.recent.len() - 1].target_at.millis());
    let clock = Clock::of(first, last);
    let bps = |p: &Point, value: f64| (value / p.last_price - 1.0) * 1e4;
    let y = around(s.recent.iter().flat_map(|p| [p.lower, p.upper, p.actual].map(|v| bps(p, v))), 0.04);
    let places = digits(y);
    let range = clock.range(first, last);
    let frame = Frame {
        title: format!("{of}: moves since issue, bps"),
        legend: &[
            ("actual", ACTUAL, Mark::Dot),
            ("forecast", FORECAST, Mark::Line),
            ("last price", NAIVE, Mark::Line),
            ("interval", BAND, Mark::Area),
        ],
        x: range,
        y,
        x_label: &clock.label("target time", first),
        x_format: &|value| clock.format(value),
        y_format: &|value| format!("{value:.places$}"),
        x_labels: 6,
    };
    draw(&frame, |chart| {
        let each = |value: fn(&Point) -> f64| -> Vec<(f64, f64)> {
            s.recent.iter().map(|p| (clock.at(p.target_at.millis()), bps(p, value(p)))).collect()
        };
        band(chart, &each(|p| p.lower), &each(|p| p.upper), BAND)?;
        rule(chart, vec![(range.0, 0.0), (range.1, 0.0)], NAIVE)?;
        line(chart, each(|p| p.price), FORECAST)?;
        dots(chart, &each(|p| p.actual), 5, ACTUAL)
    })
}

pub(super) fn recent_gains(of: &str, s: &SeriesFigures) -> Result<String, PlotError> {
    let (first, last) = (s.recent[0].target_at.millis(), s.recent[s.recent.len() - 1].target_at.millis());
    let clock = Clock::of(first, last);
    let gains: Vec<f64> = s
        .recent
        .iter()
        .map(|p| ((p.last_price - p.actual).abs() - (p.price - p.actual).abs()) / p.last_price * 1e4)
        .collect();
    let largest = gains.iter().fold(0.0_f64, |top, gain| top.max(gain.abs()));
    let y = if largest > 0.0 { (-1.1 * largest, 1.1 * largest) } else { (-1.0, 1.0) };
    let places = digits(y);
    let range = clock.range(first, last);
    let half = (range.1 - range.0) / s.recent.len() as f64 * 0.4;
    let frame = Frame {
        title: format!("{of}: error saved by each, bps"),
        legend: &[("forecast nearer", GOOD, Mark::Area), ("last price nearer", BAD, Mark::Area)],
        x: (range.0 - half, range.1 + half),
        y,
        x_label: &clock.label("target time", first),
        x_format: &|value| clock.format(value),
        y_format: &|value| format!("{value:.places$}"),
        x_labels: 6,
    };
    draw(&frame, |chart| {
        for (p, gain) in s.recent.iter().zip(&gains) {
            let x = clock.at(p.target_at.millis());
            bar(chart, (x - half, x + half), 0.0, *gain, if *gain > 0.0 { GOOD } else { BAD })?;
        }
        rule(chart, vec![(range.0 - half, 0.0), (range.1 + half, 0.0)], MUTED)
    })
}
