//! Starts the processes of a cluster on one machine, and starts all again where one is lost.

use super::hosts::Hosts;
use crate::recovery::Cause;
use std::ffi::OsString;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How often is looked whether a process has ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long the others may take to end by themselves when one has failed: they say why.
const FOLLOW_TIME: Duration = Duration::from_secs(1);
/// How long all may take to end when somebody asks for it.
const STOP_TIME: Duration = Duration::from_secs(10);
/// Before all are started again: at first, and at most.
const AGAIN_MIN: Duration = Duration::from_millis(200);
/// See [`AGAIN_MIN`].
const AGAIN_MAX: Duration = Duration::from_secs(30);
/// A cluster that ran for so long is well: the pause before the next start is the first one again.
const WELL_AFTER: Duration = Duration::from_secs(10);

/// What a cluster is started with.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The program.
    pub program: PathBuf,
    /// Its arguments, but for those that say which process it is.
    pub arguments: Vec<OsString>,
    /// More of them, for the first start alone.
    pub at_first: Vec<OsString>,
    /// How many processes there are.
    pub processes: usize,
    /// The one of them that runs here; none: all do. Who else there is comes and goes by itself.
    pub only: Option<usize>,
    /// Where they listen; none: at any ports of this machine that are free.
    pub hosts: Option<Hosts>,
    /// A file for what they log; without it, it comes out here.
    pub log: Option<PathBuf>,
    /// Environment variables of one process, besides those of this one.
    pub variables: Vec<(usize, String, String)>,
}

/// The processes of a cluster, one life long. Dropped, they are killed.
#[derive(Debug)]
pub struct Running {
    /// Which process each child is.
    indices: Vec<usize>,
    children: Vec<Child>,
    ended: Vec<Option<ExitStatus>>,
    up_file: PathBuf,
    started: Instant,
    /// Whether they have met and run in an earlier life.
    have_run: bool,
    _dir: tempfile::TempDir,
}

impl Launch {
    /// Starts all processes. What they log comes out here, each line behind the number of its process.
    ///
    /// # Errors
    /// When one cannot be started.
    pub fn start(&self, is_first: bool) -> io::Result<Running> {
        let dir = tempfile::tempdir()?;
        let (hosts_file, up_file) = (dir.path().join("hosts"), dir.path().join("up"));
        let hosts: Vec<String> = match &self.hosts {
            Some(hosts) => (0..hosts.count()).map(|index| hosts.address(index).to_owned()).collect(),
            None => free_addresses(self.processes)?,
        };
        std::fs::write(&hosts_file, hosts.join("\n"))?;
        let mut running = Running {
            indices: (0..self.processes).filter(|index| self.only.is_none_or(|only| only == *index)).collect(),
            children: Vec::new(),
            ended: Vec::new(),
            up_file,
            started: Instant::now(),
            have_run: !is_first || self.only.is_some(),
            _dir: dir,
        };
        for index in running.indices.clone() {
            let mut command = Command::new(&self.program);
            command.args(&self.arguments).args(if is_first { &self.at_first[..] } else { &[] });
            command.args(["--supervised", "--process"]).arg(index.to_string()).arg("--hosts").arg(&hosts_file);
            if index == 0 || self.only.is_some() {
                command.arg("--up-file").arg(&running.up_file);
            }
            if index > 0 || self.log.is_some() {
                command.stdout(Stdio::null());
            }
            let own = self.variables.iter().filter(|(of, ..)| *of == index);
            command.envs(own.map(|(_, name, value)| (name, value)));
            let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
            if let Some(log) = child.stderr.take() {
                let mut out: Box<dyn io::Write + Send> = match &self.log {
                    Some(path) => Box::new(std::fs::OpenOptions::new().create(true).append(true).open(path)?),
                    None => Box::new(io::stderr()),
                };
                let name = format!("log of process {index}");
                std::thread::Builder::new().name(name).spawn(move || {
                    for line in BufReader::new(log).split(b'\n').map_while(Result::ok) {
                        let line = String::from_utf8_lossy(&line);
                        let _ = match line.strip_prefix('{') {
                            // An object gets one more field.
                            Some(rest) if line.ends_with('}') => writeln!(out, "{{\"process\":{index},{rest}"),
                            _ => writeln!(out, "[{index}] {line}"),
                        };
                    }
                })?;
            }
            running.children.push(child);
            running.ended.push(None);
        }
        Ok(running)
    }
}

