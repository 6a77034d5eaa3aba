//! Waking those that wait, whatever their wakers do.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

/// Wakes all of them. To be called without any lock: a waker is the user's code, and may do anything.
///
/// One that panics harms neither those behind it nor the caller, who has nothing to do with it and whose work is
/// done: the panic hook has heard of it, and that is all.
pub(crate) fn wake_each(wakers: impl IntoIterator<Item = Waker>) {
    for waker in wakers {
        drop(catch_unwind(AssertUnwindSafe(|| waker.wake())));
    }
}

/// A waker that counts how often it is called.
#[cfg(test)]
#[derive(Debug, Default)]
pub(crate) struct Count(std::sync::atomic::AtomicU64);

#[cfg(test)]
impl Count {
    pub(crate) fn get(&self) -> u64 {
        self.0.load(std::sync::atomic::Ordering::SeqCst)
    }
}

#[cfg(test)]
impl std::task::Wake for Count {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::task::Wake;

    struct Panics;

    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("this waker always does");
        }
    }

    #[test]
    fn one_that_panics_keeps_nobody_asleep() {
        let count = Arc::new(Count::default());
        let panics = || Waker::from(Arc::new(Panics));
        wake_each([panics(), count.clone().into(), panics(), count.clone().into()]);
        assert_eq!(count.get(), 2);
    }
}
