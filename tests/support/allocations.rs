//! What this thread asks of the allocator: tests bound it, beside others that run at the same time.
#![allow(dead_code, reason = "each test file uses its part")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
    static HELD_BYTES: Cell<i64> = const { Cell::new(0) };
    static MOST_BYTES: Cell<i64> = const { Cell::new(0) };
    static LARGEST_BYTES: Cell<i64> = const { Cell::new(0) };
}

fn count(bytes: i64) {
    COUNT.set(COUNT.get() + u64::from(bytes > 0));
    HELD_BYTES.set(HELD_BYTES.get() + bytes);
    MOST_BYTES.set(MOST_BYTES.get().max(HELD_BYTES.get()));
    LARGEST_BYTES.set(LARGEST_BYTES.get().max(bytes));
}

// SAFETY: everything is left to the system's allocator; the counters are plain cells that never allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(-(layout.size() as i64));
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What one piece of work asked of the allocator.
pub struct Asked {
    /// How often.
    pub count: u64,
    /// The most that was held at once beyond what was held before.
    pub most_bytes: usize,
    /// The largest single piece.
    pub largest_bytes: usize,
}

/// Does `work`, and says what it asked of the allocator on this thread.
pub fn asked_by<T>(work: impl FnOnce() -> T) -> (T, Asked) {
    let (count, held) = (COUNT.get(), HELD_BYTES.get());
    MOST_BYTES.set(held);
    LARGEST_BYTES.set(0);
    let done = work();
    let most_bytes = (MOST_BYTES.get() - held).max(0) as usize;
    (done, Asked { count: COUNT.get() - count, most_bytes, largest_bytes: LARGEST_BYTES.get() as usize })
}
