//! The MongoDB sink against a real server: what it writes, what it refuses, and that it loses nothing while the server
//! is away.

use crate::proxy::Proxy;
use mongodb::bson::{Bson, DateTime, Document, doc};
use mongodb::options::ClientOptions;
use mongodb::{Client, Database};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tickcast::config::MongoSinkConfig;
use tickcast::connectors::mongodb::MongoSink;
use tickcast::delivery::{Batch, Sink as _, SinkError, Stop};
use tickcast::market::{
    FeatureRow, Fixed, Forecast, Interval, ModelInfo, Ohlcv, PartitionId, Reasons, Reported, Score, ScoreOutcome, Side,
    Skill, Span, Status, StoredTick, Symbol, Timestamp,
};
use tickcast::recovery::Cause;

const MINUTE: Span = Span::from_millis(60_000);
const WINDOWS: [Span; 2] = [MINUTE, Span::from_millis(300_000)];

fn uri() -> String {
    std::env::var("TICKCAST_TEST_MONGODB").expect("TICKCAST_TEST_MONGODB names a MongoDB: run ./deploy/test")
}

/// A database of its own for each test, removed at the end.
struct Fixture {
    runtime: tokio::runtime::Runtime,
    database: Database,
    config: MongoSinkConfig,
}

impl Fixture {
    fn new(test: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let name = format!("tickcast_test_{test}_{}", std::process::id());
        let client = runtime.block_on(async { Client::with_uri_str(uri()).await.unwrap() });
        let config = MongoSinkConfig { uri: uri(), database: name.clone(), ..MongoSinkConfig::default() };
        Self { runtime, database: client.database(&name), config }
    }

    fn open(&self) -> MongoSink {
        MongoSink::open(&self.config, "btc", &WINDOWS, Duration::ZERO, &Stop::default()).unwrap()
    }

    fn all(&self, collection: &str) -> Vec<Document> {
        let collection = self.database.collection::<Document>(collection);
        self.runtime.block_on(async {
            let mut cursor = collection.find(doc! {}).sort(doc! { "_id": 1 }).await.unwrap();
            let mut documents = Vec::new();
            while cursor.advance().await.unwrap() {
                documents.push(cursor.deserialize_current().unwrap());
            }
            documents
        })
    }

    /// `(name, keys, seconds after which documents expire)`, by name.
    fn indexes(&self, collection: &str) -> Vec<(String, Document, Option<u64>)> {
        let collection = self.database.collection::<Document>(collection);
        self.runtime.block_on(async {
            let mut cursor = collection.list_indexes().await.unwrap();
            let mut indexes = Vec::new();
            while cursor.advance().await.unwrap() {
                let index = cursor.deserialize_current().unwrap();
                let options = index.options.unwrap();
                indexes.push((options.name.unwrap(), index.keys, options.expire_after.map(|ttl| ttl.as_secs())));
            }
            indexes.sort_by(|a, b| a.0.cmp(&b.0));
            indexes
        })
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let _ = self.runtime.block_on(async { self.database.drop().await });
    }
}

fn forecast(issued_ms: i64, price: f64) -> Forecast {
    let issued_at = Timestamp::from_millis(issued_ms);
    Forecast {
        job: "btc".into(),
        symbol: Symbol::new("BTC").unwrap(),
        horizon: MINUTE,
        issued_at,
        target_at: issued_at.plus(MINUTE),
        last_price: Fixed::parse(b"31571.74").unwrap(),
        price,
        interval: Interval { coverage: 0.9, lower: 31_531.1, upper: 31_612.8 },
        quantiles: [1.0, 2.5, 1.0 / 3.0, 0.1 + 0.2, 5e-324],
        probability_up: 0.52,
        status: Status::Abstain,
        reasons: Reasons { quiet: true, gap: true },
        skill: Skill { count: 1440, mae_ratio: Some(0.996), coverage: None, e_value: 3.0 },
        drift: tickcast::market::Drift::default(),
        model: ModelInfo { version: 8123, trained_through: Some(issued_at), loss: None },
    }
}

fn score(target_ms: i64, scored: bool) -> Score {
    let outcome = ScoreOutcome {
        actual_price: Fixed::parse(b"31570.5").unwrap(),
        error: -1.1,
        naive_error: 0.3,
        covered: true,
        pinball: 1.0 / 7.0,
        naive_pinball: 0.2,
        experts: std::array::from_fn(|at| (at == 9).then_some(0.125)),
    };
    Score {
        job: "btc".into(),
        symbol: Symbol::new("BTC").unwrap(),
        horizon: MINUTE,
        target_at: Timestamp::from_millis(target_ms),
        outcome: scored.then_some(outcome),
    }
}

