//! Forecasts and scores as the job published them, read back for a judge: from files, a topic or a database.
//!
//! Every place gives streams in its own order (one per file, per partition, per collection); here they are merged by event
//! time, forecasts ahead of the scores that are due after them. So no more waits than what a horizon holds.

pub(in crate::connectors) mod json;

mod whole;

pub use json::{forecast, score};
pub use whole::whole_forecast;

use crate::connectors::input::InputError;
use crate::evaluation::report::{Issued, Judge, Settled};
use crate::market::Timestamp;

/// Records in order.
pub type Stream<'a, T> = Box<dyn Iterator<Item = Result<T, InputError>> + 'a>;

/// Several streams, the earliest record first.
struct Merged<'a, T> {
    streams: Vec<(T, Stream<'a, T>)>,
    at: fn(&T) -> Timestamp,
}

impl<'a, T> Merged<'a, T> {
    fn new(streams: Vec<Stream<'a, T>>, at: fn(&T) -> Timestamp) -> Result<Self, InputError> {
        let mut started = Vec::with_capacity(streams.len());
        for mut stream in streams {
            if let Some(first) = stream.next().transpose()? {
                started.push((first, stream));
            }
        }
        Ok(Self { streams: started, at })
    }

    fn place(&self) -> Option<usize> {
        (0..self.streams.len()).min_by_key(|place| (self.at)(&self.streams[*place].0))
    }

    fn peek(&self) -> Option<&T> {
        self.place().map(|place| &self.streams[place].0)
    }

    fn next(&mut self) -> Result<Option<T>, InputError> {
        let Some(place) = self.place() else { return Ok(None) };
        let (head, stream) = &mut self.streams[place];
        match stream.next().transpose()? {
            Some(next) => Ok(Some(std::mem::replace(head, next))),
            None => Ok(Some(self.streams.remove(place).0)),
        }
    }
}

/// Hands all records to `judge`: each score after the forecasts that were issued before its target.
///
/// # Errors
/// When a stream cannot be read, or the judge refuses.
pub fn judge_all(
    judge: &mut Judge,
    forecasts: Vec<Stream<'_, Issued>>,
    scores: Vec<Stream<'_, Settled>>,
) -> Result<(), InputError> {
    let refused = |error: crate::evaluation::report::JudgeError| InputError::Failed(error.to_string());
    let mut forecasts = Merged::new(forecasts, |f| f.issued_at)?;
    let mut scores = Merged::new(scores, |s| s.target_at)?;
    loop {
        let floor = scores.peek().map(|score| score.target_at);
        let is_before = |f: &Issued| floor.is_none_or(|floor| f.issued_at < floor);
        if forecasts.peek().is_some_and(is_before) {
            if let Some(forecast) = forecasts.next()? {
                judge.forecast(&forecast, floor).map_err(refused)?;
            }
        } else if let Some(score) = scores.next()? {
            judge.score(&score).map_err(refused)?;
        } else {
            return Ok(());
        }
    }
}
