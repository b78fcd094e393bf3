//! Real processes: started, watched, ended by id.

use super::eventually;
use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// The `tickcast` binary, without settings from the environment and without a terminal.
pub fn tickcast<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    tickcast_of(Path::new(env!("CARGO_BIN_EXE_tickcast")), arguments)
}

/// The same of another program that takes the same arguments.
pub fn tickcast_of<S: AsRef<OsStr>>(program: &Path, arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TICKCAST_")) {
        command.env_remove(name);
    }
    command
}

/// A built example, which lies beside the test executables.
pub fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("this executable's path");
    let path = test.ancestors().nth(2).expect("target/<profile>/deps").join("examples").join(name);
    assert!(path.exists(), "{} is not built: cargo build --examples in the same profile", path.display());
    path
}

/// What to send to a process.
#[derive(Clone, Copy, Debug)]
pub enum Signal {
    /// SIGTERM: please stop.
    Term,
    /// SIGINT: Ctrl-C.
    Int,
    /// SIGKILL: no chance to clean up.
    Kill,
    /// SIGSTOP: hang.
    Stop,
    /// SIGCONT: go on.
    Cont,
}

/// How a process ended.
#[derive(Debug)]
pub struct Finished {
    /// Exit code or signal.
    pub status: ExitStatus,
    /// All that it wrote to stdout.
    pub stdout: Vec<u8>,
    /// All that it wrote to stderr.
    pub stderr: String,
}

impl Finished {
    /// The exit code; `None` when a signal ended it.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Stdout as text.
    pub fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Panics with its output unless it ended with `code`.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(
            self.status.code(),
            Some(code),
            "signal {:?}\nstdout: {}\nstderr: {}",
            self.status.signal(),
            self.stdout_text(),
            self.stderr
        );
        assert!(code != 0 || !self.stderr.contains("internal error"), "{}", self.stderr);
        self
    }
}

type Shared = Arc<Mutex<Vec<u8>>>;

fn drain(mut from: impl Read + Send + 'static) -> (Shared, JoinHandle<()>) {
    let all = Shared::default();
    let to = Arc::clone(&all);
    let thread = std::thread::spawn(move || {
        let mut buffer = [0; 8192];
        while let Ok(n @ 1..) = from.read(&mut buffer) {
            to.lock().unwrap().extend_from_slice(&buffer[..n]);
        }
    });
    (all, thread)
}

/// A process whose output is collected while it runs. Killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    stdout: (Shared, JoinHandle<()>),
    stderr: (Shared, JoinHandle<()>),
}

impl Process {
    /// Starts it, without stdin.
    pub fn spawn(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let stdout = drain(child.stdout.take().unwrap());
        let stderr = drain(child.stderr.take().unwrap());
        Self { child, stdout, stderr }
    }

    /// Its id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote to stdout so far.
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.stdout.0.lock().unwrap()).into_owned()
    }

    /// What it wrote to stderr so far.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr.0.lock().unwrap()).into_owned()
    }

    /// Whether it has not ended.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("our own child").is_none()
    }

    /// Peak resident memory so far, in bytes; `None` once it has ended.
    pub fn peak_memory_bytes(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kb| kb * 1024)
    }

    /// Sends a signal; nothing happens when it has ended.
    pub fn signal(&mut self, signal: Signal) {
        // Not reaped before `try_wait` says so: the id cannot belong to another process.
        if self.is_running() {
            let name = format!("{signal:?}").to_uppercase();
            let sent = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.pid())]).status();
            assert!(sent.is_ok_and(|status| status.success()), "kill -{name} {}", self.pid());
        }
    }

    /// Waits for its end, and panics with its output when it does not come within the time (the process is killed then).
    #[track_caller]
    pub fn wait(mut self, within: Duration) -> Finished {
        let end = std::time::Instant::now() + within;
        while self.is_running() {
            if std::time::Instant::now() > end {
                let (out, err) = (self.stdout(), self.stderr());
                panic!("not ended within {within:?}: pid {}\nstdout: {out}\nstderr: {err}", self.pid());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let status = self.child.wait().expect("our own child");
        // A grandchild may hold the pipes open: do not wait for ever for the last bytes.
        eventually("the pipes of an ended process close", Duration::from_secs(10), || {
            (self.stdout.1.is_finished() && self.stderr.1.is_finished()).then_some(())
        });
        let stdout = std::mem::take(&mut *self.stdout.0.lock().unwrap());
        Finished { status, stdout, stderr: self.stderr() }
    }
}

impl Drop for Process {
    /// Where a test fails, what its processes said last tells why.
    fn drop(&mut self) {
        const SHOWN: usize = 4000;
        if std::thread::panicking()
            && let Ok(said) = self.stderr.0.lock()
        {
            let said = String::from_utf8_lossy(&said);
            let from = (0..=said.len().saturating_sub(SHOWN)).rev().find(|at| said.is_char_boundary(*at)).unwrap_or(0);
            eprintln!("process {} had said, at the end: {}", self.child.id(), &said[from..]);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command to its end.
#[track_caller]
pub fn run_to_end(command: Command, within: Duration) -> Finished {
    Process::spawn(command).wait(within)
}
