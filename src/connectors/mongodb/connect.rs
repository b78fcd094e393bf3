//! Opening the database: connection string, session, indexes, and the job's next generation.

use super::session::{Background, Session, Trouble, run};
use super::uri::Uri;
use super::{Collections, DatabaseFacts, JOBS};
use crate::config::MongoSinkConfig;
use crate::delivery::{SinkError, Stop};
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Document, doc};
use mongodb::error::Error;
use mongodb::options::{Acknowledgment, ClientOptions, IndexOptions, ReturnDocument, WriteConcern};
use mongodb::{Client, Collection, IndexModel};
use std::time::{Duration, Instant};

/// Opening ends within this, well or not.
const OPEN_TIME_MAX: Duration = Duration::from_secs(12);
/// Between attempts to open a database that is away.
const OPEN_PAUSE: Duration = Duration::from_millis(500);
/// How long to look for a server that takes writes.
const SELECTION_TIME_MAX: Duration = Duration::from_secs(5);
/// The index that removes old documents.
const TTL_INDEX: &str = "tickcast_ttl";

/// A job's place in the database.
pub(super) struct Opened {
    pub(super) session: Session,
    pub(super) generation: i64,
    pub(super) database_id: ObjectId,
}

/// Connects, makes the indexes, takes the next generation. Tries again for `wait` where the database is away.
pub(super) fn open(
    config: &MongoSinkConfig,
    collections: &Collections,
    job: &str,
    wait: Duration,
    stop: &Stop,
) -> Result<Opened, SinkError> {
    let begin = Instant::now();
    loop {
        let (error, is_transient) = match attempt(config, collections, job, stop) {
            Ok(opened) => return Ok(opened),
            Err(failed) => failed,
        };
        if !is_transient || begin.elapsed() >= wait {
            return Err(error);
        }
        tracing::warn!("{error}: trying again");
        if !stop.sleep(OPEN_PAUSE) {
            return Err(SinkError::Stopped);
        }
    }
}

/// One attempt; where it fails, whether another one may help.
fn attempt(
    config: &MongoSinkConfig,
    collections: &Collections,
    job: &str,
    stop: &Stop,
) -> Result<Opened, (SinkError, bool)> {
    let uri = Uri::of_sink(config).map_err(|error| (error, false))?;
    let connected = try_connect(uri, &config.database, stop)?;
    let session = &connected.session;
    let prepare = async {
        make_indexes(session, config, collections).await?;
        take_generation(session, job).await
    };
    match session.run(prepare, connected.left(), stop) {
        Ok((generation, database_id)) => Ok(Opened { session: connected.session, generation, database_id }),
        Err(trouble) => Err((connected.explain(&trouble), trouble.is_transient())),
    }
}

/// Connects, and gets an answer.
pub(super) fn check(config: &MongoSinkConfig, stop: &Stop) -> Result<(), SinkError> {
    let connected = connect(Uri::of_sink(config)?, &config.database, stop)?;
    let session = &connected.session;
    let ping = async { session.database.run_command(doc! { "ping": 1 }).await };
    let answered = session.run(ping, connected.left(), stop);
    answered.map_err(|trouble| connected.explain(&trouble))?;
    session.close();
    Ok(())
}

/// Connects, and asks what a person wants to know.
pub(super) fn examine(
    config: &MongoSinkConfig,
    collections: &[String],
    stop: &Stop,
) -> Result<DatabaseFacts, SinkError> {
    let connected = connect(Uri::of_sink(config)?, &config.database, stop)?;
    let session = &connected.session;
    let ask = async {
        let hello = session.database.run_command(doc! { "hello": 1 }).await?;
        let build = session.database.run_command(doc! { "buildInfo": 1 }).await?;
        let mut indexes = Vec::new();
        for name in collections {
            let has_index = has_index(&session.database.collection::<Document>(name)).await;
            indexes.push((name.clone(), has_index));
        }
        Ok(DatabaseFacts {
            version: build.get_str("version").unwrap_or("of an unknown version").to_owned(),
            local_ms: hello.get_datetime("localTime").ok().map(|at| at.timestamp_millis()),
            indexes,
            writable: hello.get_bool("isWritablePrimary").unwrap_or(true),
        })
    };
    let facts = session.run(ask, connected.left(), stop).map_err(|trouble| connected.explain(&trouble))?;
    session.close();
    Ok(facts)
}

