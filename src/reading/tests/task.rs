use serde_json::json;

use super::{Reading, Reason, Transport, event, read, reason};
use crate::domain::TASK_ID_MAX_BYTES;

#[test]
fn the_task_is_found_wherever_it_lies() {
    for key in ["payload", "task_data", "taskData", "data", "task"] {
        for id in ["task_id", "taskId", "id"] {
            let body = json!({"event_type": "task_created", "id": "event", key: {id: "t-1"}});
            assert_eq!(event(&body).task_id.as_str(), "t-1", "{key}.{id}");
        }
    }
    for id in ["task_id", "taskId"] {
        assert_eq!(event(&json!({"event_type": "task_created", id: "t-1"})).task_id.as_str(), "t-1");
    }
    let nested = json!({"event_type": "task_created", "payload": {"id": "event", "task": {"id": "t-1"}}});
    assert_eq!(event(&nested).task_id.as_str(), "t-1");
    let states = json!({"event_type": "task_updated", "payload": {"before": {"id": 4}, "after": {"id": 4}}});
    assert_eq!(event(&states).task_id.as_str(), "4");
    let gone = json!({"event_type": "task_deleted", "before": {"id": 4}, "after": null});
    assert_eq!(event(&gone).task_id.as_str(), "4");
}

#[test]
fn a_task_id_is_text_or_an_exact_integer() {
    for (id, text) in [
        (json!("8b0c…"), "8b0c…"),
        (json!(" x "), " x "),
        (json!(42), "42"),
        (json!("42"), "42"),
        (json!(-1), "-1"),
        (json!(0), "0"),
        (json!(u64::MAX), "18446744073709551615"),
        (json!(9_007_199_254_740_993_u64), "9007199254740993"),
    ] {
        assert_eq!(event(&json!({"event_type": "task_deleted", "task_id": id})).task_id.as_str(), text);
    }
    for id in [json!(1.5), json!(1e30), json!(true), json!([1]), json!({}), json!(""), json!("a\u{0}b")] {
        let body = json!({"event_type": "task_deleted", "task_id": id});
        assert_eq!(reason(&body).code(), "task_id_unreadable", "{id}");
    }
    assert_eq!(reason(&json!({"event_type": "task_deleted", "task_id": null})), Reason::TaskIdMissing);
}

#[test]
fn a_task_id_on_the_bound_is_read_and_one_beyond_is_not() {
    let on = "x".repeat(TASK_ID_MAX_BYTES);
    assert_eq!(event(&json!({"event_type": "task_deleted", "task_id": on})).task_id.as_str(), on);
    let beyond = json!({"event_type": "task_deleted", "task_id": format!("{on}x")});
    assert_eq!(reason(&beyond).code(), "task_id_unreadable");
}

#[test]
fn an_integer_that_a_float_may_have_changed_is_no_certain_id() {
    let floats = Transport { float_numbers: true, ..Transport::default() };
    for (id, certain) in [
        (9_007_199_254_740_991_i64, true),
        (9_007_199_254_740_992, false),
        (-9_007_199_254_740_992, false),
        (-9_007_199_254_740_991, true),
    ] {
        let body = json!({"event_type": "task_deleted", "task_id": id}).to_string();
        assert_eq!(matches!(read(body.as_bytes(), &floats), Reading::Event(_)), certain, "{id}");
        assert!(matches!(read(body.as_bytes(), &Transport::default()), Reading::Event(_)), "{id}");
    }
    let largest = json!({"event_type": "task_deleted", "task_id": u64::MAX}).to_string();
    assert!(matches!(read(largest.as_bytes(), &floats), Reading::Refused(_)));
}

#[test]
fn a_flat_bodys_own_id_is_the_tasks_only_where_it_cannot_be_the_events() {
    let may_be_the_events = json!({"event_type": "task_created", "id": "x", "title": "Tea"});
    assert_eq!(reason(&may_be_the_events), Reason::TaskIdMissing);
    let event_has_its_own = json!({"event_type": "task_created", "event_id": "e", "id": "x", "title": "Tea"});
    assert_eq!(event(&event_has_its_own).task_id.as_str(), "x");
    let body_is_the_task =
        json!({"specversion": "1.0", "id": "e", "type": "task.created", "data": {"id": "x"}});
    assert_eq!(event(&body_is_the_task).task_id.as_str(), "x");
    let envelope =
        json!({"specversion": "1.0", "id": "e", "type": "task.created", "event_id": "e", "title": "Tea"});
    assert_eq!(reason(&envelope), Reason::TaskIdMissing);
    let only_an_event_id = json!({"event_type": "task_created", "event_id": "e"});
    assert_eq!(reason(&only_an_event_id), Reason::TaskIdMissing);
}

#[test]
fn two_task_ids_must_agree_and_a_bare_id_gives_way() {
    let agree = json!({"event_type": "task_updated", "task_id": 5, "payload": {"task_id": "5"}});
    assert_eq!(event(&agree).task_id.as_str(), "5");
    let differ = json!({"event_type": "task_updated", "task_id": 5, "payload": {"task_id": 6}});
    assert_eq!(reason(&differ).code(), "task_id_ambiguous");
    let bare = json!({"event_type": "task_updated", "task_id": 5, "payload": {"id": "row-9"}});
    assert_eq!(event(&bare).task_id.as_str(), "5");
}
