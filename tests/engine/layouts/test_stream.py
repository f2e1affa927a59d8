"""Between the layers that are cut, each rank has some of the places."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.testing._internal.distributed.fake_pg import FakeStore

from tests.engine.layouts.test_tensor import model, recipe
from tests.engine.spread import plan_for
from tests.engine.test_equal import CLIPPED, agree
from tests.engine.trials import Gang, train
from turnaround.engine.layouts import stream
from turnaround.engine.layouts.tensor import matching, resolve
from turnaround.engine.world import World
from turnaround.errors import ConfigError
from turnaround.spec import Data, Layout, Recipe, Update

CUTS = {"blocks.*.up": "column", "blocks.*.down": "row"}
ALONG = Layout("tensor", tensor=2, sequence=True)


def styled(of: nn.Module, stretch: list[str]) -> dict[str, str]:
    kinds = dict(resolve(recipe(CUTS), of))
    return {name: str(style) for name, style in stream.styles(of, stretch, kinds).items()}


def test_what_is_not_in_the_table_is_done_place_by_place() -> None:
    styles = styled(model(), ["blocks.0", "blocks.1"])
    assert styles.keys() == {
        f"blocks.{i}.{name}" for i in (0, 1) for name in ("up", "down", "norm")
    }
    assert styles["blocks.0.norm"].startswith("SequenceParallel")
    assert "Shard(dim=1)" in styles["blocks.0.up"]


def test_a_stream_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match="recipe Text names no stream") as caught:
        stream.found(matching("", ["", "blocks"]), "Text")
    assert 'write in class Text: stream = "blocks"' in str(caught.value)
    with pytest.raises(ConfigError, match=r"blocks\.1\.up is in the table of cuts, not in the str"):
        styled(model(), ["blocks.0"])
    odd = model()
    odd.get_submodule("blocks.1").register_parameter("gain", nn.Parameter())
    with pytest.raises(ConfigError, match=r"blocks\.1 has parameters beside those of its layers"):
        styled(odd, ["blocks.0", "blocks.1"])


class Drawing(nn.Module):
    """Keeps what it draws."""

    def forward(self, stream: Tensor) -> Tensor:
        self.drawn = torch.rand(()).item()
        return stream


def drawn(rank: int) -> list[float]:
    """Before, in and after the stream, by one of two ranks; nothing is sent."""
    dist.init_process_group("fake", store=FakeStore(), rank=rank, world_size=2)
    try:
        world, parts = World(torch.device("cpu")), [Drawing() for _ in range(3)]
        stream.flow(parts[1], parts[1], DeviceMesh("cpu", [0, 1]), world.seed)
        world.seed(7)
        nn.Sequential(*parts)(torch.zeros(1, 4, 2))
        return [part.drawn for part in parts]
    finally:
        dist.destroy_process_group()


def test_only_what_is_drawn_in_the_stream_differs_by_rank() -> None:
    one, two = drawn(0), drawn(1)
    assert [a == b for a, b in zip(one, two, strict=True)] == [True, False, True]
    assert len({*one, *two}) == 4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("precision", "tolerance"), [("fp64", 1e-9), ("fp32", 1e-6)], ids=["fp64", "fp32"]
)
@pytest.mark.parametrize("accumulate", [1, 2])
def test_places_in_parts_draw_the_curve_of_one_device(
    accumulate: int, precision: Any, tolerance: float, tmp_path: Path
) -> None:
    plan = plan_for("tensor", **CLIPPED | {"precision": precision})
    spread = replace(plan, layout=ALONG, update=Update(accumulate=accumulate))
    two, *_ = Gang(spread, tmp_path / "two").wait()
    agree(train(plan, tmp_path / "one"), two, tolerance)


@pytest.mark.slow
@pytest.mark.parametrize(
    "spread",
    [
        replace(ALONG, shard=2),
        replace(ALONG, activation_checkpointing=True),
    ],
    ids=["shard", "forgetful"],
)
def test_products_of_it_do_so_too(spread: Layout, tmp_path: Path) -> None:
    plan = plan_for("tensor", data=Data(batch=16), **CLIPPED)
    many, *_ = Gang(replace(plan, layout=spread), tmp_path / "many").wait()
    agree(train(plan, tmp_path / "one"), many, 1e-9)


@pytest.mark.slow
def test_rows_that_the_degree_does_not_divide_are_refused(tmp_path: Path) -> None:
    plan = replace(plan_for("tensor"), recipe=Recipe("tower", {"length": 5}), layout=ALONG)
    two, *_ = Gang(plan, tmp_path).wait()
    assert two.code == 2
    assert two.one("error")["message"].startswith(
        "layout.sequence=true cuts (batch, length, width) in 2, and got (3, 5, 8)"
    )
