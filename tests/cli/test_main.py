import importlib
import keyword
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from turnaround import __version__
from turnaround.cli import main

REPOSITORY = Path(__file__).resolve().parents[2]


def shell(*words: str, **more) -> subprocess.CompletedProcess[str]:
    """`turnaround WORDS` as a process of its own."""
    command = [sys.executable, "-m", "turnaround", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, **more)


def test_help_lists_every_verb_in_its_group(ask) -> None:
    said = ask("--help")
    assert said.code == 0
    assert said.out.endswith(
        "Ask:\n"
        "  run       train a recipe and watch it learn\n"
        "  sweep     try many settings, and keep the best\n"
        "  plan      show what a run would do, without doing it\n"
        "  recipes   list the recipes, or one recipe's knobs\n"
        "  data      prepare a data source, and say what is wrong with it\n"
        "  init      make a folder with a recipe of your own\n"
        "\n"
        "Look:\n"
        "  ls        list runs, newest first\n"
        "  show      everything about one run\n"
        "  logs      what a run's processes printed\n"
        "  watch     attach the live view to a run\n"
        "  report    what came out of a sweep\n"
        "  compare   what differs between runs, and how sure that is\n"
        "  why       say what to change: slow, waiting or failed\n"
        "  try       use a trained model from standard input\n"
        "  ui        open the MLflow pages of this project's runs\n"
        "\n"
        "Steer:\n"
        "  stop      save a run and stop it\n"
        "  resume    continue a stopped or failed run\n"
        "  rm        forget a run and delete its files\n"
        "  gc        free the space that no run needs\n"
        "\n"
        "Machine:\n"
        "  up        start this machine's pool\n"
        "  down      stop this machine's pool\n"
        "  doctor    check this machine, and say what to do\n"
        "  complete  set up completion in your shell\n"
    )


def test_no_words_are_a_cry_for_help(ask) -> None:
    assert ask() == ask("--help")


def test_the_version_is_the_packages(ask) -> None:
    assert ask("--version").out == f"turnaround {__version__}\n"


@pytest.mark.parametrize("verb", main.VERBS)
def test_every_verb_has_a_function_and_examples(ask, verb: str) -> None:
    said = ask(verb, "--help")
    assert said.code == 0
    assert f"\n  turnaround {verb}" in said.out, "an example that can be pasted"
    name = verb + "_" * keyword.iskeyword(verb)
    assert callable(getattr(importlib.import_module(f"turnaround.cli.verbs.{name}"), name))


def test_a_word_that_is_no_verb_names_near_ones(ask) -> None:
    said = ask("rn", "recipe=seq2seq")
    assert (said.code, said.out) == (2, "")
    assert said.err == (
        "ConfigError: turnaround rn is not one of the verbs\n"
        "  → did you mean run or rm?  (compare, complete, data, doctor, down, gc, init, logs, ls,"
        " plan, recipes, report, resume, rm, run, show, stop, sweep, try, ui, up, watch, why)\n"
    )


def test_a_wrong_option_says_where_help_is(ask) -> None:
    said = ask("ls", "--limt", "3")
    assert said.code == 2
    assert said.err == (
        "UsageError: turnaround ls: No such option: --limt (Possible options: --limit)\n"
        "  → turnaround ls --help\n"
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run", "recipe=seq2seq", "--name"), "'--name' requires an argument."),
        (("run", "--detach=3"), "'--detach' does not take a value."),
    ],
)
def test_an_option_without_its_argument_names_the_verb(ask, words, said: str) -> None:
    told = ask(*words)
    assert told.code == 2
    assert told.err == f"UsageError: turnaround run: Option {said}\n  → turnaround run --help\n"


def test_a_missing_word_says_which(ask) -> None:
    said = ask("show")
    assert said.code == 2
    assert said.err == (
        "UsageError: turnaround show: Missing argument 'RUN'.\n  → turnaround show --help\n"
    )


def test_a_reader_that_leaves_is_no_error(tmp_path: Path) -> None:
    words = f"{sys.executable} -m turnaround --help | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", words], capture_output=True, text=True, check=True)
    assert (done.stdout.strip() in ("0", "141"), done.stderr) == (True, "")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("ls >&-", 0, ""),
        ("ls 2>&- | grep -o ^seq2seq", 0, "seq2seq\n"),
        ("ls <&- >&- 2>&-", 0, ""),
        ("rm seq2seq-aaaaa <&- 2>&1 | grep -o 'and nobody .*'", 2, "and nobody is there to ask\n"),
        ("ls 2>&1 > /dev/full | head -1", 3, "LaunchError: the output: No space left on device\n"),
        ("rn 2> /dev/full", 2, ""),
    ],
)
def test_streams_that_are_closed_or_full_are_no_mistake_of_ours(
    words: str, code: int, said: str, trained: Callable[..., object]
) -> None:
    trained("seq2seq-aaaaa")
    line = f"{sys.executable} -m turnaround {words}; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (code, said, "")


def test_a_terminal_without_unicode_gets_question_marks() -> None:
    done = shell("rn", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 2
    assert "  ? did you mean run" in done.stderr


def test_every_verb_is_documented_beside_its_name() -> None:
    verbs = (REPOSITORY / "turnaround" / "cli" / "verbs").glob("[a-z]*.py")
    assert set(main.VERBS) == {path.stem.rstrip("_") for path in verbs}
