"""`turnaround init`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from turnaround.cli.verbs.init import STARTER

README = (Path(__file__).parents[2] / "README.md").read_text()


def test_the_starter_is_what_the_readme_shows() -> None:
    for language, file in (("python", "recipes/spirals.py"), ("yaml", "conf/recipe/spirals.yaml")):
        shown = re.search(rf"```{language}\n(.*?)```", README, re.DOTALL)
        assert shown
        assert shown[1] == (STARTER / file).read_text()


def test_a_new_folder_runs_at_once(
    ask: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = ask("init", "mine")
    assert said.code == 0
    assert said.out.endswith("cd mine && turnaround run recipe=spirals\n")
    monkeypatch.chdir(tmp_path / "mine")
    words = ["budget.steps=2", "cluster=inline", "tracking=none", "--json"]
    for what in ("recipe=spirals", "experiment=narrow"):
        done = ask("run", what, *words)
        assert done.code == 0, done.err
        assert json.loads(done.out.splitlines()[-1])["status"] == "SUCCEEDED"
    assert Path(".gitignore").read_text().startswith("mlflow.db")


def test_nothing_is_written_over(
    ask: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("README.md").write_text("mine")
    said = ask("init")
    assert said.code == 2
    assert "README.md would be written over" in said.err
    assert [file.name for file in tmp_path.iterdir() if file.name != "home"] == ["README.md"]
    assert Path("README.md").read_text() == "mine"


def test_what_to_type_can_be_pasted(
    ask: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = ask("init", "my proj")
    assert said.out.endswith("\ncd 'my proj' && turnaround run recipe=spirals\n")
