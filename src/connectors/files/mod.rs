//! Files: lines of plain or compressed text as an input ([`lines`], [`input`]), results as JSON lines ([`sink`]), dead letters.

pub mod dead_letters;
pub mod input;
pub mod lines;
pub mod sink;
pub mod stored;
