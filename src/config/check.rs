//! Checks that span several keys. What one key alone allows is in [`super::keys`].

use super::{Config, Format, ModelConfig, Preset};
use crate::market::Span;

/// The shortest `collect.every`: an API that is asked more often takes it for an attack.
pub const COLLECT_EVERY_MIN: Span = Span::from_millis(100);
/// The longest `collect.timeout`: one asset that does not answer holds up the others for so long.
pub const COLLECT_TIMEOUT_MAX: Span = Span::from_millis(300_000);

/// The least of `cluster.stall_timeout`.
pub const STALL_MIN: Span = Span::from_millis(1_000);
/// The most panes of the longest window: each pane with a tick is kept, per symbol.
pub const WINDOW_PANES_MAX: i64 = 10_000_000;
/// The most steps of an epoch.
pub const EPOCH_STEPS_MAX: i64 = 1_000_000;
/// The longest horizon in steps: each costs a symbol 1.3 kB, and all of them are looked at for each label.
pub const HORIZON_STEPS_MAX: i64 = 20_160;

/// A score is void without a tick in five steps before its target, and a bar ends up to a step after its last tick.
const FORGET_MARGIN_STEPS: i64 = 6;

/// What a command needs of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A live job: reads Kafka.
    Run,
    /// Bounded history: reads Kafka, files or MongoDB.
    Backfill,
    /// Bounded history, then Kafka.
    ThenLive,
    /// Publishes recorded files to the source's topic.
    Replay,
    /// Publishes what an API says to the source's topic.
    Collect,
}

/// Something wrong between keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Keys whose origin is worth telling.
    pub keys: Vec<&'static str>,
    /// Names keys and values, and what to do.
    pub message: String,
}

/// Everything that is wrong between the keys of `config`, whatever the command.
#[must_use]
pub fn check(config: &Config) -> Vec<Problem> {
    let mut found = Vec::new();
    check_time(config, &mut found);
    check_model(config, &mut found);
    check_seed(config, &mut found);
    check_forget_after(config, &mut found);
    check_files(config, &mut found);
    check_topics(config, &mut found);
    check_exclusive(config, &mut found);
    check_mongodb_source(config, &mut found);
    check_collect(config, &mut found);
    check_checkpoint(config, &mut found);
    check_cluster(config, &mut found);
    found
}

/// Everything that is wrong with `config` for one command only.
#[must_use]
pub fn check_for(config: &Config, purpose: Purpose) -> Vec<Problem> {
    let super::SourceConfig { kafka, files, mongodb, .. } = &config.source;
    let given =
        [("source.kafka", kafka.is_some()), ("source.files", files.is_some()), ("source.mongodb", mongodb.is_some())];
    let given: Vec<&str> = given.into_iter().filter_map(|(name, is_given)| is_given.then_some(name)).collect();
    let mut found = Vec::new();
    let keys = ["source.kafka.topic", "source.files.paths", "source.mongodb.collection"];
    let mut say = |message: &str| found.push(problem(&keys, message));
    match (purpose, &given[..]) {
        // A history before the topic.
        (Purpose::Run | Purpose::ThenLive, ["source.kafka", _]) => {}
        (Purpose::Backfill, ["source.kafka", other]) => say(&format!(
            "source.kafka and {other} are both given: leave one of them out, or let the topic go on from the history with \
             --then-live"
        )),
        (Purpose::Run | Purpose::Backfill | Purpose::ThenLive, [one, other]) => {
            say(&format!("{one} and {other} are both given: leave one of them out"));
        }
        (Purpose::Run | Purpose::Backfill | Purpose::ThenLive, [_, _, ..]) => {
            say(&format!("{} are all given: leave one of the last two out", given.join(", ")));
        }
        (Purpose::ThenLive, _) if kafka.is_none() => {
            say("no topic to go on with: give source.kafka, as in --set source.kafka.brokers=localhost:9092");
        }
        (Purpose::Run, ["source.files"]) => say(
            "source.files is bounded, and run never ends: use backfill, or publish the files with replay and read source.kafka",
        ),
        (Purpose::Run, ["source.mongodb"]) => {
            say("source.mongodb is history, and run never ends: use backfill, or read source.kafka");
        }
        (Purpose::Run, []) => {
            say("no source: give source.kafka, as in --set source.kafka.brokers=localhost:9092");
        }
        (Purpose::Backfill, []) => {
            say(
                "no source: give source.kafka, source.files or source.mongodb, as in --set source.files.paths=ticks.csv",
            );
        }
        (Purpose::Replay | Purpose::Collect, _) if kafka.is_none() => {
            say("no topic to publish to: give source.kafka, as in --set source.kafka.brokers=localhost:9092");
        }
        _ => {}
    }
    if matches!(purpose, Purpose::Backfill | Purpose::ThenLive | Purpose::Run)
        && config.source.files.as_ref().is_some_and(|files| files.paths.is_empty())
    {
        say("source.files.paths names no file: give one or more, as in --set source.files.paths=ticks.csv");
    }
    found
}

