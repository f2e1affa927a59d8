"""Everything that crosses a process: frozen data classes, JSON both ways.

    plan = Plan(recipe=Recipe("seq2seq"), …)
    assert from_json(Plan, to_json(plan)) == plan

The groups of a Plan (`Data`, `Optim`, …) are also the schema of the conf group of the same name:
`turnaround/config.py` derives what Hydra checks from these classes, so a knob is declared once.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import json
import re
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeVar

from annotated_types import Ge, Gt, Le, Len, Lt
from pydantic import BeforeValidator, TypeAdapter, ValidationError

from turnaround.errors import PlanError

PROTOCOL = (
    1  # of the sockets between command line, scheduler and node; raised when a message changes
)

Knob = bool | int | float | str | list[bool | int | float | str] | None
Count = Annotated[int, Gt(0), Lt(2**63)]
Seed = Annotated[int, Ge(0), Lt(2**63)]
Amount = Annotated[float, Gt(0)]
Share = Annotated[float, Ge(0), Le(1)]
Momentum = Annotated[float, Ge(0), Lt(1)]
T = TypeVar("T")


def seconds(value: Any) -> Any:
    """Seconds of a text like 90s, 20m or 1h30m; anything else as it is, for the type to judge."""
    if isinstance(value, str) and re.fullmatch(r"(\d+(\.\d+)?[dhms])+", value):
        parts = re.findall(r"([\d.]+)([dhms])", value)
        return sum(float(number) * _UNITS[unit] for number, unit in parts)
    return value


_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
Seconds = Annotated[float, Gt(0), BeforeValidator(seconds)]


class Status(enum.StrEnum):
    """The life of a run: ours until it is queued, then Ray's words."""

    PLANNED = "PLANNED"
    QUEUED = "QUEUED"
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    STOPPED = "STOPPED"

    @property
    def over(self) -> bool:
        """Nothing more will happen by itself."""
        return self in (Status.SUCCEEDED, Status.FAILED, Status.STOPPED)


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


@dataclass(frozen=True)
class Evaluate:
    """How often to look, at what, and when to give up."""

    every: Count | None = None  # steps; none: ten times in the budget
    score: str = "loss"  # what `best`, `target` and `patience` go by, on the valid split
    better: Literal["auto", "max", "min"] = "auto"  # auto: loss goes down, scores go up
    patience: Count | None = None  # evaluations without a better score
    limit: Count | None = None  # examples of the valid split to look at


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
    priority: Annotated[int, Ge(-1000), Le(1000)] = 0  # higher goes first
    retries: Annotated[int, Ge(0)] = 3  # restarts after a worker or machine was lost
    labels: dict[str, str] = field(default_factory=dict)  # that a machine must have: {zone: b}
    kind: str | None = None  # of accelerators that a machine must have: H100
    pack: bool = True  # on few machines; false: spread evenly over those that have room
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


@dataclass(frozen=True)
class Place:
    """The code, the environment and the folder a run starts from."""

    project: str  # absolute; the working folder of every worker
    interpreter: str  # absolute path of the Python that runs the workers
    recipe_file: str  # path of the recipe inside the snapshot
    code: str  # hash of the recipe's file and of the project files it reaches by import
    data: str  # fingerprint of the data files
    snapshot: str | None = None  # hash; none until submitted
    git_sha: str | None = None
    dirty: bool = False
    environ: dict[str, str] = field(default_factory=dict)  # allow-listed variables of the shell


@dataclass(frozen=True)
class Plan:
    """What will be done, resolved."""

    recipe: Recipe
    data: Data
    optim: Optim
    layout: Layout
    update: Update
    budget: Budget
    evaluate: Evaluate
    checkpoint: Checkpoint
    cluster: Cluster
    tracking: Tracking
    place: Place
    signature: str
    seed: Seed = 0
    precision: Literal["fp32", "bf16", "fp64"] = "fp32"
    init_from: str | None = None  # id of the run whose parameters this one starts from
    name: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    until: Count | None = None  # a step to pause at; set by sweeps, which resume what is worth it
    fork: str | None = None  # RUN@STEP: the checkpoint it goes on from as if it were its own; ditto
    carries: dict[str, int] = field(default_factory=dict)  # runs it trains as one → attempts before
    entry: str = "turnaround.worker:work"  # resolved where the job runs
    version: str = ""  # of turnaround

    @property
    def experiment(self) -> str:
        """The MLflow experiment."""
        return self.tracking.experiment or self.recipe.name

    @property
    def devices(self) -> int:
        """Groups times the devices of each; a process on every one."""
        return (self.update.groups or 1) * self.layout.devices

    @property
    def vital(self) -> int:
        """How many of the first ranks the run cannot go on without."""
        return self.layout.devices if self.update.apart else self.devices


