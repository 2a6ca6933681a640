//! What a batch writes: which keys, and what their values are.

use super::disk::{Disk, Writes};
use super::parts::Parts;
use super::{keys, origin, preferences, records, values};
use crate::store::{Batch, Op, StoreError};

/// What `batch` writes, in the order of its keys.
pub(super) fn writes_of(batch: &Batch, disk: &dyn Disk, parts: &mut Parts) -> Result<Writes, StoreError> {
    let mut writes = Writes::new();
    let out = &mut writes;
    for op in batch.ops() {
        match op {
            Op::PutMeta(meta) => {
                parts.put(disk, out, keys::single(keys::META), &values::encode_meta(meta))?;
            }
            Op::PutRestored(restored) => {
                parts.put(disk, out, keys::single(keys::RESTORED), &origin::encode(restored))?;
            }
            Op::PutRecord(task, record) => {
                parts.put(disk, out, keys::record(task), &records::encode(record))?;
            }
            Op::RemoveRecord(task) => parts.remove(disk, out, keys::record(task))?,
            Op::PutPreferences(user, preferences) => {
                parts.put(disk, out, keys::user(user), &preferences::encode(preferences))?;
            }
            Op::RemovePreferences(user) => parts.remove(disk, out, keys::user(user))?,
            Op::PutPending(key, task) => {
                parts.put(disk, out, keys::index(keys::PENDING, key), &values::encode_task(task))?;
            }
            Op::RemovePending(key) => parts.remove(disk, out, keys::index(keys::PENDING, key))?,
            Op::PutSettled(key, task) => {
                parts.put(disk, out, keys::index(keys::SETTLED, key), &values::encode_task(task))?;
            }
            Op::RemoveSettled(key) => parts.remove(disk, out, keys::index(keys::SETTLED, key))?,
            Op::PutClaim(claim) => {
                let key = keys::numbered(keys::CLAIM, claim.number);
                parts.put(disk, out, key, &values::encode_claim(claim))?;
            }
            Op::RemoveClaim(number) => parts.remove(disk, out, keys::numbered(keys::CLAIM, *number))?,
            Op::PutQuarantined(number, event, body) => {
                let key = keys::numbered(keys::QUARANTINED, *number);
                parts.put(disk, out, key, &values::encode_quarantined(event))?;
                parts.put(disk, out, keys::numbered(keys::QUARANTINED_BODY, *number), body)?;
            }
            Op::RemoveQuarantined(number) => {
                parts.remove(disk, out, keys::numbered(keys::QUARANTINED, *number))?;
                parts.remove(disk, out, keys::numbered(keys::QUARANTINED_BODY, *number))?;
            }
            Op::PutOutbox(number, entry, body) => {
                let key = keys::numbered(keys::OUTBOX, *number);
                parts.put(disk, out, key, &values::encode_outbox(entry))?;
                parts.put(disk, out, keys::numbered(keys::OUTBOX_BODY, *number), body)?;
            }
            Op::UpdateOutbox(number, entry) => {
                let key = keys::numbered(keys::OUTBOX, *number);
                parts.put(disk, out, key, &values::encode_outbox(entry))?;
            }
            Op::RemoveOutbox(number) => {
                parts.remove(disk, out, keys::numbered(keys::OUTBOX, *number))?;
                parts.remove(disk, out, keys::numbered(keys::OUTBOX_BODY, *number))?;
            }
        }
    }
    Ok(writes)
}
