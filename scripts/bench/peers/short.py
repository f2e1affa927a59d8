"""The short trial of scripts/bench/sweep_short in plain torch: what every peer runs.

python scripts/bench/peers/short.py TRIALS STEPS      # one after another in this process; seconds
"""

from __future__ import annotations

import sys
import time

SYMBOLS, WIDTH, LENGTH, EXAMPLES, BATCH = 64, 64, 32, 1024, 64


def rates(trials: int) -> list[float]:
    """The learning rates that are tried."""
    return [round(1e-3 * 1.1**n, 8) for n in range(trials)]


def train(lr: float, steps: int) -> float:
    """The last loss of a small LSTM after so many steps of Adam; imports count as everywhere."""
    import torch
    from torch import nn
    from torch.nn.functional import cross_entropy

    torch.set_num_threads(1)
    torch.manual_seed(0)
    begin = torch.randint(SYMBOLS, (EXAMPLES, 1))
    rows = (begin + torch.randint(1, 5, begin.shape) * torch.arange(LENGTH + 1)) % SYMBOLS
    embed, out = nn.Embedding(SYMBOLS, WIDTH), nn.Linear(WIDTH, SYMBOLS)
    lstm = nn.LSTM(WIDTH, WIDTH, batch_first=True)
    parts = [*embed.parameters(), *lstm.parameters(), *out.parameters()]
    optimizer = torch.optim.Adam(parts, lr, fused=True)
    loss = torch.zeros(())
    for _ in range(steps):
        batch = rows[torch.randint(EXAMPLES, (BATCH,))]
        logits = out(lstm(embed(batch[:, :-1]))[0])
        loss = cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


def main() -> None:
    """Seconds of compute, without the first trial's imports."""
    trials, steps = int(sys.argv[1]), int(sys.argv[2])
    train(1e-3, 2)
    began = time.perf_counter()
    for lr in rates(trials):
        train(lr, steps)
    print(time.perf_counter() - began)


if __name__ == "__main__":
    main()
