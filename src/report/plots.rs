//! The pictures: what each shows of the figures.

use super::PLOTTED_MAX;
use super::numbers::{grouped, percent};
use super::style::{ACTUAL, BAD, BAND, FORECAST, GOOD, MUTED, NAIVE};
use super::svg::{self, Frame, Mark, band, bar, dots, draw, inline, line, note, rule, standalone};
use crate::evaluation::report::figures::{Figures, Part, SeriesFigures, Training};
use crate::market::Timestamp;
use plotters::style::text_anchor::HPos;

pub use super::svg::PlotError;

/// One picture.
#[derive(Clone, Debug)]
pub struct Plot {
    /// Of the file, without `.svg`.
    pub name: String,
    /// One sentence: what to see.
    pub caption: String,
    svg: String,
}

impl Plot {
    /// As a file of its own.
    #[must_use]
    pub fn file(&self) -> String {
        standalone(&self.svg, &self.caption)
    }

    /// As a part of a page.
    #[must_use]
    pub fn inline(&self) -> String {
        inline(&self.svg, &self.caption)
    }
}

/// All pictures.
#[derive(Clone, Debug)]
pub struct SeriesPlots {
    /// Of each of the first [`PLOTTED_MAX`] series.
    pub series: Vec<Vec<Plot>>,
    /// Of training, by symbol; of records, where there are any.
    pub others: Vec<Plot>,
}

impl SeriesPlots {
    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = &Plot> {
        self.series.iter().flatten().chain(&self.others)
    }
}

/// Draws everything.
///
/// # Errors
/// [`PlotError`], which would be an error of the program.
pub fn plots(figures: &Figures) -> Result<SeriesPlots, PlotError> {
    let shown = figures.series.iter().take(PLOTTED_MAX).enumerate();
    let series = shown.map(|(number, s)| of_series(number, s)).collect::<Result<_, _>>()?;
    let mut others = Vec::new();
    for (number, training) in figures.training.iter().take(PLOTTED_MAX).enumerate() {
        others.extend(loss(number, training)?);
    }
    if let Some(records) = &figures.records {
        others.push(outcomes(records)?);
    }
    Ok(SeriesPlots { series, others })
}

/// What of a symbol may stand in a file's name.
fn safe(symbol: &str) -> String {
    symbol.chars().map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' }).collect()
}

/// A symbol as short as a title can hold.
fn short(symbol: &str) -> String {
    const CHARACTERS_MAX: usize = 16;
    let clean: String = symbol.chars().map(|c| if c.is_control() { '\u{FFFD}' } else { c }).collect();
    if clean.chars().count() <= CHARACTERS_MAX {
        return clean;
    }
    clean.chars().take(CHARACTERS_MAX - 1).chain(['…']).collect()
}

/// An axis of time in the largest unit that gives it labels at whole numbers.
struct Clock {
    unit_ms: f64,
    from: usize,
    to: usize,
}

impl Clock {
    fn of(first_ms: i64, last_ms: i64) -> Self {
        let length = last_ms - first_ms;
        let (unit_ms, from, to) = match length {
            l if l >= 4 * 86_400_000 => (86_400_000, 5, 10),
            l if l >= 4 * 3_600_000 => (3_600_000, 11, 16),
            l if l >= 4 * 60_000 => (60_000, 11, 16),
            _ => (1000, 11, 19),
        };
        Self { unit_ms: f64::from(unit_ms), from, to }
    }

    fn at(&self, ms: i64) -> f64 {
        ms as f64 / self.unit_ms
    }

    /// `06-15`, `14:30` or `14:30:05`.
    fn format(&self, value: f64) -> String {
        let text = Timestamp::from_millis((value * self.unit_ms).round() as i64).to_string();
        text.get(self.from..self.to).unwrap_or_default().to_owned()
    }

    /// From the first to the last, and never of no length.
    fn range(&self, first_ms: i64, last_ms: i64) -> (f64, f64) {
        (self.at(first_ms), self.at(last_ms.max(first_ms + 1)))
    }

    fn label(&self, what: &str, first_ms: i64) -> String {
        let day = Timestamp::from_millis(first_ms).to_string();
        let part = if self.from == 5 { &day[..4] } else { &day[..10] };
        format!("{what} (UTC, {part})")
    }
}

