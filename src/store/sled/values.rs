//! The other values in bytes, each with the number of its encoding first: counters and marks, claims, and what
//! is known of quarantined events and outbox entries. Bodies are kept as they are.

use super::ledger;
use super::wire::{Malformed, Reader, flags, put_count, put_int, put_text, put_uint};
use crate::domain::history::EventId;
use crate::domain::{ByPriority, ReminderId, State, TaskId, Timestamp};
use crate::store::{
    Claim, Dated, EventTally, Ledger, Meta, OutboxEntry, Paused, PolicyMark, Quarantined, Usage, WishesPass,
};

/// The number of these encodings.
const FORMAT: u8 = 1;
/// In a reminder index, a task's id that is a UUID follows: a byte that is in no UTF-8.
const TASK_UUID: u8 = 0xff;

/// The states in the order of their counters here, whatever their order in the domain is.
pub(super) const STATES: [State; State::ALL.len()] =
    [State::Pending, State::Published, State::Cancelled, State::Superseded, State::Expired];

const META_HAS_HORIZON: u8 = 0x01;
const META_HAS_POLICY: u8 = 0x02;
const META_REPLANNING: u8 = 0x04;
const META_REPLANNED_SOME: u8 = 0x08;
/// Offsets that depend on the priority, or reminders after due, are or were configured.
const META_POLICY_HAS_MORE: u8 = 0x10;
const META_PAUSED: u8 = 0x20;
const META_HAS_USERS: u8 = 0x40;
/// The last flag that there is room for.
const META_HAS_RECURRENCE: u8 = 0x80;

const USERS_PASS: u8 = 0x01;
const USERS_PASSED_SOME: u8 = 0x02;
const USERS_PASS_AGAIN: u8 = 0x04;

pub(super) fn encode_meta(meta: &Meta) -> Vec<u8> {
    let mut out = vec![FORMAT];
    let more = meta.policy.filter(has_more);
    out.push(flags(&[
        (META_HAS_HORIZON, meta.horizon.is_some()),
        (META_HAS_POLICY, meta.policy.is_some()),
        (META_REPLANNING, meta.replanning_after.is_some()),
        (META_REPLANNED_SOME, matches!(meta.replanning_after, Some(Some(_)))),
        (META_POLICY_HAS_MORE, more.is_some()),
        (META_HAS_RECURRENCE, meta.policy.is_some_and(|policy| policy.recurrence.is_some())),
        (META_PAUSED, meta.paused.is_some()),
        (META_HAS_USERS, has_users(meta)),
    ]));
    let EventTally { applied, duplicate, stale, ignored, quarantined } = meta.events;
    for count in [applied, duplicate, stale, ignored, quarantined] {
        put_uint(&mut out, count);
    }
    for state in STATES {
        put_int(&mut out, meta.reminders.of(state));
    }
    for number in [meta.next_claim, meta.next_quarantined, meta.next_outbox] {
        put_uint(&mut out, number);
    }
    for usage in [meta.quarantine, meta.outbox, meta.outbox_dead] {
        put_uint(&mut out, usage.entries);
        put_uint(&mut out, usage.bytes);
    }
    if let Some(horizon) = meta.horizon {
        put_int(&mut out, horizon.millis());
    }
    if let Some(policy) = meta.policy {
        out.extend_from_slice(&policy.digest.to_be_bytes());
        put_uint(&mut out, policy.generation.into());
        for dated in [policy.offsets.medium, policy.zone, policy.date_only] {
            put_dated(&mut out, dated);
        }
    }
    if let Some(Some(task)) = &meta.replanning_after {
        put_text(&mut out, task.as_str());
    }
    if let Some(policy) = more {
        for dated in [policy.offsets.low, policy.offsets.high, policy.nags] {
            put_dated(&mut out, dated);
        }
    }
    if let Some(recurrence) = meta.policy.and_then(|policy| policy.recurrence) {
        put_dated(&mut out, recurrence);
    }
    // What came later stands last: a store from before has none of it.
    if let Some(Paused { since, reason }) = &meta.paused {
        put_int(&mut out, since.millis());
        out.push(u8::from(reason.is_some()));
        if let Some(reason) = reason {
            put_text(&mut out, reason);
        }
    }
    if has_users(meta) {
        put_users(&mut out, meta);
    }
    ledger::put(&mut out, meta);
    out
}

fn has_users(meta: &Meta) -> bool {
    meta.users > 0 || meta.wishes_pass.is_some()
}

