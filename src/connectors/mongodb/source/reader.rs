//! One part of a collection, read ahead in the background: a cursor that is opened anew where it was when it dies.

use super::super::session::{Trouble, is_transient_code};
use super::json;
use super::parts::{Part, Place};
use crate::connectors::input::Wake;
use mongodb::Collection;
use mongodb::bson::{RawDocument, RawDocumentBuf};
use mongodb::error::{Error, ErrorKind};
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::Sender;

/// Records are handed on in batches of at most so many, …
const BATCH_RECORDS: usize = 1000;
/// … or of about so many bytes. The server sends as many documents at once: it keeps a cursor only for ten minutes, in which
/// so many are soon used.
const BATCH_BYTES: usize = 1 << 20;
/// Batches of all parts together hold no more than so many of those.
const WHOLE_BATCHES: usize = 32;
/// However many parts there are.
const BATCH_RECORDS_MIN: usize = 64;
/// The most documents that may say that they were one record. An exchange puts a few hundred trades into a message.
const RECORD_DOCUMENTS_MAX: usize = 100_000;
/// How long the first answer of a cursor may take: without an index the server sorts first.
const FIRST_TIME_MAX: Duration = Duration::from_secs(900);
/// How long each further one may take.
const NEXT_TIME_MAX: Duration = Duration::from_secs(60);
/// How often a wait looks whether anybody still listens.
const LISTEN_TICK: Duration = Duration::from_millis(50);
/// Pauses between tries grow from this …
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// … to this.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// The least time between warnings while the database is away.
const WARNING_EVERY: Duration = Duration::from_secs(10);
/// `CursorNotFound` and `CursorKilled`, and a query that was killed: a new cursor goes on.
const CURSOR_CODES: [i32; 3] = [43, 237, 11_601];

/// Records, one after the other in one piece.
#[derive(Debug, Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Batch {
    /// The record at this place.
    pub(super) fn get(&self, at: usize) -> Option<&[u8]> {
        let end = *self.ends.get(at)?;
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        Some(&self.bytes[start..end])
    }

    fn push(&mut self, record: &[u8]) {
        self.bytes.extend_from_slice(record);
        self.ends.push(self.bytes.len());
    }

    fn is_full(&self, size: BatchSize) -> bool {
        self.ends.len() >= size.records || self.bytes.len() >= size.bytes
    }
}

/// How much a batch holds where so many parts are read at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct BatchSize {
    records: usize,
    bytes: usize,
}

impl BatchSize {
    /// The more parts, the less for each.
    pub(super) fn of(parts: usize) -> Self {
        let share = |whole: usize| (whole * WHOLE_BATCHES / parts.max(1)).min(whole);
        Self { records: share(BATCH_RECORDS).max(BATCH_RECORDS_MIN), bytes: share(BATCH_BYTES) }
    }
}

/// What a reader tells.
#[derive(Debug)]
pub(super) enum Message {
    Records(Batch),
    /// The part is read to its end.
    End,
    /// It cannot be read on.
    Failed(String),
}

/// Why reading stopped before the end.
enum Halt {
    /// Nobody listens any more.
    Deaf,
    Trouble(Trouble),
    /// The documents cannot be used as they are.
    Unusable(String),
}

/// Reads a part to its end.
pub(super) struct Reader {
    pub(super) collection: Collection<RawDocumentBuf>,
    pub(super) part: Part,
    pub(super) sender: Sender<Message>,
    place: Place,
    /// Documents of the record that is being read, each with its index and its JSON.
    record: Vec<(u64, Vec<u8>)>,
    batch: Batch,
    size: BatchSize,
    /// Who waits for what is told, once it is known.
    wake: Arc<OnceLock<Wake>>,
}

impl Reader {
    pub(super) fn new(
        collection: Collection<RawDocumentBuf>,
        part: Part,
        sender: Sender<Message>,
        size: BatchSize,
        wake: Arc<OnceLock<Wake>>,
    ) -> Self {
        let (place, record, batch) = (Place::default(), Vec::new(), Batch::default());
        Self { collection, part, sender, place, record, batch, size, wake }
    }

