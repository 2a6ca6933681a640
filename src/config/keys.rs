//! The table of settings: which exist, and what each may be.
//!
//! The only place that knows a bound. Values are checked here before the typed configuration is built.

use std::ffi::OsStr;
use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use toml::Value;

use super::layers::{PREFIX, Source};
use super::{Problem, shapes};
use crate::domain::{LIST_MAX, NAGS_MAX, OFFSET_MAX_MINUTES, Zone};
use crate::secret::user_token::KEY_MIN_BYTES;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Below 1 MiB the store thrashes; above 16 GiB somebody meant another unit.
const CACHE_MB: RangeInclusive<i64> = 1..=16 * 1024;
/// Whole minutes; a backup of more than a week ago misses more than a topic keeps.
const BACKUP_EVERY: RangeInclusive<Duration> = MINUTE..=Duration::from_secs(7 * 24 * 60 * 60);
/// One at least, to be restored; thousands would only fill a disk.
const BACKUP_KEEP: RangeInclusive<i64> = 1..=1_000;
/// 0 for none; above a terabyte somebody meant another unit.
const RESERVE_MB: RangeInclusive<i64> = 0..=1024 * 1024;
/// What Kubernetes gives; that all but 0 are refused is said with its reason.
const ORDINAL: RangeInclusive<i64> = 0..=i32::MAX as i64;
/// 0 lets the system choose.
const PORT: RangeInclusive<i64> = 0..=u16::MAX as i64;
/// A request of 1,000 reminders with full titles already nears Dapr's 4 MiB and is split.
const BATCH_MAX: RangeInclusive<i64> = 1..=1_000;
/// More would only queue in the sidecar.
const IN_FLIGHT_MAX: RangeInclusive<i64> = 1..=64;
/// 0 for no limit; no broker takes more than a million a second from here.
const A_SECOND: RangeInclusive<i64> = 0..=1_000_000;
/// 0 for no limit; whoever wants more for one user wants none.
const A_MINUTE: RangeInclusive<i64> = 0..=1_000_000;
/// At least one entry, so that the last reason can be seen; at most what a listing can still page through.
const QUARANTINE_ENTRIES: RangeInclusive<i64> = 1..=1_000_000;
/// From one body of Dapr's largest size, 4 MiB, to what a small disk holds.
const QUARANTINE_MB: RangeInclusive<i64> = 4..=64 * 1024;
/// From a few bodies of the largest size accepted to what a small disk holds.
const OUTBOX_MB: RangeInclusive<i64> = 1..=64 * 1024;
/// A publish needs a round trip and an fsync at the broker; beyond minutes nothing is learned by waiting.
const PUBLISH_TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(300);
/// Shorter would spin on a dead sidecar; longer would make an outage outlast itself.
const BACKOFF: RangeInclusive<Duration> = Duration::from_millis(10)..=HOUR;
/// 0 means within a second; more than an hour is no spread but a delay.
const SPREAD: RangeInclusive<Duration> = Duration::ZERO..=HOUR;
/// Long enough to outlast a restart; a year late nobody wants to be reminded.
const EXPIRE_AFTER: RangeInclusive<Duration> = MINUTE..=Duration::from_secs(366 * 24 * 60 * 60);
/// A day before, somebody is reminded of another day.
const WINDOW: RangeInclusive<Duration> = SECOND..=DAY;
/// From an hour, for trials without a replaying broker, to ten years.
const RETENTION: RangeInclusive<Duration> = HOUR..=Duration::from_secs(3_660 * 24 * 60 * 60);
/// Whole minutes, as offsets are, up to what an offset may be.
const NAG_EVERY: RangeInclusive<Duration> = MINUTE..=Duration::from_secs(OFFSET_MAX_MINUTES as u64 * 60);
/// One at least, else say that there are none; as many as a task's own may be.
const NAG_MAX: RangeInclusive<i64> = 1..=NAGS_MAX as i64;
/// The scheduler itself wakes once a second.
const OVERDUE_LIMIT: RangeInclusive<Duration> = SECOND..=DAY;
/// Loops report at least once a second: less than two would fail on a hiccup.
const HEARTBEAT_LIMIT: RangeInclusive<Duration> = Duration::from_secs(2)..=HOUR;
/// Each is a commit or three and two messages; more rarely than hourly it proves little.
const CANARY_EVERY: RangeInclusive<Duration> = MINUTE..=HOUR;
/// It is looked at no finer than canaries come; a day later somebody has noticed.
const CANARY_READY_LIMIT: RangeInclusive<Duration> = MINUTE..=DAY;
/// Under a tenth of a second nothing can finish; orchestrators kill long before ten minutes.
const GRACE: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(600);
/// Kafka's own limit for a topic name.
const NAME_MAX_BYTES: usize = 249;

