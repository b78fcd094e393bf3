use super::*;
use crate::config::{Delivery, Format, example, show};
use crate::market::Span;

fn load(toml: &str, env: &[(&str, &str)], sets: &[&str]) -> Result<Settings, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    std::fs::write(&path, toml).unwrap();
    let env = env.iter().map(|(name, value)| (name.into(), value.into()));
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    let place = format!("{}/", dir.path().display());
    Settings::load(Some(&path), env, &sets).map_err(|error| error.to_string().replace(&place, ""))
}

#[test]
fn later_layers_win_and_each_value_knows_its_origin() {
    let file = "[time]\nslide = \"1s\"\nepoch = \"10m\"\n[source.kafka]\ntopic = \"file\"\nbrokers = \"file:1\"\n";
    let env = [("TICKCAST_SOURCE__KAFKA__BROKERS", "env:1"), ("TICKCAST_SOURCE__KAFKA__TOPIC", "env")];
    let settings = load(file, &env, &["source.kafka.topic=set", "source.kafka.topic=last"]).unwrap();
    let kafka = settings.config.source.kafka.as_ref().unwrap();
    assert_eq!((kafka.topic.as_str(), kafka.brokers.as_str(), kafka.start.as_str()), ("last", "env:1", "earliest"));
    assert_eq!(settings.config.time.slide, Span::from_millis(1000));
    for (name, suffix) in [
        ("time.slide", "config.toml:2"),
        ("time.idle_timeout", "default"),
        ("source.kafka.brokers", "TICKCAST_SOURCE__KAFKA__BROKERS"),
        ("source.kafka.topic", "--set"),
    ] {
        let origin = settings.setting(name).unwrap().origin.to_string();
        assert!(origin.ends_with(suffix), "{name}: {origin}");
    }
}

#[test]
fn nothing_set_is_the_defaults() {
    let settings = Settings::load(None, [], &[]).unwrap();
    assert_eq!(format!("{:?}", settings.config), format!("{:?}", Config::default()));
    assert!(settings.config.source.kafka.is_none() && settings.table("sink.kafka").is_none());
}

#[test]
fn one_key_or_an_empty_table_turns_a_table_on() {
    assert!(load("[sink.files]", &[], &[]).unwrap().config.sink.files.is_some());
    assert!(load("", &[("TICKCAST_SINK__FILES__DIR", "x")], &[]).unwrap().config.sink.files.is_some());
    let settings = load("", &[], &["dead_letter.file=dead.jsonl", "sink.kafka.delivery=at_least_once"]).unwrap();
    assert!(settings.config.dead_letter.is_some());
    assert_eq!(settings.config.sink.kafka.unwrap().delivery, Delivery::AtLeastOnce);
}

#[test]
fn the_seed_s_horizon_is_its_step_unless_it_is_set() {
    for (set, expected) in [(&["model.preset=seed"][..], 60_000), (&["model.preset=seed", "model.step=5m"], 300_000)] {
        let settings = load("", &[], set).unwrap();
        assert_eq!(settings.config.model.horizons, [Span::from_millis(expected)]);
        let shown = settings.setting("model.horizons").unwrap();
        assert_eq!(
            (shown.value[0].as_str().unwrap().parse(), shown.origin),
            (Ok(Span::from_millis(expected)), Origin::Default)
        );
    }
    let error = load("", &[], &["model.preset=seed", "model.horizons=5m"]).err().unwrap();
    assert!(error.contains("leave it out, or make it [\"1m\"] (model.horizons: --set;"), "{error}");
    assert_eq!(load("", &[], &["model.preset=default"]).unwrap().config.model.horizons.len(), 4);
}

#[test]
fn texts_become_every_type() {
    let env = [
        ("TICKCAST_TIME__WINDOWS", "10s, 1m"),
        ("TICKCAST_MODEL__HORIZONS", "[\"2m\", \"1h\"]"),
        ("TICKCAST_MODEL__COVERAGE", "0.8"),
        ("TICKCAST_MODEL__HIDDEN", "8"),
        ("TICKCAST_SINK__KAFKA__CREATE_TOPICS", "false"),
        ("TICKCAST_SOURCE__FORMAT", "candle"),
        ("TICKCAST_SINK__MONGODB__TTL", "30d"),
    ];
    let config = load("", &env, &["source.files.paths=a.csv,b.csv"]).unwrap().config;
    assert_eq!(config.time.windows, [10_000, 60_000].map(Span::from_millis));
    assert_eq!(config.model.horizons, [120_000, 3_600_000].map(Span::from_millis));
    assert_eq!((config.model.coverage, config.model.hidden, config.source.format), (0.8, 8, Format::Candle));
    assert!(!config.sink.kafka.unwrap().create_topics);
    assert_eq!(config.sink.mongodb.unwrap().ttl, Some(Span::from_millis(30 * 86_400_000)));
    assert_eq!(config.source.files.unwrap().paths, ["a.csv", "b.csv"].map(std::path::PathBuf::from));
}

