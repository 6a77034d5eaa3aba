//! Where salts and identities are drawn from.

use crate::sync::{Bug, Mutex, planted};
use crate::{Error, ErrorKind, Result, TopicId};

/// A source of numbers that nobody can guess, or, for simulations, that anybody can repeat.
#[derive(Debug)]
pub(crate) struct Entropy(Source);

#[derive(Debug)]
enum Source {
    System,
    Seeded(Mutex<fastrand::Rng>),
}

impl Entropy {
    /// The operating system's.
    pub(crate) fn system() -> Self {
        Self(Source::System)
    }

    /// One that repeats.
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(Source::Seeded(Mutex::new(fastrand::Rng::with_seed(seed))))
    }

    /// The salt of a new segment.
    pub(crate) fn salt(&self) -> Result<u64> {
        if planted(Bug::SaltConstant) {
            return Ok(1);
        }
        match &self.0 {
            Source::System => getrandom::u64().map_err(|error| {
                let message = format!("the operating system gave no random bytes: {error}");
                Error::with_source(ErrorKind::Io, message, error)
            }),
            Source::Seeded(rng) => Ok(rng.lock().u64(..)),
        }
    }

    /// The identity of a new topic.
    pub(crate) fn topic(&self) -> Result<TopicId> {
        let (high, low) = (self.salt()?, self.salt()?);
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&high.to_le_bytes());
        bytes[8..].copy_from_slice(&low.to_le_bytes());
        // The version and variant bits of a random UUID (RFC 9562, section 5.4).
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        Ok(TopicId::from_bytes(bytes))
    }
}
