//! Writes the manual pages, one for each command, from what `--help` says: `cargo run --release --example man -- DIRECTORY`.

use clap::CommandFactory as _;
use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let dir = PathBuf::from(std::env::args_os().nth(1).unwrap_or_else(|| "target/man".into()));
    std::fs::create_dir_all(&dir)?;
    clap_mangen::generate_to(tickcast::cli::Cli::command(), &dir)
}
