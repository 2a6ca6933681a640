use serde_json::json;

use super::{event, instant, reason, refused, stated, updated};
use crate::domain::{Field, Kind, Priority, Statement, Status};

const DUE: &str = "2026-11-24T09:00:00Z";

fn due() -> Statement {
    Statement::Due(Some(instant(DUE)))
}

#[test]
fn an_update_tells_its_new_values_in_every_shape() {
    for change in [
        json!({"changes": {"due_date": {"old": null, "new": DUE}}}),
        json!({"changes": {"due_date": {"old_value": "x", "new_value": DUE}}}),
        json!({"changes": {"dueDate": {"oldValue": "x", "newValue": DUE}}}),
        json!({"changes": {"due_date": {"before": null, "after": DUE}}}),
        json!({"changes": {"due_date": {"from": null, "to": DUE, "by": "u-1"}}}),
        json!({"changes": {"due_date": {"new": DUE}}}),
        json!({"changes": {"due_date": DUE}}),
        json!({"changed_fields": ["due_date"], "changes": {"due_date": {"old": null, "new": DUE}}}),
        json!({"changed_fields": {"due_date": {"old": null, "new": DUE}}}),
        json!({"updates": {"due_date": DUE}}),
        json!({"before": {"due_date": null}, "after": {"due_date": DUE}}),
        json!({"changes": {"before": {"due_date": null}, "after": {"due_date": DUE}}}),
        json!({"old": {"due_date": null}, "new": {"due_date": DUE}}),
        json!({"due_date": DUE}),
        json!({"task": {"id": "t-1", "due_date": DUE}}),
        json!({"changed_fields": ["due_date"], "task": {"id": "t-1", "due_date": DUE}}),
    ] {
        let read = event(&updated(&change));
        assert_eq!(read.kind, Kind::Updated);
        assert_eq!(read.statements, [due()], "{change}");
        assert_eq!(refused(&read), [""; 0], "{change}");
    }
}

#[test]
fn null_clears_and_absence_says_nothing() {
    for change in [
        json!({"changes": {"due_date": {"old": DUE, "new": null}}}),
        json!({"changes": {"due_date": {"old_value": DUE, "new_value": null}}}),
        json!({"changes": {"due_date": {"before": DUE, "after": null}}}),
        json!({"changes": {"due_date": {"new": ""}}}),
        json!({"changes": {"due_date": null}}),
        json!({"before": {"due_date": DUE}, "after": {"due_date": null}}),
        json!({"due_date": null}),
        json!({"due_date": ""}),
        json!({"changed_fields": ["dueDate"], "due_date": null}),
    ] {
        assert_eq!(event(&updated(&change)).statements, [Statement::Due(None)], "{change}");
    }
    assert_eq!(event(&updated(&json!({"changes": {"title": "x"}}))).statements, [title("x")]);
    assert_eq!(event(&updated(&json!({}))).statements, []);
}

fn title(text: &str) -> Statement {
    Statement::Title(Some(text.to_owned()))
}

#[test]
fn what_a_list_of_changes_leaves_out_may_be_a_models_default_and_is_not_believed() {
    let snapshot = json!({"title": "x", "due_date": null, "priority": "MEDIUM", "status": "TODO",
                          "completed": false, "reminder_offset": 15, "tags": [], "recurrence": null,
                          "remind_at": []});
    let mut listed = snapshot.clone();
    listed["changed_fields"] = json!(["title"]);
    assert_eq!(event(&updated(&listed)).statements, [title("x")]);

    let mut changes = snapshot.clone();
    changes["changes"] = json!({"title": {"old": "w", "new": "y"}});
    assert_eq!(event(&updated(&changes)).statements, [title("y")]);

    let mut before = snapshot.clone();
    before["title"] = json!("w");
    let states = json!({"before": before, "after": snapshot});
    assert_eq!(event(&updated(&states)).statements, [title("x")]);

    let everything = event(&updated(&snapshot));
    assert_eq!(everything.statements.len(), 8, "with no list a snapshot states all that it holds");
}

#[test]
fn a_due_date_beside_a_list_is_what_the_producer_knew_and_is_believed() {
    let snapshot =
        json!({"changed_fields": ["title"], "title": "x", "due_date": DUE, "timezone": "Europe/Berlin"});
    let read = event(&updated(&snapshot));
    assert_eq!(read.statements.len(), 3);
    assert_eq!(stated(&read, Field::Due), Some(&due()));
}

#[test]
fn an_empty_list_limits_nothing() {
    for list in [json!({"changed_fields": []}), json!({"changes": {}}), json!({"changes": null})] {
        let mut change = list.clone();
        change["priority"] = json!("LOW");
        let read = event(&updated(&change));
        assert_eq!(read.statements, [Statement::Priority(Some(Priority::Low))], "{list}");
    }
}

#[test]
fn changes_are_believed_before_states_and_states_before_snapshots() {
    let read = event(&updated(&json!({
        "title": "snapshot", "status": "TODO", "priority": "LOW",
        "before": {"title": "b", "status": "TODO"}, "after": {"title": "after", "status": "IN_PROGRESS"},
        "changes": {"title": {"new": "change"}, "priority": {"new": "HIGH"}},
    })));
    let expected = [
        title("change"),
        Statement::Priority(Some(Priority::High)),
        Statement::Status(Some(Status::InProgress)),
    ];
    assert_eq!(read.statements, expected);
}

#[test]
fn an_inner_task_object_is_believed_before_what_lies_around_it() {
    let body = json!({"event_type": "task_created", "title": "outer", "user_id": "u-1",
                      "payload": {"task_id": 1, "title": "payload", "task": {"title": "inner"}}});
    assert_eq!(event(&body).statements, [Statement::User(Some("u-1".to_owned())), title("inner")]);
}

#[test]
fn changes_in_no_known_shape_refuse_the_event() {
    for changes in [json!("title"), json!(3), json!(true), json!([{"field": "title"}])] {
        let body = updated(&json!({"changes": changes}));
        assert_eq!(reason(&body).code(), "changes_unreadable", "{changes}");
    }
    let names = updated(&json!({"changes": ["title"], "title": "x"}));
    assert_eq!(event(&names).statements, [title("x")]);
}

#[test]
fn a_change_that_tells_only_the_old_value_is_not_certain() {
    let due = updated(&json!({"changes": {"due_date": {"old": DUE}}}));
    assert_eq!(reason(&due).code(), "due_unreadable");
    let extra = event(&updated(&json!({"changes": {"priority": {"old": "LOW"}}})));
    assert_eq!((extra.statements.as_slice(), refused(&extra).as_slice()), (&[][..], &["priority"][..]));
}

#[test]
fn a_change_listed_but_not_told_is_noted_once() {
    let read = event(&updated(&json!({"changed_fields": ["due_date", "title", "due_at"], "title": "x"})));
    assert_eq!(read.statements, [title("x")]);
    assert_eq!(refused(&read), ["due_date"]);
}

#[test]
fn a_rule_with_words_of_its_own_is_no_pair() {
    let rule = json!({"frequency": "daily", "from": "2026-11-24"});
    let read = event(&updated(&json!({"changes": {"recurrence": rule}})));
    let text = r#"{"frequency":"daily","from":"2026-11-24"}"#;
    assert_eq!(read.statements, [Statement::Recurrence(Some(text.to_owned()))]);
}
