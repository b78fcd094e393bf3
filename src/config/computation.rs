//! Which settings decide what a job computes: they stand in its progress record, and a restart with others is refused.
//!
//! The rest may change between runs: where results go, how the source is reached, and [`IDLE`], whose decisions are on record.

use super::{
    Config, ExpertsConfig, Format, LatePolicy, ModelConfig, MongoSourceConfig, Preset, Scope, SourceConfig, TimeConfig,
};
use crate::market::Span;

/// Decides by the wall clock; what it decided is replayed, so that another value changes nothing of what was published.
pub const IDLE: &str = "time.idle_timeout";

/// Settings and their values, by the names that the file has for them.
#[must_use]
pub fn computation(config: &Config) -> Vec<(&'static str, String)> {
    let Config {
        job: _,
        source,
        time,
        model,
        sink: _,
        dead_letter: _,
        checkpoint: _,
        cluster: _,
        collect: _,
        http: _,
        history: _,
    } = config;
    let mut values = of_source(source);
    values.extend(of_time(time));
    values.extend(of_model(model));
    values
}

impl SourceConfig {
    /// Whether a history is given, beside the topic that goes on from it.
    #[must_use]
    pub const fn has_history(&self) -> bool {
        self.kafka.is_some() && (self.files.is_some() || self.mongodb.is_some())
    }
}

fn of_source(source: &SourceConfig) -> Vec<(&'static str, String)> {
    let SourceConfig { format, symbol, interval, timezone, symbols_max, forget_after, kafka, files, mongodb } = source;
    let format = match format {
        Format::Auto => "auto",
        Format::Tick => "tick",
        Format::Messari => "messari",
        Format::Trade => "trade",
        Format::Candle => "candle",
    };
    let of_files = files.as_ref();
    let symbol = of_files
        .and_then(|files| files.symbol.as_ref())
        .or_else(|| mongodb.as_ref()?.symbol.as_ref())
        .or(symbol.as_ref());
    let interval = of_files.and_then(|files| files.interval).or(*interval);
    let mut values = vec![
        ("source.format", format.to_owned()),
        ("source.symbol", symbol.cloned().unwrap_or_default()),
        ("source.interval", interval.as_ref().map_or_else(String::new, Span::to_string)),
        ("source.timezone", timezone.to_string()),
        ("source.symbols_max", symbols_max.to_string()),
        ("source.forget_after", forget_after.to_string()),
    ];
    if let Some(kafka) = kafka {
        values.push(("source.kafka.topic", kafka.topic.clone()));
    }
    if let Some(files) = files {
        let paths = files.paths.iter().map(|path| path.display().to_string());
        values.push(("source.files.paths", paths.collect::<Vec<_>>().join(" ")));
        values.push(("source.files.columns", files.columns.as_ref().map_or_else(String::new, |c| format!("{c:?}"))));
    }
    if let Some(MongoSourceConfig { database, collection, from, to, .. }) = mongodb {
        values.push(("source.mongodb.collection", format!("{database}.{collection}")));
        let text = |at: &Option<crate::market::Timestamp>| at.map_or_else(String::new, |at| at.to_string());
        values.push(("source.mongodb.from", text(from)));
        values.push(("source.mongodb.to", text(to)));
    }
    values
}

fn of_time(time: &TimeConfig) -> Vec<(&'static str, String)> {
    let TimeConfig { slide, windows, allowed_lateness, idle_timeout: _, epoch, late, max_ahead } = time;
    let late = match late {
        LatePolicy::DeadLetter => "dead_letter",
        LatePolicy::Drop => "drop",
    };
    vec![
        ("time.slide", slide.to_string()),
        ("time.windows", spans(windows)),
        ("time.allowed_lateness", allowed_lateness.to_string()),
        ("time.epoch", epoch.to_string()),
        ("time.late", late.to_owned()),
        ("time.max_ahead", max_ahead.to_string()),
    ]
}

