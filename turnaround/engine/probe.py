"""What a step costs here: each rank's own seconds, and those of one agreement.

    found = probe(plan, world, parts)      # of this rank; its parts are there for the probe alone
    found["seconds"]                       # of a dozen steps on its share of a batch
    found["agree"], found["exchange"]      # of adding up all gradients; by way of a service

Nobody waits for anybody during a step, so a straggler is seen as what it is. The plan has
`update=local`: each group has a layout of its own, and reads its own share of every batch.
"""

from __future__ import annotations

import functools
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict

import torch
from torch import Tensor

from turnaround.engine import loop
from turnaround.engine.compress import Reduce
from turnaround.engine.data import Feed
from turnaround.engine.metrics import Mean, added
from turnaround.engine.service.first import Caller, First
from turnaround.engine.service.wire import call
from turnaround.engine.world import World
from turnaround.forecast.modes import Rank
from turnaround.spec import Plan

WARM = 2  # steps that are not counted: the first ones allocate
STEPS = 12
WHOLE = 3  # steps on whole batches, which each group of `async` reads
LIMIT = 20.0  # seconds of steps after which a few have to do
FEW = 4
AGREEMENTS = 5
LEAVE = 5.0  # seconds in which the other groups say goodbye


def probe(plan: Plan, world: World, parts: loop.Parts) -> dict[str, object]:
    """A `Rank`'s fields, for its event."""
    whole = Feed(parts.recipe, plan, parts.layout.world, parts.layout.reader())
    shares = _steps(plan, parts, parts.feed, WARM + STEPS)[WARM:]
    wholes = _steps(plan, parts, whole, 1 + WHOLE)[1:]
    more = statistics.median(own for _, own in wholes) - statistics.median(own for _, own in shares)
    named = parts.layout.parameters(parts.model).values()
    flat = torch.cat([p.detach().flatten() for p in named])
    found = Rank(
        seconds=[pause + own for pause, own in shares],
        more=max(more, 0.0),
        agree=_agree(world.across(plan.layout.devices), flat),
        exchange=_exchange(world, parts.layout.world, flat),
    )
    return asdict(found)


def _steps(plan: Plan, parts: loop.Parts, feed: Feed, most: int) -> list[tuple[float, float]]:
    """Seconds of each step: of the delay that is played, if any, and of its own work."""
    times: list[tuple[float, float]] = []
    began = time.monotonic()
    while len(times) < most and (len(times) < FEW or time.monotonic() - began < LIMIT):
        pause = _timed(parts.update.pause)
        place = parts.update.steps * plan.data.batch
        times.append((pause, _timed(functools.partial(step, parts, feed, place, plan.optim.lr))))
    return times


def step(parts: loop.Parts, feed: Feed, place: int, rate: float) -> float:
    """One as the loop does it, of those in step with this rank; the seconds it waited for them."""
    layout, losses, wait = parts.layout, [], 0.0
    parts.update.scale.forget()
    for piece in feed.pieces(place):
        losses.append(layout.gradients(parts.model, _forward(parts, piece.batch), piece.last))
        wait += layout.exposed
    began = time.perf_counter()
    loss = layout.sum(added(losses))
    wait += time.perf_counter() - began
    parts.update.advance(loss, lambda loss: None, rate)
    if parts.world.device.type == "cuda":
        torch.cuda.synchronize()
    return wait


def _forward(parts: loop.Parts, batch: object) -> Callable[[torch.nn.Module], Mean]:
    return lambda model: parts.weigh(loop.loss(parts, model, batch))


def _agree(peers: World, flat: Tensor) -> float:
    """Adding up gradients over the groups, and the loss, as each step does; every rank."""
    reduce, times = Reduce(peers), []

    def add() -> None:
        reduce(flat.clone()).wait()
        peers.sum(torch.zeros(2, dtype=torch.float64, device=flat.device))
        if flat.is_cuda:
            torch.cuda.synchronize()

    for _ in range(1 + AGREEMENTS):
        peers.meet()
        times.append(_timed(add))
    return statistics.median(times[1:])


def _exchange(world: World, group: World, flat: Tensor) -> float:
    """Gradients to a service in rank 0's process, and the result back; the groups' first ranks."""
    service = First(world.size // group.size, world.host) if world.leads else None
    door = world.share(service and [*service.door.address, service.door.token])
    times = [0.0]
    if group.rank == 0:
        caller = Caller(call((door[0], door[1]), door[2], world.rank // group.size))
    world.meet()  # from here on the service counts on everybody
    if group.rank == 0:
        steps = range(1, 2 + AGREEMENTS)
        times = [_timed(functools.partial(_ask, caller, step, flat)) for step in steps]
        if service:
            service.over = True
        caller.leave()
    if service:
        service.close(LEAVE)
    return statistics.median(times[1:] or times)


def _ask(caller: Caller, step: int, flat: Tensor) -> None:
    caller.send(step, flat, loss=[0.0, 0.0], stop=False, seconds=0.0)
    caller.result(step)


def _timed(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began
