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
        check("group name", name)?;
        Ok(Self(name.into()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn to_arc(&self) -> Arc<str> {
        self.0.clone()
    }
}

/// Checks the name of a static member, which is made as that of a group.
///
/// # Errors
/// `InvalidInput` when a member cannot have it.
pub(crate) fn check_instance_id(id: &str) -> Result<()> {
    check("group instance id", id)
}

fn check(what: &str, name: &str) -> Result<()> {
    let Some(flaw) = flaw_of_plain_name(name) else { return Ok(()) };
    let shown: String = name.chars().take(NAME_LEN_MAX).collect();
    Err(Error::new(ErrorKind::InvalidInput, format!("the {what} {shown:?} {flaw}")))
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
        let bad = check_instance_id("till 1").expect_err("a blank");
        assert!(bad.to_string().starts_with("the group instance id \"till 1\" "), "{bad}");
    }
}
