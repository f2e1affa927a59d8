from __future__ import annotations

import contextlib
import random
import socket
from multiprocessing.connection import Connection
from typing import Any

import pytest
import torch
import torch.distributed as dist

from tests.engine.trials import CONTEXT, without_home
from turnaround.engine.world import World, _leaving, join
from turnaround.spec import Assignment


def drawn() -> tuple[float, float]:
    return torch.rand(()).item(), random.random()


def test_what_is_drawn_follows_from_the_key() -> None:
    world = World(torch.device("cpu"))
    world.seed(1, 2)
    first = drawn()
    world.seed(12)
    assert drawn() != first
    world.seed(1, 2)
    assert drawn() == first


def test_alone_everything_is_ones_own() -> None:
    with join(Assignment("r", "/nowhere", "/nowhere", attempt=1)) as world:
        assert world.leads
        assert world.gather({"a": 1}) == [{"a": 1}]
        assert world.share("mine") == "mine"
        assert world.agree(True, 3.0) == (True, 3.0)
        assert world.sum(torch.ones(2)).tolist() == [1.0, 1.0]
        assert not dist.is_initialized()


@pytest.mark.parametrize(
    ("device", "fails", "left"),
    [("cpu", True, 1), ("cpu", False, 1), ("cuda", True, 0), ("cuda", False, 1)],
)
def test_a_rank_that_fails_waits_for_no_other_to_leave(
    device: str, fails: bool, left: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With NCCL nobody leaves a group alone."""
    calls: list[None] = []
    monkeypatch.setattr(dist, "destroy_process_group", lambda: calls.append(None))
    with contextlib.suppress(ValueError), _leaving(torch.device(device)):
        if fails:
            raise ValueError
    assert len(calls) == left


def talk(rank: int, store: str, listener: socket.socket | None, answer: Connection) -> None:
    """One of two ranks, saying what it heard of the other."""
    mine = Assignment("r", "/", "/", attempt=1, rank=rank, size=2, store=store)
    numbers = {0: {"both": [1.0, 2.0], "first": [5.0]}, 1: {"both": [3.0, 4.0], "second": [7.0]}}
    with join(mine, listener.detach() if listener else None) as world:
        sums = {n: torch.tensor(v, dtype=torch.float64) for n, v in numbers[rank].items()}
        total = {name: values.tolist() for name, values in world.total(sums).items()}
        heard = [world.gather(rank), world.share(f"of {rank}"), total, world.total({})]
        clocks = [world.agree(rank == 1 and step == 1, 10.0 * step + rank) for step in range(4)]
        world.meet()
        along = []
        added: list[list[float]] = []
        for step in range(4):
            adding = world.adding(torch.tensor([rank], dtype=torch.float64))
            telling = world.telling((1.0 + rank, float(step)))
            added.append([*telling()[:2], *adding().tolist()])
            along.append(world.agree(rank == 1 and step == 1, 10.0 * step + rank))
        answer.send([*heard, clocks, added, along])
        world.meet()


def test_two_ranks_hear_the_same() -> None:
    hearing, answer = CONTEXT.Pipe(duplex=False)
    with socket.create_server(("127.0.0.1", 0)) as listener, without_home():
        store = "{}:{}".format(*listener.getsockname())
        given: list[Any] = [listener, None]
        ranks = [CONTEXT.Process(target=talk, args=(r, store, given[r], answer)) for r in (0, 1)]
        for rank in ranks:
            rank.start()
    heard = hearing.recv()
    assert heard == hearing.recv()
    gathered, shared, total, nothing, clocks, sums, along = heard
    assert gathered == [0, 1]
    assert shared == "of 0"
    assert total == {"both": [4.0, 6.0], "first": [5.0], "second": [7.0]}
    assert nothing == {}
    assert clocks == [(False, 0.0), (False, 0.0), (True, 10.0), (False, 20.0)]  # a call late
    assert sums == [[3.0, 0.0, 1.0], [3.0, 2.0, 1.0], [3.0, 4.0, 1.0], [3.0, 6.0, 1.0]]
    assert along == clocks  # whether by themselves or with the sums
    for rank in ranks:
        rank.join(100)
        assert rank.exitcode == 0
