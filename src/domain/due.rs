//! Due dates as tasks state them, and the instants they stand for.
//!
//! Owns wall time, zones, DST gaps and overlaps. A gap moves a wall time forward by the length of the gap;
//! an overlap takes the first of the two. Knows no task and no clock.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeZone};
use chrono_tz::Tz;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::time::Timestamp;

/// A due date (or reminder time) as stated.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Due {
    /// A zone-aware time: an instant, rounded up to the millisecond.
    Instant(Timestamp),
    /// A naive time: wall time in the task's zone, as milliseconds since 1970-01-01T00:00 on that wall.
    Wall(i64),
    /// A date alone: days since 1970-01-01; the time of day comes from policy.
    Date(i32),
}

impl Due {
    /// The wall time `local`; a part finer than a millisecond is cut.
    #[must_use]
    pub fn wall(local: NaiveDateTime) -> Self {
        Self::Wall(local.and_utc().timestamp_millis())
    }

    /// The date `day`.
    #[must_use]
    pub fn date(day: NaiveDate) -> Self {
        let days = day.signed_duration_since(NaiveDate::default()).num_days();
        // A NaiveDate spans fewer than 2^28 days either side of 1970, so the clamp never bites.
        Self::Date(i32::try_from(days).unwrap_or(i32::MAX))
    }
}

/// An IANA zone.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Zone(Tz);

impl Zone {
    /// UTC.
    pub const UTC: Self = Self(Tz::UTC);

    /// The IANA name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// What walls in it show at `at`, counted as [`Due::Wall`] counts; beyond the calendar, that of UTC.
    #[must_use]
    pub fn wall_at(self, at: Timestamp) -> i64 {
        let Some(utc) = DateTime::from_timestamp_millis(at.millis()) else { return at.millis() };
        let offset = self.0.offset_from_utc_datetime(&utc.naive_utc()).fix().local_minus_utc();
        at.millis().saturating_add(i64::from(offset) * 1000)
    }

    /// The instant at which walls in it first show `wall_ms`, or would but for a gap.
    #[must_use]
    pub fn instant_of(self, wall_ms: i64) -> Timestamp {
        wall_to_instant(self, wall_ms)
    }

    /// Whether wall times in it are instants: UTC under any of its names.
    #[must_use]
    pub fn is_utc(self) -> bool {
        matches!(
            self.0,
            Tz::UTC
                | Tz::UCT
                | Tz::Universal
                | Tz::Zulu
                | Tz::Etc__UTC
                | Tz::Etc__UCT
                | Tz::Etc__Universal
                | Tz::Etc__Zulu
        )
    }
}

impl FromStr for Zone {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Tz::from_str(name)
            .map(Self)
            .map_err(|_| format!("`{name}` is no IANA zone; write one such as `Europe/Berlin` or `UTC`"))
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        name.parse().map_err(D::Error::custom)
    }
}

/// A due date with the zone it is read in: what identifies an occurrence of a task, so that a changed tz
/// database moves its instant and not its identity. Wall times in UTC are instants.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Moment {
    due: Due,
    zone: Option<Zone>,
}

impl Moment {
    /// `due` as read in `zone`.
    #[must_use]
    pub fn new(due: Due, zone: Zone) -> Self {
        match due {
            Due::Instant(_) => Self { due, zone: None },
            Due::Wall(ms) if zone.is_utc() => {
                Self { due: Due::Instant(Timestamp::from_millis(ms)), zone: None }
            }
            Due::Wall(_) | Due::Date(_) => Self { due, zone: Some(zone) },
        }
    }

    /// The due date as stated.
    #[must_use]
    pub fn due(self) -> Due {
        self.due
    }

    /// The zone, for wall times and dates.
    #[must_use]
    pub fn zone(self) -> Option<Zone> {
        self.zone
    }

    /// The instant it stands for; a date alone means `date_only` on that day.
    #[must_use]
    pub fn instant(self, date_only: NaiveTime) -> Timestamp {
        let zone = self.zone.unwrap_or(Zone::UTC);
        match self.due {
            Due::Instant(at) => at,
            Due::Wall(ms) => wall_to_instant(zone, ms),
            Due::Date(days) => {
                const DAY_MS: i64 = 86_400_000;
                let midnight = NaiveTime::MIN;
                let of_day = date_only.signed_duration_since(midnight).num_milliseconds();
                wall_to_instant(zone, i64::from(days).saturating_mul(DAY_MS).saturating_add(of_day))
            }
        }
    }
}

impl fmt::Display for Moment {
    /// The text that names the occurrence: `2026-11-24T09:00:00.000Z`,
    /// `2026-11-24T09:00:00.000[Europe/Berlin]` or `2026-11-24[Europe/Berlin]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.due {
            Due::Instant(at) => return f.write_str(&at.to_rfc3339()),
            Due::Wall(ms) => Timestamp::from_millis(ms).to_rfc3339(),
            Due::Date(days) => {
                Timestamp::from_millis(i64::from(days).saturating_mul(86_400_000)).to_rfc3339()
            }
        };
        let length = if matches!(self.due, Due::Date(_)) { "2026-11-24".len() } else { text.len() - 1 };
        write!(f, "{}[{}]", &text[..length], self.zone.unwrap_or(Zone::UTC))
    }
}

impl FromStr for Moment {
    type Err = String;

    /// Reads what [`Moment`] writes.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unreadable =
            || format!("`{text}` is no occurrence; send the text that the reminder carries as `occurrence`");
        let Some((local, zone)) = text.strip_suffix(']').and_then(|text| text.split_once('[')) else {
            let at = DateTime::parse_from_rfc3339(text).map_err(|_| unreadable())?;
            return Ok(Self::new(Due::Instant(Timestamp::from_millis(at.timestamp_millis())), Zone::UTC));
        };
        let due = match local.parse::<NaiveDate>() {
            Ok(day) => Due::date(day),
            Err(_) => Due::wall(local.parse().map_err(|_| unreadable())?),
        };
        Ok(Self::new(due, zone.parse()?))
    }
}

/// The instant at which walls in `zone` first show `wall_ms`, or would but for a gap.
fn wall_to_instant(zone: Zone, wall_ms: i64) -> Timestamp {
    let Some(local) = DateTime::from_timestamp_millis(wall_ms).map(|d| d.naive_utc()) else {
        // Outside of what the calendar can show no zone has a rule either.
        return Timestamp::from_millis(wall_ms);
    };
    match zone.0.from_local_datetime(&local) {
        chrono::LocalResult::Single(at) => Timestamp::from_millis(at.timestamp_millis()),
        chrono::LocalResult::Ambiguous(a, b) => Timestamp::from_millis(a.min(b).timestamp_millis()),
        chrono::LocalResult::None => {
            let before = offset_before_gap(zone.0, local);
            Timestamp::from_millis(wall_ms.saturating_sub(before))
        }
    }
}

/// The offset from UTC, in milliseconds, that was in force when the gap around `local` began.
fn offset_before_gap(zone: Tz, local: NaiveDateTime) -> i64 {
    // The longest gaps in the database are the days that islands skipped at the date line: 24 hours.
    const STEP_MINUTES: i64 = 15;
    const STEPS: i64 = 25 * 60 / STEP_MINUTES;
    (1..=STEPS)
        .find_map(|step| {
            let earlier = local.checked_sub_signed(chrono::TimeDelta::minutes(step * STEP_MINUTES))?;
            let at = zone.from_local_datetime(&earlier).latest()?;
            Some(i64::from(at.offset().fix().local_minus_utc()) * 1000)
        })
        .unwrap_or(0)
}
