//! From the API to the database: collected, read by the live job, and kept with the fields of the seed's documents.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

#[path = "collect/api.rs"]
mod api;
mod support;

use api::{Api, Step, observation};
use mongodb::bson::{Bson, Document};
use std::time::Duration;
use support::{Process, Services, Signal, documents, eventually, run_to_end, tickcast};

const WITHIN: Duration = Duration::from_secs(120);
/// Observations, ten seconds of event time apart.
const COUNT: u64 = 12;

struct Setup {
    services: Services,
    config: tempfile::NamedTempFile,
    topic: String,
    database: String,
}

impl Setup {
    fn new(api: &Api) -> Self {
        let services = Services::shared();
        let topic = support::unique("collected");
        let database = topic.replace('.', "_");
        support::create_topic(services.kafka(), &topic, 1);
        let (kafka, mongodb, url) = (services.kafka(), services.mongodb(), api.url());
        let text = format!(
            "[job]\nid = \"{topic}\"\n[source.kafka]\nbrokers = \"{kafka}\"\ntopic = \"{topic}\"\n\
             [sink.mongodb]\nuri = \"{mongodb}\"\ndatabase = \"{database}\"\nticks = \"data\"\n\
             [collect]\nurl = \"{url}\"\nevery = \"100ms\"\n"
        );
        let config = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(config.path(), text).unwrap();
        Self { services, config, topic, database }
    }

    fn command(&self, name: &str, more: &[&str]) -> std::process::Command {
        tickcast([&[name, "-c", self.config.path().to_str().unwrap()], more].concat())
    }

    fn documents(&self) -> Vec<Document> {
        documents(self.services.mongodb(), &self.database, "data")
    }

    /// Runs the live job until the database holds `count` ticks, and stops it.
    fn run(&self, count: usize, more: &[&str]) {
        let mut job = Process::spawn(self.command("run", more));
        eventually("the ticks are in the database", WITHIN, || {
            assert!(job.is_running(), "{}", job.stderr());
            (self.documents().len() >= count).then_some(())
        });
        job.signal(Signal::Term);
        job.wait(Duration::from_secs(20)).expect_code(0);
    }
}

#[test]
#[ignore = "needs services: run ./deploy/test"]
fn the_seeds_documents_come_out_of_the_api() {
    let Some(recorded) = api::recorded() else { return };
    let told = |n: u64| observation(&recorded, "BTC", 10 * n + 2, 10 * n, 31_000.5 + n as f64);
    let steps = (0..COUNT).map(|n| Step::Body(told(n))).collect();
    let Some(api) = Api::start([("bitcoin", steps)]) else { return };
    let setup = Setup::new(&api);

    let mut collector = Process::spawn(setup.command("collect", &[]));
    eventually("all is asked for", WITHIN, || (api.requests("bitcoin").len() > COUNT as usize).then_some(()));
    collector.signal(Signal::Term);
    collector.wait(Duration::from_secs(20)).expect_code(0);
    // Later: the pane of the last tick closes only when something lies behind it.
    let kept = COUNT as usize - 1;
    setup.run(kept, &[]);

    let found = setup.documents();
    let hour: serde_json::Value = serde_json::from_str(&recorded).unwrap();
    let hour = &hour["data"]["market_data"]["ohlcv_last_1_hour"];
    let mut offsets: Vec<i64> = Vec::new();
    for document in &found {
        let n = document.get_i64("offset").unwrap();
        offsets.push(n);
        assert_eq!(document.get_str("_id").unwrap(), format!("{}/0/{n}", setup.topic));
        assert_eq!(document.get_f64("price_usd").unwrap(), 31_000.5 + n as f64);
        let at = 1_611_239_640_000 + (10 * n + 2) * 1000;
        assert_eq!(document.get_datetime("timestamp").unwrap().timestamp_millis(), at);
        for field in ["open", "high", "low", "close", "volume"] {
            assert_eq!(document.get(field), Some(&Bson::Double(hour[field].as_f64().unwrap())), "{field}");
        }
        assert_eq!(document.get_str("symbol").unwrap(), "BTC");
        let ours = ["_id", "symbol", "timestamp", "price_usd", "open", "high", "low", "close", "volume"];
        let place = ["topic", "partition", "offset"];
        let more: Vec<&String> =
            document.keys().filter(|name| !ours.contains(&name.as_str()) && !place.contains(&name.as_str())).collect();
        assert!(more.is_empty(), "{more:?}");
    }
    offsets.sort_unstable();
    assert_eq!(offsets, (0..kept as i64).collect::<Vec<_>>());
    println!("{}", found[0]);

    // The same job again reads all from the start, and the collector is told what it has published.
    setup.run(kept, &[]);
    let again = run_to_end(setup.command("collect", &["--once", "--json"]), WITHIN).expect_code(0);
    let said: serde_json::Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!((&said["published"], &said["unchanged"]), (&0.into(), &1.into()));
    let mut job = Process::spawn(setup.command("backfill", &[]));
    eventually("the backfill ends", WITHIN, || (!job.is_running()).then_some(()));
    job.wait(WITHIN).expect_code(0);
    // A backfill has an end, so that it keeps the last tick too.
    let all = setup.documents();
    assert_eq!(all.len(), COUNT as usize);
    assert!(found.iter().all(|document| all.contains(document)), "what was there is as it was");
    assert_eq!(support::end_offsets(setup.services.kafka(), &setup.topic)[&0], COUNT as i64);
}
