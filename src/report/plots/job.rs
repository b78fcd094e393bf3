//! What is of the whole job: how training went, and what became of its records.

use super::axis::{Clock, around, digits};
use super::{Plot, safe, short};
use crate::evaluation::report::figures::Training;
use crate::market::Span;
use crate::report::numbers::{grouped, percent};
use crate::report::style::{FORECAST, NAIVE};
use crate::report::svg::{Frame, PlotError, bar, draw, line, note};
use plotters::style::text_anchor::HPos;

pub(super) fn loss(number: usize, training: &Training) -> Result<Option<Plot>, PlotError> {
    if training.points.len() < 2 {
        return Ok(None);
    }
    let of = short(&training.symbol);
    let (first, last) = (training.points[0].0, training.points[training.points.len() - 1].0);
    let clock = Clock::of(first, last);
    let y = around(training.points.iter().map(|point| point.1), 0.06);
    let places = digits(y);
    let length = Span::from_millis(training.seconds * 1000).to_string();
    let frame = Frame {
        title: format!("{of}: training loss, mean of the epochs per {length}"),
        legend: &[],
        x: clock.range(first, last),
        y,
        x_label: &clock.label("end of the epoch", first),
        x_format: &|value| clock.format(value),
        y_format: &|value| format!("{value:.places$}"),
        x_labels: 6,
    };
    let svg = draw(&frame, |chart| {
        line(chart, training.points.iter().map(|(at, loss)| (clock.at(*at), *loss)).collect(), FORECAST)
    })?;
    let name = format!("{:02}-{}-loss", number + 1, safe(&training.symbol));
    let versions = grouped(training.versions);
    let caption = format!(
        "{of}: loss of the LSTM on what it learnt from, weighted pinball in units of the scale; {versions} trainings."
    );
    Ok(Some(Plot { name, caption, svg }))
}

pub(super) fn outcomes(records: &[(String, u64)]) -> Result<Plot, PlotError> {
    let total: u64 = records.iter().map(|(_, count)| count).sum();
    let rows = records.len() as f64;
    let frame = Frame {
        title: format!("Records by outcome, of {}", grouped(total)),
        legend: &[],
        x: (0.0, 1.3),
        y: (-rows, 0.0),
        x_label: "share of the records",
        x_format: &|value| if value > 1.01 { String::new() } else { format!("{:.0} %", value * 100.0) },
        y_format: &|_| String::new(),
        x_labels: 7,
    };
    let svg = draw(&frame, |chart| {
        for (row, (name, count)) in records.iter().enumerate() {
            let y = -(row as f64);
            let share = if total == 0 { 0.0 } else { *count as f64 / total as f64 };
            bar(chart, (0.0, share), y - 0.55, y - 0.95, if row == 0 { FORECAST } else { NAIVE })?;
            let text = format!("{name}: {} ({})", grouped(*count), percent(Some(share), 2));
            note(chart, (0.0, y - 0.3), (8, 0), &text, HPos::Left)?;
        }
        Ok(())
    })?;
    let caption = "What became of the records that the job read.".to_owned();
    Ok(Plot { name: "records".to_owned(), caption, svg })
}
