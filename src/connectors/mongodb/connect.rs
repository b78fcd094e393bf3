//! Opening the database: connection string, session, indexes, and the job's next generation.

use super::session::{Session, Trouble, run};
use super::{Collections, DatabaseFacts, JOBS};
use crate::config::{MongoSinkConfig, MongoSourceConfig};
use crate::delivery::{SinkError, Stop};
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Document, doc};
use mongodb::error::{Error, ErrorKind};
use mongodb::options::{ClientOptions, IndexOptions, ReturnDocument, WriteConcern};
use mongodb::{Client, Collection, IndexModel};
use std::path::Path;
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
        let connected = connect(Uri::of_sink(config)?, &config.database, stop)?;
        let session = &connected.session;
        let prepare = async {
            make_indexes(session, config, collections).await?;
            take_generation(session, job).await
        };
        let trouble = match session.run(prepare, connected.left(), stop) {
            Ok((generation, database_id)) => {
                return Ok(Opened { session: connected.session, generation, database_id });
            }
            Err(trouble) => trouble,
        };
        let error = connected.explain(&trouble);
        if !trouble.is_transient() || begin.elapsed() >= wait {
            return Err(error);
        }
        tracing::warn!("{error}: trying again");
        if !stop.sleep(OPEN_PAUSE) {
            return Err(SinkError::Stopped);
        }
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
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| SinkError::Fatal(format!("cannot start the MongoDB client: {error}")))?;
    let end = Instant::now() + OPEN_TIME_MAX;
    let left = || end.saturating_duration_since(Instant::now());
    let options = run(&runtime, async { ClientOptions::parse(&uri.text).await }, left(), stop);
    let mut options = options.map_err(|trouble| uri.unreadable(&trouble))?;
    options.server_selection_timeout = at_most(options.server_selection_timeout, SELECTION_TIME_MAX);
    options.connect_timeout = at_most(options.connect_timeout, SELECTION_TIME_MAX);
    options.app_name.get_or_insert_with(|| "tickcast".to_owned());
    let host = options.hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let user = options.credential.as_ref().and_then(|credential| credential.username.clone());
    let client = {
        let _inside = runtime.enter();
        let explain = |error| uri.explain(&Trouble::Driver(Box::new(error)), &host, user.as_deref());
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

/// Counts the job's starts, and gives the database an id at the first.
async fn take_generation(session: &Session, job: &str) -> Result<(i64, ObjectId), Error> {
    let jobs = session.database.collection::<Document>(JOBS);
    let change = doc! { "$inc": { "generation": 1_i64 }, "$setOnInsert": { "database": ObjectId::new() } };
    let taken = jobs
        .find_one_and_update(doc! { "_id": job }, change)
        .upsert(true)
        .return_document(ReturnDocument::After)
        .write_concern(WriteConcern::majority())
        .await?;
    let read = |taken: &Document| Some((taken.get_i64("generation").ok()?, taken.get_object_id("database").ok()?));
    taken.as_ref().and_then(read).ok_or_else(|| {
        Error::custom(format!(
            "document `{job}` of collection {JOBS} is not tickcast's: remove it, or name another job.id"
        ))
    })
}

/// A connection string, and what of it must never show.
pub(super) struct Uri {
    text: String,
    /// Where it comes from: the name of the setting.
    key: String,
    /// What its user may have to do.
    rights: &'static str,
    password: Option<String>,
}

impl Uri {
    pub(super) fn of_sink(config: &MongoSinkConfig) -> Result<Self, SinkError> {
        Self::of("sink.mongodb", &config.uri, config.uri_file.as_deref(), "read and write")
    }

    pub(super) fn of_source(config: &MongoSourceConfig) -> Result<Self, SinkError> {
        Self::of("source.mongodb", &config.uri, config.uri_file.as_deref(), "read")
    }

    /// One that was given as an argument.
    pub(super) fn of_text(uri: &str) -> Result<Self, SinkError> {
        Self::of("the address", uri, None, "read")
    }

    fn of(table: &str, uri: &str, uri_file: Option<&Path>, rights: &'static str) -> Result<Self, SinkError> {
        let (key, text) = match uri_file {
            None if table.starts_with("the ") => (table.to_owned(), uri.to_owned()),
            None => (format!("{table}.uri"), uri.to_owned()),
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|error| {
                    SinkError::Fatal(format!("cannot read {table}.uri_file {}: {error}", path.display()))
                })?;
                (format!("the connection string in {table}.uri_file"), text.trim().to_owned())
            }
        };
        let rest = text.split_once("://").map_or(&*text, |(_, rest)| rest);
        let before_options = rest.split_once('?').map_or(rest, |(before, _)| before);
        if !before_options.contains('@') && rest.contains('@') {
            // A `?` in the password: the driver would take a part of it for the host, and say so.
            return Err(SinkError::Fatal(format!("{key} is no MongoDB connection string: {ESCAPE}")));
        }
        let user_info = before_options.rsplit_once('@').map(|(user_info, _)| user_info);
        let password = user_info.and_then(|info| info.split_once(':')).map(|(_, password)| password.to_owned());
        Ok(Self { password: password.filter(|password| !password.is_empty()), text, key, rights })
    }

    /// The driver's words, without the password.
    fn redact(&self, text: &str) -> String {
        self.password.as_ref().map_or_else(|| text.to_owned(), |password| text.replace(password.as_str(), "***"))
    }

    fn unreadable(&self, trouble: &Trouble) -> SinkError {
        match trouble {
            Trouble::Stopped => SinkError::Stopped,
            Trouble::Driver(error) if matches!(*error.kind, ErrorKind::InvalidArgument { .. }) => {
                let help = if self.password.is_some() { format!(" ({ESCAPE})") } else { String::new() };
                let text = self.redact(&trouble.to_string());
                SinkError::Fatal(format!("{} is no MongoDB connection string: {text}{help}", self.key))
            }
            _ => SinkError::Fatal(format!(
                "cannot find the servers of {}: {}: check its host",
                self.key,
                self.redact(&trouble.to_string())
            )),
        }
    }

    fn explain(&self, trouble: &Trouble, host: &str, user: Option<&str>) -> SinkError {
        let reason = self.redact(&trouble.to_string());
        let away = || format!("no MongoDB answers at {host} ({reason}): start it, or correct {}", self.key);
        let error = match trouble {
            Trouble::Stopped => return SinkError::Stopped,
            Trouble::TimedOut(_) => return SinkError::Fatal(away()),
            Trouble::Driver(error) => error,
        };
        SinkError::Fatal(match &*error.kind {
            ErrorKind::ServerSelection { .. } | ErrorKind::Io(_) | ErrorKind::ConnectionPoolCleared { .. } => away(),
            ErrorKind::Authentication { .. } => {
                let user = user.unwrap_or_default();
                format!(
                    "MongoDB at {host} refuses user `{user}` ({reason}): check user, password and authSource in {}",
                    self.key
                )
            }
            // Unauthorized, AuthenticationFailed.
            ErrorKind::Command(command) if [13, 18].contains(&command.code) => {
                format!(
                    "MongoDB at {host} refuses ({reason}): {} needs a user who may {} the database",
                    self.key, self.rights
                )
            }
            _ => format!("MongoDB at {host}: {reason}"),
        })
    }
}

