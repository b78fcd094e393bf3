//! Everything at a glance: what beats the last price and with what evidence, what holds.

use super::LISTED_MAX;
use super::html::anchor;
use super::numbers::{NONE, decimals, e_value, grouped, percent};
use super::svg::escape;
use super::words::{HOLD, Verdict, holding, words};
use crate::evaluation::report::figures::{Figures, SeriesFigures};
use crate::market::Span;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Tests at this level call so many of what is nothing something.
const LEVEL: f64 = 0.05;

/// Sentences over all symbols and horizons.
pub(super) fn sentences(figures: &Figures) -> Vec<String> {
    let all = &figures.series;
    let count = |verdict: Verdict| all.iter().filter(|s| words(s).verdict == verdict).count() as u64;
    let (better, worse, unknown) = (count(Verdict::Better), count(Verdict::Worse), count(Verdict::Unknown));
    let of = all.len() as u64;
    let same = of - better - worse - unknown;
    let mut said = vec![format!(
        "Of {} symbols and horizons, {} beat repeating the last price with evidence, {} are worse with evidence, {} show no evidence either way{}.",
        grouped(of),
        grouped(better),
        grouped(worse),
        grouped(same),
        if unknown > 0 { format!(", {} have too few scores", grouped(unknown)) } else { String::new() }
    )];
    let judged = of - unknown;
    if judged > 1 {
        let mean = all.iter().map(|s| s.e_value).sum::<f64>() / of as f64;
        said.push(format!(
            "Among {} tests at 5 per cent, {:.0} would look like evidence by chance. All together: the mean of the e-values is {} (evidence from 20 on; a mean of e-values is one itself, however its parts hang together).",
            grouped(judged),
            judged as f64 * LEVEL,
            e_value(mean)
        ));
    }
    let held: Vec<&str> = all.iter().filter_map(holding).collect();
    if !held.is_empty() {
        let holds = held.iter().filter(|word| **word == HOLD).count() as u64;
        said.push(format!("Intervals hold, at all times, in {} of {}.", grouped(holds), grouped(held.len() as u64)));
    }
    said
}

/// Symbols by horizons; the page says more of the first `worded` symbols.
pub(super) fn table(figures: &Figures, worded: usize, out: &mut String) {
    let horizons: BTreeSet<Span> = figures.series.iter().filter_map(|s| s.horizon.parse().ok()).collect();
    let mut rows: BTreeMap<&str, BTreeMap<Span, &SeriesFigures>> = BTreeMap::new();
    for s in &figures.series {
        if let Ok(horizon) = s.horizon.parse() {
            rows.entry(&s.symbol).or_default().insert(horizon, s);
        }
    }
    out.push_str("<div class=\"scroll\"><table class=\"glance\"><thead><tr><th>symbol</th>");
    for horizon in &horizons {
        let _ = write!(out, "<th>{horizon}</th>");
    }
    out.push_str("</tr></thead><tbody>");
    for (number, (symbol, row)) in rows.iter().take(LISTED_MAX).enumerate() {
        // Those that the page says more of.
        let _ = if number < worded {
            write!(out, "<tr><td><a href=\"#{}\">{}</a></td>", anchor(number), escape(symbol))
        } else {
            write!(out, "<tr><td>{}</td>", escape(symbol))
        };
        for horizon in &horizons {
            match row.get(horizon) {
                Some(s) => cell(s, out),
                None => out.push_str("<td></td>"),
            }
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table></div>");
    out.push_str(
        "<p class=\"note\">Mean absolute error over that of repeating the last price (▲ better, ▼ worse, each with evidence); below it the e-value, \
         and the share of outcomes inside of the interval (‼ where intervals do not hold).</p>",
    );
    if rows.len() > LISTED_MAX {
        let _ = write!(
            out,
            "<p class=\"note\">These are the first {} of {} symbols; scores.json has all.</p>",
            grouped(LISTED_MAX as u64),
            grouped(rows.len() as u64)
        );
    }
}

fn cell(s: &SeriesFigures, out: &mut String) {
    let verdict = words(s).verdict;
    let (class, mark) = match verdict {
        Verdict::Better => (" class=\"better\"", " ▲"),
        Verdict::Worse => (" class=\"worse\"", " ▼"),
        Verdict::Same | Verdict::Unknown => ("", ""),
    };
    if verdict == Verdict::Unknown {
        let _ = write!(out, "<td>{NONE}<small>{} scores</small></td>", grouped(s.scored));
        return;
    }
    let off = if holding(s).is_some_and(|word| word != HOLD) { " ‼" } else { "" };
    let _ = write!(
        out,
        "<td{class}>{}{mark}<small>e {}, {}{off}</small></td>",
        decimals(s.mae_ratio, 4),
        escape(&e_value(s.e_value)),
        percent(s.coverage, 1)
    );
}
