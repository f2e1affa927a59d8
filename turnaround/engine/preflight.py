"""Whether a plan suits its recipe's model: what only torch can tell, before anything is placed.

    fit = look(plan, lambda: load(file, plan, cache), layout=Layout)
    fit.parameters, fit.bytes        # ConfigError, or what the recipe raised, where it does not

The model is built on the meta device, where it takes no memory, and cut as the layout would. A
small one is also built in earnest and judges two examples, as a run does after its first step.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from turnaround.engine import loop, optim, precision
from turnaround.engine.data import Feed
from turnaround.engine.layouts import blocks
from turnaround.engine.layouts.base import Layout
from turnaround.engine.recipe import Recipe
from turnaround.engine.world import World
from turnaround.spec import Fit, Plan, Update
from turnaround.spec import Layout as Degrees

SMALL = 10_000_000  # parameters of a model that is tried: 40 MB, made in 0.1 s
EXAMPLES = 2


@dataclass(frozen=True)
class Judge:
    """A recipe whose scores are asked for."""

    recipe: Recipe[Any]
    compute: Callable[[], AbstractContextManager[object]]


def look(plan: Plan, make: Callable[[], Recipe[Any]], layout: type[Layout]) -> Fit:
    """What the plan comes to; an error is the one that a run would end with."""
    recipe, model = _outline(make)
    optim.fits(plan.optim, model)
    layout.admit(model, plan.layout, plan.cluster.device)
    portion = layout.portion(model, recipe, plan.layout)
    if plan.layout.activation_checkpointing:
        blocks.forget(model)
    parameters = Layout.portion(model, recipe, Degrees())
    scores = _judged(plan, recipe, make) if parameters <= SMALL else []
    each = precision.named(plan.precision).kept.itemsize
    return Fit(parameters, portion, portion * each * (2 + optim.kept(plan.optim)), scores)


def _outline(make: Callable[[], Recipe[Any]]) -> tuple[Recipe[Any], nn.Module]:
    """The model without content. One whose making looks at numbers is made in earnest: that says
    whether the recipe is wrong, or only cannot be made so."""
    try:
        with torch.device("meta"):
            recipe = make()
            return recipe, recipe.model()
    except Exception:  # the recipe's own code runs here
        recipe = make()
        return recipe, recipe.model()


def _judged(plan: Plan, recipe: Recipe[Any], make: Callable[[], Recipe[Any]]) -> list[str]:
    """By the recipe that has read its data already, unless some of that has no numbers now."""
    try:
        return _scores(plan, recipe)
    except Exception:  # the recipe's own code runs here
        return _scores(plan, make())


@torch.no_grad()
def _scores(plan: Plan, recipe: Recipe[Any]) -> list[str]:
    """The names of all that the recipe tells of some examples."""
    world = World(torch.device("cpu"))
    world.seed(plan.seed)
    model = recipe.model().eval()
    alone = replace(plan, update=Update())
    batches = Feed(recipe, alone, world, Layout(world, Degrees()).reader()).batches
    compute = precision.named(plan.precision).compute
    judge = Judge(recipe, lambda: compute("cpu"))
    names = [name for b in batches("valid", EXAMPLES) for name in loop.scores(judge, model, b)]
    if names:
        loop.known(plan.evaluate.score, names)
    return list(dict.fromkeys(names))
