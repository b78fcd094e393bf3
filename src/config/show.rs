//! `config show`: every setting, its value, and where it came from. Valid TOML, but for the secrets that are masked.

use super::keys::{KEYS, TABLES, Unset};
use super::kind::Kind;
use super::layers::Settings;
use super::secrets;
use toml::Value;

/// One line per key, by table; tables that are off are named as such.
#[must_use]
pub fn show(settings: &Settings) -> String {
    let mut out = String::new();
    for table in TABLES {
        let keys: Vec<_> = KEYS.iter().filter(|key| key.split().0 == table.name).collect();
        let Some(origin) = settings.table(table.name) else {
            out += &format!("\n# [{}] is off\n", table.name);
            continue;
        };
        if keys.is_empty() {
            continue;
        }
        out += &format!("\n[{}]{}\n", table.name, if table.always { String::new() } else { format!(" # {origin}") });
        for key in keys {
            let name = key.split().1;
            if key.kind == Kind::Options {
                let options: Vec<_> = settings.options(key.name).collect();
                if options.is_empty() {
                    out += &line(&format!("{name} = {{}}"), "default");
                }
                for (full, setting) in options {
                    let option = Value::from(full.strip_prefix(key.name).unwrap_or(full).trim_start_matches('.'));
                    let value = secrets::shown(full, &setting.value);
                    out += &line(&format!("{name}.{option} = {value}"), &setting.origin.to_string());
                }
            } else if let Some(setting) = settings.setting(key.name) {
                let value = secrets::shown(key.name, &setting.value);
                out += &line(&format!("{name} = {value}"), &setting.origin.to_string());
            } else if let Unset::Nothing(example) = key.unset {
                out += &line(&format!("# {name} = {example}"), "not set");
            }
        }
    }
    out.trim_start().to_owned()
}

fn line(setting: &str, origin: &str) -> String {
    format!("{setting:<44} # {origin}\n")
}
