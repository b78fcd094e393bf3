//! SIGTERM and Ctrl-C: the first asks the job to stop, the second ends the process.

use crate::delivery::Stop;
use anyhow::Context;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Exit code after a second signal.
const TWICE: i32 = 130;

/// From now on SIGTERM and SIGINT request `stop`; a second one exits at once with 130, whatever the job is doing.
///
/// # Errors
/// When the system refuses the handlers.
pub fn stop_on_signals(stop: &Stop) -> anyhow::Result<()> {
    let context = "signal handlers could not be installed";
    // Its own flag: `stop` may be requested by others too, and the first signal after that is not yet the second.
    let signalled = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        // The order matters: the exit looks at the flag before this same signal sets it.
        flag::register_conditional_shutdown(signal, TWICE, Arc::clone(&signalled)).context(context)?;
        flag::register(signal, Arc::clone(&signalled)).context(context)?;
        flag::register(signal, stop.flag()).context(context)?;
    }
    let mut signals = Signals::new([SIGTERM, SIGINT]).context(context)?;
    let tell = move || {
        if signals.forever().next().is_some() {
            tracing::info!("stopping; a second signal ends at once");
        }
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(tell).context(context)?;
    Ok(())
}

/// From now on the end of standard input requests `stop`.
///
/// # Errors
/// When the system refuses a thread.
pub fn stop_with_standard_input(stop: &Stop) -> anyhow::Result<()> {
    let stop = stop.clone();
    let watch = move || {
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        stop.request();
    };
    std::thread::Builder::new().name("standard input".to_owned()).spawn(watch)?;
    Ok(())
}
