//! The command line: one file per subcommand, thin. Results go to stdout, everything else to stderr.
//!
//! Exit codes: 0 done, 1 the job failed, 2 wrong use or configuration, 130 a second signal; for supervisors 3 fenced by another
//! instance, 4 to be started again, 5 a person has to decide.

pub mod args;
pub mod backfill;
pub mod chaos;
pub mod checkpoint;
pub mod cluster;
pub mod collect;
pub mod completions;
pub mod config;
pub mod demo;
pub mod doctor;
pub mod embedded;
pub mod explain;
pub mod face;
pub mod history;
pub mod job;
pub mod live;
pub mod logging;
pub mod model;
pub mod output;
pub mod progress;
pub mod replay;
pub mod report;
pub mod run;
pub mod screen;
pub mod serve;
pub mod signals;
pub mod summary;
pub mod verify;

use crate::config::{ConfigError, Purpose, Settings};
use crate::connectors::input::InputError;
use crate::dataflows::job::JobError;
use crate::delivery::SinkError;
use crate::recovery::{Cause, Fault, Refusal};
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Forecasts the Bitcoin price (and any other symbol's) in real time.
#[derive(Debug, Parser)]
#[command(
    name = "tickcast",
    version,
    about,
    after_help = "Examples:\n  tickcast demo --exit\n  tickcast live --venue binance --symbols BTCUSDT\n  tickcast config example > tickcast.toml\n  tickcast run -c tickcast.toml\n\n\
                  Logs go to stderr; TICKCAST_LOG=debug shows more (as does TICKCAST_LOG=warn,tickcast=trace),\n\
                  --log-format json an object a line."
)]
pub struct Cli {
    /// Sets one key of the configuration, above file and environment; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE", global = true)]
    pub sets: Vec<String>,
    /// What stderr holds; without it TICKCAST_LOG_FORMAT counts, and text without that.
    #[arg(long, value_name = "FORMAT", value_enum, global = true)]
    pub log_format: Option<output::LogFormat>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs the whole system in one process on a simulated market; nothing to install.
    Demo(demo::DemoArgs),
    /// Runs the whole system in one process on the real market: exchanges' public streams; nothing to install.
    Live(live::LiveArgs),
    /// Runs the live job, from Kafka, until it is stopped.
    Run(run::RunArgs),
    /// Runs the live job in several processes on this machine, and starts all again where one is lost.
    Cluster(cluster::ClusterArgs),
    /// Runs the same dataflow over bounded history, as fast as it goes.
    Backfill(backfill::BackfillArgs),
    /// Publishes recorded files to the source's topic.
    Replay(replay::ReplayArgs),
    /// Asks a market-data API for prices and publishes them to the source's topic.
    Collect(collect::CollectArgs),
    /// Downloads exchanges' archives, verifies them, and lists them for `backfill`.
    History(history::HistoryArgs),
    /// Serves a page and an API over what a job has written.
    Serve(serve::ServeArgs),
    /// Judges stored forecasts: a table, and a page with words and pictures.
    Report(report::ReportArgs),
    /// Shows what is kept of a live job, and what a start would do.
    Checkpoint(checkpoint::CheckpointArgs),
    /// Looks at everything that a job depends on, and says what is wrong and how to mend it.
    Doctor(doctor::DoctorArgs),
    /// Compares what two runs published, wherever it lies.
    Verify(verify::VerifyArgs),
    /// Says what one published forecast was made of, by computing it again to the same bits.
    Explain(explain::ExplainArgs),
    /// Kills, hangs and restarts a job's processes on a simulated market, then compares with an undisturbed run.
    Chaos(chaos::ChaosArgs),
    /// Shows, exports and imports the LSTM's weights.
    Model(model::ModelArgs),
    /// Shows settings: what they are, where they came from, an example file.
    Config(config::ConfigArgs),
    /// Prints a completion script for a shell.
    Completions(completions::CompletionsArgs),
}

/// Wrong use that clap cannot see: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// Other processes have said what went wrong, and one of them ended with this exit code.
#[derive(Debug, thiserror::Error)]
#[error("the cluster's processes ended with exit code {0}")]
pub struct Ended(pub u8);

