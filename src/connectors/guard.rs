//! Calls into a library that may panic over what it reads: damaged bytes are an error of their file, not the end of a worker.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `read`; none where it panics. A panic's hook finds out by [`is_guarded`] that somebody takes care of it.
pub fn guarded<T>(read: impl FnOnce() -> T) -> Option<T> {
    let before = GUARDED.replace(true);
    let outcome = catch_unwind(AssertUnwindSafe(read));
    GUARDED.set(before);
    outcome.ok()
}

/// Whether this thread is inside of [`guarded`].
#[must_use]
pub fn is_guarded() -> bool {
    GUARDED.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_answer_and_the_guard_ends_with_the_call() {
        assert_eq!(guarded(|| (is_guarded(), 7)), Some((true, 7)));
        let inner = guarded(|| {
            let nothing: Option<()> = guarded(|| panic!("damaged"));
            (nothing, is_guarded())
        });
        assert_eq!(inner, Some((None, true)));
        assert!(!is_guarded());
    }
}
