//! What runs wrote into files, line by line.

use super::lines::Lines;
use crate::connectors::input::InputError;
use crate::connectors::outputs::{Visit, stopped};
use crate::delivery::Stop;
use crate::recovery::compare::Content;
use std::path::Path;

/// Hands on the lines of a file, plain or compressed.
///
/// # Errors
/// When it cannot be read to its end, or it was stopped.
pub fn visit(path: &Path, stop: &Stop, visit: Visit<'_>) -> Result<(), InputError> {
    let mut lines = Lines::open(path)?;
    while let Some(line) = lines.next_line()? {
        if stop.requested() {
            return Err(stopped());
        }
        if !line.trim_ascii().is_empty() {
            visit(Content::Json(line.trim_ascii_end().to_vec()));
        }
    }
    Ok(())
}