fn row(end_ms: i64) -> FeatureRow {
    let price = Fixed::parse(b"31570.5").unwrap();
    FeatureRow {
        symbol: Symbol::new("BTC").unwrap(),
        end: Timestamp::from_millis(end_ms),
        windows: vec![Some(Ohlcv::of_tick(price, Fixed::parse(b"0.02").unwrap(), None)), None].into(),
        bar: None,
        last_price: price,
    }
}

fn tick(offset: u64, index: u32) -> StoredTick {
    StoredTick {
        symbol: Symbol::new("BTC").unwrap(),
        at: Timestamp::from_millis(1_611_239_671_964),
        price: Fixed::parse(b"31571.74281822").unwrap(),
        size: None,
        side: None,
        reported: None,
        topic: "btc.ticks".into(),
        partition: PartitionId(3),
        offset,
        index,
    }
}

const START: i64 = 1_611_239_640_000;

fn batch_of(forecasts: Vec<Forecast>) -> Batch {
    Batch { forecasts, ..Batch::default() }
}

fn date(ms: i64) -> Bson {
    Bson::DateTime(DateTime::from_millis(ms))
}

#[test]
#[ignore = "needs services: run ./deploy/test"]
fn documents_are_those_of_the_contract_and_writing_twice_changes_nothing() {
    let mut fixture = Fixture::new("documents");
    fixture.config.ticks = Some("data".to_owned());
    fixture.config.features = Some("features".to_owned());
    let mut sink = fixture.open();
    assert_eq!((sink.wants().rows, sink.wants().ticks), (true, true));
    let reported = Reported { open: Some(31_500.25), volume: Some(12.0), ..Reported::default() };
    let full = StoredTick { size: Some(2_000_000), side: Some(Side::Buy), reported: Some(reported), ..tick(8, 2) };
    let batch = Batch {
        forecasts: vec![forecast(START, 31_573.02)],
        scores: vec![score(START, true), score(START + 60_000, false)],
        rows: vec![row(START)],
        ticks: vec![tick(7, 0), full],
        ..Batch::default()
    };
    sink.write(&batch, &Stop::default()).unwrap();
    let all = || ["predictions", "scores", "features", "data"].map(|name| fixture.all(name));
    let once = all();
    sink.write(&batch, &Stop::default()).unwrap();
    assert_eq!(all(), once);
    let [forecasts, scores, features, data] = once;
    let expected = doc! {
        "_id": "btc/BTC/1m/1611239700000", "symbol": "BTC", "horizon": "1m",
        "issued_at": date(START), "target_at": date(START + 60_000),
        "last_price": 31571.74, "naive_price": 31571.74, "price": 31573.02,
        "interval": { "coverage": 0.9, "lower": 31531.1, "upper": 31612.8 },
        "quantiles": { "0.05": 1.0, "0.25": 2.5, "0.5": 1.0 / 3.0, "0.75": 0.1 + 0.2, "0.95": 5e-324 },
        "probability_up": 0.52, "status": "abstain", "reasons": ["quiet", "gap"],
        "skill": { "count": 1440_i64, "mae_ratio": 0.996, "coverage": null, "e_value": 3.0 },
        "drift": { "changes": 0_i64, "changed_at": null, "window": 0_i64 },
        "model": { "version": 8123_i64, "trained_through": date(START), "loss": null },
        "job": "btc", "generation": 1_i64,
    };
    assert_same(&forecasts, &[expected]);
    let scored = doc! {
        "_id": "btc/BTC/1m/1611239640000", "symbol": "BTC", "horizon": "1m", "target_at": date(START),
        "actual_price": 31570.5, "error": -1.1, "naive_error": 0.3, "covered": true, "pinball": 1.0 / 7.0,
        "naive_pinball": 0.2, "experts": { "lstm": 0.125 }, "status": "scored", "job": "btc", "generation": 1_i64,
    };
    let void = doc! {
        "_id": "btc/BTC/1m/1611239700000", "symbol": "BTC", "horizon": "1m", "target_at": date(START + 60_000),
        "actual_price": null, "error": null, "naive_error": null, "covered": null, "pinball": null,
        "naive_pinball": null, "experts": null, "status": "void", "job": "btc", "generation": 1_i64,
    };
    assert_same(&scores, &[scored, void]);
    let bar = doc! {
        "open": 31570.5, "high": 31570.5, "low": 31570.5, "close": 31570.5, "volume": 0.02, "vwap": 31570.5,
        "count": 1_i64,
    };
    let expected = doc! {
        "_id": "btc/BTC/1611239640000", "symbol": "BTC", "end": date(START), "windows": { "1m": bar, "5m": null },
        "job": "btc", "generation": 1_i64,
    };
    assert_same(&features, &[expected]);
    let plain = doc! {
        "_id": "btc.ticks/3/7", "symbol": "BTC", "timestamp": date(1_611_239_671_964), "price_usd": 31571.74281822,
        "topic": "btc.ticks", "partition": 3_i64, "offset": 7_i64,
    };
    let mut full = plain.clone();
    full.extend(doc! { "_id": "btc.ticks/3/8/2", "offset": 8_i64, "size": 0.02, "side": "buy", "open": 31500.25 });
    full.extend(doc! { "volume": 12.0 });
    assert_same(&data, &[plain, full]);
}

