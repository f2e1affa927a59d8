"""A run that is slower than it has to be: what its time was lost to, and the words that change it.

made = case(journal, run, account, facts)
told(made)[0]["type"]           # "turnaround run recipe=seq2seq checkpoint.every=300"
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from turnaround.advice.base import TRAINING, Advice, Case
from turnaround.advice.facts import Facts
from turnaround.advice.rules import advise
from turnaround.cli.views import units
from turnaround.cli.views.again import command, onward, retyped, titled
from turnaround.cli.views.tail import tail
from turnaround.cost import asked
from turnaround.journal import Journal, Run
from turnaround.launch.pool import Pool
from turnaround.ledger import Account
from turnaround.spec import Inventory, Plan, Status

SHOWN = 3  # causes; --json has all
RECENT = 10  # runs
END = 4096  # bytes of an event file: its last few events
SETTLES = 1.0  # seconds until all is recorded: plots, the log, the status
LARGEST = 3  # rows that are named when nothing is to be changed


def case(journal: Journal, run: Run, account: Account, facts: Facts) -> Case:
    plan = journal.plan(run.id)
    devices = _inventory(journal, plan).count(plan.cluster.device)
    paces = _paces(journal, plan, facts, account)
    return Case(plan, account, facts, devices, _least(journal, run), paces)


def _least(journal: Journal, run: Run) -> float:
    """Seconds from its end until MLflow had all of a run, of a few recent ones the least."""
    same = "tracking=? AND tracking<>'' AND recorded=1 AND id<>?"
    waits = [
        event.time - other.ended
        for other in journal.runs(same, [run.tracking, run.id], RECENT)
        for event in tail(journal, other.id, END).news()
        if event.kind == "recorded" and other.ended
    ]
    return min(waits, default=SETTLES)


def _inventory(journal: Journal, plan: Plan) -> Inventory:
    """What the pool has that is up, else this machine."""
    from turnaround.launch import facts

    pooled = Pool(journal.root).inventory(plan.cluster) if plan.cluster.name == "pool" else None
    return pooled or facts.inventory()


def _paces(journal: Journal, plan: Plan, facts: Facts, account: Account) -> dict[int, float]:
    """Seconds a step, by batch: of this run, and of runs that differ from it in nothing else."""
    like = asked(plan)["like"]
    paces = {}
    for past in reversed(journal.history(plan.recipe.name)):  # of equals the newest stays
        batch = past.asked.get("like", {}).get("batch")
        if {**like, "batch": batch} == past.asked.get("like") and past.cost.get("steps"):
            paces[batch] = past.cost["stepping"] / past.cost["steps"]
    training = sum(account.rows[row] for row in TRAINING)
    return paces | {plan.data.batch: training / max(facts.steps, 1)}


def told(case: Case) -> list[dict[str, Any]]:
    """As plain JSON types, the largest gain first."""
    return [_record(advice, case) for advice in advise(case)]


def _record(advice: Advice, case: Case) -> dict[str, Any]:
    """As plain JSON types, with the share of the wall clock and the line to type."""
    share = advice.saves / case.account.total if case.account.total else 0.0
    return {**asdict(advice), "share": share, "type": _typed(case.facts, advice)}


def _typed(facts: Facts, advice: Advice) -> str:
    return advice.command or retyped(facts.words, advice.words)


def lines(journal: Journal, run: Run, case: Case) -> Iterator[str]:
    """What to change, the largest gain first."""
    total, known = case.account.total, advise(case)
    upto = "from key press to recorded answer" if run.status.over else "up to now"
    yield f"{run.id} {run.status}: {units.duration(total)} {upto}"
    if run.status is Status.STOPPED:
        yield command("next", onward(journal, run))
    for advice in known[:SHOWN]:
        yield ""
        seconds = case.rows[advice.row]
        yield titled(advice.row, f"{_part(seconds, total)}: {advice.message}")
        yield titled("  frees" if advice.frees else "  saves", _gain(advice, total))
        if typed := _typed(case.facts, advice):
            yield command("  type", typed)
    if not known:
        yield titled("nothing", f"to change: {_largest(case.account)}")


def _gain(advice: Advice, total: float) -> str:
    if not (advice.words or advice.command):
        return f"up to {_part(advice.high, total)}; no setting does it"
    between = f"between {units.duration(advice.low)} and {units.duration(advice.high)}"
    narrow = advice.high - advice.low < 0.3 * max(advice.saves, 0.1)
    told = _part(advice.saves, total) + ("" if narrow else f", {between}")
    more = " for more training" if advice.frees else ""
    return f"{told}{more}: {' '.join(advice.words) or advice.command}"


def _part(seconds: float, total: float) -> str:
    return f"{units.duration(seconds)} ({seconds / total:.0%})" if total else "0s"


def _largest(account: Account) -> str:
    rows = sorted(account.rows, key=lambda row: account.rows[row], reverse=True)[:LARGEST]
    parts = (f"{row} {_part(account.rows[row], account.total)}" for row in rows)
    return f"the largest rows are {', '.join(parts)}"
