"""Proves that apps in other languages get along with `reminder-worker dev`.

Starts the worker with its stand-in for Dapr and, unchanged, the FastAPI app of `examples/`, and drives the app as its
users would; then speaks to the stand-in with the Python SDK itself, and runs the example in curl. Prints counts and
ends with 1 on the first claim that does not hold.

    check.py WORKER_BINARY      (with the Python of a venv that has the example's requirements)
"""

import concurrent.futures
import datetime as dt
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BURST = 200
READY_SECONDS = 60
STOP_SECONDS = 20  # more than the worker's grace and what the stand-in takes to part from its broker
SLACK_SECONDS = 5  # more than any reminder takes after its time, on a machine that is busy


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def call(method, url, body=None, content_type="application/json", timeout=30):
    data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": content_type}, method=method)
    with urllib.request.urlopen(request, timeout=timeout) as reply:
        text = reply.read()
        return json.loads(text) if text else None


def until(what, holds, seconds=SLACK_SECONDS):
    deadline = time.monotonic() + seconds
    while not holds():
        claim(time.monotonic() < deadline, f"{what} within {seconds} s")
        time.sleep(0.05)


def claim(holds, what):
    if not holds:
        sys.exit(f"FAILED: {what}")


def utc(seconds_from_now):
    return (dt.datetime.now(dt.timezone.utc) + dt.timedelta(seconds=seconds_from_now)).isoformat()


def instant(text):
    return dt.datetime.fromisoformat(text.replace("Z", "+00:00"))


class Stage:
    """The worker and the app, each in a process of its own."""

    def __init__(self, worker, directory):
        self.http, self.grpc, self.app_port, self.ops, self.worker_port = free_ports(5)
        self.app = f"http://127.0.0.1:{self.app_port}"
        self.logs = {name: directory / f"{name}.log" for name in ("worker", "app")}
        self.worker = self.spawn("worker", [
            worker, "dev", "--port", self.http, "--grpc-port", self.grpc, "--app", f"127.0.0.1:{self.app_port}",
            "--app-port", self.worker_port, "--ops-port", self.ops, "--store-path", directory / "store",
        ], directory)
        uvicorn = [sys.executable, "-m", "uvicorn", "app:app", "--port", self.app_port]
        self.uvicorn = self.spawn("app", uvicorn, ROOT / "examples/fastapi-tasks")

    def spawn(self, name, command, directory):
        ports = {"DAPR_HTTP_PORT": str(self.http), "DAPR_GRPC_PORT": str(self.grpc), "OPS_PORT": str(self.ops)}
        self.environment = {**os.environ, **ports}
        with self.logs[name].open("wb") as log:
            return subprocess.Popen(
                [str(part) for part in command], cwd=directory, stdout=log, stderr=log, env=self.environment
            )

    def ready(self):
        def subscribed():
            try:
                told = call("GET", f"http://127.0.0.1:{self.http}/v1.0/metadata")["subscriptions"]
                return {s["appId"] for s in told} == {"reminder-worker", "app-1"}
            except OSError:
                claim(self.worker.poll() is None and self.uvicorn.poll() is None, "both processes run")
                return False

        until("worker and app are subscribed", subscribed, READY_SECONDS)

    def publish(self, topic, body):
        call("POST", f"http://127.0.0.1:{self.http}/v1.0/publish/kafka-pubsub/{topic}", body)

    def planned(self, task_id):
        try:
            return call("GET", f"http://127.0.0.1:{self.ops}/api/v1/tasks/{task_id}")
        except urllib.error.HTTPError:
            return None

    def received(self):
        return call("GET", f"{self.app}/reminders")

    def create(self, title, seconds):
        return call("POST", f"{self.app}/tasks", {"title": title, "due_date": utc(seconds)})["task_id"]

    def stop(self):
        """Ends both with SIGTERM; what did not end as it should, and was killed if it still ran."""
        # uvicorn finishes, and then dies of the signal that it was sent.
        ends = {"worker": (self.worker, {0}), "app": (self.uvicorn, {0, -signal.SIGTERM})}
        for process, _ in ends.values():
            process.terminate()
            process.send_signal(signal.SIGCONT)
        faults = []
        for name, (process, codes) in ends.items():
            try:
                code = process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                code = f"nothing for {STOP_SECONDS} s"
            if code not in codes:
                faults.append(f"the {name} ends well on SIGTERM: it ended with {code}")
        return faults


