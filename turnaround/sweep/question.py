"""What a sweep was asked, frozen: everything from which the plan of any of its trials follows.

    question = ask(["recipe=seq2seq", "optim.lr=1e-3,1e-2"], Settings(seeds=3), project, home())
    plan = planned(question, {"optim.lr": 0.01}, Mark("sweep-x7k2m", 1, nth=2))

A setting either chooses a file of conf/, a recipe or data, and then each choice is a *stem* of its
own, composed and its code frozen when the sweep is asked; or it changes one value of a stem.
Nothing of conf/, recipes or data is read again later.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge

from turnaround import config, plan
from turnaround.config import Axis, Config
from turnaround.config.check import Misfit, fit
from turnaround.errors import ConfigError, PlanError
from turnaround.fusible import apart
from turnaround.launch import facts
from turnaround.launch.base import frozen
from turnaround.launch.pool import Pool
from turnaround.plan import Facts
from turnaround.signature import signature
from turnaround.spec import Amount, Cluster, Count, Inventory, Place, Plan, Seed, from_dict, to_dict

_Where = tuple[Path, Inventory]  # the project, and the devices
_ALONE = "leave it out"
USUAL = 20  # trials, when nobody says how many
BEHIND = -10  # priority of trials: a run that somebody waits for goes first
MOST_STEMS = 256  # combinations of files: 0.1 s each to compose
_DATA = ("data.path", "data.train", "data.valid", "data.test")  # what the facts depend on
MOVING = ("optim.lr", "optim.weight_decay", "optim.momentum", "optim.clip")  # between generations
_IDLE = ("name", "tags", "cluster", "tracking", "checkpoint")  # they make no other question


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

    @property
    def size(self) -> float:
        """How many different settings there are; infinite where one is an interval."""
        listed = all(axis.listed for axis in self.axes)
        return math.prod(len(axis.values) for axis in self.axes) if listed else math.inf

    @property
    def trials(self) -> float:
        """How many of them are to be tried; infinite when the window alone decides."""
        if self.settings.name == "grid":
            return self.size
        endless = self.window and self.settings.name != "pbt"
        asked = self.settings.trials or (math.inf if endless else USUAL)
        return min(asked, self.size)

    @property
    def rises(self) -> bool:
        """A higher score is a better one."""
        evaluate = self.stems[0].config.evaluate
        return {"max": True, "min": False, "auto": evaluate.score != "loss"}[evaluate.better]

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


# ── asking ──


def settings(words: list[str], project: Path) -> tuple[Settings, list[str]]:
    """The words of the sweep itself, checked, and the other words."""
    own = [word for word in words if word.partition("=")[0].partition(".")[0] == "sweep"]
    return config.section("sweep", Settings, own, project), [w for w in words if w not in own]


def ask(words: list[str], asked: Settings, project: Path, home: Path) -> Question:
    """The question; ConfigError or PlanError when it cannot be asked like this."""
    fixed, axes = config.split(words, project)
    _check_axes(axes, asked, words)
    have = inventory(home)
    choosing = [axis for axis in axes if _chooses(axis, project)]
    stems = list(_stems(fixed, choosing, [a for a in axes if a not in choosing], project))
    axes = [_fitted(axis, stems, choosing) for axis in axes]
    made = [_stem(choices, made, asked, (project, have)) for choices, made in stems]
    question = Question(words, fixed, axes, asked, Window(), _frozen(made, home))
    _check(question)
    return question


def inventory(home: Path) -> Inventory:
    """The devices of the pool that is up, else of this machine."""
    return Pool(home).inventory(Cluster()) or facts.inventory()


def _chooses(axis: Axis, project: Path) -> bool:
    """Other values of it make other files be read; or a file of conf/ may refer to it."""
    return (
        axis.key in (*config.places.GROUPS, "recipe.name", *_DATA)
        or not all(isinstance(v, str | int | float | bool | list | None) for v in axis.values)
        or any("${" in file.read_text() for file in config.places.conf_files(project))
    )


def _stems(
    fixed: list[str], choosing: list[Axis], rest: list[Axis], project: Path
) -> Iterator[tuple[dict[str, Any], Config]]:
    """Every combination of choices, composed with the first value of each other setting."""
    count = math.prod(len(axis.values) for axis in choosing)
    if count > MOST_STEMS or not all(axis.listed for axis in choosing):
        names = " and ".join(axis.key for axis in choosing)
        message = f"{names} choose among more than {MOST_STEMS} combinations of files"
        raise ConfigError(message, "sweep over values, or over fewer files")
    first = [config.written(axis.key, axis.values[0]) for axis in rest if axis.listed]
    for values in itertools.product(*(axis.values for axis in choosing)):
        choices = {axis.key: value for axis, value in zip(choosing, values, strict=True)}
        words = [config.written(key, value) for key, value in choices.items()]
        yield choices, config.compose([*fixed, *words, *first], project)


def _fitted(axis: Axis, stems: list[tuple[dict[str, Any], Config]], choosing: list[Axis]) -> Axis:
    """The axis with values of the setting's type, which all stems must know."""
    for _, made in stems if axis not in choosing else ():
        kind = config.type_of(made, axis.key)
        if axis.listed:
            axis = replace(axis, values=[fit(axis.key, value, kind) for value in axis.values])
        else:
            axis = _between(axis, kind)
    return axis


def _between(axis: Axis, kind: Any) -> Axis:
    """An interval over whole numbers where the setting takes no others."""
    half = (math.floor(axis.low) + axis.high) / 2 + 1e-6
    try:
        fit(axis.key, half, kind)
    except Misfit:
        axis = replace(axis, integer=True, low=math.ceil(axis.low), high=math.floor(axis.high))
    ends = (int(axis.low), int(axis.high)) if axis.integer else (axis.low, axis.high)
    for end in ends:
        fit(axis.key, end, kind)
    return axis


