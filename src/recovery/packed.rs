//! States are kept compressed: much of a young one is zeros.

use std::io::Read as _;

/// The fastest level: half of what the best would save, at a fifth of its time.
const LEVEL: i32 = 1;

/// Compresses (zstd).
///
/// # Errors
/// When there is no memory for it.
pub(super) fn pack(state: &[u8]) -> std::io::Result<Vec<u8>> {
    zstd::bulk::compress(state, LEVEL)
}

/// What was compressed, if it has this length. Takes no more memory than that, whatever it is given.
pub(super) fn unpack(packed: &[u8], length: u64) -> Option<Vec<u8>> {
    let mut state = Vec::new();
    let decoder = zstd::stream::read::Decoder::with_buffer(packed).ok()?;
    decoder.take(length.checked_add(1)?).read_to_end(&mut state).ok()?;
    (state.len() as u64 == length).then_some(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_unpacked_and_nothing_longer() {
        for state in [&b""[..], b"a", &[0; 1_000_000]] {
            let packed = pack(state).unwrap();
            assert_eq!(unpack(&packed, state.len() as u64).as_deref(), Some(state));
            for other in [state.len() as u64 + 1, (state.len() as u64).wrapping_sub(1), u64::MAX] {
                assert_eq!(unpack(&packed, other), None);
            }
        }
        assert_eq!(unpack(b"no frame", 8), None);
    }
}
