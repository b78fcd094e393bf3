//! A report for people: the figures as a table, as words, as pictures, and as one page that needs nothing but itself.
//!
//! [`figures`](crate::evaluation::report) go in, texts come out; whoever calls writes them where they belong.

mod glance;
mod html;
mod numbers;
mod plots;
mod style;
mod svg;
mod table;
mod words;

pub use html::page;
pub use numbers::{e_value, grouped};
pub use plots::{Plot, PlotError, SeriesPlots, plots};
pub use table::table;
pub use words::verdict;

/// The most symbols times horizons with pictures. Each has ten of some 7 kB.
pub const PLOTTED_MAX: usize = 40;
/// The most symbols times horizons with words.
pub const WORDED_MAX: usize = 400;
/// The most symbols in the table of symbols by horizons, and symbols times horizons in that of all figures.
pub const LISTED_MAX: usize = 1000;
