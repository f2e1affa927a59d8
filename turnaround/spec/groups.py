"""What can be asked of a run: one data class for each group of conf/.

    Optim(name="sgd", lr=0.1)        # as `optim=sgd optim.lr=0.1` asks for it

They are also the schema of the conf group of the same name: `config/asked.py` derives from them
what Hydra checks, so a knob is declared once, here, with its type, default and meaning.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Ge, Len

from turnaround.spec.kinds import Amount, Count, Knob, Momentum, Part, Priority, Seconds, Share
from turnaround.spec.scores import rises


@dataclass(frozen=True)
class Recipe:
    """Which task, and the knobs of its `Config`."""

    name: str
    knobs: dict[str, Knob] = field(default_factory=dict)


@dataclass(frozen=True)
class Data:
    """Where the corpus lies and how it is cut. Without a path the recipe's own corpus is used."""

    path: str | None = None  # one file, split by a hash of each example's source side
    train: str | None = None  # or one file per split
    valid: str | None = None
    test: str | None = None
    batch: Count = 64  # examples per optimizer step, over all devices
    bucket: Count = 1  # batches sorted by length together; 1 keeps the plain shuffle
    sortagrad: bool = False  # the first epoch from short to long, then as ever
    whole: bool = False  # each step sees all training examples, `batch` of them at a time
    grow: Count = 1  # times: the batch may grow to so many, as the gradient noise scale does

    @property
    def constant(self) -> bool:
        """Each step sees `batch` examples, neither all that there are nor more and more."""
        return not self.whole and self.grow == 1

    def paths(self) -> dict[str, str | None]:
        """The files, by the field that names them."""
        return {"path": self.path, "train": self.train, "valid": self.valid, "test": self.test}


@dataclass(frozen=True)
class Optim:
    """The optimizer, its schedule and clipping."""

    name: Literal["sgd", "momentum", "adam", "adamw", "adagrad", "lbfgs"] = "adam"
    lr: Amount = 1e-3
    momentum: Momentum = 0.9
    betas: Annotated[list[Momentum], Len(2, 2)] = field(default_factory=lambda: [0.9, 0.999])
    eps: Amount = 1e-8
    weight_decay: Annotated[float, Ge(0)] = 0.0
    schedule: Literal["constant", "linear", "cosine", "inverse_sqrt", "halving", "wsd"] = (
        "constant"  # wsd: warm-up, stable, decay
    )
    warmup: Annotated[int, Ge(0)] = 0  # steps of linear warm-up
    floor: Share = 0.0  # last learning rate of linear, cosine and wsd, as a share of lr
    halve_after: Share = 0.67  # halving: share of the budget at full rate
    halve_every: Amount = 0.07  # halving: share of the budget between halvings
    decay_after: Share = 0.8  # wsd: share of the budget at full rate
    decay: Literal["linear", "cosine", "sqrt"] = "linear"  # wsd: the way down from there
    clip: Amount | None = None  # global gradient norm
    history: Count = 10  # lbfgs: pairs of changes that its picture of the curvature is made of
    inner: Count = 20  # lbfgs: iterations on one batch, which together count as one step
    line_search: Literal["strong_wolfe", "none"] = "strong_wolfe"  # lbfgs; none: `lr` long each


DEGREES = {  # of each layout, its own first; the others make products
    "single": ("replicate",),
    "ddp": ("replicate",),
    "fsdp": ("shard",),
    "hsdp": ("shard", "replicate"),
    "tensor": ("tensor", "shard", "replicate"),
    "pipeline": ("pipeline", "replicate"),
}


@dataclass(frozen=True)
class Layout:
    """How one synchronous group lies on devices: degrees of a mesh."""

    name: Literal["single", "ddp", "fsdp", "hsdp", "tensor", "pipeline"] = "single"
    replicate: Count | None = None  # copies; none: one, or under ddp every device of the machine
    shard: Count | None = None  # parts of each parameter; none: one, or under fsdp every device
    tensor: Count | None = None  # parts of each layer's work, along the recipe's `cuts`
    pipeline: Count | None = None  # stages, one after another; micro-batches: update.accumulate
    sequence: bool = False  # layout=tensor: between those layers, some places each; see `stream`
    activation_checkpointing: bool = False  # compute activations again in backward: less memory
    compile: bool = False  # by torch.compile, which takes tens of seconds the first time

    @property
    def devices(self) -> int:
        """Product of the degrees."""
        return self.readers * (self.tensor or 1) * (self.pipeline or 1)

    @property
    def readers(self) -> int:
        """Devices, or groups of them, that read different examples."""
        return (self.replicate or 1) * (self.shard or 1)


