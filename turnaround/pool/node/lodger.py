"""A worker that stays when its run is over, and carries out the next one like it.

    lodger = Lodger(key, on_exit, settled)  # `settled(lodger)`: its run is over, and it is free
    pid = nursery.fork({**request, "stays": True}, [*fds, lodger.theirs], lodger.ended)
    lodger.lodge(pid)
    lodger.send(request, fds, on_exit)      # later: another run

For `cluster.isolate=false`. To fork a worker and to take it apart costs 20 to 30 ms of processor
time, nearly all of a trial that is short. It leaves by itself when a run has failed, and when
nobody asks it for a while; a run that was sent to one that has just left is lost, and gets
another attempt.
"""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import threading
from collections.abc import Callable
from typing import Any

OnExit = Callable[[int], None]
_LAST = 1.0  # seconds in which the last words of a worker that is over have been read


class Lodger:
    """The daemon's side of one such worker."""

    def __init__(self, key: str, on_exit: OnExit, settled: Callable[[Lodger], None]) -> None:
        self.key = key  # of what it must be asked: its code, environment and devices
        self.pid = 0
        self._settled = settled
        self._line, self._theirs = socket.socketpair()
        self._sending = threading.Lock()  # held until it is known whose run it has
        self._run: OnExit | None = on_exit
        self._listener = threading.Thread(target=self._listen, name="lodger", daemon=True)
        self._listener.start()

    @property
    def theirs(self) -> int:
        """The descriptor of the worker's end."""
        return self._theirs.fileno()

    def lodge(self, pid: int) -> None:
        """It is there, and has its own end; 0: it could not be forked."""
        self.pid = pid
        self._theirs.close()

    def send(self, request: dict[str, Any], fds: list[int], on_exit: OnExit) -> None:
        """Another run; OSError when it has left, and then somebody else carries that out."""
        text = json.dumps({"fork": request}).encode() + b"\n"
        with self._sending:
            sent = socket.send_fds(self._line, [text], fds)
            self._line.sendall(text[sent:])
            self._run = on_exit

    def ended(self, code: int) -> None:
        """Its process is over: after its last word, or in the middle of a run."""
        self._listener.join(_LAST)
        with contextlib.suppress(OSError):  # a child that it has left may hold its end open
            self._line.shutdown(socket.SHUT_RDWR)
        self._listener.join()
        with self._sending:
            self._line.close()
        self._done(code if code < 0 else -signal.SIGKILL)

    def _listen(self) -> None:
        with contextlib.suppress(OSError), self._line.makefile("rb") as file:
            for line in file:  # until it has left, with a run that was just sent to it or without
                said = json.loads(line)
                self._done(said["done"])
                if said["stays"]:
                    self._settled(self)

    def _done(self, code: int) -> None:
        with self._sending:
            run, self._run = self._run, None
        if run is not None:
            run(code)
