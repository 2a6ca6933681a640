use serde_json::{Value, json};

use super::super::statements::REFUSED_MAX;
use super::{created, event, instant, reason, refused, stated};
use crate::domain::{Due, Field, Priority, Statement, Status, TEXT_MAX_BYTES, USER_ID_MAX_BYTES, Zone};

fn one(fields: &Value) -> Statement {
    let read = event(&created(fields));
    assert_eq!(refused(&read), [""; 0], "{fields}");
    let [statement] = &read.statements[..] else { panic!("{fields}: {:?}", read.statements) };
    statement.clone()
}

fn refuses_alone(fields: &Value) {
    let mut with_title = fields.clone();
    with_title["title"] = json!("kept");
    let read = event(&created(&with_title));
    assert_eq!(read.statements, [Statement::Title(Some("kept".to_owned()))], "{fields}");
    assert_eq!(refused(&read), fields.as_object().unwrap().keys().collect::<Vec<_>>(), "{fields}");
}

#[test]
fn a_full_event_states_every_field_in_order() {
    let read = event(&created(&json!({
        "user_id": "u-1", "title": "Tea", "description": "Earl Grey", "priority": "HIGH", "status": "TODO",
        "due_date": "2026-11-24T09:00:00", "timezone": "Europe/Berlin", "reminder_offsets": [60, 0, 15],
        "remind_at": "2026-11-24T07:30:00Z", "tags": ["b", "a"], "recurrence": {"interval": 1, "frequency": "daily"},
    })));
    let zone = Some("Europe/Berlin".parse::<Zone>().unwrap());
    let expected = [
        Statement::User(Some("u-1".to_owned())),
        Statement::Title(Some("Tea".to_owned())),
        Statement::Priority(Some(Priority::High)),
        Statement::Status(Some(Status::Todo)),
        Statement::Due(Some(Due::Wall(1_795_510_800_000))),
        Statement::Zone(zone),
        Statement::Offsets(Some(vec![0, 15, 60])),
        Statement::RemindAt(Some(vec![instant("2026-11-24T07:30:00Z")])),
        Statement::Tags(Some(vec!["b".to_owned(), "a".to_owned()])),
        Statement::Recurrence(Some(r#"{"frequency":"daily","interval":1}"#.to_owned())),
    ];
    assert_eq!(read.statements, expected);
    assert_eq!(refused(&read), [""; 0]);
}

#[test]
fn a_due_date_goes_by_many_names() {
    for key in ["due_date", "due_at", "dueDate", "dueAt", "due", "DueDate", "due-date"] {
        let due = one(&json!({key: "2026-11-24T09:00:00Z"}));
        assert_eq!(due, Statement::Due(Some(instant("2026-11-24T09:00:00Z"))), "{key}");
    }
}

#[test]
fn a_due_date_that_is_not_certain_refuses_the_event() {
    for due in [json!("soon"), json!(1_795_510_800), json!(true), json!({"date": "2026-11-24"}), json!(["x"])]
    {
        assert_eq!(reason(&created(&json!({"due_date": due}))).code(), "due_unreadable", "{due}");
    }
    let differ = created(&json!({"due_date": "2026-11-24", "due_at": "2026-11-24T09:00:00Z"}));
    assert_eq!(reason(&differ).code(), "due_ambiguous");
    let agree =
        json!({"due_date": "2026-11-24T09:00:00Z", "dueDate": "2026-11-24T10:00:00+01:00", "due_at": null});
    assert_eq!(one(&agree), Statement::Due(Some(instant("2026-11-24T09:00:00Z"))));
}

#[test]
fn an_end_needs_task_and_kind_alone() {
    for kind in ["task_completed", "task_deleted"] {
        let body = json!({"event_type": kind, "payload": {"task_id": 1, "due_date": "soon", "changes": 3}});
        assert_eq!(event(&body).statements, []);
    }
}

#[test]
fn an_unknown_zone_costs_only_what_is_wall_time_in_it() {
    for due in ["2026-11-24T09:00:00", "2026-11-24"] {
        let body = created(&json!({"due_date": due, "timezone": "Mars/Olympus"}));
        assert_eq!(reason(&body).code(), "zone_unreadable", "{due}");
    }
    let instant = event(&created(&json!({"due_date": "2026-11-24T09:00:00Z", "timezone": "Mars/Olympus"})));
    assert_eq!(refused(&instant), ["timezone"]);
    assert!(stated(&instant, Field::Due).is_some());
    refuses_alone(&json!({"timezone": "Mars/Olympus"}));
    refuses_alone(&json!({"timezone": 3}));
    refuses_alone(&json!({"remind_at": "2026-11-24T09:00:00", "timezone": "CEST?"}));
}

#[test]
fn a_zone_is_an_iana_name_or_null() {
    for key in ["timezone", "timeZone", "time_zone", "tz", "zone"] {
        let berlin = "Europe/Berlin".parse().unwrap();
        assert_eq!(one(&json!({key: "Europe/Berlin"})), Statement::Zone(Some(berlin)), "{key}");
    }
    for utc in ["UTC", "utc", "Z", "gmt"] {
        assert_eq!(one(&json!({"timezone": utc})), Statement::Zone(Some(Zone::UTC)), "{utc}");
    }
    for none in [Value::Null, json!(""), json!(" ")] {
        assert_eq!(one(&json!({"timezone": none})), Statement::Zone(None));
    }
}

#[test]
fn a_long_title_is_cut_at_a_character_and_marked() {
    let on = "x".repeat(TEXT_MAX_BYTES);
    assert_eq!(one(&json!({"title": on})), Statement::Title(Some(on.clone())));
    let Statement::Title(Some(cut)) = one(&json!({"title": format!("{on}x")})) else { panic!("no title") };
    assert_eq!(cut, format!("{}…", &on[..TEXT_MAX_BYTES - "…".len()]));
    let Statement::Title(Some(cut)) = one(&json!({"title": "ü".repeat(TEXT_MAX_BYTES)})) else {
        panic!("no title")
    };
    assert!(cut.len() <= TEXT_MAX_BYTES && cut.ends_with("ü…"), "{}", cut.len());
}

#[test]
fn a_title_is_text() {
    for (key, title) in [("title", "a\u{fffd}b"), ("task_title", "a\u{fffd}b"), ("name", "a\u{fffd}b")] {
        assert_eq!(one(&json!({key: "a\u{0}b"})), Statement::Title(Some(title.to_owned())));
    }
    assert_eq!(one(&json!({"title": ""})), Statement::Title(Some(String::new())));
    assert_eq!(one(&json!({"title": null})), Statement::Title(None));
    refuses_alone_of_user(&json!({"title": 5}));
}

/// A refused title cannot be told from the kept one, so here the user is kept.
fn refuses_alone_of_user(fields: &Value) {
    let mut with_user = fields.clone();
    with_user["user_id"] = json!("u-1");
    let read = event(&created(&with_user));
    assert_eq!(read.statements, [Statement::User(Some("u-1".to_owned()))]);
    assert_eq!(refused(&read), fields.as_object().unwrap().keys().collect::<Vec<_>>());
}

#[test]
fn a_user_is_text_or_an_integer() {
    for key in ["user_id", "userId", "owner_id", "ownerId"] {
        assert_eq!(one(&json!({key: "u-1"})), Statement::User(Some("u-1".to_owned())), "{key}");
    }
    assert_eq!(one(&json!({"user_id": 42})), Statement::User(Some("42".to_owned())));
    assert_eq!(one(&json!({"user_id": null})), Statement::User(None));
    let on = "u".repeat(USER_ID_MAX_BYTES);
    assert_eq!(one(&json!({"user_id": on})), Statement::User(Some(on.clone())));
    refuses_alone(&json!({"user_id": format!("{on}u")}));
    refuses_alone(&json!({"user_id": ["u-1"]}));
}

#[test]
fn every_extra_is_refused_alone() {
    for fields in [
        json!({"priority": "whatever"}),
        json!({"priority": 1}),
        json!({"status": "asleep"}),
        json!({"status": []}),
        json!({"completed": "maybe"}),
        json!({"tags": "work"}),
        json!({"tags": [1]}),
        json!({"recurrence": 7}),
        json!({"recurrence": ["daily"]}),
        json!({"reminder_offset": -15}),
        json!({"reminder_offset": "soon"}),
        json!({"reminder_offsets": [15, "soon"]}),
        json!({"remind_at": "09:00"}),
        json!({"remind_at": 1_795_510_800}),
    ] {
        refuses_alone(&fields);
    }
}

#[test]
fn refusals_are_kept_up_to_a_bound() {
    let variants = |count: usize| {
        let keys = (0..count).map(|n| format!("remind{}at", "_".repeat(n)));
        Value::Object(keys.map(|key| (key, json!("soon"))).collect())
    };
    assert_eq!(event(&created(&variants(REFUSED_MAX))).refused.len(), REFUSED_MAX);
    assert_eq!(event(&created(&variants(REFUSED_MAX + 1))).refused.len(), REFUSED_MAX);
}
