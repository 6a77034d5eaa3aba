//! What groups have committed, read beside the broker that they are in.

use super::follower::BrokerFollower;
use crate::group::GroupPartition;
use crate::group::name::GroupName;
use crate::group::offsets::{Entry, EntryFlaw, Ledger, OFFSETS_TOPIC};
use crate::{Error, ErrorKind, ReadLevel, Result, TopicPartition};

impl BrokerFollower {
    /// The names of all groups that have committed anything, in order. Who their members are, only the process knows
    /// that has the broker open. Blocks.
    ///
    /// # Errors
    /// `Corrupt`, `Unsupported` or `Io` when the committed offsets cannot be read.
    pub fn groups(&self) -> Result<Vec<String>> {
        Ok(self.ledger()?.groups().map(ToString::to_string).collect())
    }

    /// How far a group has read each partition that it has committed anything for.
    ///
    /// They come in order, and no member is named. Blocks.
    ///
    /// ```
    /// use annals::{Broker, Offset, Record, TopicOptions};
    /// # let data = std::env::temp_dir().join(format!("annals-doc-groups-beside-{}", std::process::id()));
    /// let broker = Broker::open(&data)?;
    /// let orders = broker.create_topic("orders", TopicOptions::new())?;
    /// orders.partition(0)?.append([Record::new("a"), Record::new("b")]).wait()?;
    /// broker.reset_group_offsets("billing", [((&orders, 0), Offset::from(1))])?;
    ///
    /// let beside = Broker::open_read_only(&data)?; // in another process, most often
    /// assert_eq!(beside.groups()?, ["billing"]);
    /// assert_eq!(beside.group_partitions("billing")?[0].lag(), Some(1));
    /// # drop(broker);
    /// # drop(std::fs::remove_dir_all(&data));
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// `NotFound` when there is no such group; `InvalidInput` when the name is not a valid one; else as
    /// [`BrokerFollower::groups`], also of the partitions.
    pub fn group_partitions(&self, group: &str) -> Result<Vec<GroupPartition>> {
        let name = GroupName::new(group)?;
        let ledger = self.ledger()?;
        if !ledger.groups().any(|known| **known == *name.as_str()) {
            return Err(Error::new(ErrorKind::NotFound, format!("there is no group {name}")));
        }
        let mut partitions = Vec::new();
        // What it has committed for topics that are gone is of no account any more.
        for topic in self.topics() {
            for number in 0..topic.partition_count {
                let Some(committed) = ledger.committed(name.as_str(), topic.id, number) else { continue };
                let log_end_offset = Some(self.partition(&topic.name, number)?.log_end_offset());
                let partition = TopicPartition::new(topic.name.as_str(), number);
                let committed = Some(committed.clone());
                partitions.push(GroupPartition { partition, committed, log_end_offset, member_id: None });
            }
        }
        Ok(partitions)
    }

    /// All that was ever committed and holds now; nothing where nobody ever committed anything.
    fn ledger(&self) -> Result<Ledger> {
        self.refresh()?;
        let mut ledger = Ledger::default();
        let follower = match self.partition(OFFSETS_TOPIC, 0) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(ledger),
            found => found?,
        };
        for records in follower.read(follower.log_start_offset()).level(ReadLevel::Written) {
            for record in &records? {
                let value = (!record.is_tombstone()).then(|| record.value());
                let entry = Entry::decode(record.key().unwrap_or_default(), value).map_err(|flaw| {
                    let kind = match flaw {
                        EntryFlaw::Newer { .. } => ErrorKind::Unsupported,
                        EntryFlaw::Damaged(_) => ErrorKind::Corrupt,
                    };
                    let message = format!("{OFFSETS_TOPIC}, offset {}: {flaw}", record.offset());
                    Error::with_source(kind, message, flaw)
                })?;
                ledger.apply(entry);
            }
        }
        Ok(ledger)
    }
}
