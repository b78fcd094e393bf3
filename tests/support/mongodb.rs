//! What stands in the database.

use mongodb::bson::{Document, doc};
use mongodb::options::ClientOptions;
use std::time::Duration;

/// All documents of a collection, by `_id`.
pub fn documents(uri: &str, database: &str, collection: &str) -> Vec<Document> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut options = ClientOptions::parse(uri).await.expect("a connection string");
        options.server_selection_timeout = Some(Duration::from_secs(30));
        let client = mongodb::Client::with_options(options).expect("a client");
        let all_of_it = client.database(database).collection::<Document>(collection);
        let mut cursor = all_of_it.find(doc! {}).sort(doc! {"_id": 1}).await.expect("the database answers");
        let mut all = Vec::new();
        while cursor.advance().await.expect("the database answers") {
            all.push(cursor.deserialize_current().expect("a document"));
        }
        all
    })
}

/// Sets one number of a document.
pub fn set_number(uri: &str, database: &str, collection: &str, id: &str, path: &str, value: f64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = mongodb::Client::with_uri_str(uri).await.expect("a client");
        let collection = client.database(database).collection::<Document>(collection);
        let mut document = collection.find_one(doc! { "_id": id }).await.expect("an answer").expect("the document");
        let (outer, inner) = path.split_once('.').expect("a value within another");
        document.get_document_mut(outer).expect("that value").insert(inner, value);
        collection.replace_one(doc! { "_id": id }, document).await.expect("replaced");
    });
}
