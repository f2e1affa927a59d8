"""Logistic regression on the whole batch: the hello world of the shelf.

Every step sees all examples, so that the answer is the one minimum of a convex loss: scikit-learn's
`LogisticRegression(C=recipe.c)` on standardized features finds the same coefficients to 1e-3.

    turnaround run recipe=linear
    turnaround run recipe=linear data.path=rows.csv    # or libsvm; see recipe.label
    turnaround run recipe=linear optim=momentum optim.lr=1 budget.steps=200 layout=ddp

Data: 1,000 generated examples of a known rule; or rows of numbers and a label, CSV or libsvm.
Expect: a loss of 0.399 nats on unseen ones; who knew the rule has 0.396.
Time: a second on one CPU core, 5 steps of L-BFGS.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad

from turnaround.corpora import splits, table
from turnaround.corpora.table import Table
from turnaround.engine import Mean, Recipe, Samples, Tally
from turnaround.errors import DataError
from turnaround.spec import Amount, Count


@dataclass(frozen=True)
class Config:
    """Knobs; `examples` and `features` are of the generated data."""

    examples: Count = 1000  # in each split
    features: Count = 10
    c: Amount = 1.0  # inverse strength of the penalty, as scikit-learn has it: on the summed loss
    standardize: bool = True  # features, by the mean and deviation of the training examples
    label: str | None = None  # the column of a CSV file that is to be told; none: the last


Batch = tuple[Tensor, Tensor]  # features (batch, features), classes (batch)
Output = tuple[Tensor, Tensor]  # logits (batch, classes), the penalty for each training example


class Logistic(nn.Module):
    mean: Tensor  # of each feature
    spread: Tensor

    def __init__(self, seen: Tensor, classes: int, c: Config) -> None:
        super().__init__()
        spread = seen.std(0, correction=0)
        self.register_buffer("mean", seen.mean(0) * c.standardize)
        self.register_buffer("spread", spread.where((spread > 0) & c.standardize, 1.0))
        self.out = nn.Linear(seen.shape[1], classes if classes > 2 else 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        # Half the squared weights over C on the *sum* of losses; here each example bears its part.
        self.share = 1 / (2 * c.c * len(seen))

    def forward(self, features: Tensor) -> Output:
        logits = self.out((features - self.mean) / self.spread)
        if logits.shape[1] == 1:  # of two classes one logit is free: the other is 0
            logits = pad(logits, (1, 0))
        weights = self.out.weight.square().sum()
        return logits, weights * self.share * self.training


class Linear(Recipe[Batch]):
    config: Config

    def data(self, split: str) -> list[tuple[Tensor, Tensor]]:
        examples = list(zip(*self.rows(split), strict=True))
        return (
            splits.whole(self.source, examples, "training rows") if split == "train" else examples
        )

    @functools.cache  # noqa: B019  # a recipe lives as long as its process
    def rows(self, split: str) -> tuple[Tensor, Tensor]:
        """All features and classes of a split."""
        read, classes = self.table(split), {name: i for i, name in enumerate(self.classes)}
        for label in set(read.labels) - set(classes):
            raise DataError(f"the {split} split has label {label!r}, the train split has it not")
        values = torch.from_numpy(read.values).to(torch.get_default_dtype())
        return values, torch.tensor([classes[label] for label in read.labels])

    @functools.cache  # noqa: B019  # likewise
    def table(self, split: str) -> Table:
        if splits.given(self.source):
            like = None if split == "train" else self.table("train")
            return table.split(self.source, split, self.config.label, like)
        return generated(self.config, split)

    @functools.cached_property
    def classes(self) -> list[str]:
        return sorted(set(self.table("train").labels))

    @functools.cached_property
    def names(self) -> list[str]:
        return self.table("train").names

    def model(self) -> Logistic:
        if len(self.classes) < 2:
            raise DataError(f"every label is {self.classes[0]!r}", "give rows of two classes")
        return Logistic(self.rows("train")[0], len(self.classes), self.config)

    def inputs(self, batch: Batch) -> tuple[Tensor]:
        return (batch[0],)

    def loss(self, output: Output, batch: Batch) -> Mean:
        logits, penalty = output
        nll = cross_entropy(logits, batch[1], reduction="sum")
        return Mean.of(nll + penalty * len(logits), len(logits))

    def score(self, model: nn.Module, batch: Batch, output: Output) -> dict[str, Tally]:
        right = output[0].argmax(1) == batch[1]
        return {"accuracy": Mean.of(right.sum(), len(right))}

    def samples(self, model: nn.Module, examples: list[tuple[Tensor, Tensor]]) -> Samples:
        """The features that weigh most, by what one unit of each adds to the logit."""
        assert isinstance(model, Logistic)
        weights = (model.out.weight / model.spread).T
        heavy = weights.abs().sum(1).argsort(descending=True)[:20].tolist()
        told = self.classes if len(self.classes) > 2 else self.classes[1:]
        rows = [[self.names[i], *(f"{weight:.4g}" for weight in weights[i])] for i in heavy]
        return ["feature", *(f"towards {name}" for name in told)], rows

    def answer(self, model: nn.Module, line: str) -> str:
        """The class of a row of features."""
        try:
            values = [float(cell) for cell in line.replace(",", " ").split()]
        except ValueError:
            values = []
        if len(values) != len(self.names):
            row = f"{', '.join(self.names[:4])}{', …' * (len(self.names) > 4)}"
            raise DataError(f"{line!r:.40} is no row of {len(self.names)} numbers", f"write {row}")
        chances = model(torch.tensor([values]))[0].softmax(1)[0]
        return f"{self.classes[int(chances.argmax())]} ({chances.max():.3f})"


def generated(c: Config, split: str) -> Table:
    """Examples of a known rule: each feature weighs half as much again as the one after it."""
    rng = torch.Generator().manual_seed(splits.SPLITS.index(split))
    features = torch.randn(c.examples, c.features, generator=rng)
    weights = 2.0 * (-2 / 3) ** torch.arange(c.features)
    right = torch.rand(c.examples, generator=rng) < (features @ weights).sigmoid()
    labels = [str(int(each)) for each in right]
    return Table(labels, features.double().numpy(), [f"x{i}" for i in range(c.features)])
