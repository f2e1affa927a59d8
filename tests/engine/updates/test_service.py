"""Services and their lines, within one process."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
import torch
import torch.distributed as dist
from torch import Tensor

from turnaround.engine.service.first import Caller, First
from turnaround.engine.service.host import Host
from turnaround.engine.service.parameters import Record, Service
from turnaround.engine.service.wire import Head, Line, call
from turnaround.spec import Update


class Echo(Host):
    def answer(self, line: Line, group: int, head: Head, values: list[Tensor]) -> None:
        line.send({"group": group}, *values)


@pytest.fixture
def echo() -> Iterator[Echo]:
    host = Echo("127.0.0.1")
    yield host
    host.over = True
    host.close(patience=0.0)


def until(happened: object) -> None:
    deadline = time.monotonic() + 60
    while not happened():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_tensors_come_back_as_they_went(echo: Echo) -> None:
    line = call(echo.door.address, echo.door.token, group=3)
    kinds = (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int32)
    sent = [torch.arange(6).view(2, 3).to(kind) for kind in kinds]
    line.send({"op": "echo"}, *sent, torch.empty(0))
    head, values = line.receive()
    assert head["group"] == 3
    assert all(torch.equal(v, s.flatten()) for v, s in zip(values, sent, strict=False))
    assert values[-1].numel() == 0
    assert line.sent == line.received == sum(s.nbytes for s in sent)
    line.close()


def test_who_does_not_know_the_token_is_not_listened_to(echo: Echo) -> None:
    line = call(echo.door.address, "guessed", group=0)
    with pytest.raises(dist.DistNetworkError, match="is gone"):
        line.receive()
    assert echo.lines == {}
    line.close()


def test_who_goes_without_goodbye_is_lost(echo: Echo) -> None:
    polite, rude = (call(echo.door.address, echo.door.token, group=g) for g in (1, 2))
    until(lambda: len(echo.lines) == 2)
    polite.send({"op": "bye"})
    rude.cut()
    until(lambda: not echo.lines)
    assert echo.lost == [2]
    polite.close()
    rude.close()


def test_the_first_gradients_are_added_and_a_late_group_hears_of_it_at_once() -> None:
    service = First(enough=2, host="127.0.0.1")
    callers = [Caller(call(service.door.address, service.door.token, g)) for g in range(3)]
    woken = threading.Event()

    def wait() -> None:
        if callers[2].wait(1, 30.0):
            woken.set()

    waiting = threading.Thread(target=wait)
    waiting.start()
    for group in (0, 1):
        gradient = torch.full((2,), 10.0**group)
        told = {"loss": [1.0, 2.0], "stop": group == 1, "seconds": 5.0 + group}
        callers[group].send(1, gradient, **told)
    assert woken.wait(10)
    results = [caller.result(1) for caller in callers]
    assert [values.tolist() for _, values in results] == [[11.0, 11.0]] * 3
    said = {"loss": [2.0, 4.0], "stop": True, "seconds": 5.0, "step": 1}
    assert all(said.items() <= head.items() for head, _ in results)
    assert service.dropped == 1
    waiting.join()
    for caller in callers:
        caller.leave()
    service.close(patience=5.0)
    assert service.lost == []


def test_no_thread_is_left_of_a_group_that_went() -> None:
    before = threading.active_count()
    service = First(enough=1, host="127.0.0.1")
    caller = Caller(call(service.door.address, service.door.token, 0))
    assert threading.active_count() > before
    caller.leave()
    service.close(patience=5.0)
    until(lambda: threading.active_count() <= before)


def push(line: Line) -> None:
    """A gradient of ones, at the learning rate 1."""
    numbers = {"version": 0, "rate": 1.0, "scale": 1.0, "steps": 1, "examples": 10, "batches": 1}
    line.send(
        {"op": "push", "pull": False, "stop": False, "seconds": 0.0, **numbers}, torch.ones(2)
    )


def test_the_fastest_group_waits_for_the_slowest_within_the_bound() -> None:
    """Two pushes ahead is all that a group may be."""
    service = Service(Update("async", bound=2), lambda p: torch.optim.SGD(p, 0.1), "127.0.0.1")
    service.open({"weight": torch.zeros(2)}, {}, Record(), set())
    fast, slow = (call(service.door.address, service.door.token, g) for g in (0, 1))
    for line in (fast, slow):
        line.send({"op": "pull", "pull": True, "since": None})
        line.receive()
    for _ in range(2):
        push(fast)
        fast.receive()
    push(fast)
    heard = threading.Event()

    def listen() -> None:
        fast.receive()
        heard.set()

    listening = threading.Thread(target=listen)
    listening.start()
    assert not heard.wait(0.2)
    push(slow)
    assert heard.wait(10)
    listening.join()
    assert slow.receive()[0]["version"] == 4
    values, _, record = service.state()
    assert values["weight"].tolist() == [-4.0, -4.0]
    assert record.steps == 4
    assert record.stalest == 3
    service.stop()
    for line in (fast, slow):
        line.send({"op": "bye"})
        line.close()
    service.close(patience=5.0)
