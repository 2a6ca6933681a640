//! What producers have said, as a few maps: whether a task is open, what it is due, and which reminders must have come
//! by the end. Maps and comparisons only; it shares no rule with the worker.
//!
//! Of a plain task each reminder is known. Of another one less is: that something came for its due date, or that
//! something came at all; and nothing where anything might have kept its reminders back for good.

use std::collections::BTreeSet;
use std::fmt;

use super::script::{Character, Creation, DAY, HOUR, MINUTE, Of, Said, Says, Script, Wishes, instant};
use crate::domain::{CatchUp, Due, Moment, Rule, Timestamp, Zone};

/// How much earlier than the retention a task may be forgotten by the true time: the worker's clock may be ahead, and
/// what ends a task is stamped before it comes.
const FORGOTTEN_EARLIER: i64 = 3 * HOUR;
/// The offsets that the default ones are made of: the longest of them.
const DEFAULT_OFFSET_MAX: u32 = 30;

/// A task as a set of events says it is: of each field the latest word.
#[derive(Default)]
pub(super) struct Model<'s> {
    /// Whose it is.
    pub(super) user: Option<usize>,
    due: Option<(i64, i64)>,
    offsets: Option<(i64, &'s [u32])>,
    is_closed: bool,
    /// When it was first said to be open: one that is taken up again is reminded of what it missed.
    opened: Option<i64>,
    deleted: Option<i64>,
    created: Option<i64>,
    /// Since when it has been over, and whether it was so for so long that it may have been forgotten.
    over_since: Option<i64>,
    may_be_forgotten: bool,
}

/// What the broker must have at the end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Must {
    /// The reminder of this rule and due date.
    Reminder(Rule, Moment),
    /// One that says that the task is due then.
    Due(Timestamp),
    /// Any of the task.
    Any,
}

/// What else there is to know of a task: what is not in its events.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Besides {
    /// A person has called its reminders off, or stated another due date.
    pub(super) is_ordered: bool,
    /// Some event of it came so late that what it called for may have expired.
    pub(super) is_late: bool,
    /// Until when what was past stays past, since it was imported then.
    pub(super) imported: Option<Timestamp>,
    /// When the worker was last started with other settings.
    pub(super) configured: Option<Timestamp>,
}

impl<'s> Model<'s> {
    /// The task `task` by those events of the script that count.
    pub(super) fn of(script: &'s Script, task: usize, counts: &BTreeSet<usize>) -> Self {
        let said = script.events.iter().enumerate();
        let mut said: Vec<&Said> = said
            .filter(|(number, said)| said.of == Of::Task(task) && counts.contains(number))
            .map(|(_, said)| said)
            .collect();
        // No two events of one task have one stamp.
        said.sort_by_key(|said| said.at);
        let retention = i64::try_from(script.retention.as_millis()).unwrap_or(i64::MAX);
        let mut model = Self::default();
        for said in said {
            model.may_be_forgotten |=
                model.over_since.is_some_and(|since| said.at - since > retention - FORGOTTEN_EARLIER);
            model.say(said);
            let over = (!model.is_open()).then_some(said.at);
            model.over_since = model.over_since.filter(|_| over.is_some()).or(over);
        }
        model
    }

    fn say(&mut self, said: &'s Said) {
        match &said.what {
            Says::Created(Creation { due, offsets, user, .. }) => {
                self.user = *user;
                self.created = Some(said.at);
                self.due = Some((said.at, *due));
                self.offsets = offsets.as_deref().map(|offsets| (said.at, offsets));
                self.opened = Some(said.at);
            }
            Says::Due(due) => self.due = Some((said.at, *due)),
            Says::Offsets(offsets) => self.offsets = Some((said.at, offsets)),
            Says::Title(_) | Says::Snoozed(_) | Says::Acknowledged | Says::Wishes(_) => {}
            Says::Completed => self.is_closed = true,
            Says::Reopened => {
                self.is_closed = false;
                self.opened = self.opened.or(Some(said.at));
            }
            // What was said before is void, and only a creation revives.
            Says::Deleted => {
                let over_since = self.over_since;
                *self = Self {
                    deleted: Some(said.at),
                    over_since,
                    may_be_forgotten: self.may_be_forgotten,
                    ..Self::default()
                };
            }
        }
    }

    pub(super) fn is_open(&self) -> bool {
        !self.is_closed && (self.deleted.is_none() || self.created.is_some())
    }

    /// What the task is due, as a reminder names it.
    pub(super) fn occurrence(&self) -> Option<Moment> {
        self.due.map(|(_, due)| occurrence(due))
    }

    /// What must have come at the end, if nothing is on its way any more.
    pub(super) fn must(&self, script: &Script, task: usize, besides: Besides) -> Vec<Must> {
        let Some((_, due)) = self.due else { return Vec::new() };
        let is_spared = besides.is_ordered
            || besides.is_late
            || self.may_be_forgotten
            || script.catch_up == CatchUp::Skip;
        if is_spared || !self.is_open() {
            return Vec::new();
        }
        let kind = script.tasks[task];
        match kind.is_plain {
            true => self.of_plain(script.catch_up, due, besides),
            false => self.of_other(script, task, kind, due, besides).unwrap_or_default(),
        }
    }

