"""Eight emulated devices, one of them slow, on their way to a target: who is there first?"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.trials import Gang, Told, ddp, trial_plan
from turnaround.spec import Budget, Cluster, Data, Evaluate, Optim, Plan, Recipe, Update

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
EIGHT = Update("async", groups=8)


def race(update: Update, **changes: object) -> Plan:
    """Steps of 0.1 s of sleep, so that the number of cores decides nothing; rank 3 takes 1 s."""
    recipe = Recipe("digits", {"pause": 0.1, "slow": 3, "examples": 960})
    budget = Budget(steps=3000, target=0.25)
    fixed = {
        "recipe": recipe,
        "budget": budget,
        "data": Data(batch=16),
        "evaluate": Evaluate(every=5, score="loss"),
        "optim": Optim("adagrad", lr=0.1),
        "cluster": Cluster(device="cpu", threads=1),
    }
    return trial_plan(update=update, **fixed | changes)


def summary(told: Told) -> dict[str, object]:
    assert told.code == 0, told.events[-1]
    return told.one("summary")


def test_asynchronous_replicas_do_not_wait_for_a_slow_one_or_a_dead_one(tmp_path: Path) -> None:
    everybody = race(Update(), layout=ddp(8))
    sync = summary(Gang(everybody, tmp_path / "sync").wait()[0])
    gang = Gang(race(EIGHT), tmp_path / "async")
    third = int(str(sync["steps"])) // 3
    gang.until(lambda told: any(step >= third for step in told.curve()))
    gang.ranks[5].kill()
    told = gang.wait()
    free = summary(told[0])
    assert sync["stopped"] == free["stopped"] == "budget.target"
    assert told[5].code == -9
    staleness = told[0].curve("update/staleness")
    print({"sync": sync, "async": free, "staleness": list(staleness.values())[-1]})
    assert list(staleness.values())[-1] > 2
    assert float(str(free["seconds"])) < float(str(sync["seconds"])) / 2
