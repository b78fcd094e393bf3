//! Many upserts in one `update` command, and what its reply means. `Client::bulk_write` would need a server of 8.0.

use super::connect::Opened;
use super::session::{Session, Trouble, is_transient_code};
use crate::delivery::{Retrying, SinkError, Stop};
use crate::recovery::Fault;
use mongodb::bson::{Bson, Document, RawArrayBuf, RawDocumentBuf, doc, rawdoc};
use std::time::{Duration, Instant};

/// The most upserts in one command.
const COMMAND_UPSERTS_MAX: usize = 500;
/// The most bytes of upserts in one command; servers refuse commands of 16 MiB.
const COMMAND_BYTES_MAX: usize = 8 << 20;
/// How long the majority of a replica set may take.
const MAJORITY_WAIT_MS: i32 = 10_000;
/// How long one command may take before it is sent again.
const COMMAND_TIME_MAX: Duration = Duration::from_secs(20);
/// Pauses between tries grow from this …
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// … to this.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// The least time between warnings while the database is away.
const WARNING_EVERY: Duration = Duration::from_secs(10);
/// Tries in a row with ids that exist, but in no newer generation. Two tries of ours may meet on the server; more often
/// than this it is something else.
const COLLISIONS_MAX: u32 = 10;
/// The code of `E11000 duplicate key`.
const DUPLICATE_KEY: i32 = 11000;

/// One document that is to be there afterwards.
pub(super) struct Upsert {
    pub(super) id: String,
    pub(super) fields: RawDocumentBuf,
}

/// Where upserts go.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) collection: &'a str,
    /// Whether documents belong to the job and its generation; ticks belong to nobody and never change.
    pub(super) guarded: bool,
}

/// Upserts of one command, encoded.
#[derive(Default)]
struct Chunk {
    ids: Vec<String>,
    statements: RawArrayBuf,
    bytes: usize,
}

/// What a server's reply means.
#[derive(Debug, PartialEq, Eq)]
enum Reply {
    Written,
    /// These upserts, by their place in the command, found no document of their generation or older, but their id taken.
    Collided(Vec<usize>),
    /// Worth another try.
    Transient(String),
    Refused(String),
}

/// Writes for one generation of one job.
pub(super) struct Writer {
    session: Session,
    job: String,
    generation: i64,
    away_since: Option<Instant>,
    warned: Option<Instant>,
}

impl Writer {
    pub(super) fn new(opened: Opened, job: &str) -> Self {
        let Opened { session, generation, database_id: _ } = opened;
        Self { session, job: job.to_owned(), generation, away_since: None, warned: None }
    }

    pub(super) fn generation(&self) -> i64 {
        self.generation
    }

    pub(super) fn close(&self) {
        self.session.close();
    }

    /// Writes all, and returns when the majority of the servers has it.
    pub(super) fn write(
        &mut self,
        target: Target<'_>,
        upserts: impl Iterator<Item = Upsert>,
        stop: &Stop,
    ) -> Result<(), SinkError> {
        let mut chunk = Chunk::default();
        for upsert in upserts {
            let Upsert { id, fields } = upsert;
            let statement = self.statement(target, &id, fields);
            let bytes = statement.as_bytes().len();
            if chunk.ids.len() >= COMMAND_UPSERTS_MAX || chunk.bytes + bytes > COMMAND_BYTES_MAX {
                self.send(target, std::mem::take(&mut chunk), stop)?;
            }
            chunk.bytes += bytes;
            chunk.ids.push(id);
            chunk.statements.push(statement);
        }
        if chunk.ids.is_empty() { Ok(()) } else { self.send(target, chunk, stop) }
    }

    fn statement(&self, target: Target<'_>, id: &str, mut fields: RawDocumentBuf) -> RawDocumentBuf {
        let query = if target.guarded {
            fields.append("job", self.job.as_str());
            fields.append("generation", self.generation);
            rawdoc! { "_id": id, "generation": { "$lte": self.generation } }
        } else {
            rawdoc! { "_id": id }
        };
        rawdoc! { "q": query, "u": { "$set": fields }, "upsert": true }
    }

