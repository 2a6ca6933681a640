//! What happened, wherever it is said and however it is spelled.
//!
//! Owns the words for kinds. A word is split where case, `_`, `-`, `.`, `/`, `:` or a space splits it, so
//! `com.example.TaskCreated.v1` is `task` `created`. What names another thing than a task is not ours.

use crate::domain::Kind;

use super::names::{Layer, Name};
use super::reason::{Reason, excerpt};

/// Longest word for a kind looked at, in bytes; a longer one is no kind.
const KIND_MAX_BYTES: usize = 128;

/// What an event is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Subject {
    /// A task event.
    Task(Kind),
    /// A reminder that fell due: the worker's own event.
    Reminder,
    /// A user's preferences.
    Preferences,
    /// A digest of reminders: the worker's own event.
    Digest,
    /// The worker's canary, on its way in or back.
    Canary,
    /// Something else, as the producer spelled it.
    Foreign(String),
}

#[rustfmt::skip]
const VERBS: [(Kind, &[&str]); 4] = [
    (Kind::Created,   &["created", "create", "added", "new"]),
    (Kind::Updated,   &["updated", "update", "changed", "change", "modified", "modify", "edited"]),
    (Kind::Completed, &["completed", "complete", "done", "finished"]),
    (Kind::Deleted,   &["deleted", "delete", "removed", "remove"]),
];
/// What may be done about a reminder. These words say so with a noun of either kind, and alone under `event_type`:
/// elsewhere something else may be acknowledged.
#[rustfmt::skip]
const REMINDER_VERBS: [(Kind, &[&str]); 2] = [
    (Kind::Snoozed,      &["snoozed", "snooze", "postponed", "postpone"]),
    (Kind::Acknowledged, &["acknowledged", "acknowledge", "ack", "acked", "dismissed", "dismiss"]),
];
/// What a task may be called.
const NOUNS: [&str; 4] = ["task", "tasks", "todo", "todos"];
/// What a reminder may be called.
const REMINDERS: [&str; 2] = ["reminder", "reminders"];
/// Words that say nothing about what happened.
const FILLERS: [&str; 2] = ["event", "events"];
/// The type daprd gives to what it wraps: no kind at all.
const DAPR_TYPE: &str = "com.dapr.event.sent";

/// What one word says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Word {
    /// Nothing about what happened.
    Nothing,
    /// A verb of ours with the noun that makes it certain.
    Task(Kind),
    /// A verb alone.
    Verb(Kind),
    /// A verb alone that is certain only under a key made for it.
    VerbIfNamed(Kind),
    Reminder,
    Preferences,
    Digest,
    Canary,
    /// A verb of ours with another noun.
    OtherThing,
    /// None of these.
    Unknown,
}

fn classify(text: &str) -> Word {
    if text.len() > KIND_MAX_BYTES {
        return Word::Unknown;
    }
    let tokens = tokens(text);
    let tokens: Vec<_> = tokens.iter().map(String::as_str).filter(|t| !FILLERS.contains(t)).collect();
    let tokens = match tokens.split_last() {
        Some((last, rest)) if is_version(last) => rest,
        _ => &tokens[..],
    };
    match tokens {
        _ if text == DAPR_TYPE => Word::Nothing,
        [] => Word::Nothing,
        [noun] if NOUNS.contains(noun) => Word::Nothing,
        [word] => match (verb(word), reminder_verb(word)) {
            (Some(kind), _) => Word::Verb(kind),
            (None, Some(kind)) => Word::VerbIfNamed(kind),
            (None, None) => Word::Unknown,
        },
        [.., noun, "digest"] if REMINDERS.contains(noun) => Word::Digest,
        [noun, "canary"] if REMINDERS.contains(noun) => Word::Canary,
        [.., noun, "due"] if REMINDERS.contains(noun) => Word::Reminder,
        [.., one, other] if done_to_reminder(one, other).is_some() => {
            done_to_reminder(one, other).map_or(Word::Unknown, Word::Task)
        }
        [.., "preference" | "preferences", word]
            if matches!(verb(word), Some(Kind::Created | Kind::Updated)) =>
        {
            Word::Preferences
        }
        [.., noun, word] if NOUNS.contains(noun) => verb(word).map_or(Word::Unknown, Word::Task),
        [.., word, noun] if NOUNS.contains(noun) => verb(word).map_or(Word::Unknown, Word::Task),
        [.., word] => verb(word).map_or(Word::Unknown, |_| Word::OtherThing),
    }
}

