//! The prototype's numbers, and the crate's layers joined as the prototype joins them.
#![allow(dead_code)]

pub mod exact;
pub mod golden;
pub mod layers;
pub mod table;
