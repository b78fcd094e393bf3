//! How forecasts are judged: beside persistence, over the same points, by what was published then.

pub mod drift;
pub mod evidence;
pub mod pinball;
pub mod report;
pub mod skill;
