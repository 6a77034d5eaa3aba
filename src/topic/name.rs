//! Which names a topic can have: those that never lead out of their directory.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

use crate::{Error, ErrorKind, Result};
use std::fmt;
use std::sync::Arc;

/// Longest name, in bytes. A directory bears it, and most file systems stop at 255.
pub(crate) const NAME_LEN_MAX: usize = 249;

/// Names of files that lie beside the topics' directories.
const TAKEN: [&str; 3] = ["LOCK", "catalog", "catalog-new"];

/// Topics that the crate keeps for itself, by Kafka's names.
const INTERNAL: [&str; 1] = ["__consumer_offsets"];

/// A name that is safe as the name of a directory.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TopicName(Arc<str>);

impl TopicName {
    /// Checks `name`.
    ///
    /// # Errors
    /// `InvalidInput` when it has no or more than 249 characters, is `.` or `..`, holds anything else than
    /// ASCII letters, digits, `.`, `_` and `-`, or is the name of a file of the broker.
    pub(crate) fn new(name: &str) -> Result<Self> {
        match flaw(name) {
            None => Ok(Self(name.into())),
            Some(flaw) => {
                // Whoever asks may have taken the name from anywhere: no more of it is repeated than helps.
                let shown: String = name.chars().take(NAME_LEN_MAX).collect();
                Err(Error::new(ErrorKind::InvalidInput, format!("the topic name {shown:?} {flaw}")))
            }
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a topic of this name is one that the crate keeps for itself.
    pub(crate) fn is_internal(&self) -> bool {
        INTERNAL.contains(&self.as_str())
    }

    pub(crate) fn to_arc(&self) -> Arc<str> {
        self.0.clone()
    }
}

/// What is wrong with a name of a topic.
fn flaw(name: &str) -> Option<&'static str> {
    let is_taken = || TAKEN.iter().any(|taken| taken.eq_ignore_ascii_case(name));
    flaw_of_plain_name(name).or_else(|| is_taken().then_some("is that of a file of the broker"))
}

/// What is wrong with a name that is to be safe wherever it appears.
pub(crate) fn flaw_of_plain_name(name: &str) -> Option<&'static str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() {
        Some("is empty")
    } else if name.len() > NAME_LEN_MAX {
        Some("is longer than 249 bytes")
    } else if !name.chars().all(is_plain) {
        Some("holds something else than ASCII letters, digits, '.', '_' and '-'")
    } else if matches!(name, "." | "..") {
        Some("leads out of its directory")
    } else {
        None
    }
}

impl fmt::Debug for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&*self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_never_escape() {
        let longest = "x".repeat(249);
        for good in ["a", "orders", "Orders.v2", "__consumer_offsets", "-", "...", "..a", "0", &longest] {
            assert_eq!(TopicName::new(good).expect("a good name").as_str(), good);
        }
        let too_long = "x".repeat(250);
        let bad = [
            "",
            ".",
            "..",
            "a/b",
            "/",
            "../a",
            "a\\b",
            "a\0",
            "a b",
            "a\n",
            "ä",
            "a:b",
            "~",
            "*",
            &too_long,
            "LOCK",
            "lock",
            "catalog",
            "Catalog",
            "catalog-new",
        ];
        for bad in bad {
            let error = TopicName::new(bad).expect_err("a bad name");
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{bad:?}");
        }
    }
}
