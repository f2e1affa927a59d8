"""`turnaround data`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from turnaround.cli.verbs import data

NUMBERS = '''"""Numbers, one a line."""

from pathlib import Path

import torch
from torch import nn

from turnaround.engine import Endless, Mean, Recipe
from turnaround.errors import DataError


class Numbers(Recipe):
    def data(self, split):
        if not self.source.path:
            return Endless(lambda number: torch.full((number % 3 + 1,), number))
        lines = Path(self.source.path).read_text().splitlines()
        return [self.number(place, line) for place, line in enumerate(lines, 1)]

    def number(self, place, line):
        if line == "seven":
            raise DataError(f"{self.source.path}, line {place}: seven is no number")
        return torch.tensor([float(line)])

    def collate(self, examples):
        return {"numbers": examples[0][None], "names": ["a"]}

    def model(self):
        return nn.Linear(1, 1)

    def inputs(self, batch):
        return (batch["numbers"],)

    def loss(self, output, batch):
        return Mean.of(output.sum(), 1)
'''


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one recipe; we are in it."""
    (tmp_path / "project" / "recipes").mkdir(parents=True)
    (tmp_path / "project" / "recipes" / "numbers.py").write_text(NUMBERS)
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def test_each_split_is_counted_measured_and_shown(ask: Callable[..., Any]) -> None:
    Path("some.txt").write_text("1\n2\n3\n")
    said = ask("data", "recipe=numbers", "data.path=some.txt")
    assert said.code == 0, said.err
    lines = said.out.splitlines()
    assert [line.split()[:2] for line in lines[1:4]] == [
        ["train", "3"], ["valid", "3"], ["test", "3"],
    ]  # fmt: skip
    assert lines[4:] == [
        "example  tensor([1.])",
        "batch    numbers (1, 1) float32, names (1) str",
    ]


def test_what_never_ends_is_looked_at_for_a_while(ask: Callable[..., Any]) -> None:
    said = ask("data", "recipe=numbers", "--all", "--json")
    train = json.loads(said.out)[0]
    assert (train["count"], train["seen"]) == (None, data.SOME)
    assert train["lengths"] == [1, 2, 3]


def test_what_is_wrong_is_named_by_file_and_line(ask: Callable[..., Any]) -> None:
    Path("some.txt").write_text("1\nseven\n")
    said = ask("data", "recipe=numbers", "data.path=some.txt")
    assert said.code == 2
    assert "some.txt, line 2: seven is no number" in said.err


def test_a_mistake_of_the_recipe_names_the_example(ask: Callable[..., Any], project: Path) -> None:
    broken = NUMBERS.replace("number % 3 + 1", "3 - number")
    (project / "recipes" / "numbers.py").write_text(broken)
    said = ask("data", "recipe=numbers")
    assert "example 4 of train cannot be made: RuntimeError" in said.err