const ESCAPE: &str = "write special characters of user and password as %40 for @, %3A for :, %2F for /, %3F for ?";

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
    fn the_file_with_the_connection_string_wins() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("uri");
        let config = MongoSinkConfig { uri_file: Some(path.clone()), ..MongoSinkConfig::default() };
        let error = Uri::of_sink(&config).err().unwrap().to_string();
        assert!(error.contains(&path.display().to_string()), "{error}");
        std::fs::write(&path, "mongodb://joe:s3cret@db:1\n").unwrap();
        let uri = Uri::of_sink(&config).unwrap();
        assert_eq!((uri.text.as_str(), uri.password.as_deref()), ("mongodb://joe:s3cret@db:1", Some("s3cret")));
    }

    #[test]
    fn what_driver_and_server_say_is_cleared_of_the_password() {
        let config = MongoSinkConfig { uri: "mongodb://joe:s3cret@db:1".to_owned(), ..MongoSinkConfig::default() };
        let uri = Uri::of_sink(&config).unwrap();
        let trouble = Trouble::Driver(Box::new(Error::custom("s3cret is wrong".to_owned())));
        for error in [uri.explain(&trouble, "db:1", Some("joe")), uri.unreadable(&trouble)] {
            assert!(!error.to_string().contains("s3cret") && error.to_string().contains("*** is wrong"), "{error}");
        }
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
