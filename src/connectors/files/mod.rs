//! Files: lines of text and rows of Parquet, plain or compressed, as an input ([`input`]), results as JSON lines ([`sink`]), dead letters.

mod csv_rows;
pub mod dead_letters;
mod gzip;
pub mod index;
pub mod input;
mod json_rows;
mod kept;
mod kinds;
pub mod lines;
pub mod lines_file;
mod look;
mod open;
pub(in crate::connectors) mod outputs;
mod parquet;
pub mod published;
mod record_file;
pub mod results;
mod rows;
mod scan;
pub mod sink;
mod tail;
mod zip;

pub use open::look_for;
