//! The page in a browser, the API against its description, the embedded store through kills.

use crate::live::Setup;
use crate::support::{Process, Record, Services, Signal, eventually, project, tickcast};
use std::process::Command;
use std::time::Duration;

const WITHIN: Duration = Duration::from_secs(120);

/// A demo whose two days are through, and its address.
fn demo(more: &[&str]) -> (Process, String) {
    let job = Process::spawn(tickcast(["demo", "--listen", "127.0.0.1:0"].iter().chain(more)));
    let address = eventually("its address", WITHIN, || {
        let said = job.stderr();
        let at = said.find("http://").filter(|_| said.contains('\n'))?;
        said[at..].split_whitespace().next().map(str::to_owned)
    });
    eventually("two days", WITHIN, || {
        let answer = ureq::get(format!("{address}/api/symbols?horizon=1h")).call().ok()?;
        let text = answer.into_body().read_to_string().ok()?;
        (text.matches("\"count\":1440").count() == 3).then_some(())
    });
    (job, address)
}

fn python(services: &Services, script: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(services.python());
    command.arg(project().join("tests/services/face").join(script)).args(arguments);
    let done = command.output().unwrap();
    let (said, faults) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{said}\n{faults}");
    print!("{said}");
    said.into_owned()
}

#[test]
#[ignore = "needs services: run ./deploy/test"]
fn the_page_in_a_browser() {
    let services = Services::shared();
    let (mut job, address) = demo(&["--speed", "20"]);
    let chromium = std::env::var("TICKCAST_TEST_CHROMIUM").expect("deploy/services env names it");
    let pictures = std::env::var("TICKCAST_TEST_PICTURES").unwrap_or_default();
    let pid = job.pid().to_string();
    let mut arguments = vec![address.as_str(), chromium.as_str(), pid.as_str()];
    arguments.extend(Some(pictures.as_str()).filter(|dir| !dir.is_empty()));
    python(&services, "page.py", &arguments);
    job.signal(Signal::Term);
    job.wait(WITHIN).expect_code(0);
}

#[test]
#[ignore = "needs services: run ./deploy/test"]
fn every_answer_is_as_the_description_says() {
    let services = Services::shared();
    let (mut job, address) = demo(&[]);
    let count = if std::env::var_os("TICKCAST_TEST_LONG").is_some() { "100000" } else { "5000" };
    python(&services, "api.py", &[&address, count]);
    job.signal(Signal::Term);
    job.wait(WITHIN).expect_code(0);
}

fn get(address: &str, path: &str) -> String {
    let answer = ureq::get(format!("http://{address}{path}")).call().unwrap_or_else(|error| panic!("{path}: {error}"));
    answer.into_body().into_with_config().limit(1 << 26).read_to_string().unwrap()
}

/// A command that listens where it is free, and where that is.
fn listening(arguments: &[&str], more: &[&str]) -> (Process, String) {
    let process = Process::spawn(tickcast(arguments.iter().chain(["--listen", "127.0.0.1:0"].iter()).chain(more)));
    let address = eventually("its address", WITHIN, || {
        let said = process.stderr();
        let at = said.find("http://")? + 7;
        said[at..].split(' ').next().map(str::to_owned)
    });
    (process, address)
}

