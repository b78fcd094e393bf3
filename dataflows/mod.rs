//! The graphs: who feeds whom, with which exchange. Start reading at [`job`].

pub mod checkpoints;
pub mod cluster;
pub mod job;
pub mod model;
pub mod scoreboard;
pub mod seed;
pub mod summary;
