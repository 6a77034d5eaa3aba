//! What an open does where the log is damaged.

/// Whether to read on where the log is damaged.
///
/// ```
/// use annals::io::{Access, Dir, MemoryDisk, write_all};
/// use annals::{ErrorKind, Offset, OnDamage, Partition, Record};
///
/// let disk = MemoryDisk::new();
/// let log = Partition::options().open_in(disk.root())?;
/// for value in ["first", "second", "third"] {
///     log.append([Record::new(value)]).wait()?;
/// }
/// log.close()?;
///
/// // Somebody writes over the second of three batches.
/// let segment = disk.root().open("00000000000000000000.log", Access::ReadWrite)?;
/// let mut bytes = vec![0; 65_536];
/// let len = segment.read_at(&mut bytes, 0)?;
/// let place = bytes[..len].windows(6).position(|window| window == b"second").expect("it is there");
/// write_all(&*segment, b"sexond", place as u64)?;
///
/// // An open after a close does not read what was synced: whoever reads the second batch finds it out.
/// let log = Partition::options().open_in(disk.root())?;
/// let damaged = log.read(Offset::ZERO).find_map(Result::err).expect("the second batch is damaged");
/// assert_eq!(damaged.kind(), ErrorKind::Corrupt);
/// log.close()?;
/// let log = Partition::options().on_damage(OnDamage::Salvage).open_in(disk.root())?;
///
/// // A reader is told what was lost, and goes on behind it.
/// let mut reader = log.read(Offset::ZERO);
/// assert_eq!(reader.next().expect("the first batch")?.iter().count(), 1);
/// let lost = reader.next().expect("the gap").unwrap_err();
/// assert_eq!(lost.lost_range(), Some(Offset::from(1)..Offset::from(2)));
/// assert_eq!(reader.next().expect("the third batch")?.next_offset().get(), 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnDamage {
    /// Damage to acknowledged history that recovery meets refuses the open with `Corrupt`.
    ///
    /// Nothing is changed. What a reader meets later is that reader's error.
    #[default]
    Refuse,
    /// The open reads the whole log. Where that finds damage, every batch that is still good is copied into new
    /// segments, what is lost is recorded and told to readers, and the damaged files are kept beside.
    Salvage,
}