/// The embedded store, the database and the files of one job, each served, and the job itself after a new start: the same answers.
#[test]
#[ignore = "needs services: run ./deploy/test"]
fn store_database_and_files_give_the_same_answers() {
    let services = Services::shared();
    let place = crate::support::temp_dir();
    let extra = format!(
        "features = \"features\"\n[sink.files]\ndir = \"{0}/out\"\n[checkpoint]\nurl = \"file://{0}/checkpoints\"\ninterval = \"5s\"\n",
        place.path().display()
    );
    let setup = Setup::new(&services, true, &extra);
    let (input, _) = crate::simulated::files(setup.dir.path(), 4);
    setup.replay(&input, None);
    let bad = Record { partition: None, key: Some("BTC.SIM".to_owned()), value: b"no tick".to_vec() };
    crate::support::produce(services.kafka(), &setup.ticks, [bad]);
    let store = format!("http.store={}/results.db", place.path().display());
    let (mut job, address) = listening(&["run", "-c", setup.config()], &["--set", &store]);
    // Its last steps wait for more.
    let through = crate::simulated::START.millis() + 4 * 3_600_000 - 120_000;
    setup.await_through(through, WITHIN);
    eventually("a checkpoint", WITHIN, || {
        get(&address, "/metrics").contains("tickcast_checkpoint_last_success_timestamp_seconds ").then_some(())
    });
    let deploy = project().join("deploy");
    let files = ["grafana/tickcast.json", "prometheus/alerts.yml", "../docs/configuration.md"];
    let files = files.map(|file| deploy.join(file).display().to_string());
    // One has a topic and checkpoints, the other models.
    let (mut other, trained) = demo(&[]);
    python(&services, "watch.py", &[&files[0], &files[1], &files[2], &format!("http://{address}"), &trained]);
    other.signal(Signal::Term);
    other.wait(WITHIN).expect_code(0);
    job.signal(Signal::Term);
    job.wait(WITHIN).expect_code(0);

    let from = "2023-11-15T01:00:00Z";
    let mut queries = vec!["/api/symbols".to_owned()];
    for symbol in ["BTC.SIM", "ETH.SIM"] {
        for horizon in ["1m", "1h"] {
            let of = format!("symbol={symbol}&horizon={horizon}");
            queries.push(format!("/api/forecasts?{of}&limit=5000"));
            queries.push(format!("/api/forecasts?{of}&limit=7"));
            queries.push(format!("/api/forecasts?{of}&from={from}&to=2023-11-15T02:00:00Z&limit=13"));
            queries.push(format!("/api/scores?{of}&from={from}&limit=5000"));
        }
        queries.push(format!("/api/bars?symbol={symbol}&window=5m&limit=5000"));
        queries.push(format!("/api/bars?symbol={symbol}&window=1m&from={from}&limit=50"));
    }
    let answers = |address: &str| queries.iter().map(|query| get(address, query)).collect::<Vec<_>>();
    let same = |place: &str, found: &[String], expected: &[String]| {
        for ((query, found), expected) in queries.iter().zip(found).zip(expected) {
            assert!(found == expected, "{place} {query}:\n{found:.600}\n{expected:.600}");
        }
    };
    let mut all = Vec::new();
    for place in ["store", "mongodb", "files"] {
        let (mut serving, address) = listening(&["serve", "-c", setup.config(), "--from", place], &["--set", &store]);
        all.push(answers(&address));
        serving.signal(Signal::Term);
        serving.wait(WITHIN).expect_code(0);
    }
    assert!(all[0][1].len() > 50_000 && all[0][4].contains("\"status\":\"scored\""), "{:.300}", all[0][1]);
    same("mongodb", &all[1], &all[0]);
    same("files", &all[2], &all[0]);
    // A new start that computes the end alone, without a store: what was before comes from the database.
    let (mut job, address) = listening(&["run", "-c", setup.config()], &[]);
    eventually("it goes on", WITHIN, || job.stderr().contains("goes on from the checkpoint").then_some(()));
    eventually("it has read all", WITHIN, || get(&address, "/api/job").contains("\"lag\":0").then_some(()));
    let found = answers(&address);
    for ((query, found), expected) in queries.iter().zip(&found).zip(&all[0]).skip(1) {
        // It may have published more than the first one.
        assert!(query.contains("limit=5000") || query.contains("limit=7") || found == expected, "{query}");
    }
    let first = &all[0][1][..all[0][1].len() - 200];
    assert!(found[1].starts_with(first), "{:.600}\n{:.600}", found[1], first);
    job.signal(Signal::Term);
    job.wait(WITHIN).expect_code(0);
}

/// Each process of a cluster that has its machine to itself has metrics and probes, as the manifests for Kubernetes ask; process 0 has the
/// page and the API.
#[test]
#[ignore = "needs services: run ./deploy/test"]
fn each_process_of_a_cluster_has_probes() {
    let services = Services::shared();
    let setup = Setup::new(&services, false, "[http]\nlisten = \"127.0.0.1:0\"\n");
    let (input, _) = crate::simulated::files(setup.dir.path(), 1);
    setup.replay(&input, None);
    let ports = [0, 1].map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    let hosts = setup.dir.path().join("hosts");
    std::fs::write(&hosts, format!("{}\n{}\n", ports[0], ports[1])).unwrap();
    let start = |index: &str| {
        let command =
            ["cluster", "-c", setup.config(), "--process", index, "--hosts", hosts.to_str().unwrap(), "--workers", "1"];
        Process::spawn(tickcast(command))
    };
    let all = ["0", "1"].map(start);
    for (process, says) in all.iter().zip(["has a page, an API", "/metrics has metrics"]) {
        let address = eventually("its address", WITHIN, || {
            let said = process.stderr();
            let line = said.lines().find(|line| line.contains(says))?.to_owned();
            let rest = line.split("http://").nth(1)?;
            rest.split([' ', '/']).next().map(str::to_owned)
        });
        eventually("it is ready", WITHIN, || ureq::get(format!("http://{address}/readyz")).call().ok());
        assert_eq!(get(&address, "/livez").trim(), "ok");
        let metrics = get(&address, "/metrics");
        assert!(metrics.contains("tickcast_processes 2") && metrics.contains("tickcast_records_total"), "{metrics}");
        let page = ureq::get(format!("http://{address}/")).call();
        assert_eq!(page.is_ok(), says.contains("page"));
    }
    for mut process in all {
        process.signal(Signal::Term);
        process.wait(WITHIN).expect_code(0);
    }
}
