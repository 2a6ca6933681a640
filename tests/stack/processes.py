"""Child processes and their ports: started with a log file, signalled, and never left behind.

Owns what is common to the worker, the sidecars and the brokers. A child dies with the harness (the kernel sends it
SIGKILL), so a run that is cut off leaves nothing on the machine; `tests/kafka/broker`, whose Kafka is nobody's child,
sees to that itself.
"""

import asyncio
import ctypes
import os
import random
import signal
import socket
import subprocess
import time
from pathlib import Path

# Below the ports that the system hands to outgoing connections, so that none of those takes one between two starts.
PORTS = range(26000, 32000)
# How long a process may take to obey SIGTERM before it counts as hung.
STOP_SECONDS = 20.0
# How often a condition is looked at while it is waited for.
POLL_SECONDS = 0.05

_PR_SET_PDEATHSIG = 1
_given: set[int] = set()


class Failed(Exception):
    """The stack did not do what a scenario needs; the message says which part and where its log is."""


def now_ms() -> int:
    """The wall clock, in ms UTC."""
    return time.time_ns() // 1_000_000


async def until(ms: int) -> None:
    """Returns when the wall clock has reached `ms`."""
    await asyncio.sleep(max(0, ms - now_ms()) / 1000)


async def poll(what: str, condition, seconds: float):
    """The first true answer of the coroutine function `condition`; `Failed` after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        if answer := await condition():
            return answer
        if time.monotonic() > end:
            raise Failed(f"not within {seconds:.0f} s: {what}")
        await asyncio.sleep(POLL_SECONDS)


def free_port() -> int:
    """A port that nobody listens on and that was not given before."""
    while True:
        port = random.choice(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in _given:
            _given.add(port)
            return port


async def listens(port: int) -> bool:
    """Whether something accepts connections on the loopback `port`."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Process:
    """One program that can be started again after it ended, its output appended to `directory/name.log`."""

    def __init__(self, name: str, directory: Path, command: list, environment: dict | None = None):
        self.name = name
        self.log = directory / f"{name}.log"
        self._directory = directory
        self._command = [str(part) for part in command]
        # Only what is named: a variable of the caller's must not configure what is tested.
        self._environment = {"PATH": os.environ["PATH"], "HOME": str(directory), **(environment or {})}
        self._child: subprocess.Popen | None = None

    def start(self) -> None:
        """Starts it; it must not run already."""
        assert not self.runs(), f"{self.name} runs already"
        with open(self.log, "ab") as log:
            self._child = subprocess.Popen(
                self._command,
                cwd=self._directory,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_parent,
            )

    def runs(self) -> bool:
        """Whether it has been started and has not ended."""
        return self._child is not None and self._child.poll() is None

    def started(self) -> bool:
        """Whether it has ever been started."""
        return self._child is not None

    def must_run(self) -> None:
        """`Failed`, with the end of its log, where it ended by itself."""
        if not self.runs():
            code = self._child.returncode if self._child else "never started"
            tail = self.log.read_text(errors="replace")[-600:] if self.log.exists() else ""
            raise Failed(f"{self.name} ended ({code}); {self.log}: …{tail}")

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal."""
        self.must_run()
        self._child.send_signal(number)

    async def kill(self) -> None:
        """SIGKILL, and waits until it is gone."""
        self.signal(signal.SIGKILL)
        await self._gone()

    async def terminate(self) -> None:
        """SIGTERM; `Failed` unless it exits with 0, in time. One that does not obey is killed.

        A scenario that failed may have left it stopped, hence SIGCONT.
        """
        self.signal(signal.SIGTERM)
        self._child.send_signal(signal.SIGCONT)
        try:
            code = await self._gone()
        except Failed:
            self._child.kill()
            raise
        if code:
            raise Failed(f"{self.name} exited {code} on SIGTERM; see {self.log}")

    async def erase(self) -> None:
        """Ends it whatever its state, without a word."""
        if self.runs():
            self._child.kill()
            await self._gone()

    async def ended(self, seconds: float) -> int:
        """Waits until it has ended by itself; the exit code, or minus the signal that ended it."""

        async def ended() -> bool:
            return self._child.poll() is not None

        await poll(f"{self.name} has ended; see {self.log}", ended, seconds)
        return self._child.returncode

    @property
    def pid(self) -> int:
        """The number of the process that was started last."""
        return self._child.pid

    async def _gone(self) -> int:
        return await self.ended(STOP_SECONDS)
