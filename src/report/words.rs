//! What the figures say, in words: first whether a forecast beats repeating the last price.

use super::numbers::{NONE, decimals, e_value, grouped, percent};
use crate::evaluation::report::figures::SeriesFigures;

/// Fewer scores than this say nothing.
const SCORES_MIN: u64 = 100;
/// An e-value from here on is evidence at the level of 5 per cent (Ville's inequality).
const E_VALUE_MIN: f64 = 20.0;
/// A t from here on is evidence at the level of 5 per cent, two-sided.
const T_MIN: f64 = 1.96;
/// Mean absolute errors that differ by less, as a share, are called equal.
const EQUAL: f64 = 5e-5;
/// Coverage within this of what was meant is called right; within the second in each tercile.
const COVERAGE_OFF_MAX: f64 = 0.02;
const TERCILE_OFF_MAX: f64 = 0.05;

/// How a forecast fared, in one word for colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Better,
    Same,
    Worse,
    Unknown,
}

impl Verdict {
    pub fn class(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Same => "same",
            Self::Worse => "worse",
            Self::Unknown => "unknown",
        }
    }
}

/// Headline and sentences.
pub(super) struct Words {
    pub verdict: Verdict,
    pub headline: String,
    pub sentences: Vec<String>,
}

/// What there is to say of a series, for who shows it elsewhere: `better`, `same`, `worse` or `unknown`, a headline, sentences.
#[must_use]
pub fn verdict(s: &SeriesFigures) -> (&'static str, String, Vec<String>) {
    let Words { verdict, headline, sentences } = words(s);
    (verdict.class(), headline, sentences)
}

/// What there is to say of a series.
pub(super) fn words(s: &SeriesFigures) -> Words {
    let Some(ratio) = s.mae_ratio.filter(|_| s.scored >= SCORES_MIN) else { return too_few(s) };
    let t = s.diebold_mariano.and_then(|test| test.t);
    let (saved, t_text) = ((1.0 - ratio) * 100.0, decimals(t, 2));
    let strong_e = s.e_value >= E_VALUE_MIN;
    let strong_t = t.is_some_and(|t| t >= T_MIN);
    let measured =
        format!("e-value {} (evidence from 20 on), Diebold-Mariano t {t_text} (from 1.96 on)", e_value(s.e_value));
    let (verdict, headline, evidence) = if (ratio - 1.0).abs() < EQUAL {
        let headline = "as good as repeating the last price".to_owned();
        let said = if s.break_even.trades == 0 {
            "It never said anything but the last price."
        } else {
            "It hardly ever differed from the last price."
        };
        (Verdict::Same, headline, format!("{said} What it adds is the interval."))
    } else if ratio < 1.0 {
        let headline = format!("beats repeating the last price by {saved:.2} %");
        let evidence = match (strong_e, strong_t) {
            (true, true) => format!("That is evidence: {measured}."),
            (false, false) => format!("That may be chance: {measured}."),
            _ => format!("The evidence is mixed: {measured}."),
        };
        (if strong_e || strong_t { Verdict::Better } else { Verdict::Same }, headline, evidence)
    } else {
        let headline = format!("worse than repeating the last price by {:.2} %", -saved);
        let no_chance = t.is_some_and(|t| t <= -T_MIN);
        let evidence = if no_chance { "That is no chance" } else { "That may be chance" };
        let verdict = if no_chance { Verdict::Worse } else { Verdict::Same };
        (verdict, headline, format!("{evidence}: Diebold-Mariano t {t_text} (below -1.96 it counts)."))
    };
    let errors = format!(
        "Mean absolute error {} bps, of the last price {} bps, over {} forecasts.",
        decimals(s.mae_bps, 3),
        decimals(s.naive_mae_bps, 3),
        grouped(s.scored)
    );
    let sentences = [errors, evidence]
        .into_iter()
        .chain(squares(s))
        .chain(interval(s))
        .chain(quantiles(s))
        .chain(trading(s))
        .collect();
    Words { verdict, headline, sentences }
}

