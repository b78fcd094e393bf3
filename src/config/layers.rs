//! Layered settings: defaults < file < environment < `--set`. Each value knows where it came from.
//!
//! Every layer is checked key by key as it comes, so that an error names the place that holds it; what spans several
//! keys is checked at the end, by [`super::check`].

use super::check::{self, Purpose};
use super::keys::{self, Found, KEYS, Key, TABLES, Unset};
use super::kind::Kind;
use super::{Config, file, secrets};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::Path;
use toml::Value;

/// Environment variables that are settings begin with this and hold `__`; others that begin with it are none.
pub const ENV_PREFIX: &str = "TICKCAST_";

/// What is wrong with a configuration: one line per problem, each naming the place, the key, and what is allowed.
/// Holds no secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .problems.join("\n"))]
pub struct ConfigError {
    /// One line each, at least one.
    pub problems: Vec<String>,
}

impl ConfigError {
    /// A single problem.
    #[must_use]
    pub fn new(problem: impl Into<String>) -> Self {
        Self { problems: vec![problem.into()] }
    }
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// This line of this file.
    File {
        /// As it was named.
        path: String,
        /// From 1.
        line: usize,
    },
    /// This environment variable.
    Environment(String),
    /// `--set`.
    Set,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{path}:{line}"),
            Self::Environment(name) => f.write_str(name),
            Self::Set => f.write_str("--set"),
        }
    }
}

/// A value and where it came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// As in TOML; options of librdkafka are texts.
    pub value: Value,
    /// Where it came from.
    pub origin: Origin,
}

/// The checked configuration, and where each value came from.
#[derive(Clone)]
pub struct Settings {
    /// What the job uses.
    pub config: Config,
    /// Keys and librdkafka options that somebody set, by dotted name.
    values: BTreeMap<String, Setting>,
    /// Tables that are on.
    on: BTreeMap<&'static str, Origin>,
}

impl Settings {
    /// Reads the layers: `file`, then the environment's variables, then `sets` (`key=value`, later ones win).
    ///
    /// # Errors
    /// All problems at once, cross-key ones when there are no others.
    pub fn load(
        file: Option<&Path>,
        env: impl IntoIterator<Item = (OsString, OsString)>,
        sets: &[String],
    ) -> Result<Self, ConfigError> {
        let settings = Self::merge(file, env, sets)?;
        let problems = check::check(&settings.config);
        settings.fail_on(problems)?;
        Ok(settings)
    }

    /// [`Settings::load`] with the process's own environment.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub fn from_process(file: Option<&Path>, sets: &[String]) -> Result<Self, ConfigError> {
        Self::load(file, std::env::vars_os(), sets)
    }

    /// Checks what only some commands ask for: a source that fits.
    ///
    /// # Errors
    /// All problems at once.
    pub fn check_for(&self, purpose: Purpose) -> Result<(), ConfigError> {
        self.fail_on(check::check_for(&self.config, purpose))
    }

    /// The value of a key (or a librdkafka option), and where it came from. None for what is neither set nor has a default.
    #[must_use]
    pub fn setting(&self, name: &str) -> Option<Setting> {
        if let Some(setting) = self.values.get(name) {
            return Some(setting.clone());
        }
        let key = KEYS.iter().find(|key| key.name == name)?;
        default_of(key).map(|value| Setting { value, origin: Origin::Default })
    }

    /// Whether a table is on, and what turned it on.
    #[must_use]
    pub fn table(&self, name: &str) -> Option<&Origin> {
        self.on.get(name)
    }

    /// The librdkafka options set below `name` (`source.kafka.options`), by their full dotted names.
    pub fn options(&self, name: &str) -> impl Iterator<Item = (&str, &Setting)> {
        let prefix = format!("{name}.");
        self.values
            .range(prefix.clone()..)
            .take_while(move |(name, _)| name.starts_with(&prefix))
            .map(|(name, setting)| (name.as_str(), setting))
    }

    /// The layers without the checks that span several keys.
    pub(super) fn merge(
        file: Option<&Path>,
        env: impl IntoIterator<Item = (OsString, OsString)>,
        sets: &[String],
    ) -> Result<Self, ConfigError> {
        let mut layers = Layers::default();
        if let Some(path) = file {
            layers.take_file(path)?;
        }
        layers.take_environment(env);
        layers.take_sets(sets);
        layers.read_option_files();
        layers.finish()
    }

    fn fail_on(&self, problems: Vec<check::Problem>) -> Result<(), ConfigError> {
        if problems.is_empty() {
            return Ok(());
        }
        let line = |problem: check::Problem| {
            let set = |name: &&str| self.setting(name).map(|setting| format!("{name}: {}", setting.origin));
            let origins: Vec<String> = problem.keys.iter().filter_map(set).collect();
            let origins = if origins.is_empty() { String::new() } else { format!(" ({})", origins.join("; ")) };
            format!("{}{origins}", problem.message)
        };
        Err(ConfigError { problems: problems.into_iter().map(line).collect() })
    }
}

