//! The same forecasts give the same figures from files, from the database and from the topic.

use crate::support;
use crate::support::{Services, run_to_end, tickcast};
use std::fmt::Write as _;
use std::time::Duration;

const WITHIN: Duration = Duration::from_secs(300);

/// Two symbols, six hours, a tick every 20 s, with a quiet stretch of half an hour in one of them.
fn ticks() -> String {
    let mut text = String::from("symbol,timestamp,price,size\n");
    let mut prices = [30_000.0_f64, 2_000.0];
    for n in 0..6 * 180_i64 {
        for (at, symbol) in ["BTC", "ETH/\"Ü\""].iter().enumerate() {
            let turn = ((n * 7919 + at as i64 * 104_729) % 1000 - 500) as f64 / 500.0;
            prices[at] *= 1.0 + 4e-4 * turn;
            if at == 1 && (400..490).contains(&n) {
                continue;
            }
            let symbol = symbol.replace('"', "\"\"");
            let stamp = 1_623_283_200_000 + n * 20_000;
            writeln!(text, "\"{symbol}\",{stamp},{:.2},1", prices[at]).unwrap();
        }
    }
    text
}

#[test]
#[ignore = "needs services: run ./deploy/test"]
fn files_database_and_topic_give_the_same_figures() {
    let services = Services::shared();
    let dir = support::temp_dir();
    let csv = dir.path().join("ticks.csv");
    std::fs::write(&csv, ticks()).unwrap();
    let (job, topic) = (support::unique("report"), support::unique("report.forecasts"));
    support::create_topic(services.kafka(), &topic, 3);
    support::create_topic(services.kafka(), &format!("{topic}.scores"), 3);
    let config = dir.path().join("tickcast.toml");
    let text = format!(
        "[job]\nid = \"{job}\"\n[source.files]\npaths = [\"{}\"]\n[sink.files]\ndir = \"{}\"\n\
         [sink.kafka]\nbrokers = \"{}\"\ntopic = \"{topic}\"\n[sink.mongodb]\nuri = \"{}\"\ndatabase = \"{job}\"\n",
        csv.display(),
        dir.path().join("out").display(),
        services.kafka(),
        services.mongodb()
    );
    std::fs::write(&config, text).unwrap();
    let config = config.to_str().unwrap();
    run_to_end(tickcast(["backfill", "-c", config]), WITHIN).expect_code(0);

    let from = |source: &str| {
        let args = ["report", "-c", config, "--json", "--source", source];
        run_to_end(tickcast(args), WITHIN).expect_code(0).stdout_text()
    };
    let files = from("files");
    let figures: serde_json::Value = serde_json::from_str(&files).unwrap();
    assert_eq!(figures["series"].as_array().unwrap().len(), 8);
    assert!(figures["series"][0]["scored"].as_u64().unwrap() > 100, "{files}");
    assert!(figures["series"][4]["void"].as_u64().unwrap() > 0, "the quiet stretch: {files}");
    assert_eq!(from("mongodb"), files, "the database");
    assert_eq!(from("kafka"), files, "the topic");
    // Without a word, the database comes first.
    let chosen = run_to_end(tickcast(["report", "-c", config, "--json"]), WITHIN).expect_code(0);
    assert_eq!(chosen.stdout_text(), files);
    let done = run_to_end(tickcast(["report", "-c", config, "--job", "nobody"]), WITHIN).expect_code(1);
    assert!(done.stderr.contains("none fits --job"), "{}", done.stderr);

    let out = dir.path().join("out").display().to_string();
    let kafka = format!("kafka://{}/{topic}", services.kafka());
    let (server, options) = services.mongodb().split_once("/?").unwrap();
    let database = format!("{server}/{job}?{options}");
    let verify = |a: &str, b: &str| run_to_end(tickcast(["verify", a, b]), WITHIN);
    for (a, b) in [(&out, &kafka), (&kafka, &database), (&database, &out), (&out, &out)] {
        let told = verify(a, b).expect_code(0).stdout_text();
        assert!(told.contains("forecasts: the same, ") && told.contains("scores: the same, "), "{told}");
    }
    // A forecast that is there twice, and one whose value was touched.
    let all = support::read_committed(services.kafka(), &topic);
    let twice = support::Record { partition: None, key: all[7].key.clone(), value: all[7].value.clone() };
    support::produce(services.kafka(), &topic, [twice]);
    let id = serde_json::from_slice::<serde_json::Value>(&all[7].value).unwrap()["id"].as_str().unwrap().to_owned();
    let told = verify(&out, &kafka).expect_code(1);
    assert!(
        told.stderr.contains("forecasts differ; first of ") && told.stderr.contains("B has it once more"),
        "{}",
        told.stderr
    );
    support::set_number(services.mongodb(), &job, "predictions", &id, "quantiles.0.25", 1.5);
    let told = verify(&out, &database).expect_code(1).stderr;
    assert!(told.contains(&id) && told.contains("quantiles.0.25 is ") && told.contains(" in A and 1.5 in B"), "{told}");
}
