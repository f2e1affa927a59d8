from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from turnaround.corpora.episodes import Episodes, numbers
from turnaround.errors import ConfigError


def left(seen: NDArray[Any], step: int) -> NDArray[Any]:
    return np.zeros(len(seen), int)


def test_an_episode_is_played_to_its_end_whoever_plays_beside_it() -> None:
    episodes = Episodes("CartPole-v1")
    both, one = episodes.play([5, 6], left), episodes.play([6], left)
    lengths = both.counted.sum(0)
    assert (both.ended.sum(0) == 1).all()
    assert len(one.seen) == lengths[1]
    assert np.array_equal(both.seen[: lengths[1], 1], one.seen[:, 0])
    assert (both.seen[1 : lengths[0], 0] == both.after[: lengths[0] - 1, 0]).all()


def test_of_a_horizon_every_step_counts_and_episodes_follow_each_other() -> None:
    steps = Episodes("CartPole-v1").play([5], left, horizon=40)
    assert steps.counted.shape == (40, 1)
    assert steps.counted.all()
    begins = steps.seen[1:, 0][steps.ended[:-1, 0]]
    assert len(begins) >= 3
    assert (np.abs(begins) <= 0.05).all()


def test_values_are_kept_within_what_the_environment_takes() -> None:
    episodes = Episodes("Pendulum-v1")
    assert (episodes.sees, episodes.acts, numbers("CartPole-v1")) == (3, 1, 1)
    much = episodes.play([5], lambda seen, _: np.full((1, 1), 99.0), horizon=5)
    most = episodes.play([5], lambda seen, _: np.full((1, 1), 2.0), horizon=5)
    assert np.array_equal(much.after, most.after)


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="none of gymnasium's classic control") as caught:
        Episodes("Cartpole-v1")
    assert "CartPole-v1" in caught.value.hint
