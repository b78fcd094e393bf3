//! Several at a time.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// Does all jobs, `count` at a time, and gives what came of them in their order; after the first error no other begins.
///
/// # Errors
/// The first one.
pub fn all<J: Sync, R: Send, E: Send>(
    jobs: &[J],
    count: usize,
    work: impl Fn(&J) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, R)>> = Mutex::default();
    let failed: Mutex<Option<E>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..count.clamp(1, jobs.len().max(1)) {
            scope.spawn(|| {
                while failed.lock().unwrap_or_else(PoisonError::into_inner).is_none() {
                    let at = next.fetch_add(1, Relaxed);
                    let Some(job) = jobs.get(at) else { return };
                    match work(job) {
                        Ok(result) => done.lock().unwrap_or_else(PoisonError::into_inner).push((at, result)),
                        Err(error) => {
                            failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                        }
                    }
                }
            });
        }
    });
    if let Some(error) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(at, _)| *at);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_order_and_an_error_ends_it() {
        let jobs: Vec<u32> = (0..100).collect();
        assert_eq!(all(&jobs, 7, |job| Ok::<_, ()>(job * 2)).unwrap()[99], 198);
        let begun = AtomicUsize::new(0);
        let failed = all(&jobs, 2, |job| {
            begun.fetch_add(1, Relaxed);
            if *job == 3 { Err("three") } else { Ok(()) }
        });
        assert_eq!(failed, Err("three"));
        assert!(begun.into_inner() < 100);
        assert_eq!(all(&[] as &[u32], 3, |_| Ok::<_, ()>(())), Ok(vec![]));
    }
}
