"""From the words of `run` and `plan` to a Plan."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from turnaround.cli.meanwhile import meanwhile
from turnaround.cli.words import arguments
from turnaround.errors import LaunchError, PlanError
from turnaround.journal import Journal, home
from turnaround.launch.pool import Pool
from turnaround.spec import Cluster, Inventory, Plan

if TYPE_CHECKING:
    from turnaround.forecast.modes import Choice

LOOK = 10.0  # seconds after which a run does not wait any more to be looked at


def planned(
    words: list[str],
    name: str | None,
    tags: dict[str, str],
    chosen: Callable[[Choice], None] = lambda choice: None,
) -> tuple[Plan, Path]:
    """What the words come to, and the recipe's file; `chosen` hears what `update=auto` became."""
    from turnaround import config, plan
    from turnaround.launch import facts

    project = config.project_root(Path.cwd())
    asked = config.compose(words, project, home() / "cache")
    asked = replace(asked, name=name or asked.name, tags={**asked.tags, **tags})
    arguments.check(asked.name, asked.tags)
    found = facts.gather(asked, project, inventory(asked.cluster))
    if asked.update.name == "auto":
        from turnaround.launch import probe  # numpy: 0.1 s

        asked, choice = probe.decide(asked, found, home())
        chosen(choice)
    return plan.make(asked, found), asked.recipe_file


def check(made: Plan, recipe_file: Path) -> None:
    """Refuse what only the recipe's model can tell; half a second where a pool is up."""
    from turnaround.launch import preflight

    # nothing comes of a look that takes too long; a run may do better
    with suppress(LaunchError), meanwhile("looking at the model"):
        preflight.look(made, recipe_file, home(), LOOK)


def inventory(cluster: Cluster) -> Inventory:
    """The devices of the pool that is up, else of this machine."""
    from turnaround.launch import facts

    if cluster.name == "remote":
        from turnaround.launch.remote import Remote  # 30 ms

        return Remote(cluster.address, Journal(home())).inventory(cluster)
    pooled = Pool(home()).inventory(cluster) if cluster.name == "pool" else None
    if pooled is None and cluster.name == "pool" and cluster.hints:
        message = f"machines with {cluster.hints} are asked for, but no pool is up to look among"
        raise PlanError(message, "turnaround up")
    return pooled or facts.inventory()
