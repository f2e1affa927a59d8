"""The trial of scripts/bench/search in plain torch: a perceptron on scikit-learn's digits.

python scripts/bench/peers/digits.py write FILE     # 1,088 digits to train on, 400 valid, 309 test
python scripts/bench/peers/digits.py time FILE      # seconds of processor that an epoch takes
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

EPOCHS, LOOK, BATCH, WIDTH, ETA = 81, 3, 16, 32, 3  # at most; between looks
SPLITS = {"train": 1088, "valid": 400, "test": 309}
Point = dict[str, float]


def write(file: str) -> None:
    """The digits, in an order of their own."""
    import numpy as np
    from sklearn.datasets import load_digits

    values, kinds = load_digits(return_X_y=True)
    order, begin, found = np.random.default_rng(0).permutation(len(values)), 0, {}
    for split, count in SPLITS.items():
        rows = order[begin : begin + count]
        found |= {split: (values[rows] / 16).astype("float32"), f"{split}_kinds": kinds[rows]}
        begin += count
    np.savez(file, **found)


def train(
    point: Point, file: str, told: Callable[[int, float, Any], bool], epochs: int = EPOCHS
) -> None:
    """Epochs of gradient descent; every few of them `told` hears epoch, accuracy and the state,
    and says whether to go on."""
    import numpy as np
    import torch
    from torch import nn
    from torch.nn.functional import cross_entropy

    torch.set_num_threads(1)
    torch.manual_seed(0)
    with np.load(file) as data:
        x, y, valid, kinds = (torch.tensor(data[name]) for name in NAMES)
    model = nn.Sequential(nn.Linear(64, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 10))
    optimizer = torch.optim.SGD(
        model.parameters(), point["lr"], point["momentum"], 0, point["weight_decay"], fused=True
    )
    for epoch in range(1, epochs + 1):
        for chosen in torch.randperm(len(x)).split(BATCH):
            loss = cross_entropy(model(x[chosen]), y[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if epoch % LOOK == 0:
            with torch.no_grad():
                accuracy = (model(valid).argmax(1) == kinds).float().mean().item()
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
            if not told(epoch, accuracy, state):
                return


NAMES = ("train", "train_kinds", "valid", "valid_kinds")


def note(file: str, number: int, epoch: int, accuracy: float) -> None:
    """A line for scripts/bench/search: who has come how far, and when."""
    with open(file, "a") as log:
        log.write(json.dumps([time.time(), number, epoch, accuracy]) + "\n")


def main() -> None:
    if sys.argv[1] == "write":
        write(sys.argv[2])
        return
    point = {"lr": 0.1, "momentum": 0.5, "weight_decay": 1e-4}
    train(point, sys.argv[2], lambda *told: True, LOOK)
    began = time.process_time()
    train(point, sys.argv[2], lambda *told: True, 10 * LOOK)
    print((time.process_time() - began) / (10 * LOOK))


if __name__ == "__main__":
    main()