fn of_model(model: &ModelConfig) -> Vec<(&'static str, String)> {
    // The directory is not in it: the weights that a job starts from are, by their digest.
    let ModelConfig {
        preset,
        scope,
        hidden,
        layers,
        steps,
        step,
        minibatches,
        horizons,
        coverage,
        random_seed,
        prior,
        weights: _,
        experts,
    } = model;
    let name = match preset {
        Preset::Default => "default",
        Preset::Seed => "seed",
        Preset::None => "none",
    };
    let mut values = vec![("model.preset", name.to_owned())];
    if *preset == Preset::None {
        return values;
    }
    let scope = match scope {
        Scope::Symbol => "symbol",
        Scope::Pooled => "pooled",
    };
    values.extend([
        ("model.scope", scope.to_owned()),
        ("model.hidden", hidden.to_string()),
        ("model.layers", layers.to_string()),
        ("model.steps", steps.to_string()),
        ("model.step", step.to_string()),
        ("model.minibatches", minibatches.to_string()),
        ("model.horizons", spans(horizons)),
        ("model.coverage", coverage.to_string()),
        ("model.random_seed", random_seed.to_string()),
        ("model.prior", prior.to_string()),
        ("model.experts", of_experts(experts)),
    ]);
    values
}

/// Those that are off; most jobs have none.
fn of_experts(experts: &ExpertsConfig) -> String {
    let ExpertsConfig {
        gaussian,
        empirical,
        range_scale,
        location,
        window_range,
        geometric_range,
        slow,
        quantile_regression,
        random_features,
        lstm,
        median_gate,
        interval_control,
        flow,
        market,
    } = *experts;
    let all = [
        ("gaussian", gaussian),
        ("empirical", empirical),
        ("range_scale", range_scale),
        ("location", location),
        ("window_range", window_range),
        ("geometric_range", geometric_range),
        ("slow", slow),
        ("quantile_regression", quantile_regression),
        ("random_features", random_features),
        ("lstm", lstm),
        ("median_gate", median_gate),
        ("interval_control", interval_control),
        ("flow", flow),
        ("market", market),
    ];
    let off: Vec<&str> = all.iter().filter(|(_, on)| !on).map(|(name, _)| *name).collect();
    if off.is_empty() { "all".to_owned() } else { format!("without {}", off.join(" ")) }
}

fn spans(spans: &[Span]) -> String {
    spans.iter().map(Span::to_string).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::super::keys::KEYS;
    use super::super::{FilesSourceConfig, KafkaSourceConfig};
    use super::*;

    /// Keys of the tables that describe the computation which are not in it, and may be changed at any time.
    const FREE: &[&str] = &[
        "source.kafka.brokers",
        "source.kafka.start",
        "source.kafka.options",
        "source.mongodb.uri",
        "source.mongodb.uri_file",
        IDLE,
        "model.weights",
    ];
    /// Keys that stand for others.
    const ALIASES: &[&str] =
        &["source.files.symbol", "source.files.interval", "source.mongodb.symbol", "source.mongodb.database"];

    #[test]
    fn every_key_of_the_computation_is_in_it_or_free() {
        let mut config = Config::default();
        config.source.kafka = Some(KafkaSourceConfig::default());
        config.source.files = Some(FilesSourceConfig::default());
        config.source.mongodb = Some(MongoSourceConfig::default());
        let names: Vec<&str> = computation(&config).into_iter().map(|(name, _)| name).collect();
        for key in KEYS.iter().map(|key| key.name) {
            let decides = ["source.", "time.", "model."].iter().any(|table| key.starts_with(table));
            let named = names.contains(&key) || key.starts_with("model.experts.");
            let free = FREE.contains(&key) || ALIASES.contains(&key);
            assert_eq!(decides, named ^ free, "{key}");
        }
    }

    #[test]
    fn experts_are_named_where_they_are_off() {
        let mut experts = ExpertsConfig::default();
        assert_eq!(of_experts(&experts), "all");
        (experts.lstm, experts.flow) = (false, false);
        assert_eq!(of_experts(&experts), "without lstm flow");
    }
}
