"""The engine's door: a Plan and an Assignment in, events and an exit code out.

    work(plan, assignment, send=print)           # carry the plan out as one rank; 0 when it is done
    answer(plan, folder, code)("1 2 3")          # what the trained model makes of a line
    python -m turnaround.worker JOB.json FD      # a rank that is a process; events go to FD

Concrete classes meet in `assembly` and nowhere else. Exit codes: 0 done, 1 the recipe failed, 2
asked wrongly, 3 another rank or every checkpoint was lost, 4 numbers that are not finite, 75
stopped and resumable, 130 and 143 interrupted before there was anything to save.
"""

from turnaround.worker.assembly import assemble, layout_of, recipe_of
from turnaround.worker.door import STOPPED, door, gauge, measure, preflight, told, work
from turnaround.worker.process import Wish
from turnaround.worker.reply import answer

__all__ = [
    "STOPPED",
    "Wish",
    "answer",
    "assemble",
    "door",
    "gauge",
    "layout_of",
    "measure",
    "preflight",
    "recipe_of",
    "told",
    "work",
]
