//! Files: lines of text and rows of Parquet, plain or compressed, as an input ([`input`]), results as JSON lines ([`sink`]), dead letters.

pub mod dead_letters;
pub mod input;
pub mod lines;
pub mod lines_file;
mod open;
mod parquet;
pub mod published;
pub mod sink;
mod tail;
