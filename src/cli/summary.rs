//! What a run did, as a table for people or as one JSON object.

mod seed;

use super::output;
use crate::dataflows::job::Summary;
use crate::dataflows::scoreboard::ScoreSummary;
use crate::market::Span;
use crate::market::forecast::EXPERT_NAMES;
use crate::operators::support::stats::{Records, Refusal, Unused};
use crate::report::grouped;
use serde::ser::{Serialize, SerializeMap, SerializeStruct, Serializer};
use std::collections::BTreeMap;
use std::fmt::Write;

/// The partitions that the table names for a reason; the JSON has all.
const PARTITIONS_SHOWN_MAX: usize = 4;

/// The first record that was refused, by outcome and reason.
type Refusals = BTreeMap<(&'static str, &'static str), Refusal>;

/// That a bounded run did all of its work.
///
/// # Errors
/// Where it was stopped before the end of its input; where it read records and used none: with the first of each reason.
pub fn check_done(summary: &Summary) -> anyhow::Result<()> {
    if summary.interrupted {
        anyhow::bail!(
            "stopped before the end of the input: what is published is right, but not all; run it again for the rest"
        );
    }
    if !summary.records.used_none() {
        return Ok(());
    }
    let mut why: Vec<String> = summary
        .refusals
        .iter()
        .map(|((outcome, reason), r)| {
            format!("{outcome} ({reason}), {}/{} offset {}: {}", r.source, r.partition, r.offset, r.error)
        })
        .collect();
    if why.is_empty() {
        let mut kinds: Vec<String> = summary.unused.keys().map(|u| format!("{} ({})", u.outcome, u.reason)).collect();
        kinds.dedup();
        why = vec![format!("all were {}", kinds.join(", "))];
    }
    anyhow::bail!("none of the {} records was used: {}", grouped(summary.records.total()), why.join("; "))
}

/// Prints a summary to stdout.
///
/// # Errors
/// When stdout cannot be written.
pub fn print(summary: &Summary, json: bool) -> anyhow::Result<()> {
    let text = if json { serde_json::to_string(&Ordered(summary))? + "\n" } else { table(summary) };
    output::print(&text)
}

/// The same, with what else there is to say: in JSON beside it, for people below it.
///
/// # Errors
/// When it cannot be written.
pub fn print_with(summary: &Summary, more: &impl Serialize, words: &str, json: bool) -> anyhow::Result<()> {
    #[derive(serde::Serialize)]
    struct Both<'a, T> {
        #[serde(flatten)]
        job: Ordered<'a>,
        #[serde(flatten)]
        more: &'a T,
    }
    let text = if json {
        serde_json::to_string(&Both { job: Ordered(summary), more })? + "\n"
    } else {
        table(summary) + words
    };
    output::print(&text)
}

/// The summary for people.
#[must_use]
pub fn table(summary: &Summary) -> String {
    let Summary {
        records,
        unused,
        refusals,
        rows,
        forecasts,
        scores,
        seed,
        interrupted: _,
        seconds,
        peak_memory_bytes,
    } = summary;
    let Records { used, late, quarantined, undecodable, ignored } = *records;
    let mut out = String::new();
    let outcomes = [
        (used, "used"),
        (late, "late"),
        (quarantined, "quarantined"),
        (undecodable, "undecodable"),
        (ignored, "ignored"),
    ];
    let outcomes = outcomes.map(|(count, outcome)| format!("{} {outcome}", grouped(count))).join(", ");
    let _ = writeln!(out, "records    {} read: {outcomes}", grouped(records.total()));
    if records.total() == 0 {
        out.push_str("           the input holds no record\n");
    }
    why_unused(unused, refusals, &mut out);
    let _ = writeln!(out, "rows       {}", grouped(*rows));
    let _ = writeln!(out, "forecasts  {}", grouped(*forecasts));
    let _ = writeln!(out, "time       {seconds:.1} s");
    let _ = writeln!(out, "memory     {:.1} MB at most", *peak_memory_bytes as f64 / 1e6);
    if scores.values().all(BTreeMap::is_empty) {
        let _ = writeln!(out, "scores     none: no forecast came due");
        seed.iter().for_each(|standings| out.push_str(&seed::table(standings)));
        return out;
    }
    let width = scores.keys().map(|symbol| symbol.chars().count()).max().unwrap_or(0).max("symbol".len());
    let _ = writeln!(
        out,
        "\n{:width$}  {:>7}  {:>10}  {:>9}  {:>8}  {:>13}",
        "symbol", "horizon", "scores", "MAE ratio", "coverage", "pinball ratio"
    );
    for (symbol, horizons) in scores {
        for (horizon, score) in by_length(horizons) {
            let ScoreSummary { count, mae_ratio, coverage, pinball_ratio, experts: _ } = *score;
            let ratio = |ratio: Option<f64>| ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.4}"));
            let coverage = coverage.map_or_else(|| "-".to_owned(), |share| format!("{:.1}%", share * 100.0));
            let (mae, pinball, count) = (ratio(mae_ratio), ratio(pinball_ratio), grouped(count));
            let _ = writeln!(out, "{symbol:width$}  {horizon:>7}  {count:>10}  {mae:>9}  {coverage:>8}  {pinball:>13}");
        }
    }
    out.push_str(
        "\nRatios are to repeating the last price (MAE) and to Gaussian quantiles (pinball): below 1 is better.\n",
    );
    experts(scores, &mut out);
    seed.iter().for_each(|standings| out.push_str(&seed::table(standings)));
    out
}

