//! Several processes compute what one does, on the embedded broker; and who does not belong to them is told so.

use crate::proxy::Proxy;
use crate::simulated;
use crate::support::{Process, Signal, eventually, run_to_end, temp_dir, tickcast};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tickcast::connectors::kafka::EmbeddedBroker;

const WITHIN: Duration = Duration::from_secs(120);

fn configured(dir: &Path, brokers: &str) -> PathBuf {
    let path = dir.join("tickcast.toml");
    let text = format!(
        "[job]\nid = \"together\"\n[source.kafka]\nbrokers = \"{brokers}\"\ntopic = \"ticks\"\n\
         [time]\nallowed_lateness = \"0s\"\nidle_timeout = \"2s\"\n[cluster]\nstart_timeout = \"2s\"\nstall_timeout = \"5s\"\n"
    );
    std::fs::write(&path, text).unwrap();
    path
}

fn lines(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// Windows, learning of one pooled network, and scores: symbols of any process, records of any process.
#[test]
fn any_number_of_processes_gives_what_a_backfill_gives() {
    let dir = temp_dir();
    let broker = EmbeddedBroker::start(&[("ticks", 5)]).unwrap();
    let config = configured(dir.path(), &broker.bootstrap());
    let config = config.to_str().unwrap();
    let (whole, _) = simulated::files(dir.path(), 2);
    run_to_end(tickcast(["replay", whole.to_str().unwrap(), "-c", config, "--speed", "max"]), WITHIN).expect_code(0);
    for preset in ["model.scope=symbol", "model.scope=pooled"] {
        let out = |name: &str| dir.path().join(format!("{preset}-{name}"));
        let sink = |name: &str| format!("sink.files.dir={}", out(name).display());
        let backfill = tickcast([
            "backfill",
            "-c",
            config,
            "--workers",
            "1",
            "--json",
            "--set",
            preset,
            "--set",
            &sink("backfill"),
        ]);
        let whole = run_to_end(backfill, WITHIN).expect_code(0);
        let expected = lines(&out("backfill").join("forecasts.jsonl"));
        // What only the end of the input closes.
        let open = expected.len() - 12;
        for (processes, workers) in [(2, 2), (3, 1)] {
            let name = format!("{processes}x{workers}");
            let (processes, workers) = (processes.to_string(), workers.to_string());
            let sink = sink(&name);
            let arguments = ["cluster", "-c", config, "--processes", &processes, "--workers", &workers, "--json"];
            let mut cluster = Process::spawn(tickcast(arguments.into_iter().chain(["--set", preset, "--set", &sink])));
            eventually("all forecasts", WITHIN, || {
                assert!(cluster.is_running(), "{}", cluster.stderr());
                (lines(&out(&name).join("forecasts.jsonl")).len() >= open).then_some(())
            });
            cluster.signal(Signal::Term);
            let ended = cluster.wait(WITHIN).expect_code(0);
            let found = lines(&out(&name).join("forecasts.jsonl"));
            assert!(found.len() >= open && expected.starts_with(&found), "{preset} {name}: {}", ended.stderr);
            let scores = lines(&out(&name).join("scores.jsonl"));
            assert!(!scores.is_empty() && lines(&out("backfill").join("scores.jsonl")).starts_with(&scores));
            let [one, other]: [serde_json::Value; 2] =
                [&whole.stdout, &ended.stdout].map(|json| serde_json::from_slice(json).unwrap());
            assert_eq!(one["records"], other["records"]);
            assert_eq!(other["forecasts"].as_u64().unwrap() as usize, found.len());
            let symbols = |summary: &serde_json::Value| {
                summary["scores"].as_object().unwrap().keys().cloned().collect::<Vec<_>>()
            };
            assert_eq!(symbols(&one), symbols(&other), "of all processes");
        }
    }
}

fn hosts(dir: &Path, count: usize) -> (PathBuf, Vec<String>) {
    let listeners: Vec<TcpListener> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let addresses: Vec<String> = listeners.iter().map(|listener| listener.local_addr().unwrap().to_string()).collect();
    let path = dir.join("hosts");
    std::fs::write(&path, addresses.join("\n")).unwrap();
    (path, addresses)
}

/// One process of a cluster, on its own.
fn process(config: &Path, hosts: &Path, index: usize, set: &str) -> Process {
    let (config, hosts) = (config.to_str().unwrap(), hosts.to_str().unwrap());
    let index = index.to_string();
    Process::spawn(tickcast([
        "run",
        "-c",
        config,
        "--workers",
        "1",
        "--process",
        &index,
        "--hosts",
        hosts,
        "--set",
        set,
    ]))
}

#[test]
fn who_is_missing_or_does_not_belong_is_named_and_ends_with_1() {
    let dir = temp_dir();
    let config = configured(dir.path(), "127.0.0.1:9");
    let same = "model.random_seed=42";
    let (path, addresses) = hosts(dir.path(), 2);
    // A host that never comes; and who comes to nobody.
    let (first, second) = (process(&config, &path, 0, same), process(&config, &path, 1, "cluster.start_timeout=1s"));
    let told = second.wait(WITHIN);
    // They found each other: the broker is missing for both.
    assert_eq!(told.code(), Some(1), "{}", told.stderr);
    first.wait(WITHIN).expect_code(1);
    let told = process(&config, &path, 0, same).wait(WITHIN).expect_code(1).stderr;
    assert!(told.contains(&format!("process 1 ({}) did not come within 2 s", addresses[1])), "{told}");
    let told = process(&config, &path, 1, same).wait(WITHIN).expect_code(1).stderr;
    assert!(told.contains(&format!("process 0 ({}) cannot be reached within 2 s", addresses[0])), "{told}");
    // Something else listens there.
    let other = TcpListener::bind(&addresses[0]).unwrap();
    let answering = std::thread::spawn(move || {
        use std::io::Write as _;
        let (mut stream, _) = other.accept().unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").unwrap();
        (stream, other)
    });
    let told = process(&config, &path, 1, same).wait(WITHIN).expect_code(1).stderr;
    assert!(told.contains("cannot be reached"), "{told}");
    drop(answering.join().unwrap());
    // Another configuration.
    let (first, second) = (process(&config, &path, 0, same), process(&config, &path, 1, "model.random_seed=7"));
    let told = second.wait(WITHIN).expect_code(1).stderr;
    assert!(
        told.contains("process 1 has model.random_seed 7, process 0 has 42: give all processes the same"),
        "{told}"
    );
    let told = first.wait(WITHIN).expect_code(1).stderr;
    assert!(told.contains("turned away: process 1 has model.random_seed 7"), "{told}");
    // Wrong use.
    for (index, hosts, expected) in
        [(2, &path, "there are 2 hosts, so write 0 to 1"), (0, &dir.path().join("none"), "cannot read")]
    {
        let told = process(&config, hosts, index, same).wait(WITHIN).expect_code(2).stderr;
        assert!(told.contains(expected), "{told}");
    }
}

#[test]
fn two_processes_with_one_index_and_strangers() {
    let dir = temp_dir();
    let broker = EmbeddedBroker::start(&[("ticks", 5)]).unwrap();
    let config = configured(dir.path(), &broker.bootstrap());
    let same = "cluster.start_timeout=20s";
    let (path, addresses) = hosts(dir.path(), 3);
    let (mut first, mut second) = (process(&config, &path, 0, same), process(&config, &path, 1, same));
    eventually("both listen", WITHIN, || {
        [&first, &second].iter().all(|one| one.stderr().contains("waits for the others")).then_some(())
    });
    // Silent ones, and a double on another machine: here it finds its port taken.
    let strangers: Vec<TcpStream> = (0..50).filter_map(|at| TcpStream::connect(&addresses[at % 2]).ok()).collect();
    let told = process(&config, &path, 1, same).wait(WITHIN).expect_code(1).stderr;
    assert!(told.contains("is another process running there, or one with the same --process?"), "{told}");
    let mut third = process(&config, &path, 2, same);
    eventually("all are there", WITHIN, || {
        [&first, &second, &third].iter().all(|one| one.stderr().contains("all 3 processes are there")).then_some(())
    });
    drop(strangers);
    // A stop of any of them is a stop of all.
    third.signal(Signal::Term);
    for one in [&mut first, &mut second, &mut third] {
        eventually("all end", WITHIN, || (!one.is_running()).then_some(()));
    }
    for one in [first, second, third] {
        one.wait(WITHIN).expect_code(0);
    }
}

/// The wire between two processes is cut, and nobody closes anything: both see it, and end with 4.
#[test]
fn a_wire_that_is_cut_is_seen_by_both() {
    let dir = temp_dir();
    let broker = EmbeddedBroker::start(&[("ticks", 5)]).unwrap();
    let config = configured(dir.path(), &broker.bootstrap());
    let stall = "cluster.stall_timeout=1s";
    let (path, addresses) = hosts(dir.path(), 2);
    let wire = Proxy::before(addresses[0].clone());
    let through_wire = dir.path().join("through_wire");
    std::fs::write(&through_wire, format!("{}\n{}\n", wire.address, addresses[1])).unwrap();
    let both = [process(&config, &path, 0, stall), process(&config, &through_wire, 1, stall)];
    eventually("both are there", WITHIN, || {
        both.iter().all(|one| one.stderr().contains("all 2 processes are there")).then_some(())
    });
    wire.set_cut(true);
    for (one, other) in both.into_iter().zip([1, 0]) {
        let told = one.wait(WITHIN).expect_code(4).stderr;
        assert!(
            told.contains(&format!("process {other} (")) && told.contains("is lost: it said nothing for 1.0 s"),
            "{told}"
        );
    }
    wire.set_cut(false);
}
