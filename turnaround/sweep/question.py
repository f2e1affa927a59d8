"""What a sweep was asked, frozen: everything from which the plan of any of its trials follows.

    question = read(journal.folder(sweep))     # `sweep/ask.py` makes it
    plan = planned(question, {"optim.lr": 0.01}, Mark("sweep-x7k2m", 1, nth=2))

A setting either chooses a file of conf/, a recipe or data, and then each choice is a *stem* of its
own, composed and its code frozen when the sweep is asked; or it changes one value of a stem.
Nothing of conf/, recipes or data is read again later.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge

from turnaround import config, plan
from turnaround.config import Axis, Config
from turnaround.errors import ConfigError
from turnaround.plan import Facts
from turnaround.signature import signature
from turnaround.spec import Amount, Count, Plan, Seed, from_dict, to_dict

USUAL = 20  # trials, when nobody says how many


@dataclass(frozen=True)
class Settings:
    """The words `sweep=…` and `sweep.…=…`."""

    name: Literal["grid", "random", "tpe", "asha", "hyperband", "pbt"] = "grid"
    trials: Count | None = None  # settings to try, of pbt members; none: the whole grid, or 20
    concurrent: Count | None = None  # runs at a time; none: as many as there are devices for
    seeds: Count = 1  # runs of each trial, whose scores are averaged
    seed: Seed = 0  # of the search itself
    fuse: bool = False  # trials of one shape are trained as one, where that is faster
    sampler: Literal["random", "tpe"] = "tpe"  # asha, hyperband: who proposes settings
    eta: Annotated[int, Ge(2)] = 3  # asha, hyperband: one in so many goes on to the next rung
    like: str | None = None  # an earlier sweep, from whose trials tpe learns
    share: bool = True  # grid, random: steps that trials have in common are trained once
    pack: bool = False  # trials share devices, where a measurement says that more gets done so
    rungs: Annotated[int, Ge(2)] | None = None  # none: as many as there are evaluations for


@dataclass(frozen=True)
class Window:
    """How long a sweep may take."""

    end: float | None = None  # seconds since the epoch
    device_seconds: Amount | None = None
    begin: float | None = None  # seconds since the epoch; none: at once

    def __bool__(self) -> bool:
        return self.end is not None or self.device_seconds is not None


@dataclass(frozen=True)
class Stem:
    """What all trials with the same choices of files start from."""

    choices: dict[str, Any]  # key → value, of the axes that choose
    config: Config
    facts: Facts  # with the snapshot of the code
    alone: float | None = None  # examples/s of a trial, where several share a device


@dataclass(frozen=True)
class Points:
    """A file of settings to try, one after another."""

    file: str
    rows: list[dict[str, Any]]
    lines: list[int]  # where each stands in the file


@dataclass(frozen=True)
class Prior:
    """Settings that another sweep has tried, and what came of them."""

    values: dict[str, Any]
    score: float


@dataclass(frozen=True)
class Question:
    """A sweep, as it was asked."""

    words: list[str]  # as typed
    fixed: list[str]  # those with one value
    axes: list[Axis]
    settings: Settings
    window: Window
    stems: list[Stem]
    name: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    prior: list[Prior] = field(default_factory=list)
    points: Points | None = None  # each with all combinations of the other settings

    @property
    def size(self) -> float:
        """How many different settings there are; infinite where one need not be a whole number."""
        named = len(self.points.rows) if self.points else 1
        return named * math.prod(axis.count for axis in self.free)

    @property
    def free(self) -> list[Axis]:
        """Settings whose values combine with all those of the others."""
        named = self.points.rows[0] if self.points else {}
        return [axis for axis in self.axes if axis.key not in named]

    @property
    def trials(self) -> float:
        """How many of them are to be tried; infinite when the window alone decides."""
        if self.settings.name == "grid":
            return self.size
        asked = self.settings.trials or (math.inf if self.endless or self.points else USUAL)
        if math.isinf(asked) and not all(axis.listed for axis in self.axes):
            return asked  # nobody waits for every number of an interval
        return min(asked, self.size)

    @property
    def endless(self) -> bool:
        """The window alone decides how many."""
        asked = self.settings
        return bool(self.window) and asked.trials is None and asked.name not in ("grid", "pbt")

    @property
    def rises(self) -> bool:
        """A higher score is a better one."""
        return self.stems[0].config.evaluate.rises

    @property
    def score(self) -> str:
        """The score that trials are compared by, on the valid split."""
        return self.stems[0].config.evaluate.score


@dataclass(frozen=True)
class Mark:
    """Whose run it is."""

    sweep: str
    number: int  # of the trial
    nth: int = 0  # of its seeds
    until: int | None = None  # step at which it pauses


def save(question: Question, folder: Path) -> None:
    """Beside the sweep's plan, whole or not at all."""
    fresh = folder / "sweep.json.new"
    fresh.write_text(json.dumps(to_dict(question), default=str))
    fresh.replace(folder / "sweep.json")


