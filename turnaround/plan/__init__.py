"""Config and facts → Plan: what will be done, or PlanError saying why it cannot be.

    plan = make(config, facts)      # pure: no file is read, no clock, no environment

resolve: the Plan and its signature · devices: the layout · groups: the update · checks: what cannot
be · auto: what `update=auto` chooses from
"""

from turnaround.plan.auto import together, units
from turnaround.plan.devices import threads
from turnaround.plan.resolve import Facts, make, science

__all__ = ["Facts", "make", "science", "threads", "together", "units"]
