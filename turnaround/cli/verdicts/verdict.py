"""What an experiment would take on so many devices, and which point of the front pays.

    verdict = judged(plan, journal, inventory, Sought(target="bleu=30", devices=8), say)
    verdict.points, verdict.chosen          # the front, and its best; none where no point will do
    verdict.changes(verdict.nearest)        # the words that run it

Steps and the noise scale are read from runs of the same question that the journal has, and seconds
from those and from probes. Where they have not shown enough of a long run's seconds it is probed.
Without any such run a plan's own steps, of its own batch, are all that can be told. All of it is
about steps of one batch, in step: plans of others are refused, and runs of others are passed over.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from turnaround.cli.words.arguments import Sought
from turnaround.errors import ConfigError, JournalError, LaunchError, PlanError
from turnaround.forecast import front, past, throughput
from turnaround.forecast.guess import Interval
from turnaround.forecast.speed import Size, Speeds, covers, refined
from turnaround.journal import Journal
from turnaround.launch import speed
from turnaround.spec import Inventory, Plan, Status, kinds
from turnaround.spec.scores import rises
from turnaround.sweep.window import moment

BUNDLES = '%"kind": "bundle"%'  # runs that carry others, and say nothing of themselves
NEWEST = 32  # runs of the recipe that are looked at: 5 to 50 ms each
LARGEST = 64  # times the batch that was run: further off the law was not seen to hold
UNSURE = 0.5  # relative half-width of the noise scale's interval that is said aloud


@dataclass(frozen=True)
class Verdict:
    """What it would take."""

    wish: Sought
    plan: Plan
    known: front.Known
    what: str  # `bleu 30 after 2,100 steps of 64`
    heard: past.Told | None  # the run that told the noise scale; none: there is only one batch
    deaf: tuple[str, str]  # why there is none, and what helps
    steps: list[throughput.Step]  # all that were timed, by runs
    speeds: Speeds  # or by probes
    devices: int  # at most
    points: list[front.Point]
    alone: front.Point
    chosen: front.Point | None  # none: no point is soon or cheap enough
    notes: list[str] = field(default_factory=list)

    @property
    def nearest(self) -> front.Point:
        """What comes closest to the wish."""
        return self.chosen or self.points[0 if self.wish.by else -1]

    def changes(self, point: front.Point) -> list[str]:
        """What to say differently, to get there."""
        lone = point.devices == 1 and any(word.startswith("layout") for word in self.wish.words)
        words = point.words("ddp", "replicate").split() + ["layout=single"] * lone
        micro = self.plan.update.accumulate > 1 and point.accumulate == 1
        words += ["update.accumulate=1"] * micro
        if self.wish.target is None:
            return words
        score, target = parse(self.wish.target)
        return [*words, f"evaluate.score={score}", f"budget.target={exactly(target)}"]


def judged(
    plan: Plan, journal: Journal, have: Inventory, wish: Sought, say: Callable[[Size], None]
) -> Verdict:
    """The front and what to choose; PlanError where too little is known. `say` hears a probe."""
    within = seconds(wish.by, datetime.now()) if wish.by is not None else None
    if wish.target is not None:
        parse(wish.target)
    if refusal := next(_unlike(plan), None):
        raise PlanError(*refusal)
    told = list(_told(plan, journal))
    heard = next((one for one in told if one.scale), None)  # the newest
    known, what = _known(plan, told, heard, wish)
    runs = [one.step for one in told if one.step]
    most = wish.devices or have.count(plan.cluster.device)
    speeds, notes = _speeds(plan, journal, (known, runs), wish, (most, say))
    steps = refined(speeds.steps, runs)
    if not steps:
        why = "; ".join(["no run of this recipe was timed", *notes])
        raise PlanError(why, f"--probe, or {measure(plan)}")
    law, fits = throughput.fit(steps), speeds.most or math.inf
    batches = _batches(known) if heard else [known.batch]
    points = front.front(known, law, _powers(most), batches, fits)
    cost = 3600 * wish.cost if wish.cost is not None else None
    return Verdict(
        wish,
        plan,
        known,
        what,
        heard=heard,
        deaf=_deaf(plan, told),
        steps=runs,
        speeds=speeds,
        devices=most,
        points=points,
        alone=front.point(known, law, 1, known.batch, fits),
        chosen=front.best(points, within, cost),
        notes=notes,
    )


# ── from runs ──


def _told(plan: Plan, journal: Journal) -> Iterator[past.Told]:
    """What runs of the same question say, whatever their batch, devices and budget."""
    alone = f"recipe=? AND tags NOT LIKE '{BUNDLES}'"
    found = journal.runs(alone, [plan.recipe.name], NEWEST)
    for run in found:
        if run.status is Status.QUEUED:
            continue
        try:
            other = journal.plan(run.id)
        except JournalError:  # of a run that lost it: others may tell
            continue
        if _question(other) == _question(plan) and not any(_unlike(other)):
            yield past.read(other, journal.events(run.id))


def _question(plan: Plan) -> tuple[object, ...]:
    asked = plan.recipe, plan.place.data, plan.optim.name, plan.precision, plan.cluster.device
    return *asked, plan.init_from


def _unlike(plan: Plan) -> Iterator[tuple[str, str]]:
    """Why its steps are worth something else than steps of one batch are, and what helps."""
    data, update = plan.data, plan.update
    if data.whole:
        message = "data.batch=all (data.whole=true) leaves no batch to be chosen"
        yield message, f"data.batch={data.batch}"
    if data.grow > 1:
        message = f"data.grow={data.grow} chooses the batch while it trains, and not before"
        yield message, "data.grow=1, or leave data.batch=adaptive out"
    if not update.exact:
        step = update.name == "sync"
        asked = f"update.compress={update.compress}" if step else f"update={update.name}"
        message = f"{asked} draws a curve of its own, of which other runs tell nothing"
        yield message, "update.compress=none" if step else "update=sync"


def _known(
    plan: Plan, told: Sequence[past.Told], heard: past.Told | None, wish: Sought
) -> tuple[front.Known, str]:
    """A batch, the steps to the target with it, and the noise scale; in words, too."""
    scale = heard.scale_by(math.inf) if heard else None
    scale = scale or Interval(0.0, plan.data.batch, math.inf)  # then there is one batch only
    if wish.target is None:
        return _own(plan, scale)
    score, target = parse(wish.target)
    up = _up(plan, score)
    reached = [(one.reached(score, target, up), one) for one in told]
    there = [(count, one) for count, one in reached if count]
    if not there:
        raise _unseen(plan, wish.target, told)
    count, basis = min(there, key=lambda pair: pair[0] * pair[1].plan.data.batch)
    what = f"{score} {exactly(target)} after {math.ceil(count):,} steps of {basis.plan.data.batch}"
    ways: dict[int, float] = {}
    for taken, one in there:
        size = one.plan.data.batch
        ways[size] = min(taken, ways.get(size, math.inf))
    known = basis.known(count, scale, ways)
    return replace(known, luck=basis.luck(score, target, up)), what


def _own(plan: Plan, scale: Interval) -> tuple[front.Known, str]:
    """The steps that were asked for."""
    steps, batch, optim = plan.budget.steps, plan.data.batch, plan.optim
    if steps is None:
        raise PlanError("without budget.steps there is nothing to reach", "--target bleu=30")
    known = front.Known(batch, steps, scale, optim.lr, optim.name)
    known = replace(known, warmup=optim.warmup, every=plan.evaluate.every)
    return known, f"{steps:,} steps of {batch}"


def _unseen(plan: Plan, wanted: str, told: Sequence[past.Told]) -> PlanError:
    score, target = parse(wanted)
    up = _up(plan, score)
    if not any(one.valid for one in told):
        of = f"this recipe from {plan.init_from}" if plan.init_from else "this recipe"
        message = f"what {wanted} takes is told by runs before, and there is none of {of}"
        return PlanError(message, measure(plan))
    best = [value for one in told if (value := one.best(score, up)) is not None]
    if not best:
        names = sorted({name for one in told for _, values in one.valid for name in values})
        return PlanError(f"no run reported {score}", f"known: {', '.join(names)}")
    found = (max if up else min)(best)
    hint = "run longer first, or ask for less: steps beyond what was seen cannot be told"
    return PlanError(f"{score}={exactly(target)} was never seen: the best is {found:.4g}", hint)


def _up(plan: Plan, score: str) -> bool:
    """More of it is better."""
    asked = plan.evaluate
    return asked.rises if score == asked.score else rises(score) is not False


def _deaf(plan: Plan, told: Sequence[past.Told]) -> tuple[str, str]:
    """Nobody could tell, or nobody listened: a single micro-batch tells nothing. And what helps."""
    longest = max((one.steps for one in told if one.listened), default=0)
    if longest:
        message = f"{longest:,} steps could not tell the gradient of this recipe from its noise"
        return message, measure(plan, 4 * longest)
    return "no run of this recipe has told it, for want of two micro-batches", measure(plan)


def measure(plan: Plan, steps: int = 1000) -> str:
    """How to come to know steps and noise."""
    start = f" init_from={plan.init_from}" if plan.init_from else ""
    return (
        f"turnaround run recipe={plan.recipe.name}{start} budget.steps={steps} update.accumulate=2"
        " --again measures both, as long a run as it takes to tell the gradient from its noise (and"
        " not with optim=lbfgs); another batch size and layout=ddp make the times surer"
    )


# ── from probes ──


def _speeds(
    plan: Plan,
    journal: Journal,
    seen: tuple[front.Known, list[throughput.Step]],
    wish: Sought,
    hearing: tuple[int, Callable[[Size], None]],
) -> tuple[Speeds, list[str]]:
    """What probes found, and what went wrong with one that nobody asked for."""
    (known, runs), (most, say) = seen, hearing
    before, counts = speed.stored(plan, journal.root), speed.counts(plan, most)
    if wish.probe is False:
        return before, []
    expected = known.steps * _each(known, runs) if runs else None
    if wish.probe is None:
        timed = [*before.steps, *runs]
        short = expected is not None and expected < speed.LONG
        if short or covers(timed, counts) or plan.optim.name == "lbfgs":
            return before, []
    try:
        return speed.measured(plan, journal.root, counts, speed.limit(expected), say), []
    except LaunchError as error:
        if wish.probe:
            raise
        return speed.stored(plan, journal.root), [error.message]  # of some devices, maybe


def _each(known: front.Known, runs: Sequence[throughput.Step]) -> float:
    """Seconds of a step at that batch, as the run with the nearest one says."""
    sizes = [(run.batch * run.micro * run.devices, run.seconds) for run in runs]
    return min(sizes, key=lambda pair: abs(math.log(pair[0] / known.batch)))[1]


# ── words ──


def parse(text: str) -> tuple[str, float]:
    """`bleu=30` → ("bleu", 30.0)."""
    score, _, value = text.partition("=")
    try:
        if not score or not math.isfinite(target := float(value)):
            raise ValueError(text)
        return score, target
    except ValueError:
        raise ConfigError(f"--target {text} is no target", "--target bleu=30") from None


def exactly(target: float) -> str:
    """`30`, `0.9999995`: what `parse` makes the same number of."""
    return repr(target).removesuffix(".0")


def seconds(text: str, now: datetime) -> float:
    """From now to `07:00`, the next one there is, or of `2h`, `1h30m`."""
    length = kinds.seconds(text)
    if isinstance(length, float):
        return length
    return moment("--by", text, now.timestamp()) - now.timestamp()


def _powers(most: int) -> list[int]:
    """1, 2, 4, … and the most there is."""
    return sorted({2**i for i in range(most.bit_length()) if 2**i <= most} | {most})


def _batches(known: front.Known) -> list[int]:
    """Half to many times the batch that was run, each twice the one before."""
    least = max(1, known.batch // 2)
    return [least * 2**i for i in range(int(math.log2(2 * LARGEST)) + 1)]
