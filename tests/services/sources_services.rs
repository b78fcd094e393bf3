//! The same market gives the same bytes from files, from Kafka and from the database; what the database holds is read in the
//! order of the records that it was, whole, however often the connection breaks.

use crate::markets;
use crate::proxy::Proxy;
use crate::support;
use crate::support::{Finished, Services, run_to_end, tickcast, unique};
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{DateTime, Document, doc};
use mongodb::{Client, Database};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tickcast::config::MongoSourceConfig;
use tickcast::connectors::input::{Flow, Input as _, PartitionState, Payload};
use tickcast::connectors::mongodb::source::MongoSource;
use tickcast::delivery::Stop;
use tickcast::market::{PartitionId, SymbolTable, Timestamp};

const WITHIN: Duration = Duration::from_secs(600);

/// A database of its own for each test, removed at the end.
struct Fixture {
    runtime: tokio::runtime::Runtime,
    database: Database,
    config: MongoSourceConfig,
}

impl Fixture {
    fn new(services: &Services) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let uri = services.mongodb().to_owned();
        let name = unique("sources");
        let client = runtime.block_on(async { Client::with_uri_str(&uri).await.unwrap() });
        let config = MongoSourceConfig { uri, database: name.clone(), ..MongoSourceConfig::default() };
        Self { database: client.database(&name), runtime, config }
    }

    fn insert(&self, documents: &[Document]) {
        let collection = self.database.collection::<Document>("data");
        for chunk in documents.chunks(1000) {
            self.runtime.block_on(async { collection.insert_many(chunk).await.unwrap() });
        }
    }

    /// A proxy before the server, and a configuration that goes through it.
    fn proxied(&self) -> (Proxy, MongoSourceConfig) {
        let rest = self.config.uri.strip_prefix("mongodb://").unwrap();
        let (host, options) = rest.split_once('/').unwrap();
        let proxy = Proxy::before(host.to_owned());
        let uri = format!("mongodb://{}/{options}&serverSelectionTimeoutMS=300", proxy.address);
        let config = MongoSourceConfig { uri, ..self.config.clone() };
        (proxy, config)
    }

    /// What `key=value` settings name this database as the source.
    fn sets(&self, uri: &str) -> Vec<String> {
        let database = format!("source.mongodb.database={}", self.config.database);
        vec![format!("source.mongodb.uri={uri}"), database]
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let _ = self.runtime.block_on(async { self.database.drop().await });
    }
}

/// Backfills with these settings.
fn backfill(sets: &[String], workers: usize) -> Finished {
    let workers = workers.to_string();
    let sets = sets.iter().flat_map(|set| ["--set", set.as_str()]);
    run_to_end(tickcast(["backfill", "--json", "--workers", &workers].into_iter().chain(sets)), WITHIN)
}

/// The files that a backfill with these settings writes.
fn results(dir: &Path, name: &str, sets: &[String], workers: usize) -> [Vec<u8>; 3] {
    let out = dir.join(name);
    let mut sets = sets.to_vec();
    sets.push(format!("sink.files.dir={}", out.display()));
    backfill(&sets, workers).expect_code(0);
    ["features.jsonl", "forecasts.jsonl", "scores.jsonl"].map(|file| std::fs::read(out.join(file)).unwrap())
}

