//! Files: lines of plain or compressed text ([`lines`]), and files of records as an input ([`input`]).

pub mod input;
pub mod lines;
