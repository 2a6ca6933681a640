//! The bytes of values, fixed for ever: a store on a disk outlives the order of declarations. A change here is a
//! new format with a step to it.

use super::strategies::{noted_record, plain_record};
use crate::domain::history::{EventId, History, Move, Note, Noted};
use crate::domain::task::{CalledOff, Cell, Origin, Outcome, Past};
use crate::domain::{
    ByPriority, Due, Field, Kind, Moment, Nags, Priority, Record, Refusal, Reminder, ReminderId, Rule,
    Snooze, State, Statement, Status, Tally, Target, Task, TaskId, Timestamp, Until, Version,
};
use crate::store::sled::codes::Coded;
use crate::store::sled::{keys, records, values};
use crate::store::{
    Claim, Dated, EventTally, Ledger, Meta, OutboxEntry, Paused, PolicyMark, Quarantined, Usage,
};

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn words_keep_their_numbers() {
    fn check<T: Coded + Copy + PartialEq + std::fmt::Debug>(table: &[(u8, T)]) {
        for (code, word) in table {
            assert_eq!(word.code(), *code, "{word:?}");
            assert_eq!(T::from_code(*code), Ok(*word));
        }
        let next = u8::try_from(table.len()).unwrap() + 1;
        for unknown in [0, next, u8::MAX] {
            assert!(T::from_code(unknown).is_err(), "{unknown}");
        }
    }
    check(&[
        (1, Kind::Created),
        (2, Kind::Updated),
        (3, Kind::Completed),
        (4, Kind::Deleted),
        (5, Kind::Snoozed),
        (6, Kind::Acknowledged),
    ]);
    check(&[(1, Priority::Low), (2, Priority::Medium), (3, Priority::High)]);
    check(&[(1, Status::Todo), (2, Status::InProgress), (3, Status::Done)]);
    check(&[
        (1, State::Pending),
        (2, State::Published),
        (3, State::Cancelled),
        (4, State::Superseded),
        (5, State::Expired),
    ]);
    check(&[
        (1, Field::User),
        (2, Field::Title),
        (3, Field::Priority),
        (4, Field::Status),
        (5, Field::Due),
        (6, Field::Zone),
        (7, Field::Offsets),
        (8, Field::RemindAt),
        (9, Field::Tags),
        (10, Field::Recurrence),
        (11, Field::Nags),
        (12, Field::Snooze),
        (13, Field::Acknowledged),
        (14, Field::Cancelled),
    ]);
}

/// Every word, kind of due date and optional part at least once.
fn full_record() -> Record {
    let version = |n: u64, kind| Version {
        ms: 1000 + i64::try_from(n).unwrap(),
        kind,
        broker: if n.is_multiple_of(2) { 0 } else { 990 },
        offset: n * 100,
        digest: 0x0102_0304_0506_0700 + n,
    };
    let at = Timestamp::from_millis;
    let berlin = "Europe/Berlin".parse().unwrap();
    let cell = |n, kind, since, statement| Cell { statement, version: version(n, kind), since };
    let cells = vec![
        cell(1, Kind::Created, None, Statement::User(Some("u".into()))),
        cell(2, Kind::Updated, None, Statement::Title(None)),
        cell(2, Kind::Updated, None, Statement::Priority(Some(Priority::High))),
        cell(3, Kind::Completed, Some(at(1003)), Statement::Status(Some(Status::Done))),
        cell(1, Kind::Created, Some(at(900)), Statement::Due(Some(Due::Date(20_000)))),
        cell(1, Kind::Created, None, Statement::Zone(Some(berlin))),
        cell(1, Kind::Created, None, Statement::Offsets(Some(vec![0, 15, 1440]))),
        cell(1, Kind::Created, None, Statement::RemindAt(Some(vec![Due::Instant(at(5)), Due::Wall(6)]))),
        cell(1, Kind::Created, None, Statement::Tags(Some(vec!["a".into(), "bc".into()]))),
        cell(1, Kind::Created, None, Statement::Recurrence(Some("{}".into()))),
    ];
    let task = Task {
        created: Some(version(1, Kind::Created)),
        born: Some(at(1001)),
        deleted: Some(version(0, Kind::Deleted)),
        cells,
        past: vec![Past { field: Field::Offsets, value: 77, since: at(800) }],
        arrivals: vec![88],
        due_origin: Origin { correlation_id: Some("c".into()), trace_id: Some([0xab; 16]) },
        recurrence_producer: None,
        called_off: Vec::new(),
        transport: Some(at(1500)),
    };
    let occurrence = Moment::new(Due::Date(20_000), berlin);
    let plain = Reminder::pending(Some(occurrence), Rule::Offset(15), at(1_728_000_000_000));
    let reminders = vec![
        Reminder { leaving: Some(State::Superseded), ..plain.clone() },
        Reminder {
            state: State::Published,
            settled_at: Some(at(2000)),
            received_at: Some(at(2001)),
            ..plain.clone()
        },
        Reminder { state: State::Cancelled, attempts: 3, next_attempt: Some(at(3000)), ..plain.clone() },
        Reminder { state: State::Superseded, maybe_out: true, ..plain.clone() },
        Reminder { state: State::Expired, reason: Some("late".into()), ..plain },
        Reminder::pending(None, Rule::At(Moment::new(Due::Wall(9), berlin)), at(10)),
    ];
    let low_water = vec![(Rule::Offset(15), at(700))];
    Record { task, generation: 6, reminders, low_water, ..Record::default() }
}

