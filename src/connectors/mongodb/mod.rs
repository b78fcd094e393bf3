//! MongoDB: guarded upserts in bulk, and history read back ([`source`]).
//!
//! The database has no part in Kafka's transactions. Exactly once comes from ids that are the same in every replay, and
//! from a guard: each start of a job takes the next *generation* (collection [`JOBS`]), every document carries the one
//! that wrote it, and an upsert matches only documents of its own generation or an older one. A late write of an
//! instance that was replaced runs into the document's `_id` instead of overwriting it.

mod connect;
mod documents;
pub(in crate::connectors) mod outputs;
pub mod published;
mod read;
mod session;
pub mod source;
mod upserts;
mod uri;
mod whole;

pub use read::MongoReader;

use self::upserts::{Target, Upsert, Writer};
use crate::config::MongoSinkConfig;
use crate::delivery::{Batch, Ending, Sink, SinkError, Stop, Wants};
use crate::market::{FeatureRow, Span, StoredTick};
use crate::recovery::point;
use mongodb::bson::oid::ObjectId;
use std::time::Duration;

/// The collection that holds each job's generation.
pub const JOBS: &str = "tickcast_jobs";
/// The most records of a batch: a database takes one to a few thousand upserts a second, and Kafka waits behind it.
pub const RECORDS_MAX: usize = 1000;

/// Writes forecasts, scores and, where named, ticks and feature rows.
pub struct MongoSink {
    writer: Writer,
    collections: Collections,
    job: String,
    database_id: ObjectId,
    database: String,
    windows: Vec<Span>,
}

/// The names of the collections that are written.
#[derive(Clone, Debug)]
struct Collections {
    forecasts: String,
    scores: String,
    ticks: Option<String>,
    features: Option<String>,
}

impl Collections {
    fn of(config: &MongoSinkConfig) -> Result<Self, SinkError> {
        let MongoSinkConfig { uri: _, uri_file: _, database, forecasts, scores, ticks, features, ttl: _ } = config;
        let named = [("database", Some(database)), ("forecasts", Some(forecasts)), ("scores", Some(scores))]
            .into_iter()
            .chain([("ticks", ticks.as_ref()), ("features", features.as_ref())]);
        let mut seen = std::collections::BTreeMap::new();
        for (key, name) in named.filter_map(|(key, name)| Some((key, name?))) {
            if name.is_empty() || name.contains(['$', '\0']) {
                let message = format!("sink.mongodb.{key} = {name:?} is no name: it must not be empty or hold `$`");
                return Err(SinkError::Fatal(message));
            }
            if key != "database"
                && let Some(other) = seen.insert(name, key)
            {
                let message =
                    format!("sink.mongodb.{key} and sink.mongodb.{other} are both {name:?}: name two collections");
                return Err(SinkError::Fatal(message));
            }
        }
        let (forecasts, scores) = (forecasts.clone(), scores.clone());
        Ok(Self { forecasts, scores, ticks: ticks.clone(), features: features.clone() })
    }
}

/// What a database is like.
#[derive(Clone, Debug, Default)]
pub struct DatabaseFacts {
    /// The server's.
    pub version: String,
    /// Its clock, in epoch ms, as far as it says so.
    pub local_ms: Option<i64>,
    /// The collections of forecasts and scores, and whether they have their index.
    pub indexes: Vec<(String, bool)>,
    /// Whether the server takes writes.
    pub writable: bool,
}

impl MongoSink {
    /// How long a start that has begun to take a job over waits for a database that goes away meanwhile.
    pub const TAKEOVER_WAIT: Duration = Duration::from_secs(60);

    /// Finds out whether the database answers, and changes nothing.
    ///
    /// # Errors
    /// As [`MongoSink::open`].
    pub fn check(config: &MongoSinkConfig, stop: &Stop) -> Result<(), SinkError> {
        Collections::of(config)?;
        connect::check(config, stop)
    }

    /// What the database is like, for a person; nothing is changed.
    ///
    /// # Errors
    /// As [`MongoSink::open`].
    pub fn examine(config: &MongoSinkConfig, stop: &Stop) -> Result<DatabaseFacts, SinkError> {
        let Collections { forecasts, scores, .. } = Collections::of(config)?;
        connect::examine(config, &[forecasts, scores], stop)
    }

