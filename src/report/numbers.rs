//! Numbers and names as people read them.

/// What stands for a figure that there is none of.
pub(super) const NONE: &str = "–";

/// With that many decimals.
pub(super) fn decimals(value: Option<f64>, digits: usize) -> String {
    let text = value.map_or_else(|| NONE.to_owned(), |value| format!("{value:.digits$}"));
    // Nothing is less than nothing.
    if text.starts_with('-') && text.bytes().all(|b| b"-0.".contains(&b)) { text[1..].to_owned() } else { text }
}

/// A share, in per cent.
pub(super) fn percent(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| NONE.to_owned(), |value| format!("{:.digits$} %", value * 100.0))
}

/// An e-value, which may be astronomic.
#[must_use]
pub fn e_value(value: f64) -> String {
    match value {
        v if v >= 1e6 => format!("{v:.0e}"),
        v if v >= 100.0 => grouped(v.round() as u64),
        v if v < 0.01 && v > 0.0 => "below 0.01".to_owned(),
        v => format!("{v:.2}"),
    }
}

/// 1234567 as `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A name without what would turn, hide or break the text around it: controls, marks of direction, non-characters. No
/// document may hold some of them, escaped or not.
pub(super) fn printable(text: &str) -> String {
    let harmful = |c: char| {
        c.is_control()
            || matches!(c, '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FFFE}' | '\u{FFFF}')
    };
    text.chars().map(|c| if harmful(c) { '\u{FFFD}' } else { c }).collect()
}