@dataclass(frozen=True)
class Inventory:
    """The devices a machine offers."""

    cpus: int
    gpus: int

    def count(self, device: str) -> int:
        """How many devices of that kind."""
        return self.gpus if device == "cuda" else self.cpus


@dataclass(frozen=True)
class Assignment:
    """One rank of one attempt: everything a worker is told besides the Plan."""

    run: str
    folder: str  # the run's own, absolute
    code: str  # unpacked snapshot, absolute
    attempt: int
    rank: int = 0
    size: int = 1
    device: str = "cpu"  # cpu or cuda
    index: int | None = None  # of the CUDA device
    threads: int = 1
    store: str | None = None  # host:port of the attempt's rendezvous; rank 0 also gets its socket
    forked: float | None = None  # when its process began, in seconds since the epoch


@dataclass(frozen=True)
class Event:
    """One thing that happened in a run; one line of its event file.

    kind        data
    status      status, reason
    spans       began, rows {row: seconds}, words  (of the command line, before there was a run)
    worker      pid, host, device, threads, gain   (a rank came up; gain: of being trained as one)
    metrics     step, epoch, split, values {name: number}, examples, seconds (of training)
    progress    step, steps (planned or none), examples, rate (examples/s), loss
    checkpoint  step, folder, best
    samples     step, columns, rows
    summary     steps, examples, seconds, values {name: number}, stopped (why)
    ledger      step, began, rows {row: seconds}, cpu (seconds)   (of this attempt so far)
    probe       seconds, more, agree, exchange     (of a rank: see forecast/modes.py)
    gauge       batch, seconds, wait, memory       (of a rank's steps: see engine/sizes.py)
    recorded    files (seconds that they took)     (everything has reached MLflow)
    fit         parameters, portion, bytes, scores (of a plan that was looked at, not carried out)
    ended       exit_code                          (of a run that another one carries)
    notice      message                            (something the user should know; nothing failed)
    trial       number, values {key: value}, name, rung, parent, place
                                                   (of a sweep: settings to be tried)
    sent        number, seed, run, rung, until, known, begin    (a run that tries them)
    trunk       key, run, step                     (that trials of a sweep have in common)
    trunked     key, ready, seconds                (it is over; whether they can fork from it)
    result      number, rung, status, score, reason, steps, seconds, runs {seed: run}
    rung        number, rung                       (the trial is worth going on with)
    again       number, runs                       (that failed, and are to be run once more)
    more        trials                             (added to those the sweep was asked for)
    yields      to                                 (a run that goes first; this one saves and stops)
    warning     message
    error       message, hint, traceback, exit_code, type (of our own errors: DataError)
    """

    kind: str
    data: dict[str, Any]
    time: float  # seconds since the epoch
    attempt: int = 0
    rank: int = 0
    seq: int = 0  # of this attempt and rank, from 1: a gap is a loss


@dataclass(frozen=True)
class Fit:
    """What a plan comes to with its recipe's model, which was built and not trained."""

    parameters: int
    portion: int  # of them on the device that holds most
    bytes: int  # there: parameters, gradients and the optimizer's state; activations come on top
    scores: list[str]  # that the recipe tells; none where the model is too large to be tried


@functools.cache
def _adapter(cls: type[Any]) -> TypeAdapter[Any]:
    return TypeAdapter(cls)


def acquaint(*classes: type[Any]) -> None:
    """Get ready to read them: 25 ms for each, which whoever reads the first one pays otherwise."""
    for cls in classes:
        _adapter(cls)  # type: ignore[arg-type]  # a class is hashable


def to_dict(value: Any) -> dict[str, Any]:
    """The value's fields, nested, as plain JSON types."""
    return dataclasses.asdict(value)


def to_json(value: Any) -> str:
    """One line of JSON from which `from_json` makes an equal value."""
    return _encode(vars(value))  # 6 µs an event; `asdict` copies it first: 28 µs


def _fields(value: Any) -> dict[str, Any]:
    if dataclasses.is_dataclass(value):
        return vars(value)
    raise TypeError(f"{type(value).__name__} is nothing that JSON knows")


_encode = json.JSONEncoder(default=_fields).encode


def from_dict(cls: type[T], fields: dict[str, Any]) -> T:
    """A `cls` from its fields; PlanError names the first that does not fit."""
    try:
        made: T = _adapter(cls).validate_python(fields)  # type: ignore[arg-type]  # a class is hashable
        return made
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise PlanError(
            f"{where}={first.get('input')!r} does not fit: {first['msg'].lower()}",
            "see `turnaround plan --help`",
        ) from None


def from_json(cls: type[T], text: str | bytes) -> T:
    """The inverse of `to_json`."""
    return from_dict(cls, json.loads(text))