    /// Connects, creates what indexes are missing, and takes the job's next generation: from here on, writes of earlier
    /// instances of the job are refused. `windows` are the configured ones, in the order of each row's values. A database that
    /// is away is waited for, for `wait` ([`MongoSink::TAKEOVER_WAIT`] where it has answered before).
    ///
    /// # Errors
    /// Within 15 s beyond `wait`, when the connection string is none, nobody answers, or the server refuses;
    /// [`SinkError::Stopped`] when `stop` came first. No message holds the password.
    pub fn open(
        config: &MongoSinkConfig,
        job: &str,
        windows: &[Span],
        wait: Duration,
        stop: &Stop,
    ) -> Result<Self, SinkError> {
        let collections = Collections::of(config)?;
        let opened = connect::open(config, &collections, job, wait, stop)?;
        let (host, generation) = (&opened.session.host, opened.generation);
        tracing::info!(%host, database = config.database, generation, "MongoDB is ready");
        Ok(Self {
            database_id: opened.database_id,
            writer: Writer::new(opened, job),
            collections,
            job: job.to_owned(),
            database: config.database.clone(),
            windows: windows.to_vec(),
        })
    }

    /// Which start of the job this is, from 1.
    #[must_use]
    pub fn generation(&self) -> i64 {
        self.writer.generation()
    }

    /// What is written where, for the progress record: the same as long as the same database (told apart by an id that
    /// it was given at the job's first start there) holds the same collections. Holds no credentials.
    #[must_use]
    pub fn covers(&self) -> String {
        let Collections { forecasts, scores, ticks, features } = &self.collections;
        let names = [("forecasts", Some(forecasts)), ("scores", Some(scores))];
        let names = names.into_iter().chain([("ticks", ticks.as_ref()), ("features", features.as_ref())]);
        let names: Vec<String> = names.filter_map(|(kind, name)| name.map(|name| format!("{kind}={name}"))).collect();
        format!("mongodb:{}/{}?{}", self.database_id.to_hex(), self.database, names.join("&"))
    }
}

impl Sink for MongoSink {
    fn name(&self) -> &'static str {
        "mongodb"
    }

    fn wants(&self) -> Wants {
        Wants { rows: self.collections.features.is_some(), bars: false, ticks: self.collections.ticks.is_some() }
    }

    fn records_max(&self) -> usize {
        RECORDS_MAX
    }

    fn write(&mut self, batch: &Batch, stop: &Stop) -> Result<(), SinkError> {
        let Self { writer, collections, job, windows, .. } = self;
        let guarded = |collection| Target { collection, guarded: true };
        if let Some(ticks) = &collections.ticks {
            let upserts = batch.ticks.iter().map(|tick| Upsert { id: tick_id(tick), fields: documents::tick(tick) });
            writer.write(Target { collection: ticks, guarded: false }, upserts, stop)?;
        }
        if let Some(features) = &collections.features {
            let upsert = |row| Upsert { id: row_id(job, row), fields: documents::row(row, windows) };
            writer.write(guarded(features), batch.rows.iter().map(upsert), stop)?;
        }
        let forecasts = batch.forecasts.iter().map(|f| Upsert { id: f.id(), fields: documents::forecast(f) });
        writer.write(guarded(&collections.forecasts), forecasts, stop)?;
        point::reach("mongodb.half");
        let scores = batch.scores.iter().map(|s| Upsert { id: s.id(), fields: documents::score(s) });
        writer.write(guarded(&collections.scores), scores, stop)?;
        point::reach("mongodb.written");
        Ok(())
    }

    fn finish(&mut self, _: Ending) -> Result<(), SinkError> {
        self.writer.close();
        Ok(())
    }
}

/// `topic/partition/offset`; of the second and later trades of one record, with their place behind it.
fn tick_id(tick: &StoredTick) -> String {
    let StoredTick { topic, partition, offset, index, .. } = tick;
    let id = format!("{topic}/{}/{offset}", partition.number());
    if *index == 0 { id } else { format!("{id}/{index}") }
}

/// `job/symbol/end in epoch ms`.
fn row_id(job: &str, row: &FeatureRow) -> String {
    format!("{job}/{}/{}", row.symbol, row.end.millis())
}
