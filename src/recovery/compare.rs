//! Whether two runs published the same: digests that do not depend on the order of arrival, and, where they differ, the first
//! record and field that do.

use crate::market::Timestamp;
use serde_json::value::RawValue;
use sha2::Digest as _;
use std::collections::BTreeMap;

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A feature row.
    Features,
    /// A forecast.
    Forecasts,
    /// A score.
    Scores,
    /// A record that was not used.
    DeadLetters,
    /// Anything else.
    Other,
}

impl Kind {
    /// For people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Features => "features",
            Self::Forecasts => "forecasts",
            Self::Scores => "scores",
            Self::DeadLetters => "dead letters",
            Self::Other => "other records",
        }
    }
}

/// A value without parts.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    /// `null`.
    Null,
    /// `true` or `false`.
    Flag(bool),
    /// A number, by its bits.
    Number(f64),
    /// A text.
    Text(String),
    /// A list or an object without anything in it.
    Empty,
}

impl std::fmt::Display for Scalar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Flag(flag) => flag.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Empty => f.write_str("nothing"),
        }
    }
}

/// The values of a record by their paths (`interval.lower`), in the order of the paths.
pub type Fields = BTreeMap<String, Scalar>;

/// What is known of a record, as one place has it.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// The bytes of a JSON object.
    Json(Vec<u8>),
    /// Its values; from a database, which keeps no bytes.
    Fields(Fields),
}

/// Names of fields that hold a time: places write them otherwise, and they are compared as epoch ms.
const TIMES: &[&str] = &["issued_at", "target_at", "trained_through", "changed_at", "end"];

impl Content {
    /// The values; none where it is no JSON object.
    #[must_use]
    pub fn fields(&self) -> Option<Fields> {
        match self {
            Self::Fields(fields) => Some(fields.clone()),
            Self::Json(bytes) => {
                let text = std::str::from_utf8(bytes).ok()?.trim();
                let mut fields = Fields::new();
                (text.starts_with('{') && flatten(text, "", &mut fields).is_some()).then_some(fields)
            }
        }
    }

    /// What it is, and where it stands among its kind: by event time, then by name.
    #[must_use]
    pub fn place(&self) -> (Kind, Place) {
        let Some(fields) = self.fields() else { return (Kind::Other, Place::of_bytes(self)) };
        let number = |name: &str| match fields.get(name) {
            Some(Scalar::Number(number)) => Some(*number as i64),
            _ => None,
        };
        let text = |name: &str| match fields.get(name) {
            Some(Scalar::Text(text)) => text.clone(),
            _ => String::new(),
        };
        let id = || format!("{} {:>24} {}", text("symbol"), text("horizon"), text("id"));
        if let Some(at) = number("issued_at") {
            return (Kind::Forecasts, Place { at, name: id() });
        }
        if let Some(at) = number("target_at") {
            return (Kind::Scores, Place { at, name: id() });
        }
        if let Some(at) = number("end") {
            return (Kind::Features, Place { at, name: text("symbol") });
        }
        if let (Some(offset), Some(partition), true) =
            (number("offset"), number("partition"), fields.contains_key("error"))
        {
            let name = format!("{}/{partition}/{offset}", text("topic"));
            return (Kind::DeadLetters, Place { at: offset, name });
        }
        (Kind::Other, Place::of_bytes(self))
    }
}

/// Where a record stands among its kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Event time in epoch ms; of a dead letter, its offset.
    pub at: i64,
    /// Its name.
    pub name: String,
}

impl Place {
    fn of_bytes(content: &Content) -> Self {
        let bytes = if let Content::Json(bytes) = content { bytes.as_slice() } else { &[] };
        Self { at: 0, name: hexadecimal(&sha2::Sha256::digest(bytes)) }
    }
}

/// Adds the values of a JSON text; none where it is no JSON.
fn flatten(text: &str, path: &str, fields: &mut Fields) -> Option<()> {
    let at = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    let text = text.trim();
    let value = match text.as_bytes().first()? {
        b'{' => {
            let parts: BTreeMap<String, Box<RawValue>> = serde_json::from_str(text).ok()?;
            if !parts.is_empty() {
                return parts.iter().try_for_each(|(name, raw)| flatten(raw.get(), &at(name), fields));
            }
            Scalar::Empty
        }
        b'[' => {
            let parts: Vec<Box<RawValue>> = serde_json::from_str(text).ok()?;
            if !parts.is_empty() {
                let mut parts = parts.iter().enumerate();
                return parts.try_for_each(|(number, raw)| flatten(raw.get(), &at(&number.to_string()), fields));
            }
            Scalar::Empty
        }
        b'"' => {
            let text: String = serde_json::from_str(text).ok()?;
            let name = path.rsplit('.').next().unwrap_or(path);
            match Timestamp::parse(text.as_bytes()) {
                Ok(at) if TIMES.contains(&name) => Scalar::Number(at.millis() as f64),
                _ => Scalar::Text(text),
            }
        }
        b'-' | b'0'..=b'9' => Scalar::Number(text.parse().ok()?),
        _ => serde_json::from_str::<Option<bool>>(text).ok()?.map_or(Scalar::Null, Scalar::Flag),
    };
    fields.insert(path.to_owned(), value);
    Some(())
}

