//! What a job with everything in one process shows, as lines of plain ASCII: a pure function of what there is to show.

use crate::market::{Forecast, Status, Timestamp};
use crate::report::grouped;
use std::time::Duration;

/// What it is doing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Phase {
    /// Asking for history, and how much of it has come: 0 to 1.
    Asking(f64),
    /// History as fast as it goes, and how much of it is through: 0 to 1, where that is known.
    History(Option<f64>),
    /// Live, at this many times the market's own pace; none is as fast as it goes.
    Live(Option<f64>),
    /// Waiting for the job to publish the rest.
    Finishing,
}

/// All that there is to show.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The command.
    pub name: &'static str,
    /// What the market is.
    pub label: &'static str,
    /// What it is doing.
    pub phase: Phase,
    /// Records published into the input topic.
    pub records: u64,
    /// Up to where, in event time, forecasts are published; none before the first.
    pub through: Option<Timestamp>,
    /// Forecasts published.
    pub forecasts: u64,
    /// Since the start.
    pub elapsed: Duration,
    /// The latest forecast of each symbol and horizon.
    pub latest: &'a [Forecast],
}

/// Width of the progress bar.
const BAR: usize = 24;
/// What is left out first where the columns do not fit: places in [`HEADERS`].
const LEFT_OUT: [usize; 4] = [9, 8, 2, 7];
const HEADERS: [&str; COLUMNS] =
    ["symbol", "ahead", "last", "forecast", "lower", "upper", "MAE", "cover", "scores", "note"];
const COLUMNS: usize = 10;

impl View<'_> {
    /// The whole picture, no line longer than `width`, at most `height` lines.
    #[must_use]
    pub fn lines(&self, width: usize, height: usize) -> Vec<String> {
        let mut lines = vec![self.title(), self.figures(), String::new()];
        if self.latest.is_empty() {
            lines.push("No forecast yet.".to_owned());
        } else {
            lines.extend(table(self.latest, width));
            lines.push(String::new());
            lines.push(
                "MAE: error over that of repeating the last price, the naive forecast; below 1 is better.".to_owned(),
            );
            lines.push("cover: share of prices inside lower..upper. Both over the latest scores.".to_owned());
        }
        lines.push("Ctrl-C ends.".to_owned());
        lines.truncate(height);
        // ASCII but for symbols, hence by characters.
        lines.into_iter().map(|line| line.chars().take(width).collect()).collect()
    }

    /// One line, for where there is no terminal.
    #[must_use]
    pub fn line(&self) -> String {
        let mut line = format!("{}: {}", self.label, self.figures());
        for f in self.latest.iter().take(1) {
            let places = places(f.last_price.to_f64());
            let mae = f.skill.mae_ratio.map(|ratio| format!(", MAE ratio {ratio:.3}")).unwrap_or_default();
            line += &format!(
                "; {} in {}: {:.places$} ({:.places$} to {:.places$}), last {:.places$}{mae}",
                f.symbol,
                f.horizon,
                f.price,
                f.interval.lower,
                f.interval.upper,
                f.last_price.to_f64()
            );
        }
        line
    }

    fn title(&self) -> String {
        let (name, label) = (self.name, self.label);
        match self.phase {
            Phase::History(Some(share)) => {
                let share = share.clamp(0.0, 1.0);
                let full = (share * BAR as f64) as usize;
                let bar = "#".repeat(full) + &"-".repeat(BAR - full);
                format!("tickcast {name}: {label}, history [{bar}] {:.0} %", share * 100.0)
            }
            Phase::Asking(share) => format!("tickcast {name}: {label}, asking for history, {:.0} %", share * 100.0),
            Phase::History(None) => format!("tickcast {name}: {label}, history"),
            Phase::Live(Some(1.0)) => format!("tickcast {name}: {label}, live"),
            Phase::Live(Some(speed)) => format!("tickcast {name}: {label}, live at {speed} times its own pace"),
            Phase::Live(None) => format!("tickcast {name}: {label}, live as fast as it goes"),
            Phase::Finishing => format!("tickcast {name}: {label}, publishing the rest"),
        }
    }

    fn figures(&self) -> String {
        let seconds = self.elapsed.as_secs();
        let through = self.through.map_or_else(
            || "nothing published yet".to_owned(),
            |through| {
                let text = through.to_string();
                let (day, time) = text.split_once('T').unwrap_or((&text, ""));
                format!("through {day} {} UTC", time.get(..8).unwrap_or(time))
            },
        );
        let (records, forecasts) = (grouped(self.records), grouped(self.forecasts));
        format!("{through}, {records} records, {forecasts} forecasts, {seconds} s")
    }
}

/// Decimal places that suit prices of this size.
fn places(price: f64) -> usize {
    match price {
        1000.0.. => 2,
        100.0.. => 3,
        1.0.. => 4,
        0.01.. => 6,
        _ => 8,
    }
}

fn cells(f: &Forecast) -> [String; COLUMNS] {
    let last = f.last_price.to_f64();
    let places = places(last);
    let price = |price: f64| format!("{price:.places$}");
    let share = |share: Option<f64>| share.map_or_else(|| "-".to_owned(), |share| format!("{share:.3}"));
    let note = if f.status == Status::Ok { "" } else { f.status.as_str() };
    [
        f.symbol.to_string(),
        f.horizon.to_string(),
        price(last),
        price(f.price),
        price(f.interval.lower),
        price(f.interval.upper),
        share(f.skill.mae_ratio),
        share(f.skill.coverage),
        f.skill.count.to_string(),
        note.to_owned(),
    ]
}

/// Header and rows, aligned, with as many columns as fit.
fn table(latest: &[Forecast], width: usize) -> Vec<String> {
    let rows: Vec<[String; COLUMNS]> =
        std::iter::once(HEADERS.map(str::to_owned)).chain(latest.iter().map(cells)).collect();
    let widths: [usize; COLUMNS] =
        std::array::from_fn(|at| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0));
    let noted = latest.iter().any(|f| f.status != Status::Ok);
    let mut shown: Vec<usize> = (0..COLUMNS).filter(|at| noted || HEADERS[*at] != "note").collect();
    let total = |shown: &[usize], gap: usize| {
        shown.iter().map(|at| widths[*at]).sum::<usize>() + gap * shown.len().saturating_sub(1)
    };
    let mut gap = if total(&shown, 2) <= width { 2 } else { 1 };
    for at in LEFT_OUT {
        if total(&shown, gap) <= width {
            break;
        }
        shown.retain(|column| *column != at);
        gap = 1;
    }
    let line = |row: &[String; COLUMNS]| {
        let cell = |at: &usize| {
            let width = widths[*at];
            // Words to the left, numbers to the right.
            if matches!(HEADERS[*at], "symbol" | "note") {
                format!("{:<width$}", row[*at])
            } else {
                format!("{:>width$}", row[*at])
            }
        };
        shown.iter().map(cell).collect::<Vec<_>>().join(&" ".repeat(gap)).trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests;
