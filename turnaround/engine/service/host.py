"""A process that others talk to: a thread for each caller, which ends when its caller does.

    class Echo(Host):
        def answer(self, line, group, head, values):
            line.send(head, *values)

    echo = Echo("127.0.0.1")
    line = call(echo.door.address, echo.door.token, group=3)
    echo.close(patience=5.0)

Callers say goodbye with {"op": "bye"}; one that goes without is taken down as lost.
"""

from __future__ import annotations

import socket
import threading

import torch
import torch.distributed as dist
from torch import Tensor

from turnaround.engine.service.wire import Door, Head, Line


class Host:
    """What every service does."""

    def __init__(self, host: str) -> None:
        self.door = Door(host)
        self.lost: list[int] = []  # groups that went without a word
        self.lines: dict[int, Line] = {}  # of the groups that are there
        self.over = False  # whoever goes now is not lost
        self.changed = threading.Condition()  # guards what threads share, and tells of changes
        self._threads = torch.get_num_threads()
        threading.Thread(target=self._receive, daemon=True).start()

    def begin(self, line: Line, group: int) -> None:
        """A group is there."""

    def answer(self, line: Line, group: int, head: Head, values: list[Tensor]) -> None:
        """One message of a group's, in the thread of that group."""
        raise NotImplementedError

    def gone(self, group: int) -> None:
        """A group is there no longer; `changed` is held."""

    def close(self, patience: float) -> None:
        """The end, once every group has said goodbye or is not waited for any longer."""
        with self.changed:
            self.changed.wait_for(lambda: not self.lines, patience)
            left = list(self.lines.values())
        self.door.close()
        for line in left:
            line.cut()

    def _receive(self) -> None:
        while caller := self.door.accept():
            threading.Thread(target=self._meet, args=[caller], daemon=True).start()

    def _meet(self, caller: socket.socket) -> None:
        torch.set_num_threads(self._threads)  # a new thread would take every core
        if known := self.door.greet(caller):
            self._serve(*known)

    def _serve(self, line: Line, group: int) -> None:
        with self.changed:
            self.lines[group] = line
        try:
            self.begin(line, group)
            while (message := line.receive())[0]["op"] != "bye":
                self.answer(line, group, *message)
        except dist.DistNetworkError:
            if not self.over:
                self.lost.append(group)
        finally:
            line.close()
            with self.changed:
                del self.lines[group]
                self.gone(group)
                self.changed.notify_all()
