//! Values and keys come back as they went in, and no bytes make a reader panic.

use proptest::prelude::*;

use super::strategies::{any_instant, any_record, any_task_id, noted_record, plain_record};
use crate::domain::{ByPriority, ReminderId, State, Tally, TaskId, Timestamp};
use crate::store::sled::{keys, records, values};
use crate::store::{
    Claim, Dated, EventTally, Ledger, Meta, OutboxEntry, Paused, PolicyMark, Quarantined, Usage,
};

/// Most bytes that a plain task may take in its record: the design reckons with 120, its key aside.
const PLAIN_MAX_BYTES: usize = 130;

#[test]
fn a_plain_task_is_small() {
    for record in [plain_record(), noted_record()] {
        let bytes = records::encode(&record);
        println!("a plain task: {} bytes", bytes.len());
        assert!(bytes.len() <= PLAIN_MAX_BYTES, "{} bytes", bytes.len());
        assert_eq!(records::decode(&bytes), Ok(record));
    }
}

fn any_usage() -> impl Strategy<Value = Usage> {
    any::<(u64, u64)>().prop_map(|(entries, bytes)| Usage { entries, bytes })
}

fn any_meta() -> impl Strategy<Value = Meta> {
    let dated = (any::<u64>(), any_instant()).prop_map(|(digest, since)| Dated { digest, since });
    let flags = any::<[bool; 2]>();
    let policy = (any::<u64>(), any::<u32>(), proptest::array::uniform7(dated), flags).prop_map(
        |(digest, generation, [medium, zone, date_only, low, high, nags, recurrence], [plain, follows])| {
            PolicyMark {
                digest,
                generation,
                offsets: if plain { ByPriority::each(|_| medium) } else { ByPriority { low, medium, high } },
                nags,
                zone,
                date_only,
                recurrence: follows.then_some(recurrence),
            }
        },
    );
    let some = proptest::option::of::<BoxedStrategy<Option<TaskId>>>;
    (
        any::<[u64; 9]>(),
        any::<[i64; State::ALL.len()]>(),
        proptest::option::of(any_instant()),
        proptest::option::of(policy),
        some(proptest::option::of(any_task_id()).boxed()),
        (any_usage(), any_usage(), any_usage()),
        proptest::option::of((any_instant(), proptest::option::of("\\PC{0,80}"))),
        (any::<u64>(), any::<u64>(), proptest::option::of(any::<[i64; State::ALL.len()]>())),
    )
        .prop_map(|(counts, states, horizon, policy, replanning_after, usage, paused, ledger)| Meta {
            events: EventTally {
                applied: counts[0],
                duplicate: counts[1],
                stale: counts[2],
                ignored: counts[3],
                quarantined: counts[4],
            },
            reminders: Tally::from_counts(states),
            horizon,
            policy,
            replanning_after,
            users: counts[8],
            wishes_pass: None,
            next_claim: counts[5],
            next_quarantined: counts[6],
            next_outbox: counts[7],
            quarantine: usage.0,
            outbox: usage.1,
            outbox_dead: usage.2,
            paused: paused.map(|(since, reason)| Paused { since, reason }),
            ledger: Ledger {
                received: ledger.0,
                planned: ledger.1,
                forgotten: ledger.2.map(Tally::from_counts),
            },
        })
}

