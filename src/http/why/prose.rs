//! What happened to a task, in sentences for a person. Knows the words; what happened is told by `domain::why`.

use std::time::Duration;

use chrono::DateTime;
use chrono_tz::{IANA_TZDB_VERSION, Tz};

use super::Halts;
use super::called_off::called_off;
use crate::domain::digest::is_moved_by_wishes;
use crate::domain::history::{Note, Noted};
use crate::domain::task::Outcome;
use crate::domain::why::{Nothing, What, Wrote, wrote};
use crate::domain::{
    Due, Field, Kind, LeftOut, Moment, Planned, Record, Reminder, Rule, Rules, Snooze, State, Statement,
    TaskId, Timestamp, Until, Version, Zone,
};

/// An event that came so long after it was stated says when that was.
const TOLD_LATER: Duration = Duration::from_secs(60);

/// Writes sentences about one task, with times on the walls of `zone`.
pub(super) struct Prose<'a> {
    pub(super) task_id: &'a TaskId,
    pub(super) record: &'a Record,
    pub(super) rules: &'a Rules<'a>,
    pub(super) halts: Halts<'a>,
    pub(super) zone: Zone,
    pub(super) now: Timestamp,
}

impl Prose<'_> {
    /// `24 Nov 2026 09:00:00 CET`
    pub(super) fn local(&self, at: Timestamp) -> String {
        let zone = self.zone.name().parse().unwrap_or(Tz::UTC);
        match DateTime::from_timestamp_millis(at.millis()) {
            Some(instant) => instant.with_timezone(&zone).format("%-d %b %Y %H:%M:%S %Z").to_string(),
            None => at.to_rfc3339(),
        }
    }

    /// What the entry says.
    pub(super) fn sentence(&self, what: &What<'_>) -> String {
        match what {
            What::Forgotten(count) => format!("{count} earlier notes are no longer kept"),
            What::Event(noted, wrote) => self.event(noted, wrote),
            What::Unnoted(version, wrote) => {
                format!("{} {}; its id is not kept", version.kind.name(), self.did(*version, wrote))
            }
            What::Replanned(note) => self.replanned(note),
            What::Planned(reminder, by, after) => self.planned(reminder, *by, *after),
            What::Failed(reminder) => self.failed(reminder),
            What::Published(reminder) if reminder.maybe_out => {
                format!("{} {}", reminder.rule, self.fired(reminder))
            }
            What::Published(reminder) => format!("{} was published, {} late", reminder.rule, late(reminder)),
            What::Received(reminder) => format!("{} came back through the broker", reminder.rule),
            What::Left(reminder, by) => {
                let because = self.because(reminder, *by, short);
                format!("{} was {}{because}{}", reminder.rule, reminder.state.name(), doubt(reminder))
            }
            What::Expired(reminder) => {
                format!(
                    "{} expired: {}",
                    reminder.rule,
                    reminder.reason.as_deref().unwrap_or("it was too late")
                )
            }
        }
    }

    /// The answer for one reminder, up front.
    pub(super) fn answer(&self, reminder: &Reminder) -> String {
        let at = self.local(reminder.fire_at);
        let reason = reminder.reason.as_deref();
        match reminder.state {
            State::Pending => self.pending(reminder, &at),
            State::Published => self.fired(reminder),
            State::Cancelled | State::Superseded => {
                format!("will not fire{}{} (it was for {at})", self.left(reminder), doubt(reminder))
            }
            State::Expired => format!("expired: {} (it was for {at})", reason.unwrap_or("it was too late")),
        }
    }

    /// Why there is no reminder at all.
    pub(super) fn nothing(&self, nothing: Nothing) -> String {
        let (told, field, kind) = match nothing {
            Nothing::Deleted => ("the task was deleted", None, Some(Kind::Deleted)),
            Nothing::Done => ("the task is done", Some(Field::Status), None),
            Nothing::NoDue => ("the task has no due date and no reminder times", Some(Field::Due), None),
            Nothing::NoOffsets => {
                ("the task wants no reminder: its offsets are []", Some(Field::Offsets), None)
            }
            Nothing::NoDefault => {
                ("the task states no offsets, and reminders.default_offsets is []", None, None)
            }
            Nothing::CalledOff => ("its reminders were called off", Some(Field::Cancelled), None),
            Nothing::Forgotten => ("its reminders lie behind what was forgotten", None, None),
        };
        let task = &self.record.task;
        let cell = field.and_then(|field| task.cell(field)).map(|cell| cell.version);
        let version = cell.or(task.deleted.filter(|_| kind.is_some()));
        let by = version.and_then(|version| self.noted(version)).map(|noted| format!(" ({})", origin(noted)));
        format!("no reminder: {told}{}", by.unwrap_or_default())
    }

    /// What of the task's rules makes no reminder, and why.
    pub(super) fn left_out(&self, planned: &Planned, why: LeftOut) -> String {
        format!("makes no reminder for {}: {}", self.local(planned.instant()), why.reason())
    }

    fn noted(&self, version: Version) -> Option<&Noted> {
        self.record.history.notes.iter().find_map(|note| match note {
            Note::Event(noted) if noted.version == version => Some(noted),
            _ => None,
        })
    }

    fn event(&self, noted: &Noted, wrote: &[Wrote<'_>]) -> String {
        let did = match noted.outcome {
            Outcome::Stale => "came too late: all it says is older than what is kept".to_owned(),
            Outcome::Ignored | Outcome::Duplicate => "said nothing that could be kept".to_owned(),
            Outcome::Applied => self.did(noted.version, wrote),
        };
        let stated = Timestamp::from_millis(noted.version.ms);
        let stamped = if noted.at.since(stated) > TOLD_LATER {
            format!(", stated at {},", self.local(stated))
        } else {
            String::new()
        };
        let mut text = format!("{}{stamped} {did}", origin(noted));
        for refusal in &noted.refused {
            text.push_str(&format!("; `{}` was refused: {}", refusal.key, refusal.reason));
        }
        text
    }

    /// What an event of this version did.
    fn did(&self, version: Version, wrote: &[Wrote<'_>]) -> String {
        match version.kind {
            Kind::Deleted => return "deleted the task".to_owned(),
            Kind::Completed => return "completed the task".to_owned(),
            _ => {}
        }
        let (sets, others): (Vec<_>, Vec<_>) =
            wrote.iter().map(|wrote| self.wrote(version, wrote)).partition(|(is_set, _)| *is_set);
        let text =
            |parts: Vec<(bool, String)>| parts.into_iter().map(|part| part.1).collect::<Vec<_>>().join(", ");
        let sets = if sets.is_empty() { String::new() } else { format!("set {}", text(sets)) };
        let told = [sets, text(others)].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>();
        match (told.is_empty(), version.kind) {
            (false, _) => told.join(", and "),
            (true, Kind::Created) => "created the task".to_owned(),
            (true, _) => "changed nothing that still stands".to_owned(),
        }
    }

    /// What was written of a field, and whether that is a value it was set to.
    fn wrote(&self, version: Version, wrote: &Wrote<'_>) -> (bool, String) {
        let name = field_name(wrote.field);
        let set = match wrote.value {
            None if wrote.field == Field::Cancelled => {
                return (false, called_off(self.record, version).to_owned());
            }
            Some(Statement::Cancelled(Some(_))) => return (false, "called reminders off".to_owned()),
            Some(Statement::Cancelled(None)) => return (false, "took back what was called off".to_owned()),
            Some(Statement::Due(None)) => return (false, format!("cleared {name}")),
            Some(Statement::Snooze(Some(Snooze { until: Until::At(until), .. }))) => {
                return (false, format!("snoozed its reminder until {}", self.local(*until)));
            }
            Some(Statement::Acknowledged(Some(_))) => return (false, "acknowledged its reminder".to_owned()),
            None => format!("{name} (which was stated again later)"),
            Some(Statement::Due(Some(due))) => format!("{name} to {}", self.due(*due)),
            Some(Statement::Zone(Some(zone))) => format!("{name} to {zone}"),
            Some(Statement::Offsets(Some(offsets))) => format!("{name} to {offsets:?} minutes before due"),
            Some(Statement::RemindAt(Some(times))) => {
                let times: Vec<String> = times.iter().map(|time| self.due(*time)).collect();
                format!("{name} to {}", times.join(" and "))
            }
            Some(Statement::Status(Some(status))) => format!("{name} to {}", status.name()),
            Some(_) => name.to_owned(),
        };
        (true, set)
    }

    /// `25 Nov 2026 09:00 Europe/Berlin`
    fn due(&self, due: Due) -> String {
        let wall = |ms: i64, form: &str| {
            DateTime::from_timestamp_millis(ms).map(|wall| wall.format(form).to_string()).unwrap_or_default()
        };
        match due {
            Due::Instant(at) => self.local(at),
            Due::Wall(ms) => format!("{} {}", wall(ms, "%-d %b %Y %H:%M"), self.zone),
            Due::Date(days) => format!("{}, a date alone", wall(i64::from(days) * 86_400_000, "%-d %b %Y")),
        }
    }

    fn planned(&self, reminder: &Reminder, by: Option<&Note>, after: Option<&Reminder>) -> String {
        let Reminder { rule, fire_at, moved_from, .. } = reminder;
        let mut text = format!("{rule} was planned for {}", self.local(*fire_at));
        if let Some(from) = moved_from {
            text.push_str(&format!(", moved there from {} by {}", self.local(*from), mover(reminder)));
        }
        let moment = match rule {
            Rule::At(moment) => Some(*moment),
            _ => reminder.occurrence,
        };
        if let Some(zone) = moment.and_then(Moment::zone).filter(|_| reminder.state == State::Pending) {
            text.push_str(&format!(", by the clocks of {zone} in tz database {IANA_TZDB_VERSION}"));
        }
        let by = by.map(|by| self.by(by, short));
        let after = after.map(|before| {
            let (at, state) = (self.local(before.instant()), before.state.name());
            format!("the one before it in its series, of {at}, was {state}")
        });
        let because: Vec<String> = after.into_iter().chain(by).collect();
        if !because.is_empty() {
            text.push_str(&format!(": {}", because.join("; ")));
        }
        text
    }

    pub(super) fn failed(&self, reminder: &Reminder) -> String {
        let goes_on = reminder.state == State::Pending;
        let last = reminder.reason.as_deref().filter(|_| goes_on);
        let last = last.map(|reason| format!(", the last one: {reason}")).unwrap_or_default();
        let next = reminder.next_attempt.filter(|_| goes_on).map(|at| match at > self.now {
            true => format!("; the next is at {}", self.local(at)),
            false => String::new(),
        });
        let doubt = doubt(reminder);
        let attempts = if reminder.attempts == 1 { "attempt" } else { "attempts" };
        format!("{} {attempts} failed{last}{doubt}{}", reminder.attempts, next.unwrap_or_default())
    }

    fn fired(&self, reminder: &Reminder) -> String {
        let Some(at) = reminder.settled_at else { return "fired".to_owned() };
        if reminder.maybe_out {
            let reason = reminder.reason.as_deref().unwrap_or("an attempt ended without an answer");
            return format!("may have fired: {reason}{}", self.left(reminder));
        }
        let late = late(reminder);
        let back = reminder.received_at.map(|back| match back.since(at) {
            Duration::ZERO => ", and came back through the broker".to_owned(),
            after => format!(", and came back through the broker {} later", span(after)),
        });
        let within = reminder.within.map(|id| format!(" within the digest {id}")).unwrap_or_default();
        format!("fired{within} at {}, {late} late{}", self.local(at), back.unwrap_or_default())
    }

    pub(super) fn left(&self, reminder: &Reminder) -> String {
        self.because(reminder, reminder.ended_by.and_then(|number| self.record.history.get(number)), origin)
    }

    fn because(&self, reminder: &Reminder, by: Option<&Note>, named: fn(&Noted) -> String) -> String {
        let Some(by) = by else {
            return match reminder.state {
                State::Cancelled | State::Superseded if reminder.reason.is_some() => {
                    format!(": {}", reminder.reason.as_deref().unwrap_or_default())
                }
                State::Cancelled => ": the task ended, or lost its due date".to_owned(),
                State::Superseded => ": its due date or rules changed".to_owned(),
                _ => String::new(),
            };
        };
        format!(": {}", self.by(by, named))
    }

    /// What a note did to the plan, in a clause, with its event as `named`.
    fn by(&self, note: &Note, named: fn(&Noted) -> String) -> String {
        let noted = match note {
            Note::Replanned { .. } => return "the settings or the tz database changed".to_owned(),
            Note::Event(noted) => noted,
        };
        let is_about_it =
            |field: &Field| !matches!(field, Field::User | Field::Title | Field::Priority | Field::Tags);
        let wrote = wrote(self.record, noted);
        let fields: Vec<Field> = wrote.iter().map(|wrote| wrote.field).filter(is_about_it).collect();
        let stated =
            fields.iter().filter(|field| **field != Field::Cancelled).map(|field| field_name(*field));
        let stated: Vec<&str> = stated.collect();
        let what = match noted.version.kind {
            Kind::Completed => "the task was completed".to_owned(),
            Kind::Deleted => "the task was deleted".to_owned(),
            Kind::Created => "the task was created".to_owned(),
            Kind::Snoozed => "it was snoozed".to_owned(),
            Kind::Acknowledged => "it was acknowledged".to_owned(),
            _ if fields == [Field::Cancelled] => "it was called off".to_owned(),
            _ if stated.is_empty() => "the task was changed".to_owned(),
            _ => {
                let is_plural = |field| matches!(field, Field::Offsets | Field::RemindAt | Field::Nags);
                let one = stated.len() == 1 && !fields.iter().any(|field| is_plural(*field));
                format!("{} {} changed", stated.join(" and "), if one { "was" } else { "were" })
            }
        };
        format!("{what} by {}", named(noted))
    }

    fn replanned(&self, note: &Note) -> String {
        let Note::Replanned { tzdb, moved, .. } = note else { return String::new() };
        let mut text = format!("the settings or the tz database changed (now {tzdb})");
        for moved in moved {
            let (from, to) = (self.local(moved.from), self.local(moved.to));
            text.push_str(&format!("; reminder {} moved from {from} to {to}", moved.reminder));
        }
        text
    }
}

fn field_name(field: Field) -> &'static str {
    match field {
        Field::User => "the user",
        Field::Title => "the title",
        Field::Priority => "the priority",
        Field::Status => "the status",
        Field::Due => "the due date",
        Field::Zone => "the time zone",
        Field::Offsets => "the offsets",
        Field::RemindAt => "the reminder times",
        Field::Tags => "the tags",
        Field::Recurrence => "the recurrence",
        Field::Nags => "the reminders after due",
        Field::Snooze => "a snooze",
        Field::Acknowledged => "an acknowledgement",
        Field::Cancelled => "what is called off",
    }
}

