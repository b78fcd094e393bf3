//! Files: lines of plain or compressed text ([`lines`]), files of records as an input ([`input`]), results as JSON lines
//! ([`sink`]), and dead letters.

pub mod dead_letters;
pub mod input;
pub mod lines;
pub mod sink;
