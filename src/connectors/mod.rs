//! The doors to the outside: where records come from ([`input`]), where results go ([`sink`]), and one room per kind
//! of service. Windows and models are unknown here.

pub mod committer;
pub mod files;
pub mod input;
pub mod kafka;
pub mod memory;
pub mod messari;
pub mod mongodb;
pub mod replayer;
pub mod simulation;
pub mod sink;
pub mod store;
pub mod stored;
pub mod weights;

#[cfg(test)]
mod test_records;
