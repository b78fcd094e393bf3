//! `tickcast report`: scores and pictures from stored forecasts.

use super::args::{ConfigFile, parse_time};
use super::{Usage, output};
use crate::config::Config;
use crate::connectors::{files, kafka, mongodb, published};
use crate::evaluation::report::{Figures, Filter, Judge};
use crate::market::{Span, Timestamp};
use crate::report;
use anyhow::Context as _;
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};

/// Records by outcome in a summary, in the order that they are shown in.
const OUTCOMES: [&str; 5] = ["used", "late", "quarantined", "undecodable", "ignored"];
/// The longest summary that is read: a run of a million symbols has a longer one, and needs another tool.
const SUMMARY_BYTES_MAX: u64 = 256 << 20;

/// Where forecasts are read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Source {
    /// `[sink.mongodb]`
    Mongodb,
    /// `[sink.kafka]`
    Kafka,
    /// `[sink.files]`
    Files,
}

/// Arguments of `report`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  tickcast report --forecasts out/forecasts.jsonl --out report\n  \
                        tickcast report -c tickcast.toml --symbol BTC --from 2021-06-01T00:00:00Z\n  \
                        tickcast report -c tickcast.toml --source kafka --out report --summary summary.json")]
pub struct ReportArgs {
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would show it as help")]
    pub config: ConfigFile,
    /// Files of forecasts as the files sink writes them, plain, .gz or .zst; or the directory that holds forecasts.jsonl.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub forecasts: Vec<PathBuf>,
    /// Their scores; without it, the files beside them whose names have `scores` for `forecasts`.
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "forecasts")]
    pub scores: Vec<PathBuf>,
    /// Which of the configuration's sinks to read, where there are several; without it the first of these.
    #[arg(long, value_enum, conflicts_with = "forecasts")]
    pub source: Option<Source>,
    /// The summary that `backfill --json` printed: it knows what became of the records.
    #[arg(long, value_name = "FILE")]
    pub summary: Option<PathBuf>,
    /// Writes report.html, scores.json and the pictures into this directory.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Forecasts of this job; without it job.id with -c, and with --forecasts the only one.
    #[arg(long, value_name = "ID")]
    pub job: Option<String>,
    /// Only this symbol; may be repeated.
    #[arg(long, value_name = "SYMBOL")]
    pub symbol: Vec<String>,
    /// Only this horizon, as in 5m; may be repeated.
    #[arg(long, value_name = "HORIZON")]
    pub horizon: Vec<Span>,
    /// Only forecasts issued from then on.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub from: Option<Timestamp>,
    /// Only forecasts issued before.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub to: Option<Timestamp>,
    /// Prints scores.json instead of the table.
    #[arg(long)]
    pub json: bool,
}

/// Judges what is stored, prints the table, writes the report.
///
/// # Errors
/// When there is nothing to read or to judge, it cannot be read, or the report cannot be written.
pub fn run(args: &ReportArgs, config: &Config) -> anyhow::Result<()> {
    let records = args.summary.as_deref().map(records).transpose()?;
    let figures = Figures { records, ..judge(args, config)? };
    if figures.series.is_empty() {
        let chosen = !args.symbol.is_empty() || !args.horizon.is_empty() || args.from.is_some() || args.to.is_some();
        let help = if chosen || args.job.is_some() || args.forecasts.is_empty() {
            "none fits --job (or job.id), --symbol, --horizon, --from and --to, or the job has published none yet"
        } else {
            "the file is empty: the job has published none yet"
        };
        anyhow::bail!("there are no forecasts to judge: {help}");
    }
    let json = serde_json::to_string_pretty(&figures)? + "\n";
    if let Some(dir) = &args.out {
        write(dir, &figures, &json)?;
    }
    output::print(&if args.json { json } else { report::table(&figures) })
}

