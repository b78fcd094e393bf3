//! What is shipped for running it is right: systemd takes the unit, and it restarts what a restart mends.

use crate::support::project;
use std::process::Command;

fn unit() -> String {
    std::fs::read_to_string(project().join("deploy/systemd/tickcast.service")).unwrap()
}

#[test]
fn systemd_takes_the_unit() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tickcast.service");
    // Of a machine where it is installed.
    std::fs::write(&path, unit().replace("/usr/local/bin/tickcast", env!("CARGO_BIN_EXE_tickcast"))).unwrap();
    match Command::new("systemd-analyze").arg("verify").arg("--man=no").arg(&path).output() {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let of_the_unit: Vec<&str> = said.lines().filter(|line| line.contains("tickcast.service")).collect();
            assert!(output.status.success() && of_the_unit.is_empty(), "{said}");
        }
        Err(error) => println!("LEFT OUT: systemd-analyze: {error}"),
    }
}

/// The exit codes of `docs/operations.md`: a supervisor leaves those alone that a restart does not mend.
#[test]
fn a_restart_comes_where_it_mends() {
    let page = include_str!("../../docs/operations.md");
    let codes = page.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| ")?.split(" | ");
        let code: u8 = cells.next()?.parse().ok()?;
        Some((code, cells.nth(1)?.trim_end_matches(" |").to_owned()))
    });
    let unit = unit();
    let left: Vec<u8> = unit
        .lines()
        .find_map(|line| line.strip_prefix("RestartPreventExitStatus="))
        .unwrap()
        .split(' ')
        .map(|code| code.parse().unwrap())
        .collect();
    let mut seen = Vec::new();
    for (code, supervisor) in codes.filter(|(code, _)| *code != 0) {
        assert_eq!(left.contains(&code), supervisor.starts_with("leaves it"), "{code}: {supervisor}");
        seen.push(code);
    }
    assert_eq!(seen, [1, 2, 3, 4, 5, 130]);
    assert!(unit.contains("Restart=on-failure"));
}
