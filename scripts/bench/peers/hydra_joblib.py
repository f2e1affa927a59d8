"""Short trials under Hydra's multirun, with the joblib launcher: processes that are used again.

python scripts/bench/peers/hydra_joblib.py -m hydra/launcher=joblib hydra.launcher.n_jobs=2 lr=1,2
"""

from __future__ import annotations

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import hydra
from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig
from short import train

ConfigStore.instance().store("short", {"lr": 0.001, "steps": 100})


@hydra.main(version_base="1.3", config_name="short", config_path=None)
def main(asked: DictConfig) -> float:
    """One trial."""
    return train(asked.lr, asked.steps)


if __name__ == "__main__":
    main()
