//! Locks that outlive a panic.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// For values that are only ever replaced as a whole: a panic elsewhere leaves them as they were.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
