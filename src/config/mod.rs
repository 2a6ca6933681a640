//! Configuration: typed and closed, the last of defaults, file, environment and flags to name a setting wins.
//!
//! The defaults are `config/default.toml`, compiled in; the table in `keys` says what each setting may be.
//! A setting outside the table, or a value outside what it allows, is an error that names where it was
//! written. Nothing here reads the environment or the arguments itself: both are handed in.

mod error;
mod keys;
mod layers;
mod shapes;
mod store;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::NaiveTime;
use serde::Deserialize;

use crate::domain::{CatchUp, Zone};

pub use crate::secret::Secret;
pub use error::{Invalid, Problem};
pub use layers::{Inputs, Loaded, Override, Setting, Source};
pub use store::{Backup, OverdueThen, Restore, Store};

/// The defaults, as text.
pub const DEFAULTS: &str = include_str!("../../config/default.toml");

/// Everything that can be set.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The embedded store.
    pub store: Store,
    /// Backups of the store.
    pub backup: Backup,
    /// Restoring one.
    pub restore: Restore,
    /// The listener Dapr calls.
    pub app: App,
    /// The listener people and probes call.
    pub ops: Ops,
    /// The sidecar.
    pub dapr: Dapr,
    /// Topic names.
    pub topics: Topics,
    /// The rules of reminders.
    pub reminders: Reminders,
    /// The rules of tasks that come again.
    pub recurrence: Recurrence,
    /// Publishing reminders.
    pub publish: Publish,
    /// Events that could not be read.
    pub quarantine: Quarantine,
    /// Events accepted by the publishing API.
    pub outbox: Outbox,
    /// Limits of health.
    pub health: Health,
    /// The canary.
    pub canary: Canary,
    /// Stopping.
    pub shutdown: Shutdown,
    /// Which of several replicas this is.
    pub replica: Replica,
    /// Logs.
    pub log: Log,
}

/// The listener Dapr calls.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct App {
    /// Address to bind.
    pub host: IpAddr,
    /// Port to bind; 0 lets the system choose.
    pub port: u16,
    /// What Dapr must send as `dapr-api-token`; present wherever `host` is not loopback.
    #[serde(deserialize_with = "shapes::none_if_empty")]
    pub api_token: Option<Secret>,
}

impl App {
    /// Where to listen.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.host, self.port)
    }
}

/// The listener people and probes call.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ops {
    /// Address to bind.
    pub host: IpAddr,
    /// Port to bind; 0 lets the system choose.
    pub port: u16,
    /// Bearer token of the API; present wherever `host` is not loopback.
    #[serde(deserialize_with = "shapes::none_if_empty")]
    pub token: Option<Secret>,
    /// Key of the tokens of single users; only with `token`.
    #[serde(deserialize_with = "shapes::none_if_empty")]
    pub user_key: Option<Secret>,
}

impl Ops {
    /// Where to listen.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.host, self.port)
    }
}

/// The sidecar.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dapr {
    /// Base URL, `http://…`, without a slash at its end.
    #[serde(deserialize_with = "shapes::base_url")]
    pub http_endpoint: String,
    /// What is sent to the sidecar as `dapr-api-token`.
    #[serde(deserialize_with = "shapes::none_if_empty")]
    pub api_token: Option<Secret>,
    /// Name of the pub/sub component.
    pub pubsub: String,
    /// After this long a publish is ambiguous.
    #[serde(deserialize_with = "shapes::duration")]
    pub publish_timeout: Duration,
    /// Whether deliveries are asked for in bulk.
    pub bulk_subscribe: BulkSubscribe,
}

/// Whether deliveries are asked for in bulk.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BulkSubscribe {
    /// Where the component is Kafka.
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

/// Topic names, all different.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topics {
    /// Created, completed and deleted tasks.
    pub task_events: String,
    /// Updated tasks.
    pub task_updates: String,
    /// Reminders.
    pub reminders: String,
    /// Snoozes and acknowledgements.
    #[serde(deserialize_with = "shapes::none_if_empty")]
    pub reminder_actions: Option<String>,
    /// Users' preferences; `None` where none are heard.
    #[serde(deserialize_with = "shapes::none_if_empty")]
    pub user_preferences: Option<String>,
    /// Deliveries Dapr gives up on.
    #[serde(deserialize_with = "shapes::none_if_empty")]
    pub dead_letter: Option<String>,
}

impl Topics {
    /// Those that the worker subscribes to.
    pub fn heard(&self) -> impl Iterator<Item = &str> {
        [&self.task_events, &self.task_updates, &self.reminders]
            .into_iter()
            .chain(&self.reminder_actions)
            .chain(&self.user_preferences)
            .map(String::as_str)
    }
}

