//! What runs have published, wherever it lies, for comparing: files, topics, collections.

pub mod sinks;

use super::input::InputError;
use super::{files, kafka, mongodb};
use crate::config::Config;
use crate::delivery::Stop;
use crate::market::Timestamp;
use crate::recovery::compare::{Content, Kind};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// The files of a directory that a run wrote, and what they hold.
const FILES: [(&str, Kind); 3] =
    [("features.jsonl", Kind::Features), ("forecasts.jsonl", Kind::Forecasts), ("scores.jsonl", Kind::Scores)];

/// Takes records, one by one.
pub type Visit<'a> = &'a mut dyn FnMut(Content);

/// Where a run's results lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Files of JSON lines.
    Files {
        /// Their paths.
        paths: Vec<PathBuf>,
        /// What they hold, where their names say it.
        kinds: BTreeSet<Kind>,
    },
    /// Topics.
    Topics {
        /// Bootstrap addresses.
        brokers: String,
        /// Their names.
        topics: Vec<String>,
    },
    /// Collections.
    Database {
        /// The connection string.
        uri: String,
        /// The database.
        database: String,
        /// Their names.
        collections: Vec<String>,
    },
}

impl Output {
    /// Finds out what `text` names: a file, a directory, `kafka://BROKERS/TOPIC` with its scores beside it, or
    /// `mongodb://…/DATABASE` or `…/DATABASE.COLLECTION`. `config` says how to reach brokers.
    ///
    /// # Errors
    /// When there is no such thing.
    pub fn find(text: &str, config: &Config) -> Result<Self, InputError> {
        if let Some(rest) = text.strip_prefix("kafka://") {
            let wrong = || InputError::Failed(format!("`{text}`: write kafka://HOST:PORT/TOPIC"));
            let (brokers, topic) =
                rest.split_once('/').filter(|(b, t)| !b.is_empty() && !t.is_empty()).ok_or_else(wrong)?;
            let topics = kafka::outputs::find(brokers, options(config), topic)?;
            return Ok(Self::Topics { brokers: brokers.to_owned(), topics });
        }
        if text.starts_with("mongodb://") || text.starts_with("mongodb+srv://") {
            let (uri, database, collection) = mongodb::outputs::parts(text)?;
            let sink = config.sink.mongodb.clone().unwrap_or_default();
            let collections = collection.map_or_else(|| vec![sink.forecasts, sink.scores], |one| vec![one]);
            return Ok(Self::Database { uri, database, collections });
        }
        let path = PathBuf::from(text);
        if !path.is_dir() {
            return Ok(Self::Files { paths: vec![path], kinds: BTreeSet::new() });
        }
        let found = FILES.iter().map(|(name, kind)| (path.join(name), *kind)).filter(|(path, _)| path.is_file());
        let (paths, kinds): (Vec<PathBuf>, BTreeSet<Kind>) = found.unzip();
        if paths.is_empty() {
            let names = FILES.map(|(name, _)| name).join(", ");
            return Err(InputError::Failed(format!("{text} holds none of {names}: nothing to compare")));
        }
        Ok(Self::Files { paths, kinds })
    }

    /// What it is said to hold, whether or not there is any.
    #[must_use]
    pub fn kinds(&self) -> BTreeSet<Kind> {
        match self {
            Self::Files { kinds, .. } => kinds.clone(),
            Self::Topics { topics, .. } if topics.len() == 1 => BTreeSet::new(),
            Self::Database { collections, .. } if collections.len() == 1 => BTreeSet::new(),
            Self::Topics { .. } | Self::Database { .. } => [Kind::Forecasts, Kind::Scores].into(),
        }
    }

    /// Whether it keeps the bytes of records, and not only their values.
    #[must_use]
    pub const fn has_bytes(&self) -> bool {
        !matches!(self, Self::Database { .. })
    }

    /// Hands on all records that are published, in any order.
    ///
    /// # Errors
    /// When they cannot be read to their end.
    pub fn visit(&self, config: &Config, visit: Visit<'_>) -> Result<(), InputError> {
        self.visit_since(config, None, &Stop::default(), visit)
    }

    /// The same of what was written since a moment, where the place knows when that was; else of all.
    ///
    /// # Errors
    /// When they cannot be read to their end, or it was stopped.
    pub fn visit_since(
        &self,
        config: &Config,
        since: Option<Timestamp>,
        stop: &Stop,
        visit: Visit<'_>,
    ) -> Result<(), InputError> {
        match self {
            Self::Files { paths, .. } => paths.iter().try_for_each(|path| files::outputs::visit(path, stop, visit)),
            Self::Topics { brokers, topics } => {
                kafka::outputs::visit(brokers, options(config), topics, since, stop, visit)
            }
            Self::Database { uri, database, collections } => mongodb::outputs::visit(uri, database, collections, visit),
        }
    }
}

/// Somebody asked to stop.
pub(super) fn stopped() -> InputError {
    InputError::Failed("stopped before all of it was read".to_owned())
}

/// How brokers are reached: as the sink's are, or the source's.
fn options(config: &Config) -> &std::collections::BTreeMap<String, String> {
    static NONE: std::collections::BTreeMap<String, String> = std::collections::BTreeMap::new();
    let sink = config.sink.kafka.as_ref().map(|sink| &sink.options);
    sink.or_else(|| config.source.kafka.as_ref().map(|source| &source.options)).unwrap_or(&NONE)
}
