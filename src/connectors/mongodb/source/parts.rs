//! A collection as partitions: what is in it, in which order each part is read, and where reading goes on.
//!
//! Documents that say which record they were (`topic`, `partition`, `offset`) are read record by record: one partition for
//! each of theirs, in the order of offsets. So a tick that was in time when it came is in time again, however the records
//! of several partitions were mixed. All others (the student project's) have only their `timestamp`, and are read in its
//! order, as one partition for each type that it may have: values of different types cannot be compared.

use crate::market::Timestamp;
use mongodb::bson::raw::RawBsonRef;
use mongodb::bson::{Bson, DateTime, Document, RawDocument, doc};

/// One partition of the collection.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Part {
    /// What is read.
    filter: Document,
    order: Order,
    /// For people: `btc.ticks/3`; empty for documents that do not say.
    pub(super) name: String,
}

/// In which order a part is read.
#[derive(Clone, Debug, PartialEq)]
enum Order {
    /// By `offset`; ids of these documents begin so, and the rest of an id is `offset` or `offset/index`.
    Offset { id_head: String },
    /// By `timestamp`, all of one type.
    Time,
    /// By `_id`: these have no stamp that could be used.
    Id,
}

/// Documents that say which record they were.
fn numbered() -> Document {
    doc! { "topic": { "$type": "string" }, "partition": { "$type": "number" }, "offset": { "$type": "number" } }
}

/// The other documents.
fn unnumbered() -> Document {
    let lacks: Vec<Document> =
        numbered().into_iter().map(|(name, is_typed)| doc! { name: { "$not": is_typed } }).collect();
    doc! { "$or": lacks }
}

/// Documents of the range; those whose stamp is no date are left to who decodes it.
fn within(range: (Option<Timestamp>, Option<Timestamp>)) -> Option<Document> {
    let mut dates = Document::new();
    for (operator, at) in [("$gte", range.0), ("$lt", range.1)] {
        if let Some(at) = at {
            dates.insert(operator, DateTime::from_millis(at.millis()));
        }
    }
    let others = doc! { "timestamp": { "$not": { "$type": "date" } } };
    (!dates.is_empty()).then(|| doc! { "$or": [{ "timestamp": dates }, others] })
}

fn all_of(filters: impl IntoIterator<Item = Document>) -> Document {
    doc! { "$and": filters.into_iter().collect::<Vec<_>>() }
}

type Range = (Option<Timestamp>, Option<Timestamp>);

/// The pipeline that finds the topics and partitions which documents name.
pub(super) fn pipeline(range: Range) -> Vec<Document> {
    let filter = all_of([numbered()].into_iter().chain(within(range)));
    let group = doc! { "_id": { "topic": "$topic", "partition": "$partition" } };
    vec![doc! { "$match": filter }, doc! { "$group": group }]
}

/// The parts of what [`pipeline`] gave, by topic and partition.
pub(super) fn numbered_parts(groups: &[Document], range: Range) -> Vec<Part> {
    let pair = |group: &Document| {
        let id = group.get_document("_id").ok()?;
        Some((id.get_str("topic").ok()?.to_owned(), id.get("partition")?.clone()))
    };
    let number = |value: &Bson| match value {
        Bson::Int32(number) => f64::from(*number),
        Bson::Int64(number) => *number as f64,
        Bson::Double(number) => *number,
        _ => f64::NAN,
    };
    let mut pairs: Vec<(String, Bson)> = groups.iter().filter_map(pair).collect();
    pairs.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| number(&a.1).total_cmp(&number(&b.1))));
    let part = |(topic, partition): (String, Bson)| {
        let name = format!("{topic}/{}", number(&partition));
        let exactly = doc! { "topic": topic, "partition": partition, "offset": { "$type": "number" } };
        let filter = all_of([exactly].into_iter().chain(within(range)));
        Part { filter, order: Order::Offset { id_head: format!("{name}/") }, name }
    };
    pairs.into_iter().map(part).collect()
}

/// The parts of documents that do not say which record they were; some may be empty.
pub(super) fn unnumbered_parts(range: Range) -> Vec<Part> {
    let types = ["date", "string", "number"];
    let part = |stamp: Document, order| {
        let filters = [unnumbered(), doc! { "timestamp": stamp }].into_iter().chain(within(range));
        Part { filter: all_of(filters), order, name: String::new() }
    };
    let typed = types.map(|name| part(doc! { "$type": name }, Order::Time));
    let rest = part(doc! { "$not": { "$type": types.to_vec() } }, Order::Id);
    typed.into_iter().chain([rest]).collect()
}

/// How far a part is read.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Place {
    /// What the last document was sorted by.
    key: Option<Key>,
    /// How many documents with this key are read.
    with_key: u64,
    /// How many documents are read.
    read: u64,
}

/// What documents are sorted by; numbers are equal whatever their types, as for the server.
#[derive(Clone, Debug, PartialEq)]
enum Key {
    Whole(i64),
    Number(f64),
    Date(DateTime),
    Text(String),
}

impl Key {
    fn of(value: RawBsonRef<'_>) -> Option<Self> {
        /// Below, whole doubles are exact as integers.
        const WHOLE_MAX: f64 = 9e15;
        match value {
            RawBsonRef::Int32(number) => Some(Self::Whole(i64::from(number))),
            RawBsonRef::Int64(number) => Some(Self::Whole(number)),
            RawBsonRef::Double(number) if number.fract() == 0.0 && number.abs() < WHOLE_MAX => {
                Some(Self::Whole(number as i64))
            }
            RawBsonRef::Double(number) => Some(Self::Number(number)),
            RawBsonRef::DateTime(date) => Some(Self::Date(date)),
            RawBsonRef::String(text) => Some(Self::Text(text.to_owned())),
            _ => None,
        }
    }

