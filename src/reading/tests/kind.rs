use serde_json::json;

use super::{Ignored, Reason, event, ignored, reason};
use crate::domain::Kind;

#[test]
fn a_kind_is_read_in_every_spelling() {
    for (kind, spellings) in [
        (
            Kind::Created,
            &[
                "task_created",
                "task-created",
                "task.created",
                "tasks.created",
                "created",
                "com.example.task.created",
                "TASK_CREATED",
                "Task.Created",
                "TaskCreated",
                "taskCreated",
                "TaskCreatedEvent",
                "com.example.tasks.created.v1",
                "task/created",
                "task:created",
                "task created",
                "create",
                "create_task",
                "todo.created",
                "task_added",
                "CREATE",
            ][..],
        ),
        (Kind::Updated, &["task_updated", "tasks.changed", "modified", "UPDATED", "task-update", "edited"]),
        (
            Kind::Completed,
            &["task_completed", "task.done", "completed", "com.example.task.completed", "finished"],
        ),
        (Kind::Deleted, &["task_deleted", "task.removed", "deleted", "DELETE", "remove"]),
    ] {
        for spelling in spellings {
            let body = json!({"event_type": spelling, "task_id": 1});
            assert_eq!(event(&body).kind, kind, "{spelling}");
        }
    }
}

#[test]
fn a_kind_is_read_wherever_it_stands() {
    for key in ["event_type", "eventType", "type", "action", "update_type", "change_type"] {
        let body = json!({key: "deleted", "task_id": 1});
        assert_eq!(event(&body).kind, Kind::Deleted, "{key}");
        let metadata = json!({"metadata": {key: "task_deleted"}, "task": {"id": 1}});
        assert_eq!(event(&metadata).kind, Kind::Deleted, "metadata.{key}");
    }
    for kind in ["task_deleted", "com.example.task.deleted", "deleted"] {
        let envelope =
            json!({"specversion": "1.0", "id": "e", "source": "s", "type": kind, "data": {"id": 1}});
        assert_eq!(event(&envelope).kind, Kind::Deleted, "{kind}");
    }
}

#[test]
fn other_things_and_our_own_reminders_are_ignored() {
    for kind in ["user_created", "task_archived", "com.example.comment.deleted", "heartbeat", "task_"] {
        let body = json!({"event_type": kind, "task_id": 1});
        if kind == "task_" {
            assert_eq!(reason(&body), Reason::KindMissing);
        } else {
            assert_eq!(ignored(&body), Ignored::Unrelated(kind.to_owned()));
        }
    }
    for kind in ["reminder_due", "reminder.due", "ReminderDue", "com.example.reminders.due"] {
        assert_eq!(ignored(&json!({"event_type": kind, "payload": {"task_id": 1}})), Ignored::Reminder);
    }
}

#[test]
fn the_body_decides_before_its_envelope() {
    let envelope = json!({"specversion": "1.0", "type": "task_created",
                          "data": {"event_type": "task_deleted", "task_id": 1}});
    assert_eq!(event(&envelope).kind, Kind::Deleted);
    let foreign = json!({"specversion": "1.0", "type": "com.example.user.created",
                         "data": {"action": "created", "task_id": 1}});
    assert_eq!(ignored(&foreign), Ignored::Unrelated("com.example.user.created".to_owned()));
}

#[test]
fn a_noun_alone_leaves_the_verb_to_another_key() {
    for noun in ["task", "tasks", "task_event", "Task"] {
        let body = json!({"type": noun, "action": "completed", "task_id": 1});
        assert_eq!(event(&body).kind, Kind::Completed, "{noun}");
    }
}

#[test]
fn a_verb_beside_another_noun_is_not_certain() {
    let body = json!({"type": "comment", "action": "created", "task_id": 1});
    assert_eq!(reason(&body).code(), "kind_ambiguous");
    // The key made for it is certain whatever a task's own `type` says.
    let body = json!({"event_type": "created", "type": "chore", "task_id": 1});
    assert_eq!(event(&body).kind, Kind::Created);
    let body = json!({"event_type": "task_archived", "action": "created", "task_id": 1});
    assert_eq!(ignored(&body), Ignored::Unrelated("task_archived".to_owned()));
    let body = json!({"specversion": "1.0", "type": "task.created", "data": {"id": 1, "type": "chore"}});
    assert_eq!(event(&body).kind, Kind::Created);
}

#[test]
fn nothing_that_says_what_happened_is_refused() {
    for body in [
        json!({"task_id": 1}),
        json!({"event_type": "", "task_id": 1}),
        json!({"event_type": 4, "task_id": 1}),
        json!({"specversion": "1.0", "type": "com.dapr.event.sent", "data": {"task_id": 1}}),
    ] {
        assert_eq!(reason(&body), Reason::KindMissing, "{body}");
    }
}

#[test]
fn a_kind_on_the_bound_is_read_and_one_beyond_is_not() {
    let on = format!("{}.task.created", "x".repeat(128 - ".task.created".len()));
    assert_eq!(event(&json!({"type": on, "task_id": 1})).kind, Kind::Created);
    assert!(matches!(ignored(&json!({"type": format!("x{on}"), "task_id": 1})), Ignored::Unrelated(_)));
}