/// A range with some room around the values, and never of no length.
fn around(values: impl Iterator<Item = f64>, room: f64) -> (f64, f64) {
    let (low, high) = values
        .filter(|v| v.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    if low > high {
        return (0.0, 1.0);
    }
    let length = (high - low).max(high.abs().max(low.abs()) * 1e-6).max(1e-9);
    (low - room * length, high + room * length)
}

/// As many decimals as tell the labels of an axis apart.
fn digits(range: (f64, f64)) -> usize {
    let step = (range.1 - range.0) / 6.0;
    if step <= 0.0 { 0 } else { (-step.log10()).ceil().clamp(0.0, 6.0) as usize }
}

fn of_series(number: usize, s: &SeriesFigures) -> Result<Vec<Plot>, PlotError> {
    let of = format!("{}, {} ahead", short(&s.symbol), s.horizon);
    let mut all = Vec::new();
    let mut add = |name: &str, caption: &str, svg: String| {
        let name = format!("{:02}-{}-{}-{name}", number + 1, safe(&s.symbol), s.horizon);
        all.push(Plot { name, caption: format!("{of}: {caption}"), svg });
    };
    if !s.recent.is_empty() {
        let n = s.recent.len();
        add(
            "prices",
            &format!(
                "the last {n} forecasts as prices, with the interval. The last price (orange) is the actual price, later by the horizon; so is a forecast that only follows it."
            ),
            recent_prices(&of, s)?,
        );
        add(
            "moves",
            &format!(
                "the same {n} as moves since the forecast was made: repeating the last price is the line at 0, and what the blue line adds is all that the forecast knows of the direction."
            ),
            recent_moves(&of, s)?,
        );
        add(
            "gains",
            &format!("the same {n}: how much nearer (green) or farther (red) the forecast was than the last price."),
            recent_gains(&of, s)?,
        );
    }
    if s.over_time.len() > 1 {
        add(
            "errors",
            "mean absolute error over time, of the forecast and of repeating the last price.",
            errors(&of, s)?,
        );
        add(
            "advantage",
            "all that the forecast was nearer than the last price, added up: rising is better, flat is no difference.",
            advantage(&of, s)?,
        );
        add(
            "coverage",
            "share of outcomes inside of the interval over time; the line is what it is meant to hold.",
            coverage(&of, s)?,
        );
        add(
            "pinball",
            "pinball loss of the quantiles over time, relative to Gaussian quantiles of the recent volatility: below 1 is better.",
            pinball(&of, s)?,
        );
    }
    if s.scored > 0 {
        add(
            "calibration",
            "share of outcomes at or below each published quantile, against its level: on the diagonal is right.",
            calibration(&of, s)?,
        );
        add("hours", "mean absolute error by the hour of issue.", hours(&of, s)?);
    }
    if !s.terciles.is_empty() {
        add(
            "volatility",
            "mean absolute error (bars) and coverage (numbers) in calm, normal and wild thirds of the time.",
            terciles(&of, s)?,
        );
    }
    Ok(all)
}

fn span_of(parts: &[Part]) -> (i64, i64) {
    (parts.first().map_or(0, |part| part.start_ms), parts.last().map_or(1, |part| part.start_ms))
}

fn recent_prices(of: &str, s: &SeriesFigures) -> Result<String, PlotError> {
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
        let each = |value: fn(&crate::evaluation::report::series::Point) -> f64| -> Vec<(f64, f64)> {
            s.recent.iter().map(|p| (x(p.target_at), value(p))).collect()
        };
        band(chart, &each(|p| p.lower), &each(|p| p.upper), BAND)?;
        line(chart, each(|p| p.last_price), NAIVE)?;
        line(chart, each(|p| p.price), FORECAST)?;
        dots(chart, &each(|p| p.actual), 5, ACTUAL)
    })
}

