"""`turnaround run --auto`: the words of the point that pays, in place of those that were typed."""

from __future__ import annotations

from collections.abc import Callable

from turnaround.cli.verdicts import worth
from turnaround.cli.verdicts.verdict import judged
from turnaround.cli.views.again import changed
from turnaround.cli.words.arguments import Sought
from turnaround.cli.words.planning import inventory, planned
from turnaround.errors import PlanError
from turnaround.journal import Journal, home


def chosen(wish: Sought, say: Callable[[str], None]) -> list[str]:
    """The words, with those of the chosen point; PlanError where none will do.

    What is chosen, and the line that it stands for, is said.
    """
    words = list(wish.words)
    plan, _ = planned(words, None, {})
    journal = Journal(home())
    verdict = judged(plan, journal, inventory(plan.cluster), wish, worth.hear)
    told = list(worth.choice(verdict))
    if verdict.chosen is None:
        limits = (("--by", wish.by), ("--cost", wish.cost))
        asked = " and ".join(f"{option} {value}" for option, value in limits if value is not None)
        nearest, line = (text.partition(" ")[2].strip() for text in told)
        raise PlanError(f"nothing keeps to {asked}: the nearest takes {nearest}", line)
    for text in told:
        say(text)
    return changed(words, verdict.changes(verdict.chosen))
