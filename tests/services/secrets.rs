//! Passwords and keys are planted wherever a configuration may hold them, and looked for in everything that comes out.

use crate::api::{Api, Step};
use crate::live::Setup;
use crate::objects::{BUCKET, Objects};
use crate::support::{self, Process, Services, Signal, eventually, run_to_end, tickcast};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const WITHIN: Duration = Duration::from_secs(120);
const KAFKA: &str = "planted-kafka-9f2c";
const MONGODB: &str = "planted-mongodb-77aa";
const BUCKETS: &str = "planted-bucket-51d0";
const COLLECT: &str = "planted-collect-c3e8";

/// Texts and where they come from.
#[derive(Default)]
struct Seen(Vec<(String, Vec<u8>)>);

impl Seen {
    fn add(&mut self, from: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.0.push((from.into(), bytes.into()));
    }

    /// Runs a command to its end, loudly.
    fn run(&mut self, name: &str, command: Command, code: i32) -> String {
        let done = run_to_end(command, WITHIN).expect_code(code);
        let said = done.stderr.clone();
        self.add(format!("{name}: stdout"), done.stdout);
        self.add(format!("{name}: stderr"), done.stderr);
        said
    }

    fn end(&mut self, name: &str, mut process: Process) {
        process.signal(Signal::Term);
        let done = process.wait(WITHIN).expect_code(0);
        self.add(format!("{name}: stdout"), done.stdout);
        self.add(format!("{name}: stderr"), done.stderr);
    }

    fn files(&mut self, dir: &Path) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                self.files(&path);
            } else {
                self.add(path.display().to_string(), std::fs::read(&path).unwrap());
            }
        }
    }

    fn assert_clean(&self) {
        for (from, bytes) in &self.0 {
            for secret in [KAFKA, MONGODB, BUCKETS, COLLECT] {
                let at = bytes.windows(secret.len()).position(|part| part == secret.as_bytes());
                if let Some(at) = at {
                    let around = &bytes[at.saturating_sub(200)..(at + 60).min(bytes.len())];
                    panic!("{secret} is in {from}: {}", String::from_utf8_lossy(around));
                }
            }
        }
    }
}

