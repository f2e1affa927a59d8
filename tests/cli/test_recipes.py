"""`turnaround recipes`, and the words that the shell completes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from turnaround.cli.verbs.complete import BASH, SCRIPTS

TINY = '''"""Count to ten."""


class Config:
    width: int = 8  # of everything
    deep: bool = False
    kind: Literal["a", "b"] = "a"
    heads: int = WIDTH // 8
    path: str
'''


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one recipe; we are in it."""
    (tmp_path / "project" / "recipes").mkdir(parents=True)
    (tmp_path / "project" / "recipes" / "tiny.py").write_text(TINY)
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def test_recipes_are_listed_the_users_own_and_the_shipped(
    project: Path, ask: Callable[..., Any]
) -> None:
    blocks = ask("recipes").out.strip().split("\n\n")
    assert any(block.startswith("seq2seq   Sequence to sequence") for block in blocks)
    file = project / "recipes" / "tiny.py"
    assert f"tiny      Count to ten.\n  file    {file}" in blocks
    names = [row["name"] for row in json.loads(ask("recipes", "--json").out)]
    assert names == sorted(names)


def test_what_a_recipe_says_of_itself_is_on_the_shelf(
    project: Path, ask: Callable[..., Any]
) -> None:
    said = '"""Count to ten.\n\nData: fingers,\n    or toes.\nExpect: ten\nTime: 9 s\n\nMore."""\n'
    (project / "recipes" / "tiny.py").write_text(said)
    found = {told["name"]: told for told in json.loads(ask("recipes", "--json").out)}
    told = found["tiny"]
    assert (told["data"], told["expect"], told["time"]) == ("fingers, or toes.", "ten", "9 s")
    assert "\n  expect  ten\n  time    9 s\n" in ask("recipes").out


def test_a_recipes_knobs_are_shown(project: Path, ask: Callable[..., Any]) -> None:
    (project / "recipes" / "tiny.py").write_text(TINY.replace("    path: str\n", ""))
    (project / "conf" / "recipe").mkdir(parents=True)
    (project / "conf" / "recipe" / "tiny.yaml").write_text(
        "# @package _global_\noptim: {lr: 0.5}\nbudget: {steps: 9}\n"
    )
    assert ask("recipes", "tiny").out.splitlines() == [
        "tiny: Count to ten.",
        f"{project}/recipes/tiny.py",
        "",
        "knob          type   default     meaning",
        "recipe.width  int    8           of everything",
        "recipe.deep   bool   false",
        'recipe.kind   a · b  "a"',
        "recipe.heads  int    (computed)",
        "",
        "With it, unless you say otherwise:",
        "  optim.lr=0.5 budget.steps=9",
        "",
        "turnaround run recipe=tiny recipe.kind=a",
    ]


def test_a_recipes_knobs_as_json(project: Path, ask: Callable[..., Any]) -> None:
    told = json.loads(ask("recipes", "tiny", "--json").out)
    assert (told["name"], told["headline"]) == ("tiny", "Count to ten.")
    assert told["knobs"][0] == {
        "name": "width", "type": "int", "default": 8, "help": "of everything",
        "choices": [], "required": False, "computed": False,
    }  # fmt: skip
    assert [knob["name"] for knob in told["knobs"] if knob["required"]] == ["path"]


def test_an_unknown_recipe_is_refused_naming_near_ones(
    project: Path, ask: Callable[..., Any]
) -> None:
    said = ask("recipes", "tny")
    assert said.code == 2
    assert "recipe tny is not one of the recipes\n  → did you mean tiny?" in said.err


def test_a_broken_recipe_does_not_hide_the_others(project: Path, ask: Callable[..., Any]) -> None:
    (project / "recipes" / "broken.py").write_text("def f(:\n")
    said = ask("recipes")
    assert said.code == 0
    assert "line 1: invalid syntax" in said.out
    assert "Count to ten." in said.out


# ── completion ──

