//! `doctor` names each thing that is broken, with its mend, and is quick where all is well.

use crate::support::{self, Record, Services, configure_topic, create_topic, produce, run_to_end, tickcast, unique};
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, Instant};

const WITHIN: Duration = Duration::from_secs(60);

struct Patient<'a> {
    services: &'a Services,
    dir: tempfile::TempDir,
    name: String,
}

impl<'a> Patient<'a> {
    /// A topic with a record, and a job that is well.
    fn new(services: &'a Services) -> Self {
        let name = unique("doctor");
        let (ticks, dir) = (format!("{name}.ticks"), support::temp_dir());
        create_topic(services.kafka(), &ticks, 2);
        let value = br#"{"symbol":"BTC","timestamp":1611239670000,"price":1}"#.to_vec();
        produce(services.kafka(), &ticks, [Record { value, ..Record::default() }]);
        Self { services, dir, name }
    }

    /// What it says with these settings besides, and whether it ended well.
    fn examine(&self, sets: &[&str]) -> (bool, Vec<(String, String, String, String)>) {
        let Self { services, dir, name } = self;
        let mut command = tickcast(["doctor", "--json"]);
        let usual = [
            format!("job.id={name}"),
            format!("source.kafka.brokers={}", services.kafka()),
            format!("source.kafka.topic={name}.ticks"),
            format!("sink.kafka.brokers={}", services.kafka()),
            format!("sink.kafka.topic={name}.f"),
            format!("sink.mongodb.uri={}", services.mongodb()),
            format!("checkpoint.url=file://{}/ck", dir.path().display()),
            "source.symbols_max=100".to_owned(),
        ];
        for set in usual.iter().map(String::as_str).chain(sets.iter().copied()) {
            command.args(["--set", set]);
        }
        let done = run_to_end(command, WITHIN);
        let said: Value =
            serde_json::from_str(&done.stdout_text()).unwrap_or_else(|error| panic!("{error}: {}", done.stderr));
        let ok = said["ok"].as_bool().unwrap();
        assert_eq!(done.code(), Some(i32::from(!ok)), "{said}");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let checks = said["checks"].as_array().unwrap().iter();
        let checks = checks.map(|c| (text(&c["area"]), text(&c["verdict"]), text(&c["what"]), text(&c["mend"])));
        (ok, checks.collect())
    }

    /// That it says `words` of `area`, as bad or as a warning, with a mend.
    fn finds(&self, sets: &[&str], verdict: &str, area: &str, words: &str) {
        let (ok, checks) = self.examine(sets);
        let found = checks.iter().find(|(of, how, what, _)| of == area && how == verdict && what.contains(words));
        let (.., mend) =
            found.unwrap_or_else(|| panic!("{sets:?}: no {verdict} of {area} with {words:?}: {checks:#?}"));
        assert!(!mend.is_empty(), "{words}");
        assert_eq!(ok, verdict != "bad", "{sets:?}: {checks:#?}");
    }
}

#[test]
#[ignore = "needs services: run ./deploy/test"]
fn all_is_well_within_five_seconds() {
    let services = Services::shared();
    let patient = Patient::new(&services);
    let begun = Instant::now();
    let (ok, checks) = patient.examine(&[]);
    let took = begun.elapsed();
    println!("{} checks in {:.1} s", checks.len(), took.as_secs_f64());
    assert!(ok && checks.iter().all(|(_, verdict, ..)| verdict == "good"), "{checks:#?}");
    for area in ["configuration", "source", "sink.kafka", "sink.mongodb", "checkpoint", "clock", "memory", "start"] {
        assert!(checks.iter().any(|(of, ..)| of == area), "{area}: {checks:#?}");
    }
}

