//! Where checkpoints lie: a few calls that a directory and an object store both have.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// Why a store did not do what it was asked for. The message names the place.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is nothing of that name.
    #[error("{0}: not there")]
    Missing(String),
    /// There is something of that name already.
    #[error("{0}: there already")]
    Exists(String),
    /// It cannot be reached, or refuses.
    #[error("{0}")]
    Failed(String),
}

/// Whatever keeps checkpoints. Names hold no separators but `/`; what was put appears whole or not at all, and stays.
pub trait Store: Send + Sync {
    /// For messages.
    fn place(&self) -> String;

    /// Finds out whether it can be written to, and leaves nothing behind.
    ///
    /// # Errors
    /// When it cannot.
    fn check(&self) -> Result<(), StoreError>;

    /// All names that begin so, in order.
    ///
    /// # Errors
    /// When it cannot be reached. A store that does not exist yet is empty.
    fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError>;

    /// Puts something where nothing of that name is.
    ///
    /// # Errors
    /// [`StoreError::Exists`] where something is; when it cannot be written.
    fn create(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError>;

    /// All of something.
    ///
    /// # Errors
    /// [`StoreError::Missing`] where there is none; when it cannot be read.
    fn get(&self, name: &str) -> Result<Vec<u8>, StoreError>;

    /// A part of something; less where it ends before.
    ///
    /// # Errors
    /// As [`Store::get`].
    fn get_range(&self, name: &str, from: u64, bytes: u64) -> Result<Vec<u8>, StoreError>;

    /// Removes something, or nothing where there is none.
    ///
    /// # Errors
    /// When it cannot.
    fn remove(&self, name: &str) -> Result<(), StoreError>;
}

/// How often something is created that is said to be there and is not.
const CREATE_TRIES: usize = 3;

/// Puts something that only this process can have put there: by a try before this one, whose answer was lost.
///
/// # Errors
/// Why it is not there.
pub fn put_once(store: &dyn Store, name: &str, bytes: &[u8]) -> Result<(), String> {
    for _ in 0..CREATE_TRIES {
        let place = match store.create(name, bytes) {
            Err(StoreError::Exists(place)) => place,
            other => return other.map_err(|error| error.to_string()),
        };
        match store.get(name) {
            Ok(found) if found == bytes => return Ok(()),
            Ok(_) => return Err(format!("{place} is another instance's")),
            // Object stores say so, too, where two wanted to create it at once and neither has.
            Err(StoreError::Missing(_)) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    Err(format!("{name} is said to be there, and is not"))
}

/// A directory.
#[derive(Clone, Debug)]
pub struct Directory {
    root: PathBuf,
}

/// What is being written, and has no name yet.
const UNFINISHED: &str = ".unfinished";

impl Directory {
    /// A directory, which need not exist yet.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn open(&self, name: &str) -> Result<File, StoreError> {
        let path = self.path(name);
        File::open(&path).map_err(|error| failed(&path, "cannot read", &error))
    }
}

fn failed(path: &Path, what: &str, error: &std::io::Error) -> StoreError {
    let place = path.display();
    match error.kind() {
        std::io::ErrorKind::NotFound => StoreError::Missing(place.to_string()),
        std::io::ErrorKind::AlreadyExists => StoreError::Exists(place.to_string()),
        _ => StoreError::Failed(format!("{what} {place}: {error}")),
    }
}

impl Store for Directory {
    fn place(&self) -> String {
        self.root.display().to_string()
    }

    fn check(&self) -> Result<(), StoreError> {
        // The nearest that exists: directories are made when something is written.
        let existing = self.root.ancestors().find(|path| path.exists()).unwrap_or(Path::new("."));
        let refused = |error: &std::io::Error| {
            StoreError::Failed(format!("checkpoint.url: cannot write to {}: {error}", self.root.display()))
        };
        if !existing.is_dir() {
            return Err(StoreError::Failed(format!("checkpoint.url: {} is no directory", existing.display())));
        }
        let probe = existing.join(format!("{UNFINISHED}-{}", std::process::id()));
        File::create(&probe).map_err(|error| refused(&error))?;
        std::fs::remove_file(&probe).map_err(|error| refused(&error))
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        let mut names = Vec::new();
        // Not what lies beside: a volume's own directories may be closed to us.
        let mut open = vec![PathBuf::from(prefix.rsplit_once('/').map_or("", |(dir, _)| dir))];
        while let Some(dir) = open.pop() {
            let path = self.root.join(&dir);
            let entries = match std::fs::read_dir(&path) {
                Ok(entries) => entries,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(failed(&path, "cannot list", &error)),
            };
            for entry in entries {
                let entry = entry.map_err(|error| failed(&path, "cannot list", &error))?;
                let name = dir.join(entry.file_name());
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    open.push(name);
                } else if let Some(name) = name.to_str().filter(|name| name.starts_with(prefix)) {
                    names.push(name.to_owned());
                }
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn create(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.path(name);
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir).map_err(|error| failed(dir, "cannot create", &error))?;
        }
        let unfinished = path.with_extension(format!("{}{UNFINISHED}", std::process::id()));
        let written = File::create(&unfinished).and_then(|mut file| {
            file.write_all(bytes)?;
            // On the disk before it has its name: after a power cut a name stands for all of it.
            file.sync_all()
        });
        // A hard link never takes the place of another file.
        let named = written.and_then(|()| std::fs::hard_link(&unfinished, &path));
        let removed = std::fs::remove_file(&unfinished);
        named.map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => StoreError::Exists(path.display().to_string()),
            _ => StoreError::Failed(format!("cannot write {}: {error}", path.display())),
        })?;
        removed.map_err(|error| failed(&unfinished, "cannot remove", &error))?;
        // The name itself, too.
        let dir = path.parent().unwrap_or(Path::new("."));
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(|error| failed(dir, "cannot write", &error))
    }