def the_app_gets_what_it_should(stage):
    """Created, moved, completed, deleted and cleared tasks, and many due at one instant."""
    single = stage.create("due", 3)
    moved = stage.create("moved", 3)
    ended = [stage.create(title, 4) for title in ("completed", "deleted", "cleared")]
    new_due = utc(6)
    call("PATCH", f"{stage.app}/tasks/{moved}", {"due_date": new_due})
    call("POST", f"{stage.app}/tasks/{ended[0]}/complete")
    call("DELETE", f"{stage.app}/tasks/{ended[1]}")
    call("PATCH", f"{stage.app}/tasks/{ended[2]}", {"due_date": None})
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        burst = list(pool.map(lambda n: stage.create(f"burst {n}", 8), range(BURST)))
    wanted = {single, moved, *burst}
    arrived = lambda: {r["payload"]["task_id"] for r in stage.received()["reminders"]}
    until("every reminder arrives", lambda: wanted <= arrived(), 8 + SLACK_SECONDS)
    time.sleep(1)  # for what should not come

    told = stage.received()
    claim(arrived() == wanted, "completed, deleted and cleared tasks are not reminded of")
    claim(len(told["reminders"]) == len(wanted), "each reminder is acted on once")
    claim(told["repeated"] == 0, "the app's replies are understood: nothing is delivered again")
    late = [instant(r["received_at"]) - instant(r["payload"]["remind_at"]) for r in told["reminders"]]
    claim(min(late) >= dt.timedelta(0), "none is early")
    at = {r["payload"]["task_id"]: instant(r["payload"]["remind_at"]) for r in told["reminders"]}
    claim(abs(at[moved] - instant(new_due)) < dt.timedelta(milliseconds=1), "the moved one comes at its new time")
    states = {r["state"] for task in ended for r in stage.planned(task)["reminders"]}
    claim(states == {"cancelled"}, "the reminders of ended tasks are cancelled")
    print(f"FastAPI app: {len(wanted) + len(ended)} tasks created over gRPC, {len(wanted)} reminders due, "
          f"{len(told['reminders'])} received once, {told['repeated']} repeats, 0 early, "
          f"worst {max(late).total_seconds() * 1000:.0f} ms late; {len(ended)} cancelled, 0 of them received")


def the_app_drops_repeats_and_what_it_cannot_read(stage):
    before = stage.received()
    again = {key: value for key, value in before["reminders"][0].items() if key != "received_at"}
    stage.publish("reminders", again)
    stage.publish("reminders", {"no": "reminder"})
    expected = {"repeated": before["repeated"] + 1, "unreadable": before["unreadable"] + 1}
    until("both are counted", lambda: expected.items() <= stage.received().items())
    claim(len(stage.received()["reminders"]) == len(before["reminders"]), "a repeat is not acted on again")
    print("FastAPI app: 1 repeat dropped by its event_id, 1 unreadable message dropped for good")


def the_app_stays_awake_while_it_publishes(stage):
    """The sidecar is stopped dead: who creates a task waits, everybody else is answered."""
    stage.worker.send_signal(signal.SIGSTOP)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(stage.create, "slow", 3600)
        answered = []
        for _ in range(20):
            began = time.monotonic()
            call("GET", f"{stage.app}/reminders", timeout=2)
            answered.append(time.monotonic() - began)
            time.sleep(0.05)
        claim(not waiting.done(), "the publish is under way")
        stage.worker.send_signal(signal.SIGCONT)
        task = waiting.result(10)
    until("what waited is planned", lambda: stage.planned(task))
    print(f"FastAPI app: {len(answered)} requests answered while a publish hung, worst {max(answered) * 1000:.0f} ms")


def the_sdk_understands_answers(stage):
    """The client library itself: bulk, and the errors it tells apart."""
    from dapr.clients import DaprClient
    from dapr.clients.exceptions import DaprGrpcError

    with DaprClient(f"127.0.0.1:{stage.grpc}") as dapr:
        ids = [f"bulk-{n}" for n in range(100)]
        events = [json.dumps({"event_type": "task_created", "payload": {"task_id": i, "title": i}}) for i in ids]
        reply = dapr.publish_events("kafka-pubsub", "task-events", events, data_content_type="application/json")
        claim(not reply.failed_entries, "a bulk publish is taken whole")
        until("bulk events arrive", lambda: all(map(stage.planned, ids)))
        errors = []
        for pubsub, data in (("nope", b"{}"), ("kafka-pubsub", b"x" * (2 << 20)), ("kafka-pubsub", b"x" * (5 << 20))):
            try:
                dapr.publish_event(pubsub, "task-events", data, data_content_type="text/plain")
                sys.exit(f"FAILED: a publish of {len(data)} bytes to {pubsub} is refused")
            except DaprGrpcError as error:
                errors.append(f"{error.code().name}/{error.error_code()}")
    expected = ["INVALID_ARGUMENT/DAPR_PUBSUB_NOT_FOUND", "INTERNAL/DAPR_PUBSUB_PUBLISH_MESSAGE",
                "RESOURCE_EXHAUSTED/UNKNOWN"]
    claim(errors == expected, f"the errors are {expected}, not {errors}")
    print(f"Python SDK: {len(ids)} events in one bulk publish applied; {len(errors)} refusals told apart")


def main():
    worker = Path(sys.argv[1]).resolve()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="interop-") as directory:
        stage = Stage(worker, Path(directory))
        # What fails below must find the environment of the stand-in, health check of the SDK included.
        os.environ.update(stage.environment)
        try:
            stage.ready()
            the_app_gets_what_it_should(stage)
            the_app_drops_repeats_and_what_it_cannot_read(stage)
            the_app_stays_awake_while_it_publishes(stage)
            the_sdk_understands_answers(stage)
            subprocess.run([ROOT / "examples/curl/tasks"], check=True, env=stage.environment, timeout=60)
            print("curl example: 4 tasks, 2 reminders published, 1 superseded, 2 cancelled")
            faults = stage.stop()
            claim(not faults, "; ".join(faults))
            print("worker and app: ended by SIGTERM, the worker with 0")
        except BaseException:
            for name, log in stage.logs.items():
                print(f"--- {name}\n{log.read_text(errors='replace')[-3000:]}", file=sys.stderr)
            raise
        finally:
            stage.stop()
    print(f"interop: all claims hold ({time.monotonic() - began:.0f} s)")


main()
