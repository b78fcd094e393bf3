//! A checkpoint's table of contents, and the one object that makes it current: JSON whose last line is its own digest.
//!
//! ```text
//!   JOB/00001700000000000-3/state-0      sections, one after the other: what a worker's operators remember
//!   JOB/00001700000000000-3/manifest     where each section lies, its digest, and where reading goes on
//! ```
//!
//! A manifest is put last. So a checkpoint without one never was; and none is ever changed.

use super::computation::Computation;
use super::packed::unpack;
use super::progress::Offsets;
use super::store::{Store, StoreError};
use crate::market::{Generation, PartitionId, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

/// The format that is written, and the only one that is read.
pub const MANIFEST_VERSION: u32 = 2;
/// More is no manifest: a section takes some 150 bytes.
const MANIFEST_BYTES_MAX: usize = 64 << 20;

/// Whose state a section is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keeper {
    /// A partition, as it was before the record that reading goes on with.
    Source(PartitionId),
    /// The sliding windows of a worker's symbols.
    Windows,
    /// The returns of a worker's symbols.
    Returns,
    /// What all symbols did: the same on every worker.
    Market,
    /// The forecasters of a worker's symbols.
    Forecasters,
    /// The network that all symbols share: the same on every worker.
    Network,
    /// Sums of scores.
    Scores,
}

/// Where a section lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// Whose state it is.
    pub keeper: Keeper,
    /// Of these symbols: those whose route is this, modulo the number of parts; none where it is nobody's in particular.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<u32>,
    /// The object that it lies in.
    pub object: String,
    /// Where it begins there.
    pub from: u64,
    /// How long it is there.
    pub bytes: u64,
    /// How long the state is that it holds, compressed with zstd.
    pub state: u64,
    /// SHA-256 of what lies there, in hexadecimal digits.
    pub sha256: String,
}

/// A checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`MANIFEST_VERSION`].
    pub version: u32,
    /// The job.
    pub job: String,
    /// The instance that wrote it.
    pub generation: Generation,
    /// What it computes.
    pub computation: Computation,
    /// The cut: the state of all panes that end by then.
    pub cut: Timestamp,
    /// Where reading goes on.
    pub offsets: Offsets,
    /// How many partitions the symbols that the job may have are divided over.
    pub partitions: u32,
    /// How many parts symbols are divided into.
    pub parts: u32,
    /// How states are laid out: others cannot be read.
    pub layout: String,
    /// The sinks that have everything before the cut.
    pub sinks: Vec<String>,
    /// What there is of it.
    pub sections: Vec<Section>,
}

/// Why a checkpoint is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// Something of it is missing.
    #[error("{0}: not there")]
    Missing(String),
    /// Its bytes are others than those that were written.
    #[error("{0}: damaged")]
    Damaged(String),
    /// It was written by a tickcast with another format.
    #[error("{0}: format {1}, this tickcast reads {MANIFEST_VERSION}")]
    Version(String, u32),
    /// It is something else.
    #[error("{0}: no checkpoint of tickcast")]
    Foreign(String),
    /// The store does not answer.
    #[error("{0}")]
    Unreadable(String),
}

/// SHA-256 in hexadecimal digits.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How much of an object is read at once, the last section aside.
const READ_TOGETHER: u64 = 32 << 20;

impl Manifest {
    /// The name of its checkpoint: in the order of cuts, then of generations.
    #[must_use]
    pub fn name(job: &str, cut: Timestamp, generation: Generation) -> String {
        format!("{job}/{:017}-{generation}", cut.millis())
    }

    /// Cut and generation of a name that [`Manifest::name`] has made.
    #[must_use]
    pub fn parse_name(job: &str, name: &str) -> Option<(Timestamp, Generation)> {
        let rest = name.strip_prefix(job)?.strip_prefix('/')?;
        let (checkpoint, _) = rest.split_once('/')?;
        let (cut, generation) = checkpoint.split_once('-')?;
        Some((Timestamp::from_millis(cut.parse().ok()?), Generation(generation.parse().ok()?)))
    }

