//! A report for people: the figures as a table, as words, as pictures, and as one page that needs nothing but itself.
//!
//! [`figures`](crate::evaluation::report) go in, texts come out; whoever calls writes them where they belong.

mod html;
mod numbers;
mod plots;
mod style;
mod svg;
mod table;
mod words;

pub use html::page;
pub use numbers::grouped;
pub use plots::{Plot, PlotError, SeriesPlots, plots};
pub use table::table;
pub use words::verdict;

/// The most symbols times horizons with pictures and words; the table has all. Each has ten pictures of some 6 kB.
pub const PLOTTED_MAX: usize = 40;
