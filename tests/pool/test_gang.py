"""A gang before its workers are forked: what they are given, and what is left if they are not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.examples import example_plan
from turnaround.errors import LaunchError
from turnaround.journal import Journal
from turnaround.pool.node.cores import Cores
from turnaround.pool.node.gang import Gang, Placement
from turnaround.spec import Layout

RUN = "reverse-22222"


class Full:
    """A forkserver on a machine that has room for one process more."""

    def __init__(self) -> None:
        self.forked = 0

    def fork(self, *_: object) -> int:
        self.forked += 1
        if self.forked > 1:
            raise LaunchError("no worker could be forked: it is full")
        return 2**30  # a pid that nobody has


def visible(home: Path, *gpus: int) -> list[str]:
    """What CUDA_VISIBLE_DEVICES is for workers with these GPUs of the machine."""
    gang = Gang(RUN, 1, Placement(gpus=list(gpus)))
    places = [(rank, rank) for rank in range(max(len(gpus), 1))]
    requests = [gang._request(example_plan(), Journal(home), place, None) for place in places]
    return [request["environ"]["CUDA_VISIBLE_DEVICES"] for request in requests]


@pytest.mark.parametrize(
    ("named", "given"),
    [("2,3", ["2", "3"]), ("3, 1", ["3", "1"]), ("GPU-8f1c,MIG-77aa", ["GPU-8f1c", "MIG-77aa"])],
)
def test_workers_use_the_gpus_that_the_daemon_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str, given: list[str]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert visible(tmp_path, 0, 1) == given
    assert visible(tmp_path, 1) == given[1:]
    assert visible(tmp_path) == [""]


def test_where_no_gpu_is_hidden_each_goes_by_its_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert visible(tmp_path, 0, 2) == ["0", "2"]


def test_a_gang_that_cannot_be_forked_whole_is_lost_and_keeps_no_file_open(tmp_path: Path) -> None:
    plan = replace(example_plan(), layout=Layout("ddp", replicate=2))
    journal = Journal(tmp_path)
    full: Any = Full()
    journal.submit(plan, RUN)
    gang, opened = Gang(RUN, 1, Placement()), psutil.Process().num_fds()
    gang.carry_out(journal, lambda _: full, Cores(set(), tmp_path), lambda: None)
    assert full.forked == 2
    assert gang.outcome is not None
    assert gang.outcome.lost
    assert gang.outcome.message.endswith("no worker could be forked: it is full")
    assert psutil.Process().num_fds() == opened
