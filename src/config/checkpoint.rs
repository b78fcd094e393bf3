//! `[checkpoint]`: where a live job keeps its state.

use crate::market::Span;
use serde::Deserialize;
use std::path::PathBuf;

/// `[checkpoint]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CheckpointConfig {
    /// `file:///DIRECTORY`, or `s3://BUCKET/PREFIX`.
    pub url: String,
    /// Of event time between two; of wall time, where event time runs faster.
    pub interval: Span,
    /// How many are kept.
    pub keep: usize,
}

impl Default for CheckpointConfig {
    fn default() -> Self {
        Self { url: String::new(), interval: Span::from_millis(60_000), keep: 3 }
    }
}

/// Where checkpoints lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckpointPlace {
    /// In a directory.
    Directory(PathBuf),
    /// In a bucket of an object store.
    Bucket {
        /// Its name.
        bucket: String,
        /// What all names begin with, without a slash at the end; may be empty.
        prefix: String,
    },
}

impl CheckpointConfig {
    /// The place that `url` names.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn place(&self) -> Result<CheckpointPlace, String> {
        let wrong = || format!("checkpoint.url = {:?}: write file:///DIRECTORY or s3://BUCKET/PREFIX", self.url);
        if let Some(name) = self.url.strip_prefix("s3://") {
            let (bucket, prefix) = name.split_once('/').unwrap_or((name, ""));
            let prefix = prefix.trim_end_matches('/');
            let is_name = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
            let is_good = |segment: &str| {
                !segment.is_empty() && segment != "." && segment != ".." && segment.chars().all(is_name)
            };
            if !is_good(bucket) || !(prefix.is_empty() || prefix.split('/').all(is_good)) {
                return Err(wrong());
            }
            return Ok(CheckpointPlace::Bucket { bucket: bucket.to_owned(), prefix: prefix.to_owned() });
        }
        let path = self.url.strip_prefix("file://").ok_or_else(wrong)?;
        if path.starts_with('/') && path.len() > 1 {
            Ok(CheckpointPlace::Directory(PathBuf::from(path)))
        } else {
            Err(wrong())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_from_addresses() {
        let place = |url: &str| CheckpointConfig { url: url.to_owned(), ..CheckpointConfig::default() }.place();
        let bucket = |bucket: &str, prefix: &str| {
            Ok(CheckpointPlace::Bucket { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
        };
        assert_eq!(place("file:///var/lib"), Ok(CheckpointPlace::Directory("/var/lib".into())));
        assert_eq!((place("s3://b"), place("s3://b/a/c/")), (bucket("b", ""), bucket("b", "a/c")));
        for wrong in [
            "",
            "file://",
            "file:///",
            "file://host/x",
            "/var",
            "s3://",
            "s3:///x",
            "s3://b//c",
            "s3://b/a?b",
            "gs://b",
        ] {
            assert!(place(wrong).unwrap_err().contains("s3://BUCKET/PREFIX"), "{wrong}");
        }
    }
}
