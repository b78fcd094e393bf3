//! The thread that writes weights, so that workers never wait for a disk. While it is behind, the job hands out none.

use super::files::{WeightsFileError, path, write};
use crate::market::Symbol;
use crossbeam_channel::{Receiver, Sender};
use std::path::Path;
use std::thread::JoinHandle;

/// The most files that wait: the largest network that the settings allow takes 119 MB.
pub const QUEUE_FILES_MAX: usize = 8;

/// What travels to the thread.
enum Message {
    File(Option<Symbol>, Vec<u8>),
    /// Nothing comes after it, whoever still holds a sender.
    Close,
}

/// The running thread, for the one that ends it.
pub struct WeightsWriter {
    sender: Sender<Message>,
    thread: JoinHandle<Result<(), WeightsFileError>>,
}

/// The dataflow's end.
#[derive(Clone)]
pub struct WeightsSender(Sender<Message>);

impl WeightsWriter {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the directory cannot be made, or the system refuses another thread.
    pub fn spawn(dir: &Path) -> Result<Self, WeightsFileError> {
        std::fs::create_dir_all(dir)
            .map_err(|error| WeightsFileError(format!("cannot create the directory {}: {error}", dir.display())))?;
        let dir = dir.to_owned();
        Self::start(move |receiver| work(&dir, receiver))
    }

    /// Starts a thread that hands them to `carry`, for another process to write.
    ///
    /// # Errors
    /// When the system refuses another thread.
    pub fn carried(mut carry: impl FnMut(Option<Symbol>, Vec<u8>) + Send + 'static) -> Result<Self, WeightsFileError> {
        Self::start(move |receiver| {
            while let Ok(Message::File(symbol, bytes)) = receiver.recv() {
                carry(symbol, bytes);
            }
            Ok(())
        })
    }

    fn start(
        work: impl FnOnce(&Receiver<Message>) -> Result<(), WeightsFileError> + Send + 'static,
    ) -> Result<Self, WeightsFileError> {
        let (sender, receiver) = crossbeam_channel::bounded(QUEUE_FILES_MAX);
        let thread = std::thread::Builder::new()
            .name("weights".to_owned())
            .spawn(move || work(&receiver))
            .map_err(|error| WeightsFileError(format!("cannot start a thread: {error}")))?;
        Ok(Self { sender, thread })
    }

    /// An end for a worker.
    #[must_use]
    pub fn sender(&self) -> WeightsSender {
        WeightsSender(self.sender.clone())
    }

    /// Waits until all is written.
    ///
    /// # Errors
    /// Of the file that was written last, where that failed: trouble that passed is in the log.
    pub fn finish(self) -> Result<(), WeightsFileError> {
        // Refused only where the thread has ended already.
        let _ = self.sender.send(Message::Close);
        let panicked =
            || WeightsFileError("writing weights panicked: this is a defect of tickcast, please report it".into());
        self.thread.join().unwrap_or_else(|_| Err(panicked()))
    }
}

impl WeightsSender {
    /// Whether a file is taken at once.
    #[must_use]
    pub fn has_room(&self) -> bool {
        !self.0.is_full()
    }

    /// Hands a file over where there is room. False where there is none.
    #[must_use]
    pub fn try_send(&self, symbol: Option<Symbol>, bytes: Vec<u8>) -> bool {
        self.0.try_send(Message::File(symbol, bytes)).is_ok()
    }

    /// Hands a file over; waits for room.
    pub fn send(&self, symbol: Option<Symbol>, bytes: Vec<u8>) {
        // Refused only where the thread has ended, which `finish` tells.
        let _ = self.0.send(Message::File(symbol, bytes));
    }
}

/// Forecasts do not stop for want of a disk: trouble is told when it begins, and at the end when it lasts.
fn work(dir: &Path, receiver: &Receiver<Message>) -> Result<(), WeightsFileError> {
    let mut last = Ok(());
    while let Ok(Message::File(symbol, bytes)) = receiver.recv() {
        let written = write(&path(dir, symbol.as_ref()), &bytes);
        if let (Err(error), Ok(())) = (&written, &last) {
            tracing::warn!("{error}; the job goes on");
        }
        last = written;
    }
    last
}