/// The rules of reminders.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reminders {
    /// Whole minutes before due for tasks that name none, ascending and distinct; may be empty.
    #[serde(deserialize_with = "shapes::sorted_set")]
    pub default_offsets: Vec<u32>,
    /// By offset in minutes, how long before its instant a reminder may go out; sorted.
    #[serde(deserialize_with = "shapes::windows")]
    pub windows: Vec<(u32, Duration)>,
    /// The same for tasks of high priority, where they differ.
    #[serde(deserialize_with = "shapes::sorted_set_or_none")]
    pub high_offsets: Option<Vec<u32>>,
    /// The same for tasks of medium priority or none.
    #[serde(deserialize_with = "shapes::sorted_set_or_none")]
    pub medium_offsets: Option<Vec<u32>>,
    /// The same for tasks of low priority.
    #[serde(deserialize_with = "shapes::sorted_set_or_none")]
    pub low_offsets: Option<Vec<u32>>,
    /// How long after due, and after one another, reminders after due come; zero for never.
    #[serde(deserialize_with = "shapes::duration")]
    pub nag_every: Duration,
    /// How many of them come.
    pub nag_max: u32,
    /// Zone of due dates that name none.
    pub default_timezone: Zone,
    /// Time of day of a due date without one.
    #[serde(deserialize_with = "shapes::time_of_day")]
    pub date_only_time: NaiveTime,
    /// Users' turns are spread over so long at the end of quiet hours and at the time of their digests.
    #[serde(deserialize_with = "shapes::duration")]
    pub spread: Duration,
    /// An overdue reminder older than this expires.
    #[serde(deserialize_with = "shapes::duration")]
    pub expire_after: Duration,
    /// How long an ended task is remembered.
    #[serde(deserialize_with = "shapes::duration")]
    pub retention: Duration,
    /// Whether receipts are recorded.
    pub receipts: bool,
    /// What becomes of missed reminders.
    pub catch_up: CatchUp,
    /// Missed reminders a second; 0 for no limit.
    pub catch_up_rate: u32,
}

/// The rules of tasks that come again.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recurrence {
    /// Whether recurrence rules are followed where neither the rule nor its producer decides.
    pub follow: bool,
    /// Producers whose rules are not followed.
    pub not_from: Vec<String>,
}

/// Publishing reminders.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Publish {
    /// Most reminders a request.
    pub batch_max: usize,
    /// Most requests under way at once.
    pub in_flight_max: usize,
    /// Wait after the first failure; at most `backoff_max`.
    #[serde(deserialize_with = "shapes::duration")]
    pub backoff_initial: Duration,
    /// Longest wait between attempts.
    #[serde(deserialize_with = "shapes::duration")]
    pub backoff_max: Duration,
    /// Reminders a second; 0 for no limit.
    pub rate: u32,
    /// Reminders of one user a minute; 0 for no limit.
    pub user_rate: u32,
}

/// Events that could not be read.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quarantine {
    /// Most entries kept.
    pub max_entries: u64,
    /// Most MiB kept.
    pub max_mb: u64,
}

/// Events accepted by the publishing API.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outbox {
    /// Most MiB kept.
    pub max_mb: u64,
}

/// Limits of health.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// Not ready while a reminder is overdue by more.
    #[serde(deserialize_with = "shapes::duration")]
    pub overdue_limit: Duration,
    /// Not alive when a loop is silent for longer.
    #[serde(deserialize_with = "shapes::duration")]
    pub heartbeat_limit: Duration,
}

/// The canary: a task of the worker's own that goes the whole way.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Canary {
    /// How often one is sent; zero for never.
    #[serde(deserialize_with = "shapes::duration")]
    pub every: Duration,
    /// Not ready while none has come back for longer; zero for no such limit.
    #[serde(deserialize_with = "shapes::duration")]
    pub ready_limit: Duration,
}

/// Stopping.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shutdown {
    /// From the soft to the hard stop.
    #[serde(deserialize_with = "shapes::duration")]
    pub grace: Duration,
}

/// Which of several replicas this is.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replica {
    /// Its place in a StatefulSet; 0, or the configuration is refused: the store has one writer.
    pub ordinal: u32,
}

/// Logs.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// How a line looks.
    pub format: LogFormat,
    /// Least level logged, `trace` to `error`.
    pub level: String,
}

/// How a log line looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, else JSON.
    Auto,
    /// For people.
    Text,
    /// For machines.
    Json,
}

impl Config {
    /// Reads the file, if one is named, and lays environment and flags over it.
    ///
    /// # Errors
    /// [`Invalid`] with every problem found, each naming where it is and what is allowed.
    pub fn load(inputs: &Inputs) -> Result<Loaded, Invalid> {
        layers::load(inputs, None)
    }

    /// The same with the file `over` laid over all of it, flags included.
    ///
    /// # Errors
    /// [`Invalid`], as [`Config::load`].
    pub fn load_over(inputs: &Inputs, over: &Path) -> Result<Loaded, Invalid> {
        layers::load(inputs, Some(over))
    }

    /// Where backups are.
    #[must_use]
    pub fn backup_dir(&self) -> PathBuf {
        self.backup.dir.clone().unwrap_or_else(|| {
            // Without a slash at its end: beside it and not in it.
            let mut beside = self.store.path.components().as_path().as_os_str().to_owned();
            beside.push(".backups");
            beside.into()
        })
    }
}

impl Default for Config {
    fn default() -> Self {
        #[expect(clippy::expect_used, reason = "compiled in, and proven to load by a test")]
        Self::load(&Inputs::default()).expect("the compiled-in defaults are valid").config
    }
}
