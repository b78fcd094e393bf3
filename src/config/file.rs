//! The TOML file: its values by dotted name, each with its line.

use super::keys::{self, Found};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

/// The largest file: 1 MiB.
const BYTES_MAX: u64 = 1 << 20;

/// What a file says.
#[derive(Debug, Default)]
pub(super) struct File {
    /// Values of keys and options, with their lines.
    pub values: Vec<(String, usize, Value)>,
    /// Tables that are written, with their lines.
    pub tables: Vec<(String, usize)>,
    /// What is wrong with it, with lines.
    pub problems: Vec<(usize, String)>,
}

/// Reads a file.
///
/// # Errors
/// When it cannot be read or is no TOML. Never quotes the file: it may hold a password.
pub(super) fn read(path: &Path) -> Result<File, String> {
    let shown = path.display();
    let text = open(path)?;
    let broken = |error: &toml::de::Error| {
        let line = error.span().map_or(1, |span| line_of(&text, span.start));
        format!("{shown}:{line}: no TOML: {}", error.message().replace('\n', " "))
    };
    let spanned = DeTable::parse(&text).map_err(|error| broken(&error))?;
    let table: Table = toml::from_str(&text).map_err(|error| broken(&error))?;
    let mut lines = BTreeMap::new();
    find_lines(&text, "", spanned.get_ref(), &mut lines);
    let mut file = File::default();
    file.take("", &table, &lines);
    Ok(file)
}

fn open(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let file = std::fs::File::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => format!(
            "{shown}: no such file: name one that exists with -c, or write one with: tickcast config example > {shown}"
        ),
        _ => format!("{shown}: cannot be opened: {error}"),
    })?;
    let mut text = String::new();
    file.take(BYTES_MAX + 1)
        .read_to_string(&mut text)
        .map_err(|error| format!("{shown}: cannot be read: {error}; it must be a text in UTF-8"))?;
    if text.len() as u64 > BYTES_MAX {
        return Err(format!("{shown}: larger than 1 MiB: that is no configuration"));
    }
    Ok(text)
}

fn line_of(text: &str, byte: usize) -> usize {
    1 + text.as_bytes().iter().take(byte).filter(|b| **b == b'\n').count()
}

fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") }
}

fn find_lines(text: &str, prefix: &str, table: &DeTable<'_>, lines: &mut BTreeMap<String, usize>) {
    for (key, value) in table {
        let name = join(prefix, key.get_ref());
        lines.insert(name.clone(), line_of(text, key.span().start));
        if let DeValue::Table(inner) = value.get_ref() {
            find_lines(text, &name, inner, lines);
        }
    }
}

impl File {
    fn take(&mut self, prefix: &str, table: &Table, lines: &BTreeMap<String, usize>) {
        for (key, value) in table {
            let name = join(prefix, key);
            let line = lines.get(&name).copied().unwrap_or(1);
            match (keys::find(&name), value) {
                (Some(Found::Table(_)), Value::Table(inner)) => {
                    self.tables.push((name.clone(), line));
                    self.take(&name, inner, lines);
                }
                // `security.protocol` without quotes is a table to TOML, and one option to librdkafka.
                (Some(Found::Option(..)), Value::Table(inner)) => self.take(&name, inner, lines),
                (Some(Found::Key(key)), Value::Table(inner)) if key.kind == super::kind::Kind::Options => {
                    self.tables.push((key.split().0.to_owned(), line));
                    self.take(&name, inner, lines);
                }
                (Some(Found::Table(_)), _) => {
                    self.problems.push((line, format!("{name} is a table: write [{name}], and its keys below it")));
                }
                (Some(_), _) => self.values.push((name, line, value.clone())),
                (None, _) => self.problems.push((line, keys::unknown(&name))),
            }
        }
    }
}
