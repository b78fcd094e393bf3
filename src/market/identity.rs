//! What makes a trade the one that it is: the id that its venue gave it, in eight bytes.

use super::fixed::eight_digits;
use serde::{Deserialize, Serialize};
use std::num::NonZeroU64;

/// Whose ids a trade's id is one of. Ids of two of these never mean the same trade.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum IdSpace {
    /// Of a record that says no more than that it is an id: a plain tick, a row of CSV.
    #[default]
    Plain = 1,
    /// The same of aggregate trades.
    PlainAggregate,
    /// Binance's spot markets, `trade`.
    BinanceSpot,
    /// Binance's spot markets, `aggTrade`.
    BinanceSpotAggregate,
    /// Binance's futures, `trade`.
    BinanceFutures,
    /// Binance's futures, `aggTrade`.
    BinanceFuturesAggregate,
    /// Coinbase, on all its channels.
    Coinbase,
    /// Kraken, v2.
    Kraken,
}

impl IdSpace {
    /// Whether it numbers aggregate trades.
    #[must_use]
    pub const fn is_aggregate(self) -> bool {
        matches!(self, Self::PlainAggregate | Self::BinanceSpotAggregate | Self::BinanceFuturesAggregate)
    }
}

/// A trade's id. Two trades of one symbol that have the same are the same trade.
///
/// A number below 2^59 is kept as it is, so that neighbours stay neighbours; any other id is kept as a hash of 59 bits, which is
/// the same in every run: beside 8,192 that are remembered, a new one is taken for one of them once in 10^13 times.
///
/// ```
/// use tickcast::market::{IdSpace, TradeId};
/// let id = |text: &str| TradeId::parse(IdSpace::Coinbase, text.as_bytes());
/// assert_eq!(id("280232").and_then(TradeId::number), Some(280_232));
/// assert_eq!(id("7f3c6e1a-0b57"), id("7f3c6e1a-0b57"));
/// assert_ne!(id("7f3c6e1a-0b57"), id("7f3c6e1a-0b58"));
/// assert_eq!((id(""), id("null")), (None, None));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TradeId(NonZeroU64);

/// Bits of the number or hash; above them one says which of both it is, and four say whose.
const NUMBER_BITS: u32 = 59;
const NUMBER_MASK: u64 = (1 << NUMBER_BITS) - 1;
const HASHED: u64 = 1 << NUMBER_BITS;
const SPACE_SHIFT: u32 = NUMBER_BITS + 1;
/// The most digits that are read as a number: any of so many fits 64 bits.
const DIGITS_MAX: usize = 18;
/// What stands in a column of ids where there is none: were it an id, each trade after the first would be a repeat.
const NONE: [&[u8]; 9] = [b"null", b"none", b"nan", b"na", b"n/a", b"nil", b"undefined", b"-", b"-1"];

impl TradeId {
    /// The trade that `space` numbers so.
    #[inline]
    #[must_use]
    pub fn new(space: IdSpace, number: u64) -> Self {
        if number <= NUMBER_MASK {
            return Self::of_bits(space, number);
        }
        Self::hashed(space, hash(SEED, &number.to_le_bytes()))
    }

    /// The trade whose id is this text: a number if it is digits, as a venue writes them. None where it says that there is none,
    /// as 0 does where the space is plain.
    #[inline]
    #[must_use]
    pub fn parse(space: IdSpace, text: &[u8]) -> Option<Self> {
        match (digits(text), space) {
            (Some(0), IdSpace::Plain | IdSpace::PlainAggregate) => None,
            (Some(number), _) => Some(Self::new(space, number)),
            (None, _) if is_none(text) => None,
            (None, _) => Some(Self::hashed(space, hash(SEED, text))),
        }
    }

