//! `tickcast config`: what the settings are and where they came from.

use super::args::ConfigFile;
use super::output;
use crate::config::{ConfigError, Settings, example, show};
use clap::{Args, Subcommand};
use std::path::Path;

/// Arguments of `config`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  tickcast config show -c tickcast.toml\n  tickcast config example > tickcast.toml")]
pub struct ConfigArgs {
    /// What to show.
    #[command(subcommand)]
    pub command: ConfigCommand,
}

/// The subcommands of `config`.
#[derive(Clone, Debug, Subcommand)]
pub enum ConfigCommand {
    /// Prints every setting, its value, and where it came from; secrets are masked.
    #[command(
        after_help = "Example:\n  TICKCAST_TIME__SLIDE=1s tickcast config show -c tickcast.toml --set job.id=trial"
    )]
    Show(ConfigFile),
    /// Prints a commented file with every setting and its default.
    #[command(after_help = "Example:\n  tickcast config example > tickcast.toml")]
    Example,
    /// Prints the reference of all settings in Markdown.
    #[command(after_help = "Example:\n  tickcast config reference > configuration.md")]
    Reference,
}

/// Prints what was asked for.
///
/// # Errors
/// [`ConfigError`] when the configuration is wrong; [`super::Usage`] when an option of Kafka is.
pub fn run(args: &ConfigArgs, load: impl Fn(Option<&Path>) -> Result<Settings, ConfigError>) -> anyhow::Result<()> {
    match &args.command {
        ConfigCommand::Show(file) => {
            let settings = load(file.path())?;
            output::print(&show::show(&settings))?;
            // Shown all the same: whoever looks for the mistake sees where each value came from.
            Ok(super::job::check_options(&settings.config)?)
        }
        ConfigCommand::Example => output::print(&example::example()),
        ConfigCommand::Reference => output::print(&example::reference()),
    }
}