fn judge(args: &ReportArgs, config: &Config) -> anyhow::Result<Figures> {
    let ReportArgs { symbol, horizon, from, to, .. } = args;
    if let (Some(from), Some(to)) = (from, to)
        && from >= to
    {
        return Err(Usage(format!("--from {from} is not before --to {to}: nothing lies between")).into());
    }
    let own = args.forecasts.is_empty().then(|| config.job.id.clone());
    let job = args.job.clone().or(own);
    let filter = Filter { job, symbols: symbol.clone(), horizons: horizon.clone(), from: *from, to: *to };
    let mut judge = Judge::new(filter);
    if !args.forecasts.is_empty() {
        read_files(&args.forecasts, &args.scores, &mut judge)?;
        return Ok(judge.finish());
    }
    let sink = &config.sink;
    let missing = |table: &str| Usage(format!("--source: the configuration has no [{table}]"));
    let source = match args.source {
        Some(source) => source,
        None if sink.mongodb.is_some() => Source::Mongodb,
        None if sink.kafka.is_some() => Source::Kafka,
        None if sink.files.is_some() => Source::Files,
        None => return Err(Usage("no forecasts to judge: give --forecasts FILE, or -c FILE with [sink.mongodb], [sink.kafka] or [sink.files]".to_owned()).into()),
    };
    match source {
        Source::Mongodb => {
            let mongodb = sink.mongodb.as_ref().ok_or_else(|| missing("sink.mongodb"))?;
            mongodb::published::judge_all(mongodb, &mut judge)?;
        }
        Source::Kafka => {
            let kafka = sink.kafka.as_ref().ok_or_else(|| missing("sink.kafka"))?;
            let topics = kafka::published::open(kafka)?;
            published::judge_all(&mut judge, topics.forecasts, topics.scores)?;
        }
        Source::Files => {
            let dir = &sink.files.as_ref().ok_or_else(|| missing("sink.files"))?.dir;
            let file = dir.join("forecasts.jsonl");
            if !file.exists() {
                return Err(Usage(format!("{} is not there: the job has written none yet", file.display())).into());
            }
            read_files(&[file], &[], &mut judge)?;
        }
    }
    Ok(judge.finish())
}

fn read_files(forecasts: &[PathBuf], scores: &[PathBuf], judge: &mut Judge) -> anyhow::Result<()> {
    let forecasts: Vec<PathBuf> =
        forecasts.iter().map(|path| if path.is_dir() { path.join("forecasts.jsonl") } else { path.clone() }).collect();
    let scores = if scores.is_empty() {
        forecasts.iter().map(|path| beside(path)).collect::<Result<_, _>>()?
    } else {
        scores.to_vec()
    };
    let forecasts = forecasts.iter().map(|path| files::published::forecasts(path)).collect::<Result<_, _>>()?;
    let scores = scores.iter().map(|path| files::published::scores(path)).collect::<Result<_, _>>()?;
    Ok(published::judge_all(judge, forecasts, scores)?)
}

/// The file of scores that belongs to a file of forecasts: the same name, compressed or not.
fn beside(forecasts: &Path) -> Result<PathBuf, Usage> {
    let name = forecasts.file_name().unwrap_or_default().to_string_lossy();
    if !name.contains("forecasts") {
        let path = forecasts.display();
        return Err(Usage(format!("{path} does not have `forecasts` in its name: name its scores with --scores FILE")));
    }
    let same = name.replacen("forecasts", "scores", 1);
    let plain = same.trim_end_matches(".gz").trim_end_matches(".zst").to_owned();
    let names = [same.clone(), plain.clone(), format!("{plain}.gz"), format!("{plain}.zst")];
    let found = names.iter().map(|name| forecasts.with_file_name(name)).find(|path| path.exists());
    found.ok_or_else(|| {
        let path = forecasts.with_file_name(same);
        Usage(format!("{} is not there: name the scores of {} with --scores FILE", path.display(), forecasts.display()))
    })
}

/// What became of the records, from a summary as `backfill --json` prints it.
fn records(path: &Path) -> anyhow::Result<Vec<(String, u64)>> {
    let size = std::fs::metadata(path).with_context(|| format!("cannot read --summary {}", path.display()))?.len();
    anyhow::ensure!(size <= SUMMARY_BYTES_MAX, "--summary {} is longer than 256 MiB", path.display());
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read --summary {}", path.display()))?;
    let wrong =
        || Usage(format!("--summary {} is no summary of tickcast: give what backfill --json printed", path.display()));
    let summary: serde_json::Value = serde_json::from_str(&text).map_err(|_| wrong())?;
    let count = |name: &str| summary["records"][name].as_u64().map(|count| (name.to_owned(), count));
    Ok(OUTCOMES.iter().map(|name| count(name).ok_or_else(wrong)).collect::<Result<_, _>>()?)
}

fn write(dir: &Path, figures: &Figures, json: &str) -> anyhow::Result<()> {
    let plots = report::plots(figures)?;
    std::fs::create_dir_all(dir).with_context(|| format!("cannot create the directory {}", dir.display()))?;
    let put = |name: &str, content: &str| {
        let path = dir.join(name);
        std::fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))
    };
    put("scores.json", json)?;
    for plot in plots.iter() {
        put(&format!("{}.svg", plot.name), &plot.file())?;
    }
    put("report.html", &report::page(figures, &plots))?;
    tracing::info!("wrote {}", dir.join("report.html").display());
    Ok(())
}
