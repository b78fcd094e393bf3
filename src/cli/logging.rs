//! Logs to stderr, and panics as one line.

use super::Usage;
use super::output::{self, LogFormat};
use crate::cluster::is_of_data_socket;
use crate::connectors::guard;
use crate::recovery::Cause;
use clap::ValueEnum as _;
use std::io::IsTerminal;
use std::time::Duration;
use tracing_subscriber::EnvFilter;

/// The variable that says what is logged, as in `debug` or `warn,tickcast=trace`.
const FILTER: &str = "TICKCAST_LOG";

/// The variable for `--log-format`.
const FORMAT: &str = "TICKCAST_LOG_FORMAT";

/// Starts logging to stderr: from `info` on unless `TICKCAST_LOG` says otherwise; in `format`, else in that of
/// `TICKCAST_LOG_FORMAT`, else as text, in colour on a terminal.
///
/// # Errors
/// [`Usage`] when `TICKCAST_LOG` is no filter, or the other variable no format.
pub fn start(format: Option<LogFormat>) -> anyhow::Result<()> {
    let named = std::env::var_os(FORMAT).filter(|name| !name.is_empty());
    let format = match (format, named) {
        (Some(format), _) => format,
        (None, None) => LogFormat::default(),
        (None, Some(name)) => {
            let name = name.to_string_lossy();
            LogFormat::from_str(name.trim(), true).map_err(|_| Usage(format!("{FORMAT}={name}: write text or json")))?
        }
    };
    output::set_format(format);
    let filter = std::env::var_os(FILTER).unwrap_or_default();
    let filter = filter.to_str().map_or("?", str::trim);
    let filter = if filter.is_empty() { "info" } else { filter };
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        Usage(format!("{FILTER}={filter}: {error}: write error, warn, info, debug, trace or off, as in debug or warn,tickcast=trace"))
    })?;
    let log = tracing_subscriber::fmt().with_writer(|| output::Lines).with_env_filter(filter);
    // Somebody else's logging, in a test, stays as it is.
    let _ = match format {
        LogFormat::Text => {
            let is_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
            log.with_ansi(std::io::stderr().is_terminal() && !is_plain).try_init()
        }
        LogFormat::Json => {
            log.with_ansi(false).json().flatten_event(true).with_current_span(false).with_span_list(false).try_init()
        }
    };
    Ok(())
}

/// How long a process whose thread has panicked may take to end by itself: a job says why it fails, and closes its sinks.
const END_AFTER_PANIC: Duration = Duration::from_millis(800);

/// How long who lost another process waits for a word on which, and why.
const NAMED_WITHIN: Duration = Duration::from_secs(1);

/// How timely begins to say that a socket broke; it promises to keep these words.
const TIMELY_LOST: &str = "timely communication error:";

/// A panic is a bug of ours: it prints one line and the process ends with 1, whichever thread it is on, since the
/// others would wait for that one for ever. `RUST_BACKTRACE` shows where it came from. One that its caller is ready for
/// (a library that reads damaged bytes) is that caller's to tell.
pub fn one_line_panics() {
    let with_backtrace = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if guard::is_guarded() {
            return;
        }
        let said = panic.payload().downcast_ref::<String>().map_or("", String::as_str);
        if let Some(process) = is_of_data_socket(std::thread::current().name())
            && said.starts_with(TIMELY_LOST)
        {
            // The link to process 0 tells more, if it does so in time.
            std::thread::sleep(NAMED_WITHIN);
            output::complain(&format!(
                "process {process} of the cluster is lost: all processes of the job have to be started again"
            ));
            std::process::exit(i32::from(Cause::PeerLost.exit_code()));
        }
        let payload = panic.payload();
        let text = payload.downcast_ref::<&str>().copied();
        let what = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
        let place = panic.location().map_or_else(String::new, |place| format!(" at {place}"));
        output::complain(&format!("internal error{place}: {what}; please report it with what you ran"));
        if std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0") {
            with_backtrace(panic);
        }
        let end = || {
            std::thread::sleep(END_AFTER_PANIC);
            std::process::exit(1);
        };
        if std::thread::Builder::new().name("end".to_owned()).spawn(end).is_err() {
            std::process::exit(1);
        }
    }));
}
