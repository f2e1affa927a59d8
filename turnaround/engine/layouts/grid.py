"""Where a rank stands in its group: one coordinate for each degree of the layout.

    grid = Grid(world, plan.layout)
    grid.mesh["shard"]                      # torch's mesh of the ranks that share parameters
    grid.place["pipeline"]                  # this rank's stage
    grid.readers.rank, grid.readers.size    # which share of a batch it reads

Ranks next to each other differ in `tensor` first, then `shard`, `replicate` and `pipeline`: what
talks most lies closest, inside a node where the launcher fills nodes one after another.
"""

from __future__ import annotations

import math

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh

from turnaround import spec
from turnaround.engine.world import Gang, World

AXES = ("pipeline", "replicate", "shard", "tensor")
READING = ("replicate", "shard")  # ranks that differ in these read different examples
# Groups outlive their runs: see `_left` in engine/world.py.
_kept: list[dist.ProcessGroup] = []


class Grid:
    """The ranks of one world, laid out by the degrees of a layout."""

    def __init__(self, world: World, settings: spec.Layout) -> None:
        self.degrees = {axis: getattr(settings, axis) or 1 for axis in AXES}
        shape = tuple(self.degrees.values())
        self._world = world
        self._ranks = torch.tensor(world.ranks).view(shape)
        here = (torch.arange(world.size).view(shape) == world.rank).nonzero()[0].tolist()
        self.place: dict[str, int] = dict(zip(AXES, here, strict=True))  # of this rank, by axis
        self._groups: dict[tuple[int, ...], dist.ProcessGroup] = {}
        groups = [self.group(axis) for axis in AXES]
        kind = world.device.type
        self.mesh = DeviceMesh.from_group(groups, kind, self._ranks, mesh_dim_names=AXES)
        self.readers = self.part(*READING)

    def size(self, *axes: str) -> int:
        """How many ranks differ in these coordinates only."""
        return math.prod(self.degrees[axis] for axis in axes)

    def peers(self, *axes: str) -> list[int]:
        """The ranks that differ from this one in these coordinates only, in order."""
        where = tuple(slice(None) if axis in axes else self.place[axis] for axis in AXES)
        peers: list[int] = self._ranks[where].flatten().tolist()
        return peers

    def group(self, *axes: str) -> dist.ProcessGroup:
        """Their process group. It is made by these ranks alone: others need not know of it."""
        peers = self.peers(*axes)
        made = self._world.group or dist.group.WORLD if len(peers) == self._world.size else None
        made = made or self._groups.get(tuple(peers))
        if made is None:
            made = dist.new_group(peers, use_local_synchronization=True)
            assert made is not None  # it is None for other ranks only
            _kept.append(made)
            self._groups[tuple(peers)] = made
        return made

    def part(self, *axes: str) -> World:
        """These ranks as a world of their own."""
        peers, world = self.peers(*axes), self._world
        place = peers.index(world.ranks[world.rank])
        made = Gang(world.device, place, len(peers)) if len(peers) > 1 else World(world.device)
        made.ranks, made.group = peers, self.group(*axes) if len(peers) > 1 else None
        return made