    fn of_plain(&self, catch_up: CatchUp, due: i64, besides: Besides) -> Vec<Must> {
        let (Some((due_since, _)), Some((offsets_since, offsets))) = (self.due, self.offsets) else {
            return Vec::new();
        };
        let birth = due_since.max(offsets_since).max(self.opened.unwrap_or(i64::MIN));
        let fires_at = |minutes: u32| due - i64::from(minutes) * MINUTE;
        let mut fire: Vec<u32> = offsets.iter().copied().filter(|o| fires_at(*o) > birth).collect();
        // Due sooner than all offsets: at the due date itself; or by one of them, if a clock that is behind has the event
        // come before it was said.
        let is_past = |at: i64| besides.imported.is_some_and(|past| instant(at) <= past);
        if fire.is_empty() {
            let comes = due > birth && !offsets.is_empty() && !is_past(due);
            return Vec::from_iter(comes.then_some(Must::Due(instant(due))));
        }
        fire.retain(|minutes| !is_past(fires_at(*minutes)));
        // Another one of the same due date may have come in its place.
        if catch_up == CatchUp::Coalesce {
            return Vec::from_iter((!fire.is_empty()).then_some(Must::Due(instant(due))));
        }
        fire.into_iter().map(|minutes| Must::Reminder(Rule::Offset(minutes), occurrence(due))).collect()
    }

    /// `None` where anything may keep its reminders back.
    fn of_other(
        &self,
        script: &Script,
        task: usize,
        kind: Character,
        due: i64,
        besides: Besides,
    ) -> Option<Vec<Must>> {
        let is_about = |said: &&Said| said.of == Of::Task(task) || kind.user.map(Of::User) == Some(said.of);
        let all: Vec<&Said> = script.events.iter().filter(is_about).collect();
        let keeps_back = |said: &&Said| {
            matches!(
                said.what,
                Says::Snoozed(_)
                    | Says::Acknowledged
                    | Says::Wishes(Wishes::Mute(_) | Wishes::Quiet { mode: "drop", .. })
            )
        };
        // Its creation may be forgotten with a store that was lost.
        if self.created.is_none() || besides.imported.is_some() || all.iter().any(keeps_back) {
            return None;
        }
        let said = all.iter().map(|said| instant(said.at)).max()?;
        let birth = besides.configured.into_iter().fold(said, Timestamp::max);
        let has_wishes = all.iter().any(|said| matches!(said.what, Says::Wishes(_)));
        let creation = all.iter().find_map(|said| match &said.what {
            Says::Created(creation) => Some(creation),
            _ => None,
        })?;
        // Its explicit time stands alone.
        if creation.remind_at.is_some() && self.offsets.is_none() {
            return None;
        }
        let comes_first = instant(due) > birth;
        let coalesces = script.catch_up == CatchUp::Coalesce;
        let Some(count) = creation.daily else {
            let must =
                if coalesces && creation.remind_at.is_some() { Must::Any } else { Must::Due(instant(due)) };
            return Some(Vec::from_iter(comes_first.then_some(must)));
        };
        if has_wishes || coalesces && creation.remind_at.is_some() {
            return Some(Vec::from_iter(comes_first.then_some(Must::Any)));
        }
        let shortest = self.offsets.map_or(Some(DEFAULT_OFFSET_MAX), |(_, all)| all.iter().copied().min())?;
        let later = |turn: u32| due + i64::from(turn) * DAY;
        // A series goes on behind what it has reminded of: one that is moved back, by an event that comes late or to a clock
        // that is ahead, may have reminded of a later instant already.
        let was_later = |said: &&&Said| match &said.what {
            Says::Created(creation) => creation.due > due,
            Says::Due(other) => *other > due,
            _ => false,
        };
        let is_moved_back = all.iter().any(|said| was_later(&said));
        let comes = |turn: &u32| match turn {
            0 => comes_first && !is_moved_back,
            turn => instant(later(*turn) - i64::from(shortest) * MINUTE) > birth,
        };
        let mut turns: Vec<u32> = (0..count).filter(comes).collect();
        if coalesces {
            turns = turns.pop().into_iter().collect();
        }
        Some(turns.into_iter().map(|turn| Must::Due(instant(later(turn)))).collect())
    }
}

fn occurrence(due: i64) -> Moment {
    Moment::new(Due::Instant(instant(due)), Zone::UTC)
}

impl fmt::Display for Must {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reminder(rule, due) => write!(f, "{rule}, due at {due}"),
            Self::Due(due) => write!(f, "what is due at {due}"),
            Self::Any => write!(f, "all"),
        }
    }
}