fn recent_moves(of: &str, s: &SeriesFigures) -> Result<String, PlotError> {
    let (first, last) = (s.recent[0].target_at.millis(), s.recent[s.recent.len() - 1].target_at.millis());
    let clock = Clock::of(first, last);
    type Point = crate::evaluation::report::series::Point;
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

fn recent_gains(of: &str, s: &SeriesFigures) -> Result<String, PlotError> {
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
        title: format!("{of}: |last price's error| - |error|, bps"),
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

/// A frame over the parts of time.
fn over_time(
    s: &SeriesFigures,
    title: String,
    legend: &[(&str, plotters::style::RGBColor, Mark)],
    y: (f64, f64),
    y_format: &dyn Fn(f64) -> String,
    content: impl FnOnce(&mut svg::Chart<'_>, &dyn Fn(&Part) -> f64, (f64, f64)) -> Result<(), String>,
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
    crate::market::Span::from_millis(s.over_time_seconds * 1000).to_string()
}

fn points(s: &SeriesFigures, x: &dyn Fn(&Part) -> f64, y: fn(&Part) -> Option<f64>) -> Vec<(f64, f64)> {
    s.over_time.iter().filter_map(|part| Some((x(part), y(part)?))).collect()
}

fn errors(of: &str, s: &SeriesFigures) -> Result<String, PlotError> {
    let all = s.over_time.iter().flat_map(|part| [part.mae_bps, part.naive_mae_bps]).flatten();
    let y = (0.0, around(all, 0.06).1);
    let places = digits(y);
    let legend = [("forecast", FORECAST, Mark::Line), ("last price", NAIVE, Mark::Line)];
    let title = format!("{of}: mean absolute error per {}, bps", part_length(s));
    over_time(s, title, &legend, y, &|v| format!("{v:.places$}"), |chart, x, _| {
        line(chart, points(s, x, |part| part.naive_mae_bps), NAIVE)?;
        line(chart, points(s, x, |part| part.mae_bps), FORECAST)
    })
}

fn advantage(of: &str, s: &SeriesFigures) -> Result<String, PlotError> {
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

fn coverage(of: &str, s: &SeriesFigures) -> Result<String, PlotError> {
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

fn pinball(of: &str, s: &SeriesFigures) -> Result<String, PlotError> {
    let y = around(s.over_time.iter().filter_map(|part| part.pinball_ratio).chain([1.0]), 0.08);
    let places = digits(y);
    let legend = [("forecast", FORECAST, Mark::Line), ("recent volatility", NAIVE, Mark::Line)];
    let title = format!("{of}: pinball ratio per {}", part_length(s));
    over_time(s, title, &legend, y, &|v| format!("{v:.places$}"), |chart, x, range| {
        rule(chart, vec![(range.0, 1.0), (range.1, 1.0)], NAIVE)?;
        line(chart, points(s, x, |part| part.pinball_ratio), FORECAST)
    })
}

fn calibration(of: &str, s: &SeriesFigures) -> Result<String, PlotError> {
    let frame = Frame {
        title: format!("{of}: calibration of the quantiles"),
        legend: &[("outcomes at or below", FORECAST, Mark::Dot), ("as it should be", MUTED, Mark::Line)],
        x: (0.0, 1.0),
        y: (0.0, 1.0),
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
            let (by, anchor) = if nominal > 0.5 { ((-20, -14), HPos::Right) } else { ((22, 16), HPos::Left) };
            note(chart, (nominal, observed), by, &text, anchor)?;
        }
        Ok(())
    })
}

fn hours(of: &str, s: &SeriesFigures) -> Result<String, PlotError> {
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

fn terciles(of: &str, s: &SeriesFigures) -> Result<String, PlotError> {
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
            let name = crate::evaluation::report::figures::TERCILES.get(place.max(0.0) as usize);
            name.filter(|_| (value - place).abs() < 0.01 && place >= 0.0).map_or_else(String::new, |n| (*n).to_owned())
        },
        y_format: &|value| format!("{value:.places$}"),
        x_labels: 4,
    };
    draw(&frame, |chart| {
        for tercile in &s.terciles {
            let names = crate::evaluation::report::figures::TERCILES;
            let x = names.iter().position(|name| *name == tercile.name).unwrap_or(0) as f64;
            let (mae, naive) = (tercile.part.mae_bps.unwrap_or(0.0), tercile.part.naive_mae_bps.unwrap_or(0.0));
            bar(chart, (x - 0.3, x - 0.02), 0.0, mae, FORECAST)?;
            bar(chart, (x + 0.02, x + 0.3), 0.0, naive, NAIVE)?;
            note(chart, (x, mae.max(naive)), (0, -22), &percent(tercile.part.coverage, 1), HPos::Center)?;
        }
        Ok(())
    })
}

fn loss(number: usize, training: &Training) -> Result<Option<Plot>, PlotError> {
    if training.points.len() < 2 {
        return Ok(None);
    }
    let of = short(&training.symbol);
    let (first, last) = (training.points[0].0, training.points[training.points.len() - 1].0);
    let clock = Clock::of(first, last);
    let y = around(training.points.iter().map(|point| point.1), 0.06);
    let places = digits(y);
    let length = crate::market::Span::from_millis(training.seconds * 1000).to_string();
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

fn outcomes(records: &[(String, u64)]) -> Result<Plot, PlotError> {
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