/// Whether a collection has the index on symbol and target; one that is not there yet has none.
async fn has_index(collection: &Collection<Document>) -> bool {
    let Ok(mut indexes) = collection.list_indexes().await else { return false };
    while indexes.advance().await.unwrap_or(false) {
        let keys = indexes.deserialize_current().map(|index| index.keys).unwrap_or_default();
        if keys.keys().map(String::as_str).eq(["symbol", "target_at"]) {
            return true;
        }
    }
    false
}

/// A session whose opening still has some time.
pub(super) struct Connected {
    pub(super) session: Session,
    uri: Uri,
    user: Option<String>,
    end: Instant,
}

impl Connected {
    /// What is left of the time for opening.
    pub(super) fn left(&self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    /// A trouble for people, without the password.
    pub(super) fn explain(&self, trouble: &Trouble) -> SinkError {
        self.uri.explain(trouble, &self.session.host, self.user.as_deref())
    }
}

/// A session with the server of a connection string; whether anybody answers shows at the first call.
pub(super) fn connect(uri: Uri, database: &str, stop: &Stop) -> Result<Connected, SinkError> {
    try_connect(uri, database, stop).map_err(|(error, _)| error)
}

/// The same; with an error, whether trying again may help.
fn try_connect(uri: Uri, database: &str, stop: &Stop) -> Result<Connected, (SinkError, bool)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| (SinkError::Fatal(format!("cannot start the MongoDB client: {error}")), false))?;
    let runtime = Background::new(runtime);
    let end = Instant::now() + OPEN_TIME_MAX;
    let left = || end.saturating_duration_since(Instant::now());
    let options = run(&runtime, async { ClientOptions::parse(&uri.text).await }, left(), stop);
    let mut options = options.map_err(|trouble| (uri.unreadable(&trouble), trouble.is_transient()))?;
    options.server_selection_timeout = at_most(options.server_selection_timeout, SELECTION_TIME_MAX);
    options.connect_timeout = at_most(options.connect_timeout, SELECTION_TIME_MAX);
    options.app_name.get_or_insert_with(|| "tickcast".to_owned());
    let host = options.hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let user = options.credential.as_ref().and_then(|credential| credential.username.clone());
    let client = {
        let _inside = runtime.enter();
        let explain = |error| (uri.explain(&Trouble::Driver(Box::new(error)), &host, user.as_deref()), false);
        Client::with_options(options).map_err(explain)?
    };
    let database = client.database(database);
    Ok(Connected { session: Session { runtime, client, database, host }, uri, user, end })
}

fn at_most(given: Option<Duration>, limit: Duration) -> Option<Duration> {
    Some(given.unwrap_or(limit).min(limit))
}

async fn make_indexes(session: &Session, config: &MongoSinkConfig, names: &Collections) -> Result<(), Error> {
    let pair = |time: &str| IndexModel::builder().keys(doc! { "symbol": 1, time: 1 }).build();
    for name in [&names.forecasts, &names.scores] {
        let collection = session.database.collection::<Document>(name);
        collection.create_index(pair("target_at")).await?;
        keep_for(&collection, config.ttl.map(|ttl| ttl.to_std().max(Duration::from_secs(1)))).await?;
    }
    if let Some(name) = &names.ticks {
        let collection = session.database.collection::<Document>(name);
        collection.create_index(pair("timestamp")).await?;
        // In this order history is read back.
        collection.create_index(IndexModel::builder().keys(source_index()).build()).await?;
    }
    if let Some(name) = &names.features {
        session.database.collection::<Document>(name).create_index(pair("end")).await?;
    }
    Ok(())
}

/// What an index of ticks needs to begin with to be read back without sorting.
pub(super) fn source_index() -> Document {
    doc! { "topic": 1, "partition": 1, "offset": 1 }
}

