"""Task events as an app of ours would publish them, and the wrappings they may come in.

Written from the event contract, not from the worker's code.
"""

import datetime
import json
import uuid

from .processes import now_ms


def iso(ms: int) -> str:
    """An instant in RFC 3339, UTC, with milliseconds."""
    instant = datetime.datetime.fromtimestamp(ms / 1000, datetime.timezone.utc)
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _event(kind: str, payload: dict) -> dict:
    return {
        "event_id": str(uuid.uuid4()),
        "event_type": kind,
        "event_version": "v1",
        "timestamp": iso(now_ms()),
        "producer": "stack-tests",
        "payload": payload,
    }


def created(task_id: str, due_ms: int | None, **more) -> dict:
    """A task with a due date."""
    due = None if due_ms is None else iso(due_ms)
    return _event(
        "task_created", {"task_id": task_id, "user_id": "ann", "title": f"Task {task_id}", "due_date": due, **more}
    )


def moved(task_id: str, due_ms: int | None) -> dict:
    """A task's new due date, or that it has none any more."""
    due = None if due_ms is None else iso(due_ms)
    changes = {"due_date": {"old": None, "new": due}}
    return _event("task_updated", {"task_id": task_id, "changed_fields": ["due_date"], "changes": changes})


def completed(task_id: str) -> dict:
    """A task that is done."""
    return _event("task_completed", {"task_id": task_id, "user_id": "ann", "completed_at": iso(now_ms())})


def deleted(task_id: str) -> dict:
    """A task that is gone."""
    return _event("task_deleted", {"task_id": task_id, "user_id": "ann", "deleted_at": iso(now_ms())})


def task_of(event: dict) -> str:
    """Whose event it is; the key of its record."""
    return event["payload"]["task_id"]


def topic_of(event: dict) -> str:
    """The topic it belongs on, by its role."""
    return "task-updates" if event["event_type"] == "task_updated" else "task-events"


def cloud_event(event: dict) -> bytes:
    """The event in a CloudEvent of the producer's own."""
    return json.dumps(
        {
            "specversion": "1.0",
            "id": event["event_id"],
            "source": "stack-tests",
            "type": f"com.example.{event['event_type'].replace('_', '.')}",
            "datacontenttype": "application/json",
            "time": event["timestamp"],
            "data": event,
        }
    ).encode()


def stamped(event: dict, later_ms: int) -> dict:
    """The event as if made so much later: events of one task made in the same millisecond have no order of their own."""
    return {**event, "timestamp": iso(now_ms() + later_ms)}
