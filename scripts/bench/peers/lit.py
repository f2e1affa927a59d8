"""The same recipe under Lightning.

python scripts/bench/peers/lit.py FILE RANKS
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import lightning
import torch
from plain import seq2seq


class Lit(lightning.LightningModule):
    """The recipe's model and loss."""

    def __init__(self, recipe: Any, file: str) -> None:
        super().__init__()
        self.recipe = recipe
        self.inner = recipe.model()
        self.file = file

    def training_step(self, batch: Any, number: int) -> torch.Tensor:
        """Mean loss of a batch."""
        loss = self.recipe.loss(self.inner(*self.recipe.inputs(batch)), batch)
        return loss.sum / loss.count

    def transfer_batch_to_device(self, batch: Any, device: Any, dataloader_idx: int) -> Any:
        """It is there already; Lightning's own way refuses frozen data classes."""
        return batch

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """As in the recipe's defaults."""
        return torch.optim.Adam(self.parameters(), lr=5e-3)

    def on_train_batch_end(self, *_: Any) -> None:
        """After the first optimizer step."""
        if self.global_rank == 0:
            Path(self.file).write_text(str(time.time()))


def main() -> None:
    """One step of fit."""
    torch.set_num_threads(1)
    file, ranks = sys.argv[1], int(sys.argv[2])
    recipe = seq2seq(Path(os.environ["BENCH_CACHE"]))
    examples = recipe.data("train")[:64]
    loader = torch.utils.data.DataLoader(
        examples, batch_size=64 // ranks, collate_fn=recipe.collate
    )
    trainer = lightning.Trainer(
        accelerator="cpu",
        devices=ranks,
        max_steps=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Lit(recipe, file), loader)


if __name__ == "__main__":
    main()
