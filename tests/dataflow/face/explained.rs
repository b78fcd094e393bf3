//! A forecast that is computed again for who asks over HTTP.

use super::{WITHIN, client, live_demo};
use crate::support::{Process, Signal, eventually, run_to_end, tickcast};
use client::{Answer, get, get_with};
use serde_json::Value;
use std::path::Path;

/// Asks until it is done.
fn explained(address: &str, id: &str) -> Answer {
    let path = format!("/api/explain?id={id}");
    eventually("an explanation", WITHIN, || {
        let answer = get(address, &path);
        if answer.status != 202 {
            return Some(answer);
        }
        let told = answer.json();
        assert!(told["id"] == id && told["seconds"].as_f64() >= Some(0.0), "{told}");
        assert!(["computing", "waiting"].contains(&told["state"].as_str().unwrap()), "{told}");
        assert_eq!(answer.header("retry-after"), Some("1"));
        None
    })
}

fn problem(answer: &Answer, status: u16, says: &str) {
    assert_eq!((answer.status, answer.header("content-type")), (status, Some("application/problem+json")), "{says}");
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains(says), "{detail}");
}

#[test]
fn a_demos_forecasts_come_out_to_the_same_bits() {
    let (mut job, address) = live_demo(&[]);
    let page = get(&address, "/explain?id=demo");
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert_eq!(get(&address, "/assets/explain.js").status, 200);
    assert_eq!(get(&address, "/api/job").json()["explains"], true);

    // The newest of two symbols at once: one after the other.
    let newest = |symbol: &str| -> Value {
        let answer = get(&address, &format!("/api/forecasts?symbol={symbol}&horizon=5m&limit=1")).json();
        answer["forecasts"][0].clone()
    };
    let wanted = [newest("BTC.SIM"), newest("ETH.SIM")];
    let answers = std::thread::scope(|scope| {
        let ask = |forecast: &Value| {
            let (address, id) = (address.clone(), forecast["id"].as_str().unwrap().to_owned());
            scope.spawn(move || explained(&address, &id))
        };
        let asking: Vec<_> = wanted.iter().map(ask).collect();
        asking.into_iter().map(|asking| asking.join().unwrap()).collect::<Vec<_>>()
    });
    for (answer, forecast) in answers.iter().zip(&wanted) {
        assert_eq!(answer.status, 200, "{}", answer.body);
        let told = answer.json();
        assert!(told["same"] == true && told["forecast"] == *forecast, "{told}");
        assert!(told["published"][0]["compared_by"] == "bytes" && told["outcome"]["known"] == false, "{told}");
    }

    // What cannot be asked for, and who may not ask.
    let id = wanted[0]["id"].as_str().unwrap();
    problem(&get(&address, "/api/explain"), 400, "id is missing");
    problem(&get(&address, "/api/explain?id=demo"), 400, "demo: ");
    problem(&explained(&address, &id.replace("/5m/", "/7m/")), 400, "7m is none of model.horizons");
    let never = id.rsplit_once('/').map(|(of, _)| format!("{of}/946684800000")).unwrap();
    problem(&explained(&address, &never), 404, "is not published: it is not in topic demo.forecasts");
    for (site, status) in [("same-origin", 200), ("none", 200), ("cross-site", 403), ("same-site", 403)] {
        let header = format!("Sec-Fetch-Site: {site}\r\n");
        let answer = get_with(&address, &format!("/api/explain?id={id}"), &header);
        assert_eq!(answer.status, status, "{site}: {}", answer.body);
    }
    // An end waits for no explanation.
    let older = get(&address, "/api/forecasts?symbol=SOL.SIM&horizon=1h&limit=300").json();
    let older = older["forecasts"][0]["id"].as_str().unwrap().to_owned();
    std::thread::scope(|scope| {
        scope.spawn(|| get(&address, &format!("/api/explain?id={older}")));
        job.signal(Signal::Term);
    });
    job.wait(WITHIN).expect_code(0);
}

fn serving(settings: &[String]) -> (Process, String) {
    let mut command = tickcast(["serve", "--listen", "127.0.0.1:0"]);
    settings.iter().for_each(|setting| {
        command.args(["--set", setting]);
    });
    let serving = Process::spawn(command);
    let address = eventually("its address", WITHIN, || {
        let said = serving.stderr();
        let at = said.find("http://")? + 7;
        said[at..].split(' ').next().map(str::to_owned)
    });
    (serving, address)
}

/// Files, and a store without them; the command line says the same of both as the page.
#[test]
fn what_is_served_is_explained_where_its_source_is_known() {
    let dir = crate::support::temp_dir();
    let (input, _) = crate::simulated::files(dir.path(), 2);
    let set = |name: &str, path: &Path| format!("{name}={}", path.display());
    let (store, out) = (dir.path().join("results.db"), dir.path().join("out"));
    let (source, stored) = (set("source.files.paths", &input), set("http.store", &store));
    let written = set("sink.files.dir", &out);
    for (settings, place) in [(vec![&source, &stored], &store), (vec![&source, &written], &out)] {
        let settings: Vec<String> = settings.into_iter().cloned().chain(["job.id=kept".to_owned()]).collect();
        let sets: Vec<&str> = settings.iter().flat_map(|setting| ["--set", setting.as_str()]).collect();
        run_to_end(tickcast([&["backfill", "--listen", "127.0.0.1:0"][..], &sets].concat()), WITHIN).expect_code(0);
        let (mut server, address) = serving(&settings);
        let found = get(&address, "/api/forecasts?symbol=ETH.SIM&horizon=1m&limit=30").json();
        let forecast = found["forecasts"][0].clone();
        let id = forecast["id"].as_str().unwrap().to_owned();
        let answer = explained(&address, &id);
        assert_eq!(answer.status, 200, "{}", answer.body);
        let mut told = answer.json();
        assert!(told["same"] == true && told["forecast"] == forecast && told["outcome"]["published"] == true, "{told}");
        let command = tickcast([&["explain", &id, "--json"][..], &sets].concat());
        let mut said: Value = serde_json::from_str(&run_to_end(command, WITHIN).expect_code(0).stdout_text()).unwrap();
        // They differ in how it was done.
        for all in [&mut told, &mut said] {
            assert!(all["published"][0]["place"].as_str().unwrap().contains(place.to_str().unwrap()), "{all}");
            all["replay"].take();
            all["input"]["partitions"].take();
        }
        assert_eq!(told, said);
        server.signal(Signal::Term);
        server.wait(WITHIN).expect_code(0);
        // Without its source there is nothing to compute it from.
        let (mut server, address) = serving(&settings[1..]);
        assert_eq!(get(&address, "/api/job").json()["explains"], false);
        problem(&get(&address, &format!("/api/explain?id={id}")), 404, "has to name its source");
        server.signal(Signal::Term);
        server.wait(WITHIN).expect_code(0);
    }
}
