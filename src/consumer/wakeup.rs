//! Ending a poll from another thread.

use crate::sync::Bell;
use std::fmt;
use std::sync::Arc;

/// The number of this rope; no lane gets that far.
pub(super) const WAKEUP: u64 = u64::MAX;

/// Ends the poll of a consumer from anywhere. See [`Consumer::wakeup`](crate::Consumer::wakeup).
///
/// ```
/// use annals::{Broker, TopicOptions};
/// use std::time::Duration;
/// let broker = Broker::options().open_in_memory()?;
/// let quiet = broker.create_topic("quiet", TopicOptions::new())?;
/// let mut consumer = broker.consumer().assign([(&quiet, 0)]).build()?;
/// let wakeup = consumer.wakeup();
/// let waker = std::thread::spawn(move || wakeup.wake());
/// assert!(consumer.poll(Duration::MAX)?.is_empty());
/// # waker.join().expect("it does not panic");
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone)]
pub struct Wakeup(Arc<Bell>);

impl Wakeup {
    pub(super) fn new(bell: &Arc<Bell>) -> Self {
        Self(bell.clone())
    }

    /// Has the poll under way, or else the next one, return empty.
    ///
    /// It does so even if there are records. Any number of calls before that count as one.
    pub fn wake(&self) {
        self.0.ring(WAKEUP);
    }
}

impl fmt::Debug for Wakeup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wakeup")
    }
}