/// A line for each reason, with the partitions that have the most of it.
fn why_unused(unused: &BTreeMap<Unused, u64>, refusals: &Refusals, out: &mut String) {
    let mut reasons: BTreeMap<(&str, &str), Vec<(u64, &Unused)>> = BTreeMap::new();
    for (what, count) in unused {
        reasons.entry((what.outcome, what.reason)).or_default().push((*count, what));
    }
    for ((outcome, reason), mut places) in reasons {
        places.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(b.1)));
        let total = grouped(places.iter().map(|(count, _)| count).sum());
        let shown = places.iter().take(PARTITIONS_SHOWN_MAX);
        let mut list: Vec<String> = shown
            .map(|(count, what)| format!("{} in {} partition {}", grouped(*count), what.source, what.partition))
            .collect();
        if places.len() > PARTITIONS_SHOWN_MAX {
            list.push(format!("and {} partitions more", places.len() - PARTITIONS_SHOWN_MAX));
        }
        let _ = writeln!(out, "           {total} {outcome} ({reason}): {}", list.join(", "));
        if let Some(Refusal { source, partition, offset, error }) = refusals.get(&(outcome, reason)) {
            let _ = writeln!(out, "             the first, {source}/{partition} offset {offset}: {error}");
        }
    }
}

/// How the experts fared: the mean of their pinball ratios over all symbols, by horizon.
fn experts(scores: &BTreeMap<String, BTreeMap<String, ScoreSummary>>, out: &mut String) {
    if scores.values().flat_map(BTreeMap::values).all(|score| score.experts.is_empty()) {
        return;
    }
    let mut horizons: Vec<Span> =
        scores.values().flat_map(BTreeMap::keys).filter_map(|name| name.parse().ok()).collect();
    horizons.sort_unstable();
    horizons.dedup();
    let mean = |horizon: Span, of: &dyn Fn(&ScoreSummary) -> Option<f64>| {
        let known: Vec<f64> = scores.values().filter_map(|all| of(all.get(&horizon.to_string())?)).collect();
        (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
    };
    let line = |name: &str, of: &dyn Fn(&ScoreSummary) -> Option<f64>| {
        let ratios: Vec<Option<f64>> = horizons.iter().map(|&horizon| mean(horizon, of)).collect();
        let text = ratios.iter().map(|r| r.map_or_else(|| format!("{:>8}", "-"), |r| format!("{r:>8.4}")));
        if ratios.iter().any(Option::is_some) {
            format!("{name:<20}{}\n", text.collect::<String>())
        } else {
            String::new()
        }
    };
    let names = horizons.iter().map(|horizon| format!("{:>8}", horizon.to_string())).collect::<String>();
    let _ = writeln!(out, "\n{:<20}{names}", "pinball ratio of");
    for name in EXPERT_NAMES {
        out.push_str(&line(name, &|score| score.experts.get(name).copied()));
    }
    out.push_str(&line("published", &|score| score.pinball_ratio));
}

/// Horizons in ascending length; what is no duration goes last, by name.
fn by_length(horizons: &BTreeMap<String, ScoreSummary>) -> Vec<(&String, &ScoreSummary)> {
    let mut ordered: Vec<_> = horizons.iter().collect();
    ordered.sort_by_key(|(name, _)| name.parse::<Span>().map_or(i64::MAX, Span::millis));
    ordered
}

/// A summary whose horizons are written in ascending length.
struct Ordered<'a>(&'a Summary);
struct Symbols<'a>(&'a BTreeMap<String, BTreeMap<String, ScoreSummary>>);
struct Horizons<'a>(&'a BTreeMap<String, ScoreSummary>);

impl Serialize for Ordered<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Summary {
            records,
            unused,
            refusals,
            rows,
            forecasts,
            scores,
            seed,
            interrupted: _,
            seconds,
            peak_memory_bytes,
        } = self.0;
        let mut object = serializer.serialize_struct("Summary", 8 + usize::from(seed.is_some()))?;
        object.serialize_field("records", records)?;
        object.serialize_field("unused", &Reasons(unused))?;
        object.serialize_field("refused", &FirstRefused(refusals))?;
        object.serialize_field("rows", rows)?;
        object.serialize_field("forecasts", forecasts)?;
        object.serialize_field("scores", &Symbols(scores))?;
        match seed {
            Some(standings) => object.serialize_field("seed", standings)?,
            None => object.skip_field("seed")?,
        }
        object.serialize_field("seconds", seconds)?;
        object.serialize_field("peak_memory_bytes", peak_memory_bytes)?;
        object.end()
    }
}

