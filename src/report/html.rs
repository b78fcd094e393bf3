//! The page: words first, then the table, then the pictures, then how to read them. One file: no script, no font, no
//! address outside of it, and a policy that forbids the browser to look for any.

use super::PLOTTED_MAX;
use super::numbers::grouped;
use super::plots::{Plot, SeriesPlots};
use super::style::dark_pictures;
use super::svg::escape;
use super::table::{COLUMNS, left_out};
use super::words::{Words, words};
use crate::evaluation::report::figures::{Figures, SeriesFigures};
use std::fmt::Write as _;

const STYLE: &str = include_str!("style.css");

/// What each column is, for those who have not met it.
const MEANINGS: [(&str, &str); 12] = [
    ("bps", "Basis points: hundredths of a per cent of the price."),
    (
        "MAE ratio, RMSE ratio",
        "Mean absolute error, and root of the mean squared error, divided by that of repeating the last price over the same forecasts. Below 1 is better than doing nothing.",
    ),
    (
        "R²",
        "1 less the sum of squared errors over that of repeating the last price, out of sample. Above 0 is better; at these horizons a few thousandths are a lot.",
    ),
    ("direction", "Of the moves where the forecast differed from the last price: the share that went its way."),
    (
        "pinball",
        "Loss of the five published quantiles over that of Gaussian quantiles whose volatility is an exponential mean (half-life 60 steps). It judges the whole distribution; below 1 is better.",
    ),
    (
        "coverage",
        "Share of outcomes inside of the interval. It should be what the interval was made for, at all times.",
    ),
    ("worst day", "Lowest coverage of a day (UTC) with at least 20 scores."),
    ("width", "Mean width of the intervals: of two that cover equally, the narrower is better."),
    (
        "e-value",
        "Evidence, valid whenever one looks, that the forecast beats the last price; from 20 on it counts at 5 per cent (for horizons of several steps: at a time fixed in advance). As last published, from the job's first score on.",
    ),
    (
        "DM t",
        "Diebold-Mariano: mean difference of the absolute errors in bps over its standard error (Newey-West, since neighbours overlap). From 1.96 on it counts at 5 per cent; below 0 the forecast is worse.",
    ),
    (
        "break-even",
        "What a trade may cost, entering and leaving together, for acting on the forecast to pay: the mean return of following its sign to the target.",
    ),
    (
        "calm, normal, wild",
        "Thirds of the time by volatility when the forecast was made (exponential mean of squared returns, half-life 60 forecasts).",
    ),
];

/// The whole page.
#[must_use]
pub fn page(figures: &Figures, plots: &SeriesPlots) -> String {
    let mut out = String::with_capacity(1 << 20);
    let job = figures.job.as_deref().unwrap_or_default();
    let title = format!("Forecasts of {}, judged", escape(job));
    let _ = write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
         <meta name=\"generator\" content=\"tickcast {}\">\
         <title>{title}</title><style>{STYLE}{}</style></head><body><main><h1>{title}</h1>",
        env!("CARGO_PKG_VERSION"),
        dark_pictures()
    );
    head(figures, &mut out);
    out.push_str("<h2>Do they beat repeating the last price?</h2><div class=\"cards\">");
    figures.series.iter().take(PLOTTED_MAX).for_each(|s| card(s, &mut out));
    out.push_str("</div>");
    table(figures, &mut out);
    pictures(figures, plots, &mut out);
    out.push_str("<h2>How to read this</h2><dl>");
    for (name, meaning) in MEANINGS {
        let _ = write!(out, "<dt>{name}</dt><dd>{meaning}</dd>");
    }
    out.push_str("</dl></main></body></html>\n");
    out
}

fn head(figures: &Figures, out: &mut String) {
    let from = figures.series.iter().filter_map(|s| s.from).min();
    let to = figures.series.iter().filter_map(|s| s.to).max();
    if let (Some(from), Some(to)) = (from, to) {
        let minute =
            |at: crate::market::Timestamp| at.to_string().chars().take(16).collect::<String>().replace('T', " ");
        let _ = write!(
            out,
            "<p class=\"meta\">{} forecasts, issued from {} to {} (UTC). Each was scored once, when its time had come, by what was published then.</p>",
            grouped(figures.forecasts),
            minute(from),
            minute(to)
        );
    }
    let simulated = figures.series.iter().filter(|s| s.simulated).count();
    if simulated > 0 {
        let which = if simulated == figures.series.len() { "" } else { ": the symbols that end with .SIM" };
        let _ = write!(
            out,
            "<p class=\"simulated\">SIMULATED MARKET{which}. Nothing in it was ever traded; what a forecast earns on it says nothing about real prices.</p>"
        );
    }
    for line in left_out(figures) {
        let _ = write!(out, "<p class=\"note\">{line}</p>");
    }
    if figures.series.len() > PLOTTED_MAX {
        let _ = write!(
            out,
            "<p class=\"note\">Words and pictures are of the first {PLOTTED_MAX} of {} symbols and horizons; the table has all.</p>",
            figures.series.len()
        );
    }
}

/// `BTC, 5m ahead`, marked where it is simulated.
fn name(s: &SeriesFigures) -> String {
    let mark = if s.simulated { " (simulated)" } else { "" };
    format!("{}{mark}, {} ahead", escape(&s.symbol), escape(&s.horizon))
}

fn card(s: &SeriesFigures, out: &mut String) {
    let Words { verdict, headline, sentences } = words(s);
    let _ =
        write!(out, "<section class=\"card {}\"><h3>{}: <b>{}</b></h3>", verdict.class(), name(s), escape(&headline));
    for sentence in sentences {
        let _ = write!(out, "<p>{}</p>", escape(&sentence));
    }
    out.push_str("</section>");
}

fn table(figures: &Figures, out: &mut String) {
    out.push_str("<h2>All figures</h2><div class=\"scroll\"><table><thead><tr><th>symbol, horizon</th>");
    for (name, _) in COLUMNS {
        let _ = write!(out, "<th>{name}</th>");
    }
    out.push_str("</tr></thead><tbody>");
    for s in &figures.series {
        let _ = write!(out, "<tr><td>{}, {}</td>", escape(&s.symbol), escape(&s.horizon));
        for (_, of) in COLUMNS {
            let _ = write!(out, "<td>{}</td>", escape(&of(s)));
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table></div>");
}

fn pictures(figures: &Figures, plots: &SeriesPlots, out: &mut String) {
    out.push_str("<h2>Pictures</h2>");
    for (number, (s, shown)) in figures.series.iter().zip(&plots.series).enumerate() {
        let open = if number == 0 { " open" } else { "" };
        let _ = write!(out, "<details{open}><summary>{}</summary><div class=\"plots\">", name(s));
        shown.iter().for_each(|plot| figure(plot, out));
        out.push_str("</div></details>");
    }
    if !plots.others.is_empty() {
        out.push_str("<details open><summary>Training and input</summary><div class=\"plots\">");
        plots.others.iter().for_each(|plot| figure(plot, out));
        out.push_str("</div></details>");
    }
    if figures.records.is_none() {
        out.push_str("<p class=\"note\">What became of the records that the job read is not here: it stands in the summary of a run (backfill --json), to be given with --summary.</p>");
    }
}

fn figure(plot: &Plot, out: &mut String) {
    let _ = write!(out, "<figure>{}<figcaption>{}</figcaption></figure>", plot.inline(), escape(&plot.caption));
}
