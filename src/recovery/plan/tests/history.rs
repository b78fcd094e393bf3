//! Starts of a job whose topic goes on from a history.

use super::super::keys;
use super::{Case, Setup, add, edit};

/// The files of its history when it began, and now.
fn with_history(setup: &mut Setup, then: Option<&str>, now: Option<&str>) {
    let name = |files: Option<&str>| files.map(str::to_owned);
    edit(setup, |p| p.computation.set("source.files.paths", name(then)));
    setup.computation.set("source.files.paths", name(now));
}

pub(super) const CASES: &[Case] = &[
    Case {
        what: "in the midst of its history, it reads it again",
        change: |s| with_history(s, Some("a.csv"), Some("a.csv")),
        name: "resume",
    },
    Case {
        what: "in the midst of its history, without it",
        change: |s| with_history(s, Some("a.csv"), None),
        name: "history_needed",
    },
    Case {
        what: "in the midst of its history, with another",
        change: |s| with_history(s, Some("a.csv"), Some("b.csv")),
        name: "other_computation",
    },
    Case {
        what: "the same files end elsewhere",
        change: |s| {
            with_history(s, Some("a.csv"), Some("a.csv"));
            edit(s, |p| p.computation.set(keys::HISTORY, Some("1 symbols through then".to_owned())));
            s.computation.set(keys::HISTORY, Some("1 symbols through later".to_owned()));
        },
        name: "other_computation",
    },
    Case {
        what: "its history is over, and gone",
        change: |s| {
            with_history(s, Some("a.csv"), None);
            add(s, |m| m.computation.set("source.files.paths", Some("a.csv".to_owned())));
        },
        name: "checkpoint",
    },
    Case {
        what: "its history is over, and there is another",
        change: |s| {
            with_history(s, Some("a.csv"), Some("b.csv"));
            add(s, |m| m.computation.set("source.files.paths", Some("a.csv".to_owned())));
        },
        name: "checkpoint",
    },
    Case {
        what: "it began without a history, and cannot get one",
        change: |s| {
            with_history(s, None, Some("a.csv"));
            add(s, |_| ());
        },
        name: "other_computation",
    },
    Case {
        what: "the source was files, and is a topic now",
        change: |s| edit(s, |p| p.computation.set("source", Some("files".to_owned()))),
        name: "other_computation",
    },
];
