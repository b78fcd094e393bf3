//! The servers that `deploy/services` runs.

use super::unique;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// One of the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Apache Kafka.
    Kafka,
    /// The server of the MongoDB protocol.
    MongoDb,
}

impl Service {
    const fn name(self) -> &'static str {
        match self {
            Self::Kafka => "kafka",
            Self::MongoDb => "mongodb",
        }
    }
}

/// Addresses of a running Kafka and MongoDB. [`Services::shared`] for most tests, [`Services::own`] for those that take a
/// server away.
#[derive(Debug)]
pub struct Services {
    values: BTreeMap<String, String>,
    own: bool,
}

fn deploy(arguments: &[&str], state: Option<&Path>) -> String {
    let mut command = Command::new(super::project().join("deploy/services"));
    if let Some(state) = state {
        command.env("TICKCAST_SERVICES_DIR", state);
    }
    let done = command.args(arguments).stdin(Stdio::null()).output().expect("deploy/services runs");
    let output = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "deploy/services {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    output
}

/// `export NAME='value'` lines.
fn exports(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("export ")?.split_once('='));
    lines.map(|(name, value)| (name.to_owned(), value.trim_matches('\'').to_owned())).collect()
}

impl Services {
    /// The servers named by the environment, which all tests of a run share. Use [`unique`] names on them, and do not
    /// stop them.
    pub fn shared() -> Self {
        let values: BTreeMap<_, _> = std::env::vars().filter(|(name, _)| name.starts_with("TICKCAST_")).collect();
        for name in ["TICKCAST_TEST_KAFKA", "TICKCAST_TEST_MONGODB"] {
            assert!(
                values.contains_key(name),
                "{name} is not set: run ./deploy/test, or eval \"$(deploy/services env)\""
            );
        }
        Self { values, own: false }
    }

    /// Servers for this test alone, with fresh data, stopped when dropped: they may be stopped and started. Takes seconds
    /// and 500 MB of memory, so at most one a test.
    pub fn own() -> Self {
        let parent = std::env::var_os("TICKCAST_SERVICES_DIR")
            .map_or_else(|| super::project().join("target/services/state"), PathBuf::from);
        let state = parent.join("own").join(unique("test"));
        // Made first, so that a start that fails is cleaned up too.
        let state_value = state.to_string_lossy().into_owned();
        let mut services =
            Self { values: BTreeMap::from([("TICKCAST_SERVICES_DIR".to_owned(), state_value)]), own: true };
        deploy(&["start"], Some(&state));
        services.values = exports(&deploy(&["env"], Some(&state)));
        services
    }

    fn value(&self, name: &str) -> &str {
        self.values.get(name).unwrap_or_else(|| panic!("{name} is not set: run ./deploy/test"))
    }

    /// Kafka's address, `host:port`.
    pub fn kafka(&self) -> &str {
        self.value("TICKCAST_TEST_KAFKA")
    }

    /// A listener of Kafka, and the address that its clients are sent to: a test puts a proxy there, one at a time.
    pub fn kafka_behind_a_proxy(&self) -> (&str, &str) {
        (self.value("TICKCAST_TEST_KAFKA_BEHIND"), self.value("TICKCAST_TEST_KAFKA_PROXY"))
    }

    /// MongoDB's connection string.
    pub fn mongodb(&self) -> &str {
        self.value("TICKCAST_TEST_MONGODB")
    }

    /// The classpath of Kafka's own tools.
    pub fn kafka_libs(&self) -> String {
        format!("{}/*", self.value("TICKCAST_KAFKA_LIBS"))
    }

    /// A Java that runs them.
    pub fn java(&self) -> &str {
        self.values.get("TICKCAST_TEST_JAVA").map_or("java", String::as_str)
    }

    /// A Python with `examples/requirements.txt`.
    pub fn python(&self) -> &str {
        self.value("TICKCAST_TEST_PYTHON")
    }

    fn state(&self) -> PathBuf {
        PathBuf::from(self.value("TICKCAST_SERVICES_DIR"))
    }

    /// The server's process, now.
    pub fn pid(&self, service: Service) -> u32 {
        let file = self.state().join(service.name()).join("pid");
        std::fs::read_to_string(&file).ok().and_then(|pid| pid.trim().parse().ok()).expect("a running server has a pid")
    }

    /// Stops an own server; returns when it has ended.
    pub fn stop(&self, service: Service) {
        assert!(self.own, "only Services::own() may be stopped: other tests use the shared ones");
        deploy(&["stop", service.name()], Some(&self.state()));
    }

    /// Starts an own server again on the port that it had; returns when it answers.
    pub fn start(&self, service: Service) {
        assert!(self.own, "only Services::own() may be started");
        deploy(&["start", service.name()], Some(&self.state()));
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        if self.own {
            let state = self.state();
            let mut command = Command::new(super::project().join("deploy/services"));
            command.arg("stop").env("TICKCAST_SERVICES_DIR", &state).stdin(Stdio::null());
            let stopped = command.output().is_ok_and(|done| done.status.success());
            // A failing test keeps its servers' logs.
            if stopped && !std::thread::panicking() {
                let _ = std::fs::remove_dir_all(state);
            }
        }
    }
}
