//! Where checkpoints lie: a directory, or a bucket of an object store that speaks S3.

use crate::config::{CheckpointConfig, CheckpointPlace};
use crate::recovery::store::{Directory, Store, StoreError};
use futures_util::TryStreamExt as _;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use object_store::{
    ClientOptions, Error, ObjectStore as _, ObjectStoreExt as _, PutMode, PutOptions, PutPayload, RetryConfig,
};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Runtime;

/// What is larger goes up in parts of this size.
const PART_BYTES: usize = 16 << 20;
/// How long a request may take, with at most a part in it.
const REQUEST_WITHIN: Duration = Duration::from_secs(30);
/// How long a connection may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// How long a request is tried again: who saves tries again later, who starts says so.
const RETRY_WITHIN: Duration = Duration::from_secs(10);

/// Opens the place that the configuration names; looks at nothing there.
///
/// # Errors
/// When its address or the environment's settings for it cannot be used.
pub fn open(config: &CheckpointConfig) -> Result<Arc<dyn Store>, StoreError> {
    match config.place().map_err(StoreError::Failed)? {
        CheckpointPlace::Directory(root) => Ok(Arc::new(Directory::new(root))),
        CheckpointPlace::Bucket { bucket, prefix } => Ok(Arc::new(Bucket::open(&bucket, &prefix, std::env::vars())?)),
    }
}

/// A bucket; region, endpoint and credentials come from the environment (`AWS_…`), or from where the process runs.
#[derive(Debug)]
pub struct Bucket {
    name: String,
    prefix: String,
    client: AmazonS3,
    /// Callers wait: there is one at a time.
    runtime: Mutex<Runtime>,
}

impl Bucket {
    /// A bucket, of which names that begin with `prefix` are used; `AWS_…` among the settings say where it is, and who asks.
    ///
    /// # Errors
    /// When they cannot be used.
    pub fn open(
        bucket: &str,
        prefix: &str,
        settings: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, StoreError> {
        // Another part of the process may have done so.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = AmazonS3Builder::new();
        for (name, value) in settings.into_iter().filter(|(name, _)| name.starts_with("AWS_")) {
            if let Ok(key) = name.to_ascii_lowercase().parse() {
                builder = builder.with_config(key, value);
            }
        }
        let endpoint = builder.get_config_value(&AmazonS3ConfigKey::Endpoint);
        let is_plain = endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"));
        let options = ClientOptions::new()
            .with_timeout(REQUEST_WITHIN)
            .with_connect_timeout(CONNECT_WITHIN)
            .with_allow_http(is_plain);
        let retry = RetryConfig { max_retries: 3, retry_timeout: RETRY_WITHIN, ..RetryConfig::default() };
        let client = builder.with_bucket_name(bucket).with_client_options(options).with_retry(retry).build();
        let client = client.map_err(|error| StoreError::Failed(format!("checkpoint.url s3://{bucket}: {error}")))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| StoreError::Failed(format!("cannot start a runtime: {error}")))?;
        Ok(Self { name: bucket.to_owned(), prefix: prefix.to_owned(), client, runtime: Mutex::new(runtime) })
    }

    fn wait<T>(&self, of: impl Future<Output = T>) -> T {
        self.runtime.lock().unwrap_or_else(PoisonError::into_inner).block_on(of)
    }

    fn path(&self, name: &str) -> Result<Path, StoreError> {
        let whole = if self.prefix.is_empty() { name.to_owned() } else { format!("{}/{name}", self.prefix) };
        Path::parse(&whole).map_err(|error| StoreError::Failed(format!("{whole}: {error}")))
    }

    fn address(&self, name: &str) -> String {
        format!("{}/{name}", self.place())
    }

    fn failed(&self, what: &str, name: &str, error: &Error) -> StoreError {
        let address = self.address(name);
        match error {
            Error::NotFound { .. } => StoreError::Missing(address),
            Error::AlreadyExists { .. } | Error::Precondition { .. } => StoreError::Exists(address),
            Error::Generic { .. } if brief(error).contains("NoSuchBucket") => StoreError::Missing(address),
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => StoreError::Failed(format!(
                "not allowed to {what} {address}: give AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or a role) that may list, \
                 read, write and delete there"
            )),
            _ => StoreError::Failed(format!("cannot {what} {address}: {}", brief(error))),
        }
    }

