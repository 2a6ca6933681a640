//! Where the store is, its backups, and what becomes of one that is damaged.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::shapes;

/// The embedded store.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Store {
    /// Its directory.
    pub path: PathBuf,
    /// Page cache, in MiB.
    pub cache_mb: u64,
    /// Free space below which nothing is taken in that grows the store, in MiB; 0 for no such limit.
    pub reserve_mb: u64,
}

impl Store {
    /// The reserve in bytes.
    #[must_use]
    pub fn reserve_bytes(&self) -> u64 {
        self.reserve_mb * 1024 * 1024
    }
}

/// Backups of the store.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backup {
    /// Their directory; `None` for the one beside the store.
    #[serde(deserialize_with = "shapes::none_if_empty")]
    pub dir: Option<PathBuf>,
    /// How often one is made; zero for never by itself.
    #[serde(deserialize_with = "shapes::duration")]
    pub every: Duration,
    /// How many are kept.
    pub keep: usize,
}

/// Restoring a backup.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restore {
    /// Whether the newest good backup takes the place of a store that is proven damaged.
    pub auto: bool,
    /// What becomes of the reminders that are overdue then.
    pub overdue: OverdueThen,
}

/// What becomes of the reminders that are overdue when a backup is restored.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OverdueThen {
    /// They fire.
    Fire,
    /// They wait until a person says what becomes of them.
    Hold,
}