/// Every record as (number, JSON), partition by partition; `at` is called with the number of records read before each.
fn read_all(
    config: &MongoSourceConfig,
    range: (Option<Timestamp>, Option<Timestamp>),
    mut at: impl FnMut(usize),
) -> Vec<(String, Vec<serde_json::Value>)> {
    let stop = Stop::default();
    let source = MongoSource::open(config, range, &stop).unwrap();
    let mut all: Vec<(PartitionId, String, Vec<serde_json::Value>)> = Vec::new();
    let mut count = 0;
    for worker in 0..2 {
        let mut input = source.input(worker, 2, &stop).unwrap();
        for partition in input.partitions() {
            let mut records = Vec::new();
            let mut symbols = SymbolTable::default();
            loop {
                let state = input.read(partition, 100, &mut symbols, &mut |record, _| {
                    assert_eq!(record.offset, records.len() as u64);
                    at(count);
                    count += 1;
                    let Payload::Bytes(bytes) = record.value else { panic!("bytes") };
                    records.push(serde_json::from_slice(bytes).unwrap());
                    Flow::Continue
                });
                if state.unwrap() == PartitionState::Ended {
                    break;
                }
            }
            all.push((partition, input.topic(partition).to_string(), records));
        }
    }
    all.sort_by_key(|(partition, ..)| *partition);
    all.into_iter().map(|(_, topic, records)| (topic, records)).collect()
}

fn stamp(number: i64) -> DateTime {
    DateTime::from_millis(1_611_239_671_000 + number)
}

fn stored(partition: i64, offset: i64, index: u32) -> Document {
    let id = format!("t.x/{partition}/{offset}");
    let id = if index == 0 { id } else { format!("{id}/{index}") };
    doc! { "_id": id, "symbol": "BTC", "timestamp": stamp(offset), "price_usd": 1.5, "topic": "t.x", "partition": partition,
    "offset": offset }
}

fn ids(records: &[serde_json::Value]) -> Vec<&str> {
    records.iter().map(|record| record["_id"].as_str().unwrap()).collect()
}

#[test]
#[ignore = "needs services: run ./deploy/test"]
fn a_market_is_the_same_from_files_kafka_and_the_database() {
    let Some(market) = markets::ticks(0.75) else { return };
    let services = Services::shared();
    let fixture = Fixture::new(&services);
    let dir = support::temp_dir();
    let file: PathBuf = dir.path().join("market.parquet.zst");
    std::fs::write(&file, zstd::encode_all(&market.parquet()[..], 1).unwrap()).unwrap();
    let kafka = vec![
        format!("source.kafka.brokers={}", services.kafka()),
        format!("source.kafka.topic={}", unique("sources.ticks")),
    ];
    support::create_topic(services.kafka(), kafka[1].split_once('=').unwrap().1, 4);
    let sets = kafka.iter().flat_map(|set| ["--set", set.as_str()]);
    let replay = ["replay", file.to_str().unwrap(), "--speed", "max"];
    run_to_end(tickcast(replay.into_iter().chain(sets)), WITHIN).expect_code(0);

    let from_file = results(dir.path(), "file", &[format!("source.files.paths={}", file.display())], 1);
    assert!(from_file[1].len() > 1_000_000, "{} bytes of forecasts", from_file[1].len());
    assert!(results(dir.path(), "kafka", &kafka, 2) == from_file, "from Kafka");

    // Only the ticks are stored: no model, no forecasts.
    let mut store = kafka;
    store.extend(["model.preset=none".to_owned(), "sink.mongodb.ticks=data".to_owned()]);
    store.push(format!("sink.mongodb.uri={}", services.mongodb()));
    store.push(format!("sink.mongodb.database={}", fixture.config.database));
    backfill(&store, 2).expect_code(0);
    for workers in [1, 3] {
        let from_database = results(dir.path(), "database", &fixture.sets(services.mongodb()), workers);
        assert!(from_database == from_file, "from the database on {workers} workers");
    }
    println!("{} ticks, {} bytes of forecasts", market.rows.len(), from_file[1].len());
}

