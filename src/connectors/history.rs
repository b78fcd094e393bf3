//! A history, and the topic that goes on from it, as one input.

use super::input::{Flow, Input, InputError, PartitionState, Record, Wake};
use crate::formats::Decoder;
use crate::market::{PartitionId, SymbolTable};
use std::sync::Arc;

/// One worker's share of both. The history's partitions have numbers of their own ([`PartitionId::of_history`]).
pub struct Joined {
    history: Box<dyn Input>,
    topic: Box<dyn Input>,
}

impl Joined {
    /// From a worker's shares of history and topic.
    ///
    /// # Errors
    /// When the history has more partitions than can be numbered.
    pub fn new(history: Box<dyn Input>, topic: Box<dyn Input>) -> Result<Self, InputError> {
        let max = PartitionId::HISTORY_MAX;
        match history.partitions().last().filter(|partition| partition.0 >= max) {
            None => Ok(Self { history, topic }),
            Some(last) => Err(InputError::Failed(format!(
                "the history has {} files or more, at most {max} can be read before a topic: join some of them",
                last.0
            ))),
        }
    }

    fn of(&self, partition: PartitionId) -> (&dyn Input, PartitionId) {
        if partition.is_history() {
            (self.history.as_ref(), PartitionId(partition.number()))
        } else {
            (self.topic.as_ref(), partition)
        }
    }
}

impl Input for Joined {
    fn partitions(&self) -> Vec<PartitionId> {
        let history = self.history.partitions().into_iter().map(|partition| PartitionId::of_history(partition.0));
        history.chain(self.topic.partitions()).collect()
    }

    fn topic(&self, partition: PartitionId) -> Arc<str> {
        let (input, own) = self.of(partition);
        input.topic(own)
    }

    fn decoder(&self, partition: PartitionId) -> Result<Decoder, InputError> {
        let (input, own) = self.of(partition);
        input.decoder(own)
    }

    fn read(
        &mut self,
        partition: PartitionId,
        limit: usize,
        symbols: &mut SymbolTable,
        visit: &mut dyn FnMut(Record<'_>, &mut SymbolTable) -> Flow,
    ) -> Result<PartitionState, InputError> {
        if partition.is_history() {
            self.history.read(PartitionId(partition.number()), limit, symbols, visit)
        } else {
            self.topic.read(partition, limit, symbols, visit)
        }
    }

    fn is_empty(&self, partition: PartitionId) -> bool {
        let (input, own) = self.of(partition);
        input.is_empty(own)
    }

    fn end(&self, partition: PartitionId) -> Option<u64> {
        let (input, own) = self.of(partition);
        input.end(own)
    }

    fn set_wake(&mut self, wake: Wake) {
        self.history.set_wake(Arc::clone(&wake));
        self.topic.set_wake(wake);
    }

    fn serve_events(&mut self) -> Result<(), InputError> {
        self.history.serve_events()?;
        self.topic.serve_events()
    }
}
