//! History from a collection: documents in the order of the records that they were, as an input.
//!
//! What is there is found out once ([`MongoSource::open`]); each worker then reads its partitions in the background, a
//! cursor each, a few batches ahead. Reading writes nothing. A cursor that dies (the network, a server that is started
//! anew, a cursor that was not used for ten minutes) is opened again behind the last document that was read.

mod json;
mod parts;
mod reader;

use super::connect::{Connected, connect, source_index};
use super::session::{Session, Trouble};
use super::uri::Uri;
use crate::config::MongoSourceConfig;
use crate::connectors::input::{Flow, Input, InputError, PartitionState, Payload, Record, Wake};
use crate::delivery::Stop;
use crate::formats::Decoder;
use crate::market::{PartitionId, Symbol, SymbolTable, Timestamp};
use mongodb::Collection;
use mongodb::bson::{Document, RawDocumentBuf};
use parts::Part;
use reader::{Batch, BatchSize, Message, Reader};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, channel, error::TryRecvError};

/// The most partitions: each has a cursor of its own.
const PARTITIONS_MAX: usize = 1024;
/// How long the server may take to find out which partitions there are: it may have to look at every document.
const SURVEY_TIME_MAX: Duration = Duration::from_secs(900);
/// Batches that are read ahead for each partition.
const BATCHES_AHEAD: usize = 2;

/// A collection, and what is in it.
#[derive(Clone, Debug)]
pub struct MongoSource {
    config: MongoSourceConfig,
    symbol: Option<Symbol>,
    parts: Vec<Part>,
}

impl MongoSource {
    /// Looks what the collection holds within `range` (`[from, to)` of event time) and what the configuration says.
    ///
    /// # Errors
    /// When the database does not answer or refuses, the collection is empty, or its documents need a symbol.
    pub fn open(
        config: &MongoSourceConfig,
        range: (Option<Timestamp>, Option<Timestamp>),
        stop: &Stop,
    ) -> Result<Self, InputError> {
        let symbol = config.symbol.as_deref().map(Symbol::new).transpose();
        let symbol = symbol.map_err(|why| InputError::Failed(format!("source.mongodb.symbol {why}")))?;
        let connected = connect_to(config, stop)?;
        let parts = survey(config, symbol.as_ref(), config.within(range), &connected, stop);
        connected.session.close();
        Ok(Self { config: config.clone(), symbol, parts: parts? })
    }

    /// The partitions that belong to `worker` of `workers`: number `p` belongs to worker `p % workers`.
    ///
    /// # Errors
    /// When the client cannot be started.
    pub fn input(&self, worker: usize, workers: usize, stop: &Stop) -> Result<MongoInput, InputError> {
        let MongoSourceConfig { database, collection, .. } = &self.config;
        let mut readers = Vec::new();
        let mut partitions = Vec::new();
        let session = connect_to(&self.config, stop)?.session;
        let size = BatchSize::of(self.parts.len());
        let documents: Collection<RawDocumentBuf> = session.database.collection(collection);
        let wake = Arc::new(OnceLock::new());
        for (number, part) in self.parts.iter().enumerate().skip(worker).step_by(workers.max(1)) {
            let id = u32::try_from(number).map_err(|_| too_many(self.parts.len()))?;
            let (sender, receiver) = channel(BATCHES_AHEAD);
            let slash = if part.name.is_empty() { "" } else { "/" };
            let topic = format!("{database}.{collection}{slash}{}", part.name).into();
            readers.push(Reader::new(documents.clone(), part.clone(), sender, size, Arc::clone(&wake)));
            let (batch, at, next, ended) = (Batch::default(), 0, 0, false);
            partitions.push(CollectionPartition { id: PartitionId(id), topic, receiver, batch, at, next, ended });
        }
        spawn(session, readers)?;
        let decoder = Decoder::documents(self.symbol.clone()).with_zone(self.config.timezone.clone());
        Ok(MongoInput { partitions, decoder, wake })
    }
}

/// Runs the readers in a thread of their own, which ends when they have ended or nobody listens any more.
fn spawn(session: Session, readers: Vec<Reader>) -> Result<(), InputError> {
    let read_all = move || {
        let tasks: Vec<_> = readers.into_iter().map(|reader| session.runtime.spawn(reader.run())).collect();
        session.runtime.block_on(async {
            for task in tasks {
                // A reader that panicked has dropped its sender: the input says that.
                let _ = task.await;
            }
        });
        session.close();
    };
    let thread = std::thread::Builder::new().name("mongodb-source".to_owned());
    let started = thread.spawn(read_all).map(drop);
    started.map_err(|error| InputError::Failed(format!("cannot start a thread that reads MongoDB: {error}")))
}

fn connect_to(config: &MongoSourceConfig, stop: &Stop) -> Result<Connected, InputError> {
    let connected = Uri::of_source(config).and_then(|uri| connect(uri, &config.database, stop));
    connected.map_err(|error| InputError::Failed(error.to_string()))
}

fn too_many(count: usize) -> InputError {
    InputError::Failed(format!(
        "the collection holds {count} partitions, at most {PARTITIONS_MAX} can be read: narrow source.mongodb.from and to"
    ))
}