/// Equal but for the order of the top level's fields, which an update does not keep.
fn assert_same(found: &[Document], expected: &[Document]) {
    let sorted = |documents: &[Document]| -> Vec<Vec<(String, Bson)>> {
        let pairs = documents.iter().map(|d| d.iter().map(|(k, v)| (k.clone(), v.clone())).collect());
        pairs
            .map(|mut pairs: Vec<(String, Bson)>| {
                pairs.sort_by(|a, b| a.0.cmp(&b.0));
                pairs
            })
            .collect()
    };
    assert_eq!(sorted(found), sorted(expected));
}

#[test]
#[ignore = "needs services: run ./deploy/test"]
fn an_instance_that_was_replaced_is_refused() {
    let fixture = Fixture::new("guard");
    let mut old = fixture.open();
    old.write(&batch_of(vec![forecast(START, 1.0)]), &Stop::default()).unwrap();
    let mut new = fixture.open();
    assert_eq!((old.generation(), new.generation()), (1, 2));
    assert_eq!(old.covers(), new.covers());
    new.write(&batch_of((0..3).map(|at| forecast(START + at * 60_000, 2.0)).collect()), &Stop::default()).unwrap();
    let late = batch_of((0..600).map(|at| forecast(START + at * 60_000, 3.0)).collect());
    let error = old.write(&late, &Stop::default()).unwrap_err();
    assert!(
        matches!(&error, SinkError::Refused(f) if f.cause == Cause::Fenced && f.text.contains("another instance of job `btc` has taken over")),
        "{error}"
    );
    let documents = fixture.all("predictions");
    for (at, document) in documents.iter().take(3).enumerate() {
        assert_eq!(document.get_f64("price"), Ok(2.0), "{at}");
        assert_eq!(document.get_i64("generation"), Ok(2), "{at}");
    }
    // The one that is on duty overwrites what the late one had left.
    new.write(&batch_of((0..600).map(|at| forecast(START + at * 60_000, 4.0)).collect()), &Stop::default()).unwrap();
    let documents = fixture.all("predictions");
    assert_eq!(documents.len(), 600);
    assert!(documents.iter().all(|d| d.get_f64("price") == Ok(4.0) && d.get_i64("generation") == Ok(2)));
    // Another job does not care.
    let other = MongoSink::open(&fixture.config, "eth", &WINDOWS, Duration::ZERO, &Stop::default()).unwrap();
    assert_eq!(other.generation(), 1);
}

#[test]
#[ignore = "needs services: run ./deploy/test"]
fn indexes_follow_the_configuration() {
    let mut fixture = Fixture::new("indexes");
    fixture.config.ticks = Some("data".to_owned());
    drop(fixture.open());
    let names = |indexes: Vec<(String, Document, Option<u64>)>| indexes.into_iter().map(|i| i.0).collect::<Vec<_>>();
    for collection in ["predictions", "scores"] {
        let indexes = fixture.indexes(collection);
        assert_eq!(indexes[1].1, doc! { "symbol": 1, "target_at": 1 }, "{collection}");
        assert_eq!(indexes.len(), 2);
    }
    assert_eq!(fixture.indexes("data")[1].1, doc! { "symbol": 1, "timestamp": 1 });
    for (ttl, seconds) in [(86_400_000, Some(86_400)), (86_400_000, Some(86_400)), (3_600_500, Some(3600)), (0, None)] {
        fixture.config.ttl = (ttl > 0).then(|| Span::from_millis(ttl));
        drop(fixture.open());
        for collection in ["predictions", "scores"] {
            let indexes = fixture.indexes(collection);
            let found = indexes.iter().find_map(|(name, _, ttl)| (name == "tickcast_ttl").then_some(*ttl));
            assert_eq!(found.flatten(), seconds, "{collection}: {:?}", names(indexes));
        }
    }
}

