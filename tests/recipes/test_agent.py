from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.engine.trials import train
from tests.recipes.small import ROOT, SMALL, shipped
from turnaround.engine.recipe import load
from turnaround.errors import ConfigError, DataError
from turnaround.nn.policies import advantages
from turnaround.spec import Data

FILE = ROOT / "recipes" / "agent.py"
NAMES = ["Acrobot-v1", "MountainCar-v0", "MountainCarContinuous-v0", "Pendulum-v1"]


def recipe(cache: Path, *words: str) -> Any:
    return load(FILE, SMALL["agent"].plan("agent", *words), cache)


def batch_of(made: Any, seeds: list[int]) -> Any:
    batch = made.collate(seeds)
    return replace(batch, chances=batch.chances.float())


def gained(played: Any, discount: float, trace: float) -> torch.Tensor:
    steps, values = played.steps, played.values.detach()
    rewards = (1 - discount) * steps.rewards
    return advantages(rewards, values, played.after, steps.ended, discount, trace)


@pytest.mark.parametrize("name", NAMES)
def test_two_steps_run_in_every_environment(tmp_path: Path, name: str) -> None:
    words = f"recipe.environment={name}", "recipe.episodes=1", "budget.steps=2"
    told = train(SMALL["agent"].plan("agent", *words, "budget.examples=8"), tmp_path)
    assert told.code == 0, told.of("error")
    assert told.one("summary")["values"]["test/return"] < 100


@pytest.mark.parametrize("name", ["CartPole-v1", "Pendulum-v1"])
def test_under_bf16_all_but_the_networks_is_fp32(tmp_path: Path, name: str) -> None:
    words = f"recipe.environment={name}", "recipe.episodes=1", "budget.steps=2", "precision=bf16"
    told = train(SMALL["agent"].plan("agent", *words), tmp_path)
    assert told.code == 0, told.of("error")
    made = recipe(tmp_path / "2", f"recipe.environment={name}")
    batch = batch_of(made, [5])
    with torch.autocast("cpu", torch.bfloat16):
        played = made.model()(*made.inputs(batch))
    kinds = {played.values.dtype, played.after.dtype, made.loss(played, batch).sum.dtype}
    assert kinds == {torch.float32}


def test_an_example_plays_as_many_steps_whatever_happens(tmp_path: Path) -> None:
    made = recipe(tmp_path, "recipe.horizon=60")
    steps = made.model()(*made.inputs(batch_of(made, [5, 6, 7]))).steps
    assert steps.seen.shape == (60, 3, 4)
    assert steps.counted.all()
    assert steps.ended.sum(0).min() >= 1  # a beginner's pole falls within 60 steps


def test_after_an_episode_another_begins(tmp_path: Path) -> None:
    made = recipe(tmp_path, "recipe.horizon=60")
    steps = made.model()(*made.inputs(batch_of(made, [5]))).steps
    goes_on = ~steps.ended[:-1, 0]
    assert torch.equal(steps.seen[1:, 0][goes_on], steps.after[:-1, 0][goes_on])
    assert (steps.seen[1:, 0][~goes_on].abs() <= 0.05).all()  # where CartPole begins


def test_what_happens_to_an_example_does_not_depend_on_its_neighbours(tmp_path: Path) -> None:
    made = recipe(tmp_path)
    model = made.model()
    together = model(*made.inputs(batch_of(made, [5, 6, 7]))).steps
    alone = model(*made.inputs(batch_of(made, [6]))).steps
    assert torch.equal(together.actions[:, 1], alone.actions[:, 0])
    assert torch.equal(together.seen[:, 1], alone.seen[:, 0])


def test_a_judged_episode_is_played_once_to_its_end(tmp_path: Path) -> None:
    made = recipe(tmp_path)
    model = made.model().eval()
    played = model(*made.inputs(batch_of(made, [5, 6])))
    lengths = played.steps.counted.sum(0)
    assert (played.steps.ended.sum(0) == 1).all()
    score = made.score(model, None, played)["return"]
    assert score.compute() == lengths.double().mean()  # CartPole pays one for each step
    assert made.answer(model, "5") == f"return {lengths[0]} in {lengths[0]} steps"


