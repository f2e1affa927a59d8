"""The largest avoidable rows of an account, what would change each, and what that would save.

    for advice in advise(Case(plan, account, facts, devices=2)):
        print(advice.message, *advice.words, advice.saves)

A rule knows one cause. Its prediction is for this run done once more: what it counted (saves,
evaluations, numbers) times what each cost, or a model of a step that the rule names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from turnaround.advice import parallel, steps
from turnaround.advice.base import Advice, Case, brief, rarer
from turnaround.spec.kinds import URGENT

WORTH = 0.02  # of the wall clock: what saves less is not worth a line
LEAST = 0.1  # seconds
FEWEST, MOST = 3, 10  # evaluations in a run; the default is ten
LOOKING = 0.1  # of training's time may go to evaluations,
SAVING = 0.02  # and this to saving
LIGHTER = 0.5  # the best parameters alone, against a checkpoint with the optimizer's moments


def advise(case: Case) -> list[Advice]:
    """What is worth changing; the gain that is largest even at its least comes first."""
    found = [advice for rule in _RULES for advice in rule(case)]
    least = max(WORTH * case.account.total, LEAST)
    worth = [advice for advice in found if max(advice.saves, advice.high) >= least]
    return sorted(worth, key=lambda a: (a.low, a.saves, a.high), reverse=True)


# ── evaluations, and what is said of them ──


def evaluations(case: Case) -> Iterator[Advice]:
    """Fewer evaluations: their own time, the checkpoints that go with them, their numbers."""
    few = _few_looks(case)
    if few is None:
        return
    every, left = rarer(case, case.facts.looks, few)
    gains = _gains(case, left)
    total = sum(gains.values())
    row = max(gains, key=lambda name: gains[name])
    row = "log" if row == "finish" else row  # numbers on their way to MLflow
    yield Advice(
        cause="metrics" if row == "log" else "evaluations",
        row=row,
        message=_looked(case, row),
        words=(f"evaluate.every={every}", *_patience(case, left)),
        saves=total,
        low=0.8 * total - 0.3 * gains["finish"],  # the recorder has work of its own
        high=total,
        frees=case.timed,
    )


def _patience(case: Case, left: int) -> tuple[str, ...]:
    """It counts evaluations; as many steps as before are this many."""
    patience = case.plan.evaluate.patience
    fewer = round((patience or 0) * left / case.facts.looks)
    return (f"evaluate.patience={max(1, fewer)}",) if patience else ()


def _few_looks(case: Case) -> int | None:
    """As many evaluations as a tenth of training's time allows; none where there are no more."""
    looks = case.facts.looks
    if looks <= FEWEST:
        return None
    each = sum(_gains(case, 0).values()) / looks
    few = max(FEWEST, min(MOST, int(LOOKING * case.training / max(each, 1e-6))))
    planned = looks * case.steps / max(case.facts.steps, 1)
    return few if few < planned and few < looks else None


def _gains(case: Case, left: int) -> dict[str, float]:
    """Seconds by row, if there had been only so many evaluations."""
    facts, rows = case.facts, case.rows
    less = 1 - left / facts.looks
    said = less * facts.scored / max(facts.scored + facts.drawn, 1)
    coupled = case.plan.checkpoint.every is None
    saves = min(facts.saves, left) if coupled else facts.saves
    heavy = facts.saves - saves + LIGHTER * max(0, facts.bests - left)
    return {
        "evaluate": less * rows["evaluate"],
        "log": said * rows["log"],
        "finish": _recorded(case, left),
        "checkpoint": heavy * _saving(case),
    }


def _recorded(case: Case, left: int) -> float:
    """Seconds less until MLflow had all: of what neither files nor other runs waited for."""
    facts = case.facts
    said = facts.scored * (1 - left / facts.looks) / max(facts.scored + facts.drawn, 1)
    return said * max(0.0, facts.recording - max(case.least, facts.files))


