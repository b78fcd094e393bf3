//! `tickcast replay`: recorded files into the source's topic.

use super::args::{ConfigFile, Speed};
use super::{output, signals};
use crate::config::{Config, Settings};
use crate::connectors::kafka::Publisher;
use crate::delivery::Stop;
use crate::market::Symbol;
use crate::replay::files::FileReport;
use crate::replay::{Ended, FileSource, Merge, Pace, Replayed, Replayer, SystemClock, TopicPublisher, Until};
use crate::report::grouped;
use anyhow::Context;
use clap::Args;
use console::Term;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Arguments of `replay`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  tickcast replay ticks.csv.gz -c tickcast.toml --speed max\n  \
                        tickcast replay btc.csv eth.csv --set source.kafka.brokers=localhost:9092 --speed 60")]
pub struct ReplayArgs {
    /// Files to publish, merged by event time: CSV, JSON lines or Parquet, plain, .gz or .zst.
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would show it as help")]
    pub config: ConfigFile,
    /// Times the recorded pace, or max: as fast as it goes.
    #[arg(long, value_name = "X|max", default_value = "1")]
    pub speed: Speed,
    /// The symbol of files without a symbol column.
    #[arg(long, value_parser = parse_symbol)]
    pub symbol: Option<Symbol>,
}

fn parse_symbol(text: &str) -> Result<Symbol, String> {
    Symbol::new(text).map_err(|error| format!("the symbol {error}"))
}

/// Publishes the files; a topic that is missing is created.
///
/// # Errors
/// When a file cannot be read or the topic cannot be written, and when rows had to be left out.
pub fn run(args: &ReplayArgs, settings: &Settings) -> anyhow::Result<()> {
    let stop = Stop::default();
    signals::stop_on_signals(&stop)?;
    let pace = match args.speed {
        Speed::Times(factor) => Pace::Recorded(factor),
        Speed::Max => Pace::Max,
    };
    let mut line = ProgressLine::new();
    let summary =
        replay(&args.files, &settings.config, pace, args.symbol.as_ref(), &stop, &mut |done| line.show(done))?;
    line.clear();
    output::print(&summary.text())?;
    let left_out: u64 = summary.files.iter().map(|file| file.undecodable).sum();
    anyhow::ensure!(left_out == 0, "{left_out} rows could not be used, and were left out");
    Ok(())
}

/// Partitions of a topic that is missing, and so is created.
const PARTITIONS: u32 = 4;

/// What a replay did.
#[derive(Clone, Debug)]
pub struct ReplaySummary {
    /// How it ended.
    pub ended: Ended,
    /// What was published.
    pub replayed: Replayed,
    /// What became of each file's rows.
    pub files: Vec<FileReport>,
    /// Wall-clock seconds.
    pub seconds: f64,
}

/// Publishes `files`, merged by event time, into the topic that `config` names; `symbol` is that of files without a
/// symbol column. Rows that cannot be used are left out, and counted in the summary.
///
/// # Errors
/// When a file cannot be read or understood, or the topic cannot be written.
pub fn replay(
    files: &[PathBuf],
    config: &Config,
    pace: Pace,
    symbol: Option<&Symbol>,
    stop: &Stop,
    report: &mut dyn FnMut(&Replayed),
) -> anyhow::Result<ReplaySummary> {
    let started = Instant::now();
    let mut like = config.source.files.clone().unwrap_or_default();
    if let Some(symbol) = symbol {
        like.symbol = Some(symbol.to_string());
    }
    let open = |path: &PathBuf| FileSource::open(path, config.source.format, &like, None);
    let sources = files.iter().map(open).collect::<Result<Vec<_>, _>>()?;
    let kafka = config.source.kafka.as_ref().context("source.kafka is missing: it names the topic to publish to")?;
    let publisher = TopicPublisher::new(Publisher::open(kafka, Some(PARTITIONS), stop)?, stop.clone());
    let mut replayer = Replayer::new(Merge::new(sources), publisher, SystemClock::default());
    let ended = replayer.run(pace, Until::End, stop, report)?;
    Ok(ReplaySummary {
        ended,
        replayed: replayer.replayed(),
        files: replayer.source().sources().iter().map(|source| source.report().clone()).collect(),
        seconds: started.elapsed().as_secs_f64(),
    })
}

impl ReplaySummary {
    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let Replayed { records, first_at, at, .. } = self.replayed;
        let ended = if self.ended == Ended::Stopped { "stopped after" } else { "published" };
        let mut text = format!("{ended} {} records in {:.1} s", grouped(records), self.seconds);
        if records > 0 {
            text += &format!(", event time {first_at} to {at}");
        }
        text.push('\n');
        for file in &self.files {
            let FileReport { path, ignored, undecodable, first_error, .. } = file;
            for (count, what) in [(ignored, "without a price"), (undecodable, "that cannot be used")] {
                if *count > 0 {
                    text += &format!("{}: {} rows {what} left out\n", path.display(), grouped(*count));
                }
            }
            if let Some(error) = first_error {
                text += &format!("{}: the first of them, {error}\n", path.display());
            }
        }
        text
    }
}

/// How far a replay is: one line, rewritten on a terminal, else one every ten seconds.
struct ProgressLine {
    term: Term,
    started: Instant,
    last: Option<Instant>,
}

impl ProgressLine {
    fn new() -> Self {
        Self { term: Term::stderr(), started: Instant::now(), last: None }
    }

    fn show(&mut self, done: &Replayed) {
        let every = Duration::from_secs(if self.term.is_term() { 0 } else { 10 });
        let last = *self.last.get_or_insert(self.started);
        if last.elapsed() < every {
            return;
        }
        self.last = Some(Instant::now());
        let rate = done.records as f64 / self.started.elapsed().as_secs_f64().max(0.001);
        let text = format!("{} records, through {}, {rate:.0} a second", grouped(done.records), done.at);
        // What cannot be shown is not: the replay goes on.
        let _ = if self.term.is_term() {
            let width = usize::from(self.term.size().1).saturating_sub(1);
            let text: String = text.chars().take(width).collect();
            self.term.write_str(&format!("\r{text}\x1b[K"))
        } else {
            self.term.write_line(&text)
        };
    }

    fn clear(&self) {
        if self.term.is_term() {
            let _ = self.term.write_str("\r\x1b[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::Timestamp;

    #[test]
    fn the_summary_tells_what_was_left_out() {
        let file = FileReport {
            path: "a.csv".into(),
            used: 7,
            ignored: 0,
            undecodable: 1234,
            first_error: Some("row 3: price is missing".to_owned()),
        };
        let at = Timestamp::from_millis(1_611_239_671_964);
        let replayed = Replayed { records: 1_000_000, bytes: 1, first_at: at, at };
        let summary = ReplaySummary { ended: Ended::Source, replayed, files: vec![file], seconds: 2.0 };
        assert_eq!(
            summary.text(),
            "published 1,000,000 records in 2.0 s, event time 2021-01-21T14:34:31.964Z to 2021-01-21T14:34:31.964Z\n\
             a.csv: 1,234 rows that cannot be used left out\n\
             a.csv: the first of them, row 3: price is missing\n"
        );
    }
}