    /// The same of one of many exchanges: it numbers its trades by itself. Of those whose own messages and files are read, the id is
    /// the one that these have.
    #[must_use]
    pub fn parse_at(exchange: &[u8], space: IdSpace, text: &[u8]) -> Option<Self> {
        let own = match (exchange, space) {
            (b"binance", IdSpace::Plain) => Some(IdSpace::BinanceSpot),
            (b"binance", IdSpace::PlainAggregate) => Some(IdSpace::BinanceSpotAggregate),
            (b"coinbase" | b"coinbase_advanced", IdSpace::Plain) => Some(IdSpace::Coinbase),
            (b"kraken", IdSpace::Plain) => Some(IdSpace::Kraken),
            _ => None,
        };
        if let Some(own) = own {
            return Self::parse(own, text);
        }
        let id = Self::parse(space, text)?;
        // Neighbours stay neighbours: the exchange's numbers begin elsewhere.
        Some(Self::hashed(space, hash(SEED, exchange).wrapping_add(id.0.get() & NUMBER_MASK)))
    }

    /// The number, where it is kept as one.
    #[must_use]
    pub const fn number(self) -> Option<u64> {
        let bits = self.0.get();
        if bits & HASHED == 0 { Some(bits & NUMBER_MASK) } else { None }
    }

    /// All of it: numbers that follow one another do so here.
    #[inline]
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0.get()
    }

    /// Appends what a tick's `trade_id` is to say in JSON, so that equal ids are equal when they are read again.
    pub fn write(self, out: &mut Vec<u8>) {
        match self.number() {
            Some(number) if self.0.get() >> SPACE_SHIFT == IdSpace::Plain as u64 => {
                out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
            }
            _ => out.extend_from_slice(format!("\"t{:016x}\"", self.0).as_bytes()),
        }
    }

    #[inline]
    fn hashed(space: IdSpace, hash: u64) -> Self {
        Self::of_bits(space, HASHED | hash & NUMBER_MASK)
    }

    #[inline]
    fn of_bits(space: IdSpace, bits: u64) -> Self {
        // No space is 0, so that this is not, either.
        Self(NonZeroU64::new((space as u64) << SPACE_SHIFT | bits).unwrap_or(NonZeroU64::MIN))
    }
}

impl std::fmt::Debug for TradeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = if self.number().is_some() { "" } else { "hash " };
        write!(f, "{}:{kind}{}", self.0.get() >> SPACE_SHIFT, self.0.get() & NUMBER_MASK)
    }
}

/// The number that a text of digits is, as it would be written.
#[inline]
fn digits(text: &[u8]) -> Option<u64> {
    if text.len() > DIGITS_MAX || text.is_empty() || (text[0] == b'0' && text.len() > 1) {
        return None;
    }
    let (mut number, mut rest) = (0_u64, text);
    while let Some((eight, after)) = rest.split_first_chunk::<8>() {
        number = number * 100_000_000 + eight_digits(*eight)? as u64;
        rest = after;
    }
    for byte in rest {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number * 10 + u64::from(digit);
    }
    Some(number)
}

#[cold]
fn is_none(text: &[u8]) -> bool {
    text.is_empty() || NONE.iter().any(|none| text.eq_ignore_ascii_case(none))
}

/// Where hashes begin. Changing it or the multiplier changes what is remembered of ids that are texts.
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;
const MULTIPLIER: u64 = 0xd6e8_feb8_6659_fd93;