fn problem(keys: &[&'static str], message: impl Into<String>) -> Problem {
    Problem { keys: keys.to_vec(), message: message.into() }
}

/// `whole` must be a multiple of `part`, and not more than `max` times it.
fn check_multiple(found: &mut Vec<Problem>, part: (&'static str, Span), whole: (&'static str, Span), max: i64) {
    let ((part_key, part), (whole_key, whole)) = (part, whole);
    let message = match whole.in_units_of(part) {
        Some(count) if count > max => {
            format!("{whole_key}: {whole} is {count} times {part_key} = {part}: at most {max}")
        }
        Some(count) if count > 0 => return,
        _ => format!("{part_key} = {part} does not divide {whole_key}: {whole}: make {whole} a multiple of {part}"),
    };
    found.push(problem(&[part_key, whole_key], message));
}

fn check_time(config: &Config, found: &mut Vec<Problem>) {
    let time = &config.time;
    for &window in &time.windows {
        check_multiple(found, ("time.slide", time.slide), ("time.windows", window), WINDOW_PANES_MAX);
    }
    check_multiple(found, ("time.slide", time.slide), ("model.step", config.model.step), WINDOW_PANES_MAX);
}

fn check_checkpoint(config: &Config, found: &mut Vec<Problem>) {
    let Some(checkpoint) = &config.checkpoint else { return };
    if let Err(why) = checkpoint.place() {
        found.push(problem(&["checkpoint.url"], why));
    }
    let slide = ("time.slide", config.time.slide);
    check_multiple(found, slide, ("checkpoint.interval", checkpoint.interval), WINDOW_PANES_MAX);
}

fn check_cluster(config: &Config, found: &mut Vec<Problem>) {
    if config.cluster.stall_timeout < STALL_MIN {
        let stall = config.cluster.stall_timeout;
        found.push(problem(
            &["cluster.stall_timeout"],
            format!("cluster.stall_timeout = {stall}: a busy machine pauses that long: write {STALL_MIN} or more"),
        ));
    }
}

fn check_model(config: &Config, found: &mut Vec<Problem>) {
    let model = &config.model;
    let step = ("model.step", model.step);
    check_multiple(found, step, ("time.epoch", config.time.epoch), EPOCH_STEPS_MAX);
    for &horizon in &model.horizons {
        check_multiple(found, step, ("model.horizons", horizon), HORIZON_STEPS_MAX);
    }
    if model.weights.is_some() && (model.preset != Preset::Default || !model.experts.lstm) {
        let message = "model.weights names a directory, but there is no LSTM: it needs model.preset = \"default\" and \
                       model.experts.lstm = true; or leave it out";
        found.push(problem(&["model.weights", "model.preset", "model.experts.lstm"], message));
    }
    // Forecasts are issued where there is a row, and a row is there where the longest window holds a tick.
    let longest = config.time.windows.iter().max();
    if let (true, Some(longest)) = (model.preset != Preset::None, longest.filter(|longest| **longest < model.step)) {
        let message = format!(
            "the longest of time.windows, {longest}, is shorter than model.step = {}: make one of them at least that long",
            model.step
        );
        found.push(problem(&["time.windows", "model.step"], message));
    }
}

/// The student project's model is what it was: its sizes are no settings, and it forecasts the next row alone.
fn check_seed(config: &Config, found: &mut Vec<Problem>) {
    let (model, usual) = (&config.model, ModelConfig::default());
    if model.preset != Preset::Seed {
        return;
    }
    if model.horizons != [model.step] {
        let message = format!(
            "model.horizons does not fit model.preset = seed, which forecasts the next row alone: leave it out, or make it [\"{}\"]",
            model.step
        );
        found.push(problem(&["model.horizons", "model.step"], message));
    }
    let fixed = [
        ("model.scope", model.scope == usual.scope),
        ("model.hidden", model.hidden == usual.hidden),
        ("model.layers", model.layers == usual.layers),
        ("model.steps", model.steps == usual.steps),
        ("model.minibatches", model.minibatches == usual.minibatches),
        ("model.prior", model.prior == usual.prior),
        ("model.experts", model.experts == usual.experts),
    ];
    for (key, _) in fixed.into_iter().filter(|(_, as_usual)| !as_usual) {
        let message = format!("{key} has no part in model.preset = seed, whose model is fixed: leave {key} out");
        found.push(problem(&[key, "model.preset"], message));
    }
}

/// What is given up must be over: no window holds a tick of it, and no forecast of it waits for its target or for a last tick
/// before that.
fn check_forget_after(config: &Config, found: &mut Vec<Problem>) {
    let (model, after) = (&config.model, config.source.forget_after);
    let longest = |spans: &[Span]| spans.iter().max().map_or(0, |span| span.millis());
    let steps = if model.preset == Preset::None { 0 } else { model.step.millis() * FORGET_MARGIN_STEPS };
    let horizon = if model.preset == Preset::None { 0 } else { longest(&model.horizons) };
    let least = [longest(&config.time.windows), horizon, steps].into_iter().fold(0_i64, i64::saturating_add);
    if after.millis() < least {
        let message = format!(
            "source.forget_after = {after} is too short: a symbol is in use until its longest window, its longest horizon and \
             {FORGET_MARGIN_STEPS} steps are over; make it at least {}",
            Span::from_millis(least)
        );
        found.push(problem(&["source.forget_after", "time.windows", "model.horizons"], message));
    }
}

fn check_files(config: &Config, found: &mut Vec<Problem>) {
    let slide = config.time.slide;
    let source = &config.source;
    let of_files = source.files.as_ref().and_then(|files| files.interval);
    for (key, (general, own)) in [
        ("source.files.symbol", (&source.symbol, source.files.as_ref().and_then(|files| files.symbol.as_ref()))),
        (
            "source.mongodb.symbol",
            (&source.symbol, source.mongodb.as_ref().and_then(|mongodb| mongodb.symbol.as_ref())),
        ),
    ] {
        if let (Some(general), Some(own)) = (general, own)
            && general != own
        {
            let message =
                format!("source.symbol = {general} and {key} = {own} are two names of one setting: leave one out");
            found.push(problem(&["source.symbol", key], message));
        }
    }
    if let (Some(general), Some(own)) = (source.interval, of_files)
        && general != own
    {
        let message = format!(
            "source.interval = {general} and source.files.interval = {own} are two names of one setting: leave one out"
        );
        found.push(problem(&["source.interval", "source.files.interval"], message));
    }
    let Some(interval) = of_files.or(source.interval) else { return };
    let key = if source.interval.is_some() { "source.interval" } else { "source.files.interval" };
    let candles = matches!(config.source.format, Format::Candle | Format::Auto);
    if candles && slide < interval {
        let message = format!(
            "time.slide = {slide} is below the candles' interval, {key} = {interval}: \
             a candle cannot be split; make time.slide at least {interval}"
        );
        found.push(problem(&["time.slide", key], message));
    }
}

/// What the job writes must not be what it reads: it would feed on itself.
fn check_topics(config: &Config, found: &mut Vec<Problem>) {
    let dead = config.dead_letter.as_ref().and_then(|dead| dead.topic.as_deref());
    if dead.is_some() && config.sink.kafka.is_none() && config.source.kafka.is_none() {
        let message = "dead_letter.topic needs a broker: give sink.kafka or source.kafka, or use dead_letter.file";
        found.push(problem(&["dead_letter.topic"], message));
    }
    let mut topics: Vec<(&'static str, String)> = Vec::new();
    topics.extend(config.source.kafka.as_ref().map(|kafka| ("source.kafka.topic", kafka.topic.clone())));
    if let Some(kafka) = &config.sink.kafka {
        let suffixes = ["", ".scores", ".progress"];
        topics.extend(suffixes.map(|suffix| ("sink.kafka.topic", format!("{}{suffix}", kafka.topic))));
    }
    topics.extend(dead.map(|topic| ("dead_letter.topic", topic.to_owned())));
    for (at, (key, topic)) in topics.iter().enumerate() {
        if let Some((other, _)) = topics[..at].iter().find(|(_, other)| other == topic) {
            found.push(problem(
                &[other, key],
                format!("{other} and {key} both use the topic {topic}: name another one"),
            ));
        }
    }
}

fn check_exclusive(config: &Config, found: &mut Vec<Problem>) {
    if let Some(dead) = &config.dead_letter {
        match (&dead.topic, &dead.file) {
            (Some(_), Some(_)) => found.push(problem(
                &["dead_letter.topic", "dead_letter.file"],
                "dead_letter.topic and dead_letter.file are both given: leave one of them out",
            )),
            (None, None) => {
                found.push(problem(
                    &[],
                    "dead_letter has neither topic nor file: give one of them, or leave the table out",
                ));
            }
            _ => {}
        }
    }
    if let Some(mongodb) = &config.sink.mongodb
        && mongodb.uri_file.is_some()
        && mongodb.uri != super::MongoSinkConfig::default().uri
    {
        found.push(problem(
            &["sink.mongodb.uri", "sink.mongodb.uri_file"],
            "sink.mongodb.uri and sink.mongodb.uri_file are both given: leave one of them out",
        ));
    }
}

fn check_mongodb_source(config: &Config, found: &mut Vec<Problem>) {
    let Some(source) = &config.source.mongodb else { return };
    if !matches!(config.source.format, Format::Auto | Format::Tick) {
        let message = "documents of source.mongodb are ticks: leave source.format out, or make it auto";
        found.push(problem(&["source.format", "source.mongodb.collection"], message));
    }
    if source.uri_file.is_some() && source.uri != super::MongoSourceConfig::default().uri {
        found.push(problem(
            &["source.mongodb.uri", "source.mongodb.uri_file"],
            "source.mongodb.uri and source.mongodb.uri_file are both given: leave one of them out",
        ));
    }
    if let (Some(from), Some(to)) = (source.from, source.to)
        && from >= to
    {
        let message =
            format!("source.mongodb.from = {from} is not before source.mongodb.to = {to}: nothing lies between");
        found.push(problem(&["source.mongodb.from", "source.mongodb.to"], message));
    }
    // Whatever server it is: two connection strings may name the same one.
    if let Some(sink) = &config.sink.mongodb
        && sink.database == source.database
    {
        let written = [
            ("sink.mongodb.ticks", sink.ticks.as_ref()),
            ("sink.mongodb.features", sink.features.as_ref()),
            ("sink.mongodb.forecasts", Some(&sink.forecasts)),
            ("sink.mongodb.scores", Some(&sink.scores)),
        ];
        for (key, _) in written.into_iter().filter(|(_, name)| *name == Some(&source.collection)) {
            let message = format!(
                "{key} and source.mongodb.collection are both {}.{}: the job would read what it writes; name another collection",
                source.database, source.collection
            );
            found.push(problem(&["source.mongodb.collection", key], message));
        }
    }
}

fn check_collect(config: &Config, found: &mut Vec<Problem>) {
    let super::CollectConfig { every, timeout, key, key_file, .. } = &config.collect;
    if *every < COLLECT_EVERY_MIN {
        let message = format!("collect.every = {every} is too often: write at least {COLLECT_EVERY_MIN}");
        found.push(problem(&["collect.every"], message));
    }
    if *timeout > COLLECT_TIMEOUT_MAX {
        let message = format!("collect.timeout = {timeout} is too long: write at most {COLLECT_TIMEOUT_MAX}");
        found.push(problem(&["collect.timeout"], message));
    }
    if key.is_some() && key_file.is_some() {
        found.push(problem(
            &["collect.key", "collect.key_file"],
            "collect.key and collect.key_file are both given: leave one of them out",
        ));
    }
}

#[cfg(test)]
mod tests;
