//! What must never be shown: passwords in options and connection strings.

use std::collections::BTreeMap;
use std::fmt;
use toml::Value;

/// Stands for what is not shown.
pub const MASK: &str = "***";

const SECRET_PARTS: [&str; 8] =
    ["password", "secret", "token", "passphrase", "credential", ".pem", "oauthbearer.config", "sasl.jaas"];

/// Whether an option of this name holds a secret: `sasl.password`, `ssl.key.pem`, and all that look alike.
#[must_use]
pub fn is_secret_option(name: &str) -> bool {
    let name = name.to_lowercase();
    !name.ends_with("_file") && SECRET_PARTS.iter().any(|part| name.contains(part))
}

/// A connection string without user, password and options: `mongodb://***@host/?***`. What has another shape is hidden whole.
#[must_use]
pub fn mask_uri(uri: &str) -> String {
    let Some((scheme, rest)) = uri.split_once("://") else { return MASK.to_owned() };
    // A password that was not escaped may hold anything, a `/` or `?` too: so look for the last `@`.
    let (user, rest) = rest.rsplit_once('@').map_or((None, rest), |(user, rest)| (Some(user), rest));
    let (host, options) = rest.split_once('?').map_or((rest, None), |(host, options)| (host, Some(options)));
    let user = if user.is_some() { "***@" } else { "" };
    let options = if options.is_some_and(|options| !options.is_empty()) { "?***" } else { "" };
    format!("{scheme}://{user}{host}{options}")
}

/// Whether a setting may hold a password between `//` and `@`.
fn is_address(name: &str) -> bool {
    name.ends_with(".uri") || name.ends_with(".url")
}

/// A setting's value as it may be shown, in TOML.
#[must_use]
pub fn shown(name: &str, value: &Value) -> String {
    let is_option = name.contains(".options.");
    match value {
        _ if is_option && is_secret_option(name) => format!("\"{MASK}\""),
        _ if name == "collect.key" => format!("\"{MASK}\""),
        Value::String(uri) if is_address(name) => Value::from(mask_uri(uri)).to_string(),
        _ if is_address(name) => format!("\"{MASK}\""),
        _ => value.to_string(),
    }
}

/// Shows options with their secrets masked, for `Debug`.
pub(super) struct MaskedOptions<'a>(pub &'a BTreeMap<String, String>);

impl fmt::Debug for MaskedOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let masked = |(name, value): (&'_ String, &'_ String)| {
            (name.clone(), if is_secret_option(name) { MASK.to_owned() } else { value.clone() })
        };
        f.debug_map().entries(self.0.iter().map(masked)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_strings_lose_their_credentials() {
        for (uri, masked) in [
            ("mongodb://localhost:27017", "mongodb://localhost:27017"),
            ("mongodb://me:pa@ss/w?rd@db:27017/admin", "mongodb://***@db:27017/admin"),
            ("mongodb+srv://me:pw@db/?authMechanismProperties=x", "mongodb+srv://***@db/?***"),
            ("me:pw@db", "***"),
        ] {
            assert_eq!(mask_uri(uri), masked);
        }
    }

    #[test]
    fn options_that_look_secret_are_masked() {
        for name in ["sasl.password", "ssl.key.password", "sasl.oauthbearer.client.secret", "My.Token", "ssl.key.pem"] {
            assert_eq!(shown(&format!("sink.kafka.options.{name}"), &Value::from("hunter2")), "\"***\"", "{name}");
        }
        assert_eq!(shown("collect.key", &Value::from("hunter2")), "\"***\"");
        assert_eq!(shown("collect.url", &Value::from("https://me:hunter2@api")), "\"https://***@api\"");
        assert_eq!(shown("sink.kafka.options.security.protocol", &Value::from("SSL")), "\"SSL\"");
        let options = BTreeMap::from([("sasl.password".to_owned(), "hunter2".to_owned())]);
        assert_eq!(format!("{:?}", MaskedOptions(&options)), r#"{"sasl.password": "***"}"#);
    }
}
