//! A disk of the user's own, which offers no more than it has to.

use annals::io::{Access, Dir, Entry, File, Lock, MemoryDisk};
use annals::{ErrorKind, Offset, Partition, Record};
use std::io;
use std::path::Path;
use std::sync::Arc;

#[derive(Debug)]
struct PlainDir(Arc<dyn Dir>);

impl Dir for PlainDir {
    fn path(&self) -> &Path {
        self.0.path()
    }

    fn list(&self) -> io::Result<Vec<Entry>> {
        self.0.list()
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(PlainFile(self.0.open(name, access)?)))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(PlainFile(self.0.create(name)?)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(name)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }

    fn open_dir(&self, name: &str) -> io::Result<Arc<dyn Dir>> {
        Ok(Arc::new(Self(self.0.open_dir(name)?)))
    }

    fn create_dir(&self, name: &str) -> io::Result<Arc<dyn Dir>> {
        Ok(Arc::new(Self(self.0.create_dir(name)?)))
    }

    fn remove_dir(&self, name: &str) -> io::Result<()> {
        self.0.remove_dir(name)
    }

    fn lock(&self, name: &str) -> io::Result<Option<Box<dyn Lock>>> {
        self.0.lock(name)
    }
}

/// Has neither maps nor holes.
#[derive(Debug)]
struct PlainFile(Arc<dyn File>);

impl File for PlainFile {
    fn path(&self) -> &Path {
        self.0.path()
    }

    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize> {
        self.0.read_at(buf, position)
    }

    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<usize> {
        self.0.write_at(bytes, position)
    }

    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn allocated_bytes(&self) -> io::Result<u64> {
        self.0.allocated_bytes()
    }

    fn allocate(&self, from: u64, to: u64) -> io::Result<()> {
        self.0.allocate(from, to)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }
}

/// Appends, rolls, deletes, cuts and opens again on it.
#[test]
fn a_disk_without_maps_and_holes_keeps_a_log() {
    let disk = MemoryDisk::new();
    let open = || {
        let options = Partition::options().segment_bytes_max(16 << 10).batch_bytes_max(4 << 10);
        options.open_in(Arc::new(PlainDir(disk.root()))).expect("nothing is damaged")
    };
    let log = open();
    for number in 0..100_u32 {
        log.append([Record::new(&[7; 1_000]), Record::new(&number.to_le_bytes())])
            .wait()
            .expect("there is room");
    }
    assert!(log.stats().segment_count > 2);
    log.delete_records(Offset::from(50)).expect("they are there");
    assert_eq!(log.truncate(Offset::from(150)).expect("they are there"), Offset::from(150));
    log.close().expect("memory does not fail");

    let log = open();
    let values: Vec<_> = log.read(Offset::from(50)).map(|records| records.expect("all is well")).collect();
    let numbers = values.iter().flatten().filter(|record| record.value().len() == 4);
    assert!(numbers.map(|record| record.value().to_vec()).eq((25..75_u32).map(|n| n.to_le_bytes().to_vec())));
    assert!(log.verify().expect("it can be read").damage.is_empty());

    let file = PlainFile(disk.root().create("a").expect("a new name"));
    assert_eq!(file.map_read(0).expect_err("it has none").kind(), io::ErrorKind::Unsupported);
    assert_eq!(file.map(0, 4_096).expect_err("it has none").kind(), io::ErrorKind::Unsupported);
    file.punch(0, 4_096).expect("that nothing is given back is no error");
    let twice = Partition::options().open_in(Arc::new(PlainDir(disk.root())));
    assert_eq!(twice.expect_err("it is open").kind(), ErrorKind::Locked);
}
