//! The handles that a broker keeps in touch with, and the thread that works at their times.

use super::backend::Guest;
use super::core::Core;
use crate::sync::Mutex;
use crate::upkeep::{Attendance, Chore, Task, Worker};
use crate::{Maintenance, Result};
use std::sync::{Arc, Weak};

/// Producers, consumers and groups of one broker.
#[derive(Default)]
pub(super) struct Guests {
    present: Mutex<Present>,
}

#[derive(Default)]
struct Present {
    guests: Vec<Weak<dyn Guest>>,
    /// How many there may be before those that are gone are swept out.
    sweep_at: usize,
    /// Started for the first guest; none where maintenance is manual.
    timers: Option<Arc<Worker>>,
    is_over: bool,
}

impl Guests {
    /// Takes one in, and connects it to the timers thread if there are threads.
    pub(super) fn admit(&self, guest: Weak<dyn Guest>, core: &Core) -> Result<()> {
        let mut present = self.present.lock();
        if present.is_over {
            return Err(core.home.closed());
        }
        if present.guests.len() >= present.sweep_at {
            present.guests.retain(|guest| guest.strong_count() > 0);
            present.sweep_at = (2 * present.guests.len()).max(16);
        }
        present.guests.push(guest.clone());
        if core.home.maintenance() == Maintenance::Manual {
            return Ok(());
        }
        let clock = core.home.clock();
        let timers = match &present.timers {
            Some(timers) => timers.clone(),
            None => present.timers.insert(Worker::start(Task::Timers, clock.clone())?).clone(),
        };
        drop(present);
        let Some(guest) = guest.upgrade() else { return Ok(()) };
        let chore: Weak<dyn Chore> = Arc::downgrade(&guest.clone().as_chore());
        guest.upkeep().connect(chore, &Attendance::Shared(timers), clock)
    }

    /// Has all of them do what is due: where no thread does.
    pub(super) fn do_due(&self) {
        for guest in self.all() {
            let _next = guest.do_due();
        }
    }

    /// Tells all of them that the broker closes; nobody comes in any more.
    pub(super) fn dismiss(&self) {
        self.present.lock().is_over = true;
        self.all().iter().for_each(|guest| guest.broker_closes());
    }

    /// Ends the thread. Not to be called under a lock that a guest takes.
    pub(super) fn end(&self) {
        let timers = self.present.lock().timers.take();
        if let Some(timers) = timers {
            timers.end();
        }
    }

    fn all(&self) -> Vec<Arc<dyn Guest>> {
        self.present.lock().guests.iter().filter_map(Weak::upgrade).collect()
    }
}
