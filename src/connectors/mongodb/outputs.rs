//! What runs wrote into collections: values, since a database keeps no bytes.

use super::connect::connect;
use super::uri::Uri;
use crate::config::MongoSinkConfig;
use crate::connectors::input::InputError;
use crate::connectors::outputs::Visit;
use crate::delivery::{SinkError, Stop};
use crate::recovery::compare::{Content, Fields, Scalar};
use mongodb::bson::{Bson, Document, doc};
use std::time::Duration;

/// How long the database may take to answer one question.
const ANSWER_WAIT: Duration = Duration::from_secs(60);
/// Documents of one answer.
const BATCH: u32 = 2000;
/// Fields that say who wrote a document, not what was published.
const GUARDS: [&str; 2] = ["job", "generation"];

/// The connection string without its path, the database and the collection of `mongodb://HOST/DATABASE[.COLLECTION][?OPTIONS]`.
///
/// # Errors
/// When it names no database.
pub fn parts(text: &str) -> Result<(String, String, Option<String>), InputError> {
    let wrong = || {
        InputError::Failed("write mongodb://HOST:PORT/DATABASE or mongodb://HOST:PORT/DATABASE.COLLECTION".to_owned())
    };
    let (before, options) = text.split_once('?').map_or((text, None), |(before, options)| (before, Some(options)));
    let scheme = before.find("://").map_or(0, |at| at + 3);
    // A password may hold a slash only where it is escaped.
    let slash = before[scheme..].find('/').map(|at| at + scheme).ok_or_else(wrong)?;
    let (hosts, path) = (&before[..slash], &before[slash + 1..]);
    let (database, collection) = path.split_once('.').map_or((path, None), |(d, c)| (d, Some(c)));
    if database.is_empty() || collection.is_some_and(str::is_empty) {
        return Err(wrong());
    }
    let uri = format!("{hosts}/{}", options.map_or_else(String::new, |options| format!("?{options}")));
    Ok((uri, database.to_owned(), collection.map(str::to_owned)))
}

/// Hands on the documents of collections.
///
/// # Errors
/// When nobody answers or the server refuses. No message holds the password.
pub fn visit(uri: &str, database: &str, collections: &[String], visit: Visit<'_>) -> Result<(), InputError> {
    read(Uri::of_text(uri).map_err(|error| said(&error))?, database, collections, &doc! {}, visit)
}

/// Hands on the forecast and the score of an id, as far as a sink's collections have them.
///
/// # Errors
/// As [`visit`].
pub fn find(config: &MongoSinkConfig, id: &str, visit: Visit<'_>) -> Result<(), InputError> {
    let collections = [config.forecasts.clone(), config.scores.clone()];
    read(
        Uri::of_sink(config).map_err(|error| said(&error))?,
        &config.database,
        &collections,
        &doc! { "_id": id },
        visit,
    )
}

fn said(error: &SinkError) -> InputError {
    InputError::Failed(error.to_string())
}

fn read(
    uri: Uri,
    database: &str,
    collections: &[String],
    wanted: &Document,
    visit: Visit<'_>,
) -> Result<(), InputError> {
    let stop = Stop::default();
    let connected = connect(uri, database, &stop).map_err(|error| said(&error))?;
    let session = &connected.session;
    let failed = |trouble| InputError::Failed(connected.explain(&trouble).to_string());
    for name in collections {
        let collection = session.database.collection::<Document>(name);
        let find = async { collection.find(wanted.clone()).batch_size(BATCH).await };
        let mut cursor = session.run(find, ANSWER_WAIT, &stop).map_err(failed)?;
        loop {
            let next =
                async { if cursor.advance().await? { cursor.deserialize_current().map(Some) } else { Ok(None) } };
            let Some(document) = session.run(next, ANSWER_WAIT, &stop).map_err(failed)? else { break };
            visit(Content::Fields(fields(&document)));
        }
    }
    session.close();
    Ok(())
}

/// The values of a document, as the JSON has them.
fn fields(document: &Document) -> Fields {
    let mut fields = Fields::new();
    for (name, value) in document.iter().filter(|(name, _)| !GUARDS.contains(&name.as_str())) {
        let name = if name == "_id" { "id" } else { name };
        flatten(value, name.to_owned(), &mut fields);
    }
    // A row's id is ours alone: the JSON has none.
    if fields.contains_key("end") {
        fields.remove("id");
    }
    fields
}

fn flatten(value: &Bson, path: String, fields: &mut Fields) {
    let value = match value {
        Bson::Document(parts) if !parts.is_empty() => {
            return parts.iter().for_each(|(name, part)| flatten(part, format!("{path}.{name}"), fields));
        }
        Bson::Array(parts) if !parts.is_empty() => {
            let parts = parts.iter().enumerate();
            return parts.for_each(|(number, part)| flatten(part, format!("{path}.{number}"), fields));
        }
        Bson::Document(_) | Bson::Array(_) => Scalar::Empty,
        Bson::Null => Scalar::Null,
        Bson::Boolean(flag) => Scalar::Flag(*flag),
        Bson::Double(number) => Scalar::Number(*number),
        Bson::Int32(number) => Scalar::Number(f64::from(*number)),
        Bson::Int64(number) => Scalar::Number(*number as f64),
        Bson::DateTime(at) => Scalar::Number(at.timestamp_millis() as f64),
        Bson::String(text) => Scalar::Text(text.clone()),
        other => Scalar::Text(other.to_string()),
    };
    fields.insert(path, value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectors::mongodb::documents;
    use crate::delivery::test_records;
    use crate::market::json::{write_forecast, write_score};
    use mongodb::bson::RawDocumentBuf;

    #[test]
    fn a_document_has_the_values_of_the_json() {
        let same = |document: RawDocumentBuf, id: String, json: Vec<u8>| {
            let mut document = document.to_document().unwrap();
            document.insert("_id", id);
            document.insert("job", "btc");
            document.insert("generation", 4_i64);
            assert_eq!(Some(fields(&document)), Content::Json(json).fields());
        };
        let forecast = test_records::forecast("BTC", 1_611_239_640_000);
        let mut json = Vec::new();
        write_forecast(&forecast, &mut json);
        same(documents::forecast(&forecast), forecast.id(), json);
        for score in [true, false].map(|scored| test_records::score("BTC", 1_611_239_640_000, scored)) {
            let mut json = Vec::new();
            write_score(&score, &mut json);
            same(documents::score(&score), score.id(), json);
        }
    }

    #[test]
    fn a_connection_string_names_database_and_collection() {
        let read = |text: &str| parts(text).unwrap();
        let owned = |uri: &str, database: &str, collection: Option<&str>| {
            (uri.to_owned(), database.to_owned(), collection.map(str::to_owned))
        };
        assert_eq!(read("mongodb://h:1/bitcoin"), owned("mongodb://h:1/", "bitcoin", None));
        assert_eq!(
            read("mongodb://u:p@h:1,g:2/bitcoin.scores?directConnection=true"),
            owned("mongodb://u:p@h:1,g:2/?directConnection=true", "bitcoin", Some("scores"))
        );
        for wrong in ["mongodb://h:1", "mongodb://h:1/", "mongodb://h:1/?a=b", "mongodb://h/.x", "mongodb://h/x."] {
            assert!(parts(wrong).is_err(), "{wrong}");
        }
    }
}
