"""An agent learns by what it tries: policy gradients on gymnasium's classic control.

REINFORCE with a learnt baseline (Williams, 1992), generalised advantages (Schulman et al., 2016).
An example is the number that an environment and the chances of its actions are seeded with; the
model plays it for `horizon` steps, with the policy of the moment. So data.batch · horizon steps are
played for each update, and budget.examples=400 is 200,000 of them, however many devices play.

    turnaround run recipe=agent                                     # CartPole-v1
    turnaround run recipe=agent recipe.environment=Acrobot-v1

Data: what it plays itself; it reads no files.
Expect: the greedy policy earns 500 of 500 in each of 100 episodes (each of three seeds).
Time: half a minute on one CPU core, 200,000 steps of CartPole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from turnaround.corpora import splits
from turnaround.corpora.episodes import Episodes, Steps, numbers
from turnaround.engine import Endless, Mean, Recipe, Samples, Tally
from turnaround.errors import DataError
from turnaround.nn.policies import Policy, advantages, network
from turnaround.spec import Count, Momentum, Share

FIXED = {"valid": 1_000_000, "test": 2_000_000}  # their first seeds; those of training are larger


@dataclass(frozen=True)
class Config:
    environment: str = "CartPole-v1"  # gymnasium's name of it; actions by number or by value
    horizon: Count = 500  # steps of an example; when an episode ends in between, another begins
    episodes: Count = 100  # to validate on, and to test on
    width: Count = 64  # of the two hidden layers of policy and of baseline
    discount: Momentum = 0.99  # of what comes a step later
    trace: Share = 0.99  # lambda: 1 trusts what was earned, 0 what the baseline expects


@dataclass(frozen=True)
class Batch:
    seeds: Tensor  # (batch,)
    chances: Tensor  # (batch, horizon, numbers of an action), from 0 to 1


class Played(NamedTuple):
    """What happened, and what the model makes of it: each (steps, batch)."""

    steps: Steps[Tensor]
    log_probs: Tensor  # of the actions
    values: Tensor  # what the baseline expects from each step on
    after: Tensor  # and once it is done; no gradient goes there


class Agent(Policy):
    def __init__(self, c: Config) -> None:
        episodes = Episodes(c.environment)
        super().__init__(episodes.sees, episodes.acts, episodes.discrete, c.width)
        self.baseline = network(episodes.sees, c.width, 1)
        self.episodes, self.horizon = episodes, c.horizon

    def forward(self, seeds: Tensor, chances: Tensor) -> Played:
        """While learning `horizon` steps, by chance; else one episode, by the likeliest acts."""
        steps = self.play(seeds.tolist(), chances)
        log_probs = self.acting(steps.seen).log_prob(steps.actions)
        values = self.baseline(steps.seen).squeeze(-1).to(steps.seen)
        after = self.baseline(steps.after).squeeze(-1).detach().to(values) * ~steps.lost
        return Played(steps, log_probs, values, after)

    @torch.no_grad()
    def play(self, seeds: list[int], chances: Tensor) -> Steps[Tensor]:
        """All environments in step, so that one call of the policy serves them all."""

        def act(seen: np.ndarray, step: int) -> np.ndarray:
            chance = chances[:, step % self.horizon]
            return self.chosen(chances.new_tensor(seen), chance).cpu().numpy()

        steps = self.episodes.play(seeds, act, self.horizon if self.training else None)
        found = [torch.from_numpy(part).to(chances.device) for part in steps]
        return Steps(*(t.to(chances.dtype) if t.is_floating_point() else t for t in found))


class PolicyGradient(Recipe[Batch]):
    config: Config

    def data(self, split: str) -> Any:
        splits.none(self.source, "agent", "what it learns from it plays")
        if split != "train":
            return range(FIXED[split], FIXED[split] + self.config.episodes)
        first = int(torch.randint(2**32, 2**62, ()))  # another one for each seed of a run
        return Endless(lambda number: first + number)

    def collate(self, examples: list[int]) -> Batch:
        # Drawn for each example by itself: what it becomes does not depend on its neighbours.
        size = self.config.horizon, numbers(self.config.environment)
        drawn = [torch.Generator().manual_seed(seed) for seed in examples]
        chances = [torch.rand(*size, generator=one, dtype=torch.float64) for one in drawn]
        return Batch(torch.tensor(examples), torch.stack(chances))

    def model(self) -> Agent:
        return Agent(self.config)

    def inputs(self, batch: Batch) -> tuple[Tensor, Tensor]:
        return batch.seeds, batch.chances

    def loss(self, played: Played, batch: Batch) -> Mean:
        """Its value is the baseline's squared error alone: the policy's part has only a gradient.

        Rewards are scaled so that a reward of one for ever is worth one, whatever the discount.
        """
        c, steps = self.config, played.steps
        rewards, values = (1 - c.discount) * steps.rewards, played.values.detach()
        gains = advantages(rewards, values, played.after, steps.ended, c.discount, c.trace)
        # Of each example by itself, whatever the batch: while the baseline knows little, all that
        # was done seems good, and only what was better than the rest should be done more.
        weights = (gains - gains.mean(0)) / (gains.std(0, correction=0) + 1e-6)
        better = weights * (played.log_probs - played.log_probs.detach())
        error = (played.values - (gains + values)) ** 2
        return Mean.of(((error - better) * steps.counted).sum(), steps.counted.sum())

    def score(self, model: nn.Module, batch: Batch, played: Played) -> dict[str, Tally]:
        returns = earned(played)
        return {"return": Mean.of(returns.sum(), len(returns))}

    def samples(self, model: nn.Module, examples: list[int]) -> Samples:
        played = self.episodes(model, examples)
        lengths = played.steps.counted.sum(0).tolist()
        rows = zip(examples, earned(played).tolist(), lengths, strict=True)
        return ["seed", "return", "steps"], [[str(s), f"{r:g}", str(n)] for s, r, n in rows]

    def answer(self, model: nn.Module, line: str) -> str:
        """How the episode of a seed goes."""
        if not line.strip().isdecimal():
            raise DataError(f"expected a seed, found {line[:40]!r}", "write a whole number")
        played = self.episodes(model, [int(line)])
        return f"return {earned(played).item():g} in {len(played.values)} steps"

    def episodes(self, model: nn.Module, seeds: list[int]) -> Played:
        batch = self.collate(seeds)
        return model(batch.seeds, batch.chances.to(next(model.parameters())))


def earned(played: Played) -> Tensor:
    return (played.steps.rewards * played.steps.counted).sum(0)
