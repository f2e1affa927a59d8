"""`data.grow`: a batch that grows as the gradient noise scale does.

    listener.then = Growth(plan, tell).take     # hears each measurement of the noise scale
    now.times                                   # the plan's batches that make the next step's
    now.gain                                    # on the learning rate, for that

Where a step is worth r examples the best batch is √(r·𝓑) (McCandlish et al., 2018, appendix D). The
first noise scale that is known well enough, after a twentieth of the budget, says which r the
plan's batch stands for; from then on the batch goes with the root of the scale, by powers of two,
and never down. A scale that is large against the batch is hard to know, so what it is at the least
is enough to grow. All of it follows from sums that every rank and every checkpoint has, so all
agree, and a resumed run goes on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

from turnaround.engine.noise import Estimate, Norms
from turnaround.engine.pace import Pace, Progress
from turnaround.forecast.front import critical, gain
from turnaround.spec import Data, Plan

EARLY = 0.05  # of the budget: what a batch is right for is not a model that knows nothing yet
LEAST = 8  # measurements for a decision, however sure they seem
RECENT = 50.0  # that are remembered: gradients ten times as large, of steps ago, would drown others
SURE = 0.25  # relative standard error of a scale that is known; the batch is off by half as much


@dataclass
class Grown:
    """What was decided so far rests on; `Progress.growth` holds its fields."""

    first: float = 0.0  # the noise scale for which the plan's batch was right; 0: not yet known
    steps: float = 0  # at the last decision, and examples
    examples: float = 0
    useful: float = 0.0  # those steps as an endless batch would have made them: Σ 1 / (1 + 𝓑/B)
    noise: float = 0.0  # Σ 𝓑 / (1 + 𝓑/B): the examples that as much would take at the least

    def count(self, critical: float, now: Progress) -> None:
        """For the steps since the last decision 𝓑 was this."""
        steps, examples = now.step - self.steps, now.examples - self.examples
        useful = steps / (1 + critical * steps / examples)
        self.steps, self.examples = now.step, now.examples
        self.useful += useful
        self.noise += useful * critical

    @property
    def constant(self) -> tuple[float, float]:
        """The one batch that would have read as many examples for as much, and its steps."""
        batch = (self.examples - self.noise) / self.useful
        return batch, self.useful + self.noise / batch


class Growth:
    """Decides, whenever enough was measured since the last time."""

    def __init__(self, plan: Plan, tell: Callable[[Progress, dict[str, float]], None]) -> None:
        self._batch = plan.data.batch
        self._most = plan.data.grow
        self._optimizer = plan.optim.name
        self._share = Pace(plan).share
        self._tell = tell

    def take(self, now: Progress, norms: Norms) -> None:
        """One more measurement; the same on every rank."""
        if self._share(now) < EARLY:
            return
        recent = Estimate(RECENT, now.recent or Estimate().sums)
        recent.add(*norms)
        now.recent = recent.sums
        if recent.count < LEAST:
            return
        sure, grown = recent.error <= SURE, Grown(**now.growth)
        scale = recent.scale if sure else recent.least()
        times = self._times(scale, grown.first) if grown.first or sure else 1
        if sure or times > now.times:
            now.recent, now.times = [], max(times, now.times)
            self._decided(now, scale, grown)

    def _times(self, scale: float, first: float) -> int:
        """The nearest power of two to what the root of the scale says, as far as is allowed."""
        grew = scale / (first or scale)
        return min(2 ** round(math.log2(grew) / 2), self._most) if grew > 1 else 1

    def _decided(self, now: Progress, scale: float, grown: Grown) -> None:
        best = critical(self._optimizer, scale)
        grown.first = grown.first or scale
        grown.count(best, now)
        now.growth = asdict(grown)
        size = self._batch * now.times
        now.gain = gain(self._optimizer, best, self._batch, size)
        self._tell(now, {"noise/batch": size, "noise/recent": scale})


def saved(data: Data, now: Progress) -> Iterator[str]:
    """What growing came to, by the noise scale; nothing of a batch that was not to grow."""
    if data.grow == 1:
        return
    if now.times == 1:
        yield f"the batch stayed at {data.batch}: its noise scale is not known to have grown enough"
        return
    grown = Grown(**now.growth)
    batch, steps = grown.constant
    share = (steps - grown.steps) / steps
    yield (
        f"the batch grew from {data.batch} to {data.batch * now.times}; by the noise scale alone "
        f"always {batch:.0f} would have come as far with as many examples in {steps:,.0f} steps: "
        f"these were {grown.steps:,.0f}, {abs(share):.0%} {'fewer' if share >= 0 else 'more'}"
    )
