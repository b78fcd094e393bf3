//! What runs wrote into files, line by line.

use super::lines::Lines;
use crate::connectors::input::InputError;
use crate::connectors::outputs::Visit;
use crate::recovery::compare::Content;
use std::path::Path;

/// Hands on the lines of a file, plain or compressed.
///
/// # Errors
/// When it cannot be read to its end.
pub fn visit(path: &Path, visit: Visit<'_>) -> Result<(), InputError> {
    let mut lines = Lines::open(path)?;
    while let Some(line) = lines.next_line()? {
        if !line.trim_ascii().is_empty() {
            visit(Content::Json(line.trim_ascii_end().to_vec()));
        }
    }
    Ok(())
}
