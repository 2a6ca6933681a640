"""Tests of what happens in two hours, in a second: they advance the clock of a `reminder-worker dev`.

    cargo build --release
    REMINDER_WORKER=target/release/reminder-worker python3 examples/time-travel/test_reminders.py

starts a daemon of its own for the tests, with a store that goes with it. Set OPS_PORT and DAPR_HTTP_PORT instead to use
one that runs; its time is then advanced for everybody who uses it. Needs Python 3.11 or newer and nothing else.

What to copy: take the time from the daemon (`now`), not from the machine; wait until the worker has planned what was
published before advancing; and wait for reminders by looking, not by sleeping.
"""

import datetime as dt
import json
import os
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.request
import uuid

PATIENCE_SECONDS = 20  # far more than anything here takes, on a machine that is busy


def call(method, url, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as reply:
        text = reply.read()
        return json.loads(text) if text else None


def until(what, holds):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} within {PATIENCE_SECONDS} s")
        time.sleep(0.02)


def answers(url):
    try:
        call("GET", url)
        return True
    except OSError:  # no connection, or a status that says not yet
        return False


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def start(*arguments):
    program = os.environ.get("REMINDER_WORKER", "reminder-worker")
    try:
        return subprocess.Popen([program, *arguments], stdout=subprocess.DEVNULL)
    except OSError as error:
        raise RuntimeError(
            f"{program} can't be started: {error.strerror}. Build it with `cargo build --release`, then run the tests with "
            "REMINDER_WORKER=target/release/reminder-worker before the command, from the top of the repository"
        ) from None


class Dev:
    """A dev daemon: the one that OPS_PORT and DAPR_HTTP_PORT name, or one that is started and stopped here."""

    def __init__(self):
        self.process = None
        dapr, ops = os.environ.get("DAPR_HTTP_PORT"), os.environ.get("OPS_PORT")
        if not (dapr and ops):
            dapr, grpc, app, ops = free_ports(4)
            self.directory = tempfile.TemporaryDirectory(prefix="time-travel-")
            self.process = start(
                "dev", "--port", str(dapr), "--grpc-port", str(grpc), "--app-port", str(app), "--ops-port", str(ops),
                "--store-path", os.path.join(self.directory.name, "store"),
            )
        self.dapr, self.ops = f"http://127.0.0.1:{dapr}", f"http://127.0.0.1:{ops}"
        try:
            until("the daemon is ready", lambda: self.runs() and answers(f"{self.ops}/readyz"))
        except BaseException:
            self.stop()
            raise

    def runs(self):
        if self.process and self.process.poll() is not None:
            raise RuntimeError(f"the daemon ended with {self.process.returncode}")
        return True

    def stop(self):
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(PATIENCE_SECONDS)
            finally:
                self.process.kill()
                self.directory.cleanup()

    def now(self):
        return dt.datetime.fromisoformat(call("GET", f"{self.ops}/dev/clock")["now"])

    def advance(self, by):
        """By a span such as "2h", "90s" or "1day 30m"; what fell due goes out at once."""
        return dt.datetime.fromisoformat(call("POST", f"{self.ops}/dev/clock", {"advance": by})["now"])

    def publish(self, event_type, **payload):
        """As an app publishes through its own sidecar."""
        url = f"{self.dapr}/v1.0/publish/kafka-pubsub/task-events?metadata.partitionKey={payload['task_id']}"
        call("POST", url, {"event_type": event_type, "payload": payload})

    def states(self, task_id):
        """The states of a task's reminders; none while the worker has not seen the task."""
        try:
            return [r["state"] for r in call("GET", f"{self.ops}/api/v1/tasks/{task_id}")["reminders"]]
        except urllib.error.HTTPError:
            return []

    def create(self, title, due):
        """Publishes a task and waits until its reminder is planned."""
        task_id = str(uuid.uuid4())
        self.publish("task_created", task_id=task_id, title=title, due_date=due.isoformat())
        until("the reminder is planned", lambda: self.states(task_id) == ["pending"])
        return task_id

    def reminders(self):
        """Each `reminder_due` from now on, as it comes back through the broker; none for long is an error."""
        stream = urllib.request.urlopen(f"{self.ops}/api/v1/reminders/stream", timeout=PATIENCE_SECONDS)
        lines = (line for line in stream if line.startswith(b"data:"))
        return stream, (json.loads(line.removeprefix(b"data:"))["event"]["data"] for line in lines)


class Reminders(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dev = Dev()
        cls.addClassCleanup(cls.dev.stop)

    def setUp(self):
        stream, self.reminders = self.dev.reminders()
        self.addCleanup(stream.close)

    def next_of(self, *tasks):
        """The next reminder of one of these tasks: others may use the daemon too."""
        return next(r for r in self.reminders if r["payload"]["task_id"] in tasks)

    def test_a_task_due_in_two_hours_is_reminded_of_then_and_not_before(self):
        start = self.dev.now()
        two_hours = self.dev.create("Water the plants", start + dt.timedelta(hours=2))
        one_hour = self.dev.create("Call the plumber", start + dt.timedelta(hours=1))

        self.dev.advance("1h 50m")
        self.assertEqual(self.next_of(one_hour, two_hours)["payload"]["task_id"], one_hour)
        self.assertEqual(self.dev.states(two_hours), ["pending"])

        now = self.dev.advance("10m")
        reminder = self.next_of(one_hour, two_hours)
        self.assertEqual(reminder["event_type"], "reminder_due")
        self.assertEqual(reminder["payload"]["task_id"], two_hours)
        self.assertEqual(reminder["payload"]["title"], "Water the plants")
        self.assertLessEqual(dt.datetime.fromisoformat(reminder["payload"]["remind_at"]), now)

    def test_a_task_that_is_completed_is_not_reminded_of(self):
        start = self.dev.now()
        completed = self.dev.create("Buy milk", start + dt.timedelta(hours=2))
        other = self.dev.create("Feed the cat", start + dt.timedelta(hours=3))
        self.dev.publish("task_completed", task_id=completed)
        until("the reminder is cancelled", lambda: self.dev.states(completed) == ["cancelled"])

        self.dev.advance("3h")
        self.assertEqual(self.next_of(completed, other)["payload"]["task_id"], other)
        self.assertEqual(self.dev.states(completed), ["cancelled"])


if __name__ == "__main__":
    unittest.main()