def read(folder: Path) -> Question:
    """What the sweep in that folder was asked."""
    return from_dict(Question, json.loads((folder / "sweep.json").read_text()))


# ── planning ──


def planned(question: Question, values: dict[str, Any], mark: Mark) -> Plan:
    """The plan of one run of a trial."""
    stem = stem_of(question, values)
    rest = {key: value for key, value in values.items() if key not in stem.choices}
    made = config.varied(stem.config, {"seed": stem.config.seed + mark.nth} | rest)
    ours = {"sweep": mark.sweep, "trial": str(mark.number)}
    name = label(question, values, mark.nth if question.settings.seeds > 1 else None)
    made = replace(made, name=name, tags={**made.tags, **question.tags, **ours})
    paths = {name: path for name, path in stem.facts.data.paths().items() if path}
    data = replace(made.data, **paths)  # type: ignore[arg-type]  # texts all
    found = replace(stem.facts, data=data)
    done = plan.make(made, found)
    experiment = question.stems[0].config
    tracking = replace(
        done.tracking, experiment=experiment.tracking.experiment or experiment.recipe.name
    )
    done = replace(done, tracking=tracking, alone=stem.alone)
    return paused(done, mark.until) if mark.until else done


def paused(made: Plan, until: int | None) -> Plan:
    """The plan, ending at that step for now: another question, until it goes on."""
    changed = replace(made, until=until)
    return replace(changed, signature=signature(plan.science(changed)))


def stem_of(question: Question, values: dict[str, Any]) -> Stem:
    """The stem that a trial's choices lead to."""
    for stem in question.stems:
        if all(values[key] == value for key, value in stem.choices.items()):
            return stem
    raise ConfigError(f"no stem for {values}", "the sweep's folder is damaged: ask it anew")


def label(question: Question, values: dict[str, Any], nth: int | None = None) -> str:
    """What differs: `lr=0.003 width=64`; the whole key where the last part names two of them."""
    short = [key.rpartition(".")[2] for key in values]
    words = [
        f"{last if short.count(last) == 1 else key}={_shown(value)}"
        for (key, value), last in zip(values.items(), short, strict=True)
    ]
    words += [] if nth is None else [f"seed={question.stems[0].config.seed + nth}"]
    return " ".join(words)[:200] or "as asked"


def _shown(value: Any) -> str:
    """A value as it can stand in a name."""
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return re.sub(r"[/\\]|\.\.", "-", text)


def first(question: Question) -> dict[str, Any]:
    """Some settings of the space."""
    if all(axis.listed for axis in question.axes):
        return point(question, 0)
    axes = question.axes
    return {a.key: a.values[0] if a.listed else int(a.low) if a.integer else a.low for a in axes}


def point(question: Question, number: int) -> dict[str, Any]:
    """The settings of that number in the grid; the last axis changes fastest."""
    values: dict[str, Any] = {}
    for axis in reversed(question.free):
        number, place = divmod(number, int(axis.count))
        values[axis.key] = axis.at(place)
    values |= question.points.rows[number] if question.points else {}
    return {axis.key: values[axis.key] for axis in question.axes}


def words(question: Question, values: dict[str, Any], nth: int | None = None) -> list[str]:
    """The words of `turnaround run` that ask for one of the trials alone."""
    own = [config.written(key, value) for key, value in values.items()]
    seed = [f"seed={question.stems[0].config.seed + nth}"] if nth else []
    return [*question.fixed, *own, *seed]
