//! Files of two slots for tests: made from bytes, damaged, and loaded both by who writes and by who only reads.

use super::{Slot, SlotFile, SlotReport, Slotted, load_read_only};
use crate::io::{Access, Dir, File, MemoryDisk, read_full, write_all};
use crate::{Error, ErrorKind};
use std::sync::Arc;

/// Directories with a file of `T`.
pub(crate) struct Dirs<T>(std::marker::PhantomData<T>);

pub(crate) fn poke(file: &dyn File, position: usize, bytes: &[u8]) {
    write_all(file, bytes, position as u64).expect("memory has room");
}

impl<T: Slotted> Dirs<T> {
    pub(crate) fn empty() -> Arc<dyn Dir> {
        MemoryDisk::new().root()
    }

    /// The bytes of the file of `T` in `dir`.
    pub(crate) fn content(dir: &Arc<dyn Dir>) -> Vec<u8> {
        let file = dir.open(T::NAME, Access::Read).expect("it is there");
        let len = file.len().expect("memory has a length");
        let mut bytes = vec![0; usize::try_from(len).expect("a short file")];
        assert_eq!(read_full(&*file, &mut bytes, 0).expect("memory can be read"), bytes.len());
        bytes
    }

    /// A directory whose file of `T` has these bytes.
    pub(crate) fn with(bytes: &[u8]) -> Arc<dyn Dir> {
        let dir = Self::empty();
        poke(&*dir.create(T::NAME).expect("a new directory"), 0, bytes);
        dir
    }

    /// What is in `dir`, for writers and readers alike.
    pub(crate) fn load(dir: &Arc<dyn Dir>) -> (T, SlotReport<T::Flaw>) {
        let (_, state, report) = SlotFile::<T>::load(dir).expect("one slot is good");
        assert_eq!(load_read_only(&**dir).expect("the same for readers"), (state.clone(), report.clone()));
        (state, report)
    }

    /// What kind of error a load of `dir` says, to writers and readers alike; it names the file.
    pub(crate) fn refusal(dir: &Arc<dyn Dir>) -> ErrorKind {
        let error: Error = SlotFile::<T>::load(dir).expect_err("it must be refused");
        let same = load_read_only::<T>(&**dir).expect_err("readers are refused too");
        assert_eq!(error.kind(), same.kind());
        assert!(error.to_string().contains(T::NAME), "{error}");
        error.kind()
    }

    /// Flips each bit of the file in `dir`, whose slots are both `newest` and of 4 KiB.
    pub(crate) fn flip_every_bit(dir: &Arc<dyn Dir>, newest: &T) {
        let good = Self::content(dir);
        assert_eq!(good.len(), 8192);
        let file = dir.open(T::NAME, Access::ReadWrite).expect("it is there");
        for bit in 0..good.len() * 8 {
            let at = bit / 8;
            poke(&*file, at, &[good[at] ^ 1 << (bit % 8)]);
            let (_, loaded, report) = SlotFile::<T>::load(dir).expect("the other slot is good");
            assert_eq!(&loaded, newest);
            let damaged = if at < 4096 { Slot::Zero } else { Slot::One };
            assert!(
                matches!(report, SlotReport::OneBad { bad, .. } if bad == damaged),
                "bit {bit}: {report:?}"
            );
            poke(&*file, at, &good[at..=at]);
        }
        assert_eq!(Self::load(dir), (newest.clone(), SlotReport::Even));
    }
}
