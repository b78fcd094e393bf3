//! `tickcast chaos`: a proof on the user's own broker and database that deaths lose nothing and double nothing.
//!
//! A cluster of the job, under names of its own, is fed a simulated market slice by slice; each of its lives is ended by force. Then
//! what it published is compared with a run that nobody disturbed.

mod lives;
mod market;

use super::args::{ConfigFile, Workers};
use super::cluster::{ClusterArgs, launch};
use super::job::{self, Plan};
use super::verify::{self, VerifyArgs};
use super::{Usage, output, signals};
use crate::cluster::supervisor::Launch;
use crate::config::{Config, ConfigError, FilesSinkConfig, FilesSourceConfig, Purpose, Settings, SinkConfig};
use crate::connectors::kafka::{KafkaSink, Publisher};
use crate::connectors::outputs::Output;
use crate::delivery::Stop;
use crate::market::{Span, Timestamp};
use crate::operators::support::stats::Stats;
use anyhow::Context as _;
use clap::Args;
use lives::Lives;
use market::{Fed, Market};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// Partitions of the topic.
const PARTITIONS: u32 = 4;
/// Steps of event time that each life gets to do.
const STEPS_PER_LIFE: i64 = 3;
/// How long the last life may take for what is left.
const LAST_TIME: Duration = Duration::from_secs(600);
/// Directories of weights, where there are any: of the cluster, and of the run that nobody disturbs.
const WEIGHTS: &str = "weights";
/// See [`WEIGHTS`].
const WEIGHTS_UNDISTURBED: &str = "weights-undisturbed";
/// A process that says nothing for so long is lost.
const STALL: &str = "2s";

/// Arguments of `chaos`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  tickcast chaos -c tickcast.toml --kills 200 --seed 7\n\n\
                        Topics, database, job and directories get names of their own, which end in chaos-SEED-NUMBER; nothing else is touched, and the \
                        topics and collections stay to be looked at. The market is SIMULATED. Exit code 0: nothing was lost or doubled.")]
pub struct ChaosArgs {
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would show it as help")]
    pub config: ConfigFile,
    /// How many lives of the job are ended by force.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub kills: usize,
    /// Decides market, victims and moments; without it one is chosen, and told.
    #[arg(long, value_name = "S")]
    pub seed: Option<u64>,
    /// How many processes; without it, cluster.processes.
    #[arg(long, value_name = "P")]
    pub processes: Option<usize>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would show it as help")]
    pub workers: Workers,
}

/// What `chaos` sets beside the configuration, and what comes of it.
struct Ground {
    sets: Vec<String>,
    config: Config,
}

/// Runs it.
///
/// # Errors
/// When something is lost or doubled, or the job does not go on.
pub fn run(args: &ChaosArgs, settings: &Settings, sets: &[String]) -> anyhow::Result<()> {
    let stop = Stop::default();
    signals::stop_on_signals(&stop)?;
    let number = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_millis() as u64;
    let seed = args.seed.unwrap_or(number % 1_000_000);
    // Kept where something is wrong.
    let dir = tempfile::Builder::new().prefix("tickcast-chaos-").tempdir()?;
    let outcome = prove(args, settings, sets, seed, number, dir.path(), &stop);
    if let Err(error) = outcome {
        if error.is::<Usage>() || error.is::<ConfigError>() {
            // Nothing has begun.
            return Err(error);
        }
        let place = dir.keep();
        return Err(error.context(format!(
            "--seed {seed}: the processes' log and what they wrote are in {}; the same seed repeats victims and moments",
            place.display()
        )));
    }
    Ok(())
}