    fn to_bson(&self) -> Bson {
        match self {
            Self::Whole(number) => Bson::Int64(*number),
            Self::Number(number) => Bson::Double(*number),
            Self::Date(date) => Bson::DateTime(*date),
            Self::Text(text) => Bson::String(text.clone()),
        }
    }
}

impl Part {
    fn field(&self) -> &'static str {
        match self.order {
            Order::Offset { .. } => "offset",
            Order::Time => "timestamp",
            Order::Id => "_id",
        }
    }

    /// Everything in it.
    pub(super) fn filter(&self) -> Document {
        self.filter.clone()
    }

    /// A total order, so that every cursor gives the same sequence.
    pub(super) fn sort(&self) -> Document {
        match self.order {
            Order::Id => doc! { "_id": 1 },
            Order::Offset { .. } | Order::Time => doc! { self.field(): 1, "_id": 1 },
        }
    }

    /// What is left behind `place`: a filter, and how many of its first documents are read already. Ids are only
    /// counted, since they may be of several types, of which a filter would compare only one.
    pub(super) fn rest(&self, place: &Place) -> (Document, u64) {
        match &place.key {
            Some(key) => {
                let from = doc! { self.field(): { "$gte": key.to_bson() } };
                (all_of([self.filter.clone(), from]), place.with_key)
            }
            None => (self.filter.clone(), place.read),
        }
    }

    /// Notes that a document is read. True where it begins another record than the one before.
    pub(super) fn advance(&self, place: &mut Place, document: &RawDocument) -> bool {
        place.read += 1;
        if self.order == Order::Id {
            return true;
        }
        let key = document.get(self.field()).ok().flatten().and_then(Key::of);
        let is_new = key.is_none() || key != place.key;
        place.with_key = if is_new { 1 } else { place.with_key + 1 };
        place.key = key;
        is_new || self.order == Order::Time
    }

    /// Which of the trades of its record a document holds: ids of later ones end in `/1`, `/2`, …
    pub(super) fn index(&self, document: &RawDocument) -> u64 {
        let Order::Offset { id_head } = &self.order else { return 0 };
        let id = document.get_str("_id").unwrap_or_default();
        let rest = id.strip_prefix(id_head.as_str()).and_then(|rest| rest.split_once('/'));
        rest.and_then(|(_, index)| index.parse().ok()).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::RawDocumentBuf;

    fn group(topic: &str, partition: impl Into<Bson>) -> Document {
        doc! { "_id": { "topic": topic, "partition": partition.into() } }
    }

    fn raw(document: &Document) -> RawDocumentBuf {
        RawDocumentBuf::from_document(document).unwrap()
    }

    #[test]
    fn partitions_come_in_the_order_of_their_numbers() {
        let groups = [group("b", 10_i64), group("b", 9.0), group("b", 2_i32), group("a", 11_i64)];
        let names: Vec<String> = numbered_parts(&groups, (None, None)).into_iter().map(|part| part.name).collect();
        assert_eq!(names, ["a/11", "b/2", "b/9", "b/10"]);
    }

    #[test]
    fn a_range_is_for_dates_only() {
        let at = Timestamp::from_millis(5);
        assert_eq!(within((None, None)), None);
        let dates = doc! { "$gte": DateTime::from_millis(5) };
        let others = doc! { "timestamp": { "$not": { "$type": "date" } } };
        assert_eq!(within((Some(at), None)), Some(doc! { "$or": [{ "timestamp": dates }, others] }));
    }

    #[test]
    fn reading_goes_on_behind_the_last_document() {
        let part = &numbered_parts(&[group("t", 0_i64)], (None, None))[0];
        let mut place = Place::default();
        assert_eq!(part.rest(&place), (part.filter(), 0));
        let documents =
            [doc! { "offset": 4_i32 }, doc! { "offset": 5_i32 }, doc! { "offset": 5_i64 }, doc! { "offset": 5.0 }];
        let begun = documents.map(|document| part.advance(&mut place, &raw(&document)));
        assert_eq!(begun, [true, true, false, false]);
        let (filter, skip) = part.rest(&place);
        assert_eq!(skip, 3);
        assert_eq!(filter, doc! { "$and": [part.filter(), { "offset": { "$gte": 5_i64 } }] });
        // Without anything to compare, what is read is counted.
        let rest = unnumbered_parts((None, None)).pop().unwrap();
        let mut place = Place::default();
        assert!(
            [doc! { "_id": 1 }, doc! { "_id": "x" }].iter().all(|document| rest.advance(&mut place, &raw(document)))
        );
        assert_eq!(rest.rest(&place), (rest.filter(), 2));
    }

    #[test]
    fn later_trades_of_a_record_are_known_by_their_ids() {
        let part = &numbered_parts(&[group("a/b", 3_i64)], (None, None))[0];
        for (id, index) in [("a/b/3/7", 0), ("a/b/3/7/1", 1), ("a/b/3/7/12", 12), ("other", 0), ("a/b/3/7/x", 0)] {
            assert_eq!(part.index(&raw(&doc! { "_id": id })), index, "{id}");
        }
        assert_eq!(part.index(&raw(&doc! { "_id": 5 })), 0);
    }
}
