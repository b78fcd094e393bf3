//! From the API to the database: collected, read by the live job, and kept with the fields of the seed's documents.

use crate::api;
use crate::api::{Api, Step, observation};
use crate::support;
use crate::support::{Process, Services, Signal, documents, eventually, run_to_end, tickcast};
use mongodb::bson::{Bson, Document};
use std::time::Duration;

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
        let mut command = tickcast([&[name, "-c", self.config.path().to_str().unwrap()], more].concat());
        command.env("NO_PROXY", "127.0.0.1");
        command
    }

    fn documents(&self) -> Vec<Document> {
        documents(self.services.mongodb(), &self.database, "data")
    }

    /// Runs the live job until the database holds all ticks, and stops it.
    fn run(&self) {
        let mut job = Process::spawn(self.command("run", &[]));
        eventually("the ticks are in the database", WITHIN, || {
            assert!(job.is_running(), "{}", job.stderr());
            (self.documents().len() >= COUNT as usize).then_some(())
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
    setup.run();

    let found = setup.documents();
    let hour = support::exact_json(recorded.trim_start_matches('+'));
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
    assert_eq!(offsets, (0..COUNT as i64).collect::<Vec<_>>());
    println!("{}", found[0]);

    // The collector knows what it has published, and the job what it has kept.
    let again = json(setup.command("collect", &["--once", "--json"]));
    assert_eq!((&again["published"], &again["unchanged"]), (&0.into(), &1.into()));
    let again = json(setup.command("backfill", &["--json"]));
    assert_eq!(again["records"]["used"], COUNT);
    assert_eq!(setup.documents(), found, "a second run over the same records adds nothing, and changes nothing");
}

fn json(command: std::process::Command) -> serde_json::Value {
    serde_json::from_slice(&run_to_end(command, WITHIN).expect_code(0).stdout).unwrap()
}