/// The default of a key, as TOML.
pub(super) fn default_of(key: &Key) -> Option<Value> {
    let Unset::Default(text) = key.unset else { return None };
    toml::from_str::<toml::Table>(&format!("value = {text}")).ok()?.remove("value")
}

#[derive(Default)]
struct Layers {
    values: BTreeMap<String, Setting>,
    on: BTreeMap<&'static str, Origin>,
    problems: Vec<String>,
}

impl Layers {
    fn take_file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let file = file::read(path).map_err(ConfigError::new)?;
        let origin = |line| Origin::File { path: path.display().to_string(), line };
        for (name, line) in file.tables {
            self.turn_on(&name, &origin(line));
        }
        for (name, line, value) in file.values {
            self.put(&name, origin(line), &value, |kind| kind.read(&value));
        }
        self.problems.extend(file.problems.into_iter().map(|(line, what)| format!("{}: {what}", origin(line))));
        Ok(())
    }

    fn take_environment(&mut self, env: impl IntoIterator<Item = (OsString, OsString)>) {
        // Sorted, so that errors come in the same order each time.
        let named = env.into_iter().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        let settings: BTreeMap<String, OsString> =
            named.filter(|(name, _)| setting_of_variable(name).is_some()).collect();
        for (variable, value) in settings {
            let Some(name) = setting_of_variable(&variable) else { continue };
            match value.into_string() {
                Ok(text) => self.put_text(&name, Origin::Environment(variable), &text),
                Err(_) => self.problems.push(format!("{variable}: {name}: no text in UTF-8")),
            }
        }
    }

    fn take_sets(&mut self, sets: &[String]) {
        for set in sets {
            match set.split_once('=') {
                Some((name, text)) => self.put_text(name.trim(), Origin::Set, text),
                None => self.problems.push(format!("--set {set}: write key=value, as in --set time.slide=5s")),
            }
        }
    }

    fn put_text(&mut self, name: &str, origin: Origin, text: &str) {
        self.put(name, origin, &Value::from(text), |kind| kind.read_text(text));
    }

    fn put(&mut self, name: &str, origin: Origin, given: &Value, read: impl FnOnce(Kind) -> Result<Value, String>) {
        let (key, name) = match keys::find(name) {
            Some(Found::Key(key)) if key.kind == Kind::Options => {
                let what = format!("{name} is a table: set one of its options, as in {name}.security.protocol");
                return self.problems.push(format!("{origin}: {what}"));
            }
            Some(Found::Key(key)) => (key, name.to_owned()),
            Some(Found::Option(key, option)) => (key, format!("{}.{option}", key.name)),
            Some(Found::Table(table)) => {
                let first = KEYS.iter().find(|key| key.split().0 == table.name).map_or(table.name, |key| key.name);
                return self
                    .problems
                    .push(format!("{origin}: {name} is a table: set one of its keys, such as {first}"));
            }
            None => return self.problems.push(format!("{origin}: {}", keys::unknown(name))),
        };
        match read(key.kind) {
            Ok(value) => {
                self.turn_on(key.split().0, &origin);
                self.values.insert(name, Setting { value, origin });
            }
            Err(what) => self.problems.push(format!("{origin}: {name} = {}: {what}", secrets::shown(&name, given))),
        }
    }

    fn turn_on(&mut self, name: &str, origin: &Origin) {
        for table in TABLES.iter().filter(|table| name == table.name || name.starts_with(&format!("{}.", table.name))) {
            self.on.entry(table.name).or_insert_with(|| origin.clone());
        }
    }

    /// `sasl.password_file = "/run/secrets/kafka"` stands for `sasl.password` with what the file holds. No option of
    /// librdkafka ends so.
    fn read_option_files(&mut self) {
        let named: Vec<(String, Setting)> = self
            .values
            .iter()
            .filter(|(name, _)| matches!(keys::find(name), Some(Found::Option(..))))
            .filter_map(|(name, setting)| Some((name.strip_suffix("_file")?.to_owned(), setting.clone())))
            .collect();
        for (name, Setting { value, origin }) in named {
            let path = value.as_str().unwrap_or_default();
            self.values.remove(&format!("{name}_file"));
            if self.values.contains_key(&name) {
                self.problems.push(format!("{origin}: {name}_file and {name} are both set: leave one out"));
                continue;
            }
            match std::fs::read_to_string(path) {
                Ok(text) => {
                    let value = Value::from(text.trim_end_matches(['\r', '\n']));
                    self.values.insert(name, Setting { value, origin });
                }
                Err(error) => {
                    self.problems.push(format!("{origin}: {name}_file = \"{path}\": cannot be read: {error}"));
                }
            }
        }
    }

    /// Defaults that follow from other keys: the student project's model forecasts one step ahead.
    fn imply(&mut self) {
        let is_seed = self.values.get("model.preset").is_some_and(|preset| preset.value.as_str() == Some("seed"));
        if !is_seed || self.values.contains_key("model.horizons") {
            return;
        }
        let set = self.values.get("model.step").map(|step| step.value.clone());
        let step = set.or_else(|| KEYS.iter().find(|key| key.name == "model.step").and_then(default_of));
        let setting = step.map(|step| Setting { value: Value::Array(vec![step]), origin: Origin::Default });
        self.values.extend(setting.map(|setting| ("model.horizons".to_owned(), setting)));
    }

    fn finish(mut self) -> Result<Settings, ConfigError> {
        if !self.problems.is_empty() {
            return Err(ConfigError { problems: self.problems });
        }
        self.imply();
        for table in TABLES.iter().filter(|table| table.always) {
            self.on.entry(table.name).or_insert(Origin::Default);
        }
        let mut root = toml::Table::new();
        for table in self.on.keys() {
            table_at(&mut root, table);
        }
        for (name, setting) in &self.values {
            let (table, last) = match keys::find(name) {
                Some(Found::Option(key, option)) => (key.name, option),
                _ => name.rsplit_once('.').unwrap_or(("", name)),
            };
            table_at(&mut root, table).insert(last.to_owned(), setting.value.clone());
        }
        let mut config = Config::deserialize(root).map_err(|error| ConfigError::new(error.message()))?;
        config.source.settle();
        Ok(Settings { config, values: self.values, on: self.on })
    }
}

