"""What may start now, who makes room for it, and why the rest waits: pure decisions.

    queue = Queue([Machine("a", "127.0.0.1", cpus=2, gpus=0)])
    queue.add(Waiting("lm-k3x9e", plan, submitted=now, takes=40.0))
    decision = queue.decide(now)         # starts, yields and reasons; nothing is changed by asking
    queue.start("lm-k3x9e", Holder(decision.starts["lm-k3x9e"], since=now))
    queue.release("lm-k3x9e")

Who goes first:

* A higher priority does; of one priority the sweep that holds the fewest devices (runs of no sweep
  are one such group); and within it who is *due* first: when it was submitted, plus `STRETCH` times
  what it should take. So a short run may pass a long one, which waits no longer for that than
  `STRETCH` times its own length.
* A gang starts whole or not at all. The first that does not fit has its devices *reserved* for the
  moment when they should be free; whoever comes behind may start only if the gang can then start
  all the same: it is over by then, or it leaves enough. A holder of which nobody knows how long it
  takes may end at any moment, so it lets nobody pass.
* Batch work, whose priority is below 0 (trials of sweeps), saves and makes room for what is not.

A decision costs the same however long the queue is: runs that need the same devices stand in one
lane, and a lane of which one does not fit is passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from turnaround.journal import Run
from turnaround.pool.machines import Machine
from turnaround.pool.queue.room import Places
from turnaround.pool.queue.standing import Standing
from turnaround.pool.queue.turn import Decision, Turn
from turnaround.pool.queue.waiting import Holder, Waiting
from turnaround.spec import Plan


class Queue(Standing):
    """What is known of runs and machines, and what follows from it."""

    def decide(self, now: float) -> Decision:
        """Who starts, who makes room, and why others wait."""
        return Turn(self, now).taken()


def decide(
    queued: Sequence[Run],
    plan: Callable[[str], Plan],
    holders: Mapping[str, Places],
    machines: Sequence[Machine],
) -> tuple[dict[str, Places], dict[str, str]]:
    """(starts, reasons to wait) of runs of the journal, with nothing known but what they need."""
    queue = Queue(machines)
    for id, places in holders.items():
        queue.start(id, Holder(places))
    for run in queued:
        queue.add(Waiting.of(run, plan(run.id)))
    made = queue.decide(now=0.0)
    rest = [run.id for run in queued if run.id not in made.starts]
    behind = f"waits its turn behind {made.first}"
    return made.starts, {id: made.waits.get(id, behind) for id in rest}
