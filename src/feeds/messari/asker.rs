//! A thread that makes the calls, one at a time, so that whoever waits for an answer can still be stopped.

use super::client::{Client, Failure};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use std::time::Duration;

/// The thread ends when this is dropped and its call has ended; nobody waits for that.
pub struct Asker {
    questions: Sender<usize>,
    answers: Receiver<Answer>,
}

/// What came of a call: a body, or why there is none.
pub struct Answer {
    /// Number of the asset.
    pub asset: usize,
    /// The body.
    pub result: Result<Vec<u8>, Failure>,
}

/// The thread is gone.
#[derive(Debug)]
pub struct Gone;

impl Asker {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system refuses one.
    pub fn start(client: Client, assets: Vec<String>) -> std::io::Result<Self> {
        let (questions, to_ask) = bounded::<usize>(1);
        let (told, answers) = bounded(1);
        let work = move || {
            for asset in to_ask {
                let Some(name) = assets.get(asset) else { break };
                let result = client.market_data(name);
                if told.send(Answer { asset, result }).is_err() {
                    break;
                }
            }
        };
        std::thread::Builder::new().name("collect".to_owned()).spawn(work)?;
        Ok(Self { questions, answers })
    }

    /// Asks for an asset; the answer to the question before must have been taken.
    ///
    /// # Errors
    /// When the thread is gone.
    pub fn ask(&self, asset: usize) -> Result<(), Gone> {
        self.questions.send(asset).map_err(|_| Gone)
    }

    /// Waits for the answer, not longer than `within`.
    ///
    /// # Errors
    /// When the thread is gone.
    pub fn answer(&self, within: Duration) -> Result<Option<Answer>, Gone> {
        match self.answers.recv_timeout(within) {
            Ok(answer) => Ok(Some(answer)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(Gone),
        }
    }
}
