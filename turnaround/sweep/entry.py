"""A sweep enters the journal: a row and a folder, like any run's.

    run = enter(question, journal)

In the journal a sweep is a run that a process of its own carries out, so that every verb knows it.
"""

from __future__ import annotations

from dataclasses import replace

from turnaround.journal import Journal, Run, new_id
from turnaround.plan import science
from turnaround.pool.places import owner
from turnaround.signature import signature
from turnaround.spec import Plan, to_dict
from turnaround.sweep.question import Mark, Question, first, planned, save

KIND = {"kind": "sweep"}  # the tag by which a sweep is known among runs


def enter(question: Question, journal: Journal, words: dict[str, object] | None = None) -> Run:
    """The sweep in the journal; until its driver is up this process answers for it."""
    sweep = new_id("sweep")
    made = _plan(question, sweep)
    row = journal.submit(made, sweep, owner=owner(), spans=words)
    save(question, journal.folder(sweep))
    return row


def _plan(question: Question, sweep: str) -> Plan:
    """The plan of the first trial, as something that a process of its own carries out."""
    made = planned(question, first(question), Mark(sweep, 0))
    asked = to_dict(question.settings) | {"sweep": sweep}
    return replace(
        made,
        name=question.name,
        tags={**question.stems[0].config.tags, **question.tags, **KIND},
        cluster=replace(made.cluster, name="inline"),
        signature=signature({**science(made), "sweep": asked}),
        entry="turnaround.sweep.process:drive",
    )
