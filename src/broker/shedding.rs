//! Giving disk space back at the cap: the oldest segment of all topics that permit deletion goes first.

use super::core::Core;
use crate::partition::Shedder;
use crate::topic::Topic;
use crate::{Retention, Timestamp};

impl Shedder for Core {
    fn recount(&self) {
        self.topics().iter().for_each(Topic::recount);
    }

    fn let_go(&self) {
        self.topics().iter().for_each(Topic::let_go);
    }

    fn shed_oldest(&self) -> bool {
        let topics = self.topics();
        let mut oldest: Vec<(Timestamp, &Topic, u32)> = Vec::new();
        for topic in topics.iter().filter(|topic| topic.settings().retention != Retention::Forever) {
            let sealed = topic.oldest_sealed().into_iter();
            oldest.extend(sealed.map(|(number, time)| (time, topic, number)));
        }
        oldest.sort_by_key(|(time, ..)| *time);
        // One that fails, or has been emptied since, is passed over: another one serves as well.
        oldest.into_iter().any(|(_, topic, number)| topic.shed_oldest(number))
    }
}
