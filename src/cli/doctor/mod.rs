//! `tickcast doctor`: looks at everything that a job with a configuration depends on, and says what is wrong and how to mend it.

mod kafka;
mod machine;
mod stores;

use super::args::ConfigFile;
use super::{job, output};
use crate::config::{Config, ConfigError, Purpose, Settings};
use clap::Args;
use serde::Serialize;
use std::fmt::Write as _;

/// Arguments of `doctor`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  tickcast doctor -c tickcast.toml\n  tickcast doctor -c tickcast.toml --json\n\n\
                        Nothing is changed. Exit code 1: something is wrong.")]
pub struct DoctorArgs {
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would show it as help")]
    pub config: ConfigFile,
    /// Prints what it found as one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    /// As it should be.
    Good,
    /// It works, and there is something to know.
    Warning,
    /// It will not work, or not as it should.
    Bad,
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Finding {
    /// What it belongs to.
    area: &'static str,
    verdict: Verdict,
    /// What was seen.
    what: String,
    /// What to do about it.
    mend: Option<String>,
}

/// What was found so far.
#[derive(Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    fn good(&mut self, area: &'static str, what: impl Into<String>) {
        self.0.push(Finding { area, verdict: Verdict::Good, what: what.into(), mend: None });
    }

    fn warn(&mut self, area: &'static str, what: impl Into<String>, mend: impl Into<String>) {
        self.0.push(Finding { area, verdict: Verdict::Warning, what: what.into(), mend: Some(mend.into()) });
    }

    fn bad(&mut self, area: &'static str, what: impl Into<String>, mend: impl Into<String>) {
        self.0.push(Finding { area, verdict: Verdict::Bad, what: what.into(), mend: Some(mend.into()) });
    }

    fn worst(&self) -> Verdict {
        self.0.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Good)
    }
}

/// Looks, and says what it found.
///
/// # Errors
/// When something is wrong.
pub fn run(args: &DoctorArgs, sets: &[String]) -> anyhow::Result<()> {
    let mut found = Findings::default();
    if let Some(settings) = configuration(args, sets, &mut found) {
        look(&settings.config, &mut found);
    }
    let bad = found.0.iter().filter(|finding| finding.verdict == Verdict::Bad).count();
    let text = if args.json {
        serde_json::json!({"ok": bad == 0, "checks": found.0}).to_string() + "\n"
    } else {
        table(&found)
    };
    output::print(&text)?;
    anyhow::ensure!(bad == 0, "{bad} of {} checks found something that is wrong", found.0.len());
    Ok(())
}

/// The configuration, where it is one.
fn configuration(args: &DoctorArgs, sets: &[String], found: &mut Findings) -> Option<Settings> {
    const AREA: &str = "configuration";
    let name = args.config.path().map_or_else(|| "defaults".to_owned(), |path| path.display().to_string());
    let mut tell = |ConfigError { problems }: ConfigError| {
        for problem in problems {
            found.bad(AREA, problem, "mend that line: docs/configuration.md has every key and what it takes");
        }
    };
    let settings = Settings::from_process(args.config.path(), sets).map_err(&mut tell).ok()?;
    let purpose = if settings.config.source.kafka.is_some() { Purpose::Run } else { Purpose::Backfill };
    settings.check_for(purpose).map_err(&mut tell).ok()?;
    if let Err(wrong) = job::check_options(&settings.config) {
        found.bad(AREA, wrong.0, "mend that option: docs/kafka.md names those that people need");
        return None;
    }
    found.good(AREA, format!("{name}: every key is known, none contradicts another"));
    Some(settings)
}

fn look(config: &Config, found: &mut Findings) {
    let source_is_there = kafka::source(config, found);
    kafka::sink(config, found);
    stores::database(config, found);
    stores::checkpoints(config, found);
    stores::embedded(config, found);
    machine::cluster(config, found);
    machine::memory(config, found);
    // It says why by itself where the source is away.
    if source_is_there && config.source.kafka.is_some() {
        match job::would_do(config) {
            Ok(plan) => found.good("start", format!("`run` would {plan}")),
            Err(error) => found.bad(
                "start",
                format!("`run` would refuse, or fail: {error:#}"),
                "docs/operations.md says what each refusal means and what there is to choose from",
            ),
        }
    }
}

fn table(found: &Findings) -> String {
    let width = found.0.iter().map(|finding| finding.area.len()).max().unwrap_or(0);
    let mut out = String::new();
    for Finding { area, verdict, what, mend } in &found.0 {
        let word = match verdict {
            Verdict::Good => "ok",
            Verdict::Warning => "warn",
            Verdict::Bad => "WRONG",
        };
        let _ = writeln!(out, "{word:<5}  {area:<width$}  {what}");
        if let Some(mend) = mend {
            let _ = writeln!(out, "{:<5}  {:<width$}  -> {mend}", "", "");
        }
    }
    let _ = writeln!(
        out,
        "\n{}",
        match found.worst() {
            Verdict::Good => "all is well",
            Verdict::Warning => "nothing is wrong; see what is marked warn",
            Verdict::Bad => "something is wrong: see what is marked WRONG",
        }
    );
    out
}
