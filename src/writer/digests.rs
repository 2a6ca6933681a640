//! Putting claimed reminders together that go out in one event.
//!
//! What the wishes of one user moved to the same instant goes out together, if it is more than one. A digest is fixed
//! in the commit of its claim, where its members note its id: whatever happens then, they go out again under that id,
//! and nothing joins them. They wake together always, since their attempts began and ended together, so a claim that
//! takes one of them finds the others at the same instant of the index, where it goes on looking beyond its limit.
//!
//! A race it accepts: where more than [`GATHER_MAX`] reminders wake at one instant, a tried digest may be found in part,
//! and a user may get more digests than need be. Users' turns are a millisecond each and never on a whole second, so
//! that takes thousands of moved reminders of users that share one.

use std::collections::{BTreeMap, HashSet};

use super::group::Group;
use super::{Claimed, ClaimedDigest};
use crate::domain::digest::{DIGEST_MAX_BYTES, item_bytes, may_join, split};
use crate::domain::{Reminder, ReminderId, State, Task, Timestamp};
use crate::store::{IndexEntry, IndexKey, StoreError};

/// Most entries of the index looked at beyond a claim's limit for the other members of a digest: some ten
/// milliseconds of reading.
pub(super) const GATHER_MAX: usize = 4_096;
/// Entries of the index read at once meanwhile.
const GATHER_PAGE: usize = 128;

/// What reminders have in common that go out together: when, whose, and the digest they were tried in.
pub(super) type Together = (Timestamp, String, Option<ReminderId>);

/// What a reminder has in common with others; `None` where it goes out alone.
pub(super) fn together(task: &Task, reminder: &Reminder) -> Option<Together> {
    let reminder = Some(reminder).filter(|reminder| may_join(reminder))?;
    Some((reminder.fire_at, task.user()?.to_owned(), reminder.within))
}

fn key(claimed: &Claimed) -> Option<Together> {
    together(&claimed.task, &claimed.reminder)
}

impl Group<'_> {
    /// Takes out of `claimed`, the last of which stands at `last` in the index, what goes out in digests, and claims
    /// what belongs to them beyond.
    pub(super) fn digests(
        &mut self,
        claimed: &mut Vec<Claimed>,
        last: Option<IndexKey>,
    ) -> Result<Vec<ClaimedDigest>, StoreError> {
        if !claimed.iter().any(|claimed| may_join(&claimed.reminder)) {
            return Ok(Vec::new());
        }
        if let Some(last) = last {
            self.gather(claimed, last)?;
        }
        let mut groups: BTreeMap<Together, Vec<Claimed>> = BTreeMap::new();
        let mut alone = Vec::new();
        for claimed in claimed.drain(..) {
            match key(&claimed) {
                Some(key) => groups.entry(key).or_default().push(claimed),
                None => alone.push(claimed),
            }
        }
        let mut digests = Vec::new();
        for ((at, user, within), mut members) in groups {
            members.sort_by_key(|member| (member.reminder.instant(), member.id));
            let size = |member: &Claimed| item_bytes(&member.task_id, &member.task);
            if let Some(id) = within
                && members.iter().map(size).sum::<usize>() <= DIGEST_MAX_BYTES
            {
                digests.push(ClaimedDigest { id, user, at, members });
                continue;
            }
            for mut members in split(members, size) {
                if members.len() == 1 && within.is_none() {
                    alone.append(&mut members);
                    continue;
                }
                let ids: Vec<_> = members.iter().map(|member| member.id).collect();
                let id = ReminderId::of_digest(&user, at, &ids);
                members.iter_mut().try_for_each(|member| self.fix(member, id))?;
                digests.push(ClaimedDigest { id, user: user.clone(), at, members });
            }
        }
        alone.sort_by_key(|claimed| (claimed.reminder.wakes_at(), claimed.id));
        *claimed = alone;
        Ok(digests)
    }

    /// Claims what wakes at the same instant as `last`, behind it, and goes out together with what is claimed there.
    fn gather(&mut self, claimed: &mut Vec<Claimed>, last: IndexKey) -> Result<(), StoreError> {
        let there = claimed.iter().filter(|claimed| claimed.reminder.wakes_at() == last.0);
        let open: HashSet<Together> = there.filter_map(key).collect();
        if open.is_empty() {
            return Ok(());
        }
        let (mut after, mut looked_at, mut all) = (last, 0, true);
        while looked_at < GATHER_MAX {
            let entries = self.core.store.pending(Some(after), GATHER_PAGE)?;
            let ended = entries.len() < GATHER_PAGE;
            for entry in entries {
                if entry.key.0 != last.0 || looked_at == GATHER_MAX {
                    return Ok(());
                }
                looked_at += 1;
                after = entry.key;
                if !self.is_taken(&entry.key) {
                    if self.belongs(&entry, &open)? {
                        claimed.extend(self.attempt(&entry, None)?);
                    } else {
                        all = false;
                    }
                }
                // What was passed over must be found by the next claim.
                if all {
                    self.effects.scanned_to = Some(entry.key);
                }
            }
            if ended {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Whether an entry of the index goes out together with one of `open`.
    fn belongs(&mut self, entry: &IndexEntry, open: &HashSet<Together>) -> Result<bool, StoreError> {
        let record = match self.record(&entry.task) {
            Ok(Some(record)) => record,
            Ok(None) | Err(StoreError::Corrupt(_)) => return Ok(false),
            Err(other) => return Err(other),
        };
        let found = record.reminders.iter().find(|reminder| {
            reminder.state == State::Pending && may_join(reminder) && reminder.id(&entry.task) == entry.key.1
        });
        let key = found.and_then(|found| together(&record.task, found));
        Ok(key.is_some_and(|key| open.contains(&key)))
    }

    /// Notes in its record that `member` goes out in the digest `id`.
    fn fix(&mut self, member: &mut Claimed, id: ReminderId) -> Result<(), StoreError> {
        member.reminder.within = Some(id);
        let wanted = member.id;
        let task = member.task_id.clone();
        self.change(&task, |record| {
            if let Some(reminder) = super::claims::pending(record, &task, &wanted) {
                reminder.within = Some(id);
            }
        })
    }
}