/// The table of a dotted name, made where it is missing.
fn table_at<'a>(root: &'a mut toml::Table, name: &str) -> &'a mut toml::Table {
    let mut table = root;
    for part in name.split('.') {
        let inner = table.entry(part).or_insert_with(|| Value::Table(toml::Table::new()));
        match inner {
            Value::Table(inner) => table = inner,
            // No key has the name of a table: a test of the table of keys says so.
            _ => unreachable!("{name} is a table"),
        }
    }
    table
}

/// The dotted name that an environment variable sets: `TICKCAST_SOURCE__KAFKA__BROKERS` is `source.kafka.brokers`.
/// Below `OPTIONS__`, one `_` is a dot and two are one `_`: `…__OPTIONS__SSL_CA_LOCATION` is `ssl.ca.location`.
fn setting_of_variable(variable: &str) -> Option<String> {
    let name = variable.strip_prefix(ENV_PREFIX)?;
    if !name.contains("__") {
        return None;
    }
    let name = name.to_lowercase();
    if let Some((table, option)) = name.split_once("__options__") {
        let option = option.replace("__", "\0").replace('_', ".").replace('\0', "_");
        return Some(format!("{}.options.{option}", table.replace("__", ".")));
    }
    Some(name.replace("__", "."))
}

#[cfg(test)]
mod tests;