#[test]
fn options_take_any_name_in_every_layer() {
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "hunter2\n").unwrap();
    let file = "[source.kafka.options]\nsecurity.protocol = \"SASL_SSL\"\n\"ssl.ca.location\" = \"file\"\n\"queued.min.messages\" = 1000\n";
    let path = secret.path().to_str().unwrap();
    let env = [
        ("TICKCAST_SOURCE__KAFKA__OPTIONS__SSL_CA_LOCATION", "env"),
        ("TICKCAST_SOURCE__KAFKA__OPTIONS__SASL_PASSWORD__FILE", path),
    ];
    let sets = ["source.kafka.options.sasl.username=me", "source.kafka.options.\"client.id\"=x=y"];
    let options = load(file, &env, &sets).unwrap().config.source.kafka.unwrap().options;
    let expected = [
        ("client.id", "x=y"),
        ("queued.min.messages", "1000"),
        ("sasl.password", "hunter2"),
        ("sasl.username", "me"),
        ("security.protocol", "SASL_SSL"),
        ("ssl.ca.location", "env"),
    ];
    assert_eq!(options, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
}

#[test]
fn variables_without_two_underscores_are_no_settings() {
    let env = ["TICKCAST_DATA", "TICKCAST_LOG", "TICKCAST_TEST_KAFKA", "TICKCAST_SERVICES_DIR", "OTHER__NAME"];
    load("", &env.map(|name| (name, "x")), &[]).unwrap();
}