/// Which partitions there are.
fn survey(
    config: &MongoSourceConfig,
    symbol: Option<&Symbol>,
    range: (Option<Timestamp>, Option<Timestamp>),
    connected: &Connected,
    stop: &Stop,
) -> Result<Vec<Part>, InputError> {
    let session = &connected.session;
    let explain = |trouble: Trouble| InputError::Failed(connected.explain(&trouble).to_string());
    let collection = session.database.collection::<Document>(&config.collection);
    // An answer at once, or none: what takes long comes after it.
    let ping = async { session.database.run_command(mongodb::bson::doc! { "ping": 1 }).await };
    session.run(ping, connected.left(), stop).map_err(explain)?;
    let groups = async {
        let mut cursor = collection.aggregate(parts::pipeline(range)).allow_disk_use(true).await?;
        let mut groups = Vec::new();
        while groups.len() <= PARTITIONS_MAX && cursor.advance().await? {
            groups.push(cursor.deserialize_current()?);
        }
        Ok(groups)
    };
    let groups = session.run(groups, SURVEY_TIME_MAX, stop).map_err(explain)?;
    let mut found = parts::numbered_parts(&groups, range);
    if !found.is_empty() {
        let is_indexed = async {
            let mut indexes = collection.list_indexes().await?;
            while indexes.advance().await? {
                let keys = indexes.deserialize_current()?.keys;
                if keys.keys().zip(source_index().keys()).filter(|(a, b)| a == b).count() == source_index().len() {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        // Only for a hint: who may not list indexes may still read.
        if let Ok(false) = session.run(is_indexed, SURVEY_TIME_MAX, stop) {
            let MongoSourceConfig { database, collection, .. } = config;
            tracing::info!(
                "{database}.{collection} is sorted by the server; an index spares it that: db.{collection}.createIndex({{topic: 1, partition: 1, offset: 1}})"
            );
        }
    }
    for part in parts::unnumbered_parts(range) {
        let first = async { collection.find_one(part.filter()).await };
        let Some(first) = session.run(first, SURVEY_TIME_MAX, stop).map_err(explain)? else { continue };
        if symbol.is_none() && !first.contains_key("symbol") {
            return Err(InputError::Failed(format!(
                "{}.{} holds documents without a symbol: set source.mongodb.symbol",
                config.database, config.collection
            )));
        }
        found.push(part);
    }
    match found.len() {
        0 => Err(InputError::Failed(format!(
            "{}.{} holds no document{}: check source.mongodb.database and collection",
            config.database,
            config.collection,
            if range == (None, None) { "" } else { " in the range" },
        ))),
        count if count > PARTITIONS_MAX => Err(too_many(count)),
        _ => Ok(found),
    }
}

/// One worker's partitions of a collection.
pub struct MongoInput {
    partitions: Vec<CollectionPartition>,
    decoder: Decoder,
    /// Whom the readers wake.
    wake: Arc<OnceLock<Wake>>,
}

/// One partition and how far it is read.
struct CollectionPartition {
    id: PartitionId,
    topic: Arc<str>,
    receiver: Receiver<Message>,
    batch: Batch,
    /// The next record of the batch.
    at: usize,
    /// The number of the next record in the partition. The offsets that documents have would not do: of several trades
    /// in one record, each is a document.
    next: u64,
    ended: bool,
}

impl CollectionPartition {
    /// Hands on what is there.
    fn read(
        &mut self,
        limit: usize,
        symbols: &mut SymbolTable,
        visit: &mut dyn FnMut(Record<'_>, &mut SymbolTable) -> Flow,
    ) -> Result<PartitionState, InputError> {
        let mut left = limit;
        while left > 0 && !self.ended {
            let Some(bytes) = self.batch.get(self.at) else {
                match self.receiver.try_recv() {
                    Ok(Message::Records(batch)) => (self.batch, self.at) = (batch, 0),
                    Ok(Message::End) => self.ended = true,
                    Ok(Message::Failed(why)) => return Err(InputError::Failed(why)),
                    // Never caught up: a partition that waits for the server holds the others' windows open, since more
                    // will come.
                    Err(TryRecvError::Empty) => return Ok(PartitionState::Waiting),
                    Err(TryRecvError::Disconnected) => {
                        return Err(InputError::Failed(format!(
                            "the reader of {} ended: an error in the program",
                            self.topic
                        )));
                    }
                }
                continue;
            };
            let record = Record { offset: self.next, broker_time: None, key: None, value: Payload::Bytes(bytes) };
            self.next += 1;
            self.at += 1;
            left -= 1;
            if visit(record, symbols) == Flow::Pause {
                break;
            }
        }
        Ok(if self.ended { PartitionState::Ended } else { PartitionState::Behind })
    }
}

impl Input for MongoInput {
    fn partitions(&self) -> Vec<PartitionId> {
        self.partitions.iter().map(|partition| partition.id).collect()
    }

    fn set_wake(&mut self, wake: Wake) {
        // An input has one reader, which says so once.
        let _ = self.wake.set(wake);
    }

    fn topic(&self, partition: PartitionId) -> Arc<str> {
        let found = self.partitions.iter().find(|own| own.id == partition);
        found.map_or_else(|| "".into(), |own| Arc::clone(&own.topic))
    }

    fn decoder(&self, _: PartitionId) -> Result<Decoder, InputError> {
        Ok(self.decoder.clone())
    }

    fn read(
        &mut self,
        partition: PartitionId,
        limit: usize,
        symbols: &mut SymbolTable,
        visit: &mut dyn FnMut(Record<'_>, &mut SymbolTable) -> Flow,
    ) -> Result<PartitionState, InputError> {
        let own = self.partitions.iter_mut().find(|own| own.id == partition);
        let own = own.ok_or_else(|| {
            InputError::Failed(format!(
                "partition {} does not belong to this worker: an error in the program",
                partition.0
            ))
        })?;
        own.read(limit, symbols, visit)
    }
}