/// One setting.
#[derive(Debug)]
pub(super) struct Key {
    /// `section.key`
    pub(super) name: &'static str,
    /// What it may be.
    pub(super) allowed: Allowed,
}

/// What a setting may be.
#[derive(Debug)]
pub(super) enum Allowed {
    Path,
    /// Or nothing, for the place that is usual.
    OptionalPath,
    Secret,
    /// A secret that must be beyond trying.
    Key,
    Switch,
    OneOf(&'static [&'static str]),
    Whole(RangeInclusive<i64>),
    Span(RangeInclusive<Duration>),
    /// Whole minutes, or zero for never.
    MinutesOrNever(RangeInclusive<Duration>),
    Address,
    Url,
    Name,
    OptionalName,
    Zone,
    TimeOfDay,
    Offsets,
    Names,
    Windows,
    OptionalOffsets,
}

const fn key(name: &'static str, allowed: Allowed) -> Key {
    Key { name, allowed }
}

/// Every setting there is, in the order of `config/default.toml`.
pub(super) const KEYS: &[Key] = &[
    key("store.path", Allowed::Path),
    key("store.cache_mb", Allowed::Whole(CACHE_MB)),
    key("store.reserve_mb", Allowed::Whole(RESERVE_MB)),
    key("backup.dir", Allowed::OptionalPath),
    key("backup.every", Allowed::MinutesOrNever(BACKUP_EVERY)),
    key("backup.keep", Allowed::Whole(BACKUP_KEEP)),
    key("restore.auto", Allowed::Switch),
    key("restore.overdue", Allowed::OneOf(&["fire", "hold"])),
    key("app.host", Allowed::Address),
    key("app.port", Allowed::Whole(PORT)),
    key("app.api_token", Allowed::Secret),
    key("ops.host", Allowed::Address),
    key("ops.port", Allowed::Whole(PORT)),
    key("ops.token", Allowed::Secret),
    key("ops.user_key", Allowed::Key),
    key("dapr.http_endpoint", Allowed::Url),
    key("dapr.api_token", Allowed::Secret),
    key("dapr.pubsub", Allowed::Name),
    key("dapr.publish_timeout", Allowed::Span(PUBLISH_TIMEOUT)),
    key("dapr.bulk_subscribe", Allowed::OneOf(&["auto", "on", "off"])),
    key("topics.task_events", Allowed::Name),
    key("topics.task_updates", Allowed::Name),
    key("topics.reminders", Allowed::Name),
    key("topics.reminder_actions", Allowed::OptionalName),
    key("topics.user_preferences", Allowed::OptionalName),
    key("topics.dead_letter", Allowed::OptionalName),
    key("reminders.default_offsets", Allowed::Offsets),
    key("reminders.high_offsets", Allowed::OptionalOffsets),
    key("reminders.medium_offsets", Allowed::OptionalOffsets),
    key("reminders.low_offsets", Allowed::OptionalOffsets),
    key("reminders.windows", Allowed::Windows),
    key("reminders.nag_every", Allowed::MinutesOrNever(NAG_EVERY)),
    key("reminders.nag_max", Allowed::Whole(NAG_MAX)),
    key("reminders.default_timezone", Allowed::Zone),
    key("reminders.date_only_time", Allowed::TimeOfDay),
    key("reminders.spread", Allowed::Span(SPREAD)),
    key("reminders.expire_after", Allowed::Span(EXPIRE_AFTER)),
    key("reminders.retention", Allowed::Span(RETENTION)),
    key("reminders.receipts", Allowed::Switch),
    key("reminders.catch_up", Allowed::OneOf(&["fire", "coalesce", "skip"])),
    key("reminders.catch_up_rate", Allowed::Whole(A_SECOND)),
    key("recurrence.follow", Allowed::Switch),
    key("recurrence.not_from", Allowed::Names),
    key("publish.batch_max", Allowed::Whole(BATCH_MAX)),
    key("publish.in_flight_max", Allowed::Whole(IN_FLIGHT_MAX)),
    key("publish.backoff_initial", Allowed::Span(BACKOFF)),
    key("publish.backoff_max", Allowed::Span(BACKOFF)),
    key("publish.rate", Allowed::Whole(A_SECOND)),
    key("publish.user_rate", Allowed::Whole(A_MINUTE)),
    key("quarantine.max_entries", Allowed::Whole(QUARANTINE_ENTRIES)),
    key("quarantine.max_mb", Allowed::Whole(QUARANTINE_MB)),
    key("outbox.max_mb", Allowed::Whole(OUTBOX_MB)),
    key("health.overdue_limit", Allowed::Span(OVERDUE_LIMIT)),
    key("health.heartbeat_limit", Allowed::Span(HEARTBEAT_LIMIT)),
    key("canary.every", Allowed::MinutesOrNever(CANARY_EVERY)),
    key("canary.ready_limit", Allowed::MinutesOrNever(CANARY_READY_LIMIT)),
    key("shutdown.grace", Allowed::Span(GRACE)),
    key("replica.ordinal", Allowed::Whole(ORDINAL)),
    key("log.format", Allowed::OneOf(&["auto", "text", "json"])),
    key("log.level", Allowed::OneOf(&["trace", "debug", "info", "warn", "error"])),
];

