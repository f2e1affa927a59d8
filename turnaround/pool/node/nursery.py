"""The daemon's side of a forkserver: start it, fork from it, hear of exits.

nursery = Nursery("/path/to/python", log)
pid = nursery.fork({"plan": …, "assignment": …, "environ": …}, [log_fd, events_fd], on_exit)
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import socket
import subprocess
import threading
from pathlib import Path
from typing import Any

from turnaround.errors import LaunchError
from turnaround.pool.node.lodger import Lodger, OnExit
from turnaround.spec import PROTOCOL

_IMPORTS = (
    120.0  # seconds a forkserver may take for its imports: 1.5 to 7 s measured, 55 s on a cold disk
)


class Nursery:
    """One forkserver, of one interpreter."""

    def __init__(self, interpreter: str, log: Path) -> None:
        self._interpreter = interpreter
        self._log = log
        self._lock = threading.Lock()
        self._forked: queue.Queue[int | LaunchError | None] = queue.Queue()
        self._ready = threading.Event()
        self.complete = threading.Event()  # nothing is left that it would import
        self._exits: dict[int, OnExit] = {}
        self._next: OnExit | None = (
            None  # of the fork under way: a child may exit before fork() returns
        )
        self._idle: dict[str, list[Lodger]] = {}
        self._gone = False
        self._line, theirs = socket.socketpair()
        environ = {**os.environ, "PYTORCH_NVML_BASED_CUDA_CHECK": "1", "OMP_NUM_THREADS": "1"}
        environ["OMP_WAIT_POLICY"] = "PASSIVE"  # spinning threads of two runs cost each other 100×
        with theirs, log.open("ab") as out:
            self.process = subprocess.Popen(
                [interpreter, "-P", "-m", "turnaround.pool.node.spawn", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                env=environ,
                cwd="/",
            )
        threading.Thread(target=self._listen, name="nursery", daemon=True).start()

    @property
    def alive(self) -> bool:
        """It can still fork."""
        return not self._gone and self.process.poll() is None

    def fork(self, request: dict[str, Any], fds: list[int], on_exit: OnExit) -> int:
        """The new worker's pid; `on_exit` hears its exit code, negative for a signal.

        LaunchError where none could be forked.
        """
        if not self._ready.wait(_IMPORTS) or self._gone:
            raise self._failed()
        with self._lock:
            text = json.dumps({"fork": request}).encode() + b"\n"
            self._next = on_exit
            try:
                sent = socket.send_fds(self._line, [text], fds)
                self._line.sendall(text[sent:])
            except OSError as error:
                raise self._failed() from error
            answer = self._forked.get()
            if isinstance(answer, int):
                return answer
            raise answer or self._failed()

    def lend(self, request: dict[str, Any], fds: list[int], on_exit: OnExit, key: str) -> int:
        """The same by a worker that stays: one that has done such a run before, or a new one."""
        while free := self._idle.get(key):
            lodger = free.pop()
            with contextlib.suppress(OSError):  # it has left meanwhile
                lodger.send(request, fds, on_exit)
                return lodger.pid
        lodger = Lodger(key, on_exit, self._free)
        pid = 0
        try:
            pid = self.fork({**request, "stays": True}, [*fds, lodger.theirs], lodger.ended)
        finally:
            lodger.lodge(pid)
        return pid

    def _free(self, lodger: Lodger) -> None:
        self._idle.setdefault(lodger.key, []).append(lodger)

    def close(self) -> None:
        """End it, and every worker that is left."""
        self._line.close()
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _failed(self) -> LaunchError:
        lines = self._log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
        said = f"the forkserver of {self._interpreter} died: {lines[-1]}"
        return LaunchError(said, f"{self._log} has the rest")

    def _listen(self) -> None:
        try:
            with self._line.makefile("rb") as file:
                for line in file:
                    self._hear(json.loads(line))
        except (OSError, ValueError):
            pass
        self._bury()

    def _hear(self, message: dict[str, Any]) -> None:
        if "ready" in message:
            if message["ready"] == PROTOCOL:
                self._ready.set()
            else:
                self.process.kill()
        elif "complete" in message:
            self.complete.set()
        elif "forked" in message:
            assert self._next is not None
            self._exits[message["forked"]] = self._next
            self._forked.put(message["forked"])
        elif "refused" in message:
            said = f"no worker could be forked: {message['refused']}"
            self._forked.put(LaunchError(said, "end what else takes processes or memory here"))
        else:
            self._exits.pop(message["exited"])(message["status"])

    def _bury(self) -> None:
        """The forkserver is gone, and its children with it."""
        self._gone = True
        self._forked.put(None)
        self._ready.set()
        for pid in list(self._exits):
            self._exits.pop(pid)(-signal.SIGKILL)
