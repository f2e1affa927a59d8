"""Small runs in this process, the way each has to go, and how long it took to get there."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from turnaround import config, journal, plan
from turnaround.forecast import past
from turnaround.launch import base, facts, inline
from turnaround.spec import Plan

PROJECT = Path(__file__).parents[2]
COMMON = ["cluster=inline", "cluster.threads=1", "tracking=none"]

AT = 0.6  # of the schedule: where the last target is
SHARES = (0.6, 0.8, 1.0)  # of the way there, by the loss's logarithm: all targets
LOOKS = 40  # in the schedule
RECIPES = {
    "lm": [
        *("recipe=lm", "recipe.width=128", "recipe.layers=2", "recipe.context=32"),
        *("recipe.sentences=6000", "recipe.written=2", "optim.lr=0.003", "optim.warmup=50"),
        *("data.batch=16", "budget.steps=800"),
    ],
    "image": [  # at 0.001 its loss comes and goes, and when it is there is chance
        *("recipe=image", "recipe.width=64", "recipe.shift=2"),
        *("optim.lr=0.0003", "data.batch=16", "budget.steps=1200"),
    ],
    "pointer": [
        *("recipe=pointer", "recipe.width=256", "optim.lr=0.001", "optim.warmup=50"),
        *("data.batch=32", "budget.steps=600"),
    ],
    "momentum": [  # the same by plain gradients, of which the law speaks
        *("recipe=image", "recipe.width=128", "recipe.shift=2", "optim=momentum"),
        *("optim.lr=0.02", "data.batch=16", "budget.steps=640"),
    ],
    "seq2seq": [
        *("recipe=seq2seq", "recipe.width=64", "recipe.examples=10000", "recipe.beam=1"),
        *("optim.lr=0.007", "data.batch=32", "budget.steps=800"),
    ],
}
SHELF = ["lm", "image", "pointer"]  # those that are asked for where nothing is said


@dataclass(frozen=True)
class First:
    """A recipe's run at 1 × the batch, and the losses to be reached."""

    words: list[str]  # without those that make it listen
    run: str
    targets: tuple[float, ...]

    @property
    def target(self) -> float:
        """The last of them."""
        return self.targets[-1]


@dataclass(frozen=True)
class There:
    """A score was reached."""

    steps: float  # between two looks, by a line
    seconds: float  # of training, evaluations included
    examples: float


def first(name: str, seed: int, home: Path, steps: int | None = None) -> First:
    """That recipe's, now or from before; the last target is the loss at 60 % of the schedule."""
    words = [*RECIPES[name], f"seed={seed}", "evaluate.limit=200", "evaluate.score=loss"]
    steps = steps or next(int(w[13:]) for w in words if w.startswith("budget.steps="))
    words += [f"budget.steps={steps}", f"evaluate.every={max(1, steps // LOOKS)}"]
    words += ["checkpoint.every=100000"]
    listening = ["update.accumulate=2", "tracking.noise=2"]
    run = once(home / f"{name}-{seed}.run", lambda: carried([*words, *listening], home))
    valid = told(run, home).valid
    near = sorted(valid, key=lambda pair: abs(pair[0] - AT * steps))[:3]
    last = statistics.mean(values["loss"] for _, values in near)
    begun = valid[0][1]["loss"]
    return First(words, run, tuple(begun * (last / begun) ** share for share in SHARES))


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
    events = journal.Journal(home).events(run)
    looks = [e.data for e in events if e.kind == "metrics" and e.data["split"] == "valid"]
    ways = ([(0, 0.0), *((d["step"], d[what]) for d in looks)] for what in ("seconds", "examples"))
    return There(steps, *(_between(way, steps) for way in ways))


def _between(known: Sequence[tuple[float, float]], at: float) -> float:
    """By a line."""
    after = next(place for place, (x, _) in enumerate(known) if x >= at)
    (x, y), (left, below) = known[after], known[max(after - 1, 0)]
    return y if x == left else below + (y - below) * (at - left) / (x - left)