/// A hash of bytes, eight at a time, the same everywhere and always.
fn hash(seed: u64, bytes: &[u8]) -> u64 {
    let fold = |word: u64| {
        let product = u128::from(word) * u128::from(MULTIPLIER);
        product as u64 ^ (product >> 64) as u64
    };
    let mut state = fold(seed ^ bytes.len() as u64);
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        state = fold(state.rotate_left(23) ^ u64::from_le_bytes(*word));
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    fold(fold(state.rotate_left(23) ^ u64::from_le_bytes(last)) ^ SEED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn digits_are_numbers_and_anything_else_is_hashed() {
        let number = |text: &str| TradeId::parse(IdSpace::Plain, text.as_bytes()).and_then(TradeId::number);
        for (text, expected) in [
            ("1", Some(1)),
            ("12345678", Some(12_345_678)),
            ("3735683259", Some(3_735_683_259)),
            ("576460752303423487", Some(NUMBER_MASK)),
            ("576460752303423488", None),
            ("999999999999999999", None),
            ("18446744073709551616", None),
            ("007", None),
            ("12a", None),
            ("1234567a", None),
            ("12345678x", None),
            ("4665846.0", None),
        ] {
            assert_eq!(number(text), expected, "{text}");
            assert!(TradeId::parse(IdSpace::Plain, text.as_bytes()).is_some(), "{text}");
        }
        for text in ["", "null", "None", "NaN", "-1", "0", "n/a"] {
            assert_eq!(TradeId::parse(IdSpace::Plain, text.as_bytes()), None, "{text}");
        }
        assert!(TradeId::parse(IdSpace::BinanceSpotAggregate, b"0").is_some(), "Binance counts from 0");
    }

    #[test]
    fn what_differs_in_anything_is_another_trade() {
        let texts: Vec<String> = (0..2000_u32)
            .flat_map(|n| {
                let uuid = format!("{n:08x}-0b57-4c36-88e5-{:012x}", u64::from(n) * 7919);
                [n.to_string(), uuid, "x".repeat(n as usize + 20), format!("{:020}", n + 1)]
            })
            .filter(|text| text != "0")
            .collect();
        let mut seen = BTreeSet::new();
        for text in &texts {
            for space in [IdSpace::Plain, IdSpace::Coinbase] {
                assert!(seen.insert(TradeId::parse(space, text.as_bytes()).unwrap()), "{text}");
                for exchange in ["binance", "bybit"] {
                    assert!(
                        seen.insert(TradeId::parse_at(exchange.as_bytes(), space, text.as_bytes()).unwrap()),
                        "{text}"
                    );
                }
            }
        }
        for exchange in ["coinbase", "coinbase_advanced"] {
            let of_both = TradeId::parse_at(exchange.as_bytes(), IdSpace::Plain, b"17");
            assert_eq!(of_both, TradeId::parse(IdSpace::Coinbase, b"17"), "one book: {exchange}");
        }
        assert_eq!(size_of::<Option<TradeId>>(), 8);
    }

    #[test]
    fn neighbours_stay_neighbours() {
        let at = |n: u64| TradeId::parse_at(b"bybit", IdSpace::Plain, n.to_string().as_bytes()).unwrap().bits();
        assert!((1..1000).all(|n| at(n + 1) == at(n) + 1));
        let plain = |n: u64| TradeId::new(IdSpace::Kraken, n).bits();
        assert!((1..1000).all(|n| plain(n + 1) == plain(n) + 1));
    }

    #[test]
    fn hashes_are_pinned() {
        // A change here forgets, in a resume, which texts were seen.
        assert_eq!(hash(SEED, b"7f3c6e1a-0b57-4c36-88e5-c9dd15927b16"), 7_490_305_214_486_516_912);
    }

    #[test]
    fn equal_ids_are_equal_when_they_are_written_and_read() {
        let mut seen = BTreeSet::new();
        for (space, text) in [
            (IdSpace::Plain, "17"),
            (IdSpace::BinanceSpot, "17"),
            (IdSpace::BinanceSpotAggregate, "17"),
            (IdSpace::Plain, "7f3c6e1a"),
        ] {
            let id = TradeId::parse(space, text.as_bytes()).unwrap();
            let mut out = Vec::new();
            id.write(&mut out);
            let text = String::from_utf8(out).unwrap();
            assert!(seen.insert(TradeId::parse(IdSpace::Plain, text.trim_matches('"').as_bytes()).unwrap()), "{text}");
        }
        assert!(seen.contains(&TradeId::new(IdSpace::Plain, 17)));
    }
}