proptest! {
    #[test]
    fn a_record_comes_back_as_it_was(record in any_record()) {
        prop_assert_eq!(records::decode(&records::encode(&record)), Ok(record));
    }

    #[test]
    fn counters_come_back_as_they_were(meta in any_meta()) {
        prop_assert_eq!(values::decode_meta(&values::encode_meta(&meta)), Ok(meta));
    }

    #[test]
    fn claims_come_back_as_they_were(number: u64, ids in proptest::collection::vec(any::<[u8; 16]>(), 0..300)) {
        let claim = Claim { number, reminders: ids.into_iter().map(ReminderId::from_bytes).collect() };
        prop_assert_eq!(values::decode_claim(number, &values::encode_claim(&claim)), Ok(claim));
    }

    #[test]
    fn quarantined_events_come_back_as_they_were(
        at in any_instant(), topic in "\\PC{0,20}", code in "\\PC{0,20}", reason in "\\PC{0,80}", length: u64,
    ) {
        let event = Quarantined { at, topic, code, reason, length };
        prop_assert_eq!(values::decode_quarantined(&values::encode_quarantined(&event)), Ok(event));
    }

    #[test]
    fn outbox_entries_come_back_as_they_were(
        text in ("\\PC{0,20}", any_task_id(), "\\PC{0,40}"),
        at in any_instant(),
        state in (any::<u32>(), proptest::option::of(any_instant()), proptest::option::of("\\PC{0,80}")),
        dead: bool,
        length: u64,
    ) {
        let (topic, task, event_id) = text;
        let (attempts, next_attempt, reason) = state;
        let entry = OutboxEntry { topic, task, event_id, at, attempts, next_attempt, reason, dead, length };
        prop_assert_eq!(values::decode_outbox(&values::encode_outbox(&entry)), Ok(entry));
    }

    #[test]
    fn any_bytes_are_read_or_refused(mut bytes in proptest::collection::vec(any::<u8>(), 0..400), known: bool) {
        if let (true, Some(first)) = (known, bytes.first_mut()) {
            *first = 1 + *first % 2;
        }
        // Whatever they return: it is not a panic, and nothing large is made of little.
        let _ = records::decode(&bytes);
        let _ = values::decode_meta(&bytes);
        let _ = values::decode_claim(0, &bytes);
        let _ = values::decode_quarantined(&bytes);
        let _ = values::decode_outbox(&bytes);
        let _ = values::decode_task(&bytes);
        let _ = keys::index_of(&bytes);
        let _ = keys::number_of(&bytes);
        let _ = keys::task_of(&bytes);
    }

    #[test]
    fn a_record_with_a_byte_changed_is_read_or_refused(record in any_record(), at: usize, byte: u8) {
        let mut bytes = records::encode(&record);
        let at = at % bytes.len();
        bytes[at] = byte;
        let _ = records::decode(&bytes);
    }

    #[test]
    fn a_record_cut_short_is_refused(record in any_record(), cut: usize) {
        let bytes = records::encode(&record);
        prop_assert!(records::decode(&bytes[..cut % bytes.len()]).is_err());
    }

    #[test]
    fn index_keys_sort_as_their_instants_and_ids_do(
        a in (any_instant(), any::<[u8; 16]>()), b in (any_instant(), any::<[u8; 16]>()), same: bool,
    ) {
        let key = |(at, id): (Timestamp, [u8; 16])| (at, ReminderId::from_bytes(id));
        let (a, b) = (key(a), if same { key((a.0, b.1)) } else { key(b) });
        let (one, other) = (keys::index(keys::PENDING, &a), keys::index(keys::PENDING, &b));
        prop_assert_eq!(a.cmp(&b), one.cmp(&other));
        prop_assert_eq!(keys::index_of(&one), Some(a));
    }

    #[test]
    fn numbered_keys_sort_as_their_numbers_do(a: u64, b: u64) {
        let (one, other) = (keys::numbered(keys::CLAIM, a), keys::numbered(keys::CLAIM, b));
        prop_assert_eq!(a.cmp(&b), one.cmp(&other));
        prop_assert_eq!(keys::number_of(&one), Some(a));
    }

    #[test]
    fn a_task_of_a_reminder_index_comes_back_as_it_was_in_a_new_form_and_in_the_old_one(task in any_task_id()) {
        prop_assert_eq!(values::decode_task(&values::encode_task(&task)), Ok(task.clone()));
        prop_assert_eq!(values::decode_task(task.as_str().as_bytes()), Ok(task));
    }

    #[test]
    fn record_keys_sort_as_their_task_ids_do(a in any_task_id(), b in any_task_id()) {
        prop_assert_eq!(a.cmp(&b), keys::record(&a).cmp(&keys::record(&b)));
        prop_assert_eq!(keys::task_of(&keys::record(&a)), Some(a));
    }

    #[test]
    fn parts_of_one_key_never_lie_among_those_of_another(a in any_task_id(), b in any_task_id(), part: u32) {
        prop_assume!(a != b);
        let (one, other) = (keys::parts(&keys::record(&a)), keys::parts(&keys::record(&b)));
        let key = keys::part(&other, part);
        prop_assert!(key < one || key >= keys::beyond(&one));
    }
}