ASKED = """
source /dev/stdin <<< "$SCRIPT"
compopt() { :; }
COMP_POINT=${#COMP_LINE}
_turnaround
printf '%s\\n' "${COMPREPLY[@]}"
"""


def slow(line: str, offered: list[str]) -> Any:
    """Each starts a shell and a command line of its own."""
    return pytest.param(line, offered, marks=pytest.mark.slow)


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash here")
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        slow("turnaround rec", ["recipes"]),
        ("turnaround run opt", ["optim=", "optim."]),
        slow("turnaround run see", ["seed="]),
        slow("turnaround plan optim=ada", ["adagrad", "adam", "adamw"]),
        slow("turnaround plan optim.zz", [""]),
        slow("turnaround plan optim.sch", ["optim.schedule="]),
        ("turnaround plan optim.schedule=co", ["constant", "cosine"]),
        slow("turnaround plan recipe=ti", ["tiny"]),
        ("turnaround plan recipe=tiny recipe.wi", ["recipe.width="]),
        slow("turnaround plan recipe=tiny recipe.kind=", ["a", "b"]),
        slow("turnaround plan recipe=tiny recipe.deep=", ["true", "false"]),
        slow("turnaround plan recipe=none recipe.wi", [""]),
        ("turnaround recipes ti", ["tiny"]),
    ],
)
def test_the_shell_completes_groups_options_and_settings(
    project: Path, line: str, offered: list[str]
) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environ = {**os.environ, "SCRIPT": BASH, "COMP_LINE": line, "PATH": path}
    done = subprocess.run(
        ["bash", "-c", ASKED], env=environ, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == offered


WORDS_OF = {  # the same in a shell where somebody presses Tab, as far as it can be without a screen
    "zsh": """
compdef() { :; }
compadd() { while [[ $1 != -- ]]; do shift; done; shift; (( $# )) && print -l -- "$@"; :; }
compset() { :; }
_files() { print FILES; }
eval "$SCRIPT"
words=("${(@s: :)LINE}") CURRENT=$#words PREFIX=${words[-1]}
_turnaround
""",
    "fish": 'eval "$SCRIPT"\ncomplete --do-complete "$LINE" | string replace -r "\\t.*" ""',
}


@pytest.mark.parametrize("shell", WORDS_OF)
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("turnaround rec", ["recipes"]),
        ("turnaround run opt", ["optim=", "optim."]),
        ("turnaround plan optim.schedule=co", ["optim.schedule=constant", "optim.schedule=cosine"]),
        ("turnaround plan recipe=tiny recipe.wi", ["recipe.width="]),
    ],
)
def test_zsh_and_fish_complete_them_too(
    project: Path, shell: str, line: str, offered: list[str]
) -> None:
    if not shutil.which(shell):
        pytest.skip(f"no {shell} here")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environ = {**os.environ, "SCRIPT": SCRIPTS[shell], "LINE": line, "PATH": path}
    done = subprocess.run(
        [shell, "-c", WORDS_OF[shell]], env=environ, capture_output=True, text=True, check=True
    )
    assert sorted(done.stdout.splitlines()) == sorted(offered)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(shell: str, ask: Callable[..., Any]) -> None:
    said = ask("complete", shell)
    assert (said.code, said.out.strip()) == (0, SCRIPTS[shell])


def test_zsh_and_fish_get_each_word_with_its_meaning(
    project: Path, ask: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("_TURNAROUND_COMPLETE", "complete_fish")
    monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", "turnaround run optim.l")
    lines = ask().out.splitlines()
    assert [line.partition("\t")[0] for line in lines] == ["optim.lr=", "optim.line_search="]
    assert lines[0] == "optim.lr=\tAmount, 0.001"
    assert lines[1].startswith("optim.line_search=\tLiteral[")


def test_an_unknown_shell_is_refused(ask: Callable[..., Any]) -> None:
    said = ask("complete", "fsh")
    assert said.code == 2
    assert "fsh is not one of the shells\n  → did you mean fish or zsh" in said.err
