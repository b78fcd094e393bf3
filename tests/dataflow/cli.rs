//! The command line as its users meet it: exit codes, messages, and where they go.

use std::path::PathBuf;
use std::process::{Command, Output};

fn tickcast(args: &[&str], env: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tickcast"));
    // Nothing of the caller's environment that is a setting.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TICKCAST_")) {
        command.env_remove(name);
    }
    command.args(args).envs(env.iter().copied()).output().expect("the binary runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

struct File(tempfile::TempDir);

impl File {
    fn new(toml: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("config.toml"), toml).unwrap();
        Self(dir)
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("config.toml")
    }
}

/// Runs with a file, expects `code`, nothing on stdout, and a short message without a panic that holds all `parts`.
fn refuses(toml: &str, args: &[&str], code: i32, parts: &[&str]) {
    let file = File::new(toml);
    let path = file.path();
    let mut all = args.to_vec();
    all.extend(["-c", path.to_str().unwrap()]);
    let output = tickcast(&all, &[]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{all:?}: {said}");
    assert_eq!(text(&output.stdout), "", "{all:?}");
    for part in parts {
        assert!(said.contains(part), "{all:?}: {part:?} is not in {said:?}");
    }
    assert!(said.lines().count() <= 3 && !said.contains("panic") && !said.contains("internal error"), "{said}");
}

#[test]
fn wrong_configuration_exits_with_2_and_says_what_to_do() {
    for command in ["run", "backfill", "config show"] {
        let args: Vec<&str> = command.split(' ').collect();
        refuses(
            "[time]\nslid = \"5s\"",
            &args,
            2,
            &["config.toml:2: ", "unknown key time.slid, did you mean time.slide?"],
        );
        refuses(
            "[time]\nslide = \"5 seconds\"",
            &args,
            2,
            &["config.toml:2: ", "time.slide", "5 seconds", "250ms, 5s, 1m, 1h, 1d"],
        );
        refuses(
            "[time]\nwindows = [\"62s\"]",
            &args,
            2,
            &["time.slide = 5s", "does not divide", "time.windows: 62s", "config.toml:2"],
        );
        refuses("[http]\nlisten = \"x\"", &args, 2, &["config.toml:2: ", "http.listen", "127.0.0.1:8080"]);
        refuses("[futures]\ndir = \"x\"", &args, 2, &["unknown key futures"]);
        refuses("[time]\nlate = \"correct\"", &args, 2, &["time.late", "planned, but not there yet"]);
    }
    refuses("[source.files]\npaths = [\"a.csv\"]", &["run"], 2, &["use backfill"]);
    let both = "[source.files]\npaths = [\"a.csv\"]\n[source.kafka]\ntopic = \"t\"";
    refuses(both, &["backfill"], 2, &["source.kafka and source.files are both given", "--then-live"]);
    let with_sink = format!("{both}\n[sink.kafka]\ntopic = \"f\"");
    let chaos = ["chaos", "--kills", "1", "--seed", "1"];
    refuses(&with_sink, &chaos, 2, &["leave source.files and source.mongodb out"]);
    let then_live = ["backfill", "--then-live"];
    refuses("[source.files]\npaths = [\"a.csv\"]", &then_live, 2, &["no topic to go on with: give source.kafka"]);
    let from = ["backfill", "--then-live", "--from", "2021-01-02T00:00:00Z"];
    refuses("[source.kafka]\ntopic = \"t\"", &from, 2, &["source.kafka.start says it"]);
    refuses("", &["run"], 2, &["no source", "source.kafka"]);
    refuses("", &["replay", "a.csv"], 2, &["source.kafka"]);
    let range = ["backfill", "--from", "2021-01-02T00:00:00Z", "--to", "2021-01-01T00:00:00Z"];
    refuses("[source.files]\npaths = [\"a.csv\"]", &range, 2, &["--from", "is not before --to"]);
}

/// `config show` shows what there is all the same, so that one sees where it came from.
#[test]
fn what_exactness_rests_on_cannot_be_set() {
    let toml = "[source.kafka]\noptions = { \"enable.auto.commit\" = true }";
    let parts = ["source.kafka.options.enable.auto.commit", "exactness rests on it: remove it"];
    refuses(toml, &["run"], 2, &parts);
    refuses(toml, &["backfill"], 2, &parts);
    let file = File::new(toml);
    let output = tickcast(&["config", "show", "-c", file.path().to_str().unwrap()], &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stdout).contains("config.toml:2"), "{}", text(&output.stdout));
    assert!(parts.iter().all(|part| text(&output.stderr).contains(part)), "{}", text(&output.stderr));
}

#[test]
fn a_missing_file_says_which_and_what_to_do() {
    let output = tickcast(&["run", "-c", "no/such.toml"], &[]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("no/such.toml: no such file") && said.contains("tickcast config example"), "{said}");
}

#[test]
fn wrong_use_exits_with_2() {
    for (args, part) in [
        (&["runn"][..], "run"),
        (&["run", "--workers", "0"], "1 to 64"),
        (&["run", "--nonsense"], "--nonsense"),
        (&["replay"], "FILE"),
        (&["replay", "a.csv", "--speed", "0"], "max"),
        (&["backfill", "--from", "yesterday"], "2021-01-21T14:00:00Z"),
        (&["config", "show", "--set", "time.slide"], "key=value"),
        (&["completions", "cmd"], "bash"),
    ] {
        let output = tickcast(args, &[]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains(part) && output.stdout.is_empty(), "{args:?}: {said}");
    }
    let output = tickcast(&["config", "show"], &[("TICKCAST_LOG", "=,=")]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("TICKCAST_LOG"));
}