/// The digest of one record: of its bytes, or, where one of the two places has none, of its values.
fn digest_of(content: &Content, by_values: bool) -> [u8; 32] {
    let mut hash = sha2::Sha256::new();
    match (content, by_values.then(|| content.fields()).flatten()) {
        (Content::Json(bytes), None) => hash.update(bytes),
        (_, Some(fields)) => hash_fields(&fields, &mut hash),
        (Content::Fields(fields), None) => hash_fields(fields, &mut hash),
    }
    hash.finalize().into()
}

fn hash_fields(fields: &Fields, hash: &mut sha2::Sha256) {
    for (path, value) in fields {
        hash.update(path);
        match value {
            Scalar::Null => hash.update([0, 0]),
            Scalar::Flag(flag) => hash.update([0, 1, u8::from(*flag)]),
            Scalar::Number(number) => {
                hash.update([0, 2]);
                hash.update((number + 0.0).to_bits().to_le_bytes());
            }
            Scalar::Text(text) => {
                hash.update([0, 3]);
                hash.update((text.len() as u64).to_le_bytes());
                hash.update(text);
            }
            Scalar::Empty => hash.update([0, 4]),
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How many records there are, and the sum of their digests: the same for any order of arrival.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// How many.
    pub records: u64,
    sum: [u128; 2],
}

impl Total {
    fn add(&mut self, digest: [u8; 32]) {
        let (low, high) = digest.split_at(16);
        let half = |bytes: &[u8]| bytes.iter().fold(0_u128, |sum, byte| sum << 8 | u128::from(*byte));
        self.records += 1;
        self.sum[0] = self.sum[0].wrapping_add(half(low));
        self.sum[1] = self.sum[1].wrapping_add(half(high));
    }
}

impl std::fmt::Display for Total {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}{:032x}", self.sum[0], self.sum[1])
    }
}

/// The totals of one place, by kind.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    by_values: bool,
    kinds: BTreeMap<Kind, Total>,
}

impl Totals {
    /// Of nothing so far. `by_values`: whether the values count, not the bytes.
    #[must_use]
    pub fn new(by_values: bool) -> Self {
        Self { by_values, kinds: BTreeMap::new() }
    }

    /// Adds a record.
    pub fn add(&mut self, content: &Content) {
        self.kinds.entry(content.place().0).or_default().add(digest_of(content, self.by_values));
    }

    /// Of one kind.
    #[must_use]
    pub fn of(&self, kind: Kind) -> Total {
        self.kinds.get(&kind).copied().unwrap_or_default()
    }

    /// The kinds that there are any of.
    pub fn kinds(&self) -> impl Iterator<Item = Kind> {
        self.kinds.keys().copied()
    }
}

/// Which records of a kind a place has, and their digests: for finding the first that differs.
#[derive(Debug, Default)]
pub struct Index {
    by_values: bool,
    places: BTreeMap<Place, Vec<[u8; 16]>>,
}

/// How two places differ at a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Differs {
    /// Only the first has it, so many times more than the second.
    OnlyFirst(usize),
    /// The other way round.
    OnlySecond(usize),
    /// Both have it, and it is not the same.
    Content,
}

impl Index {
    /// Of nothing so far.
    #[must_use]
    pub fn new(by_values: bool) -> Self {
        Self { by_values, places: BTreeMap::new() }
    }

    /// Adds a record at its place.
    pub fn add(&mut self, place: Place, content: &Content) {
        let digest = digest_of(content, self.by_values);
        let mut half = [0; 16];
        half.copy_from_slice(&digest[..16]);
        self.places.entry(place).or_default().push(half);
    }

    /// The first place, by event time, at which they differ.
    #[must_use]
    pub fn first_difference(&mut self, other: &mut Self) -> Option<(Place, Differs)> {
        for digests in self.places.values_mut().chain(other.places.values_mut()) {
            digests.sort_unstable();
        }
        let differs = |place: &Place| {
            let none = Vec::new();
            let (one, two) = (self.places.get(place).unwrap_or(&none), other.places.get(place).unwrap_or(&none));
            match one.len().cmp(&two.len()) {
                std::cmp::Ordering::Greater => Some(Differs::OnlyFirst(one.len() - two.len())),
                std::cmp::Ordering::Less => Some(Differs::OnlySecond(two.len() - one.len())),
                std::cmp::Ordering::Equal => (one != two).then_some(Differs::Content),
            }
        };
        let first = self.places.keys().find(|place| differs(place).is_some());
        let second = other.places.keys().find(|place| differs(place).is_some());
        let place = first.into_iter().chain(second).min()?.clone();
        let differs = differs(&place)?;
        Some((place, differs))
    }
}

/// The first value, by path, that two records of one name do not have in common: its path and what each has.
#[must_use]
pub fn first_field(one: &Content, two: &Content) -> Option<(String, String, String)> {
    let (Some(one), Some(two)) = (one.fields(), two.fields()) else { return None };
    let bits = |value: &Scalar| match value {
        Scalar::Number(number) => Some((number + 0.0).to_bits()),
        _ => None,
    };
    let same = |a: &Scalar, b: &Scalar| match (bits(a), bits(b)) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    };
    let differs = |path: &&String| match (one.get(*path), two.get(*path)) {
        (Some(a), Some(b)) => !same(a, b),
        _ => true,
    };
    let path = one.keys().chain(two.keys()).filter(differs).min()?;
    let shown = |fields: &Fields| fields.get(path).map_or_else(|| "nothing".to_owned(), Scalar::to_string);
    Some((path.clone(), shown(&one), shown(&two)))
}

#[cfg(test)]
mod tests;
