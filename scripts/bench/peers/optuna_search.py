"""A search under Optuna with Hyperband, in some processes that share a database of sqlite.

python scripts/bench/peers/optuna_search.py ASKED
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from digits import EPOCHS, ETA, LOOK, note, train

LOGARITHMIC = {"lr", "weight_decay"}


def work(asked: dict, storage: str) -> None:
    """Trials until all of them were begun, by this process or another."""
    import optuna
    from optuna.study import MaxTrialsCallback

    optuna.logging.set_verbosity(optuna.logging.WARNING)

    class Listed(optuna.samplers.RandomSampler):
        """The settings that everybody tries, by number."""

        def sample_independent(self, study, trial, name, distribution):
            return asked["points"][min(trial.number, len(asked["points"]) - 1)][name]

    study = optuna.create_study(
        storage=storage,
        study_name="search",
        direction="maximize",
        sampler=Listed(),
        pruner=optuna.pruners.HyperbandPruner(LOOK, EPOCHS, ETA),
        load_if_exists=True,
    )
    there = asked["log"] + ".reached"

    def trial(given: optuna.Trial) -> float:
        ends = asked["space"].items()
        point = {n: given.suggest_float(n, *e, log=n in LOGARITHMIC) for n, e in ends}
        scores = [0.0]

        def told(epoch: int, accuracy: float, state: dict) -> bool:
            note(asked["log"], given.number, epoch, accuracy)
            scores.append(accuracy)
            given.report(accuracy, epoch)
            if asked["stops"] and accuracy >= asked["target"]:
                open(there, "w").close()
            if os.path.exists(there):
                study.stop()
                return False
            if given.should_prune():
                raise optuna.TrialPruned
            return True

        train(point, asked["file"], told)
        return max(scores)

    study.optimize(trial, callbacks=[MaxTrialsCallback(len(asked["points"]), states=None)])


def main() -> None:
    """One search."""
    with open(sys.argv[1]) as file:
        asked = json.load(file)
    if len(sys.argv) > 2:
        work(asked, sys.argv[2])
        return
    import optuna

    with tempfile.TemporaryDirectory() as folder:
        storage = f"sqlite:///{folder}/study.db"
        optuna.create_study(storage=storage, study_name="search", direction="maximize")
        words = [sys.executable, __file__, sys.argv[1], storage]
        ranks = [subprocess.Popen(words) for _ in range(asked["concurrent"])]
        if any([rank.wait() for rank in ranks]):
            sys.exit(1)


if __name__ == "__main__":
    main()
