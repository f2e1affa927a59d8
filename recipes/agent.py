"""An agent learns by what it tries: policy gradients on gymnasium's classic control.

REINFORCE with a learnt baseline (Williams, 1992), generalised advantages (Schulman et al., 2016).
An example is the number that an environment and the chances of its actions are seeded with; the
model plays it for `horizon` steps, with the policy of the moment. So data.batch · horizon steps are
played for each update, and budget.examples=400 is 200,000 of them, however many devices play.
After those, in half a minute on one CPU core, the greedy policy earns 500 of 500 in each of 100
episodes (each of three seeds).

    turnaround run recipe=agent                                     # CartPole-v1
    turnaround run recipe=agent recipe.environment=Acrobot-v1
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Normal

from turnaround.engine import Endless, Mean, Recipe, Tally
from turnaround.errors import ConfigError, DataError, near
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


class Steps(NamedTuple):
    """What happened: each (steps, batch, …). Of a step that is not `counted` nothing is true."""

    seen: Tensor  # before each step
    after: Tensor  # and after it
    actions: Tensor
    rewards: Tensor
    lost: Tensor  # nothing comes after it; an episode may also end by its time
    ended: Tensor
    counted: Tensor


class Played(NamedTuple):
    """The same, as the model sees it."""

    steps: Steps
    log_probs: Tensor  # of the actions
    values: Tensor  # what the baseline expects from each step on
    after: Tensor  # and once it is done; no gradient goes there


class Agent(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.envs: list[Any] = []
        (one,) = self.environments(1)
        sees, acts = one.observation_space.shape, one.action_space
        self.discrete = isinstance(acts, gymnasium.spaces.Discrete)
        self.policy = network(sees[0], config.width, acts.n if self.discrete else acts.shape[0])
        self.baseline = network(sees[0], config.width, 1)
        if not self.discrete:
            self.spread = nn.Parameter(torch.zeros(acts.shape))  # log of the standard deviation

    def environments(self, count: int) -> list[Any]:
        """So many of them; each is made once, and what it does follows from its next seed."""
        while len(self.envs) < count:
            self.envs.append(made(self.config.environment))
        return self.envs[:count]

    def forward(self, seeds: Tensor, chances: Tensor) -> Played:
        """While learning `horizon` steps, by chance; else one episode, by the likeliest acts."""
        steps = self.play(seeds.tolist(), chances)
        log_probs = self.acting(steps.seen).log_prob(steps.actions)
        if not self.discrete:
            log_probs = log_probs.sum(-1)
        values = self.baseline(steps.seen).squeeze(-1)
        after = self.baseline(steps.after).squeeze(-1).detach() * ~steps.lost
        return Played(steps, log_probs, values, after)

    def acting(self, seen: Tensor) -> Categorical | Normal:
        out = self.policy(seen)
        if self.discrete:
            return Categorical(logits=out, validate_args=False)
        return Normal(out, self.spread.exp(), validate_args=False)

    def chosen(self, seen: Tensor, chance: Tensor) -> Tensor:
        """An action for each row of `seen`; `chance` alone says what is drawn."""
        out = self.policy(seen)
        if self.discrete:
            below = out.softmax(-1).cumsum(-1)[..., :-1] < chance
            return below.sum(-1) if self.training else out.argmax(-1)
        drawn = self.spread.exp() * torch.special.ndtri(chance.clamp(1e-6, 1 - 1e-6))
        return out + drawn if self.training else out

    @torch.no_grad()
    def play(self, seeds: list[int], chances: Tensor) -> Steps:
        """All environments in step, so that one call of the policy serves them all."""
        envs = self.environments(len(seeds))
        seen = np.stack([env.reset(seed=seed)[0] for env, seed in zip(envs, seeds, strict=True)])
        playing = np.full(len(envs), True)
        rows: list[tuple[np.ndarray, ...]] = []
        while playing.any() and (len(rows) < self.config.horizon or not self.training):
            chance = chances[:, len(rows) % self.config.horizon]
            actions = self.chosen(chances.new_tensor(seen), chance).cpu().numpy()
            after, rewards = seen.copy(), np.zeros(len(envs))
            lost, ended = np.full((2, len(envs)), False)
            for i in playing.nonzero()[0]:
                action = actions[i] if self.discrete else self.bounded(actions[i])
                after[i], rewards[i], lost[i], late, _ = envs[i].step(action)
                ended[i] = lost[i] or late
            rows.append((seen, after, actions, rewards, lost, ended, playing.copy()))
            seen = after.copy()
            for i in ended.nonzero()[0]:
                if self.training:  # and another episode begins
                    seen[i] = envs[i].reset()[0]
                playing[i] = self.training
        tensors = (torch.from_numpy(np.stack(column)) for column in zip(*rows, strict=True))
        return Steps(
            *(t.to(chances) if t.is_floating_point() else t.to(chances.device) for t in tensors)
        )

    def bounded(self, action: np.ndarray) -> np.ndarray:
        space = self.envs[0].action_space
        return action.clip(space.low, space.high).astype(space.dtype)


class PolicyGradient(Recipe[Batch]):
    config: Config

    def data(self, split: str) -> Any:
        if any(self.source.paths().values()):
            raise ConfigError(
                "recipe=agent reads no files: what it learns from it plays",
                "leave data.path, data.train, data.valid and data.test away",
            )
        if split != "train":
            return range(FIXED[split], FIXED[split] + self.config.episodes)
        first = int(torch.randint(2**32, 2**62, ()))  # another one for each seed of a run
        return Endless(lambda number: first + number)

    def collate(self, examples: list[int]) -> Batch:
        # Drawn for each example by itself: what it becomes does not depend on its neighbours.
        drawn = [torch.Generator().manual_seed(seed) for seed in examples]
        chances = [torch.rand(*self.drawn, generator=one, dtype=torch.float64) for one in drawn]
        return Batch(torch.tensor(examples), torch.stack(chances))

    @functools.cached_property
    def drawn(self) -> tuple[int, int]:
        shape = made(self.config.environment).action_space.shape
        return self.config.horizon, int(np.prod(shape or ()))

    def model(self) -> Agent:
        return Agent(self.config)

    def inputs(self, batch: Batch) -> tuple[Tensor, Tensor]:
        return batch.seeds, batch.chances

    def loss(self, played: Played, batch: Batch) -> Mean:
        """Its value is the baseline's squared error alone: the policy's part has only a gradient.

        Rewards are scaled so that a reward of one for ever is worth one, whatever the discount.
        """
        c, steps = self.config, played.steps
        gains = advantages(played, c.discount, c.trace)
        # Of each example by itself, whatever the batch: while the baseline knows little, all that
        # was done seems good, and only what was better than the rest should be done more.
        weights = (gains - gains.mean(0)) / (gains.std(0, correction=0) + 1e-6)
        better = weights * bare(played.log_probs)
        error = (played.values - (gains + played.values.detach())) ** 2
        return Mean.of(((error - better) * steps.counted).sum(), steps.counted.sum())

    def score(self, model: nn.Module, batch: Batch, played: Played) -> dict[str, Tally]:
        returns = earned(played)
        return {"return": Mean.of(returns.sum(), len(returns))}

    def samples(self, model: nn.Module, examples: list[int]) -> tuple[list[str], list[list[str]]]:
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


def advantages(played: Played, discount: float, trace: float) -> Tensor:
    """How much better each action was than expected: (steps, batch), without gradient."""
    steps, values = played.steps, played.values.detach()
    surprise = (1 - discount) * steps.rewards + discount * played.after - values
    on = discount * trace * (~steps.ended).to(values)
    gains, ahead = torch.empty_like(values), torch.zeros_like(values[0])
    for i in range(len(values) - 1, -1, -1):
        gains[i] = ahead = surprise[i] + on[i] * ahead
    return gains


def bare(value: Tensor) -> Tensor:
    """Zero, with the gradient of `value`."""
    return value - value.detach()


def earned(played: Played) -> Tensor:
    return (played.steps.rewards * played.steps.counted).sum(0)


def network(inputs: int, width: int, outputs: int) -> nn.Sequential:
    first, last = nn.Linear(inputs, width), nn.Linear(width, outputs)
    return nn.Sequential(first, nn.Tanh(), nn.Linear(width, width), nn.Tanh(), last)


def made(name: str) -> gymnasium.Env:
    known = [
        key
        for key, spec in gymnasium.registry.items()
        if "classic_control" in str(spec.entry_point)
    ]
    if name not in known:
        raise ConfigError(
            f"recipe.environment={name} is none of gymnasium's classic control", near(name, known)
        )
    return gymnasium.make(name, disable_env_checker=True)
