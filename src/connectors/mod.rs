//! The doors to the outside: where records come from ([`input`]), where results go (each a [`Sink`](crate::delivery::Sink)),
//! and one room per kind of service. Windows and models are unknown here.

pub mod checkpoints;
pub mod files;
pub mod guard;
pub mod history;
pub mod input;
pub mod kafka;
pub mod memory;
pub mod mongodb;
pub mod outputs;
pub mod published;
pub mod sqlite;
pub mod weights;
