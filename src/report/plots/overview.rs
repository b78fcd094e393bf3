//! One picture of everything: by how much each series beats the last price.

use super::Plot;
use super::axis::{around, digits};
use crate::evaluation::report::figures::{Figures, SeriesFigures};
use crate::market::Span;
use crate::report::style::{BAD, GOOD, MUTED};
use crate::report::svg::{Frame, Mark, PlotError, dots, draw, rule};
use crate::report::words::{Verdict, words};
use std::collections::BTreeSet;

/// More dots than these are nobody's.
const DOTS_MAX: usize = 2000;
/// Of the room of a horizon, what its dots spread over.
const SPREAD: f64 = 0.6;

/// The share of the last price's error that each forecast saves, by horizon; none where there is one series.
pub(super) fn saved(figures: &Figures) -> Result<Option<Plot>, PlotError> {
    let horizons: Vec<Span> =
        figures.series.iter().filter_map(|s| s.horizon.parse().ok()).collect::<BTreeSet<_>>().into_iter().collect();
    let judged = |s: &&SeriesFigures| words(s).verdict != Verdict::Unknown;
    let all: Vec<&SeriesFigures> = figures.series.iter().filter(judged).collect();
    if all.len() < 2 {
        return Ok(None);
    }
    // Where there are too many, those with evidence and as many of the others as there is room for.
    let (mut shown, others): (Vec<_>, Vec<_>) =
        all.iter().copied().partition(|s| matches!(words(s).verdict, Verdict::Better | Verdict::Worse));
    shown.truncate(DOTS_MAX);
    let room = DOTS_MAX - shown.len();
    shown.extend(others.iter().copied().step_by(others.len().div_ceil(room.max(1)).max(1)).take(room));
    let lane = |s: &SeriesFigures| {
        let horizon: Option<Span> = s.horizon.parse().ok();
        horizon.and_then(|horizon| horizons.iter().position(|other| *other == horizon)).unwrap_or(0)
    };
    let mut filled = vec![0_usize; horizons.len().max(1)];
    let mut points: Vec<(Verdict, (f64, f64))> = Vec::new();
    for s in &shown {
        let lane = lane(s);
        // Beside each other, so that equal ones show.
        let place = (filled[lane] as f64 * 0.618_034).fract() - 0.5;
        filled[lane] += 1;
        let percent = (1.0 - s.mae_ratio.unwrap_or(1.0)) * 100.0;
        points.push((words(s).verdict, (percent, lane as f64 + place * SPREAD)));
    }
    let x = around(points.iter().map(|(_, (x, _))| *x).chain([0.0]), 0.08);
    let places = digits(x);
    let name = |value: f64| {
        let lane = value.round();
        let horizon = (value - lane).abs() < 0.05 && lane >= 0.0;
        horizon.then(|| horizons.get(lane as usize)).flatten().map_or_else(String::new, ToString::to_string)
    };
    let frame = Frame {
        title: "error saved over repeating the last price, per cent".to_owned(),
        legend: &[("better", GOOD, Mark::Dot), ("worse", BAD, Mark::Dot), ("no evidence", MUTED, Mark::Dot)],
        x,
        y: (-0.5, horizons.len() as f64 - 0.5),
        x_label: "of the mean absolute error; the line is the last price itself",
        x_format: &|value| format!("{value:.places$}"),
        y_format: &name,
        x_labels: 7,
    };
    let svg = draw(&frame, |chart| {
        rule(chart, vec![(0.0, -0.5), (0.0, horizons.len() as f64 - 0.5)], MUTED)?;
        for (verdict, color) in [(Verdict::Same, MUTED), (Verdict::Worse, BAD), (Verdict::Better, GOOD)] {
            let these: Vec<(f64, f64)> = points.iter().filter(|(v, _)| *v == verdict).map(|(_, at)| *at).collect();
            dots(chart, &these, 6, color)?;
        }
        Ok(())
    })?;
    let of =
        if shown.len() < all.len() { format!(" ({} of {} are drawn)", shown.len(), all.len()) } else { String::new() };
    let caption = format!(
        "by how much each symbol's mean absolute error is below that of repeating the last price, one row a horizon: right of the line is better, coloured where there is evidence{of}."
    );
    Ok(Some(Plot { name: "00-overview".to_owned(), caption, svg }))
}
