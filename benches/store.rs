//! How many tasks a second the store takes in, by tasks a commit, as the commit loop does it: read each record,
//! write it and its place among the pending, and force the disk once for all.
//!
//! `cargo bench --bench store`; the directory is in the system's place for temporary files, which should be on
//! the disk that is meant (`TMPDIR=… cargo bench …`), not in memory.
#![expect(clippy::unwrap_used, reason = "a bench that fails panics")]

use std::time::{Duration, Instant};

use reminder_worker::domain::task::Cell;
use reminder_worker::domain::{
    Due, Kind, Moment, Record, Reminder, Rule, State, Statement, Task, TaskId, Timestamp, Version, Zone,
};
use reminder_worker::store::sled::SledStore;
use reminder_worker::store::{Batch, Op, Store};

const CACHE_MB: u64 = 64;
/// Enough for the curve to settle, few enough for the bench to end within a minute.
const TASKS: usize = 40_000;
const NOW: i64 = 1_790_000_000_000;

fn main() {
    println!("tasks a commit | step   | tasks/s | median commit | 99th of 100");
    for size in [1, 16, 64, 128, 256] {
        let dir = tempfile::TempDir::new().unwrap();
        let store = SledStore::open(&dir.path().join("store"), CACHE_MB).unwrap();
        let tasks = if size == 1 { TASKS / 10 } else { TASKS };
        measure("take in", size, tasks, |ids| take_in(&store, ids));
        measure("settle", size, tasks, |ids| settle(&store, ids));
        store.close();
    }
}

#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
fn measure(step: &str, size: usize, tasks: usize, commit: impl Fn(&[(usize, TaskId)])) {
    let ids: Vec<(usize, TaskId)> = (0..tasks).map(|number| (number, id(number))).collect();
    let mut took: Vec<Duration> = Vec::new();
    let started = Instant::now();
    for group in ids.chunks(size) {
        let began = Instant::now();
        commit(group);
        took.push(began.elapsed());
    }
    let all = started.elapsed();
    took.sort_unstable();
    let rate = f64::from(u32::try_from(tasks).unwrap()) / all.as_secs_f64();
    let (median, late) = (took[took.len() / 2], took[took.len() * 99 / 100]);
    println!("{size:>14} | {step:<7}| {rate:>7.0} | {median:>13.1?} | {late:.1?}");
}

/// Ids as they come: random.
fn id(number: usize) -> TaskId {
    let name = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, &number.to_be_bytes());
    TaskId::new(name.to_string()).unwrap()
}

fn take_in(store: &SledStore, ids: &[(usize, TaskId)]) {
    let mut batch = Batch::default();
    for (number, id) in ids {
        let before = store.record(id).unwrap();
        batch.replace(id, before.as_ref(), Some(Box::new(record(*number))));
    }
    batch.push(Op::PutMeta(Box::default()));
    store.commit(&batch).unwrap();
}

fn settle(store: &SledStore, ids: &[(usize, TaskId)]) {
    let mut batch = Batch::default();
    for (_, id) in ids {
        let before = store.record(id).unwrap().unwrap();
        let mut after = before.clone();
        after.reminders[0].settle(State::Published, Timestamp::from_millis(NOW), None);
        batch.replace(id, Some(&before), Some(Box::new(after)));
    }
    batch.push(Op::PutMeta(Box::default()));
    store.commit(&batch).unwrap();
}

fn record(number: usize) -> Record {
    let number = i64::try_from(number).unwrap();
    let version =
        Version { ms: NOW, kind: Kind::Created, broker: NOW + 3, offset: 9_000, digest: u64::MAX / 3 };
    let due = Timestamp::from_millis(NOW + 60_000 * (number * 7919 % 100_000));
    let statements = [
        Statement::User(Some("3f1c9b1e-5d0a-4a3b-9a57-0d9b1d2c7e11".into())),
        Statement::Title(Some("Send the quarterly report".into())),
        Statement::Priority(Some(reminder_worker::domain::Priority::High)),
        Statement::Status(Some(reminder_worker::domain::Status::Todo)),
        Statement::Due(Some(Due::Instant(due))),
    ];
    let cell = |statement| Cell { statement, version, since: Some(Timestamp::from_millis(NOW)) };
    let task =
        Task { created: Some(version), cells: statements.into_iter().map(cell).collect(), ..Task::default() };
    let occurrence = Moment::new(Due::Instant(due), Zone::UTC);
    Record {
        task,
        generation: 1,
        reminders: vec![Reminder::pending(Some(occurrence), Rule::Offset(0), due)],
        ..Record::default()
    }
}
