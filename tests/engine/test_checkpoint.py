from __future__ import annotations

import json
import random
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from turnaround.engine.checkpoint import Checkpoints, Disk
from turnaround.errors import CheckpointError


class Warnings(list[str]):
    """What was warned of."""


@pytest.fixture
def warnings() -> Warnings:
    return Warnings()


@pytest.fixture
def checkpoints(tmp_path: Path, warnings: Warnings) -> Checkpoints:
    return Checkpoints(tmp_path / "checkpoints", keep=2, warn=warnings.append)


def state(number: float = 0.0) -> dict[str, Any]:
    """Something of every kind."""
    weight = torch.full((3, 4), number)
    return {
        "model": {"weight": weight, "tied": weight, "turned": torch.arange(6.0).view(2, 3).T},
        "optimizer": {"0": {"step": torch.tensor(7.0), "lr": 0.1, "betas": [0.9, None]}},
        "progress": {"step": 7, "name": "é"},
    }


def names(checkpoints: Checkpoints) -> list[str]:
    return sorted(path.name for path in checkpoints.folder.iterdir())


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """As on a disk that is full after so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_what_is_loaded_is_what_was_saved(checkpoints: Checkpoints) -> None:
    name = checkpoints.save("step", 7, state(1.5))
    assert name == checkpoints.newest("step") == "step-00000007"
    loaded = checkpoints.load(name)
    assert loaded["progress"] == {"step": 7, "name": "é"}
    assert loaded["optimizer"]["0"]["betas"] == [0.9, None]
    assert torch.equal(loaded["optimizer"]["0"]["step"], torch.tensor(7.0))
    assert torch.equal(loaded["model"]["tied"], torch.full((3, 4), 1.5))
    assert torch.equal(loaded["model"]["turned"], state()["model"]["turned"])


def test_nothing_is_newest_where_nothing_was_saved(checkpoints: Checkpoints) -> None:
    assert checkpoints.newest("step") is None
    assert checkpoints.newest("best") is None


def test_the_newest_steps_are_kept_and_the_best(checkpoints: Checkpoints) -> None:
    checkpoints.save("best", 1, state())
    for step in (1, 2, 3):
        checkpoints.save("step", step, state())
    assert names(checkpoints) == ["best-00000001", "step-00000002", "step-00000003"]
    checkpoints.save("best", 3, state())
    assert names(checkpoints) == ["best-00000003", "step-00000002", "step-00000003"]


def test_a_best_one_stays_until_a_step_knows_of_a_better(checkpoints: Checkpoints) -> None:
    checkpoints.save("best", 90, state())
    checkpoints.save("step", 100, state())
    for step in (170, 190):
        checkpoints.save("best", step, state())
    assert names(checkpoints) == ["best-00000090", "best-00000190", "step-00000100"]
    checkpoints.save("step", 200, state())
    assert names(checkpoints) == ["best-00000190", "step-00000100", "step-00000200"]


def test_the_best_of_a_future_that_is_discarded_is_swept(checkpoints: Checkpoints) -> None:
    checkpoints.save("best", 90, state())
    checkpoints.save("step", 100, state())
    checkpoints.save("best", 190, state())
    checkpoints.sweep(checkpoints.newest("step"))
    assert names(checkpoints) == ["best-00000090", "step-00000100"]
    (checkpoints.folder / "step-00000100").rename(checkpoints.folder / "elsewhere")
    checkpoints.sweep(checkpoints.newest("step"))
    assert names(checkpoints) == ["elsewhere"]


def test_a_step_saved_again_replaces_the_first_and_what_came_after(
    checkpoints: Checkpoints,
) -> None:
    checkpoints.save("step", 10, state(1.0))
    checkpoints.save("step", 20, state(1.0))
    checkpoints.save("step", 10, state(2.0))
    assert names(checkpoints) == ["step-00000010"]
    assert checkpoints.load("step-00000010")["model"]["weight"][0, 0] == 2.0


def test_every_one_of_a_hundred_flipped_bits_is_noticed(
    checkpoints: Checkpoints, warnings: Warnings
) -> None:
    checkpoints.save("step", 1, state())
    checkpoints.save("step", 2, state())
    rng = random.Random(0)
    for _ in range(100):
        file = (
            checkpoints.folder / "step-00000002" / rng.choice(["tensors.safetensors", "state.json"])
        )
        good = file.read_bytes()
        bad = bytearray(good)
        bad[rng.randrange(len(bad))] ^= 1 << rng.randrange(8)
        file.write_bytes(bad)
        assert checkpoints.newest("step") == "step-00000001"
        file.write_bytes(good)
    assert len(warnings) == 100
    assert checkpoints.newest("step") == "step-00000002"


@pytest.mark.parametrize("file", ["tensors.safetensors", "state.json", "manifest.json"])
@pytest.mark.parametrize("damage", ["cut in half", "empty", "a web page", "gone"])
def test_a_damaged_file_sends_us_to_the_checkpoint_before(
    checkpoints: Checkpoints, warnings: Warnings, file: str, damage: str
) -> None:
    checkpoints.save("step", 1, state())
    checkpoints.save("step", 2, state())
    path = checkpoints.folder / "step-00000002" / file
    whole = path.read_bytes()
    path.unlink()
    damaged = {"cut in half": whole[: len(whole) // 2], "empty": b"", "a web page": b"<html>"}
    if damage in damaged:
        path.write_bytes(damaged[damage])
    assert checkpoints.newest("step") == "step-00000001"
    (warning,) = warnings
    assert warning.startswith("checkpoint step-00000002 ")


def test_when_none_can_be_trusted_that_is_an_error(checkpoints: Checkpoints) -> None:
    checkpoints.save("step", 1, state())
    (checkpoints.folder / "step-00000001" / "state.json").unlink()
    with pytest.raises(CheckpointError, match="none of the 1 checkpoints"):
        checkpoints.newest("step")


def test_a_checkpoint_of_a_newer_turnaround_is_not_guessed_at(
    checkpoints: Checkpoints, warnings: Warnings
) -> None:
    checkpoints.save("step", 1, state())
    checkpoints.save("step", 2, state())
    path = checkpoints.folder / "step-00000002" / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))
    assert checkpoints.newest("step") == "step-00000001"
    assert "written by a newer turnaround" in warnings[0]


def test_a_full_disk_is_said_and_leaves_the_older_checkpoint(
    checkpoints: Checkpoints, warnings: Warnings
) -> None:
    checkpoints.save("step", 1, state())
    with files_no_larger_than(100):
        assert checkpoints.save("step", 2, state()) is None
    assert names(checkpoints) == ["step-00000001"]
    (warning,) = warnings
    assert warning.startswith("checkpoint step-00000002 was not saved: File too large; it needs ")
    assert warning.endswith("Training goes on; newest that is safe: step-00000001")
    assert checkpoints.save("step", 3, state()) == "step-00000003"


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path, warnings: Warnings) -> None:
    (tmp_path / "file").touch()
    checkpoints = Checkpoints(tmp_path / "file" / "checkpoints", keep=2, warn=warnings.append)
    assert checkpoints.save("step", 1, state()) is None
    assert "its folder is gone" in warnings[0]


def test_those_of_many_runs_are_safe_when_their_disk_settles(tmp_path: Path) -> None:
    disk, warned = Disk(), Warnings()
    told: list[str] = []
    runs = [Checkpoints(tmp_path / str(i), keep=1, warn=warned.append) for i in range(20)]
    (tmp_path / "3").touch()  # no folder can be made there
    for run in runs:
        run.disk = disk
        for kind, step in (("best", 1), ("step", 1), ("step", 2)):
            assert run.save(kind, step, state(), told.append) is None
    assert told == []
    assert not runs[0].folder.exists()
    disk.settle()
    disk.settle()
    assert told == 19 * ["best-00000001", "step-00000001", "step-00000002"]
    assert len(warned) == 3
    runs.pop(3)
    assert all(names(run) == ["best-00000001", "step-00000002"] for run in runs)
    assert all(run.newest("step") == "step-00000002" for run in runs)


def test_what_a_killed_process_left_half_written_is_never_used_and_swept(
    checkpoints: Checkpoints,
) -> None:
    checkpoints.save("step", 1, state())
    left = checkpoints.folder / ".unfinished-step-00000002"
    left.mkdir()
    (left / "tensors.safetensors").write_bytes(b"half")
    assert checkpoints.newest("step") == "step-00000001"
    checkpoints.sweep("step-00000001")
    assert names(checkpoints) == ["step-00000001"]


def test_saving_over_what_was_left_half_written_works(checkpoints: Checkpoints) -> None:
    (checkpoints.folder / ".unfinished-step-00000002").mkdir(parents=True)
    assert checkpoints.save("step", 2, state()) == "step-00000002"
    assert names(checkpoints) == ["step-00000002"]