def _looked(case: Case, row: str) -> str:
    facts = case.facts
    apart = _apart(facts.steps, facts.looks)
    if row == "log":
        names = f"{facts.names:,.0f} scores in each of {facts.looks:,} evaluations, {apart}"
        return f"{facts.scored:,} numbers are reported: {names}"
    if row == "checkpoint":
        saves = f"{facts.saves + facts.bests:,} saves of {brief(_saving(case))}"
        return f"{saves} that go with {facts.looks:,} evaluations, {apart}"
    each = brief(case.rows["evaluate"] / facts.looks)
    return f"{facts.looks:,} evaluations of {each}, {apart}"


def _apart(steps: int, count: int) -> str:
    return "one each step" if count >= steps else f"one every {steps / count:,.3g} steps"


# ── checkpoints ──


def checkpoints(case: Case) -> Iterator[Advice]:
    """Fewer checkpoints, where they do not follow the evaluations."""
    facts, each = case.facts, _saving(case)
    coupled = case.plan.checkpoint.every is None and _few_looks(case) is not None
    few = max(1, min(MOST, int(SAVING * case.training / max(each, 1e-6))))
    if coupled or facts.saves <= few:
        return
    every, left = rarer(case, facts.saves, few)
    gain = each * (facts.saves - left)
    message = f"{facts.saves:,} checkpoints of {brief(each)}, {_apart(facts.steps, facts.saves)}"
    most = min(1.2 * gain, case.rows["checkpoint"])
    words = (f"checkpoint.every={every}",)
    yield Advice(
        "checkpoints", "checkpoint", message, words, gain, 0.8 * gain, most, frees=case.timed
    )


def _saving(case: Case) -> float:
    """Seconds that one checkpoint holds the loop up."""
    return case.rows["checkpoint"] / max(case.facts.saves + LIGHTER * case.facts.bests, 1)


# ── before the first step, and after a fault ──


def starts(case: Case) -> Iterator[Advice]:
    """A pool that had to be started; imports of the recipe, and of torch."""
    rows = case.rows
    pool, imports = rows["pool"], rows["import"]
    message = f"the pool was started for this run ({brief(pool)}); a warm one is there at once"
    yield Advice("cold pool", "pool", message, (), pool, 0.9 * pool, pool, command="turnaround up")
    message = f"the recipe's imports take {brief(imports)}: import what is slow where it is used"
    yield Advice("imports", "import", message, (), 0.0, 0.0, imports)
    if case.plan.cluster.name == "inline":
        spawn = rows["spawn"]
        message = f"a process of its own imports torch ({brief(spawn)}); a warm pool has it"
        yield Advice("inline", "spawn", message, ("cluster=pool",), spawn, 0.8 * spawn, spawn)


def waiting(case: Case) -> Iterator[Advice]:
    """Devices that others held."""
    queue, cluster = case.rows["queue"], case.plan.cluster
    if cluster.priority >= URGENT:
        return
    words = (f"cluster.priority={cluster.priority + 1}",)
    message = f"it waited {brief(queue)} for {case.plan.devices} device(s) that others held"
    yield Advice("queue", "queue", message, words, queue, 0.0, queue)


def faults(case: Case) -> Iterator[Advice]:
    """Steps done again after a fault: half the way between two checkpoints each time."""
    again, saves = case.rows["replay"], case.facts.saves
    if not saves:
        return
    every = max(1, case.facts.steps // (4 * saves))
    gain = 0.75 * again - 3 * saves * _saving(case)
    message = f"{brief(again)} of steps were done again from a checkpoint that was far behind"
    words = (f"checkpoint.every={every}",)
    yield Advice("replay", "replay", message, words, max(gain, 0.0), 0.0, max(again, 0.0))


_RULES: tuple[Callable[[Case], Iterator[Advice]], ...] = (
    evaluations,
    checkpoints,
    steps.batches,
    parallel.loaders,
    parallel.ranks,
    starts,
    waiting,
    faults,
)