fn prove(
    args: &ChaosArgs,
    settings: &Settings,
    sets: &[String],
    seed: u64,
    number: u64,
    dir: &Path,
    stop: &Stop,
) -> anyhow::Result<()> {
    let ground = ground(args, settings, sets, &format!("chaos-{seed}-{number}"), dir)?;
    let Ground { config, .. } = &ground;
    let step = config.model.step.millis().max(60_000);
    let length = Span::from_millis(step * STEPS_PER_LIFE);
    // So that everything before the end is closed, and nothing after it.
    let beyond = Span::from_millis(config.time.allowed_lateness.millis() + 1);
    let market = Market::new(seed, args.kills.max(1), length, beyond);
    let history = dir.join("market.jsonl");
    market.write(&history)?;
    let cluster_args = ClusterArgs {
        config: args.config.clone(),
        processes: args.processes,
        workers: args.workers,
        process: None,
        hosts: None,
        reset: false,
        json: true,
    };
    let mut launch = launch(&cluster_args, settings, &ground.sets)?;
    anyhow::ensure!(launch.hosts.is_none(), Usage("cluster.hosts is for other machines: leave it out here".to_owned()));
    launch.log = Some(dir.join("log"));
    let kafka = config.source.kafka.as_ref().context("chaos needs [source.kafka]")?;
    let mut publisher = Publisher::open(kafka, Some(PARTITIONS), stop)?;
    let begun = Instant::now();
    let (mut lives, mut rng) = (Lives::default(), ChaCha8Rng::seed_from_u64(seed));
    let stall = STALL.parse::<Span>().map(Span::to_std).unwrap_or_default();
    tracing::info!(
        "{} lives of {} processes, a {} of {} symbols, seed {seed}",
        args.kills,
        launch.processes,
        crate::simulation::LABEL,
        market.tail.len()
    );
    for (at, slice) in market.slices.iter().enumerate() {
        anyhow::ensure!(!stop.requested(), "stopped");
        feed(&mut publisher, slice, stop)?;
        if at < args.kills {
            lives.live(&mut launch, &mut rng, stall)?;
        }
        if (at + 1) % 20 == 0 {
            tracing::info!("{} lives, published through {}", at + 1, through(config, stop)?);
        }
    }
    feed(&mut publisher, &market.tail, stop)?;
    last_life(&mut launch, config, market.end, stop)?;
    let took = begun.elapsed().as_secs_f64();
    let undisturbed = dir.join("undisturbed");
    backfill(config, &history, market.end, &undisturbed, stop)?;
    output::print(&account(&lives, &launch, args.kills, took))?;
    compare(config, &market, &undisturbed)
}

/// The configuration under names of its own.
fn ground(args: &ChaosArgs, settings: &Settings, sets: &[String], name: &str, dir: &Path) -> anyhow::Result<Ground> {
    let config = &settings.config;
    let (Some(source), Some(sink)) = (&config.source.kafka, &config.sink.kafka) else {
        return Err(Usage("chaos needs [source.kafka] and [sink.kafka]: their brokers are used".to_owned()).into());
    };
    let mut own = vec![
        format!("job.id={name}"),
        format!("source.kafka.topic={}.{name}", source.topic),
        "source.kafka.start=earliest".to_owned(),
        format!("sink.kafka.topic={}.{name}", sink.topic),
        format!("sink.files.dir={}", dir.join("out").display()),
        format!("checkpoint.url=file://{}", dir.join("checkpoints").display()),
        format!("cluster.stall_timeout={STALL}"),
        // What partitions do not get between two lives is no quiet of theirs.
        "time.idle_timeout=1d".to_owned(),
    ];
    if let Some(mongodb) = &config.sink.mongodb {
        own.push(format!("sink.mongodb.database={}_{}", mongodb.database, name.replace('-', "_")));
    }
    own.push(format!("dead_letter.topic={}.{name}.dead", sink.topic));
    if config.dead_letter.as_ref().is_some_and(|dead| dead.file.is_some()) {
        own.push(format!("dead_letter.file={}", dir.join("dead.jsonl").display()));
    }
    if let Some(weights) = &config.model.weights {
        // Both runs start from what is there, and write into copies.
        for copy in [WEIGHTS, WEIGHTS_UNDISTURBED] {
            copy_files(weights, &dir.join(copy))?;
        }
        own.push(format!("model.weights={}", dir.join(WEIGHTS).display()));
    }
    let sets: Vec<String> = sets.iter().cloned().chain(own).collect();
    let settings = Settings::from_process(args.config.path(), &sets)?;
    settings.check_for(Purpose::Run)?;
    if settings.config.source.has_history() {
        let text = "the market of chaos is its own: leave source.files and source.mongodb out of this configuration";
        return Err(Usage(text.to_owned()).into());
    }
    Ok(Ground { sets, config: settings.config })
}

/// Copies the files of a directory, where there is one.
fn copy_files(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    if !from.is_dir() {
        return Ok(());
    }
    for entry in std::fs::read_dir(from)? {
        let path = entry?.path();
        if let (true, Some(name)) = (path.is_file(), path.file_name()) {
            std::fs::copy(&path, to.join(name))?;
        }
    }
    Ok(())
}

fn feed(publisher: &mut Publisher, records: &[Fed], stop: &Stop) -> anyhow::Result<()> {
    for Fed { key, value } in records {
        publisher.send(Some(key.as_bytes()), value, stop)?;
    }
    Ok(publisher.flush(stop)?)
}

fn through(config: &Config, stop: &Stop) -> anyhow::Result<Timestamp> {
    let sink = config.sink.kafka.as_ref().context("chaos needs [sink.kafka]")?;
    let progress = KafkaSink::published(sink, &config.job.id, stop)?;
    Ok(progress.map(|progress| progress.through).unwrap_or_default())
}