/// File, sets, and what the error must say.
const WRONG: &[(&str, &[&str], &str)] = &[
    ("[time]\n\nslid = \"5s\"", &[], "config.toml:3: unknown key time.slid, did you mean time.slide?"),
    ("[tim]\nslide = \"5s\"", &[], "config.toml:1: unknown key tim, did you mean time?"),
    ("slide = \"5s\"", &[], "config.toml:1: unknown key slide, did you mean time.slide?"),
    (
        "[chickenpox]\nurl = \"file:///x\"",
        &[],
        "config.toml:1: unknown key chickenpox; there are job, source, time, model, sink, dead_letter, checkpoint, cluster, http, collect",
    ),
    (
        "[http]\nlisten = \"x\"",
        &[],
        "http.listen = \"x\": no address: write an IP address and a port, as in 127.0.0.1:8080",
    ),
    ("[http]\nhosts = [\"a b\"]", &[], "\"a b\" is no name of a machine"),
    ("[collect]\nurl = \"x\"", &[], "collect.url = \"***\": no address: write http:// or https://"),
    ("[collect]\nurl = \"https://me:hunter2@x\"", &[], "collect.url = \"https://***@x\": no address"),
    ("[collect]\nurl = \"https://x/?a=1\"", &[], "no address"),
    ("[collect]\nassets = [\"../x\"]", &[], "\"../x\" is no name of an asset: write a list of 1 to 100"),
    ("[collect]\nassets = [\"..\"]", &[], "\"..\" is no name of an asset"),
    ("[collect]\nassets = []", &[], "collect.assets = []: an empty list"),
    ("[collect]\nassets = [\"a\", \"a\"]", &[], "\"a\" is there twice"),
    ("[collect]\nkey = \"hunter2 \\u00e9\"", &[], "collect.key = \"***\": no key"),
    ("[collect]\nevery = \"99ms\"", &[], "collect.every = 99ms is too often: write at least 100ms"),
    ("[collect]\ntimeout = \"6m\"", &[], "collect.timeout = 6m is too long: write at most 5m"),
    ("[collect]\nkey = \"hunter2\"\nkey_file = \"x\"", &[], "collect.key and collect.key_file are both given"),
    ("[source.mongodbs]\nuri = \"x\"", &[], "unknown key source.mongodbs, did you mean source.mongodb?"),
    ("", &["source.kafka.broker=x"], "--set: unknown key source.kafka.broker, did you mean source.kafka.brokers?"),
    ("", &["model.zzz=1"], "--set: unknown key model.zzz; allowed there: experts, preset, scope, hidden"),
    ("", &["time.slide"], "--set time.slide: write key=value"),
    ("", &["sink.files=out"], "--set: sink.files is a table: set one of its keys, such as sink.files.dir"),
    ("", &["source.kafka.options=x"], "source.kafka.options is a table: set one of its options"),
    ("sink = 5", &[], "config.toml:1: sink is a table: write [sink]"),
    ("[time.slide]\nx = 1", &[], "config.toml:1: time.slide = { x = 1 }: no text: write a duration above zero"),
    (
        "[time]\nslide = \"5 seconds\"",
        &[],
        "config.toml:2: time.slide = \"5 seconds\": no duration: write a whole number and a unit, as in 250ms, 5s, 1m, 1h, 1d",
    ),
    ("[time]\nslide = 5", &[], "time.slide = 5: no text: write a duration"),
    ("[time]\nslide = \"0s\"", &[], "time.slide = \"0s\": not above zero"),
    ("[time]\nwindows = \"1m\"", &[], "time.windows = \"1m\": no list"),
    ("[time]\nwindows = []", &[], "time.windows = []: an empty list"),
    ("[time]\nwindows = [\"1m\", \"60s\"]", &[], "\"60s\" is there twice"),
    ("[time]\nwindows = [\"1m\", \"x\"]", &[], "\"x\" is no duration"),
    ("[model]\nhorizons = []", &[], "model.horizons = []: an empty list"),
    ("[model]\nhorizons = [\"1m\", \"1m\"]", &[], "\"1m\" is there twice"),
    ("[model]\nhorizons = [1]", &[], "1 is no text"),
    ("[model]\npreset = \"keras\"", &[], "model.preset = \"keras\": not allowed: write default, seed or none"),
    ("[model]\nscope = \"all\"", &[], "model.scope = \"all\": not allowed: write symbol or pooled"),
    (
        "[time]\nlate = \"correct\"",
        &[],
        "time.late = \"correct\": planned, but not there yet: write dead_letter or drop",
    ),
    (
        "[source]\nformat = \"trades\"",
        &[],
        "source.format = \"trades\": not allowed: write auto, tick, messari, trade or candle",
    ),
    ("[sink.files]\nformat = \"parquet\"", &[], "sink.files.format = \"parquet\": not allowed: write jsonl"),
    ("[model]\ncoverage = 1.0", &[], "model.coverage = 1.0: out of range: write a number between 0 and 1"),
    ("[model]\ncoverage = 0", &[], "model.coverage = 0: out of range"),
    ("[model]\ncoverage = nan", &[], "model.coverage = nan: out of range"),
    ("[model]\nsteps = 1", &[], "model.steps = 1: out of range: write a whole number from 2 to 1024"),
    ("[model]\nhidden = 1025", &[], "model.hidden = 1025: out of range"),
    ("[model]\nhidden = \"32\"", &[], "model.hidden = \"32\": no whole number"),
    ("[model]\nlayers = 5", &[], "model.layers = 5: out of range"),
    ("[model]\nminibatches = 1001", &[], "out of range: write a whole number from 0 to 1000"),
    ("[model]\nrandom_seed = -1", &[], "model.random_seed = -1: out of range"),
    ("", &["model.hidden=many"], "--set: model.hidden = \"many\": no whole number"),
    ("", &["sink.kafka.create_topics=yes"], "sink.kafka.create_topics = \"yes\": neither true nor false"),
    ("[job]\nid = \"\"", &[], "job.id = \"\": empty: write 1 to 128 printable ASCII"),
    ("[job]\nid = \"a/b\"", &[], "job.id = \"a/b\": no job id"),
    ("[job]\nid = \"bücher\"", &[], "no job id"),
    ("[source.kafka]\ntopic = \"a b\"", &[], "no name of a topic"),
    (
        "[source.kafka]\nstart = 2021-01-01T00:00:00Z",
        &[],
        "source.kafka.start = 2021-01-01T00:00:00Z: a bare date is no text: put it in quotes",
    ),
    ("[source.kafka]\nstart = \"yesterday\"", &[], "no beginning: write earliest, latest, or an RFC 3339 time"),
    ("[source.kafka]\nstart = \"1611239671\"", &[], "no beginning"),
    ("[source.kafka.options]\nx = [1]", &[], "source.kafka.options.x = [1]: no librdkafka option"),
    ("[source.files]\nsymbol = \"\"", &[], "source.files.symbol = \"\": empty"),
    ("[source.files]\npaths = [\"\"]", &[], "\"\" is empty"),
    ("[sink.mongodb]\nuri = \"me:hunter2@db\"", &[], "sink.mongodb.uri = \"***\": begins with neither mongodb://"),
    ("[sink.mongodb]\nuri = 5", &[], "sink.mongodb.uri = \"***\": no text"),
    ("[time]\nslide = \"5s", &[], "config.toml:2: no TOML: "),
    ("[sink.kafka.options]\n\"sasl.password\" = hunter2", &[], "config.toml:2: no TOML: "),
    ("[time]\nslide = \"5s\"\nslide = \"1s\"", &[], "config.toml:3: no TOML: "),
    (
        "",
        &["sink.kafka.options.sasl.password_file=/no/such/file"],
        "sasl.password_file = \"/no/such/file\": cannot be read",
    ),
    ("", &["sink.kafka.options.a_file=x", "sink.kafka.options.a=y"], "a_file and sink.kafka.options.a are both set"),
];

