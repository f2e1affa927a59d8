"""Create the pool's actors on a Ray head that is coming up, and leave.

    python -m turnaround.pool.head.boot HOME ADDRESS

A process of its own, because a Ray driver dies with its head, and the node daemon must not.
"""

from __future__ import annotations

import logging
import sys
import time

import ray
from ray._raylet import GcsClient  # type: ignore[attr-defined]  # compiled, without stubs
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from turnaround.pool.node.agent import Agent
from turnaround.pool.scheduler.cluster import lasting
from turnaround.pool.scheduler.scheduler import Scheduler

NAMESPACE = "turnaround"
_PATIENCE = 60.0  # seconds; 3 s on a quiet machine, 13 s seen on a loaded one


def main() -> None:
    """Wait for the head, then for both actors."""
    home, address = sys.argv[1:]
    _wait(address)
    ray.init(address, namespace=NAMESPACE, log_to_driver=False, logging_level=logging.ERROR)
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    agent = lasting(Agent, name="agent", scheduling_strategy=here).remote(home)
    how = {"name": "scheduler", "scheduling_strategy": here}
    scheduler = lasting(Scheduler, **how).remote(home, agent)
    ray.get(scheduler.ping.remote(), timeout=_PATIENCE)


def _wait(address: str) -> None:
    """Until the head has a living node: `ray.init` looks once a second, this fifty times."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        try:
            nodes = GcsClient(address=address).get_all_node_info(timeout=1)
            if any(info.state == 0 for info in nodes.values()):  # 0: ALIVE
                return
        except Exception as error:  # the store is not up yet, and says so in several ways
            print(f"waiting for {address}: {error!r:.100}", file=sys.stderr)
        time.sleep(0.02)
    raise SystemExit(f"no Ray head at {address} after {_PATIENCE:.0f} s")


if __name__ == "__main__":
    main()