/// The setting called `name`.
pub(super) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// What is wrong with a variable that would be a setting's if it were parted by `__`. Kubernetes names ones like it for each
/// of a namespace's services, with an address in it: those mean nothing here.
pub(super) fn near_miss(name: &str, value: &OsStr) -> Option<Problem> {
    let rest = name.strip_prefix(PREFIX.trim_end_matches('_'))?.trim_start_matches('_').to_lowercase();
    let is_address = value.to_str().and_then(|value| value.split_once("://"));
    let is_address = is_address.is_some_and(|(protocol, _)| ["tcp", "udp", "sctp"].contains(&protocol));
    let is_meant = |key: &&Key| key.name.replace('.', "_") == rest.replace("__", "_");
    let key = KEYS.iter().find(is_meant).filter(|_| !is_address)?;
    let meant = format!("{PREFIX}{}", key.name.replacen('.', "__", 1).to_uppercase());
    let reason = format!("it sets nothing; {} is set by {meant}", key.name);
    Some(Problem::Unreadable { origin: Source::Variable(name.to_owned()), reason })
}

/// What to say to someone who wrote `name`, which does not exist.
pub(super) fn known_beside(name: &str) -> String {
    let section = name.split('.').next().unwrap_or_default();
    let in_section: Vec<&str> =
        KEYS.iter().filter_map(|key| key.name.strip_prefix(section)?.strip_prefix('.')).collect();
    if !in_section.is_empty() {
        return format!("[{section}] has {}", in_section.join(", "));
    }
    let mut sections: Vec<&str> = KEYS.iter().filter_map(|key| key.name.split('.').next()).collect();
    sections.dedup();
    format!("the sections are {}", sections.join(", "))
}