/// Unused records as a list.
struct Reasons<'a>(&'a BTreeMap<Unused, u64>);

impl Serialize for Reasons<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(serde::Serialize)]
        struct Item<'a> {
            #[serde(flatten)]
            what: &'a Unused,
            count: u64,
        }
        serializer.collect_seq(self.0.iter().map(|(what, &count)| Item { what, count }))
    }
}

/// The first refused record of each reason as a list.
struct FirstRefused<'a>(&'a Refusals);

impl Serialize for FirstRefused<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(serde::Serialize)]
        struct Item<'a> {
            outcome: &'a str,
            reason: &'a str,
            #[serde(flatten)]
            first: &'a Refusal,
        }
        serializer.collect_seq(self.0.iter().map(|(&(outcome, reason), first)| Item { outcome, reason, first }))
    }
}

impl Serialize for Symbols<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(symbol, horizons)| (symbol, Horizons(horizons))))
    }
}

impl Serialize for Horizons<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (horizon, score) in by_length(self.0) {
            map.serialize_entry(horizon, score)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary() -> Summary {
        let score = |count| ScoreSummary {
            count,
            mae_ratio: Some(0.996),
            coverage: Some(0.9031),
            pinball_ratio: None,
            experts: BTreeMap::from([("lstm", 0.98)]),
        };
        let horizons = ["1h", "15m", "1m", "5m"].map(|name| (name.to_owned(), score(1440)));
        Summary {
            records: Records { used: 1_000_000, late: 2, quarantined: 3, undecodable: 4, ignored: 5 },
            unused: (0..6)
                .map(|partition| {
                    let source = "btc.ticks".into();
                    (Unused { outcome: "late", reason: "idle", source, partition }, 1_000 + u64::from(partition))
                })
                .collect(),
            refusals: BTreeMap::from([(
                ("late", "idle"),
                Refusal { source: "btc.ticks".into(), partition: 3, offset: 7, error: "late".to_owned() },
            )]),
            rows: 17_280,
            forecasts: 5_760,
            scores: BTreeMap::from([("BTC".to_owned(), BTreeMap::from(horizons))]),
            seed: None,
            interrupted: false,
            seconds: 1.25,
            peak_memory_bytes: 85_000_000,
        }
    }

    #[test]
    fn json_is_the_contracts_object_with_horizons_by_length() {
        let json = serde_json::to_string(&Ordered(&summary())).unwrap();
        let score =
            r#"{"count":1440,"mae_ratio":0.996,"coverage":0.9031,"pinball_ratio":null,"experts":{"lstm":0.98}}"#;
        let unused = (0..6).map(|partition| {
            format!(
                r#"{{"outcome":"late","reason":"idle","source":"btc.ticks","partition":{partition},"count":100{partition}}}"#
            )
        });
        let unused = unused.collect::<Vec<_>>().join(",");
        let expected = format!(
            r#"{{"records":{{"used":1000000,"late":2,"quarantined":3,"undecodable":4,"ignored":5}},"unused":[{unused}],"refused":[{{"outcome":"late","reason":"idle","source":"btc.ticks","partition":3,"offset":7,"error":"late"}}],"rows":17280,"forecasts":5760,"scores":{{"BTC":{{"1m":{score},"5m":{score},"15m":{score},"1h":{score}}}}},"seconds":1.25,"peak_memory_bytes":85000000}}"#
        );
        assert_eq!(json, expected);
    }

    #[test]
    fn the_table_says_the_same() {
        let text = table(&summary());
        assert!(
            text.contains("1,000,014 read: 1,000,000 used, 2 late, 3 quarantined, 4 undecodable, 5 ignored"),
            "{text}"
        );
        assert!(
            text.contains(
                "6,015 late (idle): 1,005 in btc.ticks partition 5, 1,004 in btc.ticks partition 4, \
                 1,003 in btc.ticks partition 3, 1,002 in btc.ticks partition 2, and 2 partitions more\n             \
                 the first, btc.ticks/3 offset 7: late\n"
            ),
            "{text}"
        );
        let order: Vec<&str> =
            text.lines().filter(|l| l.starts_with("BTC")).map(|l| l.split_whitespace().nth(1).unwrap()).collect();
        assert_eq!(order, ["1m", "5m", "15m", "1h"]);
        assert!(text.contains("0.9960") && text.contains("90.3%") && text.contains("  -\n"), "{text}");
        assert!(table(&Summary::default()).contains("no forecast came due"));
    }
}
