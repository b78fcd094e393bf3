//! A document as JSON, for the decoder and for dead letters.

use crate::market::Timestamp;
use mongodb::bson::raw::RawBsonRef;
use mongodb::bson::{Bson, RawDocument};

/// Appends a document: numbers as the shortest decimals that read as them, dates as RFC 3339, decimals as texts, what no
/// tick has (ids, binary data) as extended JSON. A document that is no BSON stays the bytes that it is: the decoder says so.
pub(super) fn write(document: &RawDocument, out: &mut Vec<u8>) {
    let start = out.len();
    out.push(b'{');
    for element in document {
        let Ok((name, value)) = element else {
            out.truncate(start);
            out.extend_from_slice(document.as_bytes());
            return;
        };
        if out.len() > start + 1 {
            out.push(b',');
        }
        text(name, out);
        out.push(b':');
        write_value(value, out);
    }
    out.push(b'}');
}

fn text(text: &str, out: &mut Vec<u8>) {
    // Writing to a Vec cannot fail, and neither can a str's serialisation.
    let _ = serde_json::to_writer(out, text);
}

fn write_value(value: RawBsonRef<'_>, out: &mut Vec<u8>) {
    match value {
        RawBsonRef::Double(number) if number.is_finite() => {
            out.extend_from_slice(ryu::Buffer::new().format_finite(number).as_bytes());
        }
        RawBsonRef::Double(number) => text(&number.to_string(), out),
        RawBsonRef::Int32(number) => out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes()),
        RawBsonRef::Int64(number) => out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes()),
        RawBsonRef::Decimal128(number) => text(&number.to_string(), out),
        RawBsonRef::String(string) => text(string, out),
        RawBsonRef::DateTime(date) => text(&Timestamp::from_millis(date.timestamp_millis()).to_string(), out),
        RawBsonRef::Boolean(value) => out.extend_from_slice(if value { b"true" } else { b"false" }),
        RawBsonRef::Null | RawBsonRef::Undefined => out.extend_from_slice(b"null"),
        other => match Bson::try_from(other.to_raw_bson()) {
            // A value of serde_json has only keys that are texts, and can be written.
            Ok(bson) => drop(serde_json::to_writer(out, &bson.into_relaxed_extjson())),
            Err(_) => text("no BSON", out),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::Decoder;
    use crate::market::SymbolTable;
    use mongodb::bson::oid::ObjectId;
    use mongodb::bson::spec::BinarySubtype;
    use mongodb::bson::{Binary, DateTime, RawDocumentBuf, doc};
    use std::str::FromStr as _;

    fn json(document: &mongodb::bson::Document) -> String {
        let mut out = Vec::new();
        write(&RawDocumentBuf::from_document(document).unwrap(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_type_is_json() {
        let id = ObjectId::parse_str("507f1f77bcf86cd799439011").unwrap();
        let binary = Binary { subtype: BinarySubtype::Generic, bytes: vec![1] };
        let decimal = mongodb::bson::Decimal128::from_str("31571.74").unwrap();
        let document = doc! {
            "_id": id, "a\"": 31571.74, "b": 7_i32, "c": -7_i64, "d": decimal, "e": "x\ny", "f": DateTime::from_millis(1),
            "g": true, "h": null, "i": [1_i32, "x"], "j": { "k": binary }, "l": f64::NAN, "m": 1e300,
        };
        let expected = r#"{"_id":{"$oid":"507f1f77bcf86cd799439011"},"a\"":31571.74,"b":7,"c":-7,"d":"31571.74","e":"x\ny","f":"1970-01-01T00:00:00.001Z","g":true,"h":null,"i":[1,"x"],"j":{"k":{"$binary":{"base64":"AQ==","subType":"00"}}},"l":"NaN","m":1e300}"#;
        assert_eq!(json(&document), expected);
        assert_eq!(json(&doc! {}), "{}");
    }

    #[test]
    fn documents_are_ticks_or_say_why_not() {
        let at = DateTime::from_millis(1_611_239_671_964);
        let seed = doc! { "_id": ObjectId::new(), "price_usd": 31571.742818217568, "timestamp": "2021-01-21T14:34:31.964034086Z",
        "open": 1.5, "high": 2.5, "low": 0.5, "close": 1.0, "volume": 806986987.75 };
        let ours = doc! { "_id": "t/0/7", "symbol": "ETH", "timestamp": at, "price_usd": 0.1, "size": 3_i32, "side": "sell",
        "topic": "t", "partition": 0_i64, "offset": 7_i64 };
        let (mut symbols, mut out) = (SymbolTable::default(), Vec::new());
        let mut decoder = Decoder::documents(Some(crate::market::Symbol::new("BTC").unwrap()));
        for document in [&seed, &ours] {
            decoder.decode(None, json(document).as_bytes(), &mut symbols, &mut out).unwrap();
        }
        assert_eq!(symbols.name(out[0].symbol).as_str(), "BTC");
        assert_eq!(symbols.name(out[1].symbol).as_str(), "ETH");
        assert!(out.iter().all(|observation| observation.at.millis() == 1_611_239_671_964));
        assert_eq!(out[0].quote.price().to_string(), "31571.74281822");
        assert_eq!(out[0].reported.as_ref().unwrap().volume, Some(806_986_987.75));
        // What the market traded in an hour is not the size of this tick.
        assert!(matches!(out[0].quote, crate::market::Quote::Tick { size, .. } if size.raw() == 0));
        let crate::market::Quote::Tick { size, side, .. } = out[1].quote else { panic!("a tick") };
        assert_eq!((size.to_string().as_str(), side), ("3", Some(crate::market::Side::Sell)));
        for (change, reason) in [
            (doc! { "price_usd": null }, "missing_field"),
            (doc! { "price_usd": "x" }, "wrong_field"),
            (doc! { "price_usd": { "a": 1 } }, "wrong_field"),
            (doc! { "timestamp": DateTime::from_millis(5) }, "wrong_field"),
            (doc! { "symbol": 5 }, "wrong_field"),
        ] {
            let mut wrong = seed.clone();
            wrong.extend(change.clone());
            let error = decoder.decode(None, json(&wrong).as_bytes(), &mut symbols, &mut out).unwrap_err();
            assert_eq!(error.reason, reason, "{change}");
        }
    }
}
