"""N steps, save, restore, N more equals 2N; and so does what was killed in between."""

from __future__ import annotations

import json
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.engine.trials import Gang, Told, ddp, train, trial_of, trial_plan
from turnaround.spec import Budget, Checkpoint, Data, Evaluate, Optim, Plan, Recipe

STOPPED = 75


def dropping(**changes: object) -> Plan:
    """A plan with everything that a careless resume would lose: dropout, momenta, buckets."""
    plan = trial_plan(
        recipe=Recipe("digits", {"dropout": 0.3}),
        data=Data(batch=10, bucket=3),
        optim=Optim("adam", lr=0.01, schedule="inverse_sqrt", warmup=10, clip=1.0),
        checkpoint=Checkpoint(every=10),
    )
    return replace(plan, **changes)  # type: ignore[arg-type]  # fields by name


def interrupted(plan: Plan, number: int, after: int, **more: object) -> Plan:
    """A rank of it sends itself a signal after so many of its batches."""
    knobs = {**plan.recipe.knobs, "signal": number, "after": after, **more}
    return replace(plan, recipe=Recipe(plan.recipe.name, knobs))  # type: ignore[arg-type]  # knobs by name


def parameters(home: Path, step: int) -> dict[str, torch.Tensor]:
    """Everything that was saved at a step."""
    folder = home / "runs" / "digits-22222" / "checkpoints" / f"step-{step:08d}"
    return load_file(folder / "tensors.safetensors")


