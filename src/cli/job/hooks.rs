//! What tests ask of a running process, by its environment.

use crate::connectors::input::{Flow, Input, InputError, PartitionState, Record};
use crate::dataflows::job::InputFactory;
use crate::formats::Decoder;
use crate::market::{PartitionId, SymbolTable};
use std::sync::Arc;

/// Names a worker that is to panic at its first read.
const PANIC: &str = "TICKCAST_TEST_PANIC";

/// The same input, as the environment wants it.
pub(super) fn apply(input: Arc<InputFactory>) -> Arc<InputFactory> {
    let Some(panicking) = std::env::var(PANIC).ok().and_then(|worker| worker.parse::<usize>().ok()) else {
        return input;
    };
    Arc::new(move |worker, workers| {
        let input = input(worker, workers)?;
        Ok(if worker == panicking { Box::new(Panicking(input)) } else { input })
    })
}

struct Panicking(Box<dyn Input>);

impl Input for Panicking {
    fn partitions(&self) -> Vec<PartitionId> {
        self.0.partitions()
    }

    fn topic(&self, partition: PartitionId) -> Arc<str> {
        self.0.topic(partition)
    }

    fn decoder(&self, partition: PartitionId) -> Result<Decoder, InputError> {
        self.0.decoder(partition)
    }

    fn read(
        &mut self,
        _: PartitionId,
        _: usize,
        _: &mut SymbolTable,
        _: &mut dyn FnMut(Record<'_>, &mut SymbolTable) -> Flow,
    ) -> Result<PartitionState, InputError> {
        panic!("as {PANIC} asks for")
    }
}