fn put_users(out: &mut Vec<u8>, meta: &Meta) {
    let pass = meta.wishes_pass.as_ref();
    let after = pass.and_then(|pass| pass.after.as_ref());
    put_uint(out, meta.users);
    out.push(flags(&[
        (USERS_PASS, pass.is_some()),
        (USERS_PASSED_SOME, after.is_some()),
        (USERS_PASS_AGAIN, pass.is_some_and(|pass| pass.again)),
    ]));
    if let Some(task) = after {
        put_text(out, task.as_str());
    }
}

fn users(reader: &mut Reader<'_>) -> Result<(u64, Option<WishesPass>), Malformed> {
    let users = reader.uint()?;
    let present = reader.byte()?;
    let has = |flag| present & flag != 0;
    let after = reader.when(has(USERS_PASSED_SOME), task)?;
    Ok((users, has(USERS_PASS).then_some(WishesPass { after, again: has(USERS_PASS_AGAIN) })))
}

pub(super) fn decode_meta(bytes: &[u8]) -> Result<Meta, Malformed> {
    let mut reader = begin(bytes)?;
    let present = reader.byte()?;
    let has = |flag| present & flag != 0;
    let events = EventTally {
        applied: reader.uint()?,
        duplicate: reader.uint()?,
        stale: reader.uint()?,
        ignored: reader.uint()?,
        quarantined: reader.uint()?,
    };
    let reminders = ledger::tally(&mut reader)?;
    let mut meta = Meta {
        events,
        reminders,
        next_claim: reader.uint()?,
        next_quarantined: reader.uint()?,
        next_outbox: reader.uint()?,
        quarantine: usage(&mut reader)?,
        outbox: usage(&mut reader)?,
        outbox_dead: usage(&mut reader)?,
        horizon: reader.when(has(META_HAS_HORIZON), instant)?,
        policy: reader.when(has(META_HAS_POLICY), policy)?,
        replanning_after: match (has(META_REPLANNING), has(META_REPLANNED_SOME)) {
            (false, _) => None,
            (true, false) => Some(None),
            (true, true) => Some(Some(task(&mut reader)?)),
        },
        paused: None,
        users: 0,
        wishes_pass: None,
        ledger: Ledger::from_here_on(&events, &reminders),
    };
    if has(META_POLICY_HAS_MORE) {
        let policy = meta.policy.as_mut().ok_or(Malformed("it has more of a policy that it has not"))?;
        policy.offsets.low = dated(&mut reader)?;
        policy.offsets.high = dated(&mut reader)?;
        policy.nags = dated(&mut reader)?;
    }
    if has(META_HAS_RECURRENCE) {
        let policy = meta.policy.as_mut().ok_or(Malformed("it has more of a policy that it has not"))?;
        policy.recurrence = Some(dated(&mut reader)?);
    }
    if has(META_PAUSED) {
        let since = instant(&mut reader)?;
        let is_told = reader.byte()? != 0;
        let reason = reader.when(is_told, |r| r.text().map(str::to_owned))?;
        meta.paused = Some(Paused { since, reason });
    }
    if has(META_HAS_USERS) {
        (meta.users, meta.wishes_pass) = users(&mut reader)?;
    }
    while !reader.is_at_end() {
        match (reader.byte()?, reader.bytes()?) {
            (ledger::SECTION, section) => meta.ledger = ledger::read(section)?,
            _ => return Err(Malformed("it has a section that is not known")),
        }
    }
    Ok(meta)
}

pub(super) fn encode_claim(claim: &Claim) -> Vec<u8> {
    let mut out = vec![FORMAT];
    put_count(&mut out, claim.reminders.len());
    claim.reminders.iter().for_each(|id| out.extend_from_slice(id.as_bytes()));
    out
}

pub(super) fn decode_claim(number: u64, bytes: &[u8]) -> Result<Claim, Malformed> {
    let mut reader = begin(bytes)?;
    let reminders = reader.list(|r| r.array().map(ReminderId::from_bytes))?;
    reader.end()?;
    Ok(Claim { number, reminders })
}

/// A task's id as the value of a reminder index. Most are UUIDs: in 16 bytes behind one that no text begins with.
pub(super) fn encode_task(task: &TaskId) -> Vec<u8> {
    match EventId::of(task.as_str()) {
        EventId::Uuid(bytes) => [&[TASK_UUID], bytes.as_slice()].concat(),
        _ => task.as_str().as_bytes().to_vec(),
    }
}

/// What [`encode_task`] made; before format 3 it was always text.
pub(super) fn decode_task(bytes: &[u8]) -> Result<TaskId, Malformed> {
    let text = match bytes.split_first() {
        Some((&TASK_UUID, uuid)) => {
            uuid.try_into().ok().map(|bytes| TaskId::new(EventId::Uuid(bytes).to_string()))
        }
        _ => std::str::from_utf8(bytes).ok().map(TaskId::new),
    };
    text.flatten().ok_or(Malformed("it is no task id"))
}