    /// Reads, and waits for a database that is away, until the end of the part or until nobody listens.
    pub(super) async fn run(mut self) {
        let mut pause = PAUSE_MIN;
        let mut away_since = Instant::now();
        let mut warned: Option<Instant> = None;
        loop {
            let before = self.place.clone();
            let halt = match self.read_on().await {
                Ok(()) => return self.tell(Message::End).await.unwrap_or(()),
                Err(halt) => halt,
            };
            if self.place != before {
                (pause, away_since, warned) = (PAUSE_MIN, Instant::now(), None);
            }
            let reason = match halt {
                Halt::Deaf => return,
                Halt::Trouble(trouble) if is_worth_another_try(&trouble) => trouble.to_string(),
                Halt::Trouble(trouble) => return self.fail(&trouble.to_string()).await,
                Halt::Unusable(why) => return self.fail(&why).await,
            };
            tracing::debug!(part = self.part.name, reason, "a cursor is opened anew");
            // The first try may only find a connection that the server closed: not worth a warning.
            let now = Instant::now();
            let seconds = (now - away_since).as_secs();
            if pause > PAUSE_MIN && warned.is_none_or(|warned| now - warned >= WARNING_EVERY) {
                warned = Some(now);
                let collection = self.collection.name();
                tracing::warn!(collection, seconds, reason, "MongoDB cannot be read: the job waits");
            }
            if self.listened(tokio::time::sleep(pause)).await.is_err() {
                return;
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    async fn fail(&self, why: &str) {
        let namespace = self.collection.namespace();
        // Who does not listen need not know.
        let _ = self.tell(Message::Failed(format!("cannot read {namespace} to its end: {why}"))).await;
    }

    /// Reads from the place that was reached to the end.
    async fn read_on(&mut self) -> Result<(), Halt> {
        let (filter, skip) = self.part.rest(&self.place);
        let collection = self.collection.clone();
        let cursor_batch = u32::try_from(self.size.records).unwrap_or(u32::MAX);
        let find = collection.find(filter).sort(self.part.sort()).skip(skip).batch_size(cursor_batch);
        let find = async { find.allow_disk_use(true).await };
        let mut cursor = self.timed(find, FIRST_TIME_MAX).await?;
        while self.timed(cursor.advance(), NEXT_TIME_MAX).await? {
            self.take(cursor.current())?;
            if self.batch.is_full(self.size) {
                self.hand_on().await?;
            }
        }
        self.end_record();
        self.hand_on().await
    }

    fn take(&mut self, document: &RawDocument) -> Result<(), Halt> {
        if self.part.advance(&mut self.place, document) {
            self.end_record();
        }
        if self.record.len() >= RECORD_DOCUMENTS_MAX {
            let name = &self.part.name;
            return Err(Halt::Unusable(format!(
                "more than {RECORD_DOCUMENTS_MAX} documents say that they were one record of {name}: were they all given the same offset?"
            )));
        }
        let mut json = Vec::with_capacity(256);
        json::write(document, &mut json);
        self.record.push((self.part.index(document), json));
        Ok(())
    }

    /// The documents of a record come by their ids, as texts: `…/10` before `…/2`.
    fn end_record(&mut self) {
        self.record.sort_by_key(|(index, _)| *index);
        for (_, json) in self.record.drain(..) {
            self.batch.push(&json);
        }
    }

    async fn hand_on(&mut self) -> Result<(), Halt> {
        let batch = std::mem::take(&mut self.batch);
        if batch.ends.is_empty() { Ok(()) } else { self.tell(Message::Records(batch)).await }
    }

    /// Waits until there is room for it.
    async fn tell(&self, message: Message) -> Result<(), Halt> {
        self.sender.send(message).await.map_err(|_| Halt::Deaf)?;
        if let Some(wake) = self.wake.get() {
            wake();
        }
        Ok(())
    }

    async fn timed<T>(&self, call: impl Future<Output = Result<T, Error>>, limit: Duration) -> Result<T, Halt> {
        let answer = self.listened(tokio::time::timeout(limit, call)).await?;
        let outcome = answer.map_err(|_| Halt::Trouble(Trouble::TimedOut(limit)))?;
        outcome.map_err(|error| Halt::Trouble(Trouble::Driver(Box::new(error))))
    }

    /// Waits for `call` as long as somebody listens.
    async fn listened<T>(&self, call: impl Future<Output = T>) -> Result<T, Halt> {
        let mut call = pin!(call);
        loop {
            if let Ok(outcome) = tokio::time::timeout(LISTEN_TICK, call.as_mut()).await {
                return Ok(outcome);
            }
            if self.sender.is_closed() {
                return Err(Halt::Deaf);
            }
        }
    }
}

fn is_worth_another_try(trouble: &Trouble) -> bool {
    let code = match trouble {
        Trouble::Driver(error) => match &*error.kind {
            ErrorKind::Command(command) => Some(command.code),
            _ => None,
        },
        _ => None,
    };
    trouble.is_transient() || code.is_some_and(|code| CURSOR_CODES.contains(&code) || is_transient_code(code))
}
