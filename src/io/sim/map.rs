//! Maps of the simulated disk: every store is a step, and a cut can fall inside it.

use super::counts::Op;
use super::file::Handle;
use super::step::Step;
use crate::io::map::Backing;
use std::io;
use std::sync::Arc;

impl Backing for Arc<Handle> {
    fn store(&self, bytes: &[u8], position: u64) {
        // The only error there can be is that the disk was cut off, which a store cannot tell anybody.
        let _ = self.operate(Op::Store, |inner, _| match bytes {
            [] => Ok(()),
            _ => {
                inner.assert_room(self.node, position, bytes);
                let step = Step::Write { node: self.node, position, bytes: bytes.into() };
                inner.perform(Op::Store, &self.path, step)
            }
        });
    }

    fn load(&self, buf: &mut [u8], position: u64) -> io::Result<()> {
        self.operate(Op::MapRead, |inner, _| {
            inner.state.file(self.node).live.read_at(buf, position);
            Ok(())
        })
    }

    fn allocate(&self, from: u64, to: u64) -> io::Result<()> {
        Handle::allocate(self, from, to)
    }
}