/// Parses the process's arguments, runs the command, and says how it ended.
#[must_use]
pub fn main() -> ExitCode {
    logging::one_line_panics();
    let cli = Cli::parse();
    // A panic has said its line by then.
    let run = || logging::start(cli.log_format).and_then(|()| dispatch(&cli));
    let Ok(result) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)) else { return ExitCode::from(1) };
    result.map_or_else(|error| fail(&error), |()| ExitCode::SUCCESS)
}

fn dispatch(cli: &Cli) -> anyhow::Result<()> {
    let load = |file: Option<&std::path::Path>| Settings::from_process(file, &cli.sets);
    match &cli.command {
        Command::Demo(args) => demo::run(args, &load(None)?),
        Command::Live(args) => live::run(args, &live::settings(args, args.config.path(), &cli.sets)?),
        Command::Run(args) => {
            let settings = load(args.config.path())?;
            settings.check_for(Purpose::Run)?;
            run::run(args, &settings)
        }
        Command::Cluster(args) => {
            let settings = load(args.config.path())?;
            settings.check_for(Purpose::Run)?;
            cluster::run(args, &settings, &cli.sets)
        }
        Command::Backfill(args) => {
            let mut settings = load(args.config.path())?;
            settings.config.read_history();
            settings.check_for(if args.then_live { Purpose::ThenLive } else { Purpose::Backfill })?;
            args.check()?;
            backfill::run(args, &settings)
        }
        Command::Replay(args) => {
            let settings = load(args.config.path())?;
            settings.check_for(Purpose::Replay)?;
            replay::run(args, &settings)
        }
        Command::Collect(args) if args.to_job => {
            let live = live::LiveArgs::of_collect(args);
            live::run(&live, &live::settings(&live, args.config.path(), &cli.sets)?)
        }
        Command::Collect(args) => {
            let settings = load(args.config.path())?;
            // A look at venues publishes nothing.
            if !args.check {
                settings.check_for(Purpose::Collect)?;
            }
            collect::run(args, &settings)
        }
        Command::History(args) => history::run(args, &load(args.config().path())?),
        Command::Serve(args) => serve::run(args, &load(args.config.path())?),
        Command::Report(args) => report::run(args, &load(args.config.path())?.config),
        Command::Checkpoint(args) => checkpoint::run(args, &load(args.config().path())?.config),
        Command::Doctor(args) => doctor::run(args, &cli.sets),
        Command::Verify(args) => verify::run(args, &load(args.config.path())?.config),
        Command::Explain(args) => {
            let mut settings = load(args.config.path())?;
            // Beside a topic, a job reads what `history` wrote only where it is named as files, or by `backfill --then-live`.
            if settings.config.source.kafka.is_none() {
                settings.config.read_history();
            }
            explain::run(args, &settings)
        }
        Command::Chaos(args) => chaos::run(args, &load(args.config.path())?, &cli.sets),
        Command::Model(args) => model::run(args, load),
        Command::Config(args) => config::run(args, load),
        Command::Completions(args) => completions::run(args),
    }
}

/// Says what went wrong, one line per problem, and gives the exit code.
fn fail(error: &anyhow::Error) -> ExitCode {
    if let Some(ConfigError { problems }) = error.downcast_ref::<ConfigError>() {
        problems.iter().for_each(|problem| output::complain(problem));
        return ExitCode::from(2);
    }
    output::complain(&format!("{error:#}"));
    if let Some(Ended(code)) = error.downcast_ref() {
        return ExitCode::from(*code);
    }
    ExitCode::from(if error.is::<Usage>() { 2 } else { cause(error).exit_code() })
}

/// What a supervisor makes of an error.
pub(crate) fn cause(error: &anyhow::Error) -> Cause {
    let job = error.downcast_ref::<JobError>().map(|error| error.0.cause);
    let input = || error.downcast_ref::<InputError>().map(|error| Fault::from(error.clone()).cause);
    let sink = || error.downcast_ref::<SinkError>().and_then(SinkError::fault).map(|fault| fault.cause);
    let refusal = || error.downcast_ref::<Refusal>().map(Refusal::cause);
    job.or_else(input).or_else(sink).or_else(refusal).unwrap_or_default()
}