#[test]
fn what_is_wrong_names_place_key_value_and_what_is_allowed() {
    for (file, sets, expected) in WRONG {
        let error = load(file, &[], sets).err().unwrap_or_else(|| panic!("taken: {file} {sets:?}"));
        assert!(error.contains(expected), "{file} {sets:?}:\n  got      {error}\n  expected {expected}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn variables_are_named_in_errors_and_all_problems_come_at_once() {
    let env = [("TICKCAST_TIME__SLID", "1s"), ("TICKCAST_TIME__EPOCH", "soon")];
    let error = load("[modell]", &env, &["job.id=a/b"]).err().unwrap();
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!(lines.len(), 4, "{error}");
    assert!(error.contains("TICKCAST_TIME__SLID: unknown key time.slid, did you mean time.slide?"), "{error}");
    assert!(error.contains("TICKCAST_TIME__EPOCH: time.epoch = \"soon\": no duration"), "{error}");
}

#[test]
fn a_file_that_cannot_be_read_says_what_to_do() {
    let error = Settings::load(Some(Path::new("no/such.toml")), [], &[]).err().unwrap().to_string();
    assert!(error.contains("no/such.toml: no such file") && error.contains("tickcast config example"), "{error}");
    let error = Settings::load(Some(Path::new("src")), [], &[]).err().unwrap().to_string();
    assert!(error.starts_with("src: cannot be"), "{error}");
}

#[test]
fn a_broken_file_is_not_quoted() {
    let error = load("[sink.kafka.options]\n\"sasl.password\" = \"hunter2\n", &[], &[]).err().unwrap();
    assert!(error.contains("config.toml:2: no TOML") && !error.contains("hunter2"), "{error}");
}

#[test]
fn cross_key_problems_tell_origins() {
    let error = load("[time]\nslide = \"7s\"", &[], &["time.windows=1m"]).err().unwrap();
    assert!(error.contains("time.slide = 7s does not divide time.windows: 1m"), "{error}");
    assert!(error.contains("config.toml:2; time.windows: --set)"), "{error}");
}

#[test]
fn shows_values_origins_and_no_secrets() {
    let file =
        "[sink.mongodb]\nuri = \"mongodb://me:hunter2@db/x\"\n[sink.kafka.options]\n\"sasl.password\" = \"hunter2\"\n";
    let text = show::show(&load(file, &[("TICKCAST_TIME__SLIDE", "1s")], &[]).unwrap());
    assert!(!text.contains("hunter2"), "{text}");
    for part in [
        "uri = \"mongodb://***@db/x\"",
        "options.\"sasl.password\" = \"***\"",
        "# TICKCAST_TIME__SLIDE",
        "# [source.kafka] is off",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    text.parse::<toml::Table>().unwrap();
}

#[test]
fn what_config_show_prints_is_the_same_configuration() {
    let settings =
        load("[source.kafka.options]\n\"client.id\" = \"x\"\n[sink.mongodb]", &[], &["time.slide=1s"]).unwrap();
    let again = load(&show::show(&settings), &[], &[]).unwrap();
    assert_eq!(format!("{:?}", again.config), format!("{:?}", settings.config));
}

#[test]
fn the_example_is_the_defaults_and_every_line_of_it_parses() {
    let text = example::example();
    let settings = load(&text, &[], &[]).unwrap();
    let mut expected = Config::default();
    expected.source.kafka = Some(crate::config::KafkaSourceConfig::default());
    expected.sink.kafka = Some(crate::config::KafkaSinkConfig::default());
    assert_eq!(format!("{:?}", settings.config), format!("{expected:?}"));
    // All that is commented out, with each key's example value.
    let is_setting =
        |line: &str| line.starts_with('[') || line.split_once(" = ").is_some_and(|(name, _)| !name.contains(' '));
    let all: String = text
        .lines()
        .map(|line| line.strip_prefix("# ").filter(|rest| is_setting(rest)).unwrap_or(line).to_owned() + "\n")
        .collect();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("all.toml"), &all).unwrap();
    let settings = Settings::merge(Some(&dir.path().join("all.toml")), [], &[]).unwrap();
    for key in KEYS.iter().filter(|key| key.kind != Kind::Options) {
        assert_ne!(settings.setting(key.name).unwrap().origin, Origin::Default, "{}", key.name);
    }
}

#[test]
fn committed_files_are_what_the_table_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (file, command, text) in [
        ("deploy/tickcast.example.toml", "example", example::example()),
        ("docs/configuration.md", "reference", example::reference()),
    ] {
        let committed = std::fs::read_to_string(root.join(file)).unwrap_or_default();
        assert!(committed == text, "{file} is not what the keys say: cargo run -- config {command} > {file}");
    }
}
