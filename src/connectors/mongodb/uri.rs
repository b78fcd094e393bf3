//! A connection string: where it comes from, what of it must never show, and what went wrong with it, in words.

use super::session::Trouble;
use crate::config::{MongoSinkConfig, MongoSourceConfig};
use crate::delivery::SinkError;
use mongodb::error::ErrorKind;
use std::path::Path;

/// A connection string, and what of it must never show.
pub(super) struct Uri {
    pub(super) text: String,
    /// Where it comes from: the name of the setting.
    key: String,
    /// What its user may have to do.
    rights: &'static str,
    password: Option<String>,
}

impl Uri {
    pub(super) fn of_sink(config: &MongoSinkConfig) -> Result<Self, SinkError> {
        Self::of("sink.mongodb", &config.uri, config.uri_file.as_deref(), "read and write")
    }

    pub(super) fn of_source(config: &MongoSourceConfig) -> Result<Self, SinkError> {
        Self::of("source.mongodb", &config.uri, config.uri_file.as_deref(), "read")
    }

    /// One that was given as an argument.
    pub(super) fn of_text(uri: &str) -> Result<Self, SinkError> {
        Self::of("the address", uri, None, "read")
    }

    fn of(table: &str, uri: &str, uri_file: Option<&Path>, rights: &'static str) -> Result<Self, SinkError> {
        let (key, text) = match uri_file {
            None if table.starts_with("the ") => (table.to_owned(), uri.to_owned()),
            None => (format!("{table}.uri"), uri.to_owned()),
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|error| {
                    SinkError::Fatal(format!("cannot read {table}.uri_file {}: {error}", path.display()))
                })?;
                (format!("the connection string in {table}.uri_file"), text.trim().to_owned())
            }
        };
        let rest = text.split_once("://").map_or(&*text, |(_, rest)| rest);
        let before_options = rest.split_once('?').map_or(rest, |(before, _)| before);
        if !before_options.contains('@') && rest.contains('@') {
            // A `?` in the password: the driver would take a part of it for the host, and say so.
            return Err(SinkError::Fatal(format!("{key} is no MongoDB connection string: {ESCAPE}")));
        }
        let user_info = before_options.rsplit_once('@').map(|(user_info, _)| user_info);
        let password = user_info.and_then(|info| info.split_once(':')).map(|(_, password)| password.to_owned());
        Ok(Self { password: password.filter(|password| !password.is_empty()), text, key, rights })
    }

    /// The driver's words, without the password.
    fn redact(&self, text: &str) -> String {
        self.password.as_ref().map_or_else(|| text.to_owned(), |password| text.replace(password.as_str(), "***"))
    }

    pub(super) fn unreadable(&self, trouble: &Trouble) -> SinkError {
        match trouble {
            Trouble::Stopped => SinkError::Stopped,
            Trouble::Driver(error) if matches!(*error.kind, ErrorKind::InvalidArgument { .. }) => {
                let help = if self.password.is_some() { format!(" ({ESCAPE})") } else { String::new() };
                let text = self.redact(&trouble.to_string());
                SinkError::Fatal(format!("{} is no MongoDB connection string: {text}{help}", self.key))
            }
            _ => SinkError::Fatal(format!(
                "cannot find the servers of {}: {}: check its host",
                self.key,
                self.redact(&trouble.to_string())
            )),
        }
    }

    pub(super) fn explain(&self, trouble: &Trouble, host: &str, user: Option<&str>) -> SinkError {
        let reason = self.redact(&trouble.to_string());
        let away = || format!("no MongoDB answers at {host} ({reason}): start it, or correct {}", self.key);
        let error = match trouble {
            Trouble::Stopped => return SinkError::Stopped,
            Trouble::TimedOut(_) => return SinkError::Fatal(away()),
            Trouble::Driver(error) => error,
        };
        SinkError::Fatal(match &*error.kind {
            ErrorKind::ServerSelection { .. } | ErrorKind::Io(_) | ErrorKind::ConnectionPoolCleared { .. } => away(),
            ErrorKind::Authentication { .. } => {
                let user = user.unwrap_or_default();
                format!(
                    "MongoDB at {host} refuses user `{user}` ({reason}): check user, password and authSource in {}",
                    self.key
                )
            }
            // Unauthorized, AuthenticationFailed.
            ErrorKind::Command(command) if [13, 18].contains(&command.code) => {
                format!(
                    "MongoDB at {host} refuses ({reason}): {} needs a user who may {} the database",
                    self.key, self.rights
                )
            }
            _ => format!("MongoDB at {host}: {reason}"),
        })
    }
}

const ESCAPE: &str = "write special characters of user and password as %40 for @, %3A for :, %2F for /, %3F for ?";

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::error::Error;

    #[test]
    fn the_file_with_the_connection_string_wins() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("uri");
        let config = MongoSinkConfig { uri_file: Some(path.clone()), ..MongoSinkConfig::default() };
        let error = Uri::of_sink(&config).err().unwrap().to_string();
        assert!(error.contains(&path.display().to_string()), "{error}");
        std::fs::write(&path, "mongodb://joe:s3cret@db:1\n").unwrap();
        let uri = Uri::of_sink(&config).unwrap();
        assert_eq!((uri.text.as_str(), uri.password.as_deref()), ("mongodb://joe:s3cret@db:1", Some("s3cret")));
    }

    #[test]
    fn what_driver_and_server_say_is_cleared_of_the_password() {
        let config = MongoSinkConfig { uri: "mongodb://joe:s3cret@db:1".to_owned(), ..MongoSinkConfig::default() };
        let uri = Uri::of_sink(&config).unwrap();
        let trouble = Trouble::Driver(Box::new(Error::custom("s3cret is wrong".to_owned())));
        for error in [uri.explain(&trouble, "db:1", Some("joe")), uri.unreadable(&trouble)] {
            assert!(!error.to_string().contains("s3cret") && error.to_string().contains("*** is wrong"), "{error}");
        }
    }
}
