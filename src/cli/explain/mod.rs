//! `tickcast explain`: what one published forecast was made of, computed again to the same bits.

mod compared;
mod found;
mod parts;
pub mod served;
mod text;
mod told;

use super::args::{ConfigFile, Workers, parse_time};
use super::job::again::{self, Question};
use super::{Usage, output, progress, signals};
use crate::config::{Config, Preset, Purpose, Scope, Settings};
use crate::delivery::{Reader, Stop};
use crate::market::forecast::ForecastId;
use crate::market::{Span, Timestamp};
use crate::operators::support::stats::Stats;
use crate::operators::support::trace::Trace;
use clap::Args;
use std::sync::Arc;
use told::Explanation;

/// Arguments of `explain`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  tickcast explain btc/BTC/1m/1611239700000 -c tickcast.toml\n  \
                        tickcast explain btc/BTC/USD/5m/1611239700000 -c tickcast.toml --json > why.json\n\n\
                        The symbol's forecasts are computed again from the checkpoint before (or from the beginning), with the\n\
                        configuration that the job runs with, and compared with what its sinks hold. Nothing is changed, and a\n\
                        job that runs is not disturbed. Exit code 1: it is not published, or not the same bits; 5: what it was\n\
                        computed from is gone, or something else would be computed.")]
pub struct ExplainArgs {
    /// The forecast's id, as it was published: JOB/SYMBOL/HORIZON/TARGET in epoch ms.
    #[arg(value_name = "ID")]
    pub id: String,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would show it as help")]
    pub config: ConfigFile,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would show it as help")]
    pub workers: Workers,
    /// Computes from the beginning although there are checkpoints: all bars show, and it takes longer.
    #[arg(long)]
    pub from_start: bool,
    /// Event time that the run began with, where it was a backfill with --from.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub from: Option<Timestamp>,
    /// Event time that the run ended before, where it was a backfill with --to.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub to: Option<Timestamp>,
    /// Prints one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Looks for the forecast, computes it again, and says what it was made of.
///
/// # Errors
/// When there is no such forecast, what it was computed from is gone, or it does not come out as it was published.
pub fn run(args: &ExplainArgs, settings: &Settings) -> anyhow::Result<()> {
    settings.check_for(purpose(&settings.config))?;
    let stop = Stop::default();
    let stats = Arc::new(Stats::default());
    let asked = Asked {
        id: &args.id,
        workers: args.workers.count(),
        range: (args.from, args.to),
        from_start: args.from_start,
        reader: None,
    };
    let explained = asked.answer(&settings.config, &stop, &stats, || {
        signals::stop_on_signals(&stop)?;
        Ok(progress::JobBar::show(&stats, None))
    })?;
    output::print(&if args.json { explained.told.json()? } else { text::of(&explained.told) })?;
    explained.difference.map_or(Ok(()), |difference| Err(anyhow::Error::msg(difference)))
}

/// No sink has the forecast.
#[derive(Debug, thiserror::Error)]
#[error("{id} is not published: it is not in {places}")]
pub struct NotPublished {
    id: String,
    places: String,
}

/// What is computed again, and how.
pub struct Asked<'a> {
    /// Its id.
    pub id: &'a str,
    /// Worker threads.
    pub workers: usize,
    /// Event time, as the run had it.
    pub range: (Option<Timestamp>, Option<Timestamp>),
    /// Whether checkpoints are not to be used.
    pub from_start: bool,
    /// Where results lie besides the configuration's sinks.
    pub reader: Option<&'a dyn Reader>,
}

/// What came of it.
pub struct Explained {
    /// What it was made of.
    pub told: Explanation,
    /// How it differs from what is published, in words; none where it does not.
    pub difference: Option<String>,
}

impl Asked<'_> {
    /// Looks for the forecast and computes it again; `begins` is called between the two, and what it gives is kept until the end.
    ///
    /// # Errors
    /// When there is no such forecast, or what it was computed from is gone or cannot be read.
    pub fn answer<T>(
        &self,
        config: &Config,
        stop: &Stop,
        stats: &Arc<Stats>,
        begins: impl FnOnce() -> anyhow::Result<T>,
    ) -> anyhow::Result<Explained> {
        let id = self.checked(config)?;
        super::job::check_options(config)?;
        let published = found::everywhere(config, self.id, &id, self.reader, stop)?;
        if published.iter().all(|of| of.forecasts.is_empty()) {
            let places: Vec<&str> = published.iter().map(|of| of.place.as_str()).collect();
            return Err(NotPublished { id: self.id.to_owned(), places: places.join(", nor in ") }.into());
        }
        let shown = begins()?;
        let question = Question {
            trace: Arc::new(trace(&id, config)),
            target_at: id.target_at,
            workers: self.workers,
            range: self.range,
            from_start: self.from_start,
        };
        let answer = again::compute(config, &question, stop, stats);
        drop(shown);
        let answer = answer?;
        let because = || again::doubt(config).map_or_else(String::new, |why| format!(" ({why})"));
        let Some(forecast) = &answer.heard.forecast else {
            anyhow::bail!(
                "{} is published, and the same job over what the source holds now makes no forecast of this id: is the \
                 configuration the job's, and are its first records still there?{}",
                self.id,
                because()
            );
        };
        let compared = compared::compare(&published, forecast, answer.heard.score.as_ref());
        let mut told = Explanation::new(config, &question, &answer, forecast, &published, &compared);
        let difference = compared.difference.map(|difference| difference.said(self.id, &answer.replayed) + &because());
        told.difference_in_words.clone_from(&difference);
        Ok(Explained { told, difference })
    }

    /// The id, where it can be one of this job.
    fn checked(&self, config: &Config) -> Result<ForecastId, Usage> {
        let text = self.id;
        let wrong = |why: String| Usage(format!("{text}: {why}"));
        let id = ForecastId::parse(&config.job.id, text).map_err(wrong)?;
        let model = &config.model;
        if model.preset == Preset::None {
            return Err(wrong("model.preset is none: there are no forecasts".to_owned()));
        }
        if !model.horizons.contains(&id.horizon) {
            let horizons: Vec<String> = model.horizons.iter().map(Span::to_string).collect();
            return Err(wrong(format!("{} is none of model.horizons: {}", id.horizon, horizons.join(", "))));
        }
        if !id.issued_at().is_multiple_of(model.step) {
            return Err(wrong(format!(
                "no forecast is issued at {}: that ends no model.step of {}",
                id.issued_at(),
                model.step
            )));
        }
        if !found::is_anywhere(config) && self.reader.is_none() {
            return Err(wrong(
                "nowhere to look for it: give the sink that the job publishes to, as in --set sink.files.dir=out"
                    .to_owned(),
            ));
        }
        Ok(id)
    }
}

/// A job over a topic, or a bounded one.
pub(super) fn purpose(config: &Config) -> Purpose {
    if config.source.has_history() { Purpose::ThenLive } else { Purpose::Backfill }
}

/// The question to the operators: of the steps that the LSTM sees.
fn trace(id: &ForecastId, config: &Config) -> Trace {
    let (model, issued_at) = (&config.model, id.issued_at());
    let sequence =
        Span::from_millis(model.step.millis().saturating_mul(i64::try_from(model.steps).unwrap_or(i64::MAX)));
    // Of a network that all symbols share, what all have learnt counts.
    let alone = model.scope == Scope::Symbol;
    Trace::new(id.symbol.clone(), id.horizon, issued_at, alone, (issued_at.minus(sequence), issued_at))
}
