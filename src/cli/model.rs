//! `tickcast model`: the LSTM's weights, shown, taken out, and put in.

use super::args::ConfigFile;
use super::{Usage, output};
use crate::config::{Config, ConfigError, Settings};
use crate::connectors::weights::{INITIAL, names, path, read, write};
use crate::dataflows::model::forecaster_config;
use crate::market::Symbol;
use crate::model::weights::{FILE_BYTES_MAX, Weights};
use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The most symbols that an error lists.
const LISTED_MAX: usize = 20;

/// Arguments of `model`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  tickcast model show -c tickcast.toml --symbol BTC\n  \
                        tickcast model export -c tickcast.toml --symbol BTC --out btc.safetensors\n  \
                        tickcast model import btc.safetensors -c tickcast.toml\n\n\
                        The job writes weights to the directory model.weights: when it ends, and once an hour of event time.")]
pub struct ModelArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: ModelCommand,
}

/// The subcommands of `model`.
#[derive(Clone, Debug, Subcommand)]
pub enum ModelCommand {
    /// Prints what weights were learnt from, and their shapes and norms.
    #[command(
        after_help = "Examples:\n  tickcast model show -c tickcast.toml --symbol BTC\n  tickcast model show btc.safetensors --json"
    )]
    Show {
        /// A file of weights; without it, those in model.weights.
        file: Option<PathBuf>,
        #[command(flatten)]
        #[allow(missing_docs, reason = "clap would show it as help")]
        whose: Whose,
        /// Prints one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Writes weights to a safetensors file, under the names of `torch.nn.LSTM`.
    #[command(after_help = "Example:\n  tickcast model export -c tickcast.toml --symbol BTC --out btc.safetensors")]
    Export {
        #[command(flatten)]
        #[allow(missing_docs, reason = "clap would show it as help")]
        whose: Whose,
        /// Where to; what is there is replaced.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Makes the job start from weights.
    #[command(after_help = "Example:\n  tickcast model import btc.safetensors -c tickcast.toml --symbol ETH")]
    Import {
        /// A file of weights.
        file: PathBuf,
        #[command(flatten)]
        #[allow(missing_docs, reason = "clap would show it as help")]
        whose: Whose,
    },
}

/// Of which job, and of which of its symbols.
#[derive(Clone, Debug, Args)]
pub struct Whose {
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would show it as help")]
    pub config: ConfigFile,
    /// Of which symbol; may be left out where there is no choice.
    #[arg(long, value_name = "SYMBOL", value_parser = parse_symbol)]
    pub symbol: Option<Symbol>,
}

fn parse_symbol(text: &str) -> Result<Symbol, String> {
    Symbol::new(text).map_err(|error| error.to_string())
}

/// Does what was asked for.
///
/// # Errors
/// When weights cannot be read, do not fit, or cannot be written.
pub fn run(args: &ModelArgs, load: impl Fn(Option<&Path>) -> Result<Settings, ConfigError>) -> anyhow::Result<()> {
    let config = |whose: &Whose| load(whose.config.path()).map(|settings| settings.config);
    match &args.command {
        ModelCommand::Show { file: Some(_), whose: Whose { symbol: Some(_), .. }, .. } => {
            Err(Usage("give a file or --symbol, not both".to_owned()).into())
        }
        ModelCommand::Show { file, whose, json } => {
            let file = file.clone().map_or_else(|| find(&config(whose)?, whose.symbol.as_ref()), Ok)?;
            let (_, weights) = open(&file)?;
            output::print(&if *json { format!("{}\n", to_json(&file, &weights)) } else { to_text(&file, &weights) })
        }
        ModelCommand::Export { whose, out } => {
            let file = find(&config(whose)?, whose.symbol.as_ref())?;
            // As it is, once it is clear that it can be read back.
            let (bytes, _) = open(&file)?;
            write(out, &bytes)?;
            output::print(&format!("{} -> {}\n", file.display(), out.display()))
        }
        ModelCommand::Import { file, whose } => import(file, &config(whose)?, whose.symbol.as_ref()),
    }
}

fn dir(config: &Config) -> Result<&Path, Usage> {
    let missing = "model.weights names no directory: set it, as in --set model.weights=weights, and let the job run";
    config.model.weights.as_deref().ok_or_else(|| Usage(missing.to_owned()))
}

/// The file of a job's symbol, or of its only one.
fn find(config: &Config, symbol: Option<&Symbol>) -> anyhow::Result<PathBuf> {
    let dir = dir(config)?;
    let pooled = forecaster_config(config, None).pooled;
    if let (true, Some(symbol)) = (pooled, symbol) {
        return Err(Usage(format!("--symbol {symbol}: model.scope is pooled, all symbols share one network")).into());
    }
    if pooled || symbol.is_some() {
        let file = path(dir, symbol);
        anyhow::ensure!(
            file.exists(),
            "{} is not there: the job writes weights once an hour of event time and at its end",
            file.display()
        );
        return Ok(file);
    }
    let found: Vec<Symbol> = names(dir)?.into_iter().flatten().collect();
    match found.as_slice() {
        [] => anyhow::bail!("no weights in {} yet: the job writes them, once an hour and at its end", dir.display()),
        [only] => Ok(path(dir, Some(only))),
        many => {
            let listed: Vec<&str> = many.iter().take(LISTED_MAX).map(Symbol::as_str).collect();
            let more = if many.len() > LISTED_MAX { ", …" } else { "" };
            let listed = listed.join(", ");
            Err(Usage(format!(
                "{} holds weights of several symbols: give --symbol, one of {listed}{more}",
                dir.display()
            ))
            .into())
        }
    }
}

fn open(file: &Path) -> anyhow::Result<(Vec<u8>, Weights)> {
    let bytes = read(file, FILE_BYTES_MAX)?;
    let weights = Weights::read(&bytes).with_context(|| file.display().to_string())?;
    Ok((bytes, weights))
}

fn import(file: &Path, config: &Config, symbol: Option<&Symbol>) -> anyhow::Result<()> {
    let initial = dir(config)?.join(INITIAL);
    let settings = forecaster_config(config, None);
    let (bytes, weights) = open(file)?;
    settings.check_fits(&weights).with_context(|| file.display().to_string())?;
    let symbol = match (settings.pooled, symbol, &weights.about.symbol) {
        (true, Some(symbol), _) => {
            return Err(
                Usage(format!("--symbol {symbol}: model.scope is pooled, all symbols share one network")).into()
            );
        }
        (true, None, _) => None,
        (false, Some(symbol), _) | (false, None, Some(symbol)) => Some(symbol),
        (false, None, None) => {
            return Err(
                Usage("these weights are those of all symbols together: say for which, with --symbol".into()).into()
            );
        }
    };
    let to = path(&initial, symbol);
    write(&to, &bytes)?;
    let whose = symbol.map_or_else(|| "all symbols".to_owned(), Symbol::to_string);
    let mut said = format!(
        "{} -> {}\njob `{}` starts from them for {whose}, {} trainings old\n",
        file.display(),
        to.display(),
        config.job.id,
        weights.about.model.version
    );
    if config.sink.kafka.is_some() {
        said += "a job that has published to Kafka before refuses to go on with other weights: give another job.id, or backfill --reset\n";
    }
    output::print(&said)
}

/// Euclidean norm, and the largest magnitude.
fn size(values: &[f32]) -> (f64, f32) {
    let squares: f64 = values.iter().map(|value| f64::from(*value) * f64::from(*value)).sum();
    (squares.sqrt(), values.iter().fold(0.0, |largest, value| largest.max(value.abs())))
}

fn to_json(file: &Path, weights: &Weights) -> Value {
    let (about, shape) = (&weights.about, weights.lstm.shape());
    let tensors = weights.lstm.tensors().map(|(tensor, values)| {
        let (norm, largest) = size(values);
        json!({"name": tensor.name, "shape": tensor.dims, "norm": norm, "largest": largest})
    });
    let texts = |items: &[crate::market::Span]| items.iter().map(ToString::to_string).collect::<Vec<_>>();
    json!({
        "file": file.display().to_string(),
        "job": about.job,
        "symbol": about.symbol,
        "version": about.model.version,
        "trained_from": about.trained_from.map(|time| time.to_string()),
        "trained_through": about.model.trained_through.map(|time| time.to_string()),
        "loss": about.model.loss,
        "hidden": shape.hidden,
        "layers": shape.layers,
        "steps": shape.steps,
        "step": about.step.to_string(),
        "horizons": texts(&about.horizons),
        "inputs": crate::features::INPUT_NAMES,
        "random_seed": about.random_seed,
        "tickcast_version": about.tickcast_version,
        "parameters": shape.parameters(),
        "tensors": tensors.collect::<Vec<_>>(),
    })
}

fn to_text(file: &Path, weights: &Weights) -> String {
    let (about, shape) = (&weights.about, weights.lstm.shape());
    let horizons: Vec<String> = about.horizons.iter().map(ToString::to_string).collect();
    let time =
        |time: Option<crate::market::Timestamp>| time.map_or_else(|| "never".to_owned(), |time| time.to_string());
    let trained = format!("{} .. {}", time(about.trained_from), time(about.model.trained_through));
    let lines = [
        ("file", file.display().to_string()),
        ("job", about.job.clone()),
        ("symbol", about.symbol.as_ref().map_or_else(|| "all (pooled)".to_owned(), Symbol::to_string)),
        ("version", format!("{} trainings", about.model.version)),
        ("trained", trained),
        ("loss", about.model.loss.map_or_else(|| "none".to_owned(), |loss| format!("{loss:.6}"))),
        ("sizes", format!("{} hidden, {} layers, {} steps of {}", shape.hidden, shape.layers, shape.steps, about.step)),
        ("horizons", horizons.join(", ")),
        ("inputs", crate::features::INPUT_NAMES.join(", ")),
        ("seed", about.random_seed.to_string()),
        ("tickcast", about.tickcast_version.clone()),
        ("parameters", shape.parameters().to_string()),
    ];
    let mut text = String::new();
    // Writing to a text cannot fail.
    for (name, value) in lines {
        let _ = writeln!(text, "{name:<12}{}", printable(&value));
    }
    let _ = writeln!(text, "\n{:<18}{:>14}{:>12}{:>12}", "tensor", "shape", "norm", "largest");
    for (tensor, values) in weights.lstm.tensors() {
        let (norm, largest) = size(values);
        let _ = writeln!(text, "{:<18}{:>14}{norm:>12.6}{largest:>12.6}", tensor.name, format!("{:?}", tensor.dims));
    }
    text
}

/// What a file says must not steer the terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
