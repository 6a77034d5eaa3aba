//! What a process bears that is killed, or loses its disk: said by the parent, heard by the child.

/// How much is written at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// Small batches into segments that grow by one step at most.
    Light,
    /// Large batches, few of them `Durable`, into segments that grow by large steps: a mapped one does so in bulk.
    Heavy,
}

impl Load {
    /// Two cycles of each in turn, so that either finds what it left itself, and what the other left.
    pub fn of(cycle: u64) -> Self {
        if cycle.div_ceil(2).is_multiple_of(2) { Self::Light } else { Self::Heavy }
    }

    /// What the parent says of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Heavy => "heavy",
        }
    }

    /// The one of that name.
    pub fn named(name: &str) -> Self {
        match name {
            "light" => Self::Light,
            "heavy" => Self::Heavy,
            other => panic!("expected light or heavy, found {other}"),
        }
    }

    pub fn segment_bytes_max(self) -> u64 {
        match self {
            Self::Light => 64 << 10,
            Self::Heavy => 8 << 20,
        }
    }
}
