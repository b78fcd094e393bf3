//! The pictures: what each shows of the figures.

mod axis;
mod job;
mod over_time;
mod overview;
mod parts;
mod recent;

use super::PLOTTED_MAX;
use super::numbers::printable;
use super::svg::{inline, standalone};
use crate::evaluation::report::figures::{Figures, SeriesFigures};
use job::{loss, outcomes};
use over_time::{advantage, coverage, errors, pinball};
use parts::{calibration, hours, terciles};
use recent::{recent_gains, recent_moves, recent_prices};

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
    /// Of all symbols and horizons; none where there is one.
    pub overview: Option<Plot>,
    /// Of each of the first [`PLOTTED_MAX`] series.
    pub series: Vec<Vec<Plot>>,
    /// Of training, by symbol; of records, where there are any.
    pub others: Vec<Plot>,
}

impl SeriesPlots {
    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = &Plot> {
        self.overview.iter().chain(self.series.iter().flatten()).chain(&self.others)
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
    let overview = overview::saved(figures)?;
    Ok(SeriesPlots { overview, series, others })
}

/// What of a symbol may stand in a file's name.
fn safe(symbol: &str) -> String {
    symbol.chars().map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' }).collect()
}

/// A symbol as short as a title can hold.
fn short(symbol: &str) -> String {
    const CHARACTERS_MAX: usize = 16;
    let clean = printable(symbol);
    if clean.chars().count() <= CHARACTERS_MAX {
        return clean;
    }
    clean.chars().take(CHARACTERS_MAX - 1).chain(['…']).collect()
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
            &format!(
                "the same {n}: by how much the forecast was nearer to what came (green) or farther from it (red) than the last price was."
            ),
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
            "the same of all forecasts, added up: while the line rises the forecast is nearer, while it is flat there is no difference.",
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
