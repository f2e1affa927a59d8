"""What those who carry a plan out tell each other: devices there, a rank's part, what was found."""

from __future__ import annotations

from dataclasses import dataclass

PROTOCOL = 1  # of the sockets between shell, scheduler and node; raised when a message changes


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
class Fit:
    """What a plan comes to with its recipe's model, which was built and not trained."""

    parameters: int
    portion: int  # of them on the device that holds most
    bytes: int  # there: parameters, gradients and the optimizer's state; activations come on top
    scores: list[str]  # that the recipe tells; none where the model is too large to be tried
