//! A symbol's state as bytes, and back.
//!
//! ```text
//!   "TCF" · version · fingerprint of the configuration · symbol and everything that learns (postcard)
//! ```
//!
//! Complete: what is read back goes on with the same bits. What follows from the configuration is not in it; the fingerprint
//! keeps a state from being read under another one.

use super::forecaster::{Forecaster, ForecasterConfig};
use sha2::{Digest, Sha256};
use std::rc::Rc;

/// Of the layout: raised whenever it changes.
pub const STATE_VERSION: u8 = 2;
const MAGIC: [u8; 3] = *b"TCF";
const FINGERPRINT_BYTES: usize = 16;
const HEAD_BYTES: usize = MAGIC.len() + 1 + FINGERPRINT_BYTES;

/// Why bytes are not a forecaster's state.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum StateError {
    /// They are something else.
    #[error("this is not a forecaster's state")]
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
    let ForecasterConfig { job: _, step, epoch, horizons, coverage, parts, learner } = config;
    let text = format!("{step} {epoch} {horizons:?} {:x} {parts:?} {learner:?}", coverage.to_bits());
    let digest = Sha256::digest(text.as_bytes());
    std::array::from_fn(|at| digest[at])
}

impl Forecaster {
    /// Appends the state to `out`.
    ///
    /// # Errors
    /// Never but for a fault in this program: all of the state can be written.
    pub fn write_state(&self, out: &mut Vec<u8>) -> Result<(), StateError> {
        out.extend_from_slice(&MAGIC);
        out.push(STATE_VERSION);
        out.extend_from_slice(&fingerprint(self.config()));
        let body = postcard::to_extend(&self.parts_to_write(), std::mem::take(out)).map_err(damaged)?;
        *out = body;
        Ok(())
    }

    /// Reads what [`Forecaster::write_state`] has written, under the same configuration.
    ///
    /// # Errors
    /// When the bytes are something else, or belong to another version or configuration.
    pub fn read_state(config: Rc<ForecasterConfig>, bytes: &[u8]) -> Result<Self, StateError> {
        let head = bytes.get(..HEAD_BYTES).filter(|head| head.starts_with(&MAGIC)).ok_or(StateError::Foreign)?;
        let found = head[MAGIC.len()];
        if found != STATE_VERSION {
            return Err(StateError::Version { found });
        }
        if head[MAGIC.len() + 1..] != fingerprint(&config) {
            return Err(StateError::Configuration);
        }
        let (parts, rest) = postcard::take_from_bytes(&bytes[HEAD_BYTES..]).map_err(damaged)?;
        if !rest.is_empty() {
            return Err(StateError::Damaged(format!("{} bytes too many", rest.len())));
        }
        Ok(Self::from_written(config, parts))
    }
}

fn damaged(error: postcard::Error) -> StateError {
    StateError::Damaged(error.to_string())
}
