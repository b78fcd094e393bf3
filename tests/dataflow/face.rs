//! The page, the API, the stream and the metrics of a demo, as a client on this machine sees them.

pub mod client;
mod explained;

use crate::support::{Process, Signal, eventually, run_to_end, tickcast};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use client::{get, get_with, send};

/// Two days are learned within, on a machine that has much else to do.
const WITHIN: Duration = Duration::from_secs(300);

/// A demo that listens where it is free, and its address: the first line that it says.
fn demo(more: &[&str]) -> (Process, String) {
    let job = Process::spawn(tickcast(["demo", "--listen", "127.0.0.1:0"].iter().chain(more)));
    let address = eventually("its address", WITHIN, || {
        let said = job.stderr();
        let first = said.lines().next().filter(|_| said.contains('\n'))?.to_owned();
        let rest = first.strip_prefix("tickcast demo: http://").unwrap_or_else(|| panic!("{first}"));
        Some(rest.split(' ').next().unwrap().to_owned())
    });
    (job, address)
}

/// A demo whose two days are through, so that its market goes at its own pace.
fn live_demo(more: &[&str]) -> (Process, String) {
    let (job, address) = demo(more);
    eventually("two days", WITHIN, || {
        let all = get(&address, "/api/symbols?horizon=1h").json();
        let rows = all["symbols"].as_array()?;
        let is_through = rows.len() == 3 && rows.iter().all(|row| row["count"].as_u64() == Some(1440));
        let all_read = get(&address, "/api/job").json()["lag"] == 0;
        (is_through && all_read).then_some(())
    });
    (job, address)
}

