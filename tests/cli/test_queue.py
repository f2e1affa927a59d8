"""`turnaround ls --queue`."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import psutil
import pytest

from tests.cli.conftest import PLAN
from turnaround.journal import Journal, Run
from turnaround.pool.machines import Machine
from turnaround.pool.messages import wire
from turnaround.pool.node.gang import Placement
from turnaround.pool.places import Places, Record, write_record
from turnaround.pool.queue.line import Line
from turnaround.spec import Cluster, Status


@pytest.fixture
def line(journal: Journal, submit: Callable[..., Run]) -> Line:
    """A scheduler's queue on one machine with two cores, which answers."""
    me = psutil.Process()
    record = Record(os.getpid(), me.create_time(), 1, "0", "python", 2, 0, 60.0, time.time())
    write_record(Places(journal.root), record)
    line = Line(journal)
    submit("seq2seq-zzzzz", Status.RUNNING)

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        line.read()
        line.keep({"seq2seq-zzzzz": [Placement(cpus=1, ranks=[0], machine="a")]}, ())
        line.decide([Machine("a", "127.0.0.1", cpus=1, gpus=0, head=True)])
        return line.listed(request["most"])

    wire.serve(Places(journal.root).scheduler, answer)
    return line


def test_the_next_one_stands_first_with_its_reason(ask, submit, line) -> None:
    submit("seq2seq-aaaaa", plan=replace(PLAN, cluster=Cluster(device="cpu", threads=1)))
    high = replace(PLAN, cluster=Cluster(device="cpu", threads=1, priority=3))
    submit("seq2seq-bbbbb", plan=high, reason="")
    told = json.loads(ask("ls", "--queue", "--json").out)
    assert [(place["place"], place["id"]) for place in told["queue"]] == [
        (1, "seq2seq-bbbbb"),
        (2, "seq2seq-aaaaa"),
    ]
    assert told["queue"][0]["reason"] == "waits for 1 CPU: 0 free, held by seq2seq-zzzzz"
    assert told["queue"][1]["reason"] == "waits its turn behind seq2seq-bbbbb"


def test_of_a_long_queue_the_beginning_is_shown_and_the_rest_counted(ask, submit, line) -> None:
    for n in range(25):
        submit(f"seq2seq-{n:05}")
    said = ask("ls", "--queue").out.splitlines()
    assert len(said) == 1 + 20 + 1
    assert said[-1] == "… and 5 more: --limit 25"


def test_without_a_pool_the_queue_waits_for_one(ask, submit) -> None:
    submit("seq2seq-aaaaa")
    submit("seq2seq-bbbbb", Status.RUNNING)
    said = ask("ls", "--queue").out.splitlines()
    assert len(said) == 2
    assert said[1].endswith("no pool is up: turnaround up")


def test_where_nothing_waits_it_says_so(ask) -> None:
    assert ask("ls", "--queue").out == "nothing waits: turnaround ls lists all runs\n"


def test_other_words_do_not_go_with_it(ask) -> None:
    assert ask("ls", "--queue", "--recipe", "seq2seq").code == 2