#[test]
#[ignore = "needs services: run ./deploy/test"]
fn records_come_in_their_order_whatever_order_they_were_stored_in() {
    let services = Services::shared();
    let fixture = Fixture::new(&services);
    let mut documents: Vec<Document> = (0..13).map(|index| stored(10, 7, index)).collect();
    documents.extend([stored(10, 11, 0), stored(10, 9, 0), stored(2, 5, 0), stored(2, 30, 0)]);
    documents.reverse();
    // Others: stamps as dates, texts, numbers, and none that can be read.
    let other = |id: &str| doc! { "_id": id, "price_usd": 1.5, "symbol": "BTC" };
    for (id, at) in [("d2", 2), ("d1", 1)] {
        let mut document = other(id);
        document.insert("timestamp", stamp(at));
        documents.push(document);
    }
    for (id, at) in [("s2", "2021-01-21T14:34:32Z"), ("s1", "2021-01-21T14:34:31.9Z")] {
        let mut document = other(id);
        document.insert("timestamp", at);
        documents.push(document);
    }
    for (id, at) in [("n2", 1_611_239_673_i64), ("n1", 1_611_239_672)] {
        let mut document = other(id);
        document.insert("timestamp", at);
        documents.push(document);
    }
    documents.extend([doc! { "_id": "r2", "topic": "t.x" }, doc! { "_id": "r1", "timestamp": null }]);
    fixture.insert(&documents);
    let found =
        read_all(&MongoSourceConfig { symbol: Some("BTC".to_owned()), ..fixture.config.clone() }, (None, None), |_| ());
    let namespace = format!("{}.data", fixture.config.database);
    let trades: Vec<String> = (1..13).map(|index| format!("t.x/10/7/{index}")).collect();
    let mut tenth = vec!["t.x/10/7"];
    tenth.extend(trades.iter().map(String::as_str));
    tenth.extend(["t.x/10/9", "t.x/10/11"]);
    let expected = [
        (format!("{namespace}/t.x/2"), vec!["t.x/2/5", "t.x/2/30"]),
        (format!("{namespace}/t.x/10"), tenth),
        (namespace.clone(), vec!["d1", "d2"]),
        (namespace.clone(), vec!["s1", "s2"]),
        (namespace.clone(), vec!["n1", "n2"]),
        (namespace, vec!["r1", "r2"]),
    ];
    let found: Vec<(String, Vec<&str>)> = found.iter().map(|(topic, records)| (topic.clone(), ids(records))).collect();
    assert_eq!(found, expected);

    // Dates outside of the range are not even sent.
    let from = Timestamp::from_millis(1_611_239_671_009);
    let found = read_all(
        &MongoSourceConfig { symbol: Some("BTC".to_owned()), ..fixture.config.clone() },
        (Some(from), None),
        |_| (),
    );
    assert_eq!(ids(&found[0].1), ["t.x/2/30"]);
    assert_eq!(ids(&found[1].1), ["t.x/10/9", "t.x/10/11"]);
    assert_eq!(ids(&found[2].1), ["s1", "s2"]);
}

/// Cut off whenever a batch is asked for, or while it is on its way: nothing is lost and nothing comes twice.
#[test]
#[ignore = "needs services: run ./deploy/test"]
fn a_cursor_that_dies_goes_on_where_it_was() {
    let services = Services::shared();
    let fixture = Fixture::new(&services);
    // Many documents with the same key, so that cuts fall into them; numbers of several types.
    let mut documents: Vec<Document> = (0..6000).map(|number| stored(0, number / 7, (number % 7) as u32)).collect();
    let seed = |number: i64| doc! { "_id": ObjectId::new(), "price_usd": number as f64 + 1.0, "timestamp": stamp(number / 50) };
    documents.extend((0..6000).map(seed));
    fixture.insert(&documents);
    let config = MongoSourceConfig { symbol: Some("BTC".to_owned()), ..fixture.config.clone() };
    let expected = read_all(&config, (None, None), |_| ());
    assert_eq!(expected.iter().map(|(_, records)| records.len()).collect::<Vec<_>>(), [6000, 6000]);
    let (proxy, through_proxy) = fixture.proxied();
    let mut cuts = 0;
    let found = read_all(&MongoSourceConfig { symbol: config.symbol, ..through_proxy }, (None, None), |count| {
        if count % 700 == 350 {
            proxy.set_away(true);
            std::thread::sleep(Duration::from_millis(120));
            proxy.set_away(false);
            cuts += 1;
        }
    });
    assert_eq!(cuts, 17);
    assert!(found == expected, "the same documents in the same order");
}

