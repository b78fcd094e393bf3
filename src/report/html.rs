//! The page: everything at a glance, then each symbol with its words and pictures, then all figures, then how to read them. One
//! file: no script, no font, no address outside of it, and a policy that forbids the browser to look for any.

use super::glance;
use super::numbers::grouped;
use super::plots::{Plot, SeriesPlots};
use super::style::dark_pictures;
use super::svg::escape;
use super::table::{COLUMNS, left_out};
use super::words::{Words, words};
use super::{LISTED_MAX, PLOTTED_MAX, WORDED_MAX};
use crate::evaluation::report::figures::{Figures, SeriesFigures};
use std::collections::{BTreeMap, BTreeSet};
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

/// The most that a page has, more or less.
const PAGE_BYTES: usize = 940_000;
/// Pictures have at least so much of it.
const PICTURES_BYTES: usize = 200_000;
/// The pictures of a series that are shown before the others of any.
const FIRST: [&str; 4] = ["-prices", "-advantage", "-calibration", "-coverage"];
/// More symbols than these are folded.
const OPEN_MAX: usize = 1;

/// What a symbol's part of the page is called.
pub(super) fn anchor(number: usize) -> String {
    format!("s{}", number + 1)
}

/// The whole page.
#[must_use]
pub fn page(figures: &Figures, plots: &SeriesPlots) -> String {
    let mut out = String::with_capacity(PAGE_BYTES);
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
    out.push_str("<h2>Do they beat repeating the last price?</h2>");
    for sentence in glance::sentences(figures) {
        let _ = write!(out, "<p>{}</p>", escape(&sentence));
    }
    if let Some(plot) = &plots.overview {
        figure(plot, &mut out);
    }
    let worded: BTreeSet<&str> = figures.series.iter().take(WORDED_MAX).map(|s| s.symbol.as_str()).collect();
    glance::table(figures, worded.len(), &mut out);
    let mut end = String::new();
    table(figures, &mut end);
    meanings(&mut end);
    let cards: Vec<String> = figures.series.iter().take(WORDED_MAX).map(card).collect();
    let fixed = out.len() + end.len() + cards.iter().map(String::len).sum::<usize>();
    let mut shown = Shown::chosen(plots, PAGE_BYTES.saturating_sub(fixed).max(PICTURES_BYTES));
    symbols(figures, &cards, &mut shown, &mut out);
    others(figures, &shown, &mut out);
    out.push_str(&end);
    out.push_str("</main></body></html>\n");
    out
}

/// The pictures that are in the page.
struct Shown {
    /// Of each series, as figures, and how many there are more.
    series: Vec<(Vec<String>, usize)>,
    others: Vec<String>,
}

impl Shown {
    /// As many as so many bytes hold: first what tells most of each.
    fn chosen(plots: &SeriesPlots, mut left: usize) -> Self {
        let mut take = |plot: &Plot| {
            let mut text = String::new();
            figure(plot, &mut text);
            // Once one has no room, none has, so that like stands beside like.
            left = left.saturating_sub(text.len());
            (left > 0).then_some(text)
        };
        let is_first = |plot: &Plot| FIRST.iter().any(|end| plot.name.ends_with(end));
        let mut chosen: Vec<Vec<Option<String>>> = plots.series.iter().map(|all| vec![None; all.len()]).collect();
        let mut others = Vec::new();
        for first in [true, false] {
            for (all, chosen) in plots.series.iter().zip(&mut chosen) {
                for (plot, text) in all.iter().zip(chosen).filter(|(plot, _)| is_first(plot) == first) {
                    *text = take(plot);
                }
            }
            if first {
                others = plots.others.iter().filter_map(&mut take).collect();
            }
        }
        let series = chosen.into_iter().map(|all| {
            let of = all.len();
            let shown: Vec<String> = all.into_iter().flatten().collect();
            let more = of - shown.len();
            (shown, more)
        });
        Self { series: series.collect(), others }
    }
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
}

/// `BTC, 5m ahead`, marked where it is simulated.
fn name(s: &SeriesFigures) -> String {
    let mark = if s.simulated { " (simulated)" } else { "" };
    format!("{}{mark}, {} ahead", escape(&s.symbol), escape(&s.horizon))
}