def same(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    """Bit for bit."""
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def joined(*attempts: Told) -> dict[int, float]:
    """The loss curve of several attempts, later ones counting."""
    return {step: loss for told in attempts for step, loss in told.curve().items()}


def test_n_steps_and_n_more_are_two_n_steps_bit_for_bit(tmp_path: Path) -> None:
    whole = train(dropping(), tmp_path / "whole")
    first = train(dropping(budget=Budget(steps=20)), tmp_path / "halves")
    second = train(dropping(), tmp_path / "halves", attempt=2)
    assert min(second.curve()) == 21
    assert joined(first, second) == whole.curve()
    assert same(parameters(tmp_path / "whole", 40), parameters(tmp_path / "halves", 40))
    assert second.one("summary")["values"] == whole.one("summary")["values"]


@pytest.mark.parametrize("name", ["momentum", "adam", "adagrad"])
def test_so_they_are_where_parameters_do_not_lie_row_by_row(name: Any, tmp_path: Path) -> None:
    plan = trial_of("turned", optim=Optim(name, lr=0.05), checkpoint=Checkpoint(every=10))
    whole = train(plan, tmp_path / "whole")
    first = train(replace(plan, budget=Budget(steps=20)), tmp_path / "halves")
    second = train(plan, tmp_path / "halves", attempt=2)
    assert joined(first, second) == whole.curve()
    assert same(parameters(tmp_path / "whole", 40), parameters(tmp_path / "halves", 40))


def test_a_killed_run_repeats_the_steps_since_its_checkpoint_and_ends_the_same(
    tmp_path: Path,
) -> None:
    whole = train(dropping(), tmp_path / "whole")
    (first,) = Gang(interrupted(dropping(), signal.SIGKILL, 25), tmp_path / "killed").wait()
    assert first.code == -signal.SIGKILL
    second = train(dropping(), tmp_path / "killed", attempt=2)
    assert min(second.curve()) == 21
    assert joined(first, second) == whole.curve()
    assert same(parameters(tmp_path / "whole", 40), parameters(tmp_path / "killed", 40))


def test_the_best_of_a_killed_attempt_is_not_judged_beside_another_models_scores(
    tmp_path: Path,
) -> None:
    plan = dropping(budget=Budget(steps=20))
    first = train(plan, tmp_path)
    folder = tmp_path / "runs" / "digits-22222" / "checkpoints"
    shutil.copytree(folder / "step-00000010", folder / "best-00000025")  # as if it had gone on
    worse = Optim("sgd", lr=100.0)
    second = train(replace(plan, budget=Budget(steps=40), optim=worse), tmp_path, attempt=2)
    assert second.one("summary")["steps"] == 40
    assert second.one("summary")["values"] == first.one("summary")["values"]


def test_a_gang_that_lost_a_rank_goes_on_to_the_same_end(tmp_path: Path) -> None:
    plan = dropping(layout=ddp(2), precision="fp64")
    whole, _ = Gang(plan, tmp_path / "whole").wait()
    lost = interrupted(plan, signal.SIGKILL, 25, whose=1)
    first, _ = Gang(lost, tmp_path / "killed").wait()
    assert first.code == 3
    assert first.one("error")["message"].startswith("another rank was lost")
    second, _ = Gang(plan, tmp_path / "killed", attempt=2).wait()
    assert min(second.curve()) == 21
    assert joined(first, second) == pytest.approx(whole.curve(), rel=1e-9)


def test_a_run_goes_on_on_another_number_of_devices(tmp_path: Path) -> None:
    plan = dropping(precision="fp64", recipe=Recipe("digits", {}))
    whole = train(plan, tmp_path / "whole")
    Gang(replace(plan, layout=ddp(2), budget=Budget(steps=20)), tmp_path / "shrunk").wait()
    second = train(plan, tmp_path / "shrunk", attempt=2)
    assert min(second.curve()) == 21
    last = {step: loss for step, loss in whole.curve().items() if step > 20}
    assert second.curve() == pytest.approx(last, rel=1e-9)


def test_a_stopped_run_saves_after_its_step_and_ends_the_same(tmp_path: Path) -> None:
    whole = train(dropping(), tmp_path / "whole")
    (first,) = Gang(interrupted(dropping(), signal.SIGTERM, 15), tmp_path / "stopped").wait()
    assert first.code == STOPPED
    step = max(first.curve())
    assert 15 <= step < 40
    assert first.one("notice")["message"] == f"stopped after step {step}"
    assert first.of("checkpoint")[-1]["step"] == step
    second = train(dropping(), tmp_path / "stopped", attempt=2)
    assert min(second.curve()) == step + 1
    assert joined(first, second) == whole.curve()
    assert second.one("summary")["values"] == whole.one("summary")["values"]


def test_all_ranks_of_a_gang_stop_after_the_same_step(tmp_path: Path) -> None:
    stopped = Gang(interrupted(dropping(layout=ddp(2)), signal.SIGTERM, 15, whose=1), tmp_path)
    assert [told.code for told in stopped.wait()] == [STOPPED, STOPPED]


def test_an_evaluation_that_a_stop_cut_short_is_made_up_for(tmp_path: Path) -> None:
    looks = Evaluate(every=20, score="right")
    plan = dropping(evaluate=looks, checkpoint=Checkpoint(), data=Data(batch=2))
    whole = train(plan, tmp_path / "whole")
    stopped = interrupted(plan, signal.SIGTERM, 20, judging=True)
    (first,) = Gang(stopped, tmp_path / "stopped").wait()
    assert (first.code, first.of("checkpoint")[-1]["step"]) == (STOPPED, 20)
    assert first.curve("loss", "valid") == {}
    second = train(plan, tmp_path / "stopped", attempt=2)
    assert second.curve("right", "valid") == whole.curve("right", "valid")


def test_a_checkpoint_holds_no_more_than_json_and_tensors(tmp_path: Path) -> None:
    train(dropping(), tmp_path)
    folder = tmp_path / "runs" / "digits-22222" / "checkpoints"
    assert sorted(path.name for path in folder.iterdir())[-2:] == ["step-00000030", "step-00000040"]
    files = sorted(path.name for path in (folder / "step-00000040").iterdir())
    assert files == ["manifest.json", "state.json", "tensors.safetensors"]
    state = json.loads((folder / "step-00000040" / "state.json").read_text())
    assert state["progress"]["examples"] == 400
    assert state["optimizer"]["out.bias"]["exp_avg"] == "tensor:/optimizer/out.bias/exp_avg"
