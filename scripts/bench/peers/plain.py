"""The peer of every bench: the same recipe in a plain training script, alone or under torchrun.

python scripts/bench/peers/plain.py FILE          # writes the time of the first optimizer step
torchrun --nproc-per-node 2 scripts/bench/peers/plain.py FILE
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import torch

from turnaround.engine.recipe import Recipe, load
from turnaround.spec import Data
from turnaround.spec import Recipe as Named

ROOT = Path(__file__).parents[3]


class Asked:
    """As much of a Plan as a recipe needs."""

    recipe = Named("seq2seq")
    data = Data()


def seq2seq(cache: Path) -> Recipe[object]:
    """The shipped recipe with its defaults, loaded as anybody could."""
    cache.mkdir(parents=True, exist_ok=True)
    return load(ROOT / "recipes" / "seq2seq.py", Asked(), cache)  # type: ignore[arg-type]  # enough


def main() -> None:
    """One optimizer step, and when it was."""
    torch.set_num_threads(1)
    ranks = int(os.environ.get("WORLD_SIZE", "1"))
    if ranks > 1:
        torch.distributed.init_process_group("gloo")
    recipe = seq2seq(Path(os.environ["BENCH_CACHE"]))
    train = recipe.data("train")
    model = recipe.model()
    wrapped = torch.nn.parallel.DistributedDataParallel(model) if ranks > 1 else model
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    batch = recipe.collate([train[i] for i in range(64)])
    loss = recipe.loss(wrapped(*recipe.inputs(batch)), batch)
    (loss.sum / loss.count).backward()
    optimizer.step()
    Path(sys.argv[1]).write_text(str(time.time()))
    if ranks > 1:
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