pub(super) fn encode_quarantined(event: &Quarantined) -> Vec<u8> {
    let mut out = vec![FORMAT];
    put_int(&mut out, event.at.millis());
    for text in [&event.topic, &event.code, &event.reason] {
        put_text(&mut out, text);
    }
    put_uint(&mut out, event.length);
    out
}

pub(super) fn decode_quarantined(bytes: &[u8]) -> Result<Quarantined, Malformed> {
    let mut reader = begin(bytes)?;
    let event = Quarantined {
        at: instant(&mut reader)?,
        topic: reader.text()?.to_owned(),
        code: reader.text()?.to_owned(),
        reason: reader.text()?.to_owned(),
        length: reader.uint()?,
    };
    reader.end()?;
    Ok(event)
}

const OUTBOX_DEAD: u8 = 0x01;
const OUTBOX_HAS_NEXT_ATTEMPT: u8 = 0x02;
const OUTBOX_HAS_REASON: u8 = 0x04;

pub(super) fn encode_outbox(entry: &OutboxEntry) -> Vec<u8> {
    let mut out = vec![FORMAT];
    out.push(flags(&[
        (OUTBOX_DEAD, entry.dead),
        (OUTBOX_HAS_NEXT_ATTEMPT, entry.next_attempt.is_some()),
        (OUTBOX_HAS_REASON, entry.reason.is_some()),
    ]));
    put_int(&mut out, entry.at.millis());
    for text in [entry.topic.as_str(), entry.task.as_str(), &entry.event_id] {
        put_text(&mut out, text);
    }
    put_uint(&mut out, entry.attempts.into());
    put_uint(&mut out, entry.length);
    if let Some(at) = entry.next_attempt {
        put_int(&mut out, at.millis());
    }
    if let Some(reason) = &entry.reason {
        put_text(&mut out, reason);
    }
    out
}

pub(super) fn decode_outbox(bytes: &[u8]) -> Result<OutboxEntry, Malformed> {
    let mut reader = begin(bytes)?;
    let present = reader.byte()?;
    let entry = OutboxEntry {
        at: instant(&mut reader)?,
        topic: reader.text()?.to_owned(),
        task: task(&mut reader)?,
        event_id: reader.text()?.to_owned(),
        attempts: reader.uint32()?,
        length: reader.uint()?,
        next_attempt: reader.when(present & OUTBOX_HAS_NEXT_ATTEMPT != 0, instant)?,
        reason: reader.when(present & OUTBOX_HAS_REASON != 0, |r| r.text().map(str::to_owned))?,
        dead: present & OUTBOX_DEAD != 0,
    };
    reader.end()?;
    Ok(entry)
}

fn begin(bytes: &[u8]) -> Result<Reader<'_>, Malformed> {
    let mut reader = Reader::new(bytes);
    if reader.byte()? == FORMAT { Ok(reader) } else { Err(Malformed("its format is unknown")) }
}

fn instant(reader: &mut Reader<'_>) -> Result<Timestamp, Malformed> {
    reader.int().map(Timestamp::from_millis)
}

fn task(reader: &mut Reader<'_>) -> Result<TaskId, Malformed> {
    decode_task(reader.bytes()?)
}

fn usage(reader: &mut Reader<'_>) -> Result<Usage, Malformed> {
    Ok(Usage { entries: reader.uint()?, bytes: reader.uint()? })
}

/// What a policy was before offsets could depend on the priority and before there were reminders after due.
const NO_NAGS: Dated = Dated { digest: 0, since: Timestamp::MIN };

fn has_more(policy: &PolicyMark) -> bool {
    !policy.offsets.is_one() || policy.nags != NO_NAGS
}

fn policy(reader: &mut Reader<'_>) -> Result<PolicyMark, Malformed> {
    let (digest, generation) = (u64::from_be_bytes(reader.array()?), reader.uint32()?);
    let offsets = dated(reader)?;
    Ok(PolicyMark {
        digest,
        generation,
        offsets: ByPriority::each(|_| offsets),
        nags: NO_NAGS,
        zone: dated(reader)?,
        date_only: dated(reader)?,
        recurrence: None,
    })
}

fn put_dated(out: &mut Vec<u8>, dated: Dated) {
    out.extend_from_slice(&dated.digest.to_be_bytes());
    put_int(out, dated.since.millis());
}

fn dated(reader: &mut Reader<'_>) -> Result<Dated, Malformed> {
    Ok(Dated { digest: u64::from_be_bytes(reader.array()?), since: instant(reader)? })
}
