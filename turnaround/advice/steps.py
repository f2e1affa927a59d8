"""Steps whose fixed cost is larger than what their examples cost: a batch that is too small.

A step takes a + b × examples. Optimizer, reporting and exchange are part of a; of the compute row
it is not known how much. Two guesses are the ends of a range, and their mean is expected: that a
micro-batch of `HALF` examples costs as much for its examples as for being a step, and that a step
costs `STEP` by itself (for the seq2seq of this repository on one core: 4 examples and 4 ms; for a
small perceptron: hundreds of examples and 1 ms). Runs of the same recipe with another batch replace
the guess.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import fmean

from turnaround.advice.base import Advice, Case, brief

HALF = 32.0  # examples
STEP = 0.005  # seconds
TINY = 32  # of a micro-batch: a larger one is no cause
GOAL = 64  # of a micro-batch
FASTER = 16  # times at most: a larger batch is another question
ENOUGH = 20  # steps that must be left, and batches in the corpus
SHARE = 0.2  # of the steps' time: less is no reason to ask another question


def batches(case: Case) -> Iterator[Advice]:
    """The same number of examples in fewer, larger batches."""
    times = _times(case)
    if times < 2 or case.timed or case.plan.data.whole:  # there is no larger one than all
        return
    expected, low, high = (_gain(case, times, share) for share in _fixed(case))
    if expected < SHARE * case.training:
        return
    each = brief(case.training / max(case.facts.steps, 1))
    message = (
        f"{case.facts.steps:,} steps of {each} for {case.plan.data.batch} examples: most of it is "
        "the step, not its examples. A larger batch is another question: judge the score"
    )
    row = max(("compute", "optimize", "other", "log"), key=lambda name: case.rows[name])
    yield Advice("batch", row, message, _words(case, times), expected, low, high)


def _times(case: Case) -> int:
    """How many times larger the batch may be: a power of two."""
    facts, times = case.facts, 1
    most = min(FASTER, GOAL / case.micro, case.steps / ENOUGH)
    if facts.corpus:
        most = min(most, facts.corpus / ENOUGH / case.plan.data.batch)
    while case.micro < TINY and 2 * times <= most:
        times *= 2
    return times


def _fixed(case: Case) -> tuple[float, float, float]:
    """The share of compute that is the step's and not its examples': expected, least, most."""
    batch = case.plan.data.batch
    slopes = [
        (pace - case.paces[batch]) / (other - batch)
        for other, pace in case.paces.items()
        if batch in case.paces and other != batch
    ]
    if not slopes:
        each = case.rows["compute"] / max(case.facts.steps, 1)
        ends = sorted([HALF / (HALF + case.micro), STEP / max(each, STEP)])
        return fmean(ends), 0.8 * ends[0], ends[1]
    known = [_share(case, case.paces[batch] - slope * batch) for slope in slopes]
    return fmean(known), 0.8 * min(known), max(known)


def _share(case: Case, fixed: float) -> float:
    """That share, when so many seconds of a step are the step's."""
    rows, steps = case.rows, max(case.facts.steps, 1)
    rest = fixed * steps - _each(case)
    return min(max(rest / max(rows["compute"], 1e-9), 0.0), 1.0)


def _gain(case: Case, times: int, share: float) -> float:
    """Seconds saved by doing the fixed part that many times less often."""
    rows, facts = case.rows, case.facts
    steps = _each(case) + share * rows["compute"]
    look = rows["evaluate"] / facts.looks if facts.looks else 0.0
    test = min(look, max(rows["finish"] - facts.recording, 0.0))
    scores = share * (rows["evaluate"] + test)  # in batches as small as training's
    return (1 - 1 / times) * (steps + scores)


def _each(case: Case) -> float:
    """Seconds that all steps take whatever their examples: not the wait for a slow rank."""
    rows = case.rows
    waits = [of.get("communicate", 0.0) for of in case.facts.ranks.values()]
    return rows["optimize"] + rows["other"] + min([rows["communicate"], *waits])


def _words(case: Case, times: int) -> tuple[str, ...]:
    """The larger batch, and whatever is counted in steps."""
    plan = case.plan
    counted = {
        "budget.steps": plan.budget.steps,
        "evaluate.every": plan.evaluate.every,
        "checkpoint.every": plan.checkpoint.every,
        "optim.warmup": plan.optim.warmup,
    }
    fewer = (f"{knob}={-(-count // times)}" for knob, count in counted.items() if count)
    return (f"data.batch={times * plan.data.batch}", *fewer)