#[test]
fn records_keep_their_bytes() {
    assert_eq!(
        hex(&records::encode(&full_record())),
        concat!(
            "010461d20f15640102030405060701040101020304050607004204c8010102030405060702630219ac020102",
            "030405060703ff000100e6070163abababababababababababababababab0107000000000000004d91030100",
            "000000000000580a0100017522020302038403034500c90103c0b80206000d4575726f70652f4265726c696e",
            "070003000fa00b08000201c70f02c50f09000201610262630a00027b7d0606010503c0b8020d4575726f7065",
            "2f4265726c696e010fc0ee6d044222010fc0ee6ddfe09bcdca64dde09bcdca64031a010fc0ee6d8fd19bcdca",
            "64032402010fc0ee6d8502010fc0ee6d046c61746501000202bf0f0d4575726f70652f4265726c696e020101",
            "0fd904"
        )
    );
    assert_eq!(
        hex(&records::encode(&plain_record())),
        concat!(
            "010161f6b183c598681897f8029e3779b97f4a7c15230000180501002433663163396231652d356430612d34",
            "6133622d396135372d30643962316432633765313102001953656e642074686520717561727465726c792072",
            "65706f72740300038400018500018090e4c00401010101018090e4c00401000000"
        )
    );
    assert_eq!(records::decode(&records::encode(&full_record())), Ok(full_record()));
}

/// What the plain encoding cannot hold, at least once.
fn record_with_extras() -> Record {
    let at = Timestamp::from_millis;
    let version = |kind| Version { ms: 1000, kind, broker: 0, offset: 0, digest: 7 };
    let cell = |kind, statement| Cell { statement, version: version(kind), since: None };
    let occurrence = Moment::new(Due::Instant(at(5000)), "UTC".parse().unwrap());
    let snooze = |until, of| Statement::Snooze(Some(Snooze { until, of }));
    let other = |id| Target::Reminder(ReminderId::from_bytes([id; 16]));
    let task = Task {
        cells: vec![
            cell(Kind::Created, Statement::Nags(Some(Nags { every_minutes: 1440, max: 3 }))),
            cell(Kind::Snoozed, snooze(Until::At(at(6000)), Target::Occurrence(occurrence))),
            cell(Kind::Snoozed, snooze(Until::Minutes(10), Target::Present)),
            cell(Kind::Acknowledged, Statement::Acknowledged(Some(other(0xaa)))),
            cell(Kind::Updated, Statement::Cancelled(Some(Target::Present))),
        ],
        recurrence_producer: Some("p".into()),
        ..Task::default()
    };
    let reminder = |rule| Reminder::pending(Some(occurrence), rule, at(9000));
    let reminders = vec![
        reminder(Rule::Nag(2)),
        Reminder { moved_from: Some(at(8000)), ..reminder(Rule::Snooze(at(6000))) },
        Reminder { within: Some(ReminderId::from_bytes([0xbb; 16])), ..reminder(Rule::Offset(0)) },
    ];
    Record { task, generation: 1, reminders, low_water: vec![(Rule::Nag(1), at(1))], ..Record::default() }
}

