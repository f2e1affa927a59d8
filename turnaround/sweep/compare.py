"""What differs between runs: in settings, code, data and environment, and in what came out.

sides = [side(journal, run, siblings=True) for run in runs]    # over all seeds there are
differences(journal, sides)        # {"optim.lr": ["0.001", "0.01"], "code": […], …}
verdict(sides[0], sides[1], "test/bleu", rises=True)           # interval, probability
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from turnaround.journal import Journal, Run
from turnaround.plan import science
from turnaround.signature import canonical, signature
from turnaround.spec import Plan, Status, scores

NEAR = 400  # of the recipe's newest runs that are looked at for other seeds
CARRIERS = ("sweep", "bundle")  # runs that carry others, and are none of them
ROUNDS = 2000  # of the bootstrap
SURE = 0.95
_IDLE = ("cluster.priority", "cluster.retries")  # change when a run goes, not what comes of it
_GROUPS = ("data", "optim", "layout", "update", "budget", "evaluate", "checkpoint", "cluster")


@dataclass(frozen=True)
class Side:
    """One of the things compared: a run, and the same run with other seeds."""

    name: str
    plan: Plan  # of the run that was named
    runs: dict[int, Run]  # by seed
    values: dict[str, dict[int, float]]  # score → seed → value


@dataclass(frozen=True)
class Spread:
    """A mean over seeds, and where it lies with 95 % confidence; one seed has no interval."""

    mean: float
    half: float | None
    count: int


@dataclass(frozen=True)
class Verdict:
    """How much better the second is than the first."""

    difference: Spread  # second less first; paired where they have seeds in common
    better: float | None  # probability that a run of the second beats one of the first
    low: float | None  # and its interval
    high: float | None
    paired: bool


def side(journal: Journal, run: Run, siblings: bool = True) -> Side:
    """The run, with what it would have been by other seeds, as far as the journal knows."""
    plan = journal.plan(run.id)
    found = {plan.seed: run}
    asked = _seedless(plan)
    for other in _near(journal, run) if siblings else ():
        if (journal.folder(other.id) / "plan.json").exists() and other.id != run.id:
            theirs = journal.plan(other.id)
            if _seedless(theirs) == asked:
                found.setdefault(theirs.seed, other)
    values: dict[str, dict[int, float]] = {}
    for seed, one in sorted(found.items()):
        for name, value in one.summary.get("values", {}).items():
            values.setdefault(name, {})[seed] = value
    return Side(run.name or run.id, plan, found, values)


def _near(journal: Journal, run: Run) -> list[Run]:
    """Runs that may be the same with other seeds: of its trial, then the newest of its recipe."""
    done = "recipe=? AND status='SUCCEEDED' AND tags NOT LIKE ? AND tags NOT LIKE ?"
    asked = [run.recipe, *(f'%"kind": "{kind}"%' for kind in CARRIERS)]
    trial = [f'%"{key}": "{run.tags[key]}"%' for key in ("sweep", "trial") if key in run.tags]
    ours = journal.runs(done + " AND tags LIKE ?" * len(trial), [*asked, *trial]) if trial else []
    return ours + journal.runs(done, asked, NEAR)


def _seedless(plan: Plan) -> str:
    """Its signature but for the seed. The fork of a shared trunk is signed as the run that it would
    have been by itself: each seed has a trunk of its own."""
    alone = replace(plan, fork=None)
    if plan.fork and signature(science(alone)) == plan.signature:
        plan = alone
    return signature(science(replace(plan, seed=0)))


# ── what was asked ──


def differences(journal: Journal, sides: Sequence[Side]) -> dict[str, list[str]]:
    """Everything of the plans that is not alike, a text for each side."""
    flat = [dict(_flat(one.plan)) for one in sides]
    keys = dict.fromkeys(key for each in flat for key in each if key not in _IDLE)
    told = {key: [each.get(key, "–") for each in flat] for key in keys}
    told |= _files(journal, sides) | _packages(journal, sides)
    return {key: texts for key, texts in told.items() if len(set(texts)) > 1}


def _flat(plan: Plan) -> Iterator[tuple[str, str]]:
    """Settings as words, then code, data and environment as short names."""
    yield "recipe", plan.recipe.name
    groups: dict[str, Mapping[str, Any]] = {name: asdict(getattr(plan, name)) for name in _GROUPS}
    for group, fields in {"recipe": plan.recipe.knobs, **groups}.items():
        for key, value in fields.items():
            yield f"{group}.{key}", value if isinstance(value, str) else canonical(value)
    yield "seed", str(plan.seed)
    yield "precision", plan.precision
    yield "init_from", " ".join(filter(None, (plan.init_from, plan.start))) or "None"
    place = plan.place
    yield "code", place.code[:8]
    yield "commit", f"{(place.git_sha or 'none')[:12]}{' with changes' * place.dirty}"
    yield "data files", place.data[:8] or "none"
    yield "turnaround", plan.version
    yield "python", place.interpreter
    for name, value in place.environ.items():
        yield f"${name}", value


def _files(journal: Journal, sides: Sequence[Side]) -> dict[str, list[str]]:
    """Files of the snapshots that are not alike."""
    trees = [journal.root / "snapshots" / str(one.plan.place.snapshot) / "tree" for one in sides]
    if len({one.plan.place.code for one in sides}) == 1:
        return {}
    names = sorted({str(f.relative_to(t)) for t in trees for f in t.rglob("*") if f.is_file()})
    return {f"file {name}": [_short(tree / name) for tree in trees] for name in names}


def _short(file: Path) -> str:
    return signature(file.read_text(errors="replace"), 8) if file.is_file() else "–"


def _packages(journal: Journal, sides: Sequence[Side]) -> dict[str, list[str]]:
    """Versions of installed packages."""
    found = []
    for one in sides:
        file = journal.root / "snapshots" / str(one.plan.place.snapshot) / "environment.txt"
        lines = file.read_text().splitlines() if file.exists() else []
        found.append(dict(line.split("==", 1) for line in lines if "==" in line))
    names = sorted({name for each in found for name in each})
    return {f"package {name}": [each.get(name, "–") for each in found] for name in names}


# ── what came out ──


def spread(values: Sequence[float]) -> Spread:
    """Student's interval for the mean."""
    if len(values) < 2:
        return Spread(mean(values), None, len(values))
    half = _quantile(len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return Spread(mean(values), half, len(values))


def verdict(first: Side, second: Side, score: str, rises: bool | None) -> Verdict | None:
    """The second against the first; none when one of them does not have the score. Which of them is
    better is told where `rises` is known."""
    ours, theirs = first.values.get(score), second.values.get(score)
    if not ours or not theirs:
        return None
    common = sorted(ours.keys() & theirs.keys())
    paired = len(common) >= 2
    if paired:
        difference = spread([theirs[seed] - ours[seed] for seed in common])
    else:
        difference = _welch([*ours.values()], [*theirs.values()])
    if rises is None or min(len(ours), len(theirs)) < 2:
        return Verdict(difference, None, None, None, paired)
    ends = [*ours.values()], [*theirs.values()]
    low, high = _interval(*ends, rises)
    return Verdict(difference, improvement(*ends, rises), low, high, paired)


def improvement(ours: Sequence[float], theirs: Sequence[float], rises: bool) -> float:
    """The probability that one of `theirs` beats one of `ours` (Agarwal et al., 2021, §4.3)."""
    sign = 1 if rises else -1
    wins = [1.0 if sign * b > sign * a else 0.5 if a == b else 0.0 for a in ours for b in theirs]
    return sum(wins) / len(wins)


def _interval(ours: Sequence[float], theirs: Sequence[float], rises: bool) -> tuple[float, float]:
    """Of that probability, by the bootstrap."""
    rng = random.Random(0)
    drawn = sorted(
        improvement(rng.choices(ours, k=len(ours)), rng.choices(theirs, k=len(theirs)), rises)
        for _ in range(ROUNDS)
    )
    tail = (1 - SURE) / 2
    return drawn[int(tail * ROUNDS)], drawn[int((1 - tail) * ROUNDS) - 1]


def _welch(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """Difference of two means with spreads of their own (Welch, 1947)."""
    difference, count = mean(theirs) - mean(ours), min(len(ours), len(theirs))
    if count < 2:
        return Spread(difference, None, count)
    parts = [stdev(each) ** 2 / len(each) for each in (ours, theirs)]
    if not sum(parts):
        return Spread(difference, 0.0, count)
    sizes = (len(ours), len(theirs))
    freedom = sum(parts) ** 2 / sum(p**2 / (n - 1) for p, n in zip(parts, sizes, strict=True))
    return Spread(difference, _quantile(freedom) * math.sqrt(sum(parts)), count)


def _quantile(freedom: float) -> float:
    """Of Student's t, for an interval of 95 %."""
    from scipy.special import stdtrit  # not at the top: 0.1 s

    return float(stdtrit(freedom, 1 - (1 - SURE) / 2))


def rises(side: Side, score: str) -> bool | None:
    """More of it is better: what was asked of the plan's own score; else what its name tells."""
    name = score.rpartition("/")[2]
    asked = side.plan.evaluate
    if name == asked.score and asked.better != "auto":
        return asked.rises
    return scores.rises(name)


def over(run: Run) -> bool:
    """It has an answer that can be compared."""
    return run.status is Status.SUCCEEDED