    fn get(&self, name: &str) -> Result<Vec<u8>, StoreError> {
        let mut bytes = Vec::new();
        self.open(name)?.read_to_end(&mut bytes).map_err(|error| failed(&self.path(name), "cannot read", &error))?;
        Ok(bytes)
    }

    fn get_range(&self, name: &str, from: u64, bytes: u64) -> Result<Vec<u8>, StoreError> {
        let mut file = self.open(name)?;
        let mut found = Vec::new();
        let read = file.seek(SeekFrom::Start(from)).and_then(|_| file.take(bytes).read_to_end(&mut found));
        read.map_err(|error| failed(&self.path(name), "cannot read", &error))?;
        Ok(found)
    }

    fn remove(&self, name: &str) -> Result<(), StoreError> {
        let path = self.path(name);
        match std::fs::remove_file(&path) {
            Ok(()) => {
                // Nor what held it, where that is empty now; nor what a process that died here left so.
                let emptied = path.parent().filter(|dir| *dir != self.root);
                let beside = emptied.and_then(Path::parent).and_then(|dir| std::fs::read_dir(dir).ok());
                let beside = beside.into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
                // One that holds something stays.
                beside.chain(emptied.map(Path::to_owned)).for_each(|dir| drop(std::fs::remove_dir(dir)));
                Ok(())
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(failed(&path, "cannot remove", &error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_keeps_what_was_put_and_never_replaces_it() {
        let dir = tempfile::tempdir().unwrap();
        let store = Directory::new(dir.path().join("deep/down"));
        assert!(store.list("").unwrap().is_empty(), "not there yet");
        store.check().unwrap();
        assert!(!dir.path().join("deep").exists(), "a check leaves nothing");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        store.create("job/a", b"12345").unwrap();
        store.create("job/b/c", b"").unwrap();
        assert!(matches!(store.create("job/a", b"other"), Err(StoreError::Exists(_))));
        assert_eq!(store.list("").unwrap(), ["job/a", "job/b/c"]);
        assert_eq!(store.list("job/b").unwrap(), ["job/b/c"]);
        assert_eq!(
            (store.get("job/a").unwrap(), store.get_range("job/a", 1, 3).unwrap()),
            (b"12345".into(), b"234".into())
        );
        assert_eq!(store.get_range("job/a", 4, 100).unwrap(), b"5");
        assert!(matches!(store.get("job/x"), Err(StoreError::Missing(_))));
        store.remove("job/a").unwrap();
        store.remove("job/a").unwrap();
        store.create("job/d/e", b"x").unwrap();
        std::fs::create_dir(dir.path().join("deep/down/job/left")).unwrap();
        store.remove("job/d/e").unwrap();
        assert!(!dir.path().join("deep/down/job/left").exists(), "litter goes");
        assert!(!dir.path().join("deep/down/job/d").exists() && dir.path().join("deep/down/job").exists());
        assert_eq!(store.list("").unwrap(), ["job/b/c"]);
    }

    #[test]
    fn a_place_that_cannot_be_written_to_is_told_before() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "x").unwrap();
        let error = Directory::new(file.join("below")).check().unwrap_err().to_string();
        assert!(error.contains("is no directory"), "{error}");
    }
}