/// Ports that nobody listens at now.
fn free_addresses(count: usize) -> io::Result<Vec<String>> {
    // Held until all are known, so that they differ.
    let listeners = (0..count).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<io::Result<Vec<_>>>()?;
    listeners.iter().map(|listener| Ok(listener.local_addr()?.to_string())).collect()
}

impl Running {
    /// Whether all processes have met and run.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.up_file.exists()
    }

    /// The system's ids of the processes.
    #[must_use]
    pub fn ids(&self) -> Vec<u32> {
        self.children.iter().map(Child::id).collect()
    }

    /// Looks who has ended.
    fn look(&mut self) {
        for (child, ended) in self.children.iter_mut().zip(&mut self.ended) {
            if ended.is_none() {
                *ended = child.try_wait().ok().flatten();
            }
        }
    }

    /// Whether somebody has ended.
    pub fn has_ended(&mut self) -> bool {
        self.look();
        self.ended.iter().any(Option::is_some)
    }

    /// Asks all to end as they do when they are stopped.
    pub fn ask_to_end(&mut self) {
        self.children.iter_mut().for_each(|child| drop(child.stdin.take()));
    }

    /// Waits until all have ended by themselves, for `patience`; then ends them.
    pub fn end(&mut self, patience: Duration) {
        let end = Instant::now() + patience;
        loop {
            self.look();
            if self.ended.iter().all(Option::is_some) {
                return;
            }
            if Instant::now() >= end {
                break;
            }
            std::thread::sleep(LOOK_EVERY);
        }
        for (child, ended) in self.children.iter_mut().zip(&mut self.ended).filter(|(_, ended)| ended.is_none()) {
            let _ = child.kill();
            *ended = child.wait().ok();
        }
    }

    /// Whether one has ended.
    pub fn ended(&mut self, index: usize) -> bool {
        self.look();
        self.ended.get(index).is_some_and(Option::is_some)
    }

    /// Whether those that have ended did so well.
    fn ended_well(&self) -> bool {
        self.ended.iter().flatten().all(ExitStatus::success)
    }

    /// Whether all ended well.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.outcome() == Outcome::Done
    }

    /// The exit code of who is not to be started again, where there is one.
    #[must_use]
    pub fn given_up(&self) -> Option<u8> {
        match self.outcome() {
            Outcome::GivenUp(code) => Some(code),
            Outcome::Done | Outcome::Again => None,
        }
    }

    /// What to make of how they ended.
    fn outcome(&self) -> Outcome {
        let codes: Vec<Option<i32>> = self.ended.iter().map(|ended| ended.and_then(|status| status.code())).collect();
        if codes.iter().all(|code| *code == Some(0)) {
            return Outcome::Done;
        }
        // What a person has to look at comes first; who follows another's end says 4.
        let decided = [Cause::NeedsDecision.exit_code(), 2, Cause::Fenced.exit_code()];
        if let Some(code) = decided.into_iter().find(|code| codes.contains(&Some(i32::from(*code)))) {
            return Outcome::GivenUp(code);
        }
        // Where they have never run, they will not the next time; where they have, what is wrong may pass.
        if !self.have_run && codes.contains(&Some(i32::from(Cause::Failed.exit_code()))) {
            return Outcome::GivenUp(Cause::Failed.exit_code());
        }
        Outcome::Again
    }

    /// `process 1 ended with exit code 4, process 2 was killed by signal 9`
    #[must_use]
    pub fn shown(&self) -> String {
        use std::os::unix::process::ExitStatusExt as _;
        let show = |(index, ended): (&usize, &Option<ExitStatus>)| {
            let status = (*ended)?;
            let how = match (status.code(), status.signal()) {
                (Some(code), _) => format!("ended with exit code {code}"),
                (None, signal) => format!("was killed by signal {}", signal.unwrap_or_default()),
            };
            Some(format!("process {index} {how}"))
        };
        self.indices.iter().zip(&self.ended).filter_map(show).collect::<Vec<_>>().join(", ")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end(Duration::ZERO);
    }
}

/// How the processes of a cluster ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// All of them well.
    Done,
    /// Starting them again may help.
    Again,
    /// It would not: with this exit code.
    GivenUp(u8),
}

