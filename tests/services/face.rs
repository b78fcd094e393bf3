//! The page in a browser, the API against its description, the embedded store through kills.

use crate::support::{Process, Services, Signal, eventually, project, tickcast};
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
