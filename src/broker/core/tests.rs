//! What others do while a broker closes.

use crate::{Broker, ErrorKind, Maintenance, Result, TopicOptions};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};

/// Does what a thread does that was about to make a topic when the broker was closed, and waited for the catalog.
struct Latecomer {
    broker: Broker,
    found: Mutex<Option<Result<()>>>,
}

impl Wake for Latecomer {
    fn wake(self: Arc<Self>) {
        let home = &self.broker.arc_core().home;
        let opened = home.opened(&mut home.catalog()).map(drop);
        self.found.lock().expect("nothing panics").replace(opened);
    }
}

/// It found the catalog, though the topics had been ended: it made one that nobody ended, whose files were written
/// without the lock of the directory.
#[test]
fn who_waits_for_the_catalog_of_a_broker_that_closes_makes_no_topic() {
    let options = Broker::options().maintenance(Maintenance::Manual);
    let broker = options.open_in_memory().expect("memory can be had");
    let topic = broker.create_topic("orders", TopicOptions::new()).expect("a new topic");
    let log = topic.partition(0).expect("it is there");
    // Is woken as soon as the catalog can be had.
    let latecomer = Arc::new(Latecomer { broker: broker.clone(), found: Mutex::default() });
    let mut grows = Box::pin(log.wait_past(log.log_end_offset()));
    let waker = Waker::from(latecomer.clone());
    assert!(grows.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    broker.close().expect("memory does not fail");
    let found = latecomer.found.lock().expect("nothing panics").take().expect("it was woken");
    assert_eq!(found.expect_err("the broker was closed").kind(), ErrorKind::Closed);
}
