//! What the gate and the group commit are made of: the real thing, or loom's, which tries all interleavings.
//!
//! `RUSTFLAGS="--cfg annals_loom" cargo test --release --lib sync::interleavings`, with a target directory of
//! its own.

#[cfg(not(all(test, annals_loom)))]
pub(super) use parking_lot::{Condvar, Mutex, MutexGuard};
#[cfg(not(all(test, annals_loom)))]
pub(super) use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};

#[cfg(all(test, annals_loom))]
pub(super) use loom::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};
#[cfg(all(test, annals_loom))]
pub(super) use loomed::{Condvar, Mutex, MutexGuard};

/// Loom's locks with the methods of `parking_lot`.
#[cfg(all(test, annals_loom))]
mod loomed {
    use std::ops::{Deref, DerefMut};

    #[derive(Debug, Default)]
    pub(in crate::sync) struct Mutex<T>(loom::sync::Mutex<T>);

    /// Empty while a wait has it.
    pub(in crate::sync) struct MutexGuard<'a, T>(Option<loom::sync::MutexGuard<'a, T>>);

    #[derive(Debug, Default)]
    pub(in crate::sync) struct Condvar(loom::sync::Condvar);

    impl<T> Mutex<T> {
        pub(in crate::sync) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(in crate::sync) fn lock(&self) -> MutexGuard<'_, T> {
            MutexGuard(Some(self.0.lock().expect("no test panics with a lock")))
        }
    }

    impl<T> Deref for MutexGuard<'_, T> {
        type Target = T;

        fn deref(&self) -> &T {
            self.0.as_ref().expect("nobody looks while it waits")
        }
    }

    impl<T> DerefMut for MutexGuard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            self.0.as_mut().expect("nobody looks while it waits")
        }
    }

    impl Condvar {
        pub(in crate::sync) fn new() -> Self {
            Self(loom::sync::Condvar::new())
        }

        pub(in crate::sync) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
            let held = guard.0.take().expect("the guard is held");
            guard.0 = Some(self.0.wait(held).expect("no test panics with a lock"));
        }

        pub(in crate::sync) fn notify_one(&self) {
            self.0.notify_one();
        }

        pub(in crate::sync) fn notify_all(&self) {
            self.0.notify_all();
        }
    }
}
