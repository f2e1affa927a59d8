"""A sweep is asked: words and a file of points become a Question that nothing changes any more.

    asked, rest = settings(["recipe=seq2seq", "optim.lr=1e-3,1e-2", "sweep.seeds=3"], project)
    question = ask(rest, asked, project, home())

What chooses files is composed here, once for each choice, and its code frozen.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from turnaround import config, plan
from turnaround.config import Axis, Config
from turnaround.config.check import Misfit, fit
from turnaround.errors import ConfigError, PlanError
from turnaround.launch import facts
from turnaround.launch.base import frozen
from turnaround.launch.pool import Pool
from turnaround.spec import Cluster, Inventory, Place
from turnaround.sweep import refuse
from turnaround.sweep.points import blamed, columns, fitted
from turnaround.sweep.question import Points, Question, Settings, Stem, Window

_Where = tuple[Path, Inventory]  # the project, and the devices
BEHIND = -10  # priority of trials: a run that somebody waits for goes first
MOST_STEMS = 256  # combinations of files: 0.1 s each to compose
_FACTS = ("data.path", "data.train", "data.valid", "data.test", "init_from")  # depend on these


def settings(words: list[str], project: Path) -> tuple[Settings, list[str]]:
    """The words of the sweep itself, checked, and the other words."""
    own = [word for word in words if word.partition("=")[0].partition(".")[0] == "sweep"]
    return config.section("sweep", Settings, own, project), [w for w in words if w not in own]


def ask(
    words: list[str], asked: Settings, project: Path, home: Path, points: Points | None = None
) -> Question:
    """The question; ConfigError or PlanError when it cannot be asked like this."""
    with blamed(points):
        fixed, axes = config.split(words, project)
        axes = [*columns(points, words), *axes]
        refuse.axes(axes, asked, points)
        have = inventory(home)
        choosing = [axis for axis in axes if _chooses(axis, project)]
        rest = [axis for axis in axes if axis not in choosing]
        stems = list(_stems(fixed, choosing, rest, project, home / "cache"))
        raw, axes = axes, [_fitted(axis, stems, choosing) for axis in axes]
        made = [_stem(choices, made, asked, (project, have)) for choices, made in stems]
        found = Question(words, fixed, axes, asked, Window(), _frozen(made, home))
        question = replace(found, points=points and fitted(points, raw, axes))
        refuse.plans(question)
    return question


def inventory(home: Path) -> Inventory:
    """The devices of the pool that is up, else of this machine."""
    return Pool(home).inventory(Cluster()) or facts.inventory()


def _chooses(axis: Axis, project: Path) -> bool:
    """Other values of it make other files be read; or a file of conf/ may refer to it."""
    return (
        axis.key in (*config.places.GROUPS, "recipe.name", *_FACTS)
        or not all(isinstance(v, str | int | float | bool | list | None) for v in axis.values)
        or any("${" in text for text in config.places.conf_texts(project).values())
    )


def _stems(
    fixed: list[str], choosing: list[Axis], rest: list[Axis], project: Path, cache: Path
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
        yield choices, config.compose([*fixed, *words, *first], project, cache)


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
        axis = _whole(axis)
    ends = (int(axis.low), int(axis.high)) if axis.integer else (axis.low, axis.high)
    for end in ends:
        fit(axis.key, end, kind)
    return axis


def _whole(axis: Axis) -> Axis:
    """The whole numbers of an interval."""
    found = replace(axis, integer=True, low=math.ceil(axis.low), high=math.floor(axis.high))
    if found.count < 1:
        message = f"{axis.key} takes whole numbers, and interval({axis.low:g},{axis.high:g})"
        raise ConfigError(f"{message} is empty: it has none", "interval(1,4) is 1, 2, 3, 4")
    return found


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
