"""A search under Ray Tune with asynchronous successive halving, its loggers off.

python scripts/bench/peers/tune_search.py ASKED [checkpoints] [reuse]

Tune's ASHA never pauses a trial: it stops it at a rung or lets it go on. `checkpoints` keeps what
would be needed to go on, at every look, as ours does at every rung; `reuse` keeps actors.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile

sys.path.insert(0, os.path.dirname(__file__))
os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
os.environ["PYTHONPATH"] = os.path.dirname(os.path.abspath(__file__))

import ray
from digits import EPOCHS, ETA, LOOK, note, train
from ray import tune
from ray.tune.schedulers import ASHAScheduler


def trial(config: dict) -> None:
    """One, in an actor of Tune's."""

    def told(epoch: int, accuracy: float, state: dict) -> bool:
        note(config["log"], config["point"]["number"], epoch, accuracy)
        values = {"accuracy": accuracy, "epoch": epoch}
        if config["checkpoints"]:
            import torch

            with tempfile.TemporaryDirectory() as folder:
                torch.save(state, os.path.join(folder, "state.pt"))
                tune.report(values, checkpoint=tune.Checkpoint.from_directory(folder))
        else:
            tune.report(values)
        return True

    train(config["point"], config["file"], told)


class Reached(tune.Stopper):
    """The search is over once somebody has got there."""

    def __init__(self, target: float) -> None:
        self._target, self._there = target, False

    def __call__(self, trial_id: str, result: dict) -> bool:
        self._there = self._there or result["accuracy"] >= self._target
        return False

    def stop_all(self) -> bool:
        return self._there


def main() -> None:
    """One search on a Ray of its own."""
    with open(sys.argv[1]) as file:
        asked = json.load(file)
    ray.init(num_cpus=asked["concurrent"], include_dashboard=False, log_to_driver=False)
    points = [{"number": number, **point} for number, point in enumerate(asked["points"])]
    fixed = {"file": asked["file"], "log": asked["log"], "checkpoints": "checkpoints" in sys.argv}
    space = {"point": tune.grid_search(points), **fixed}
    rungs = {"max_t": EPOCHS, "grace_period": LOOK, "reduction_factor": ETA}
    halving = ASHAScheduler("epoch", "accuracy", "max", **rungs)
    target = asked["target"] if asked["stops"] else 2.0
    with tempfile.TemporaryDirectory() as folder:
        how = tune.TuneConfig(
            scheduler=halving,
            max_concurrent_trials=asked["concurrent"],
            reuse_actors="reuse" in sys.argv,
        )
        place = tune.RunConfig(storage_path=folder, verbose=0, stop=Reached(target))
        found = tune.Tuner(trial, param_space=space, tune_config=how, run_config=place).fit()
    assert asked["stops"] or not found.errors  # one that was stopped early has told nothing
    ray.shutdown()


if __name__ == "__main__":
    main()
