"""The warm pool: a Ray head, a scheduler, and on every node an agent and a daemon with workers.

    turnaround run → queue: may it start? → scheduler: start it there → node: its workers

head/: the Ray head, and what is started beside it · scheduler/: attempts on the machines, from
their start to their end · queue/: who may start, and where · node/: one machine · messages/: what
processes and machines say to each other · machines: what a cluster offers · places: files and
sockets, and the record of the pool that is up

Each uses what is named after it; a command line reads `places`, `machines` and `queue`.
"""
