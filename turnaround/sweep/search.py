"""Which settings to try next: a pure function of the question and of what is known so far.

    values = proposed(question, state, number=12, top=0)     # {"optim.lr": 0.0031, …}, or none

A grid is counted through, random settings are drawn from (seed, number) alone, and TPE is Optuna's,
told everything anew each time (0.02 s for 500 trials): so a driver that was killed and replaced
proposes what the first one would have.
"""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, Any

from turnaround.config import Axis
from turnaround.signature import canonical
from turnaround.spec import Status
from turnaround.sweep.question import Prior, Question, point
from turnaround.sweep.state import State, Trial

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

STARTUP = 10  # random trials before TPE has something to go by
DRAWS = 50  # proposals of settings that were tried already, until one is looked for elsewhere


def proposed(question: Question, state: State, number: int, top: int) -> dict[str, Any] | None:
    """Settings that were not tried yet; none when there are no others."""
    asked, axes = question.settings, question.axes
    if number >= question.size:
        return None
    if asked.name == "grid" or question.points:
        return point(question, number)
    finite = math.isfinite(question.size)  # elsewhere the same settings do not come twice
    tried = {canonical(trial.values) for trial in state.trials.values()} if finite else set()
    guided = (asked.sampler if asked.name in ("asha", "hyperband") else asked.name) == "tpe"
    for attempt in range(DRAWS):
        seed = f"{asked.seed}/{number}/{attempt}"
        if guided and len(state.trials) + len(question.prior) >= STARTUP:
            values = suggested(question, state, seed, top)
        else:
            values = drawn(axes, random.Random(seed))
        if canonical(values) not in tried:
            return values
    return _untried(question, tried, random.Random(f"{asked.seed}/{number}"))


def drawn(axes: list[Axis], rng: random.Random) -> dict[str, Any]:
    """Settings that chance chooses."""
    return {axis.key: _value(axis, rng) for axis in axes}


def _value(axis: Axis, rng: random.Random) -> Any:
    if axis.listed:
        return rng.choice(axis.values)
    low, high = axis.low, axis.high
    if axis.integer:  # every whole number has its share, the ends too
        low, high = low - 0.5 + 1e-9, high + 0.5 - 1e-9
    if axis.log:
        value = math.exp(rng.uniform(math.log(low), math.log(high)))
    else:
        value = rng.uniform(low, high)
    inside = min(max(value, axis.low), axis.high)
    return round(inside) if axis.integer else inside


def _untried(question: Question, tried: set[str], rng: random.Random) -> dict[str, Any] | None:
    """One of a finite space, where drawing hits only what was tried."""
    if not math.isfinite(question.size):
        return drawn(question.axes, rng)
    points = (point(question, number) for number in range(int(question.size)))
    return next((values for values in points if canonical(values) not in tried), None)


# ── Optuna ──


def suggested(question: Question, state: State, seed: str, top: int) -> dict[str, Any]:
    """What the tree-structured Parzen estimator makes of all that is known (Bergstra et al., 2011;
    running trials count as bad ones, so that two at once differ)."""
    import optuna

    study = told(question, state, top)
    number = random.Random(seed).getrandbits(31)
    study.sampler = optuna.samplers.TPESampler(seed=number, n_startup_trials=0)
    found = study.ask({axis.key: _distribution(axis) for axis in question.axes}).params
    return {axis.key: _back(axis, found[axis.key]) for axis in question.axes}


def importance(question: Question, state: State, top: int) -> dict[str, float]:
    """How much of the scores' variance each setting explains (fANOVA, Hutter et al., 2014)."""
    import optuna

    study = told(question, state, top, prior=False)
    done = [trial for trial in study.trials if trial.state.name == "COMPLETE"]
    if len(done) < 4 or len({trial.value for trial in done}) < 2:
        return {}
    found = optuna.importance.get_param_importances(study)
    return {str(key): float(share) for key, share in found.items()}


def told(question: Question, state: State, top: int, prior: bool = True) -> Any:
    """An Optuna study that knows every trial; those without a score count as the worst seen."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize" if state.rises else "minimize")
    scored = state.ranked(state.trials.values())
    worst = scored[-1].score if scored else None
    kinds = {axis.key: _distribution(axis) for axis in question.axes}
    study.add_trials(
        [_frozen(question, trial, kinds, worst, top) for trial in state.trials.values()]
    )
    study.add_trials([_before(question, one, kinds) for one in question.prior if prior])
    return study


def _before(question: Question, one: Prior, kinds: dict[str, BaseDistribution]) -> FrozenTrial:
    """A trial of an earlier sweep."""
    from optuna.trial import create_trial

    params = {axis.key: _forth(axis, one.values[axis.key]) for axis in question.axes}
    return create_trial(params=params, distributions=kinds, value=one.score)


def _frozen(
    question: Question,
    trial: Trial,
    kinds: dict[str, BaseDistribution],
    worst: float | None,
    top: int,
) -> FrozenTrial:
    """The trial in Optuna's terms; one that paused on a lower rung was pruned there."""
    from optuna.trial import TrialState, create_trial

    params = {axis.key: _forth(axis, trial.values[axis.key]) for axis in question.axes}
    result = trial.result
    asked: dict[str, Any] = {"params": params, "distributions": kinds}
    if result is None:
        return create_trial(state=TrialState.RUNNING, **asked)
    score = worst if result.score is None else result.score
    if score is None:
        return create_trial(state=TrialState.FAIL, **asked)
    if top in trial.results or result.status is not Status.SUCCEEDED:
        return create_trial(value=score, **asked)
    seen = {rung: each.score for rung, each in trial.results.items() if each.score is not None}
    return create_trial(state=TrialState.PRUNED, intermediate_values=seen, **asked)


def _distribution(axis: Axis) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if axis.listed:  # by place: Optuna's choices are plain values, ours may be lists
        return CategoricalDistribution(range(len(axis.values)))
    if axis.integer:
        return IntDistribution(int(axis.low), int(axis.high), log=axis.log)
    return FloatDistribution(axis.low, axis.high, log=axis.log)


def _forth(axis: Axis, value: Any) -> Any:
    return axis.values.index(value) if axis.listed else value


def _back(axis: Axis, value: Any) -> Any:
    return axis.values[value] if axis.listed else value
