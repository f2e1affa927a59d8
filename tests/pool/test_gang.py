"""A gang before its workers are forked: what they are given, and what is left if they are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.examples import example_plan
from turnaround.journal import Journal
from turnaround.pool.node.gang import Gang, Placement

RUN = "reverse-22222"


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