/// Makes, replaces or removes the index that removes documents `ttl` after their target.
async fn keep_for(collection: &Collection<Document>, ttl: Option<Duration>) -> Result<(), Error> {
    // The server counts whole seconds.
    let ttl = ttl.map(|ttl| Duration::from_secs(ttl.as_secs()));
    let mut present = None;
    let mut indexes = collection.list_indexes().await?;
    while indexes.advance().await? {
        let options = indexes.deserialize_current()?.options.unwrap_or_default();
        if options.name.as_deref() == Some(TTL_INDEX) {
            present = Some(options.expire_after);
        }
    }
    if present.is_some() && present != Some(ttl) {
        collection.drop_index(TTL_INDEX).await?;
    }
    if let Some(ttl) = ttl.filter(|_| present != Some(ttl)) {
        let options = IndexOptions::builder().name(TTL_INDEX.to_owned()).expire_after(ttl).build();
        collection.create_index(IndexModel::builder().keys(doc! { "target_at": 1 }).options(options).build()).await?;
    }
    Ok(())
}

/// On most members, and on their disks.
fn durable() -> WriteConcern {
    WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build()
}

/// Counts the job's starts, and gives the database an id at the first.
async fn take_generation(session: &Session, job: &str) -> Result<(i64, ObjectId), Error> {
    let jobs = session.database.collection::<Document>(JOBS);
    let change = doc! { "$inc": { "generation": 1_i64 }, "$setOnInsert": { "database": ObjectId::new() } };
    let taken = jobs
        .find_one_and_update(doc! { "_id": job }, change)
        .upsert(true)
        .return_document(ReturnDocument::After)
        .write_concern(durable())
        .await?;
    let read = |taken: &Document| Some((taken.get_i64("generation").ok()?, taken.get_object_id("database").ok()?));
    taken.as_ref().and_then(read).ok_or_else(|| {
        Error::custom(format!(
            "document `{job}` of collection {JOBS} is not tickcast's: remove it, or name another job.id"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open_uri(uri: &str) -> String {
        let config = MongoSinkConfig { uri: uri.to_owned(), ..MongoSinkConfig::default() };
        let collections = Collections::of(&config).unwrap();
        open(&config, &collections, "btc", Duration::ZERO, &Stop::default()).err().unwrap().to_string()
    }

    #[test]
    fn messages_name_the_host_and_never_the_password() {
        // A port that nobody listens on: taken from the system, and given back.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let start = Instant::now();
        let error = open_uri(&format!("mongodb://joe:s3cr%40t@127.0.0.1:{port}/?directConnection=true"));
        assert!(start.elapsed() < Duration::from_secs(15));
        assert!(error.starts_with(&format!("no MongoDB answers at 127.0.0.1:{port} (")), "{error}");
        assert!(error.contains("refused") && !error.contains("s3cr"), "{error}");
        // Somebody who takes connections and never says a word.
        let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let host = mute.local_addr().unwrap();
        let error = open_uri(&format!("mongodb://{host}/?directConnection=true&serverSelectionTimeoutMS=300"));
        assert!(error.starts_with(&format!("no MongoDB answers at {host} (")), "{error}");
        for uri in
            ["mongodb://joe:s3c@r3t@localhost", "mongodb://joe:s3c/r3t@localhost", "mongodb://joe:s3c?r3t@localhost"]
        {
            let error = open_uri(uri);
            assert!(error.contains("is no MongoDB connection string") && error.contains("%40 for @"), "{error}");
            assert!(!error.contains("s3c") && !error.contains("r3t"), "{error}");
        }
        assert!(open_uri("localhost:27017").contains("sink.mongodb.uri is no MongoDB connection string"));
    }

    #[test]
    fn names_are_checked() {
        for (scores, word) in [("", "no name"), ("predictions", "name two collections")] {
            let config = MongoSinkConfig { scores: scores.to_owned(), ..MongoSinkConfig::default() };
            let error = Collections::of(&config).err().unwrap().to_string();
            assert!(error.contains("sink.mongodb.scores") && error.contains(word), "{error}");
        }
    }
}
