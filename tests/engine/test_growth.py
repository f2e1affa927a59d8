"""A batch that grows with the gradient noise scale, on a problem whose noise scale is known."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.engine.spread import saved
from tests.engine.test_resume import parameters, same
from tests.engine.trials import Gang, ddp, train, trial_plan
from turnaround.engine import growth
from turnaround.engine.growth import Grown, Growth
from turnaround.engine.noise import Norms
from turnaround.engine.pace import Progress
from turnaround.engine.report import EARLY
from turnaround.spec import (
    Budget,
    Data,
    Evaluate,
    Layout,
    Optim,
    Plan,
    Recipe,
    Tracking,
    Update,
)

WIDTH, NOISE = 100, 0.3  # 𝓑 = 101 + 9 / |e|², and |e| is 1 at first


def growing(steps: int = 160, grow: int = 8, noise: int = 1, **changes: Any) -> Plan:
    """Steps of SGD whose gradient becomes small against its noise."""
    plan = trial_plan(
        recipe=Recipe("regress", {"width": WIDTH, "noise": NOISE}),
        data=Data(batch=128, grow=grow),
        optim=Optim("sgd", lr=0.02),
        budget=Budget(steps=steps),
        evaluate=Evaluate(every=40),
        tracking=Tracking("none", noise=noise),
        **{"update": Update(accumulate=2), "precision": "fp64"} | changes,
    )
    return replace(plan, place=replace(plan.place, recipe_file="recipes/regress.py"))


def test_the_batch_grows_with_the_noise_scale_and_the_learning_rate_with_it(
    tmp_path: Path,
) -> None:
    told = train(growing(), tmp_path)
    assert told.code == 0, told.events[-1]
    sizes = list(told.curve("noise/batch").values())
    assert sizes == sorted(sizes)
    assert (sizes[0], sizes[-1]) == (128, 512)
    rates = told.curve("lr")
    assert rates[1] == 0.02
    assert 0.02 < rates[160] < 4 * 0.02
    assert told.one("summary")["examples"] > 160 * 128
    (said,) = [data["message"] for data in told.of("notice")]
    assert said.startswith("the batch grew from 128 to 512; by the noise scale alone always ")


def test_it_grows_no_further_than_it_may(tmp_path: Path) -> None:
    told = train(growing(grow=2), tmp_path)
    assert max(told.curve("noise/batch").values()) == 256


def test_a_batch_that_is_not_to_grow_says_nothing(tmp_path: Path) -> None:
    told = train(growing(20, grow=1), tmp_path)
    assert told.curve("noise/batch") == {}
    assert told.of("notice") == []


def test_one_that_was_interrupted_before_and_after_it_grew_ends_the_same(tmp_path: Path) -> None:
    whole = train(growing(), tmp_path / "whole")
    parts = [
        train(replace(growing(), until=until), tmp_path / "parts", attempt)
        for attempt, until in enumerate((45, 130, None), 1)
    ]
    looks = [part.curve("loss", "valid") for part in (parts[-1], whole)]
    assert looks[0][160] == looks[1][160]
    assert same(parameters(tmp_path / "whole", 160), parameters(tmp_path / "parts", 160))
    states = [saved(tmp_path / home, 160)[1]["progress"] for home in ("whole", "parts")]
    for name in ("times", "gain", "recent", "growth", "examples"):
        assert states[0][name] == states[1][name]
    assert states[0]["times"] == 4


def test_all_ranks_agree_on_when_it_grows(tmp_path: Path) -> None:
    told, other = Gang(growing(layout=ddp(), update=Update()), tmp_path).wait()
    assert (told.code, other.code) == (0, 0)
    assert max(told.curve("noise/batch").values()) > 128


def test_a_batch_that_has_grown_is_the_same_on_two_devices(tmp_path: Path) -> None:
    train(growing(150), tmp_path / "one")
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    deaf = growing(180, noise=10**6)  # what layouts hear differs, so that nothing is decided here
    one = train(deaf, tmp_path / "one", attempt=2)
    spread = replace(deaf, layout=ddp(), update=Update())
    two, _ = Gang(spread, tmp_path / "two", attempt=2).wait()
    assert (one.code, two.code) == (0, 0)
    assert min(one.curve()) == 151
    tensors, others = (saved(tmp_path / home, 180)[0] for home in ("one", "two"))
    assert tensors.keys() == others.keys()
    for name, tensor in tensors.items():  # not the curve, whose points are told by the clock
        torch.testing.assert_close(others[name], tensor, rtol=1e-9, atol=1e-9)
    assert one.one("summary")["examples"] == two.one("summary")["examples"]


@pytest.mark.slow
def test_layouts_that_hear_the_same_grow_at_the_same_steps(tmp_path: Path) -> None:
    whole, _ = Gang(growing(layout=ddp(), update=Update()), tmp_path / "ddp").wait()
    cut = growing(layout=Layout("fsdp", shard=2), update=Update())
    parts, _ = Gang(cut, tmp_path / "fsdp").wait()
    assert parts.curve("noise/batch") == whole.curve("noise/batch")
    early = [
        {step: loss for step, loss in told.curve().items() if step <= EARLY}
        for told in (whole, parts)  # which later steps are points is told by the clock
    ]
    assert len(early[0]) == EARLY
    assert early[1] == pytest.approx(early[0], rel=1e-6)
    tensors, others = (saved(tmp_path / home, 160)[0] for home in ("ddp", "fsdp"))
    assert tensors.keys() == others.keys()
    for name, tensor in tensors.items():
        torch.testing.assert_close(others[name], tensor, rtol=1e-5, atol=1e-6)


# ── what is decided ──


def measured(scale: float) -> Norms:
    """Norms that come to that noise scale, with |G|² = 1."""
    return Norms(1 + scale / 64, 1 + scale / 128, 64, 128)


def decided(*scales: float, optimizer: str = "sgd", grow: int = 64) -> Progress:
    """After some steps at each of these noise scales, every one measured without error."""
    plan = replace(growing(grow=grow), optim=Optim(optimizer))  # type: ignore[arg-type]  # a name
    now, grower = Progress(40, 40 * 128), Growth(plan, lambda now, values: None)
    for scale in scales:
        for _ in range(growth.LEAST):
            now.step += 1
            now.examples += 128 * now.times
            grower.take(now, measured(scale))
    return now


def test_the_batch_goes_with_the_root_of_the_scale() -> None:
    assert [decided(100, 100 * grew).times for grew in (1, 1.9, 2.1, 4, 16, 60)] == [
        1,
        1,
        2,
        2,
        4,
        8,
    ]
    assert decided(100, 1600, grow=3).times == 3
    assert decided(100, 1600, 100).times == 4


def test_the_learning_rate_follows_the_rule_of_the_optimizer() -> None:
    whole = (1 + 1600 / 128) / (1 + 1600 / 512)
    assert decided(100, 1600).gain == pytest.approx(whole)
    adapted = (1 + 3200 / 128) / (1 + 3200 / 512)  # of twice the noise scale: see front.py
    assert decided(100, 1600, optimizer="adam").gain == pytest.approx(math.sqrt(adapted))
    assert decided(100).gain == 1


def passed(grown: Grown, scale: int, batch: int) -> None:
    """A hundred steps more."""
    grown.count(scale, Progress(int(grown.steps) + 100, int(grown.examples) + 100 * batch))


def test_what_growing_saved_is_told_against_one_batch_of_as_many_examples() -> None:
    grown = Grown()
    for scale, batch in ((50, 50), (5000, 500)):  # both on the curve of r = 50
        passed(grown, scale, batch)
    constant, steps = grown.constant
    assert 50 < constant < 500
    assert constant * steps == pytest.approx(grown.examples)
    assert steps > grown.steps
    useful = 100 / (1 + 1) + 100 / (1 + 10)
    assert grown.useful == pytest.approx(useful)
    assert steps == pytest.approx(useful + grown.noise / constant)


def test_one_batch_all_along_saves_nothing() -> None:
    grown = Grown()
    for scale in (50, 300):
        passed(grown, scale, 64)
    assert grown.constant == pytest.approx((64, 200))