/// A life that nobody ends until all is published.
fn last_life(launch: &mut Launch, config: &Config, end: Timestamp, stop: &Stop) -> anyhow::Result<()> {
    launch.variables.clear();
    let mut running = launch.start(false)?;
    let begun = Instant::now();
    while through(config, stop)? < end {
        anyhow::ensure!(!running.has_ended(), "the processes end by themselves: {}", running.shown());
        anyhow::ensure!(begun.elapsed() < LAST_TIME, "not all is published after {LAST_TIME:?}");
        anyhow::ensure!(stop.sleep(Duration::from_millis(300)), "stopped");
    }
    running.ask_to_end();
    running.end(Duration::from_secs(15));
    anyhow::ensure!(running.is_done(), "the processes do not end well: {}", running.shown());
    Ok(())
}

/// The same records in one go, from a file into files.
fn backfill(config: &Config, history: &Path, end: Timestamp, out: &Path, stop: &Stop) -> anyhow::Result<()> {
    let mut config = config.clone();
    config.source.kafka = None;
    config.source.files = Some(FilesSourceConfig { paths: vec![history.to_owned()], ..FilesSourceConfig::default() });
    let files = FilesSinkConfig { dir: out.to_owned(), ..FilesSinkConfig::default() };
    config.sink = SinkConfig { kafka: None, mongodb: None, files: Some(files) };
    (config.dead_letter, config.checkpoint) = (None, None);
    config.model.weights = config.model.weights.map(|weights| weights.with_file_name(WEIGHTS_UNDISTURBED));
    let plan = Plan { workers: 1, bounded: true, range: (None, Some(end)), reset: false, place: None, looks: false };
    job::run(&config, &plan, stop, &Arc::new(Stats::default()), None).context("the run that nobody disturbs")?;
    Ok(())
}

fn account(lives: &Lives, launch: &Launch, kills: usize, took: f64) -> String {
    let ways: Vec<String> = lives.ways.iter().map(|(way, count)| format!("  {count:>5}  {way}\n")).collect();
    format!(
        "{kills} lives of {} processes ended by force in {took:.0} s; the slowest start took {:.1} s\n{}{} processes did not see that \
         another was gone\n",
        launch.processes,
        lives.slowest_start.as_secs_f64(),
        ways.concat(),
        lives.left_behind
    )
}

/// Everything that was published against the run that nobody disturbed.
fn compare(config: &Config, market: &Market, undisturbed: &Path) -> anyhow::Result<()> {
    let sink = config.sink.kafka.as_ref().context("chaos needs [sink.kafka]")?;
    let mut places = vec![format!("kafka://{}/{}", sink.brokers, sink.topic)];
    if let Some(mongodb) = &config.sink.mongodb {
        places.push(with_database(&mongodb.uri, &mongodb.database));
    }
    if let Some(files) = &config.sink.files {
        places.push(files.dir.display().to_string());
    }
    for place in places {
        let args =
            VerifyArgs { one: place, other: undisturbed.display().to_string(), config: ConfigFile { config: None } };
        verify::run(&args, config)?;
    }
    if let Some(topic) = config.dead_letter.as_ref().and_then(|dead| dead.topic.as_ref()) {
        let mut letters = 0_u64;
        let place = Output::find(&format!("kafka://{}/{topic}", sink.brokers), config)?;
        place.visit(config, &mut |_| letters += 1)?;
        let bad = market.bad;
        anyhow::ensure!(letters == bad, "{letters} dead letters of {bad} records that cannot be used");
        output::print(&format!("dead letters: {letters}, of as many records that cannot be used\n"))?;
    }
    Ok(())
}

/// A connection string that names this database.
fn with_database(uri: &str, database: &str) -> String {
    let (address, options) = uri.split_once('?').map_or((uri, None), |(address, options)| (address, Some(options)));
    let hosts = address.find("://").map_or(0, |at| at + 3);
    let end = address[hosts..].find('/').map_or(address.len(), |at| hosts + at);
    let options = options.map(|options| format!("?{options}")).unwrap_or_default();
    format!("{}/{database}{options}", &address[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_string_gets_the_database() {
        for (uri, expected) in [
            ("mongodb://a:1", "mongodb://a:1/d"),
            ("mongodb://a:1/", "mongodb://a:1/d"),
            ("mongodb://u:p@a:1,b:2/x?w=1", "mongodb://u:p@a:1,b:2/d?w=1"),
            ("mongodb://a:1/?w=1", "mongodb://a:1/d?w=1"),
        ] {
            assert_eq!(with_database(uri, "d"), expected);
        }
    }

    #[test]
    fn slices_hold_everything_once_and_the_tail_closes_them() {
        let market = Market::new(7, 4, Span::from_millis(180_000), Span::from_millis(12_000));
        assert_eq!((market.slices.len(), market.tail.len()), (4, 9));
        let all: usize = market.slices.iter().map(Vec::len).sum();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("market.jsonl");
        market.write(&path).unwrap();
        let written = std::fs::read_to_string(&path).unwrap().lines().count();
        assert_eq!(written as u64 + market.bad, all as u64);
        assert!(market.bad > 0 && written > 100);
    }
}
