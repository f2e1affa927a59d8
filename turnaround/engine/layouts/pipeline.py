"""`layout=pipeline`: stages of the model, one after another, and micro-batches moving through them.

Torch's 1F1B schedule (Narayanan et al., 2019: PipeDream-Flush): each stage does one micro-batch's
backward as soon as it can, so that it holds as many activations as there are stages behind it. Of s
stages and m micro-batches (`update.accumulate`) a device idles (s − 1) / (m + s − 1) of a step.

All shapes stay the same from micro-batch to micro-batch. Every rank reads the whole batch, the
first stage for its inputs and the last one for its targets. Scores are computed by every rank on
the whole model; with `replicate` there are several such pipelines, which add up their gradients.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.pipelining import PipelineStage, Schedule1F1B

from turnaround import spec
from turnaround.engine.layouts import base, blocks
from turnaround.engine.layouts.parted import Parted
from turnaround.engine.layouts.stages import Stage, boundaries, owners, probe, shared_out
from turnaround.engine.metrics import Mean
from turnaround.engine.recipe import Recipe
from turnaround.engine.world import World
from turnaround.errors import RecipeError

FIXED = "layout=pipeline needs micro-batches of one shape: let collate pad to a fixed length"


class Layout(Parted):
    """One stage of the model per rank."""

    def __init__(self, world: World, settings: spec.Layout) -> None:
        super().__init__(world, settings)
        self._stages = self.grid.size("pipeline")
        self._stage = self.grid.place["pipeline"]
        self._line = self.grid.part("pipeline")
        self._waiting: list[base.Forward] = []  # micro-batches of the step so far
        self._shapes: object = None  # of every micro-batch's inputs
        self._owners: dict[str, int] = {}  # name in the recipe's model → stage
        self._names: dict[int, list[str]] = {}  # identity of a tensor → names, several if tied
        self._empty: list[list[nn.Module]] = []  # every stage's parts, without content
        self._schedule: Schedule1F1B | None = None  # made when the first shapes are seen

    @classmethod
    def portion(cls, model: nn.Module, recipe: Recipe[Any], settings: spec.Layout) -> int:
        """Those of the largest stage."""
        shares = shared_out(recipe.stages(model), settings.pipeline or 1)
        owners(model, shares)
        parts = ([p for part in share for p in part.parameters()] for share in shares)
        return max(sum(parameter.numel() for parameter in part) for part in parts)

    def cut(self, model: nn.Module, recipe: Recipe[Any]) -> nn.Module:
        """This rank's stage."""
        empty = copy.deepcopy(self._outline).to("meta")
        self._empty = shared_out(recipe.stages(empty), self._stages)
        blocks.tune(model, self.settings)
        shares = shared_out(recipe.stages(model), self._stages)
        self._owners = owners(model, shares)
        for name, tensor in model.state_dict(keep_vars=True).items():
            self._names.setdefault(id(tensor), []).append(name)
        return Stage(shares[self._stage], self._stage == 0, self._stage == self._stages - 1)

    def held(self, model: nn.Module) -> dict[str, nn.Parameter]:
        """This stage's parameters, by their names in the recipe's model."""
        return {self._names[id(p)][0]: p for p in model.parameters()}

    def gradients(self, model: nn.Module, forward: base.Forward, last: bool) -> Mean:
        """Keep the micro-batch; with a step's last all go through. The last stage has losses."""
        assert isinstance(model, Stage)  # `cut` made it
        self._waiting.append(forward)
        losses = torch.zeros(2, dtype=torch.float64, device=self.world.device)
        if last:
            waiting, self._waiting = self._waiting, []
            self._check(waiting)
            self._run(model, waiting)
            losses += sum(model.losses)
            self.losses.take(Mean(losses), last)
            self.exposed = self._add_up()
        return Mean(losses)

    def tensors(self, model: nn.Module) -> dict[str, Tensor]:
        """This stage's parameters and buffers, by their names in the recipe's model."""
        state = model.state_dict(keep_vars=True).values()
        return {name: t.detach() for t in state for name in self._names[id(t)]}

    def collected(self, model: nn.Module) -> Iterator[tuple[str, Tensor]]:
        """Names and tensors of the recipe's model: each stage sends its own to all others."""
        mine = self.tensors(model)
        for name, like in self._outline.state_dict().items():
            yield name, self._sent(self._owners[name], mine.get(name), like.shape, like.dtype)

    @torch.no_grad()
    def gathered(
        self, model: nn.Module, moments: dict[str, dict[str, Any]]
    ) -> dict[str, dict[str, Any]]:
        """The whole of the optimizer's state: each stage sends its part to all others."""
        form = {n: {key: _form(value) for key, value in m.items()} for n, m in moments.items()}
        return {
            name: {
                key: self._moment(stage, moments.get(name, {}).get(key), value)
                for key, value in keys.items()
            }
            for stage, forms in enumerate(self._line.gather(form))
            for name, keys in forms.items()
        }

    def _moment(self, stage: int, mine: Any, form: Any) -> Any:
        if not isinstance(form, dict):
            return form
        kind = getattr(torch, form["dtype"])
        return self._sent(stage, mine, torch.Size(form["shape"]), kind).cpu()

    def _sent(
        self, stage: int, mine: Tensor | None, shape: torch.Size, dtype: torch.dtype
    ) -> Tensor:
        """A tensor of one stage, on all."""
        device = self.world.device
        there = torch.empty(shape, dtype=dtype, device=device)
        if stage == self._stage and mine is not None:
            there.copy_(mine)
        if self._stages > 1:
            dist.broadcast(there, self._line.ranks[stage], self._line.group)
        return there

    def _check(self, waiting: list[base.Forward]) -> None:
        """Refuse another shape before anybody waits for it; the first time, get ready for it."""
        for forward in waiting:
            shapes = [tuple(t.shape) for t in probe(forward) if isinstance(t, Tensor)]
            self._shapes = self._shapes or shapes
            if shapes != self._shapes:
                raise RecipeError(f"inputs of shapes {shapes} came after {self._shapes}", FIXED)

    def _run(self, stage: Stage, waiting: list[base.Forward]) -> None:
        stage.begin(waiting)
        schedule = self._schedule = self._schedule or self._ready(stage, waiting)
        # Stages would else draw the same numbers, and drop the same features in each.
        self.world.seed(torch.initial_seed(), self._stage)
        places = torch.zeros(len(waiting))
        first = (places.to(self.world.device),) if stage.first else ()
        try:
            schedule.step(*first, target=places if stage.last else None)
        except RuntimeError as error:
            if error.__cause__ is None:
                raise
            raise error.__cause__ from None  # torch wraps what a stage's own code raised

    def _ready(self, stage: Stage, waiting: list[base.Forward]) -> Schedule1F1B:
        """Torch's schedule for micro-batches of these shapes."""
        between = boundaries(waiting[0], self._empty)
        ends = [(torch.empty(1),), *between, (torch.empty(1, dtype=torch.get_default_dtype()),)]
        place = PipelineStage(
            stage,
            self._stage,
            self._stages,
            self.world.device,
            input_args=ends[self._stage],
            output_args=ends[self._stage + 1],
            group=self.grid.group("pipeline"),
        )
        return Schedule1F1B(place, len(waiting), loss_fn=lambda loss, _: loss, scale_grads=False)

    def _add_up(self) -> float:
        """Sum the gradients of all pipelines; the seconds it took."""
        if self.grid.size("replicate") == 1:
            return 0.0
        begin = time.perf_counter()
        learnt = [p for p in self._mine.values() if p.requires_grad]
        for parameter in learnt:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        gradients = [p.grad for p in learnt if p.grad is not None]
        flat = torch.cat([g.flatten() for g in gradients])
        dist.all_reduce(flat, group=self.grid.group("replicate"))
        sums = torch.split(flat, [g.numel() for g in gradients])
        parts = zip(sums, gradients, strict=True)
        torch._foreach_copy_(gradients, [part.view_as(g) for part, g in parts])
        return time.perf_counter() - begin


def _form(value: Any) -> Any:
    """Of a tensor its shape and type, as JSON; anything else is JSON itself."""
    if isinstance(value, Tensor):
        return {"shape": list(value.shape), "dtype": str(value.dtype).removeprefix("torch.")}
    return value
