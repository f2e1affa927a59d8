"""A policy: what to do, by number or by value, at what is seen.

    class Agent(Policy):
        def __init__(self):
            super().__init__(sees=4, acts=2, discrete=True, width=64)
            self.baseline = network(4, 64, 1)

    model.acting(seen).log_prob(actions)    # to learn from what was done
    model.chosen(seen, chance)              # to do it
    advantages(rewards, values, after, ended, discount=0.99, trace=0.95)    # how good it was

What is drawn follows from `chance` alone, numbers from 0 to 1: the same on every device.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution, Independent, Normal

EDGE = 1e-6  # chances nearer to 0 or 1 would be actions without end


class Policy(nn.Module):
    """Discrete actions have logits, others a normal law whose deviation is the same everywhere."""

    def __init__(self, sees: int, acts: int, discrete: bool, width: int) -> None:
        super().__init__()
        self.discrete = discrete
        self.policy = network(sees, width, acts)
        if not discrete:
            self.spread = nn.Parameter(torch.zeros(acts))  # log of the standard deviation

    def acting(self, seen: Tensor) -> Distribution:
        """The law of the action at each of `seen` (…, numbers)."""
        out = self.policy(seen).to(seen)  # autocast may leave bf16, which is no law's precision
        if self.discrete:
            return Categorical(logits=out, validate_args=False)
        law = Normal(out, self.spread.exp(), validate_args=False)
        return Independent(law, 1, validate_args=False)

    def chosen(self, seen: Tensor, chance: Tensor) -> Tensor:
        """An action for each row of `seen`: drawn in training, else the likeliest."""
        out: Tensor = self.policy(seen).to(seen)
        if self.discrete:
            below = out.softmax(-1).cumsum(-1)[..., :-1] < chance
            return below.sum(-1) if self.training else out.argmax(-1)
        drawn = self.spread.exp() * torch.special.ndtri(chance.clamp(EDGE, 1 - EDGE))
        return out + drawn if self.training else out


def advantages(
    rewards: Tensor, values: Tensor, after: Tensor, ended: Tensor, discount: float, trace: float
) -> Tensor:
    """How much better each action was than expected (Schulman et al., 2016): (steps, batch).

    `values` are what was expected before each step, `after` what is expected once it is done. A
    `trace` of 1 trusts what was earned, 0 what is expected.
    """
    surprise = rewards + discount * after - values
    on = discount * trace * (~ended).to(values)
    gains, ahead = torch.empty_like(values), torch.zeros_like(values[0])
    for i in range(len(values) - 1, -1, -1):
        gains[i] = ahead = surprise[i] + on[i] * ahead
    return gains


def network(inputs: int, width: int, outputs: int) -> nn.Sequential:
    """Two hidden layers."""
    first, last = nn.Linear(inputs, width), nn.Linear(width, outputs)
    return nn.Sequential(first, nn.Tanh(), nn.Linear(width, width), nn.Tanh(), last)