#[test]
#[ignore = "needs services: run ./deploy/test"]
fn a_wrong_password_is_named_and_not_shown() {
    let fixture = Fixture::new("password");
    let mut config = fixture.config.clone();
    let (scheme, rest) = config.uri.split_once("://").unwrap();
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    config.uri = format!("{scheme}://joe:not-the-s3cret@{rest}");
    let start = Instant::now();
    let error = MongoSink::open(&config, "btc", &WINDOWS, Duration::ZERO, &Stop::default()).err().unwrap().to_string();
    assert!(start.elapsed() < Duration::from_secs(15));
    assert!(error.contains("refuses user `joe`") && error.contains("sink.mongodb.uri"), "{error}");
    assert!(!error.contains("s3cret"), "{error}");
}

fn proxied(fixture: &Fixture) -> (Proxy, MongoSinkConfig) {
    let options = fixture.runtime.block_on(async { ClientOptions::parse(uri()).await.unwrap() });
    let server = options.hosts[0].to_string();
    let proxy = Proxy::before(server.clone());
    let mut config = fixture.config.clone();
    config.uri = config.uri.replace(&server, &proxy.address);
    assert!(config.uri.contains(&proxy.address), "the URI names host and port: {server}");
    config.uri.push_str(if config.uri.contains('?') { "&" } else { "/?" });
    // Many tries fail while the server is away, not one that waits.
    config.uri.push_str("serverSelectionTimeoutMS=300");
    if !config.uri.contains("directConnection") {
        config.uri.push_str("&directConnection=true");
    }
    (proxy, config)
}

#[test]
#[ignore = "needs services: run ./deploy/test"]
fn nothing_is_missing_after_the_server_was_away() {
    let fixture = Fixture::new("away");
    let (proxy, config) = proxied(&fixture);
    let mut sink = MongoSink::open(&config, "btc", &WINDOWS, Duration::ZERO, &Stop::default()).unwrap();
    let written = Arc::new(AtomicBool::new(false));
    let (done, away_for) = (Arc::clone(&written), Duration::from_secs(4));
    let writer = std::thread::spawn(move || {
        for minute in 0..400 {
            let forecasts = (0..20).map(|at| forecast(START + (minute * 20 + at) * 60_000, 1.0)).collect();
            sink.write(&batch_of(forecasts), &Stop::default()).unwrap();
        }
        done.store(true, Ordering::SeqCst);
        sink.finish(tickcast::delivery::Ending::Complete).unwrap();
    });
    let deadline = Instant::now() + Duration::from_secs(60);
    while fixture.all("predictions").len() < 200 {
        assert!(Instant::now() < deadline, "the first forecasts arrive");
    }
    proxy.set_away(true);
    let before = fixture.all("predictions").len();
    let until = Instant::now() + away_for;
    while Instant::now() < until {
        assert!(!written.load(Ordering::SeqCst), "it waits");
        std::thread::sleep(Duration::from_millis(50));
    }
    let after = fixture.all("predictions").len();
    assert!(after < 8000 && after <= before + 40, "the proxy lets nothing through: {before}, {after}");
    proxy.set_away(false);
    writer.join().unwrap();
    assert_eq!(fixture.all("predictions").len(), 8000);
}

#[test]
#[ignore = "needs services: run ./deploy/test"]
fn a_stop_ends_the_waiting() {
    let fixture = Fixture::new("stop");
    let (proxy, config) = proxied(&fixture);
    let mut sink = MongoSink::open(&config, "btc", &WINDOWS, Duration::ZERO, &Stop::default()).unwrap();
    proxy.set_away(true);
    let stop = Stop::default();
    let asked = stop.clone();
    let writer = std::thread::spawn(move || {
        let outcome = sink.write(&batch_of(vec![forecast(START, 1.0)]), &asked);
        let _ = sink.finish(tickcast::delivery::Ending::Complete);
        outcome
    });
    stop.request();
    let start = Instant::now();
    assert!(matches!(writer.join().unwrap(), Err(SinkError::Stopped)));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}