#[test]
#[ignore = "needs services: run ./deploy/test"]
fn documents_of_the_student_project_are_read_and_bad_ones_are_dead_letters() {
    let services = Services::shared();
    let fixture = Fixture::new(&services);
    let dir = support::temp_dir();
    let seed = |minute: i64| {
        let at = Timestamp::from_millis(1_611_239_640_000 + minute * 60_000).to_string();
        doc! { "_id": ObjectId::new(), "price_usd": 31571.742818217568 + minute as f64, "timestamp": at,
        "open": 32737.58, "high": 32786.70, "low": 31447.28, "close": 31571.17, "volume": 806986987.75 }
    };
    let mut documents: Vec<Document> = (0..400).map(seed).collect();
    documents[7].remove("price_usd");
    documents[9].insert("price_usd", true);
    documents[11].insert("timestamp", "yesterday");
    documents[13].insert("timestamp", true);
    fixture.insert(&documents);
    let mut sets = fixture.sets(services.mongodb());
    let refused = backfill(&sets, 1).expect_code(1);
    assert!(refused.stderr.contains("documents without a symbol: set source.mongodb.symbol"), "{}", refused.stderr);
    let dead = dir.path().join("dead.jsonl");
    sets.extend(["source.mongodb.symbol=BTC".to_owned(), format!("dead_letter.file={}", dead.display())]);
    let finished = backfill(&sets, 2).expect_code(0);
    let summary: serde_json::Value = serde_json::from_slice(&finished.stdout).unwrap();
    let counts = serde_json::json!({"used": 396, "late": 0, "quarantined": 0, "undecodable": 4, "ignored": 0});
    assert_eq!(summary["records"], counts);
    let letters = std::fs::read_to_string(&dead).unwrap();
    let letters: Vec<serde_json::Value> = letters.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut errors: Vec<&str> = letters.iter().map(|letter| letter["error"].as_str().unwrap()).collect();
    errors.sort_unstable();
    assert_eq!(errors.len(), 4);
    assert!(errors[0].starts_with("price_usd is missing") || errors[0].starts_with("price_usd"), "{errors:?}");
    for letter in &letters {
        assert_eq!(letter["topic"], format!("{}.data", fixture.config.database));
        let document: serde_json::Value = serde_json::from_str(letter["value"].as_str().unwrap()).unwrap();
        assert!(document["_id"]["$oid"].is_string() && document["volume"] == 806986987.75, "{document}");
    }
    // A range leaves out what is outside, and says how much.
    sets.extend([
        "source.mongodb.from=2021-01-21T15:00:00Z".to_owned(),
        "source.mongodb.to=2021-01-21T16:00:00Z".to_owned(),
    ]);
    let finished = backfill(&sets, 1).expect_code(0);
    let summary: serde_json::Value = serde_json::from_slice(&finished.stdout).unwrap();
    assert_eq!((&summary["records"]["used"], &summary["records"]["ignored"]), (&60.into(), &336.into()));

    let mut nowhere = fixture.sets(services.mongodb());
    nowhere.push("source.mongodb.collection=nothing".to_owned());
    let empty = backfill(&nowhere, 1).expect_code(1);
    assert!(empty.stderr.contains(".nothing holds no document"), "{}", empty.stderr);
    let live = ["run".to_owned(), "--set".to_owned(), "source.mongodb.collection=data".to_owned()];
    let refused = run_to_end(tickcast(live), WITHIN).expect_code(2);
    assert!(refused.stderr.contains("source.mongodb is history, and run never ends"), "{}", refused.stderr);
}
