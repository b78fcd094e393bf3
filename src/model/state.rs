//! A symbol's state as bytes, and back; and that of a network which all symbols share.
//!
//! ```text
//!   "TCF" · version · fingerprint of the configuration · digest of the rest · symbol and everything that learns (postcard)
//!   "TCP" · version · fingerprint of the configuration · digest of the rest · the shared network (postcard)
//! ```
//!
//! Complete: what is read back goes on with the same bits. The fingerprint keeps a state from being read under another
//! configuration, the digest from being read when it is damaged.

use super::forecaster::Forecaster;
use super::pool::Pool;
use super::settings::ForecasterConfig;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use std::rc::Rc;

/// Of the layout: raised whenever it changes.
pub const STATE_VERSION: u8 = 5;
const MAGIC: [u8; 3] = *b"TCF";
const POOL_MAGIC: [u8; 3] = *b"TCP";
const FINGERPRINT_BYTES: usize = 16;
const DIGEST_BYTES: usize = 8;
const HEAD_BYTES: usize = MAGIC.len() + 1 + FINGERPRINT_BYTES + DIGEST_BYTES;

/// Why bytes are not a forecaster's state.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum StateError {
    /// They are something else.
    #[error("this is not the state that is expected here")]
    Foreign,
    /// Another version of tickcast wrote them.
    #[error(
        "the state has layout {found}, and this tickcast reads {STATE_VERSION}: go on with the tickcast that wrote it, or learn anew"
    )]
    Version {
        /// Their layout.
        found: u8,
    },
    /// They belong to another configuration.
    #[error(
        "the state was written under other settings of [model], time.epoch or model.step: restore those, or learn anew"
    )]
    Configuration,
    /// They were cut or changed.
    #[error("the state is damaged: {0}")]
    Damaged(String),
}

/// Of everything in a configuration that a state depends on; the job's name is not.
fn fingerprint(config: &ForecasterConfig) -> [u8; FINGERPRINT_BYTES] {
    let ForecasterConfig { job: _, step, epoch, horizons, coverage, parts, pooled, learner, initial } = config;
    let text =
        format!("{step} {epoch} {horizons:?} {:x} {parts:?} {pooled} {learner:?} {initial:?}", coverage.to_bits());
    digest(text.as_bytes())
}

/// The first bytes of the SHA-256.
fn digest<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let digest = Sha256::digest(bytes);
    std::array::from_fn(|at| digest[at])
}

impl Forecaster {
    /// Appends the state to `out`. Between steps: not after [`Forecaster::close`] and before [`Forecaster::issue`].
    ///
    /// # Errors
    /// Never but for a fault in this program: all of the state can be written.
    pub fn write_state(&self, out: &mut Vec<u8>) -> Result<(), StateError> {
        write(MAGIC, self.config(), &self.parts_to_write(), out)
    }

    /// Reads what [`Forecaster::write_state`] has written, under the same configuration.
    ///
    /// # Errors
    /// When the bytes are something else, or belong to another version or configuration.
    pub fn read_state(config: Rc<ForecasterConfig>, bytes: &[u8]) -> Result<Self, StateError> {
        let parts = read(MAGIC, &config, bytes)?;
        Ok(Self::from_written(config, parts))
    }
}

impl Pool {
    /// Appends the shared network to `out`, between steps. Every worker's is the same.
    ///
    /// # Errors
    /// Never but for a fault in this program: all of the state can be written.
    pub fn write_state(&self, config: &ForecasterConfig, out: &mut Vec<u8>) -> Result<(), StateError> {
        write(POOL_MAGIC, config, self, out)
    }

    /// Reads what [`Pool::write_state`] has written, under the same configuration.
    ///
    /// # Errors
    /// When the bytes are something else, or belong to another version or configuration.
    pub fn read_state(config: &ForecasterConfig, bytes: &[u8]) -> Result<Self, StateError> {
        read(POOL_MAGIC, config, bytes)
    }
}

fn write(
    magic: [u8; 3],
    config: &ForecasterConfig,
    body: &impl Serialize,
    out: &mut Vec<u8>,
) -> Result<(), StateError> {
    out.extend_from_slice(&magic);
    out.push(STATE_VERSION);
    out.extend_from_slice(&fingerprint(config));
    let digest_at = out.len();
    out.extend_from_slice(&[0; DIGEST_BYTES]);
    *out = postcard::to_extend(body, std::mem::take(out)).map_err(|error| damaged(&error))?;
    let digest: [u8; DIGEST_BYTES] = digest(&out[digest_at + DIGEST_BYTES..]);
    out[digest_at..digest_at + DIGEST_BYTES].copy_from_slice(&digest);
    Ok(())
}

fn read<T: DeserializeOwned>(magic: [u8; 3], config: &ForecasterConfig, bytes: &[u8]) -> Result<T, StateError> {
    let head = bytes.get(..HEAD_BYTES).filter(|head| head.starts_with(&magic)).ok_or(StateError::Foreign)?;
    let found = head[magic.len()];
    if found != STATE_VERSION {
        return Err(StateError::Version { found });
    }
    let (wrote, told) = head[magic.len() + 1..].split_at(FINGERPRINT_BYTES);
    if wrote != fingerprint(config) {
        return Err(StateError::Configuration);
    }
    if told != digest::<DIGEST_BYTES>(&bytes[HEAD_BYTES..]) {
        return Err(StateError::Damaged("its digest is that of other bytes".to_owned()));
    }
    let (body, rest) = postcard::take_from_bytes(&bytes[HEAD_BYTES..]).map_err(|error| damaged(&error))?;
    if !rest.is_empty() {
        return Err(StateError::Damaged(format!("{} bytes too many", rest.len())));
    }
    Ok(body)
}

fn damaged(error: &postcard::Error) -> StateError {
    StateError::Damaged(error.to_string())
}