#[test]
#[ignore = "needs services: run ./deploy/test"]
fn each_thing_that_is_broken_is_named_with_its_mend() {
    let services = Services::shared();
    let patient = Patient::new(&services);
    let (kafka, name) = (services.kafka(), &patient.name);

    // The configuration.
    patient.finds(&["source.kafka.topc=x"], "bad", "configuration", "did you mean source.kafka.topic");
    patient.finds(&["time.slide=7s"], "bad", "configuration", "does not divide");
    patient.finds(&["source.kafka.options.fetch.wait.max.mss=1"], "bad", "configuration", "fetch.wait.max.mss");
    // Brokers and topics.
    patient.finds(&["source.kafka.brokers=127.0.0.1:1"], "bad", "source", "no broker answers");
    patient.finds(&["sink.kafka.brokers=127.0.0.1:1"], "bad", "sink.kafka", "no broker answers");
    patient.finds(&["source.kafka.topic=nowhere"], "bad", "source", "`nowhere` does not exist");
    patient.finds(&["sink.kafka.create_topics=false"], "bad", "sink.kafka", "create_topics is false");
    let short = format!("{name}.short");
    create_topic(kafka, &short, 1);
    configure_topic(kafka, &short, "retention.ms", "120000");
    patient.finds(&[&format!("source.kafka.topic={short}")], "bad", "source", "kept 2 min only");
    let compacted = format!("{name}.compacted");
    create_topic(kafka, &compacted, 1);
    configure_topic(kafka, &compacted, "cleanup.policy", "compact");
    patient.finds(&[&format!("source.kafka.topic={compacted}")], "bad", "source", "compacted");
    // A progress topic that is cut.
    let outputs = format!("{name}.cut");
    create_topic(kafka, &format!("{outputs}.progress"), 1);
    patient.finds(&[&format!("sink.kafka.topic={outputs}")], "bad", "sink.kafka", "is not compacted");
    // The database.
    patient.finds(&["sink.mongodb.uri=mongodb://127.0.0.1:1"], "bad", "sink.mongodb", "127.0.0.1:1");
    // Stores: not a directory, another job's file, no directory for it.
    let file = patient.dir.path().join("file");
    std::fs::write(&file, "text").unwrap();
    patient.finds(&[&format!("checkpoint.url=file://{}", file.display())], "bad", "checkpoint", "is no directory");
    let other = patient.dir.path().join("other.db");
    tickcast::connectors::sqlite::SqliteStore::open(
        tickcast::connectors::sqlite::Place::File(other.clone()),
        "other",
        tickcast::connectors::sqlite::Limits { retention: "1d".parse().unwrap(), bytes_max: 1 << 20 },
    )
    .unwrap();
    let of_store = |path: &Path| format!("http.store={}", path.display());
    let free = "http.listen=127.0.0.1:0";
    patient.finds(&[&of_store(&other), free], "bad", "http", "it is the store of job `other`");
    patient.finds(&[&of_store(&patient.dir.path().join("no/x.db")), free], "bad", "http", "make it first");
    // Hosts, memory.
    patient.finds(&["cluster.hosts=localhost:1,no-such-host.invalid:2"], "bad", "cluster", "no-such-host.invalid");
    patient.finds(&["source.symbols_max=1000000"], "warning", "memory", "lets in 1000000");
}

/// Secrets that are planted everywhere are in nothing that it says.
#[test]
#[ignore = "needs services: run ./deploy/test"]
fn no_secret_is_told() {
    let mut command = tickcast(["doctor"]);
    for set in [
        "source.kafka.brokers=127.0.0.1:1",
        "source.kafka.topic=t",
        "source.kafka.options.sasl.password=hunter2",
        "sink.kafka.brokers=127.0.0.1:1",
        "sink.kafka.options.sasl.password=hunter2",
        "sink.mongodb.uri=mongodb://me:hunter2@127.0.0.1:1/",
        "collect.key=hunter2",
    ] {
        command.args(["--set", set]);
    }
    let done = run_to_end(command, WITHIN);
    assert_ne!(done.code(), Some(0));
    assert!(!done.stdout_text().contains("hunter2") && !done.stderr.contains("hunter2"), "{}", done.stdout_text());
}
