//! What is shipped for Kubernetes is what Kubernetes takes, and what tickcast takes of it.

use crate::support::{Services, project, run_to_end, temp_dir, tickcast};
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Prints the manifests as JSON, after a look at the schema of each; of one that Kubernetes itself does not know, at its pods.
const CHECK: &str = r#"
import json, sys, kubernetes_validate, yaml
found = []
for name in sys.argv[1:]:
    for one in yaml.safe_load_all(open(name)):
        found.append(one)
        if one["kind"] == "LeaderWorkerSet":
            pod = one["spec"]["leaderWorkerTemplate"]["workerTemplate"]
            one = {"apiVersion": "v1", "kind": "Pod", **pod}
        kubernetes_validate.validate(one, "1.37", strict=True)
print(json.dumps(found))
"#;

fn check(services: &Services, files: &[&str]) -> Result<Vec<serde_json::Value>, String> {
    let mut command = Command::new(services.python());
    command.arg("-").args(files).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(CHECK.as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    if done.status.success() {
        Ok(serde_json::from_slice(&done.stdout).unwrap())
    } else {
        Err(String::from_utf8_lossy(&done.stderr).into_owned())
    }
}

fn strings(value: &serde_json::Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

#[test]
#[ignore = "needs services: run ./deploy/test"]
fn the_manifests_are_good_and_fit_each_other() {
    let services = Services::shared();
    let path = |name: &str| project().join("deploy/kubernetes").join(name).to_str().unwrap().to_owned();
    let all = check(&services, &[&path("tickcast.yaml"), &path("leaderworkerset.yaml")]).unwrap();
    let of = |kind: &str| all.iter().find(|one| one["kind"] == kind).unwrap();
    let set = &of("StatefulSet")["spec"];
    assert_eq!(
        (&set["podManagementPolicy"], &of("Service")["spec"]["publishNotReadyAddresses"]),
        (&"Parallel".into(), &true.into())
    );

    // The configuration's hosts are the set's pods.
    let dir = temp_dir();
    let config = dir.path().join("tickcast.toml");
    std::fs::write(&config, of("ConfigMap")["data"]["tickcast.toml"].as_str().unwrap()).unwrap();
    let shown = run_to_end(tickcast(["config", "show", "-c", config.to_str().unwrap()]), Duration::from_secs(20))
        .expect_code(0);
    let service = set["serviceName"].as_str().unwrap();
    assert_eq!(service, of("Service")["metadata"]["name"].as_str().unwrap());
    let hosts: Vec<String> =
        (0..set["replicas"].as_u64().unwrap()).map(|pod| format!("tickcast-{pod}.{service}:2101")).collect();
    let quoted: Vec<String> = hosts.iter().map(|host| format!("\"{host}\"")).collect();
    assert!(shown.stdout_text().contains(&format!("[{}]", quoted.join(", "))), "{}", shown.stdout_text());

    // What the pods start is understood, up to the name of this machine.
    let leader = &of("LeaderWorkerSet")["spec"]["leaderWorkerTemplate"]["workerTemplate"]["spec"];
    for pod in [&set["template"]["spec"], leader] {
        let arguments = strings(&pod["containers"][0]["args"]);
        let of_file = |argument: &String| {
            if argument.starts_with("/etc/tickcast") { config.to_str().unwrap().to_owned() } else { argument.clone() }
        };
        let refused = run_to_end(tickcast(arguments.iter().map(of_file)), Duration::from_secs(20)).expect_code(2);
        assert!(refused.stderr.contains("--process auto: no host has the name of this machine"), "{}", refused.stderr);
    }

    // A check that finds nothing is none.
    let text = std::fs::read_to_string(path("tickcast.yaml")).unwrap();
    let wrong = dir.path().join("wrong.yaml");
    for (right, change) in [("podManagementPolicy", "podManagement"), ("replicas: 2", "replicas: two")] {
        std::fs::write(&wrong, text.replace(right, change)).unwrap();
        let error = check(&services, &[wrong.to_str().unwrap()]).unwrap_err();
        assert!(error.contains("ValidationError") || error.contains("validat"), "{error}");
    }
}

/// Prints a YAML file as JSON.
const AS_JSON: &str = "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))";

/// What the compose file mounts is there, the job's configuration is one, and its names are those of the services.
#[test]
#[ignore = "needs services: run ./deploy/test"]
fn the_compose_file_fits_together() {
    let services = Services::shared();
    let dir = project().join("deploy/compose");
    let read = |name: &str| -> serde_json::Value {
        let mut command = Command::new(services.python());
        command.args(["-c", AS_JSON]).arg(dir.join(name));
        serde_json::from_slice(&run_to_end(command, Duration::from_secs(20)).expect_code(0).stdout).unwrap()
    };
    let compose = read("compose.yml");
    let all = compose["services"].as_object().unwrap();
    let volumes = compose["volumes"].as_object().unwrap();
    for (name, service) in all {
        for volume in service["volumes"].as_array().into_iter().flatten() {
            let from = volume.as_str().unwrap().split(':').next().unwrap();
            let is_there = if from.starts_with('.') { dir.join(from).exists() } else { volumes.contains_key(from) };
            assert!(is_there, "{name}: {from}");
        }
        for port in service["ports"].as_array().into_iter().flatten() {
            assert!(port.as_str().unwrap().starts_with("127.0.0.1:"), "{name}: only this machine may ask: {port}");
        }
        for (on, _) in service["depends_on"].as_object().into_iter().flatten() {
            assert!(all.contains_key(on), "{name} depends on {on}");
        }
    }
    let build = &all["tickcast"]["build"];
    let context = dir.join(build["context"].as_str().unwrap());
    assert!(context.join(build["dockerfile"].as_str().unwrap()).exists() && context.join("Cargo.toml").exists());
    let config = dir.join("tickcast.toml");
    let shown = run_to_end(tickcast(["config", "show", "-c", config.to_str().unwrap()]), Duration::from_secs(20));
    let shown = shown.expect_code(0).stdout_text();
    let inside = all["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"].as_str().unwrap();
    for part in ["brokers = \"kafka:9092\"", "mongodb://mongodb:27017", "hosts = [\"tickcast\"]", "topic = \"ticks\""] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(inside.contains("INSIDE://kafka:9092") && all.contains_key("mongodb"));
    let target = &read("prometheus.yml")["scrape_configs"][0]["static_configs"][0]["targets"][0];
    assert_eq!(target, "tickcast:8080");
    assert!(shown.contains("listen = \"0.0.0.0:8080\""), "{shown}");
}
