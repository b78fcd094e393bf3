//! One trade, as its venue tells it.

use crate::market::{Side, Timestamp};

/// A trade. Its numbers are the venue's own texts, each a JSON number, so that none goes through a float.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trade {
    /// Of which market: a place in the list of a connection's markets, then in that of all.
    pub market: usize,
    /// The venue's id.
    pub id: u64,
    /// When it was made, as JSON: a text or a number.
    pub at: Box<str>,
    /// Price of one unit.
    pub price: Box<str>,
    /// Units.
    pub size: Box<str>,
    /// Who took the liquidity.
    pub side: Option<Side>,
    /// Of an aggregate, the first and the last of the trades that it is made of.
    pub parts: Option<(u64, u64)>,
    /// When it came, by our clock.
    pub received: Timestamp,
}

impl Trade {
    /// How old it was when it came, by our clock and the venue's.
    pub(super) fn delay_ms(&self) -> Option<i64> {
        let at = Timestamp::parse(self.at.trim_matches('"').as_bytes()).ok()?;
        Some(self.received.millis().saturating_sub(at.millis()))
    }
}

/// The longest number of a venue, and the most digits of its exponent: what every reader of JSON can read.
const BYTES_MAX: usize = 64;
const EXPONENT_MAX: usize = 2;

/// Whether a text is a number as JSON writes one, not below zero, and of a size that numbers have.
#[must_use]
pub fn is_number(text: &str) -> bool {
    if text.len() > BYTES_MAX {
        return false;
    }
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|exponent| {
            let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            digits(exponent) && exponent.len() <= EXPONENT_MAX
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_json() {
        for text in ["0", "0.1", "12", "61837.63000000", "1e-8", "1.5E+3", "10"] {
            assert!(is_number(text) && serde_json::from_str::<f64>(text).is_ok(), "{text}");
        }
        for text in [
            "",
            "-1",
            ".5",
            "5.",
            "00",
            "01.5",
            "1e",
            "1e+",
            "NaN",
            "1,5",
            "0x1",
            " 1",
            "1 ",
            "+1",
            "1.2.3",
            "1e341",
            &"1".repeat(65),
        ] {
            assert!(!is_number(text), "{text}");
        }
    }
}
