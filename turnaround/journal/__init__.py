"""The record of what was planned, submitted and became of it.

    journal = Journal(home())
    run = journal.submit(plan, "seq2seq-k3x9")     # a folder with plan.json, a row, QUEUED
    journal.append(run.id, Event("metrics", {...}, time.time()))
    for event in journal.events(run.id): ...

A run's own folder (`plan.json`, `events.jsonl`) is the truth; `journal.db` (sqlite, WAL) is the
queue and the index, and can be rebuilt from the folders. Only the control side writes here: the
pool's scheduler and node, and the inline launcher. Reading takes no lock that a writer would wait
for.

folders: what a run has on disk · events: its event file · row: what is known of it at a glance ·
database: sqlite · index: questions to the rows · journal: all of it together
"""

from turnaround.journal.events import EventFile, read_events
from turnaround.journal.folders import home
from turnaround.journal.journal import Journal
from turnaround.journal.row import Run, new_id

__all__ = ["EventFile", "Journal", "Run", "home", "new_id", "read_events"]
