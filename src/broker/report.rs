//! What opening a broker found.

use crate::{Error, RecoveryOutcome, RecoveryReport, Result, TopicPartition};
use std::sync::Arc;
use std::time::Duration;

/// What opening a broker found and did. See [`crate::Broker::recovery_report`].
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct BrokerReport {
    /// How many partitions were opened, or refused.
    pub partition_count: usize,
    /// Those of which there is something to tell: all that were not found clean.
    pub recovered: Vec<(TopicPartition, Arc<RecoveryReport>)>,
    /// Those that could not be opened, and why.
    pub refused: Vec<(TopicPartition, Error)>,
    /// Topics that were being changed when the process before this one ended.
    ///
    /// They were being created, deleted or given partitions: what was not acknowledged was taken back, what was
    /// deleted is gone.
    pub cleared_topics: Vec<String>,
    /// Such topics whose files could not all be removed, and why. That is tried again at the next open.
    pub not_cleared: Vec<(String, Error)>,
    /// What was wrong with one of the catalog's two slots; the other served.
    pub catalog_damage: String,
    /// How long it took.
    pub elapsed: Duration,
}

impl BrokerReport {
    pub(super) fn add(&mut self, place: TopicPartition, found: Result<Arc<RecoveryReport>>) {
        self.partition_count += 1;
        match found {
            Err(error) => self.refused.push((place, error)),
            Ok(report) if is_clean(&report) => {}
            Ok(report) => self.recovered.push((place, report)),
        }
    }
}

fn is_clean(report: &RecoveryReport) -> bool {
    report.outcome == RecoveryOutcome::Clean
        && report.manifest_damage.is_empty()
        && report.lost.is_empty()
        && report.removed.is_empty()
}
