//! Which names a group can have.

use crate::topic::name::{NAME_LEN_MAX, flaw_of_plain_name};
use crate::{Error, ErrorKind, Result};
use std::fmt;
use std::sync::Arc;

/// A group's name: 1 to 249 of `A-Z a-z 0-9 . _ -`, neither `.` nor `..`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct GroupName(Arc<str>);

impl GroupName {
    /// Checks `name`.
    ///
    /// # Errors
    /// `InvalidInput` when a group cannot have it.
    pub(crate) fn new(name: &str) -> Result<Self> {
        match flaw_of_plain_name(name) {
            None => Ok(Self(name.into())),
            Some(flaw) => {
                let shown: String = name.chars().take(NAME_LEN_MAX).collect();
                Err(Error::new(ErrorKind::InvalidInput, format!("the group name {shown:?} {flaw}")))
            }
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn to_arc(&self) -> Arc<str> {
        self.0.clone()
    }
}

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_may_be_called_what_a_topic_may() {
        assert_eq!(GroupName::new("LOCK").expect("no file bears it").as_str(), "LOCK");
        for bad in ["", ".", "..", "a b", "a/b", "ä"] {
            assert_eq!(
                GroupName::new(bad).expect_err("a bad name").kind(),
                ErrorKind::InvalidInput,
                "{bad:?}"
            );
        }
    }
}