fn card(s: &SeriesFigures) -> String {
    let Words { verdict, headline, sentences } = words(s);
    let mut out =
        format!("<section class=\"card {}\"><h3>{}: <b>{}</b></h3>", verdict.class(), name(s), escape(&headline));
    for sentence in sentences {
        let _ = write!(out, "<p>{}</p>", escape(&sentence));
    }
    out.push_str("</section>");
    out
}

/// Words and pictures of each symbol, folded where there are several.
fn symbols(figures: &Figures, cards: &[String], shown: &mut Shown, out: &mut String) {
    let mut groups: BTreeMap<&str, Vec<(usize, &SeriesFigures)>> = BTreeMap::new();
    for (number, s) in figures.series.iter().enumerate().take(cards.len()) {
        groups.entry(&s.symbol).or_default().push((number, s));
    }
    out.push_str("<h2>Symbol by symbol</h2>");
    let open = if groups.len() <= OPEN_MAX { " open" } else { "" };
    for (place, (symbol, series)) in groups.iter().enumerate() {
        let _ = write!(
            out,
            "<details{open} id=\"{}\"><summary>{}</summary><div class=\"cards\">",
            anchor(place),
            escape(symbol)
        );
        series.iter().for_each(|(number, _)| out.push_str(&cards[*number]));
        out.push_str("</div>");
        for (number, s) in series {
            let (pictures, more) = shown.series.get_mut(*number).map(std::mem::take).unwrap_or_default();
            if pictures.is_empty() && more == 0 {
                continue;
            }
            let open = if *number == 0 { " open" } else { "" };
            let _ = write!(out, "<details{open}><summary>{}: pictures</summary><div class=\"plots\">", name(s));
            pictures.iter().for_each(|picture| out.push_str(picture));
            out.push_str("</div>");
            if more > 0 {
                let _ = write!(
                    out,
                    "<p class=\"note more\">{more} more would make this page too large: they lie beside it, in files whose names begin with {:02}-.</p>",
                    number + 1
                );
            }
            out.push_str("</details>");
        }
        out.push_str("</details>");
    }
    let all = figures.series.len();
    if all > PLOTTED_MAX {
        let words = if all > WORDED_MAX {
            format!("Words are of the first {WORDED_MAX}, pictures")
        } else {
            "Pictures are".to_owned()
        };
        let _ = write!(
            out,
            "<p class=\"note\">{words} of the first {PLOTTED_MAX} of {} symbols and horizons; tickcast report --symbol draws those of any other.</p>",
            grouped(all as u64)
        );
    }
}

fn table(figures: &Figures, out: &mut String) {
    let open = if figures.series.len() <= PLOTTED_MAX { " open" } else { "" };
    let _ = write!(
        out,
        "<h2>All figures</h2><details{open}><summary>{} symbols and horizons</summary><div class=\"scroll\"><table><thead><tr><th>symbol, horizon</th>",
        grouped(figures.series.len() as u64)
    );
    for (name, _) in COLUMNS {
        let _ = write!(out, "<th>{name}</th>");
    }
    out.push_str("</tr></thead><tbody>");
    for s in figures.series.iter().take(LISTED_MAX) {
        let _ = write!(out, "<tr><td>{}, {}</td>", escape(&s.symbol), escape(&s.horizon));
        for (_, of) in COLUMNS {
            let _ = write!(out, "<td>{}</td>", escape(&of(s)));
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table></div>");
    if figures.series.len() > LISTED_MAX {
        let _ = write!(out, "<p class=\"note\">The first {LISTED_MAX}; scores.json has all.</p>");
    }
    out.push_str("</details>");
}

/// Training and input.
fn others(figures: &Figures, shown: &Shown, out: &mut String) {
    if !shown.others.is_empty() {
        out.push_str("<details><summary>Training and input</summary><div class=\"plots\">");
        shown.others.iter().for_each(|picture| out.push_str(picture));
        out.push_str("</div></details>");
    }
    if figures.records.is_none() {
        out.push_str("<p class=\"note\">What became of the records that the job read is not here: it stands in the summary of a run (backfill --json), to be given with --summary.</p>");
    }
}

fn meanings(out: &mut String) {
    out.push_str("<h2>How to read this</h2><dl>");
    for (name, meaning) in MEANINGS {
        let _ = write!(out, "<dt>{name}</dt><dd>{meaning}</dd>");
    }
    out.push_str("</dl>");
}

fn figure(plot: &Plot, out: &mut String) {
    let _ = write!(out, "<figure>{}<figcaption>{}</figcaption></figure>", plot.inline(), escape(&plot.caption));
}
