//! Walking around what can't be read.

use std::collections::BTreeSet;

use crate::domain::TaskId;
use crate::store::sled::disk::{Disk as _, Writes};
use crate::store::sled::{in_memory, keys};
use crate::store::{Around, Batch, Op, Store, StoreError};

fn task(number: u64) -> TaskId {
    TaskId::new(format!("{number:02}")).unwrap()
}

fn tasks(count: u64) -> Batch {
    let mut batch = Batch::default();
    (0..count).for_each(|number| batch.push(Op::PutRecord(task(number), Box::default())));
    batch
}

#[test]
fn a_walk_sees_once_all_that_lies_around_what_cannot_be_read_and_tells_where_that_begins_and_ends() {
    const COUNT: u64 = 20;
    for (torn, told) in [
        (0..0, None),
        (5..8, Some("tasks after tasks 04, before tasks 08: the page is torn")),
        (0..3, Some("tasks from the first on, before tasks 03: ")),
        (17..20, Some("tasks after tasks 16, to the last: ")),
        (0..20, Some("tasks from the first on, to the last: ")),
    ] {
        for limit in [1, 2, 5, 100] {
            let store = in_memory().unwrap();
            store.commit(&tasks(COUNT)).unwrap();
            let store = if torn.is_empty() {
                store
            } else {
                store.torn(keys::record(&task(torn.start)), keys::record(&task(torn.end)))
            };
            let (mut seen, mut steps, mut left_out) = (Vec::new(), 0, None);
            let mut walk = None;
            loop {
                let step = store.tasks_around(walk.as_ref(), limit).unwrap();
                assert!(step.found.len() <= limit && step.unreadable == 0);
                seen.extend(step.found);
                (left_out, walk, steps) = (left_out.or(step.left_out), step.next, steps + 1);
                assert!(steps <= COUNT + 3, "it ends");
                if walk.is_none() {
                    break;
                }
            }
            let expected: BTreeSet<TaskId> =
                (0..COUNT).filter(|number| !torn.contains(number)).map(task).collect();
            assert_eq!(seen.len(), expected.len(), "{torn:?} {limit}");
            assert_eq!(BTreeSet::from_iter(seen), expected, "{torn:?} {limit}");
            assert_eq!(left_out.is_some(), told.is_some(), "{torn:?} {limit}: {left_out:?}");
            assert!(left_out.is_none_or(|text| text.starts_with(told.unwrap())), "{torn:?} {limit}");
        }
    }
}

#[test]
fn pages_of_tasks_pass_over_what_cannot_be_read_and_are_full_up_to_the_end() {
    const COUNT: u64 = 20;
    for torn in [0..0, 5..8, 0..3, 17..20, 0..20] {
        let store = in_memory().unwrap();
        store.commit(&tasks(COUNT)).unwrap();
        let store = if torn.is_empty() {
            store
        } else {
            store.torn(keys::record(&task(torn.start)), keys::record(&task(torn.end)))
        };
        for (limit, after) in [(1, None), (2, None), (5, None), (100, None), (3, Some(6)), (3, Some(19))] {
            let (mut seen, mut after) = (Vec::new(), after.map(task));
            let begins = after.clone();
            loop {
                let page = store.tasks_behind(after.as_ref(), limit).unwrap();
                let is_last = page.len() < limit;
                after = page.last().cloned().or(after);
                seen.extend(page);
                if is_last {
                    break;
                }
            }
            let expected = (0..COUNT).filter(|number| !torn.contains(number)).map(task);
            let expected: Vec<_> = expected.filter(|task| Some(task) > begins.as_ref()).collect();
            assert_eq!(seen, expected, "{torn:?} {limit}");
        }
    }
}

#[test]
fn a_key_that_says_nothing_is_told_and_passed_over() {
    let store = in_memory().unwrap();
    store
        .disk
        .write(&Writes::from([(b"r\xff".to_vec(), Some(vec![0])), (b"ra".to_vec(), Some(vec![0]))]))
        .unwrap();
    let step = store.tasks_around(None, 9).unwrap();
    assert_eq!((step.found.len(), step.unreadable, step.next), (1, 1, None));
}

#[test]
fn a_batch_that_would_come_upon_what_cannot_be_read_is_known_before_it_is_committed() {
    for (number, reached) in [(0, true), (1, false), (2, true)] {
        let store = in_memory().unwrap();
        store.commit(&tasks(3)).unwrap();
        let store = store.torn(keys::record(&task(1)), keys::record(&task(2)));
        let mut batch = Batch::default();
        batch.push(Op::RemoveRecord(task(number)));
        let told = store.reaches(&batch);
        assert_eq!(matches!(told, Err(StoreError::Corrupt(_))), !reached, "{number}");
        assert_eq!(store.commit(&batch).is_ok(), reached, "{number}");
    }
}
