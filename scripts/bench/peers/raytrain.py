"""The same script under Ray Train, on a head of its own.

python scripts/bench/peers/raytrain.py FILE RANKS
"""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

import ray
from ray.train import RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer


def step(asked: dict[str, str]) -> None:
    """On a worker: Ray Train has joined the group already."""
    import torch.distributed

    os.environ["BENCH_CACHE"] = asked["cache"]
    torch.distributed.init_process_group = lambda *_: None  # type: ignore[assignment]  # joined
    torch.distributed.destroy_process_group = lambda *_: None  # type: ignore[assignment]  # its own
    sys.argv = ["plain.py", asked["file"]]
    runpy.run_path(asked["script"], run_name="__main__")


def main() -> None:
    """One fit."""
    file, ranks = sys.argv[1], int(sys.argv[2])
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    script = str(Path(__file__).with_name("plain.py"))
    asked = {"file": file, "script": script, "cache": os.environ["BENCH_CACHE"]}
    place = RunConfig(storage_path=str(Path(file).parent))
    TorchTrainer(
        step,
        train_loop_config=asked,
        scaling_config=ScalingConfig(num_workers=ranks),
        run_config=place,
    ).fit()


if __name__ == "__main__":
    main()