@pytest.mark.parametrize("trace", [0.0, 0.7, 1.0])
def test_advantages_are_what_their_definition_adds_up_to(tmp_path: Path, trace: float) -> None:
    made = recipe(tmp_path, "recipe.horizon=40", f"recipe.trace={trace}", "recipe.discount=0.9")
    played = made.model().double()(*made.inputs(made.collate([5, 6])))
    steps, values = played.steps, played.values
    gains = gained(played, 0.9, trace)
    for column in range(2):
        for start in (0, 3, 17, 39):
            total, weight = 0.0, 1.0
            for i in range(start, 40):
                reward, after = 0.1 * steps.rewards[i, column], played.after[i, column]
                total += weight * (reward + 0.9 * after - values[i, column]).item()
                weight *= 0.9 * trace
                if steps.ended[i, column]:
                    break
            assert gains[start, column].item() == pytest.approx(total)


def test_nothing_is_expected_after_a_fall_but_much_after_the_time_is_over(tmp_path: Path) -> None:
    made = recipe(tmp_path, "recipe.horizon=210", "recipe.environment=MountainCar-v0")
    played = made.model()(*made.inputs(batch_of(made, [5])))
    assert played.steps.ended[199, 0]  # its episodes end by time
    assert not played.steps.lost.any()
    assert played.after[199, 0] != 0
    pole = recipe(tmp_path, "recipe.horizon=60")
    fallen = pole.model()(*pole.inputs(batch_of(pole, [5])))
    assert (fallen.after[fallen.steps.lost] == 0).all()


def test_the_loss_is_the_baselines_error_and_its_gradient_moves_the_policy(tmp_path: Path) -> None:
    made = recipe(tmp_path)
    model = made.model()
    played = model(*made.inputs(batch_of(made, [5, 6])))
    loss = made.loss(played, None)
    gains = gained(played, 0.99, 0.99)
    assert loss.count == played.steps.counted.sum()
    assert loss.sum.item() == pytest.approx((gains**2).sum().item(), rel=1e-5)
    loss.backward()
    weights = (gains - gains.mean(0)) / (gains.std(0, correction=0) + 1e-6)
    log_probs = model(*made.inputs(batch_of(made, [5, 6]))).log_probs
    expected = torch.autograd.grad(-(weights * log_probs).sum(), model.policy.parameters())
    for parameter, gradient in zip(model.policy.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)


@pytest.mark.parametrize("name", ["CartPole-v1", "Pendulum-v1"])
def test_actions_come_as_often_as_the_policy_says(tmp_path: Path, name: str) -> None:
    model = recipe(tmp_path, f"recipe.environment={name}").model()
    seen = torch.zeros(4000, model.policy[0].in_features)
    chances = torch.rand(4000, 1, generator=torch.Generator().manual_seed(0))
    drawn, acting = model.chosen(seen, chances).float(), model.acting(seen)
    mean = acting.probs[0, 1] if model.discrete else acting.mean[0, 0]
    assert drawn.mean().item() == pytest.approx(mean.item(), abs=0.05)


def test_seeds_to_learn_from_are_new_with_every_seed_of_a_run(tmp_path: Path) -> None:
    made = recipe(tmp_path)
    torch.manual_seed(1)
    one = made.data("train")
    torch.manual_seed(2)
    assert one[0] != made.data("train")[0]
    assert one[1] == one[0] + 1
    assert set(made.data("valid")).isdisjoint(made.data("test"))
    assert max(made.data("test")) < one[0]


def test_an_environment_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        recipe(tmp_path, "recipe.environment=Cartpole-v1").model()
    assert "CartPole-v1" in caught.value.hint


def test_what_is_no_seed_is_refused(tmp_path: Path) -> None:
    made = recipe(tmp_path)
    with pytest.raises(DataError, match="expected a seed, found 'left'"):
        made.answer(made.model(), "left")


def test_files_are_refused(tmp_path: Path) -> None:
    made = load(FILE, replace(SMALL["agent"].plan("agent"), data=Data(train="a.txt")), tmp_path)
    with pytest.raises(ConfigError, match="reads no files"):
        made.data("train")


# ── long ones: -m slow ──


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_default_balances_the_pole(tmp_path: Path) -> None:
    told = train(shipped("recipe=agent"), tmp_path)
    assert told.one("summary")["values"]["test/return"] >= 475
