//! Records from memory as an input: bounded, for benches and tests of the dataflow.

use super::input::{Flow, Input, InputError, PartitionState, Payload, Record};
use crate::config::Format;
use crate::formats::Decoder;
use crate::market::{Observation, PartitionId, Symbol, SymbolId, SymbolTable, Timestamp};
use crate::recovery::Offsets;
use std::sync::Arc;

/// One record; its place in its partition is its offset.
#[derive(Clone, Debug)]
pub enum MemoryRecord {
    /// An observation whose symbol is a place in the list given to [`MemoryInput::with_names`].
    Observed(Observation),
    /// Bytes that still have to be decoded.
    Bytes(Box<MemoryBytes>),
}

/// A record as it would come from Kafka.
#[derive(Clone, Debug, Default)]
pub struct MemoryBytes {
    /// The broker's stamp.
    pub broker_time: Option<Timestamp>,
    /// The key.
    pub key: Option<Vec<u8>>,
    /// The value.
    pub value: Vec<u8>,
}

/// One worker's share of partitions held in memory.
#[derive(Debug)]
pub struct MemoryInput {
    partitions: Arc<Vec<Vec<MemoryRecord>>>,
    names: Arc<[Symbol]>,
    /// The worker's numbers of `names`, once they are known.
    ids: Vec<SymbolId>,
    decoder: Decoder,
    worker: usize,
    workers: usize,
    /// The next record of each partition of this worker.
    next: Vec<usize>,
}

impl MemoryInput {
    /// The partitions that belong to `worker` of `workers`: number `p` belongs to worker `p % workers`. Bytes are decoded
    /// as `auto`.
    ///
    /// # Panics
    /// When `worker` is not below `workers`.
    #[must_use]
    pub fn new(partitions: Arc<Vec<Vec<MemoryRecord>>>, worker: usize, workers: usize) -> Self {
        assert!(worker < workers, "worker {worker} of {workers}");
        let owned = partitions.len().saturating_sub(worker).div_ceil(workers);
        Self {
            partitions,
            names: Arc::from([]),
            ids: Vec::new(),
            decoder: Decoder::json(Format::Auto, None, None),
            worker,
            workers,
            next: vec![0; owned],
        }
    }

    /// The symbols that observations point into.
    #[must_use]
    pub fn with_names(mut self, names: Arc<[Symbol]>) -> Self {
        self.names = names;
        self
    }

    /// Begins at these offsets, as a resume does; at the beginning of what has none.
    #[must_use]
    pub fn with_starts(mut self, starts: &Offsets) -> Self {
        for (at, next) in self.next.iter_mut().enumerate() {
            let partition = PartitionId((self.worker + at * self.workers) as u32);
            *next = starts.get(&partition).map_or(0, |start| usize::try_from(*start).unwrap_or(0));
        }
        self
    }

    /// Decodes bytes with `decoder`.
    #[must_use]
    pub fn with_decoder(mut self, decoder: Decoder) -> Self {
        self.decoder = decoder;
        self
    }

    fn index(&self, partition: PartitionId) -> Result<usize, InputError> {
        let number = partition.0 as usize;
        let owned = number % self.workers == self.worker && number < self.partitions.len();
        owned
            .then(|| number / self.workers)
            .ok_or_else(|| InputError::Failed(format!("partition {number} does not belong to this worker")))
    }

    /// Numbers the names in this worker's table, once.
    fn intern_names(&mut self, symbols: &mut SymbolTable) -> Result<(), InputError> {
        for name in &self.names[self.ids.len()..] {
            let id =
                symbols.intern(name.as_str()).map_err(|why| InputError::Failed(format!("the symbol {name} {why}")))?;
            symbols.hold(id);
            self.ids.push(id);
        }
        Ok(())
    }
}

impl Input for MemoryInput {
    fn partitions(&self) -> Vec<PartitionId> {
        (self.worker..self.partitions.len()).step_by(self.workers).map(|p| PartitionId(p as u32)).collect()
    }

    fn topic(&self, _partition: PartitionId) -> Arc<str> {
        "memory".into()
    }

    fn decoder(&self, _partition: PartitionId) -> Result<Decoder, InputError> {
        Ok(self.decoder.clone())
    }

    fn read(
        &mut self,
        partition: PartitionId,
        limit: usize,
        symbols: &mut SymbolTable,
        visit: &mut dyn FnMut(Record<'_>, &mut SymbolTable) -> Flow,
    ) -> Result<PartitionState, InputError> {
        let at = self.index(partition)?;
        self.intern_names(symbols)?;
        let records = &self.partitions[partition.0 as usize];
        let from = self.next[at];
        let to = records.len().min(from.saturating_add(limit));
        let mut offset = from;
        for record in &records[from..to] {
            let (broker_time, key, value) = match record {
                MemoryRecord::Observed(observation) => {
                    let Some(&symbol) = self.ids.get(observation.symbol.0 as usize) else {
                        return Err(InputError::Failed(format!("there is no name number {}", observation.symbol.0)));
                    };
                    (None, None, Payload::Observed(Observation { symbol, ..observation.clone() }))
                }
                MemoryRecord::Bytes(bytes) => {
                    (bytes.broker_time, bytes.key.as_deref(), Payload::Bytes(bytes.value.as_slice()))
                }
            };
            let flow = visit(Record { offset: offset as u64, broker_time, key, value }, symbols);
            offset += 1;
            if flow == Flow::Pause {
                break;
            }
        }
        self.next[at] = offset;
        Ok(if offset == records.len() { PartitionState::Ended } else { PartitionState::Behind })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::{Fixed, Quote};

    fn tick(symbol: u32, at: i64) -> MemoryRecord {
        let quote = Quote::Tick { price: Fixed::from_raw(1), size: Fixed::ZERO, side: None };
        let at = Timestamp::from_millis(at);
        MemoryRecord::Observed(Observation { symbol: SymbolId(symbol), at, quote, identity: None, reported: None })
    }

    #[test]
    fn hands_each_record_to_one_worker_with_its_symbol() {
        let names: Arc<[Symbol]> = ["BTC", "ETH"].map(|n| Symbol::new(n).unwrap()).into();
        let bytes = MemoryRecord::Bytes(Box::new(MemoryBytes { key: Some(b"K".to_vec()), ..MemoryBytes::default() }));
        let partitions = Arc::new(vec![vec![tick(1, 0), tick(0, 1), bytes], vec![tick(1, 2)], vec![]]);
        let mut found = Vec::new();
        for worker in 0..2 {
            let mut input = MemoryInput::new(Arc::clone(&partitions), worker, 2).with_names(Arc::clone(&names));
            let mut symbols = SymbolTable::default();
            symbols.intern("other").unwrap();
            for partition in input.partitions() {
                while let PartitionState::Behind = input
                    .read(partition, 2, &mut symbols, &mut |record, symbols| {
                        let name = match record.value {
                            Payload::Observed(seen) => symbols.name(seen.symbol).to_string(),
                            Payload::Bytes(_) | Payload::Null | Payload::Decoder(_) => format!("key {:?}", record.key),
                        };
                        found.push((partition.0, record.offset, name));
                        Flow::Pause
                    })
                    .unwrap()
                {}
            }
            assert!(input.read(PartitionId(3), 1, &mut symbols, &mut |_, _| Flow::Continue).is_err());
        }
        let expected = [(0, 0, "ETH"), (0, 1, "BTC"), (0, 2, "key Some([75])"), (1, 0, "ETH")];
        assert_eq!(found, expected.map(|(p, o, name)| (p, o, name.to_owned())));
    }
}