def _stem(choices: dict[str, Any], made: Config, asked: Settings, where: _Where) -> Stem:
    gathered = facts.gather(made, *where)
    found = Stem(choices, made, gathered)
    first = plan.make(made, gathered)
    if made.cluster.name == "inline":
        message = "cluster=inline runs in the command line, and a sweep outlives that"
        raise PlanError(message, "leave it out")
    cluster = made.cluster
    if cluster.threads is None and first.cluster.device == "cpu":
        cluster = replace(cluster, threads=_threads(first.devices, asked.concurrent, where[1]))
    if cluster.priority == 0:
        cluster = replace(cluster, priority=BEHIND)
    return replace(found, config=replace(made, cluster=cluster))


def _threads(devices: int, concurrent: int | None, have: Inventory) -> int:
    """Of each worker: one, so that every core has a trial, or a share of the cores."""
    return max(1, min(4, have.cpus // (devices * concurrent))) if concurrent else 1


def _frozen(stems: list[Stem], home: Path) -> list[Stem]:
    """The stems with their code stored, once for each recipe."""
    kept: dict[str, Place] = {}
    done = []
    for stem in stems:
        name = stem.facts.place.recipe_file
        if name not in kept:
            kept[name] = frozen(
                plan.make(stem.config, stem.facts), stem.config.recipe_file, home
            ).place
        shot = kept[name]
        place = replace(
            stem.facts.place, snapshot=shot.snapshot, git_sha=shot.git_sha, dirty=shot.dirty
        )
        file = home / "snapshots" / str(shot.snapshot) / "tree" / name
        known = replace(stem.config, recipe_file=file)
        done.append(replace(stem, config=known, facts=replace(stem.facts, place=place)))
    return done


# ── refusing ──


def _check_axes(axes: list[Axis], asked: Settings, words: list[str]) -> None:
    keys = [axis.key for axis in axes]
    if not axes and asked.seeds == 1:
        message = "no word has several values, so there is nothing to try"
        raise ConfigError(message, "optim.lr=1e-3,1e-2 or sweep.seeds=3; `turnaround run` runs one")
    if intervals := [axis.key for axis in axes if not axis.listed and asked.name == "grid"]:
        message = f"{intervals[0]} is an interval, and sweep=grid tries every value there is"
        raise ConfigError(message, "sweep=random, sweep=tpe or sweep=asha draws from it")
    if asked.name == "grid" and asked.trials:
        message = f"sweep.trials={asked.trials} with sweep=grid, which tries the whole grid"
        raise ConfigError(message, "sweep=random tries some of it")
    guided = asked.name == "tpe" or (asked.name in ("asha", "hyperband") and asked.sampler == "tpe")
    if asked.like and not guided:
        message = f"sweep.like={asked.like}, but nothing of sweep={asked.name} goes by scores"
        raise ConfigError(message, "sweep=tpe, or sweep=asha")
    fixed = [key for key in keys if key not in MOVING]
    if fixed and asked.name == "pbt":
        message = f"{fixed[0]} cannot change while a model is trained, and sweep=pbt changes it"
        raise ConfigError(message, f"sweep=asha, or only {', '.join(MOVING)}")
    if asked.seeds > 1 and "seed" in keys:
        message = f"seed takes several values, and sweep.seeds={asked.seeds} repeats over seeds"
        raise ConfigError(message, "one of them")
    if idle := [key for key in keys if key.partition(".")[0] in _IDLE]:
        message = f"{idle[0]} makes no other question: every value would give the same answer"
        raise ConfigError(
            message, "sweep over what the signature counts: see turnaround plan --help"
        )


def _check(question: Question) -> None:
    """All that a plan can refuse is refused now, and no two values ask the same."""
    some = first(question)
    made = planned(question, some, Mark("sweep", 0))
    if question.settings.fuse:
        _check_fused(question, made)
    for axis in question.axes:
        others = axis.values if axis.listed else [int(axis.high) if axis.integer else axis.high]
        asked: dict[str, Any] = {}
        for value in others:
            made = planned(question, some | {axis.key: value}, Mark("sweep", 0))
            if made.signature in asked:
                shown = config.written(axis.key, value)
                before = config.written(axis.key, asked[made.signature])
                message = f"{shown} and {before} are the same question"
                raise ConfigError(message, "leave one of them out")
            asked[made.signature] = value


def _check_fused(question: Question, made: Plan) -> None:
    """What the recipe promises, it says in its file; what torch can do is seen when it is done."""
    if why := apart(made):
        raise ConfigError(f"sweep.fuse=true, but trials with {why} are trained one by one", _ALONE)
    for stem in question.stems:
        file = stem.config.recipe_file
        if not re.search(r"^ +fusible(: \w+)? = True", file.read_text(), re.MULTILINE):
            message = f"sweep.fuse=true, but recipe {stem.config.recipe.name} does not allow it"
            raise ConfigError(
                message, "fusible = True in its class, if it keeps what that promises"
            )


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
    done = replace(done, tracking=tracking)
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
    axes = question.axes
    return {a.key: a.values[0] if a.listed else int(a.low) if a.integer else a.low for a in axes}


def words(question: Question, values: dict[str, Any], nth: int | None = None) -> list[str]:
    """The words of `turnaround run` that ask for one of the trials alone."""
    own = [config.written(key, value) for key, value in values.items()]
    seed = [f"seed={question.stems[0].config.seed + nth}"] if nth else []
    return [*question.fixed, *own, *seed]
