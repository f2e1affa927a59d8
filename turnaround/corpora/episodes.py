"""Episodes of gymnasium's classic control, many played in step by one policy.

    episodes = Episodes("CartPole-v1")
    steps = episodes.play([5, 6], act, horizon=500)    # each (steps, 2, …)
    steps = episodes.play([5, 6], act)                 # one episode each, to its end

`act(seen, step)` is given what all environments show, (environments, numbers), and tells what to do
in each. What happens follows from the seeds and from that.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

import gymnasium
import numpy as np
from numpy.typing import NDArray

from turnaround.errors import ConfigError, near

Act = Callable[[NDArray[Any], int], NDArray[Any]]
A = TypeVar("A")  # arrays, or tensors


class Steps(NamedTuple, Generic[A]):
    """What happened: each (steps, batch, …). Of a step that is not `counted` nothing is true."""

    seen: A  # before each step
    after: A  # and after it
    actions: A
    rewards: A
    lost: A  # nothing comes after it; an episode may also end by its time
    ended: A
    counted: A


class Episodes:
    """Environments of one kind: so many as are played at once, each made once."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.envs: list[Any] = [made(name)]
        self.sees: int = self.envs[0].observation_space.shape[0]  # numbers
        self.space = self.envs[0].action_space
        self.discrete = isinstance(self.space, gymnasium.spaces.Discrete)
        self.acts = int(self.space.n) if self.discrete else numbers(name)  # for a policy to say

    def play(self, seeds: list[int], act: Act, horizon: int | None = None) -> Steps[NDArray[Any]]:
        """So many steps, when an episode ends in between another begins; or one episode each."""
        while len(self.envs) < len(seeds):
            self.envs.append(made(self.name))
        envs = self.envs[: len(seeds)]
        seen = np.stack([env.reset(seed=seed)[0] for env, seed in zip(envs, seeds, strict=True)])
        playing = np.full(len(envs), True)
        rows: list[Steps[NDArray[Any]]] = []
        while playing.any() and (horizon is None or len(rows) < horizon):
            rows.append(self._step(seen, act(seen, len(rows)), playing))
            seen = rows[-1].after.copy()
            for i in rows[-1].ended.nonzero()[0]:
                if horizon is not None:
                    seen[i] = envs[i].reset()[0]
                playing[i] = horizon is not None
        return Steps(*(np.stack(column) for column in zip(*rows, strict=True)))

    def _step(
        self, seen: NDArray[Any], actions: NDArray[Any], playing: NDArray[np.bool_]
    ) -> Steps[NDArray[Any]]:
        """One step of each environment that is played; the others stay as they are."""
        after, rewards = seen.copy(), np.zeros(len(seen))
        lost, ended = np.full((2, len(seen)), False)
        for i in playing.nonzero()[0]:
            action = actions[i] if self.discrete else self._bounded(actions[i])
            after[i], rewards[i], lost[i], late, _ = self.envs[i].step(action)
            ended[i] = lost[i] or late
        return Steps(seen, after, actions, rewards, lost, ended, playing.copy())

    def _bounded(self, action: NDArray[Any]) -> NDArray[Any]:
        inside: NDArray[Any] = action.clip(self.space.low, self.space.high)
        return inside.astype(self.space.dtype)


@functools.cache
def numbers(name: str) -> int:
    """That an action is, in the environment of that name."""
    return int(np.prod(made(name).action_space.shape or ()))


def made(name: str) -> gymnasium.Env[Any, Any]:
    """One environment, by gymnasium's name of it."""
    registry = gymnasium.registry.items()
    known = [key for key, spec in registry if "classic_control" in str(spec.entry_point)]
    if name not in known:
        wish = f"recipe.environment={name} is none of gymnasium's classic control"
        raise ConfigError(wish, near(name, known))
    return gymnasium.make(name, disable_env_checker=True)
