"""The first N gradients of every step, added up; whoever is late gets the sum all the same.

    service = First(enough=3, host="127.0.0.1")                       # in the process of rank 0
    caller = Caller(call(service.door.address, service.door.token, group))
    caller.send(step, gradient, loss=(2.5, 10.0), stop=False, seconds=1.0)
    head, gradient = caller.result(step)                              # the same for all

A result is sent to every group the moment it is there, so a late one can stop what it is doing.
"""

from __future__ import annotations

import contextlib
import threading
from typing import Any

import torch.distributed as dist
from torch import Tensor

from turnaround.engine.service.host import Host
from turnaround.engine.service.wire import PATIENCE, Head, Line

Result = tuple[Head, Tensor]


class First(Host):
    """Where gradients arrive."""

    def __init__(self, enough: int, host: str) -> None:
        self.dropped = 0  # gradients that a step did not wait for
        self.step = 1  # the one that is being waited for; an attempt's steps begin at 1
        self._enough = enough
        self._arrived: dict[int, Result] = {}  # of this step, by group
        self._results: dict[int, Result] = {}
        self._sent: dict[int, int] = {}  # by group: the last step whose result it has
        self._stop, self._seconds = False, 0.0
        super().__init__(host)

    def begin(self, line: Line, group: int) -> None:
        """From now on this group hears of every result."""
        with self.changed:
            self._sent[group] = self.step - 1
        line.send({"op": "welcome"})
        threading.Thread(target=self._tell, args=(line, group), daemon=True).start()

    def answer(self, line: Line, group: int, head: Head, values: list[Tensor]) -> None:
        """A gradient, or word that there will be none because the step is over."""
        with self.changed:
            self._stop |= head["stop"]
            self._seconds = head["seconds"] if group == 0 else self._seconds
            if head["op"] == "gradient" and head["step"] == self.step:
                self._arrived[group] = (head, values[0])
            self._close_step()

    def gone(self, group: int) -> None:
        """The others do without it."""
        self._sent.pop(group, None)
        self._close_step()

    def _close_step(self) -> None:
        """Add up, if enough have arrived; in order of group: the sum depends on who, not when."""
        if not self._arrived or len(self._arrived) < min(self._enough, len(self.lines)):
            return
        heads, gradients = zip(*(self._arrived[g] for g in sorted(self._arrived)), strict=True)
        total = gradients[0].clone()
        for gradient in gradients[1:]:
            total += gradient
        loss = [sum(column) for column in zip(*(head["loss"] for head in heads), strict=True)]
        said = {"step": self.step, "loss": loss, "stop": self._stop, "seconds": self._seconds}
        self.dropped += len(self.lines) - len(heads)
        self._results[self.step] = (said, total)
        self._arrived = {}
        self.step += 1
        self.changed.notify_all()

    def _tell(self, line: Line, group: int) -> None:
        """A thread of its own: who is busy with a step takes no message."""

        def due() -> bool:
            return group not in self._sent or self._sent[group] < self.step - 1

        while True:
            with self.changed:
                self.changed.wait_for(due)
                if group not in self._sent:
                    return
                step = self._sent[group] + 1
                result = self._results[step]
            try:
                line.send(*result)
            except dist.DistNetworkError:
                return  # the thread that reads finds out too
            with self.changed:
                if group in self._sent:
                    self._sent[group] = step
                oldest = min(self._sent.values(), default=step)
                self._results = {n: kept for n, kept in self._results.items() if n > oldest}


class Caller:
    """A group's end of it."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self._results: dict[int, Result] = {}
        self._ended: BaseException | None = None  # no more results will come
        self._changed = threading.Condition()
        line.receive()  # the service counts on this group from now on
        threading.Thread(target=self._listen, daemon=True).start()

    def send(self, step: int, gradient: Tensor | None, **said: Any) -> None:
        """This group's gradient for a step; none when it is too late for it."""
        if gradient is None:
            self.line.send({"op": "late", "step": step, **said})
        else:
            self.line.send({"op": "gradient", "step": step, **said}, gradient)

    def over(self, step: int) -> bool:
        """The step's result is here."""
        return step in self._results

    def wait(self, step: int, seconds: float) -> bool:
        """Wait that long, or until the step is over; whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: self.over(step) or bool(self._ended), seconds)

    def result(self, step: int) -> Result:
        """What the first groups have sent, added up."""
        self.wait(step, PATIENCE)
        if step not in self._results:
            raise self._ended or dist.DistNetworkError(f"no result of step {step} came")
        return self._results.pop(step)

    def leave(self) -> None:
        """Goodbye."""
        with contextlib.suppress(dist.DistNetworkError):  # the service was first
            self.line.send({"op": "bye"})
        self.line.cut()

    def _listen(self) -> None:
        try:
            while True:
                head, (values,) = self.line.receive()
                with self._changed:
                    self._results[head["step"]] = (head, values)
                    self._changed.notify_all()
        except dist.DistNetworkError as error:
            with self._changed:
                self._ended = error
                self._changed.notify_all()
        finally:
            self.line.close()