#[test]
#[ignore = "needs services: run ./deploy/test"]
fn no_output_holds_a_secret() {
    let services = Services::shared();
    let objects = Objects::start(&services);
    let place = support::temp_dir();
    let out = place.path().join("out");
    std::fs::create_dir(&out).unwrap();
    // Said on a line without encryption, where it is of no use, and goes into every client all the same.
    let options = format!("options = {{ \"sasl.username\" = \"joe\", \"sasl.password\" = \"{KAFKA}\" }}\n");
    let extra = format!(
        "{options}[sink.files]\ndir = \"{0}/files\"\n[dead_letter]\nfile = \"{0}/dead.jsonl\"\n\
         [checkpoint]\nurl = \"s3://{BUCKET}/jobs\"\ninterval = \"5s\"\n[http]\nlisten = \"127.0.0.1:0\"\nstore = \"{0}/results.db\"\n",
        out.display()
    );
    let setup = Setup::new(&services, false, &extra);
    let text = std::fs::read_to_string(&setup.config).unwrap();
    std::fs::write(&setup.config, text.replacen("[sink.kafka]", &format!("{options}[sink.kafka]"), 1)).unwrap();
    let (input, _) = crate::simulated::files(setup.dir.path(), 3);
    setup.replay(&input, None);
    let variables: Vec<(String, String)> = objects
        .settings()
        .into_iter()
        .map(|(name, value)| if name == "AWS_SECRET_ACCESS_KEY" { (name, BUCKETS.to_owned()) } else { (name, value) })
        .collect();
    let loud = |arguments: &[&str]| {
        let mut command = tickcast(arguments.iter().copied());
        command.env("TICKCAST_LOG", "trace").envs(variables.clone()).current_dir(place.path());
        command
    };
    let with = |arguments: &[&str], sets: &[&str]| {
        let mut command = loud(arguments);
        command.args(["-c", setup.config()]);
        for set in sets {
            command.args(["--set", set]);
        }
        command
    };
    let mut seen = Seen::default();

    // A job that does well, all that it serves, and what it leaves.
    let job = Process::spawn(with(&["run"], &[]));
    let address = eventually("its address", WITHIN, || {
        let said = job.stderr();
        let at = said.find("http://127.0.0.1:").filter(|at| said[*at..].contains("has a page, an API"))?;
        said[at..].split(' ').next().map(str::to_owned)
    });
    setup.await_through(crate::simulated::START.millis() + 3 * 3_600_000 - 120_000, WITHIN);
    eventually("a checkpoint", WITHIN, || job.stderr().contains("checkpoint").then_some(()));
    let of = "symbol=BTC.SIM&horizon=5m";
    for path in [
        "/".to_owned(),
        "/api/job".to_owned(),
        "/api/symbols".to_owned(),
        format!("/api/forecasts?{of}&limit=5000"),
        format!("/api/scores?{of}&limit=5000"),
        format!("/api/figures?{of}"),
        "/api/bars?symbol=BTC.SIM&window=1m&limit=5000".to_owned(),
        "/api/openapi.json".to_owned(),
        "/metrics".to_owned(),
        "/readyz".to_owned(),
    ] {
        let answer = ureq::get(format!("{address}{path}")).call().unwrap();
        seen.add(path, answer.into_body().into_with_config().limit(1 << 26).read_to_vec().unwrap());
    }
    // What one of them was made of, and what is said where that cannot be told.
    let found = ureq::get(format!("{address}/api/forecasts?{of}&limit=1")).call().unwrap();
    let found: serde_json::Value = serde_json::from_str(&found.into_body().read_to_string().unwrap()).unwrap();
    let id = found["forecasts"][0]["id"].as_str().unwrap();
    for (id, status) in [(id, 200), ("x", 400)] {
        let answer = eventually("an explanation", WITHIN, || {
            let asked =
                ureq::get(format!("{address}/api/explain?id={id}")).config().http_status_as_error(false).build();
            Some(asked.call().unwrap()).filter(|answer| answer.status() != 202)
        });
        assert_eq!(answer.status(), status, "{id}");
        seen.add(format!("/api/explain?id={id}"), answer.into_body().read_to_vec().unwrap());
    }
    seen.end("run", job);
    for topic in
        [setup.forecasts.clone(), format!("{}.scores", setup.forecasts), format!("{}.progress", setup.forecasts)]
    {
        for message in support::read_committed(services.kafka(), &topic) {
            seen.add(topic.clone(), message.value);
        }
    }
    let store = tickcast::connectors::checkpoints::Bucket::open(BUCKET, "jobs", objects.settings()).unwrap();
    use tickcast::recovery::store::Store as _;
    let names = store.list("").unwrap();
    assert!(!names.is_empty());
    for name in names {
        seen.add(format!("checkpoint {name}"), store.get(&name).unwrap());
    }

    // What goes wrong, and who looks.
    let uri = format!("sink.mongodb.uri=mongodb://joe:{MONGODB}@{}", services.mongodb().split("://").nth(1).unwrap());
    let said = seen.run("run without the right password", with(&["run"], &[&uri]), 1);
    assert!(said.contains("refuses user `joe`"), "{said}");
    seen.run("doctor", with(&["doctor"], &[&uri]), 1);
    seen.run("doctor --json", with(&["doctor", "--json", "--log-format", "json"], &[&uri]), 1);
    seen.run("config show", with(&["config", "show"], &[&uri]), 0);
    seen.run("checkpoint list", with(&["checkpoint", "list"], &[]), 0);
    let sasl = ["source.kafka.options.sasl.mechanism=PLAIN", "source.kafka.options.security.protocol=sasl_plaintext"];
    seen.run("a broker that wants no password", with(&["run"], &sasl), 1);
    let whole = format!("mongodb://joe:{MONGODB}@127.0.0.1:1/trial?serverSelectionTimeoutMS=100");
    seen.run("verify", loud(&["verify", &whole, &out.join("files").display().to_string()]), 1);
    let paths = format!("source.files.paths={}", input.display());
    seen.run("backfill", with(&["backfill", "--json"], &[&paths, "http.listen=127.0.0.1:0", "source.kafka="]), 2);
    seen.run(
        "report",
        with(&["report", "--source", "files", "--out", &out.join("report").display().to_string()], &[]),
        0,
    );
    let mut serve = with(&["serve"], &[]);
    serve.args(["--from", "files"]);
    let serving = Process::spawn(serve);
    eventually("it serves", WITHIN, || serving.stderr().contains("has a page and an API of").then_some(()));
    seen.end("serve", serving);

    // A collector with a key.
    if let Some(api) = Api::start([("ethereum", vec![Step::Fresh("ETH")])]) {
        let key_file: PathBuf = place.path().join("key");
        std::fs::write(&key_file, COLLECT).unwrap();
        let url = format!("collect.url={}", api.url());
        let key = format!("collect.key_file={}", key_file.display());
        let mut collect = with(&["collect"], &[&url, "collect.assets=ethereum", "collect.every=100ms", &key]);
        collect.env("NO_PROXY", "127.0.0.1");
        let collecting = Process::spawn(collect);
        eventually("it has asked", WITHIN, || (api.all().len() > 3).then_some(()));
        seen.end("collect", collecting);
    }
    seen.files(&out);
    println!("{} texts, {} bytes", seen.0.len(), seen.0.iter().map(|(_, text)| text.len()).sum::<usize>());
    assert!(seen.0.iter().any(|(from, text)| from == "run: stderr" && String::from_utf8_lossy(text).contains("TRACE")));
    seen.assert_clean();
}
