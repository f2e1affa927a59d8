"""`layout=hsdp`: parameters in parts inside a node, copies of them across nodes.

What `fsdp` sends between all ranks stays inside groups of `shard`; only gradients, already added up
and in parts, cross between the `replicate` groups: the hierarchical aggregation of large clusters.
"""

from __future__ import annotations

from turnaround.engine.layouts import fsdp


class Layout(fsdp.Layout):
    """Groups of `shard` ranks, `replicate` of them."""
