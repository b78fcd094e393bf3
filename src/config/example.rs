//! The commented example file and the reference, both made from the table of keys.

use super::keys::{KEYS, Key, TABLES, Table, Unset};
use std::fmt::Write;

const HEAD: &str = "\
# tickcast: all settings, with their defaults. Made by `tickcast config example`.
#
# A setting may also come from the environment (TICKCAST_SOURCE__KAFKA__BROKERS=…) or the command line
# (--set source.kafka.brokers=…), which win over this file. `tickcast config show -c FILE` says what came from where.
# A table that is commented out is off. Paths are taken from the working directory.
";

/// Tables of the example that are on besides those that always are: the shortest live job.
const ON: [&str; 2] = ["source.kafka", "sink.kafka"];

/// The example file: defaults as they are, what is off commented out.
#[must_use]
pub fn example() -> String {
    let mut out = HEAD.to_owned();
    for table in TABLES {
        let keys = || KEYS.iter().filter(|key| key.split().0 == table.name);
        let on = table.always || ON.contains(&table.name);
        let off = if on { "" } else { "# " };
        let _ = write!(out, "\n# {}\n{off}[{}]\n", table.meaning, table.name);
        for key in keys() {
            let (off, value) = match key.unset {
                Unset::Default(value) => (off, value),
                Unset::Nothing(example) => ("# ", example),
            };
            let setting = format!("{off}{} = {value}", key.split().1);
            let _ = writeln!(out, "{setting:<48} # {}", meaning(key));
        }
    }
    out
}

fn meaning(key: &Key) -> String {
    match key.kind {
        super::kind::Kind::Choice(words) if words.len() > 1 => format!("{}; {}", words.join(" | "), key.meaning),
        super::kind::Kind::Whole(min, max) if max < i64::MAX => format!("{min} to {max}; {}", key.meaning),
        _ => key.meaning.to_owned(),
    }
}

/// The reference in Markdown: one section per table.
#[must_use]
pub fn reference() -> String {
    let mut out = REFERENCE_HEAD.to_owned();
    for table in TABLES {
        section(&mut out, table);
    }
    out
}

const REFERENCE_HEAD: &str = "\
# Settings

Made by `tickcast config reference`.

Defaults < file (`-c FILE`) < environment < `--set KEY=VALUE`. `tickcast config show` says what came from where.

- Environment: `TICKCAST_` and the dotted name in capitals, with two underscores for each dot:
  `TICKCAST_SOURCE__KAFKA__BROKERS` is `source.kafka.brokers`. Variables without two underscores are no settings.
- Lists in the environment and in `--set` are written with commas (`1m,5m`) or as in TOML (`[\"1m\", \"5m\"]`), texts without quotes.
- Options of librdkafka: all that follows `options.` is the option's name, as in `--set source.kafka.options.security.protocol=SSL`.
  In the environment one underscore below `OPTIONS__` is a dot, two are an underscore:
  `TICKCAST_SOURCE__KAFKA__OPTIONS__SSL_CA_LOCATION` is `ssl.ca.location`.
- Secrets: `source.mongodb.uri_file`, `sink.mongodb.uri_file`, `collect.key_file` and options that end in `_file` (`\"sasl.password_file\" = \"/run/secrets/kafka\"`, in the
  environment `…__OPTIONS__SASL_PASSWORD__FILE`) read the value from a file. Passwords never show in `config show`, logs or errors.
- A table that is absent is off (`source.kafka`, `source.files`, `source.mongodb`, `sink.*`, `dead_letter`, `checkpoint`); setting one of its keys turns it on.
- `source.symbols_max` is counted partition by partition, and keyed topics divide it: [formats.md](formats.md#what-becomes-of-a-record).
- Durations: a whole number and a unit, `250ms`, `5s`, `1m`, `1h`, `1d`; at most ten years.
";

fn section(out: &mut String, table: &Table) {
    let _ = write!(
        out,
        "\n## `[{}]`\n\n{}{}\n",
        table.name,
        table.meaning,
        if table.always { "" } else { " Off unless given." }
    );
    let mut keys = KEYS.iter().filter(|key| key.split().0 == table.name).peekable();
    if keys.peek().is_none() {
        return;
    }
    out.push_str("\n| key | default | allowed | meaning |\n|---|---|---|---|\n");
    for key in keys {
        let default = match key.unset {
            Unset::Default(value) => format!("`{value}`"),
            Unset::Nothing(_) => "not set".to_owned(),
        };
        let _ = writeln!(out, "| `{}` | {default} | {} | {} |", key.split().1, key.kind.allowed(), key.meaning);
    }
}