impl Allowed {
    /// What `text`, from a variable or a flag, means here; text that means nothing stays text and is then
    /// refused by [`Allowed::accepts`].
    pub(super) fn read(&self, text: &str) -> Value {
        let read = match self {
            Self::Whole(_) => text.parse().ok().map(Value::Integer),
            Self::Switch => text.parse().ok().map(Value::Boolean),
            Self::OptionalOffsets if text.trim().is_empty() => None,
            Self::Offsets | Self::OptionalOffsets => {
                let numbers = items(text).map(|n| n.parse().ok().map(Value::Integer));
                numbers.collect::<Option<_>>().map(Value::Array)
            }
            Self::Names | Self::Windows => {
                let names = items(text).map(|name| Value::String(name.trim_matches('"').to_owned()));
                Some(Value::Array(names.collect()))
            }
            _ => None,
        };
        read.unwrap_or_else(|| Value::String(text.to_owned()))
    }

    /// Whether `value` may be had.
    pub(super) fn accepts(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Whole(range), Value::Integer(n)) => range.contains(n),
            (Self::Switch, Value::Boolean(_)) => true,
            (Self::Offsets | Self::OptionalOffsets, Value::Array(values)) => {
                let minutes = 0..=i64::from(OFFSET_MAX_MINUTES);
                values.len() <= LIST_MAX
                    && values.iter().all(|v| v.as_integer().is_some_and(|n| minutes.contains(&n)))
            }
            (Self::Names, Value::Array(values)) => {
                values.len() <= LIST_MAX && values.iter().all(|v| v.as_str().is_some_and(is_name))
            }
            (Self::Windows, Value::Array(values)) => {
                let mut offsets: Vec<u32> = Vec::new();
                let mut accepts = |value: &Value| {
                    let Some((offset, window)) = value.as_str().and_then(shapes::parse_window) else {
                        return false;
                    };
                    let is_new = !offsets.contains(&offset);
                    offsets.push(offset);
                    is_new && offset <= OFFSET_MAX_MINUTES && WINDOW.contains(&window)
                };
                values.len() <= LIST_MAX && values.iter().all(&mut accepts)
            }
            (_, Value::String(text)) => self.accepts_text(text),
            _ => false,
        }
    }

    fn accepts_text(&self, text: &str) -> bool {
        match self {
            Self::Path => !text.is_empty(),
            Self::OptionalPath => true,
            // A header carries it, and a header takes printable ASCII.
            Self::Secret => text.bytes().all(|b| b.is_ascii_graphic()),
            Self::Key => {
                text.is_empty() || (text.len() >= KEY_MIN_BYTES && text.bytes().all(|b| b.is_ascii_graphic()))
            }
            Self::OneOf(words) => words.contains(&text),
            Self::Span(range) => shapes::parse_duration(text).is_some_and(|d| range.contains(&d)),
            Self::MinutesOrNever(range) => shapes::parse_duration(text).is_some_and(|span| {
                span.is_zero()
                    || (range.contains(&span) && span.as_millis().is_multiple_of(MINUTE.as_millis()))
            }),
            Self::Address => text.parse::<IpAddr>().is_ok(),
            Self::Url => shapes::parse_base_url(text).is_some(),
            Self::Name => is_name(text),
            Self::OptionalName => text.is_empty() || is_name(text),
            Self::Zone => text.parse::<Zone>().is_ok(),
            Self::TimeOfDay => shapes::parse_time_of_day(text).is_some(),
            Self::OptionalOffsets => text.trim().is_empty(),
            Self::Whole(_) | Self::Switch | Self::Offsets | Self::Names | Self::Windows => false,
        }
    }
}

