//! One part of a file.

use std::fmt;

/// One part of a file: where it begins, what it is, and what it says.
///
/// With [`fmt::Display`] it is one line: `4096 batch base_offset=0 records=2 ...`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DumpItem {
    /// The byte of the file where it begins.
    pub position: u64,
    /// What it is: `header`, `batch`, `record`, `entry`, `slot`, `topic` and the like.
    pub what: &'static str,
    /// Its fields, in the order of the format.
    pub fields: Vec<(&'static str, String)>,
    /// Whether it is not what was once written here.
    pub is_damage: bool,
}

impl DumpItem {
    pub(super) fn new(position: u64, what: &'static str) -> Self {
        Self { position, what, fields: Vec::new(), is_damage: false }
    }

    /// Bytes that are not what they should be, and why.
    pub(super) fn damage(position: u64, why: &impl fmt::Display) -> Self {
        Self { is_damage: true, ..Self::new(position, "damage").with("why", why) }
    }

    pub(super) fn with(mut self, name: &'static str, value: &impl fmt::Display) -> Self {
        self.fields.push((name, value.to_string()));
        self
    }
}

impl fmt::Display for DumpItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.position, self.what)?;
        for (name, value) in &self.fields {
            if value.is_empty() || value.contains([' ', '"']) {
                write!(f, " {name}={value:?}")?;
            } else {
                write!(f, " {name}={value}")?;
            }
        }
        Ok(())
    }
}
