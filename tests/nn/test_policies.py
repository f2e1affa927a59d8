from __future__ import annotations

import pytest
import torch

from turnaround.nn.policies import Policy, advantages


@pytest.mark.parametrize("discrete", [True, False])
def test_actions_come_as_often_as_their_law_says(discrete: bool) -> None:
    torch.manual_seed(0)
    model = Policy(4, 3, discrete, 8)
    seen = torch.ones(4000, 4)
    chances = torch.rand(4000, 1 if discrete else 3)
    drawn, law = model.chosen(seen, chances), model.acting(seen[:1])
    if discrete:
        shares = drawn.bincount(minlength=3) / 4000
        expected = law.enumerate_support().squeeze(1)
        torch.testing.assert_close(shares, law.log_prob(expected).exp(), atol=0.03, rtol=0)
    else:
        torch.testing.assert_close(drawn.mean(0), law.mean[0], atol=0.06, rtol=0)
        torch.testing.assert_close(drawn.std(0), model.spread.exp(), atol=0.06, rtol=0)
    assert model.acting(seen).log_prob(drawn).shape == (4000,)


@pytest.mark.parametrize("discrete", [True, False])
def test_who_is_judged_does_what_is_likeliest_whatever_the_chance(discrete: bool) -> None:
    model = Policy(4, 3, discrete, 8).eval()
    seen = torch.randn(10, 4)
    one, other = (model.chosen(seen, torch.full((10, 1), chance)) for chance in (0.0, 1.0))
    assert torch.equal(one, other)
    assert torch.isfinite(model.train().chosen(seen, torch.ones(10, 1)).float()).all()


def test_advantages_stop_where_an_episode_ends() -> None:
    rewards, values, after = torch.ones(3, 1), torch.zeros(3, 1), torch.full((3, 1), 2.0)
    ended = torch.tensor([[False], [True], [False]])
    found = advantages(rewards, values, after, ended, discount=0.5, trace=0.5)
    assert found.flatten().tolist() == [2.5, 2.0, 2.0]
