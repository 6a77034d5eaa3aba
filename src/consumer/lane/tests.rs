//! What happens to a log between two steps of a lane.

use super::*;
use crate::broker::backend::BackendPartition;
use crate::topic::Extent;
use crate::{Broker, Maintenance, Partition, Record, TopicOptions};

/// A watch beside which something is done once, when it opens the partition.
struct Crossed {
    watch: Box<dyn BackendWatch>,
    when: When,
    work: Option<Box<dyn FnOnce() + Send + Sync>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    BeforeOpen,
    AfterOpen,
}

impl Crossed {
    fn cross(&mut self, when: When) {
        if let Some(work) = self.work.take_if(|_| self.when == when) {
            work();
        }
    }
}

impl BackendWatch for Crossed {
    fn extent(&self) -> Result<Extent> {
        self.watch.extent()
    }

    fn open(&mut self) -> Result<Arc<dyn BackendPartition>> {
        self.cross(When::BeforeOpen);
        let opened = self.watch.open();
        self.cross(When::AfterOpen);
        opened
    }

    fn is_cut_below(&mut self, offset: Offset) -> bool {
        self.watch.is_cut_below(offset)
    }

    fn landmark(&self) -> Landmark {
        self.watch.landmark()
    }

    fn count_cuts_from(&mut self, landmark: Landmark) {
        self.watch.count_cuts_from(landmark);
    }

    fn poll(&mut self, offset: Offset, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.watch.poll(offset, context)
    }

    fn serve(&self, offset: Offset) -> Result<bool> {
        self.watch.serve(offset)
    }
}

fn append(log: &Partition, count: u64) {
    for _ in 0..count {
        log.append([Record::new("a")]).wait().expect("there is room");
    }
}

/// How many records a lane has now.
fn take(lane: &mut Lane) -> Result<usize> {
    match lane.take(Room { records: 100, bytes: 1 << 20 }, Others::None, &Resets::default())? {
        Taken::Records(records, _) => Ok(records.len()),
        Taken::TooLarge | Taken::Nothing => Ok(0),
    }
}

/// SEMANTICS 37: the log is cut below the position, and grows beyond it again, between the look for that and the read.
#[test]
fn a_cut_between_the_look_and_the_read_is_noticed() {
    for when in [When::BeforeOpen, When::AfterOpen] {
        for (cut, expected) in [(5, None), (10, Some(3)), (12, Some(6))] {
            let options = Broker::options().maintenance(Maintenance::Manual);
            let broker = options.open_in_memory().expect("memory can be had");
            let topic = broker.create_topic("orders", TopicOptions::new()).expect("a new topic");
            let log = topic.partition(0).expect("it is there");
            append(&log, 10);
            let backend = broker.backend().topic("orders").expect("it is there");
            let bell = Arc::new(Bell::default());
            let mut lane = Lane::new(&*backend, ("orders", 0).into(), ReadLevel::Written, (&bell, 0))
                .expect("it is there");
            assert_eq!(
                (take(&mut lane).expect("all is well"), take(&mut lane).expect("all is well")),
                (10, 0)
            );
            append(&log, 5);
            let work = move || {
                log.truncate(Offset::from(cut)).expect("it is in the log");
                append(&log, if cut == 12 { 4 } else { 13 - u64::from(cut) });
            };
            // Between this look, which sees nothing, and the read.
            let watch =
                std::mem::replace(&mut lane.watch, backend.watch(0, ReadLevel::Written).expect("it is"));
            lane.watch = Box::new(Crossed { watch, when, work: Some(Box::new(work)) });
            let first = take(&mut lane);
            match expected {
                Some(count) => {
                    let all = first.and_then(|first| Ok(first + take(&mut lane)?));
                    assert_eq!(all.expect("what it read still stands"), count, "{when:?} {cut}");
                }
                None => {
                    let kind = first.expect_err("what it read was taken back").kind();
                    assert_eq!(kind, ErrorKind::OutOfRange, "{when:?}");
                    assert!(take(&mut lane).is_err(), "and it says so again");
                }
            }
        }
    }
}
