"""Tasks over HTTP: what happens to them goes out through Dapr, their reminders come back through it.

Tasks live in memory, to keep this short. Two things matter in a real app too: nothing here waits for the sidecar
on the event loop, and a reminder that comes again (Dapr delivers at least once) is dropped by its `event_id`.
"""

import asyncio
import json
import logging
import os
import uuid
from contextlib import asynccontextmanager
from datetime import datetime, timezone

from dapr.aio.clients import DaprClient
from dapr.clients.exceptions import DaprGrpcError
from dapr.ext.fastapi import DaprApp
from fastapi import FastAPI, HTTPException, Request
from pydantic import AwareDatetime, BaseModel, Field

PUBSUB = os.environ.get("PUBSUB", "kafka-pubsub")
PUBLISH_SECONDS = 10  # a broker that hangs must not hang our callers
SEEN_MAX = 10_000  # in a real app: a table, written in the transaction that acts on the reminder

log = logging.getLogger("uvicorn.error")


@asynccontextmanager
async def lifespan(app: FastAPI):
    # Waits for the sidecar, at most DAPR_HEALTH_TIMEOUT seconds; one client serves the whole app.
    async with DaprClient() as app.state.dapr:
        yield


app = FastAPI(title="Tasks", lifespan=lifespan)
dapr = DaprApp(app)
tasks: dict[str, "Task"] = {}
reminders: list[dict] = []
seen: dict[str, None] = {}
counts = {"repeated": 0, "unreadable": 0}


class NewTask(BaseModel):
    title: str = Field(min_length=1)
    user_id: str = "ann"
    due_date: AwareDatetime | None = None


class Change(BaseModel):
    title: str = Field(default="", min_length=1)
    due_date: AwareDatetime | None = None  # null: no longer due


class Task(NewTask):
    task_id: str
    status: str = "TODO"


async def publish(topic: str, event_type: str, payload: dict) -> None:
    """Publishes what happened to a task, or answers 503: then nothing has changed, and trying again is safe."""
    now = datetime.now(timezone.utc).isoformat()
    event = {
        "event_id": str(uuid.uuid4()),
        "event_type": event_type,
        "event_version": "v1",
        "timestamp": now,
        "producer": "fastapi-tasks",
        "payload": payload,
    }
    try:
        async with asyncio.timeout(PUBLISH_SECONDS):
            await app.state.dapr.publish_event(
                pubsub_name=PUBSUB,
                topic_name=topic,
                data=json.dumps(event),
                # Without it the event arrives as text, with the partition key those of one task stay in order.
                data_content_type="application/json",
                publish_metadata={"partitionKey": payload["task_id"]},
            )
    except (DaprGrpcError, TimeoutError) as error:
        log.error("%s was not published: %r", event_type, error)
        raise HTTPException(503, "the broker does not take events now; try again") from error


def find(task_id: str, **changed) -> Task:
    """The task, with what changed of it."""
    if task_id not in tasks:
        raise HTTPException(404, f"there is no task {task_id}")
    tasks[task_id] = tasks[task_id].model_copy(update=changed)
    return tasks[task_id]


@app.post("/tasks", status_code=201)
async def create(new: NewTask) -> Task:
    task = Task(task_id=str(uuid.uuid4()), **new.model_dump())
    await publish("task-events", "task_created", task.model_dump(mode="json"))
    tasks[task.task_id] = task
    return task


@app.get("/tasks/{task_id}")
async def show(task_id: str) -> Task:
    return find(task_id)


@app.patch("/tasks/{task_id}")
async def change(task_id: str, change: Change) -> Task:
    old, wanted = find(task_id), change.model_dump(exclude_unset=True)
    before, after = old.model_dump(mode="json"), old.model_copy(update=wanted).model_dump(mode="json")
    changes = {field: {"old": before[field], "new": after[field]} for field in wanted if before[field] != after[field]}
    if changes:
        payload = {"task_id": task_id, "changed_fields": list(changes), "changes": changes}
        await publish("task-updates", "task_updated", payload)
    return find(task_id, **wanted)


@app.post("/tasks/{task_id}/complete")
async def complete(task_id: str) -> Task:
    task = find(task_id)
    await publish("task-events", "task_completed", {"task_id": task_id, "user_id": task.user_id})
    return find(task_id, status="DONE")


@app.delete("/tasks/{task_id}", status_code=204)
async def delete(task_id: str) -> None:
    task = find(task_id)
    await publish("task-events", "task_deleted", {"task_id": task_id, "user_id": task.user_id})
    tasks.pop(task_id, None)


@dapr.subscribe(pubsub=PUBSUB, topic="reminders", route="/reminders")
async def on_reminder(request: Request) -> dict:
    """Takes one delivery. The three words are all that Dapr knows; any other is taken for RETRY."""
    try:
        reminder = (await request.json())["data"]
        event_id, payload = reminder["event_id"], reminder["payload"]
        # A digest lists several of one user; everything else is about one task.
        told = [(item["task_id"], {**reminder, "payload": item}) for item in payload.get("items", [payload])]
    except (ValueError, LookupError, TypeError):
        counts["unreadable"] += 1
        return {"status": "DROP"}  # it would be as unreadable the next time
    if event_id in seen:
        counts["repeated"] += 1
        return {"status": "SUCCESS"}
    seen[event_id] = None
    try:
        for task_id, one in told:
            await remind(task_id, one)
    except Exception:
        log.exception("the reminder %s is not delivered yet", event_id)
        del seen[event_id]
        return {"status": "RETRY"}  # Dapr brings it again
    while len(seen) > SEEN_MAX:
        del seen[next(iter(seen))]
    return {"status": "SUCCESS"}


async def remind(task_id: str, reminder: dict) -> None:
    """Tells the user: here go a mail, a push, a web socket. What it raises is tried again."""
    log.info("REMINDER %s: %s", task_id, reminder["payload"].get("title"))
    reminders.append({**reminder, "received_at": datetime.now(timezone.utc).isoformat()})


@app.get("/reminders")
async def received() -> dict:
    return {"reminders": reminders, **counts}