    /// Sends one command until it is written: each upsert may be repeated.
    fn send(&mut self, target: Target<'_>, chunk: Chunk, stop: &Stop) -> Result<(), SinkError> {
        let command = rawdoc! {
            "update": target.collection,
            "updates": chunk.statements,
            "ordered": false,
            // A server of its own journals for `j` alone: what it has acknowledged without is lost with its process.
            "writeConcern": { "w": "majority", "j": true, "wtimeout": MAJORITY_WAIT_MS },
        };
        let mut pause = PAUSE_MIN;
        let mut collisions = 0;
        loop {
            let reason = match self.attempt(&command, stop)? {
                Reply::Written => {
                    self.note_well();
                    return Ok(());
                }
                Reply::Refused(reason) => return Err(self.fatal(target, &reason)),
                Reply::Transient(reason) => reason,
                Reply::Collided(places) => {
                    collisions += 1;
                    let ids = places.iter().filter_map(|&at| chunk.ids.get(at).cloned()).collect();
                    match self.collided(target, ids, stop)? {
                        Some(reason) => reason,
                        None if collisions < COLLISIONS_MAX => "another write of the same ids".to_owned(),
                        None => return Err(self.fatal(target, "ids or other unique fields are taken (E11000)")),
                    }
                }
            };
            Retrying::Mongodb.note();
            self.note_away(target, &reason);
            if !self.session.pause(pause, stop) {
                return Err(SinkError::Stopped);
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    fn attempt(&self, command: &RawDocumentBuf, stop: &Stop) -> Result<Reply, SinkError> {
        let call = async { self.session.database.run_raw_command(command.clone()).await };
        match self.session.run(call, COMMAND_TIME_MAX, stop) {
            Ok(reply) => Ok(judge(&reply)),
            Err(trouble) => self.judge_trouble(&trouble),
        }
    }

    fn judge_trouble(&self, trouble: &Trouble) -> Result<Reply, SinkError> {
        match trouble {
            Trouble::Stopped => Err(SinkError::Stopped),
            _ if trouble.is_transient() => Ok(Reply::Transient(trouble.to_string())),
            _ => Ok(Reply::Refused(trouble.to_string())),
        }
    }

    /// Looks who owns these ids. Gives the reason to try again where the database did not say.
    fn collided(&self, target: Target<'_>, ids: Vec<String>, stop: &Stop) -> Result<Option<String>, SinkError> {
        if !target.guarded {
            return Ok(None);
        }
        let collection = self.session.database.collection::<Document>(target.collection);
        let newer = doc! { "_id": { "$in": ids }, "generation": { "$gt": self.generation } };
        let call = async { collection.find_one(newer).await };
        match self.session.run(call, COMMAND_TIME_MAX, stop) {
            Ok(None) => Ok(None),
            Ok(Some(owned)) => {
                let Self { job, generation, .. } = self;
                let theirs = owned.get_i64("generation").unwrap_or_default();
                Err(SinkError::Refused(Fault::fenced(format!(
                    "another instance of job `{job}` has taken over (MongoDB collection `{}` holds its generation \
                     {theirs}, this is {generation}): stop one of them, or give it another job.id",
                    target.collection
                ))))
            }
            Err(trouble) => match self.judge_trouble(&trouble)? {
                Reply::Transient(reason) => Ok(Some(reason)),
                _ => Err(self.fatal(target, &trouble.to_string())),
            },
        }
    }

    fn fatal(&self, target: Target<'_>, reason: &str) -> SinkError {
        let host = &self.session.host;
        SinkError::Fatal(format!("MongoDB at {host} refuses to write to collection `{}`: {reason}", target.collection))
    }

    fn note_away(&mut self, target: Target<'_>, reason: &str) {
        let now = Instant::now();
        // The first try after a long quiet may only find a connection that the server closed: not worth a warning.
        let Some(since) = self.away_since else {
            self.away_since = Some(now);
            return;
        };
        if self.warned.is_none_or(|warned| now - warned >= WARNING_EVERY) {
            self.warned = Some(now);
            let seconds = (now - since).as_secs();
            tracing::warn!(host = %self.session.host, collection = target.collection, seconds, reason,
                "MongoDB does not take writes: the job waits");
        }
    }

    fn note_well(&mut self) {
        let since = self.away_since.take();
        if let (Some(since), Some(_)) = (since, self.warned.take()) {
            tracing::info!(host = %self.session.host, seconds = since.elapsed().as_secs(), "MongoDB takes writes again");
        }
    }
}

/// What the server says about an `update` command that it took.
fn judge(reply: &Document) -> Reply {
    let mut collided = Vec::new();
    let mut transient = None;
    let errors = reply.get_array("writeErrors").map(Vec::as_slice).unwrap_or_default();
    for error in errors.iter().filter_map(Bson::as_document) {
        let (code, text) = code_and_text(error);
        match code {
            DUPLICATE_KEY => collided.extend(integer(error, "index").and_then(|index| usize::try_from(index).ok())),
            _ if is_transient_code(code) => transient = Some(text),
            _ => return Reply::Refused(text),
        }
    }
    if let Ok(error) = reply.get_document("writeConcernError") {
        let (code, text) = code_and_text(error);
        if !is_transient_code(code) {
            return Reply::Refused(text);
        }
        transient.get_or_insert(text);
    }
    // Who owns the ids comes first: another try would not change that.
    match transient {
        _ if !collided.is_empty() => Reply::Collided(collided),
        Some(text) => Reply::Transient(text),
        None => Reply::Written,
    }
}

fn integer(document: &Document, name: &str) -> Option<i64> {
    match document.get(name)? {
        Bson::Int32(value) => Some(i64::from(*value)),
        Bson::Int64(value) => Some(*value),
        Bson::Double(value) => Some(*value as i64),
        _ => None,
    }
}

fn code_and_text(error: &Document) -> (i32, String) {
    let code = integer(error, "code").and_then(|code| i32::try_from(code).ok()).unwrap_or(0);
    let text = error.get_str("errmsg").unwrap_or("it does not say why");
    (code, format!("{text} (code {code})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(index: i32, code: i32) -> Document {
        doc! { "index": index, "code": code, "errmsg": "told" }
    }

    #[test]
    fn replies_are_judged() {
        let told = |code: i32| format!("told (code {code})");
        for (reply, expected) in [
            (doc! { "ok": 1.0, "n": 3 }, Reply::Written),
            (doc! { "ok": 1.0, "writeErrors": [error(1, 11000), error(4, 11000)] }, Reply::Collided(vec![1, 4])),
            (doc! { "ok": 1.0, "writeErrors": [error(0, 112)] }, Reply::Transient(told(112))),
            (doc! { "ok": 1.0, "writeErrors": [error(0, 112), error(1, 11000)] }, Reply::Collided(vec![1])),
            (doc! { "ok": 1.0, "writeErrors": [error(0, 11000), error(1, 121)] }, Reply::Refused(told(121))),
            (doc! { "ok": 1.0, "writeConcernError": { "code": 64, "errmsg": "told" } }, Reply::Transient(told(64))),
            (doc! { "ok": 1.0, "writeConcernError": { "code": 100, "errmsg": "told" } }, Reply::Refused(told(100))),
        ] {
            assert_eq!(judge(&reply), expected, "{reply}");
        }
    }
}
