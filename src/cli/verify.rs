//! `tickcast verify`: whether two runs published the same.

use super::args::ConfigFile;
use super::output;
use crate::config::Config;
use crate::connectors::outputs::Output;
use crate::market::Timestamp;
use crate::recovery::compare::{Content, Differs, Index, Kind, Place, Totals, first_field};
use clap::Args;
use std::collections::{BTreeMap, BTreeSet};

/// Arguments of `verify`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  tickcast verify out other/out\n  \
                        tickcast verify kafka://localhost:9092/btc.forecasts out\n  \
                        tickcast verify mongodb://localhost:27017/bitcoin kafka://localhost:9092/btc.forecasts\n\n\
                        Each of the two is a file, a directory that a run wrote, a topic (with TOPIC.scores where there is one), a\n\
                        database, or a collection as DATABASE.COLLECTION. Exit code 0: the same; 1: not, or not to be read.")]
pub struct VerifyArgs {
    /// What one run published.
    #[arg(value_name = "A")]
    pub one: String,
    /// What the other one did.
    #[arg(value_name = "B")]
    pub other: String,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would show it as help")]
    pub config: ConfigFile,
}

/// Two places, and how they are read.
struct Pair<'a> {
    places: [Output; 2],
    config: &'a Config,
    by_values: bool,
}

/// Compares, and says what differs.
///
/// # Errors
/// When they differ, cannot be read, or hold nothing of the same kind.
pub fn run(args: &VerifyArgs, config: &Config) -> anyhow::Result<()> {
    let places = [Output::find(&args.one, config)?, Output::find(&args.other, config)?];
    let by_values = !places.iter().all(Output::has_bytes);
    let pair = Pair { places, config, by_values };
    let totals = pair.totals()?;
    let kinds = |at: usize| pair.places[at].kinds().into_iter().chain(totals[at].kinds()).collect::<BTreeSet<Kind>>();
    let [one, other] = [kinds(0), kinds(1)];
    let mut lines = vec![format!("A: {}", args.one), format!("B: {}", args.other)];
    if by_values {
        lines.push("by values, since a database keeps no bytes".to_owned());
    }
    let mut differing = Vec::new();
    for &kind in one.union(&other) {
        let (a, b) = (totals[0].of(kind), totals[1].of(kind));
        let name = kind.name();
        if !(one.contains(&kind) && other.contains(&kind)) {
            let place = if one.contains(&kind) { "A" } else { "B" };
            lines.push(format!("{name}: {} records in {place} alone, not compared", a.records.max(b.records)));
        } else if a == b {
            lines.push(format!("{name}: the same, {} records, digest {a}", a.records));
        } else {
            lines.push(format!("{name}: A has {} records, digest {a}", a.records));
            lines.push(format!("{:width$}  B has {} records, digest {b}", "", b.records, width = name.len()));
            differing.push(kind);
        }
    }
    output::print(&(lines.join("\n") + "\n"))?;
    if let Some(kind) = differing.first() {
        anyhow::bail!("{} differ{}", kind.name(), pair.first_difference(*kind)?);
    }
    let nothing_in_common = one.intersection(&other).next().is_none() && !(one.is_empty() && other.is_empty());
    anyhow::ensure!(!nothing_in_common, "there is nothing to compare: A and B hold records of different kinds");
    Ok(())
}

impl Pair<'_> {
    fn each(&self, mut take: impl FnMut(usize, Content)) -> anyhow::Result<()> {
        for (at, place) in self.places.iter().enumerate() {
            place.visit(self.config, &mut |content| take(at, content))?;
        }
        Ok(())
    }

    fn totals(&self) -> anyhow::Result<[Totals; 2]> {
        let mut totals = [Totals::new(self.by_values), Totals::new(self.by_values)];
        self.each(|at, content| totals[at].add(&content))?;
        Ok(totals)
    }

    /// Names the first record of a kind that differs, and what of it does. In steps, so that memory holds one total for each
    /// time, then the records of one time.
    fn first_difference(&self, kind: Kind) -> anyhow::Result<String> {
        let mut times: [BTreeMap<i64, Totals>; 2] = Default::default();
        self.each(|at, content| {
            let (found, place) = content.place();
            if found == kind {
                let total = times[at].entry(place.at).or_insert_with(|| Totals::new(self.by_values));
                total.add(&content);
            }
        })?;
        let of = |at: usize, time: i64| times[at].get(&time).map(|totals| totals.of(kind)).unwrap_or_default();
        let all: BTreeSet<i64> = times.iter().flat_map(|times| times.keys().copied()).collect();
        let Some(time) = all.into_iter().find(|time| of(0, *time) != of(1, *time)) else {
            return Ok(": one of the two changes while it is read".to_owned());
        };
        let mut indices = [Index::new(self.by_values), Index::new(self.by_values)];
        let mut records: [BTreeMap<Place, Content>; 2] = Default::default();
        self.each(|at, content| {
            let (found, place) = content.place();
            if found == kind && place.at == time {
                indices[at].add(place.clone(), &content);
                records[at].entry(place).or_insert(content);
            }
        })?;
        let [one, other] = &mut indices;
        let Some((place, differs)) = one.first_difference(other) else {
            return Ok(": one of the two changes while it is read".to_owned());
        };
        Ok(told(kind, &place, &differs, records.each_ref().map(|records| records.get(&place))))
    }
}

fn told(kind: Kind, place: &Place, differs: &Differs, records: [Option<&Content>; 2]) -> String {
    let name = place.name.split_whitespace().last().unwrap_or(&place.name);
    let at = match kind {
        Kind::Forecasts | Kind::Scores | Kind::Features => format!(" of {}", Timestamp::from_millis(place.at)),
        Kind::DeadLetters | Kind::Other => String::new(),
    };
    let more = |count: usize| if count == 1 { "once more".to_owned() } else { format!("{count} times more") };
    let what = match (differs, records) {
        (Differs::OnlyFirst(_), [Some(_), None]) => "only A has it".to_owned(),
        (Differs::OnlySecond(_), [None, Some(_)]) => "only B has it".to_owned(),
        (Differs::OnlyFirst(count), _) => format!("A has it {}", more(*count)),
        (Differs::OnlySecond(count), _) => format!("B has it {}", more(*count)),
        (Differs::Content, [Some(a), Some(b)]) => first_field(a, b).map_or_else(
            || "the values are the same, the bytes are not".to_owned(),
            |(path, a, b)| format!("{path} is {a} in A and {b} in B"),
        ),
        (Differs::Content, _) => "its content differs".to_owned(),
    };
    format!("; first{at}: {name}: {what}")
}