#[test]
fn every_route_answers_and_what_is_wrong_is_told() {
    let (mut job, address) = live_demo(&[]);
    let of = |path: &str| get(&address, path);

    // The page, from this program alone.
    let page = of("/");
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    let mut bytes = page.body.len();
    for name in [
        "app.js",
        "charts.js",
        "words.js",
        "explain.js",
        "app.css",
        "uplot.js",
        "uplot.css",
        "icon.svg",
        "uplot.license.txt",
    ] {
        let asset = of(&format!("/assets/{name}"));
        assert_eq!(asset.status, 200, "{name}");
        bytes += asset.body.len();
        let outside =
            |line: &&str| line.contains("http") && !line.contains("www.w3.org/") && !name.starts_with("uplot");
        assert_eq!(asset.body.lines().find(outside), None, "{name}");
    }
    assert!(bytes < 200_000, "{bytes} bytes before they are packed");

    // Results.
    let symbols = of("/api/symbols").json();
    assert_eq!((&symbols["total"], &symbols["horizon"]), (&Value::from(3), &Value::from("1m")));
    let symbol = symbols["symbols"][0]["symbol"].as_str().unwrap().to_owned();
    assert!(symbol.ends_with(".SIM"));
    let forecasts = of(&format!("/api/forecasts?symbol={symbol}&horizon=5m&limit=7")).json();
    let list = forecasts["forecasts"].as_array().unwrap();
    assert_eq!(list.len(), 7);
    assert!(list.iter().all(|f| f["symbol"] == *symbol && f["horizon"] == "5m"));
    assert!(list.is_sorted_by_key(|f| f["issued_at"].as_str().unwrap()));
    let from = list[0]["issued_at"].as_str().unwrap();
    let again = of(&format!("/api/forecasts?symbol={symbol}&horizon=5m&limit=3&from={from}")).json();
    assert_eq!(again["forecasts"].as_array().unwrap()[..], list[..3]);
    let next = again["next"].as_str().unwrap();
    let more = of(&format!("/api/forecasts?symbol={symbol}&horizon=5m&limit=3&from={from}&cursor={next}")).json();
    assert_eq!(more["forecasts"].as_array().unwrap()[..], list[3..6]);
    let scores = of(&format!("/api/scores?symbol={symbol}&limit=20")).json();
    assert_eq!(scores["scores"].as_array().unwrap().len(), 20);
    let bars = of(&format!("/api/bars?symbol={symbol}&window=5m&limit=4")).json();
    let ends: Vec<i64> = bars["bars"].as_array().unwrap().iter().map(|bar| bar["end"].as_i64().unwrap()).collect();
    assert!(ends.len() == 4 && ends.windows(2).all(|two| two[1] - two[0] == 300_000), "{ends:?}");
    let figures = of(&format!("/api/figures?symbol={symbol}&horizon=1m")).json();
    assert_eq!(figures["points"]["target_at"].as_array().unwrap().len(), 1440);
    let experts = figures["experts"].as_array().unwrap();
    let weights: f64 = experts.iter().map(|expert| expert["weight"].as_f64().unwrap()).sum();
    assert!(
        (weights - 1.0).abs() < 1e-9 && experts.len() >= 5 && figures["words"]["headline"].is_string(),
        "{experts:?}"
    );
    let status = of("/api/job").json();
    assert_eq!((&status["job"], &status["label"]), (&"demo".into(), &"SIMULATED MARKET".into()));
    assert_eq!(status["unready"], Value::from(Vec::<String>::new()));
    assert_eq!(of("/api/openapi.json").json()["openapi"], "3.1.0");

    // Whether anything has changed.
    let first = of("/api/openapi.json");
    let tag = first.header("etag").unwrap();
    let same = get_with(&address, "/api/openapi.json", &format!("If-None-Match: {tag}\r\n"));
    assert_eq!((same.status, same.body.as_str()), (304, ""));
    let packed = get_with(&address, "/api/openapi.json", "Accept-Encoding: gzip\r\n");
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    let head = send(&address, "HEAD / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert_eq!((head.status, head.body.as_str()), (200, ""));

    // What is wrong.
    for (path, status, says) in [
        ("/api/forecasts", 400, "symbol is missing"),
        ("/api/forecasts?symbol=NO", 404, "/api/symbols lists all"),
        ("/api/forecasts?symbol=BTC.SIM&horizon=7m", 404, "it has 1m, 5m, 15m, 1h"),
        ("/api/forecasts?symbol=BTC.SIM&horizon=soon", 400, "write a duration"),
        ("/api/forecasts?symbol=BTC.SIM&cursor=x", 400, "none that an answer gave"),
        (
            "/api/forecasts?symbol=BTC.SIM&from=2021-01-02T00:00:00Z&to=2021-01-01T00:00:00Z",
            400,
            "nothing lies between",
        ),
        ("/api/scores?symbol=BTC.SIM&limit=0", 400, "a number from 1 to 5000"),
        ("/api/bars?symbol=BTC.SIM&window=7m", 404, "it has 1m, 5m, 1h"),
        ("/api/figures?symbol=BTC.SIM", 400, "horizon is missing"),
        ("/api/symbols?sort=size", 400, "one of symbol, last_price"),
        ("/api/job?x=1", 400, "unknown parameter \"x\": known here: there are none"),
        ("/api/stream?symbl=BTC", 400, "unknown parameter"),
        ("/api/nothing", 404, "/api/openapi.json says what there is"),
        ("/assets/../Cargo.toml", 404, ""),
    ] {
        let answer = of(path);
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (status, Some("application/problem+json")),
            "{path}"
        );
        let problem = answer.json();
        assert_eq!(problem["status"], status, "{path}");
        assert!(problem["detail"].as_str().unwrap().contains(says), "{path}: {problem}");
    }
    for (request, status) in [
        ("POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", 405),
        ("DELETE /api/forecasts HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 405),
        ("GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", 421),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", 413),
        ("GET / HTTP/1.1\r\nConnection: close\r\n\r\n", 400),
    ] {
        assert_eq!(send(&address, request).status, status, "{request}");
    }
    job.signal(Signal::Term);
    job.wait(WITHIN).expect_code(0);
}

#[test]
fn metrics_have_the_names_of_the_contract_and_probes_say_why() {
    let (mut job, address) = live_demo(&[]);
    let metrics = get(&address, "/metrics");
    assert!(metrics.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    let lines: Vec<&str> = metrics.body.lines().collect();
    for name in [
        "tickcast_records_total{outcome=\"used\"} ",
        "tickcast_records_total{outcome=\"ignored\"} ",
        "tickcast_watermark_lag_seconds ",
        "tickcast_consumer_lag_records{source=\"demo.ticks\",partition=\"0\"} ",
        "tickcast_end_to_end_latency_seconds_bucket{le=\"+Inf\"} ",
        "tickcast_epoch_train_seconds_count ",
        "tickcast_train_loss ",
        "tickcast_model_age_seconds ",
        "tickcast_forecast_mae_ratio{symbol=\"BTC.SIM\",horizon=\"1m\"} ",
        "tickcast_forecast_coverage{symbol=\"BTC.SIM\",horizon=\"1h\"} ",
        "tickcast_sink_pending{sink=\"all\"} ",
        "tickcast_commits_total ",
        "tickcast_memory_bytes ",
    ] {
        assert!(lines.iter().any(|line| line.starts_with(name)), "{name} is missing:\n{}", metrics.body);
    }
    assert_eq!(lines.last(), Some(&"# EOF"));
    let value = |name: &str| {
        let line = lines.iter().find(|line| line.starts_with(name)).unwrap();
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    assert!(value("tickcast_records_total{outcome=\"used\"}") > 90_000.0);
    assert!(value("tickcast_epoch_train_seconds_count") > 100.0);
    assert_eq!((get(&address, "/livez").status, get(&address, "/readyz").body.as_str()), (200, "ok\n"));
    job.signal(Signal::Term);
    job.wait(WITHIN).expect_code(0);
}

/// A stream of one symbol and horizon: what it says, and that it ends with the job, within the job's own grace.
#[test]
fn a_stream_tells_what_is_new_goes_on_where_it_was_and_ends_with_the_job() {
    let (mut job, address) = live_demo(&["--speed", "600"]);
    let open = |last: Option<&str>| {
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.set_read_timeout(Some(WITHIN)).unwrap();
        let last = last.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        let request = format!("GET /api/stream?symbol=BTC.SIM&horizon=5m HTTP/1.1\r\nHost: localhost\r\n{last}\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        BufReader::new(stream).lines()
    };
    let mut lines = open(None);
    let (mut names, mut id, mut issued) = (Vec::new(), String::new(), Vec::new());
    while issued.len() < 3 || id.is_empty() || !names.contains(&"ping".to_owned()) {
        let line = lines.next().expect("it goes on").unwrap();
        if let Some(name) = line.strip_prefix("event: ") {
            names.push(name.to_owned());
        } else if let Some(found) = line.strip_prefix("id: ") {
            id = found.to_owned();
        } else if let Some(data) = line.strip_prefix("data: ") {
            let data: Value = serde_json::from_str(data).unwrap();
            if names.last().map(String::as_str) == Some("forecast") {
                assert_eq!((&data["symbol"], &data["horizon"]), (&"BTC.SIM".into(), &"5m".into()));
                issued.push(data["issued_at"].as_str().unwrap().to_owned());
            }
        }
    }
    for name in ["forecast", "score", "bar", "through", "job"] {
        assert!(names.iter().any(|n| n == name), "{name}: {names:?}");
    }
    assert!(issued.is_sorted() && issued.windows(2).all(|two| two[0] != two[1]), "{issued:?}");
    drop(lines);

    // Where it was, without a gap.
    std::thread::sleep(Duration::from_millis(500));
    let mut lines = open(Some(&id));
    let next = loop {
        let line = lines.next().unwrap().unwrap();
        assert_ne!(line, "event: reset", "all of it is still there");
        if let Some(number) = line.strip_prefix("id: ").and_then(|id| id.split_once('-')) {
            break number.1.parse::<u64>().unwrap();
        }
    };
    assert_eq!(next, id.split_once('-').unwrap().1.parse::<u64>().unwrap() + 1);
    let mut strangers = open(Some("1-1"));
    let found = strangers.by_ref().map_while(Result::ok).take(20).any(|line| line == "event: reset");
    assert!(found, "of another process: it has to read anew");

    job.signal(Signal::Term);
    let asked = Instant::now();
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    job.wait(WITHIN).expect_code(0);
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    drop((rest, strangers));
}

/// A backfill keeps its results in a file; `serve` has the same of them, and the same bytes as the files.
#[test]
fn serve_has_what_a_backfill_has_kept() {
    let dir = crate::support::temp_dir();
    let (input, _) = crate::simulated::files(dir.path(), 3);
    let (store, out) = (dir.path().join("results.db"), dir.path().join("out"));
    let settings = [
        format!("source.files.paths={}", input.display()),
        format!("http.store={}", store.display()),
        format!("sink.files.dir={}", out.display()),
        "job.id=kept".to_owned(),
    ];
    let with = |first: &str, settings: &[String]| {
        let mut command = tickcast([first, "--listen", "127.0.0.1:0"]);
        settings.iter().for_each(|setting| {
            command.args(["--set", setting]);
        });
        command
    };
    run_to_end(with("backfill", &settings), WITHIN).expect_code(0);
    let mut serving = Process::spawn(with("serve", &settings[1..2]));
    let address = eventually("its address", WITHIN, || {
        let said = serving.stderr();
        let at = said.find("http://")? + 7;
        said[at..].split(' ').next().map(str::to_owned)
    });
    let status = get(&address, "/api/job").json();
    assert_eq!((&status["job"], &status["runs"]), (&"kept".into(), &false.into()));
    let written = std::fs::read_to_string(out.join("forecasts.jsonl")).unwrap();
    let wanted: Vec<&str> =
        written.lines().filter(|line| line.contains("\"symbol\":\"BTC.SIM\",\"horizon\":\"5m\"")).collect();
    assert!(wanted.len() > 50);
    let query = "/api/forecasts?symbol=BTC.SIM&horizon=5m&limit=5000";
    let answer = get(&address, query);
    let expected = format!("{{\"symbol\":\"BTC.SIM\",\"forecasts\":[{}],\"next\":null}}", wanted.join(","));
    assert!(answer.body == expected, "{}", &answer.body[..500.min(answer.body.len())]);
    // A backfill that fails leaves what was there; one that is whole takes its place.
    let line = "{\"symbol\":\"BTC.SIM\",\"timestamp\":1700006400000,\"price\":1}\n";
    let cut = dir.path().join("cut.jsonl.gz");
    std::fs::write(&cut, [&b"\x1f\x8b\x08\0\0\0\0\0\0\x03"[..], line.as_bytes()].concat()).unwrap();
    let mut failing = settings.clone();
    failing[0] = format!("source.files.paths=[\"{}\", \"{}\"]", input.display(), cut.display());
    run_to_end(with("backfill", &failing), WITHIN).expect_code(1);
    assert!(get(&address, query).body == expected);
    // The files say the same, and say so when there are more.
    let mut beside = Process::spawn(with("serve", &settings[2..3]));
    let files = eventually("its address", WITHIN, || {
        let said = beside.stderr();
        let at = said.find("http://")? + 7;
        said[at..].split(' ').next().map(str::to_owned)
    });
    assert!(get(&files, query).body == expected);
    assert_eq!(get(&files, "/api/job").json()["job"], "kept");
    let (longer, _) = crate::simulated::files(dir.path(), 4);
    let mut more = settings.clone();
    more[0] = format!("source.files.paths={}", longer.display());
    run_to_end(with("backfill", &more), WITHIN).expect_code(0);
    for place in [&address, &files] {
        eventually("what is new", WITHIN, || (get(place, query).body.len() > expected.len() + 1000).then_some(()));
    }
    eventually("both have all of it", WITHIN, || (get(&files, query).body == get(&address, query).body).then_some(()));
    // The shorter one again: nothing of the longer one shows any more.
    run_to_end(with("backfill", &settings), WITHIN).expect_code(0);
    for place in [&address, &files] {
        eventually("the shorter one", WITHIN, || (get(place, query).body == expected).then_some(()));
        let last: Value = serde_json::from_str(wanted.last().unwrap()).unwrap();
        eventually("its latest forecast", WITHIN, || {
            let all = get(place, "/api/symbols?horizon=5m").json();
            let row = all["symbols"].as_array()?.iter().find(|row| row["symbol"] == "BTC.SIM")?.clone();
            (row["issued_at"] == last["issued_at"]).then_some(())
        });
    }
    beside.signal(Signal::Term);
    beside.wait(WITHIN).expect_code(0);
    serving.signal(Signal::Term);
    serving.wait(WITHIN).expect_code(0);
    // Another job's file, a missing one.
    let mut other = settings.clone();
    other[3] = "job.id=other".to_owned();
    let refused = run_to_end(with("backfill", &other), WITHIN).expect_code(1);
    assert!(refused.stderr.contains("it is the store of job `kept`, not of `other`"), "{}", refused.stderr);
    // A start that fails makes no store.
    let unmade = dir.path().join("unmade.db");
    let mut failing = settings.clone();
    failing[0] = format!("source.files.paths={}", dir.path().join("no-such.csv").display());
    failing[1] = format!("http.store={}", unmade.display());
    run_to_end(with("backfill", &failing), WITHIN).expect_code(1);
    assert!(!unmade.exists());
    let missing = run_to_end(with("serve", &["http.store=nowhere.db".to_owned()]), WITHIN).expect_code(1);
    assert!(missing.stderr.contains("nowhere.db is not there"), "{}", missing.stderr);
}

/// A collector has metrics and probes, and nothing else.
#[test]
fn a_collector_shows_what_became_of_its_calls() {
    let broker = tickcast::connectors::kafka::EmbeddedBroker::start(&[("ticks", 1)]).unwrap();
    let Some(api) = crate::api::Api::start([("ethereum", vec![crate::api::Step::Fresh("ETH")])]) else { return };
    let mut command = tickcast(["collect", "--listen", "127.0.0.1:0"]);
    command.env("NO_PROXY", "127.0.0.1");
    for set in [
        format!("collect.url={}", api.url()),
        "collect.assets=ethereum".to_owned(),
        "collect.every=100ms".to_owned(),
        format!("source.kafka.brokers={}", broker.bootstrap()),
        "source.kafka.topic=ticks".to_owned(),
    ] {
        command.args(["--set", &set]);
    }
    let mut collecting = Process::spawn(command);
    let address = eventually("its address", WITHIN, || {
        let said = collecting.stderr();
        let at = said.find("http://127.0.0.1:").filter(|at| said[*at..].contains("/metrics has metrics"))? + 7;
        said[at..].split('/').next().map(str::to_owned)
    });
    eventually("it has collected", WITHIN, || (get(&address, "/readyz").status == 200).then_some(()));
    let metrics = get(&address, "/metrics").body;
    let published =
        metrics.lines().find_map(|line| line.strip_prefix("tickcast_collect_polls_total{outcome=\"published\"} "));
    assert!(published.unwrap_or("0").parse::<u64>().unwrap() > 0, "{metrics}");
    assert_eq!(
        (get(&address, "/livez").status, get(&address, "/").status, get(&address, "/api/job").status),
        (200, 404, 404)
    );
    collecting.signal(Signal::Term);
    collecting.wait(WITHIN).expect_code(0);
}
