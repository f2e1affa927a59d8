"""Steps that are played: bit by bit those of autograd."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.engine.fused.test_equal import varied
from tests.engine.fused.trials import together
from turnaround.engine.fused import group
from turnaround.engine.fused.recorded import Found, differentiated, recorded, same


def losses(matrix: Tensor, batch: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Squares of a product, of each row."""
    sums = (matrix @ batch[0]).tanh().square().sum(1)
    return sums, torch.full_like(sums, batch[0].shape[1])


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def test_what_is_played_is_what_autograd_computes() -> None:
    matrix, batch = drawn(3, 4).requires_grad_(), [drawn(4, 5)]
    play = recorded(losses, matrix, batch)
    assert play is not None
    other, more = drawn(3, 4).mul(2).requires_grad_(), [drawn(4, 5).neg()]
    assert same(play(other, more), differentiated(losses, other, more))


def test_what_python_decides_by_numbers_is_not_recorded() -> None:
    def decided(matrix: Tensor, batch: list[Tensor]) -> tuple[Tensor, Tensor]:
        sums, counts = losses(matrix, batch)
        return (sums if sums.sum().item() > 0 else -sums), counts

    assert recorded(decided, drawn(3, 4).requires_grad_(), [drawn(4, 5)]) is None


def test_members_whose_steps_are_played_draw_the_same_curves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = together(varied("momentum"), tmp_path / "plain", size=5)
    kept: list[Any] = []

    def noted(*asked: Any) -> Any:
        kept.append(recorded(*asked))
        return kept[-1]

    monkeypatch.setattr(group, "FAR", 1)
    monkeypatch.setattr(group, "BRIEF", 9.0)
    monkeypatch.setattr(group, "recorded", noted)
    for told, other in zip(
        together(varied("momentum"), tmp_path / "p", size=5), plain, strict=True
    ):
        assert told.code == 0
        assert told.curve() == other.curve()
        assert told.curve("norm") == other.curve("norm")
    assert kept
    assert all(kept)


def test_a_loss_that_changes_by_itself_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other(*asked: Any) -> Any:
        play = recorded(*asked)
        assert play is not None

        def wrong(*given: Any) -> Found:
            sums, counts, gradients = play(*given)
            return sums, counts, 2 * gradients

        return wrong

    monkeypatch.setattr(group, "FAR", 1)
    monkeypatch.setattr(group, "BRIEF", 9.0)
    monkeypatch.setattr(group, "recorded", other)
    for told in together(varied("sgd"), tmp_path, size=5):
        assert told.code == 2
        assert "changes by itself" in told.one("error")["message"]