/// The items of a list as a variable or a flag writes it: `[a, b]` or `a,b`.
fn items(text: &str) -> impl Iterator<Item = &str> {
    let inner = text.trim().trim_start_matches('[').trim_end_matches(']');
    inner.split(',').map(str::trim).filter(|item| !item.is_empty())
}

fn is_name(text: &str) -> bool {
    (1..=NAME_MAX_BYTES).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// A bound as it may be written: days stay days, where a calendar's years and months have fractions of them.
fn span(bound: Duration) -> String {
    let (seconds, day) = (bound.as_secs(), DAY.as_secs());
    if seconds > day && seconds.is_multiple_of(day) {
        return format!("{}d", seconds / day);
    }
    humantime::format_duration(bound).to_string()
}

/// Those of `examples` that `range` allows, as a list; there is always one.
fn within(range: &RangeInclusive<Duration>, examples: &[&str]) -> String {
    let allowed = |text: &&&str| shapes::parse_duration(text).is_some_and(|span| range.contains(&span));
    let mut allowed: Vec<&str> = examples.iter().filter(allowed).copied().collect();
    match allowed.pop() {
        Some(last) if allowed.is_empty() => last.to_owned(),
        Some(last) => format!("{} or {last}", allowed.join(", ")),
        None => span(*range.end()),
    }
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path => f.write_str("the path of a directory"),
            Self::OptionalPath => f.write_str("the path of a directory, or nothing for the usual one"),
            Self::Secret => f.write_str("printable ASCII without spaces, or nothing for none"),
            Self::Key => write!(
                f,
                "at least {KEY_MIN_BYTES} characters of printable ASCII without spaces (openssl rand -hex 32), or nothing \
                 for none"
            ),
            Self::Switch => f.write_str("true or false"),
            Self::OneOf(words) => write!(f, "one of {}", words.join(", ")),
            Self::Whole(range) => write!(f, "a whole number from {} to {}", range.start(), range.end()),
            Self::Span(range) => write!(
                f,
                "a duration from {} to {}, such as {}",
                span(*range.start()),
                span(*range.end()),
                within(range, &["200ms", "10s", "5m", "24h", "8d"]),
            ),
            Self::MinutesOrNever(range) => write!(
                f,
                "a duration of whole minutes from {} to {}, such as {}, or 0s for never",
                span(*range.start()),
                span(*range.end()),
                within(range, &["5m", "30m", "2h", "1d"]),
            ),
            Self::Address => f.write_str("an IP address such as 127.0.0.1, 0.0.0.0 or ::1"),
            Self::Url => {
                f.write_str("an http:// URL such as http://127.0.0.1:3500, without credentials or query")
            }
            Self::Name => write!(f, "1 to {NAME_MAX_BYTES} of the characters A-Z a-z 0-9 . _ -"),
            Self::OptionalName => {
                write!(f, "1 to {NAME_MAX_BYTES} of the characters A-Z a-z 0-9 . _ -, or nothing for none")
            }
            Self::Zone => f.write_str("an IANA zone such as Europe/Berlin or UTC"),
            Self::TimeOfDay => f.write_str("a time of day such as 09:00"),
            Self::Offsets | Self::OptionalOffsets => {
                write!(
                    f,
                    "a list of at most {LIST_MAX} whole numbers of minutes such as [60, 0], each from 0 to \
                     {OFFSET_MAX_MINUTES}"
                )?;
                let or_default = ", or \"\" for reminders.default_offsets";
                f.write_str(if matches!(self, Self::OptionalOffsets) { or_default } else { "" })
            }
            Self::Windows => write!(
                f,
                "a list of at most {LIST_MAX} windows, one an offset, such as 0=5m or 1440=1h, each up to {}",
                span(*WINDOW.end()),
            ),
            Self::Names => write!(
                f,
                "a list of at most {LIST_MAX} names, each of 1 to {NAME_MAX_BYTES} of the characters A-Z a-z 0-9 . _ -"
            ),
        }
    }
}