fn verb(word: &str) -> Option<Kind> {
    VERBS.iter().find(|(_, words)| words.contains(&word)).map(|(kind, _)| *kind)
}

fn reminder_verb(word: &str) -> Option<Kind> {
    REMINDER_VERBS.iter().find(|(_, words)| words.contains(&word)).map(|(kind, _)| *kind)
}

/// What two words, noun and verb in either order, say of a reminder or of its task.
fn done_to_reminder(one: &str, other: &str) -> Option<Kind> {
    let is_noun = |word: &str| REMINDERS.contains(&word) || NOUNS.contains(&word);
    match (is_noun(one), is_noun(other)) {
        (true, false) => reminder_verb(other),
        (false, true) => reminder_verb(one),
        _ => None,
    }
}

/// `v1`, `v2`: the version of an event type.
fn is_version(token: &str) -> bool {
    token.strip_prefix('v').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// The words of `text` in lower case.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = vec![String::new()];
    let mut after_lower = false;
    for c in text.chars() {
        let split = matches!(c, '_' | '-' | '.' | '/' | ':') || c.is_whitespace();
        if split || (after_lower && c.is_ascii_uppercase()) {
            tokens.push(String::new());
        }
        if let (false, Some(token)) = (split, tokens.last_mut()) {
            token.push(c.to_ascii_lowercase());
        }
        after_lower = c.is_ascii_lowercase();
    }
    tokens.retain(|token| !token.is_empty());
    tokens
}

/// What happened, from the objects that may say so: body, metadata, then envelopes from the inside out.
///
/// A verb with its noun, or anything under `event_type`, is certain, and the first certain word decides. Without
/// one a bare verb under a general key such as `action` counts, unless another such key names something that may
/// be another thing (`type: comment`, `action: created`).
pub(super) fn subject(layers: &[&Layer<'_>]) -> Result<Subject, Reason> {
    let mut vague_verb = None;
    let mut vague_unknown = None;
    for (said, text) in
        layers.iter().flat_map(|layer| layer.iter()).filter_map(|said| Some((said, said.value.as_str()?)))
    {
        let by_name = match said.name {
            Name::EventType => true,
            Name::Action => false,
            _ => continue,
        };
        match classify(text) {
            Word::Nothing => {}
            Word::Task(kind) => return Ok(Subject::Task(kind)),
            Word::Verb(kind) | Word::VerbIfNamed(kind) if by_name => return Ok(Subject::Task(kind)),
            Word::Reminder => return Ok(Subject::Reminder),
            Word::Preferences => return Ok(Subject::Preferences),
            Word::Digest => return Ok(Subject::Digest),
            Word::Canary => return Ok(Subject::Canary),
            Word::OtherThing => return Ok(Subject::Foreign(excerpt(text))),
            Word::Unknown if by_name => return Ok(Subject::Foreign(excerpt(text))),
            Word::Verb(kind) => vague_verb = vague_verb.or(Some((kind, text))),
            Word::VerbIfNamed(_) | Word::Unknown => vague_unknown = vague_unknown.or(Some(text)),
        }
    }
    match (vague_verb, vague_unknown) {
        (Some((kind, _)), None) => Ok(Subject::Task(kind)),
        (Some((_, verb)), Some(foreign)) => {
            Err(Reason::KindAmbiguous { foreign: excerpt(foreign), verb: excerpt(verb) })
        }
        (None, Some(foreign)) => Ok(Subject::Foreign(excerpt(foreign))),
        (None, None) => Err(Reason::KindMissing),
    }
}
