"""Short trials under Ray Tune, its loggers off.

python scripts/bench/peers/tune.py TRIALS STEPS CONCURRENT plain|reuse
"""

from __future__ import annotations

import os
import sys
import tempfile

sys.path.insert(0, os.path.dirname(__file__))
os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
os.environ["PYTHONPATH"] = os.path.dirname(os.path.abspath(__file__))

import ray
from ray import tune
from short import rates, train


def trial(config: dict[str, float]) -> None:
    """One, in an actor of Tune's."""
    tune.report({"loss": train(config["lr"], int(config["steps"]))})


def main() -> None:
    """One sweep on a Ray of its own."""
    trials, steps, concurrent = map(int, sys.argv[1:4])
    ray.init(num_cpus=concurrent, include_dashboard=False, log_to_driver=False)
    space = {"lr": tune.grid_search(rates(trials)), "steps": steps}
    with tempfile.TemporaryDirectory() as folder:
        asked = tune.TuneConfig(max_concurrent_trials=concurrent, reuse_actors="reuse" in sys.argv)
        place = tune.RunConfig(storage_path=folder, verbose=0)
        found = tune.Tuner(trial, param_space=space, tune_config=asked, run_config=place).fit()
    assert len(found) == trials
    assert not found.errors
    ray.shutdown()


if __name__ == "__main__":
    main()
