"""Several trials on each device, where they do more side by side than one after another.

    question, line = packed(question, home)     # measures first: some ten seconds
    line                                        # "2 a device: 1.7 × the trials an hour, …"

Copies of the trial that needs most share a device for a moment. What they came to is written into
the plans of all trials: their share, and how fast one is that has a device to itself.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from turnaround.config import Axis
from turnaround.errors import ConfigError
from turnaround.forecast.packing import Packing
from turnaround.launch.packing import measured
from turnaround.sweep.question import Mark, Question, Stem, first, planned

LARGE = ("recipe.", "data.batch")  # settings of which a larger number needs more


def packed(question: Question, root: Path) -> tuple[Question, str]:
    """The question, with its trials on parts of devices where that pays; and why."""
    _check(question)
    packing = measured(planned(question, largest(question), Mark("sweep", 0)), root)
    return (question if packing.copies == 1 else sharing(question, packing)), packing.line()


def sharing(question: Question, packing: Packing) -> Question:
    """The question, with so many trials on each device."""
    share, alone = 1 / packing.copies, packing.alone
    return replace(question, stems=[_sharing(stem, share, alone) for stem in question.stems])


def largest(question: Question) -> dict[str, Any]:
    """Settings of the trial that needs most, as far as numbers tell."""
    return {**first(question), **{axis.key: _most(axis) for axis in filter(_counts, question.axes)}}


def _counts(axis: Axis) -> bool:
    numbers = all(isinstance(value, int | float) for value in axis.values)
    return numbers and axis.key.startswith(LARGE)


def _most(axis: Axis) -> Any:
    high = int(axis.high) if axis.integer else axis.high
    return max(axis.values) if axis.listed else high


def _sharing(stem: Stem, share: float, alone: float) -> Stem:
    cluster = replace(stem.config.cluster, share=share)
    return replace(stem, config=replace(stem.config, cluster=cluster), alone=alone)


def _check(question: Question) -> None:
    """One kind of trial, each on one device, for as long as it takes."""
    hint = "leave it out"
    if question.settings.fuse:
        message = "sweep.pack=true, but trials that are trained as one share a device already"
        raise ConfigError(message, "sweep.fuse=false, or sweep.pack=false")
    if len(question.stems) > 1:
        names = " and ".join(question.stems[0].choices)
        message = f"sweep.pack=true measures one kind of trial, and {names} makes several"
        raise ConfigError(message, "cluster.share=1/2, or a sweep for each")
    asked = question.stems[0].config
    if asked.cluster.share is not None:
        message = f"sweep.pack=true chooses a share, but cluster.share={asked.cluster.share:g}"
        raise ConfigError(message, "one of them")
    if asked.budget.time is not None:
        message = "sweep.pack=true lets trials slow each other down, which budget.time ignores"
        raise ConfigError(message, "budget.steps, or sweep.pack=false")
    if (made := planned(question, first(question), Mark("sweep", 0))).devices > 1:
        message = f"sweep.pack=true is for trials on one device, and these have {made.devices}"
        raise ConfigError(message, hint)
    if made.cluster.name == "remote":
        message = "sweep.pack=true measures on this machine, and trials go to another cluster"
        raise ConfigError(message, "cluster.share=1/2, without a measurement")
