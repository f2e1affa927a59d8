"""Small runs in this process, the way each has to go, and how long it took to get there."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from turnaround import config, journal, plan
from turnaround.forecast import past
from turnaround.launch import base, facts, inline
from turnaround.spec import Plan

PROJECT = Path(__file__).parents[2]
COMMON = ["cluster=inline", "cluster.threads=1", "tracking=none"]

AT = 0.6  # of the schedule: where the target is
LOOKS = 40  # in the schedule
RECIPES = {
    "lm": [
        *("recipe=lm", "recipe.width=64", "recipe.layers=1", "recipe.context=32"),
        *("recipe.sentences=6000", "recipe.written=2", "optim.lr=0.003", "optim.warmup=50"),
        *("data.batch=16", "budget.steps=800"),
    ],
    "image": ["recipe=image", "optim.lr=0.004", "data.batch=16", "budget.steps=320"],
    "momentum": [  # the same by plain gradients, of which the law speaks
        *("recipe=image", "optim=momentum", "optim.lr=0.02", "data.batch=16", "budget.steps=480"),
    ],
    "seq2seq": [
        *("recipe=seq2seq", "recipe.width=64", "recipe.examples=10000", "recipe.beam=1"),
        *("optim.lr=0.007", "data.batch=32", "budget.steps=800"),
    ],
}
SHELF = ["lm", "image", "seq2seq"]  # those that are asked for where nothing is said


@dataclass(frozen=True)
class First:
    """A recipe's run at 1 × the batch, and the loss to be reached."""

    words: list[str]  # without those that make it listen
    run: str
    target: float


@dataclass(frozen=True)
class There:
    """A score was reached."""

    steps: float  # between two looks, by a line
    seconds: float  # of training, evaluations included


def first(name: str, seed: int, home: Path, steps: int | None = None) -> First:
    """That recipe's, now or from before; a target is the loss after 60 % of the schedule."""
    words = [*RECIPES[name], f"seed={seed}", "evaluate.limit=200", "evaluate.score=loss"]
    steps = steps or next(int(w[13:]) for w in words if w.startswith("budget.steps="))
    words += [f"budget.steps={steps}", f"evaluate.every={max(1, steps // LOOKS)}"]
    words += ["checkpoint.every=100000"]
    listening = ["update.accumulate=2", "tracking.noise=2"]
    run = once(home / f"{name}-{seed}.run", lambda: carried([*words, *listening], home))
    valid = told(run, home).valid
    near = sorted(valid, key=lambda pair: abs(pair[0] - AT * steps))[:3]
    return First(words, run, statistics.mean(values["loss"] for _, values in near))


def once(file: Path, make: Callable[[], str]) -> str:
    """What is in the file, made if it is not there."""
    if not file.exists():
        file.with_suffix(".new").write_text(make())
        file.with_suffix(".new").replace(file)
    return file.read_text()


def planned(words: list[str], home: Path) -> tuple[Plan, Path]:
    """What the words come to, and the recipe's file."""
    asked = config.compose([*words, *COMMON], PROJECT, home)
    found = facts.gather(asked, PROJECT, facts.inventory())
    return plan.make(asked, found), asked.recipe_file


def carried(words: list[str], home: Path) -> str:
    """The id of a run of these words."""
    made, recipe_file = planned(words, home)
    book = journal.Journal(home)
    if code := inline.run(base.frozen(made, recipe_file, home), book, lambda event: None):
        raise SystemExit(f"{' '.join(words)} ended with {code}")
    return book.runs("recipe=?", [made.recipe.name], 1)[0].id


def told(run: str, home: Path) -> past.Told:
    """What it says."""
    book = journal.Journal(home)
    return past.read(book.plan(run), book.events(run))


def there(run: str, home: Path, target: float) -> There | None:
    """When its valid loss was there; none if it never was."""
    steps = told(run, home).reached("loss", target, up=False)
    if steps is None:
        return None
    before = (0.0, 0.0)
    for event in journal.Journal(home).events(run):
        if event.kind == "metrics" and event.data["split"] == "valid":
            now = (float(event.data["step"]), float(event.data["seconds"]))
            if now[0] >= steps:
                share = (steps - before[0]) / (now[0] - before[0])
                return There(steps, before[1] + share * (now[1] - before[1]))
            before = now
    return None
