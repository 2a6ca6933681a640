use std::collections::HashSet;

use serde_json::{Map, Value};

use super::super::names::{KNOWN_KEYS_MAX, Layer, Name, SPELLINGS, lookup};

#[test]
fn every_spelling_names_one_thing() {
    let mut seen = HashSet::new();
    assert!(SPELLINGS.iter().map(|(_, spellings)| spellings.len()).sum::<usize>() < KNOWN_KEYS_MAX);
    for (name, spellings) in SPELLINGS {
        for spelling in spellings {
            assert!(seen.insert(spelling.replace('_', "")), "{spelling} stands twice");
            assert_eq!(lookup(spelling).map(|(found, _)| found), Some(name), "{spelling}");
        }
    }
}

#[test]
fn case_and_separators_do_not_tell_names_apart() {
    for key in ["task_id", "taskId", "TaskID", "task-id", "TASK_ID", "taskid"] {
        assert_eq!(lookup(key).map(|(name, _)| name), Some(Name::TaskId), "{key}");
    }
    for key in ["", "_", "task id", "tasкid", "ｔask_id"] {
        assert_eq!(lookup(key), None, "{key}");
    }
}

#[test]
fn a_key_on_the_bound_is_looked_at_and_one_beyond_is_not() {
    let padded = |length: usize| format!("task{}id", "_".repeat(length - "taskid".len()));
    assert!(lookup(&padded(48)).is_some());
    assert!(lookup(&padded(49)).is_none());
}

#[test]
fn an_objects_known_keys_are_looked_at_up_to_a_bound() {
    let spelled =
        |n: usize| format!("t{:b}id", n + 1).replace('1', "_").replace('0', "-").replace("id", "askid");
    let object = |count: usize| (0..count).map(|n| (spelled(n), Value::Null)).collect::<Map<_, _>>();
    for (count, looked_at) in [(KNOWN_KEYS_MAX, KNOWN_KEYS_MAX), (KNOWN_KEYS_MAX + 1, KNOWN_KEYS_MAX)] {
        let object = object(count);
        assert_eq!(object.len(), count);
        assert_eq!(Layer::of(&object).iter().count(), looked_at);
    }
}