    /// More than one request can hold: in parts, which become an object when all are there.
    async fn create_in_parts(&self, path: &Path, bytes: &[u8]) -> Result<(), Error> {
        // Names are an instance's own: what is there is of a try before this one.
        match self.client.head(path).await {
            Ok(_) => {
                let source = "there before".into();
                return Err(Error::AlreadyExists { path: path.to_string(), source });
            }
            Err(Error::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
        let mut upload = self.client.put_multipart(path).await?;
        for part in bytes.chunks(PART_BYTES) {
            if let Err(error) = upload.put_part(payload(part)).await {
                // What stays of it costs room, until the bucket's own rules remove it.
                let _ = upload.abort().await;
                return Err(error);
            }
        }
        upload.complete().await.map(drop)
    }
}

fn payload(bytes: &[u8]) -> PutPayload {
    PutPayload::from(bytes.to_vec())
}

/// An error with what is behind it, in one line: the outermost says little.
fn brief(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        let more = inner.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = inner.source();
    }
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(400).collect()
}

impl Store for Bucket {
    fn place(&self) -> String {
        let slash = if self.prefix.is_empty() { "" } else { "/" };
        format!("s3://{}{slash}{}", self.name, self.prefix)
    }

    fn check(&self) -> Result<(), StoreError> {
        let began = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos();
        let name = format!("check-{}-{began}", std::process::id());
        let why = |error| match error {
            StoreError::Missing(place) => StoreError::Failed(format!("{place}: is there no bucket `{}`?", self.name)),
            StoreError::Exists(place) => StoreError::Failed(format!("{place}: there already")),
            failed @ StoreError::Failed(_) => failed,
        };
        let text = |error: StoreError| StoreError::Failed(format!("checkpoint.url: {error}"));
        self.create(&name, b"").and_then(|()| self.remove(&name)).map_err(why).map_err(text)
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        // A store lists by whole segments.
        let dir = prefix.rsplit_once('/').map_or("", |(dir, _)| dir);
        let segments: Vec<&str> = [&*self.prefix, dir].into_iter().filter(|segment| !segment.is_empty()).collect();
        let root = Path::parse(segments.join("/")).ok().filter(|root| !root.as_ref().is_empty());
        let listed =
            self.wait(self.client.list(root.as_ref()).map_ok(|object| object.location).try_collect::<Vec<Path>>());
        let listed = listed.map_err(|error| match self.failed("list", dir, &error) {
            StoreError::Missing(place) => StoreError::Failed(format!("{place}: is there no bucket `{}`?", self.name)),
            other => other,
        })?;
        let own = if self.prefix.is_empty() { String::new() } else { format!("{}/", self.prefix) };
        let names = listed.iter().filter_map(|path| path.as_ref().strip_prefix(&own));
        let mut names: Vec<String> = names.filter(|name| name.starts_with(prefix)).map(str::to_owned).collect();
        names.sort_unstable();
        Ok(names)
    }

    fn create(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.path(name)?;
        let created = self.wait(async {
            if bytes.len() > PART_BYTES {
                return self.create_in_parts(&path, bytes).await;
            }
            let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
            self.client.put_opts(&path, payload(bytes), options).await.map(drop)
        });
        created.map_err(|error| self.failed("write", name, &error))
    }

    fn get(&self, name: &str) -> Result<Vec<u8>, StoreError> {
        let path = self.path(name)?;
        let found = self.wait(async { self.client.get(&path).await?.bytes().await });
        found.map(|bytes| bytes.to_vec()).map_err(|error| self.failed("read", name, &error))
    }

    fn get_range(&self, name: &str, from: u64, bytes: u64) -> Result<Vec<u8>, StoreError> {
        if bytes == 0 {
            return Ok(Vec::new());
        }
        let path = self.path(name)?;
        let found = self.wait(self.client.get_range(&path, from..from.saturating_add(bytes)));
        found.map(|bytes| bytes.to_vec()).map_err(|error| self.failed("read", name, &error))
    }

    fn remove(&self, name: &str) -> Result<(), StoreError> {
        let path = self.path(name)?;
        match self.wait(self.client.delete(&path)) {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failed("remove", name, &error)),
        }
    }
}
