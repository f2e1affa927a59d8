from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from turnaround.engine.failure import Signalled, explain, unsound
from turnaround.errors import DataError

USER = """
import torch

def loss(shape):
    return torch.zeros(2) + torch.zeros(shape)

def forward(model):
    return model(torch.zeros(3))

def inner():
    raise KeyError("missing")

def chained():
    try:
        inner()
    except KeyError as error:
        raise ValueError("no such word") from error
"""


@pytest.fixture
def user(tmp_path: Path) -> Any:
    """A module of the user's."""
    file = tmp_path / "recipes" / "mine.py"
    file.parent.mkdir()
    file.write_text(USER)
    spec = importlib.util.spec_from_file_location("mine", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def caught(act: Any, *words: Any) -> BaseException:
    """What it raises, as if nobody but the engine had called it."""
    try:
        act(*words)
    except Exception as error:
        return error.with_traceback(error.__traceback__ and error.__traceback__.tb_next)
    raise AssertionError("nothing was raised")


def test_a_traceback_has_the_users_lines_and_its_end(user: Any, tmp_path: Path) -> None:
    said = explain(caught(user.loss, 3), tmp_path)
    assert said["exit_code"] == 1
    assert said["message"].startswith("RuntimeError: The size of tensor a (2)")
    assert said["traceback"].splitlines()[:3] == [
        "Traceback (most recent call last):",
        '  File "recipes/mine.py", line 5, in loss',
        "    return torch.zeros(2) + torch.zeros(shape)",
    ]


def test_torchs_last_frame_is_shown_but_not_those_between(user: Any, tmp_path: Path) -> None:
    model = nn.Sequential(nn.Sequential(nn.Linear(2, 2)))
    trace = explain(caught(user.forward, model), tmp_path)["traceback"]
    assert trace.count("torch/nn/modules") == 1
    assert "torch/nn/modules/linear.py" in trace


def test_a_cause_is_shown_too(user: Any, tmp_path: Path) -> None:
    trace = explain(caught(user.chained), tmp_path)["traceback"]
    assert "KeyError: 'missing'" in trace
    assert trace.endswith("ValueError: no such word")


def test_without_a_line_of_the_users_the_whole_traceback_is_shown(tmp_path: Path) -> None:
    trace = explain(caught(nn.Linear(2, 2), torch.zeros(3)), tmp_path)["traceback"]
    assert trace.count("torch/nn/modules") > 1


def test_our_own_errors_need_no_traceback(tmp_path: Path) -> None:
    said = explain(DataError("a.tsv:3 has 1 column", "two are needed"), tmp_path)
    assert said == {
        "message": "a.tsv:3 has 1 column",
        "hint": "two are needed",
        "traceback": "",
        "exit_code": 2,
        "type": "DataError",
    }


@pytest.mark.parametrize(
    ("error", "message", "code"),
    [
        (SystemExit(7), "the recipe called sys.exit(7)", 1),
        (MemoryError("x"), "out of memory: x", 1),
        (torch.OutOfMemoryError("CUDA out of memory"), "out of memory: CUDA out of memory", 1),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate"), "out of memory: ", 1),
        (RuntimeError("gloo/transport/tcp/pair.cc: Connection closed by peer"), "another rank", 3),
        (torch.distributed.DistNetworkError("timeout"), "another rank was lost", 3),
        (Signalled(15, "SIGTERM"), "interrupted by SIGTERM before there was anything to save", 143),
        (Signalled(2, "SIGINT"), "interrupted by SIGINT before there was anything to save", 130),
    ],
)
def test_a_failure_has_its_message_and_exit_code(
    error: BaseException, message: str, code: int, tmp_path: Path
) -> None:
    said = explain(error, tmp_path)
    assert said["message"].startswith(message)
    assert said["exit_code"] == code


def test_out_of_memory_says_what_to_try(tmp_path: Path) -> None:
    assert "update.accumulate" in explain(MemoryError(), tmp_path)["hint"]


def test_blame_falls_on_a_parameter_a_gradient_or_the_examples() -> None:
    model = nn.Linear(2, 1)
    parameters = dict(model.named_parameters())
    assert (
        unsound(parameters, [4, 2]) == "all parameters are finite; look at training examples 4, 2"
    )
    model.bias.grad = torch.tensor([float("inf")])
    blamed = "the gradient of bias is not finite on training examples 0, 1, 2, 3, 4, 5, 6, 7, …"
    assert unsound(parameters, list(range(20))) == blamed
    with torch.no_grad():
        model.weight[0, 1] = float("nan")
    assert unsound(parameters, [4, 2]) == "parameter weight is not finite"