/// Every kind of note, and what was called off.
fn record_with_history() -> Record {
    let at = Timestamp::from_millis;
    let version = |n: i64, kind| Version { ms: 1000 + n, kind, broker: 0, offset: 0, digest: 7 };
    let user = Statement::User(Some("8f1d5b0e-2a67-4c3b-9d41-6e0b7c52a419".into()));
    let task = Task {
        cells: vec![Cell { statement: user, version: version(0, Kind::Created), since: None }],
        called_off: vec![
            CalledOff { of: None, at: at(1) },
            CalledOff { of: Some(Target::Reminder(ReminderId::from_bytes([0xaa; 16]))), at: at(2) },
        ],
        ..Task::default()
    };
    let noted = |n, kind, outcome, id: &str, producer: Option<&str>| Noted {
        at: at(1010),
        version: version(n, kind),
        outcome,
        id: Some(EventId::of(id)),
        producer: producer.map(str::to_owned),
        overwritten: Vec::new(),
        refused: Vec::new(),
    };
    let refused = vec![Refusal { key: "k".into(), reason: "r".into() }];
    let moved = vec![Move { reminder: ReminderId::from_bytes([0xbb; 16]), from: at(5), to: at(6) }];
    let uuid = "8f1d5b0e2a674c3b9d416e0b7c52a419";
    let notes = vec![
        Note::Event(noted(0, Kind::Created, Outcome::Applied, uuid, Some("chat-api"))),
        Note::Event(Noted {
            overwritten: vec![Field::Due],
            refused,
            ..noted(1, Kind::Updated, Outcome::Stale, "x", Some("p"))
        }),
        Note::Event(noted(1, Kind::Updated, Outcome::Ignored, "y", Some("reminder-worker"))),
        Note::Event(Noted { id: None, ..noted(1, Kind::Updated, Outcome::Applied, "", None) }),
        Note::Replanned { at: at(1020), tzdb: "2026b".into(), moved },
    ];
    let occurrence = Moment::new(Due::Instant(at(5000)), "UTC".parse().unwrap());
    let reminder = Reminder {
        planned_by: Some(3),
        ended_by: Some(4),
        ..Reminder::pending(Some(occurrence), Rule::Offset(0), at(5000))
    };
    let history = History { forgotten: 3, notes };
    Record { task, generation: 1, reminders: vec![reminder], history, ..Record::default() }
}

#[test]
fn histories_keep_their_bytes() {
    let record = record_with_history();
    assert_eq!(
        hex(&records::encode(&record)),
        concat!(
            "020201d00f00000000000000070202000000000000000700011f008f1d5b0e2a674c3b9d416e0b7c52a419",
            "0101010101c03e01000000020416020200040103aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa054e0103058100",
            "148f1d5b0e2a674c3b9d416e0b7c52a41902f901120178010170010501016b0172cd011201790301011200",
            "02f80f05323032366201bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb0a020405",
        )
    );
    assert_eq!(records::decode(&records::encode(&record)), Ok(record));
    assert_eq!(
        hex(&records::encode(&noted_record())),
        concat!(
            "020161f6b183c598681897f8029e3779b97f4a7c1523000018051f003f1c9b1e5d0a4a3b9a570d9b1d2c7e",
            "1102001953656e642074686520717561727465726c79207265706f72740300038400018500018090e4c004",
            "01010101018090e4c0040100000001051602014100508f1d5b0e2a674c3b9d416e0b7c52a41902",
        )
    );
    assert_eq!(records::decode(&records::encode(&noted_record())), Ok(noted_record()));
}

#[test]
fn records_with_extras_keep_their_bytes() {
    let record = record_with_extras();
    assert_eq!(
        hex(&records::encode(&record)),
        concat!(
            "020401d00f0000000000000007050000000000000000070600000000000000000702000000000000000007",
            "00050b00a00b030c0101904e0201c03e0c01020a010d0203aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa0e0301",
            "0103010101c03e0302c03e010204904ef02e01020100c03e010301cd0f030102017002040101cf0f031201",
            "02bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
        )
    );
    assert_eq!(records::decode(&records::encode(&record)), Ok(record));
}

/// Another count for each state.
pub(super) fn counts() -> Tally {
    let mut counts = [0; State::ALL.len()];
    for (state, count) in [
        (State::Pending, 1),
        (State::Published, 2),
        (State::Cancelled, 3),
        (State::Superseded, 4),
        (State::Expired, 5),
    ] {
        counts[State::ALL.iter().position(|s| *s == state).unwrap()] = count;
    }
    Tally::from_counts(counts)
}

