"""Short trials under Optuna: some processes that share a journal file, each one trial at a time.

python scripts/bench/peers/optuna_short.py TRIALS STEPS PROCESSES
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))


def work(file: str, trials: int, steps: int) -> None:
    """Trials until all of them were begun, by this process or another."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend
    from optuna.study import MaxTrialsCallback
    from short import rates, train

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(file)),
        study_name="short",
        sampler=optuna.samplers.RandomSampler(seed=os.getpid()),
        load_if_exists=True,
    )

    def trial(asked: optuna.Trial) -> float:
        return train(asked.suggest_categorical("lr", rates(trials)), steps)

    study.optimize(trial, callbacks=[MaxTrialsCallback(trials, states=None)])


def main() -> None:
    """One sweep."""
    trials, steps, processes = map(int, sys.argv[1:4])
    if len(sys.argv) > 4:
        work(sys.argv[4], trials, steps)
        return
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, __file__, *sys.argv[1:4], f"{folder}/journal"]
        ranks = [subprocess.Popen(words) for _ in range(processes)]
        if any([rank.wait() for rank in ranks]):
            sys.exit(1)


if __name__ == "__main__":
    main()
