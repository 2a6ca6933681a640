//! What a user did about a reminder: snoozed or acknowledged it.
//!
//! Owns how it is told which reminder is meant and until when it sleeps. A snooze must say until when, and say it
//! certainly: a time without a zone could be anybody's, so an instant is asked for. Which occurrence is meant is an
//! extra: what cannot be read of it is refused alone, and the one that is present is meant.

use std::time::Duration;

use crate::domain::{
    Due, Moment, OFFSET_MAX_MINUTES, Refusal, ReminderId, Snooze, Stamps, Statement, Target, Timestamp, Until,
};

use super::extras;
use super::names::{Name, Said};
use super::reason::{Reason, excerpt};
use super::stamp;
use super::statements::Refused;
use super::task::Told;

/// Longest text that is read as an occurrence, in bytes: a wall time with the longest zone has 60.
const OCCURRENCE_MAX_BYTES: usize = 96;

/// The snooze that `told` tells of.
pub(super) fn snooze(told: &Told<'_>, stamps: &Stamps, refused: &mut Refused) -> Result<Statement, Reason> {
    // What the event says of its time; without a word of it the plan sees to what is past.
    let said = stamps.event.map(|stamp| stamp.at).or(stamps.transport());
    let mut trouble = None;
    let readings = [(Name::Until, until as ReadUntil), (Name::Minutes, minutes)];
    for (said_until, read) in readings.into_iter().filter_map(|(name, read)| Some((first(told, name)?, read)))
    {
        match read(said_until, said) {
            Ok(until) => {
                let of = target(told, refused);
                return Ok(Statement::Snooze(Some(Snooze { until, of })));
            }
            Err(reason) => {
                trouble.get_or_insert_with(|| format!("`{}`: {reason}", said_until.key));
                refused.add(Refusal { key: said_until.key.to_owned(), reason });
            }
        }
    }
    let why = trouble.unwrap_or_else(|| "send `until` or `minutes`".to_owned());
    Err(Reason::SnoozeUnreadable { why })
}

/// The acknowledgement that `told` tells of.
pub(super) fn acknowledgement(told: &Told<'_>, refused: &mut Refused) -> Statement {
    Statement::Acknowledged(Some(target(told, refused)))
}

/// Reads when a snooze ends; the event is of the instant given, where it tells one.
type ReadUntil = fn(&Said<'_>, Option<Timestamp>) -> Result<Until, String>;

fn until(said: &Said<'_>, now: Option<Timestamp>) -> Result<Until, String> {
    let at = match stamp::due_instant(said.value)? {
        Some(Due::Instant(at)) => at,
        Some(Due::Wall(_) | Due::Date(_)) => {
            return Err("a time without an offset; write RFC 3339 such as 2026-11-24T09:00:00Z".to_owned());
        }
        None => return Err("it is empty".to_owned()),
    };
    let Some(now) = now else { return Ok(Until::At(at)) };
    let longest = Duration::from_secs(u64::from(OFFSET_MAX_MINUTES) * 60);
    match at {
        at if at <= now => Err(format!("it is no later than the snooze itself, {now}")),
        at if at.since(now) > longest => Err("it is more than ten years ahead".to_owned()),
        at => Ok(Until::At(at)),
    }
}

fn minutes(said: &Said<'_>, _: Option<Timestamp>) -> Result<Until, String> {
    match extras::minutes(said.value)? {
        0 => Err("a snooze takes a minute at least".to_owned()),
        minutes => Ok(Until::Minutes(minutes)),
    }
}

/// Which occurrence is meant: the one named, else that of the reminder named, else the one that is present.
fn target(told: &Told<'_>, refused: &mut Refused) -> Target {
    let readings = [(Name::Occurrence, occurrence as ReadTarget), (Name::ReminderId, reminder)];
    for (said, read) in readings.into_iter().filter_map(|(name, read)| Some((first(told, name)?, read))) {
        match read(said) {
            Ok(Some(target)) => return target,
            Ok(None) => {}
            Err(reason) => refused.add(Refusal { key: said.key.to_owned(), reason }),
        }
    }
    Target::Present
}

type ReadTarget = fn(&Said<'_>) -> Result<Option<Target>, String>;

fn occurrence(said: &Said<'_>) -> Result<Option<Target>, String> {
    let Some(text) = text(said)? else { return Ok(None) };
    if text.len() > OCCURRENCE_MAX_BYTES {
        return Err(format!("it is longer than {OCCURRENCE_MAX_BYTES} bytes"));
    }
    text.parse::<Moment>().map(|moment| Some(Target::Occurrence(moment)))
}

fn reminder(said: &Said<'_>) -> Result<Option<Target>, String> {
    let Some(text) = text(said)? else { return Ok(None) };
    let id = uuid::Uuid::try_parse(text);
    let id = id.map_err(|_| format!("`{}` is no id of a reminder; send its `reminder_id`", excerpt(text)))?;
    Ok(Some(Target::Reminder(ReminderId::from(id))))
}

/// Text that is not blank.
fn text<'a>(said: &Said<'a>) -> Result<Option<&'a str>, String> {
    let text = said.value.as_str().ok_or_else(|| "it is no text".to_owned())?.trim();
    Ok(Some(text).filter(|text| !text.is_empty()))
}

/// What is said of `name` in the innermost object that does.
fn first<'t, 'a>(told: &'t Told<'a>, name: Name) -> Option<&'t Said<'a>> {
    told.about_task().find_map(|layer| layer.first(name))
}
