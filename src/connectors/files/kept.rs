//! Rows that were read ahead, until they are handed on.

use crate::formats::Decoder;
use std::collections::VecDeque;

/// Rows and what changes between them, in their order.
#[derive(Debug, Default)]
pub(super) struct Kept {
    bytes: Vec<u8>,
    items: VecDeque<Item>,
    /// Where the next row begins.
    next: usize,
}

/// What was read ahead.
#[derive(Debug)]
pub(super) enum Item {
    /// A row of so many bytes.
    Row(usize),
    /// Other columns from here on.
    Columns(Box<Decoder>),
}

impl Kept {
    pub(super) fn push_row(&mut self, row: &[u8]) {
        self.bytes.extend_from_slice(row);
        self.items.push_back(Item::Row(row.len()));
    }

    pub(super) fn push_columns(&mut self, decoder: Decoder) {
        self.items.push_back(Item::Columns(Box::new(decoder)));
    }

    /// How many bytes its rows have.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Goes on; none where nothing is kept any more.
    pub(super) fn step(&mut self) -> Option<Item> {
        let item = self.items.pop_front();
        match item {
            Some(Item::Row(length)) => self.next += length,
            None => *self = Self::default(),
            _ => {}
        }
        item
    }

    /// The row of so many bytes that the last step came to.
    pub(super) fn row(&self, length: usize) -> &[u8] {
        &self.bytes[self.next - length..self.next]
    }
}