/// Runs a cluster until it ends well, or cannot go on: then its exit code is given.
///
/// # Errors
/// When a process cannot be started.
pub fn supervise(launch: &Launch, is_stopped: &dyn Fn() -> bool) -> io::Result<u8> {
    let (mut pause, mut is_first) = (AGAIN_MIN, true);
    loop {
        let mut running = launch.start(is_first)?;
        while !running.has_ended() && !is_stopped() {
            std::thread::sleep(LOOK_EVERY);
        }
        if is_stopped() {
            running.ask_to_end();
            running.end(STOP_TIME);
        } else {
            // Who ends well may have to wait for the one that writes.
            running.end(if running.ended_well() { STOP_TIME } else { FOLLOW_TIME });
        }
        match running.outcome() {
            Outcome::Done => return Ok(0),
            Outcome::GivenUp(code) => return Ok(code),
            Outcome::Again if is_stopped() => {
                tracing::warn!("{}, as it was stopped", running.shown());
                return Ok(Cause::Failed.exit_code());
            }
            Outcome::Again => {}
        }
        if running.is_up() && running.started.elapsed() >= WELL_AFTER {
            pause = AGAIN_MIN;
        }
        tracing::warn!("{}: started again in {:.1} s, with all others", running.shown(), pause.as_secs_f64());
        // What was to happen once has happened where they have run.
        is_first &= !running.is_up();
        drop(running);
        let end = Instant::now() + pause;
        while Instant::now() < end && !is_stopped() {
            std::thread::sleep(LOOK_EVERY);
        }
        if is_stopped() {
            return Ok(0);
        }
        pause = (2 * pause).min(AGAIN_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program that does as `script` says; `$3` is which process it is, `$7` the file that says that all are up.
    fn launch(script: &str, processes: usize) -> Launch {
        Launch {
            program: PathBuf::from("/bin/sh"),
            arguments: vec!["-c".into(), script.into()],
            at_first: Vec::new(),
            processes,
            only: None,
            hosts: None,
            log: None,
            variables: Vec::new(),
        }
    }

    #[test]
    fn exit_codes_say_whether_to_start_again() {
        // `$0` is --supervised, `$2` the index, `$6` the file of process 0.
        for (script, expected) in [
            ("exit 0", 0),
            ("exit 5", 5),
            ("[ $2 = 1 ] && exit 5; exit 4", 5),
            ("[ $2 = 1 ] && exit 3; exit 4", 3),
            ("[ $2 = 1 ] && exit 1; exit 4", 1),
            ("[ $2 = 1 ] && exit 2; exit 4", 2),
        ] {
            assert_eq!(supervise(&launch(script, 2), &|| false).unwrap(), expected, "{script}");
        }
    }

    #[test]
    fn all_are_started_again_where_one_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        let count = dir.path().join("count");
        // The second process kills itself in its first two lives, once the first is up; that would go on for ever.
        let script = format!(
            "if [ $2 = 0 ]; then echo x >> {0}; : > $6; [ $(wc -l < {0}) -ge 3 ] && exit 0; exec sleep 1000; fi; \
             while [ ! -e $(dirname $4)/up ]; do sleep 0.01; done; [ $(wc -l < {0}) -ge 3 ] && exit 0; kill -9 $$",
            count.display()
        );
        assert_eq!(supervise(&launch(&script, 2), &|| false).unwrap(), 0);
        assert_eq!(std::fs::read_to_string(count).unwrap().lines().count(), 3);
    }

    /// One of several machines: what the others lack may come.
    #[test]
    fn one_process_alone_is_started_again_until_a_person_has_to_look() {
        let dir = tempfile::tempdir().unwrap();
        let count = dir.path().join("count");
        let script = format!(
            "[ $2 = 1 ] || exit 77; echo x >> {0}; case $(wc -l < {0}) in 1) exit 1;; 2) exit 4;; *) exit 5;; esac",
            count.display()
        );
        let launch = Launch { only: Some(1), ..launch(&script, 3) };
        assert_eq!(supervise(&launch, &|| false).unwrap(), 5);
        assert_eq!(std::fs::read_to_string(count).unwrap().lines().count(), 3);
    }

    #[test]
    fn a_stop_asks_all_to_end_by_their_standard_input() {
        let started = Instant::now();
        let stopped = || started.elapsed() > Duration::from_millis(200);
        assert_eq!(supervise(&launch("cat > /dev/null; exit 0", 2), &stopped).unwrap(), 0);
        assert!(started.elapsed() < STOP_TIME);
    }
}