fn too_few(s: &SeriesFigures) -> Words {
    let why = if s.scored == 0 && s.void == 0 {
        format!(
            "None of {} forecasts has a score: none is due yet, or its scores were not given.",
            grouped(s.forecasts)
        )
    } else if s.scored >= SCORES_MIN {
        "The price never moved: repeating it has no error to compare with.".to_owned()
    } else {
        format!(
            "{} of {} forecasts are scored; {SCORES_MIN} are the least to say anything.",
            grouped(s.scored),
            grouped(s.forecasts)
        )
    };
    Words { verdict: Verdict::Unknown, headline: "too little to say".to_owned(), sentences: vec![why] }
}

/// Where large errors tell another story than small ones.
fn squares(s: &SeriesFigures) -> Option<String> {
    let r2 = s.r2.filter(|r2| *r2 < 0.0 && s.mae_ratio.is_some_and(|ratio| ratio < 1.0 - EQUAL))?;
    Some(format!("Measured by squared errors, where the few large ones count most, it is not better: R² {r2:.4}."))
}

/// Whether intervals hold, in words; none without a score.
pub(super) fn holding(s: &SeriesFigures) -> Option<&'static str> {
    let nominal = s.nominal_coverage;
    let off = s.coverage? - nominal;
    let mut terciles = s.terciles.iter().filter_map(|tercile| tercile.part.coverage);
    Some(match off {
        _ if off < -COVERAGE_OFF_MAX => "are too narrow",
        _ if off > COVERAGE_OFF_MAX => "are too wide",
        _ if terciles.any(|share| (share - nominal).abs() > TERCILE_OFF_MAX) => {
            "hold on the whole, but not at all times"
        }
        _ => HOLD,
    })
}

/// What is said of intervals that are right.
pub(super) const HOLD: &str = "hold";

fn interval(s: &SeriesFigures) -> Option<String> {
    let coverage = s.coverage?;
    let level = format!("{:.0} %", s.nominal_coverage * 100.0);
    let terciles = &s.terciles;
    let judged = holding(s)?;
    let mut text = format!("Its {level} intervals {judged}: {} of outcomes lay inside", percent(Some(coverage), 1));
    if terciles.len() > 1 {
        let shares: Vec<String> = s
            .terciles
            .iter()
            .map(|tercile| format!("{} {}", percent(tercile.part.coverage, 1), tercile.name))
            .collect();
        text.push_str(&format!(" ({})", shares.join(", ")));
    }
    if let (Some(worst), Some(day)) = (s.days.worst, &s.days.worst_day)
        && s.days.count > 1
    {
        text.push_str(&format!(
            "; the median day had {}, the worst, {day}, {}",
            percent(s.days.median, 1),
            percent(Some(worst), 1)
        ));
    }
    text.push('.');
    Some(text)
}

fn quantiles(s: &SeriesFigures) -> Option<String> {
    let ratio = s.pinball_ratio?;
    let by = (1.0 - ratio) * 100.0;
    let judged = if by >= 0.0 { "better" } else { "worse" };
    Some(format!("Its quantiles are {:.2} % {judged} than Gaussian ones of the recent volatility.", by.abs()))
}

fn trading(s: &SeriesFigures) -> Option<String> {
    let (bps, trades) = (s.break_even.bps?, s.break_even.trades);
    if trades < SCORES_MIN {
        return None;
    }
    let direction = if s.direction.is_some() { percent(s.direction, 1) } else { NONE.to_owned() };
    let signal = format!("Of the moves, {direction} went the way it said ({} of them)", grouped(s.directed));
    Some(if bps > 0.0 {
        format!("{signal}; acting on it pays only where entering and leaving cost less than {bps:.2} bps together.")
    } else {
        format!("{signal}; acting on it would have lost {:.2} bps a trade before costs.", -bps)
    })
}