    /// As it is put into the store.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        // Plain data with texts and integers as keys: its serialisation cannot fail.
        let mut bytes = serde_json::to_vec(self).unwrap_or_default();
        let digest = sha256(&bytes);
        bytes.push(b'\n');
        bytes.extend_from_slice(digest.as_bytes());
        bytes.push(b'\n');
        bytes
    }

    /// Reads what [`Manifest::to_bytes`] has made; `name` is for the message.
    ///
    /// # Errors
    /// When it is something else.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self, Damage> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let damaged = || Damage::Damaged(name.to_owned());
        if bytes.is_empty() || bytes.len() > MANIFEST_BYTES_MAX {
            return Err(damaged());
        }
        if bytes[0] != b'{' {
            return Err(Damage::Foreign(name.to_owned()));
        }
        let line = bytes.iter().position(|byte| *byte == b'\n').ok_or_else(damaged)?;
        let (json, digest) = (&bytes[..line], &bytes[line + 1..]);
        // Before the digest: a newer format may have another.
        if let Ok(Versioned { version }) = serde_json::from_slice(json)
            && version != MANIFEST_VERSION
        {
            return Err(Damage::Version(name.to_owned(), version));
        }
        if digest.trim_ascii_end() != sha256(json).as_bytes() {
            return Err(damaged());
        }
        serde_json::from_slice(json).map_err(|_| Damage::Foreign(name.to_owned()))
    }

    /// Reads a checkpoint's manifest.
    ///
    /// # Errors
    /// When it is none, or the store does not answer.
    pub fn read(store: &dyn Store, checkpoint: &str) -> Result<Self, Damage> {
        let name = format!("{checkpoint}/manifest");
        match store.get(&name) {
            Ok(bytes) => Self::parse(&name, &bytes),
            Err(StoreError::Missing(_)) => Err(Damage::Missing(name)),
            Err(StoreError::Exists(why) | StoreError::Failed(why)) => Err(Damage::Unreadable(why)),
        }
    }

    /// Reads all of it once, and proves that it is what was written.
    ///
    /// # Errors
    /// When it is not, or the store does not answer.
    pub fn verify(&self, store: &dyn Store) -> Result<(), Damage> {
        self.read_sections(store, |_, _| ())
    }

    /// Hands each section on, proven to be what was written; those that lie together are read together.
    ///
    /// # Errors
    /// When one is not, or the store does not answer.
    pub fn read_sections(&self, store: &dyn Store, mut take: impl FnMut(&Section, Vec<u8>)) -> Result<(), Damage> {
        let mut rest: Vec<&Section> = self.sections.iter().collect();
        rest.sort_by(|one, other| (&one.object, one.from).cmp(&(&other.object, other.from)));
        let mut rest = &rest[..];
        while let Some(first) = rest.first() {
            let mut end = first.from.saturating_add(first.bytes);
            let follows = |section: &&Section, end: u64| {
                section.object == first.object && section.from == end && end - first.from < READ_TOGETHER
            };
            let mut count = 1;
            while let Some(section) = rest.get(count).filter(|section| follows(section, end)) {
                end = end.saturating_add(section.bytes);
                count += 1;
            }
            let (together, later) = rest.split_at(count);
            let found = match store.get_range(&first.object, first.from, end - first.from) {
                Ok(found) => found,
                Err(StoreError::Missing(_)) => return Err(Damage::Missing(first.object.clone())),
                Err(StoreError::Exists(why) | StoreError::Failed(why)) => return Err(Damage::Unreadable(why)),
            };
            for section in together {
                let damaged = || Damage::Damaged(section.object.clone());
                let from = usize::try_from(section.from - first.from).map_err(|_| damaged())?;
                let bytes = usize::try_from(section.bytes).map_err(|_| damaged())?;
                let bytes = from.checked_add(bytes).and_then(|to| found.get(from..to)).ok_or_else(damaged)?;
                if sha256(bytes) != section.sha256 {
                    return Err(damaged());
                }
                take(section, unpack(bytes, section.state).ok_or_else(damaged)?);
            }
            rest = later;
        }
        Ok(())
    }

    /// How many bytes its sections have.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.sections.iter().map(|section| section.bytes).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::super::packed::pack;
    use super::super::store::Directory;
    use super::*;
    use proptest::prelude::*;

    fn manifest() -> Manifest {
        let section = |keeper, part, from, bytes: &[u8]| Section {
            keeper,
            part,
            object: "btc/00001700000060000-3/state-0".to_owned(),
            from,
            bytes: pack(bytes).unwrap().len() as u64,
            state: bytes.len() as u64,
            sha256: sha256(&pack(bytes).unwrap()),
        };
        let from = pack(b"abc").unwrap().len() as u64;
        Manifest {
            version: MANIFEST_VERSION,
            job: "btc".to_owned(),
            generation: Generation(3),
            computation: Computation::new([("time.slide", "5s".to_owned())]),
            cut: Timestamp::from_millis(1_700_000_060_000),
            offsets: [(PartitionId(0), 17)].into(),
            partitions: 1,
            parts: 64,
            layout: "1".to_owned(),
            sinks: vec!["kafka".to_owned()],
            sections: vec![
                section(Keeper::Source(PartitionId(0)), None, 0, b"abc"),
                section(Keeper::Windows, Some(7), from, b"defgh"),
            ],
        }
    }

    #[test]
    fn it_reads_back_and_its_name_sorts() {
        let whole = manifest();
        assert_eq!(Manifest::parse("m", &whole.to_bytes()), Ok(whole.clone()));
        let name = Manifest::name(&whole.job, whole.cut, whole.generation);
        assert_eq!(name, "btc/00001700000060000-3");
        assert_eq!(Manifest::parse_name("btc", &format!("{name}/manifest")), Some((whole.cut, Generation(3))));
        for other in ["eth/00001700000060000-3/manifest", "btc/x", "btc/1-x/manifest", "btc/00001700000060000-3"] {
            assert_eq!(Manifest::parse_name("btc", other), None, "{other}");
        }
    }

    #[test]
    fn whatever_else_lies_there_is_named() {
        let bytes = manifest().to_bytes();
        let parse = |bytes: &[u8]| Manifest::parse("m", bytes).unwrap_err();
        assert_eq!(parse(b""), Damage::Damaged("m".to_owned()));
        assert_eq!(parse(b"PK\x03\x04"), Damage::Foreign("m".to_owned()));
        assert_eq!(parse(&bytes[..bytes.len() / 2]), Damage::Damaged("m".to_owned()));
        assert_eq!(parse(&bytes[..bytes.len() - 9]), Damage::Damaged("m".to_owned()));
        let newer = String::from_utf8(bytes.clone()).unwrap().replace("{\"version\":2,", "{\"version\":3,\"more\":[],");
        assert_eq!(parse(newer.as_bytes()), Damage::Version("m".to_owned(), 3));
        let json = b"{\"version\":2,\"job\":\"x\"}";
        let other = [&json[..], b"\n", sha256(json).as_bytes()].concat();
        assert_eq!(parse(&other), Damage::Foreign("m".to_owned()));
        for at in 0..bytes.len() - 1 {
            let mut touched = bytes.clone();
            touched[at] ^= 1;
            assert!(Manifest::parse("m", &touched).is_err(), "byte {at}");
        }
    }

    #[test]
    fn sections_are_proven() {
        let dir = tempfile::tempdir().unwrap();
        let store = Directory::new(dir.path());
        let whole = manifest();
        let name = Manifest::name(&whole.job, whole.cut, whole.generation);
        assert!(matches!(Manifest::read(&store, &name), Err(Damage::Missing(_))));
        store.create(&format!("{name}/manifest"), &whole.to_bytes()).unwrap();
        assert!(matches!(whole.verify(&store), Err(Damage::Missing(_))));
        let both = [pack(b"abc").unwrap(), pack(b"defgh").unwrap()].concat();
        store.create(&format!("{name}/state-0"), &both).unwrap();
        let read = Manifest::read(&store, &name).unwrap();
        assert_eq!((read.verify(&store), read.bytes()), (Ok(()), both.len() as u64));
        let mut sections = Vec::new();
        read.read_sections(&store, |section, bytes| sections.push((section.keeper, bytes))).unwrap();
        assert_eq!(sections, [(Keeper::Source(PartitionId(0)), b"abc".to_vec()), (Keeper::Windows, b"defgh".to_vec())]);
        // Of another length than it should be, though its bytes are right.
        let mut longer = read.clone();
        longer.sections[1].state += 1;
        assert!(matches!(longer.verify(&store), Err(Damage::Damaged(_))));
        let mut changed = both.clone();
        *changed.last_mut().unwrap() ^= 1;
        for content in [&both[..both.len() - 1], b"", &changed] {
            store.remove(&format!("{name}/state-0")).unwrap();
            store.create(&format!("{name}/state-0"), content).unwrap();
            assert!(matches!(read.verify(&store), Err(Damage::Damaged(_))), "{content:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..300), begins in any::<bool>()) {
            let mut bytes = bytes;
            if begins {
                bytes.insert(0, b'{');
            }
            prop_assert!(Manifest::parse("m", &bytes).is_err());
        }
    }
}
