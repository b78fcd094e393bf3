//! Parses, dispatches, and turns the result into an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    tickcast::cli::main()
}