/// What moves a reminder from its rule's instant.
pub(super) fn mover(reminder: &Reminder) -> &'static str {
    if is_moved_by_wishes(reminder) { "what its user prefers" } else { "the window of its rule" }
}

/// `task_created from chat-api (event 3f1c…)`
fn origin(noted: &Noted) -> String {
    let producer = noted.producer.as_deref().map(|name| format!(" from {name}")).unwrap_or_default();
    let id = noted.id.as_ref().map(|id| format!(" (event {id})")).unwrap_or_default();
    format!("{}{producer}{id}", noted.version.kind.name())
}

/// `event 3f1c…`, or its kind where it has no id.
fn short(noted: &Noted) -> String {
    noted.id.as_ref().map_or_else(|| noted.version.kind.name().to_owned(), |id| format!("event {id}"))
}

fn doubt(reminder: &Reminder) -> &'static str {
    if reminder.maybe_out { "; it may have gone out" } else { "" }
}

fn late(reminder: &Reminder) -> String {
    span(reminder.settled_at.unwrap_or(reminder.fire_at).since(reminder.fire_at))
}

/// `12 ms`, `2 s`, `1h 5m`
fn span(span: Duration) -> String {
    if span < Duration::from_secs(1) {
        return format!("{} ms", span.as_millis());
    }
    humantime::format_duration(Duration::from_secs(span.as_secs())).to_string()
}
