//! Cells of a CSV line.

/// The first cell, and what follows its comma; none where a quote is not closed. Doubled quotes stay doubled: no
/// symbol or number has any.
#[inline]
pub(super) fn cell(text: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    if matches!(text.first(), Some(b'"' | b' ' | b'\t'))
        && let [b'"', quoted @ ..] = text.trim_ascii_start()
    {
        return quoted_cell(quoted);
    }
    match text.iter().position(|b| *b == b',') {
        Some(comma) => Some((trim(&text[..comma]), Some(&text[comma + 1..]))),
        None => Some((trim(text), None)),
    }
}

#[inline]
fn trim(cell: &[u8]) -> &[u8] {
    match cell {
        [first, .., last] if first.is_ascii_whitespace() || last.is_ascii_whitespace() => cell.trim_ascii(),
        [only] if only.is_ascii_whitespace() => &[],
        _ => cell,
    }
}

fn quoted_cell(quoted: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    let mut at = 0;
    loop {
        at += memchr::memchr(b'"', &quoted[at..])?;
        if quoted.get(at + 1) != Some(&b'"') {
            break;
        }
        at += 2;
    }
    match quoted[at + 1..].trim_ascii_start() {
        [] => Some((&quoted[..at], None)),
        [b',', after @ ..] => Some((&quoted[..at], Some(after))),
        _ => None,
    }
}
