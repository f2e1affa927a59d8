"""What earlier sweeps have learnt: `sweep.like=SWEEP` lets a search begin where that one ended.

question = learnt(question, journal)      # question.prior: settings and scores of its whole trials

They count for who proposes settings, and are neither trials of this sweep nor candidates to win.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from turnaround.config import Axis
from turnaround.errors import ConfigError
from turnaround.journal import Journal
from turnaround.sweep.question import Prior, Question, read
from turnaround.sweep.rungs import ladder
from turnaround.sweep.state import State


def learnt(question: Question, journal: Journal) -> Question:
    """The question, with what the sweep it is like has found; ConfigError if that is nothing."""
    like = question.settings.like
    if like is None:
        return question
    run = journal.find(like).id
    if not (journal.folder(run) / "sweep.json").exists():
        raise ConfigError(f"sweep.like={like}: {run} is no sweep", "turnaround ls lists them")
    before = read(journal.folder(run))
    here, there = question.stems[0].config.recipe.name, before.stems[0].config.recipe.name
    if (here, question.score) != (there, before.score):
        message = f"sweep.like={like} looked for the {before.score} of {there}"
        raise ConfigError(message, f"a sweep that looks for the {question.score} of {here}")
    state = State(before.rises)
    for event in journal.events(run):
        state.add(event)
    whole = state.whole(len(ladder(before)) - 1)
    keys = [axis.key for axis in question.axes]
    found = [
        Prior({key: trial.values[key] for key in keys}, trial.score)
        for trial in whole
        if trial.score is not None and all(_inside(a, trial.values) for a in question.axes)
    ]
    if not found:
        message = f"sweep.like={like}: none of its {len(whole)} whole trials lies in this space"
        raise ConfigError(message, f"settings of the same kind: {', '.join(keys)}")
    return replace(question, prior=found)


def _inside(axis: Axis, values: dict[str, Any]) -> bool:
    if axis.key not in values:
        return False
    value = values[axis.key]
    if axis.listed:
        return value in axis.values
    return isinstance(value, int | float) and axis.low <= value <= axis.high