#[test]
fn config_show_tells_origins_and_masks_secrets() {
    let file = File::new("[time]\nslide = \"1s\"\n[sink.mongodb]\nuri = \"mongodb://me:hunter2@db/x\"\n");
    let path = file.path();
    let args = ["config", "show", "-c", path.to_str().unwrap(), "--set", "model.hidden=16"];
    let env = [
        ("TICKCAST_SINK__KAFKA__OPTIONS__SASL_PASSWORD", "hunter2"),
        ("TICKCAST_SOURCE__KAFKA__TOPIC", "mine"),
        ("TICKCAST_DATA", "no setting"),
    ];
    let output = tickcast(&args, &env);
    let shown = text(&output.stdout);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
    let line = |start: &str| {
        shown.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{start} in {shown}"))
    };
    assert!(line("slide = \"1s\"").ends_with("config.toml:2"));
    assert!(line("epoch = \"5m\"").ends_with("# default"));
    assert!(line("hidden = 16").ends_with("# --set"));
    assert!(line("topic = \"mine\"").ends_with("# TICKCAST_SOURCE__KAFKA__TOPIC"));
    assert!(shown.contains("mongodb://***@db/x") && shown.contains("options.\"sasl.password\" = \"***\""), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn secrets_stay_out_of_errors() {
    let env = [("TICKCAST_SINK__MONGODB__URI", "me:hunter2@db"), ("TICKCAST_TIME__SLID", "5s")];
    let output = tickcast(&["config", "show"], &env);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        said.contains("TICKCAST_SINK__MONGODB__URI") && said.contains("TICKCAST_TIME__SLID: unknown key time.slid"),
        "{said}"
    );
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn the_example_is_a_configuration() {
    let example = tickcast(&["config", "example"], &[]);
    let file = File::new(&text(&example.stdout));
    let path = file.path();
    let output = tickcast(&["config", "show", "-c", path.to_str().unwrap()], &[]);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
}

#[test]
fn each_help_holds_an_example_and_says_what_the_command_is_for() {
    for command in [
        "",
        "demo",
        "run",
        "backfill",
        "replay",
        "collect",
        "config",
        "config show",
        "config example",
        "config reference",
        "completions",
    ] {
        let args: Vec<&str> = command.split(' ').filter(|part| !part.is_empty()).chain(["--help"]).collect();
        let output = tickcast(&args, &[]);
        let help = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        let example = help.find("Example").unwrap_or_else(|| panic!("{args:?}: {help}"));
        assert!(help[example..].contains(&format!("tickcast {command}")), "{args:?}: {help}");
        assert!(!help.starts_with("Usage") && !help.starts_with('`'), "{args:?}: {help}");
    }
}

#[test]
fn completions_are_printed() {
    for (shell, part) in [("bash", "_tickcast"), ("zsh", "#compdef tickcast"), ("fish", "complete -c tickcast")] {
        let output = tickcast(&["completions", shell], &[]);
        assert_eq!(output.status.code(), Some(0));
        assert!(text(&output.stdout).contains(part), "{shell}");
    }
}

/// With `--log-format json` each line of stderr is an object with the same names, whoever says it.
#[test]
fn every_line_of_a_json_log_is_an_object() {
    let lines = |output: &Output| {
        let said = text(&output.stderr);
        let lines: Vec<serde_json::Value> = said
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
            .collect();
        for line in &lines {
            for name in ["timestamp", "level", "target", "message"] {
                assert!(line[name].as_str().is_some_and(|value| !value.is_empty()), "{name}: {line}");
            }
        }
        lines
    };
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("ticks.jsonl");
    std::fs::write(&input, "{\"symbol\":\"A\",\"timestamp\":1700006400000,\"price\":1}\n").unwrap();
    let paths = format!("source.files.paths={}", input.display());
    let out = format!("sink.files.dir={}", dir.path().join("out").display());
    let well = tickcast(&["backfill", "--log-format", "json", "--set", &paths, "--set", &out], &[]);
    assert_eq!(well.status.code(), Some(0), "{}", text(&well.stderr));
    assert!(lines(&well).iter().any(|line| line["level"] == "INFO"));
    // By the variable; a configuration that is wrong in two ways; an input that is not there.
    let by_variable = [("TICKCAST_LOG_FORMAT", "json")];
    let wrong = tickcast(&["backfill", "--set", "time.slide=7q", "--set", "job.workers=x"], &by_variable);
    assert_eq!((wrong.status.code(), lines(&wrong).len()), (Some(2), 2), "{}", text(&wrong.stderr));
    let missing = tickcast(&["backfill", "--set", "source.files.paths=nowhere.csv"], &by_variable);
    let said = lines(&missing);
    let last = said.last().unwrap();
    assert_eq!((missing.status.code(), last["level"].as_str()), (Some(1), Some("ERROR")));
    assert!(last["message"].as_str().unwrap().contains("nowhere.csv"), "{last}");
    // Each process of a cluster says which it is.
    let settings = ["--set", "source.kafka.brokers=127.0.0.1:1", "--set", "source.kafka.topic=ticks"];
    let sink = ["--set", "sink.kafka.brokers=127.0.0.1:1", "--set", "sink.kafka.topic=f"];
    let cluster = ["cluster", "--processes", "2", "--workers", "1", "--log-format", "json"];
    let cluster = tickcast(&[&cluster[..], &settings, &sink].concat(), &[]);
    let said = lines(&cluster);
    assert_eq!(cluster.status.code(), Some(1), "{said:?}");
    assert!(said.iter().any(|line| line["process"] == 0 && line["level"] == "ERROR"), "{said:?}");
    let unknown = tickcast(&["backfill"], &[("TICKCAST_LOG_FORMAT", "xml")]);
    assert!(unknown.status.code() == Some(2) && text(&unknown.stderr).contains("write text or json"));
}