#[test]
fn other_values_keep_their_bytes() {
    let at = Timestamp::from_millis;
    let task = TaskId::new("t").unwrap();
    let meta = Meta {
        events: EventTally { applied: 1, duplicate: 2, stale: 3, ignored: 4, quarantined: 5 },
        reminders: counts(),
        horizon: Some(at(6)),
        policy: Some(PolicyMark {
            digest: 7,
            generation: 8,
            offsets: ByPriority::each(|_| Dated { digest: 19, since: at(9) }),
            nags: Dated { digest: 0, since: Timestamp::MIN },
            zone: Dated { digest: 20, since: at(-9) },
            date_only: Dated { digest: 21, since: at(0) },
            recurrence: None,
        }),
        replanning_after: Some(Some(task.clone())),
        next_claim: 10,
        next_quarantined: 11,
        next_outbox: 12,
        quarantine: Usage { entries: 13, bytes: 14 },
        outbox: Usage { entries: 15, bytes: 16 },
        outbox_dead: Usage { entries: 17, bytes: 18 },
        paused: None,
        users: 0,
        wishes_pass: None,
        ledger: Ledger { received: 15, planned: 15, forgotten: None },
    };
    assert_eq!(
        hex(&values::encode_meta(&meta)),
        "010f0102030405020406080a0a0b0c0d0e0f1011120c0000000000000007080000000000000013120000000000000014110000000000000015000174",
        "what a plain policy was written as by the first release"
    );
    assert_eq!(values::decode_meta(&values::encode_meta(&meta)), Ok(meta.clone()));
    let mut meta = meta;
    if let Some(policy) = &mut meta.policy {
        policy.offsets.high = Dated { digest: 22, since: at(1) };
        policy.nags = Dated { digest: 23, since: at(2) };
    }
    assert_eq!(
        hex(&values::encode_meta(&meta)),
        "011f0102030405020406080a0a0b0c0d0e0f1011120c0000000000000007080000000000000013120000000000000014110000000000000015000174000000000000001312000000000000001602000000000000001704"
    );
    assert_eq!(values::decode_meta(&values::encode_meta(&meta)), Ok(meta));
    let claim = Claim { number: 1, reminders: vec![ReminderId::from_bytes([0xcd; 16])] };
    assert_eq!(hex(&values::encode_claim(&claim)), "0101cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd");
    let event =
        Quarantined { at: at(-1), topic: "t".into(), code: "c".into(), reason: "r".into(), length: 300 };
    assert_eq!(hex(&values::encode_quarantined(&event)), "0101017401630172ac02");
    let entry = OutboxEntry {
        topic: "o".into(),
        task,
        event_id: "e".into(),
        at: at(1),
        attempts: 2,
        next_attempt: Some(at(3)),
        reason: Some("r".into()),
        dead: true,
        length: 4,
    };
    assert_eq!(hex(&values::encode_outbox(&entry)), "010702016f017401650204060172");
}

#[test]
fn a_pause_stands_behind_all_that_a_store_from_before_it_has() {
    let meta = |paused: Option<(i64, Option<&str>)>| Meta {
        paused: paused.map(|(since, reason)| Paused {
            since: Timestamp::from_millis(since),
            reason: reason.map(str::to_owned),
        }),
        horizon: Some(Timestamp::from_millis(6)),
        ledger: Ledger { forgotten: None, ..Ledger::default() },
        ..Meta::default()
    };
    let counts = "00".repeat(19);
    for (meta, bytes) in [
        (meta(None), format!("0101{counts}0c")),
        (meta(Some((-1, None))), format!("0121{counts}0c0100")),
        (meta(Some((1, Some("r")))), format!("0121{counts}0c02010172")),
    ] {
        assert_eq!(hex(&values::encode_meta(&meta)), bytes);
        assert_eq!(values::decode_meta(&values::encode_meta(&meta)), Ok(meta));
    }
}

#[test]
fn tasks_in_a_reminder_index_keep_their_bytes() {
    let bytes = |text: &str| hex(&values::encode_task(&TaskId::new(text).unwrap()));
    assert_eq!(bytes("7b0d1c52-9a3e-4c11-8f00-0123456789ab"), "ff7b0d1c529a3e4c118f000123456789ab");
    assert_eq!(bytes("7B0D1C52"), hex(b"7B0D1C52"));
    for malformed in [&[][..], &[0xff], &[0xff; 16], &[0xff; 18], &[0xfe; 17]] {
        assert!(values::decode_task(malformed).is_err(), "{malformed:?}");
    }
}

#[test]
fn keys_keep_their_bytes() {
    let place = (Timestamp::from_millis(-1), ReminderId::from_bytes([0xee; 16]));
    assert_eq!(hex(&keys::record(&TaskId::new("t1").unwrap())), "727431");
    assert_eq!(hex(&keys::index(keys::PENDING, &place)), format!("707fffffffffffffff{}", "ee".repeat(16)));
    assert_eq!(hex(&keys::index(keys::SETTLED, &place)), format!("737fffffffffffffff{}", "ee".repeat(16)));
    for (space, letter) in [
        (keys::CLAIM, "63"),
        (keys::QUARANTINED, "71"),
        (keys::QUARANTINED_BODY, "51"),
        (keys::OUTBOX, "6f"),
        (keys::OUTBOX_BODY, "4f"),
    ] {
        assert_eq!(hex(&keys::numbered(space, 258)), format!("{letter}0000000000000102"));
    }
    assert_eq!(hex(&keys::single(keys::META)), "6d");
    assert_eq!(hex(&keys::single(keys::FORMAT)), "00");
    assert_eq!(hex(&keys::single(keys::IDENTITY)), "69");
    assert_eq!(hex(&keys::part(&keys::parts(b"O123"), 4)), "f04f000331323300000004");
}