@dataclass(frozen=True)
class Update:
    """How gradients become the next parameters, and how groups of devices agree on them."""

    # auto: one of the others, chosen by a probe before there is a plan
    name: Literal["sync", "backup", "async", "hybrid", "local", "auto"] = "sync"
    accumulate: Count = 1  # micro-batches per device and step
    groups: Count | None = None  # each a layout of its own; none: 1 under sync, else all that fit
    compress: Literal["none", "fp16", "bf16"] = "none"  # of gradients that travel
    every: Count | None = None  # steps between agreements: 50 under local, else 1
    pull: Count | None = None  # async, hybrid: steps between fetches of parameters; none: every
    outer_lr: Amount = 0.7  # local: of the step along the groups' mean change
    outer_momentum: Momentum = 0.9  # local: Nesterov's; 0 with outer_lr=1 is federated averaging
    spares: Annotated[int, Ge(0)] = 1  # backup: how many of the groups a step does not wait for
    warm: Annotated[int, Ge(0)] = 0  # async, hybrid: steps of the first group alone
    bound: Count | None = None  # async, hybrid: how many pushes the fastest may lead the slowest by
    stale_lr: bool = False  # async, hybrid: divide the learning rate by the gradient's staleness
    shards: Count = 1  # async, hybrid: parts of the parameters that are served side by side
    straggle: Annotated[float, Ge(0)] = 0.0  # mean seconds of a random delay put before each step

    @property
    def exact(self) -> bool:
        """It draws the curve of one device."""
        return self.name == "sync" and self.compress == "none"

    @property
    def apart(self) -> bool:
        """Groups go on without those that were lost, all but the first."""
        return self.name in ("async", "hybrid")


@dataclass(frozen=True)
class Budget:
    """When to stop: whichever of these comes first."""

    steps: Count | None = None
    examples: Count | None = None
    time: Seconds | None = None  # of training, in seconds or as 90s, 20m, 1h30m
    target: float | None = None  # of `evaluate.score`

    def within(self, data: Data) -> int | None:
        """The steps after which it is spent; none where that is not known before.

        It is one of time, or of examples of which a step sees all, or more and more.
        """
        examples = self.examples if data.constant else None
        limits = (self.steps, math.ceil((examples or 0) / data.batch))
        return min((limit for limit in limits if limit), default=None)


@dataclass(frozen=True)
class Evaluate:
    """How often to look, at what, and when to give up."""

    every: Count | None = None  # steps; none: ten times in the budget
    score: str = "loss"  # what `best`, `target` and `patience` go by, on the valid split
    better: Literal["auto", "max", "min"] = "auto"  # auto: as its name tells, else max
    patience: Count | None = None  # evaluations without a better score
    limit: Count | None = None  # examples of the valid split to look at

    @property
    def rises(self) -> bool:
        """More of `score` is better."""
        return self.better == "max" if self.better != "auto" else rises(self.score) is not False


@dataclass(frozen=True)
class Checkpoint:
    """How often to save and how much to keep."""

    every: Count | None = None  # steps; none: with each evaluation
    keep: Count = 2  # newest, besides the best


@dataclass(frozen=True)
class Cluster:
    """Where the run happens."""

    name: Literal["inline", "pool", "remote"] = "pool"
    address: str | None = None  # remote: of the other cluster's dashboard, http://10.0.0.5:8265
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: Count | None = None  # per worker; none: one on CPU when several workers share it
    priority: Priority = 0  # higher goes first
    retries: Annotated[int, Ge(0)] = 3  # restarts after a worker or machine was lost
    labels: dict[str, str] = field(default_factory=dict)  # that a machine must have: {zone: b}
    kind: str | None = None  # of accelerators that a machine must have: H100
    spread: bool = False  # evenly over the machines that have room; false: on few
    share: Part | None = None  # of its device, like 1/2; others run beside it. none: all of it
    isolate: bool = True  # each run in a process of its own; false: it may follow another's in one

    @property
    def hints(self) -> str:
        """Which machines are meant, in words; "" for any."""
        wanted = [f"{name}={value}" for name, value in self.labels.items()]
        return ", ".join([*([self.kind] if self.kind else []), *wanted])


@dataclass(frozen=True)
class Tracking:
    """Where numbers go."""

    name: Literal["mlflow", "none"] = "mlflow"
    uri: str | None = None  # none: <project>/mlflow.db
    experiment: str | None = None  # none: the recipe's name
    noise: Count | None = 20  # steps between measurements of the gradient noise scale
