//! Producers: shared by threads, against a model, and on a disk that fails or loses its power at every step.
//!
//! ```text
//!     threads    many senders, one producer, little room: nobody is left waiting, each keeps its order
//!     model      random acts by one thread, against lists of what was sent
//!     crash      power cuts and failures at every operation of a workload
//! ```

mod crash;
mod model;
mod threads;

use annals::{Offset, Partition, ReadLevel};

/// All values of a partition, in order.
fn values(log: &Partition) -> Vec<String> {
    let mut values = Vec::new();
    for records in log.read(Offset::ZERO).level(ReadLevel::Written) {
        for record in &records.expect("what is there is good") {
            values.push(String::from_utf8_lossy(record.value()).into_owned());
        }
    }
    values
}

/// That nothing of the producer's buffer is in use.
fn assert_buffer_is_empty(producer: &annals::Producer) {
    let shown = format!("{producer:?}");
    assert!(shown.contains("bytes_staged: 0"), "{shown}");
}
